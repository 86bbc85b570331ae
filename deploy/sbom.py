#!/usr/bin/env python3
"""Prints the bill of materials of the program, in CycloneDX 1.5: every package that is built into it, with its licence, its checksum
and what it depends on. Arguments go to `cargo metadata`, e.g. `--no-default-features`; it wants cargo and Cargo.lock, and asks nobody.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"


def main(arguments):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET, *arguments]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    metadata = json.loads(told.stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = {node["id"]: built(node) for node in metadata["resolve"]["nodes"]}
    program = metadata["resolve"]["root"]
    used, todo = set(), [program]
    while todo:
        one = todo.pop()
        if one not in used:
            used.add(one)
            todo.extend(needs[one])
    sums = checksums()
    components = [component(packages[one], sums) for one in sorted(used - {program})]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**component(packages[program], sums), "type": "application"}},
        "components": components,
        "dependencies": [
            {"ref": name(packages[one]), "dependsOn": sorted(name(packages[other]) for other in needs[one])}
            for one in sorted(used)
        ],
    }
    json.dump(bill, sys.stdout, indent=2)
    print()


def built(node):
    """What is built for a package, and not only for its tests."""
    return [need["pkg"] for need in node["deps"] if any(kind["kind"] != "dev" for kind in need["dep_kinds"])]


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}


def component(package, sums):
    described = {
        "type": "library",
        "bom-ref": name(package),
        "name": package["name"],
        "version": package["version"],
        "purl": name(package),
    }
    if package.get("license"):
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def name(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


if __name__ == "__main__":
    main(sys.argv[1:])
