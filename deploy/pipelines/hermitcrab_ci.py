#!/usr/bin/env python3
"""What a pipeline does with desired state, on GitHub and on GitLab. Copy it beside the pipeline; it needs git and hermitcrab.

    hermitcrab_ci.py plan BASE              plans each changed file, as a comment on the pull request
    hermitcrab_ci.py rehearse BASE          rehearses each changed file's image, as a comment
    hermitcrab_ci.py promote BASE FROM TO   proposes each image that changed below FROM for the same file below TO

BASE is the commit to compare with. A comment replaces the one of the same cluster, so that there is one however often is
pushed.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

MARKER = "<!-- hermitcrab-"
FOLDER = "desired-state"
TIMEOUT = 30


def main(arguments):
    match arguments:
        case ["plan", base]:
            return plan(changed(base, FOLDER))
        case ["rehearse", base]:
            return rehearse(changed(base, FOLDER))
        case ["promote", base, source, target]:
            return promote(changed(base, source), Path(source), Path(target))
    sys.exit(__doc__)


def plan(files):
    """One plan of them all, a comment for each cluster."""
    if not files:
        return 0
    told = tell("plan", *files, "-o", "markdown")
    for text in comments(told.stdout):
        stick(text)
    return told.returncode


def rehearse(files):
    """One rehearsal after the other; all of them, though one be red."""
    worst = 0
    for file in files:
        told = tell("rehearse", file, "--image", image(file), "-o", "markdown")
        report = told.stdout or f"`{shown(file)}` could not be rehearsed; the job's log says why.\n"
        stick(f"{MARKER}rehearsal:{shown(file)} -->\n{report}")
        worst = max(worst, told.returncode)
    return worst


def promote(files, source, target):
    """A branch and a request for each file that has a namesake below `target`."""
    start = git("rev-parse", "HEAD")
    for file in files:
        namesake = target / Path(file).relative_to(source)
        if not namesake.exists():
            print(f"{shown(file)} has no namesake below {target}")
            continue
        wanted = image(file)
        if tell("promote", str(namesake), "--image", wanted).returncode != 0:
            return 1
        if not git("status", "--porcelain", "--", str(namesake)):
            print(f"{shown(namesake)} has {wanted} already")
            continue
        title = f"Promote {wanted} to {shown(namesake)}"
        branch = f"promote/{shown(namesake.with_suffix(''))}"
        git("switch", "--force-create", branch)
        git("commit", "--message", title, "--", str(namesake))
        git("push", "--force", "origin", branch)
        propose(branch, title)
        git("switch", "--detach", start)
    return 0


def tell(*arguments):
    """Runs hermitcrab; what it complains of goes to the job's log."""
    return run("hermitcrab", *arguments, check=False)


def git(*arguments):
    """Runs git, for which a `*` in the name of a file is no pattern."""
    return run("git", "--literal-pathspecs", *arguments, check=True).stdout.strip()


def run(*command, check):
    """Runs a program. Names of files are bytes, and need not be text."""
    return subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", errors="surrogateescape", check=check, stdin=subprocess.DEVNULL
    )


def shown(path):
    """The name of a file as it may stand in a log, a comment, a title and the name of a branch: nothing in it is a line end, the
    end of a comment, or what git refuses."""
    return urllib.parse.quote(str(path), safe="/", errors="surrogateescape").replace("..", "%2E.")


def changed(base, folder):
    """The desired-state files that are new or different since `base`, whatever characters their names have."""
    names = git("diff", "--name-only", "-z", "--diff-filter=AMR", f"{base}...HEAD", "--", folder).split("\0")
    return [name for name in names if name.endswith((".yaml", ".yml"))]


def image(file):
    """The image that a file wants, as hermitcrab reads it; no cloud is asked."""
    told = tell("plan", file, "--cloud", "simulated", "-o", "json")
    if told.returncode != 0:
        sys.exit(f"{shown(file)} cannot be used")
    return json.loads(told.stdout)["plans"][0]["image"]


def comments(text):
    """Splits what `plan -o markdown` prints: a marker begins each comment."""
    texts = [MARKER + part for part in text.split(MARKER)[1:]]
    return [text.rstrip() + "\n" for text in texts]


def stick(text):
    """Posts a comment, in place of the one whose first line is the same."""
    host = Host.of_this_pipeline()
    marker = text.splitlines()[0]
    for comment in host.comments():
        if comment["body"].startswith(marker):
            host.replace(comment["id"], text)
            return
    host.post(text)


def propose(branch, title):
    """Asks for a branch to be merged, unless that is asked already."""
    try:
        Host.of_this_pipeline().propose(branch, title)
    except urllib.error.HTTPError as error:
        if error.code not in (409, 422):
            raise
        print(f"{branch} is proposed already")


class Host:
    """What GitHub and GitLab have in common: a list of comments, in pages."""

    @staticmethod
    def of_this_pipeline():
        return GitLab() if "CI_API_V4_URL" in os.environ else GitHub()

    def comments(self):
        for page in range(1, 51):
            found = self.call("GET", f"{self.thread()}?per_page=100&page={page}")
            yield from found
            if len(found) < 100:
                return

    def post(self, text):
        self.call("POST", self.thread(), {"body": text})

    def call(self, method, path, body=None):
        headers = {"Content-Type": "application/json", "User-Agent": "hermitcrab", **self.credentials()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)


class GitHub(Host):
    """Wants PULL_REQUEST and GITHUB_TOKEN; the runner sets the rest."""

    def __init__(self):
        self.root = f"{environment('GITHUB_API_URL')}/repos/{environment('GITHUB_REPOSITORY')}"

    def credentials(self):
        return {"Authorization": f"Bearer {environment('GITHUB_TOKEN')}", "Accept": "application/vnd.github+json"}

    def thread(self):
        return f"/issues/{environment('PULL_REQUEST')}/comments"

    def replace(self, comment, text):
        self.call("PATCH", f"/issues/comments/{comment}", {"body": text})

    def propose(self, branch, title):
        base = environment("GITHUB_REF_NAME")
        self.call("POST", "/pulls", {"head": branch, "base": base, "title": title})


class GitLab(Host):
    """Wants GITLAB_TOKEN, with the scope `api`; the runner sets the rest."""

    def __init__(self):
        self.root = f"{environment('CI_API_V4_URL')}/projects/{environment('CI_PROJECT_ID')}"

    def credentials(self):
        return {"PRIVATE-TOKEN": environment("GITLAB_TOKEN")}

    def thread(self):
        return f"/merge_requests/{environment('CI_MERGE_REQUEST_IID')}/notes"

    def replace(self, comment, text):
        self.call("PUT", f"{self.thread()}/{comment}", {"body": text})

    def propose(self, branch, title):
        base = environment("CI_DEFAULT_BRANCH")
        self.call("POST", "/merge_requests", {"source_branch": branch, "target_branch": base, "title": title})


def environment(name):
    return os.environ.get(name) or sys.exit(f"{name} is not set")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
