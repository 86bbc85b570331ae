#!/usr/bin/env python3
"""Writes advisories.json anew from a clone of https://github.com/rustsec/advisory-db: `tests/tree/refresh.py FOLDER`."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

TARGET = Path(__file__).with_name("advisories.json")


def main(folder):
    git = lambda *words: subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True).stdout
    commit, date = git("log", "-1", "--format=%H %cs").split()
    files = git("ls-tree", "-r", "-z", "HEAD", "--name-only", "--", "crates").split("\0")
    crates = {}
    for file in files:
        if file.endswith(".md"):
            add(git("show", f"HEAD:{file}"), crates)
    header = {"source": "https://github.com/rustsec/advisory-db", "commit": commit, "date": date}
    lines = [f"{json.dumps(name)}: {json.dumps(found, ensure_ascii=False)}" for name, found in sorted(crates.items())]
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in header.items())
    TARGET.write_text("{\n" + head + ',\n"crates": {\n' + ",\n".join(lines) + "\n}\n}\n")


def add(text, crates):
    """Takes what an advisory says of versions, unless it was withdrawn."""
    front = re.match(r"```toml\n(.*?)```", text, re.DOTALL)
    said = tomllib.loads(front.group(1))
    advisory, versions = said["advisory"], said.get("versions", {})
    if advisory.get("withdrawn"):
        return
    title = re.search(r"^# (.*)$", text[front.end() :], re.MULTILINE).group(1)
    kept = {"id": advisory["id"], "title": title}
    kept |= {key: versions.get(key, []) for key in ("patched", "unaffected")}
    if "informational" in advisory:
        kept["informational"] = advisory["informational"]
    crates.setdefault(advisory["package"], []).append(kept)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
