"""The programs that the acceptance kit calls: each without a shell, in a session of its own, and ended when the kit is."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
# Set by the first signal: whatever runs is ended, and then everything is taken down, which no signal but a second one ends.
STOP = threading.Event()
TAKING_DOWN = threading.Event()
# SSM gives a command an hour unless it is told otherwise.
LONGEST = 2 * 60 * 60


class Stopped(Exception):
    """Somebody wants the kit to end."""


class Failed(Exception):
    """A program has ended with an error; its last words are the text."""

    def __init__(self, text, code=1, out=""):
        super().__init__(text)
        self.code, self.out = code, out


def pause(seconds):
    """Waits, unless somebody wants the kit to end."""
    if TAKING_DOWN.is_set():
        time.sleep(seconds)
    elif STOP.wait(seconds):
        raise Stopped()


def run(*command, folder=None, environment=None, log=None, always=False):
    """Runs a program and gives its stdout. What it says on stderr, and in case of an error everything, goes to the log as well.
    With `always`, no signal ends it."""
    command = [str(word) for word in command]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    while True:
        try:
            out, err = process.communicate(timeout=0.5)
            break
        except subprocess.TimeoutExpired:
            if STOP.is_set() and not TAKING_DOWN.is_set() and not always:
                # Terraform and Packer take down what they have begun when they are interrupted.
                os.killpg(process.pid, signal.SIGINT)
                process.communicate()
                raise Stopped() from None
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"$ {shlex.join(command)}\n{err}{out if process.returncode else ''}\n")
    if process.returncode != 0:
        told = [line for line in (err + out).splitlines() if line.strip()]
        raise Failed("\n".join(told[-12:]) or f"{command[0]} ends with {process.returncode}", process.returncode, out)
    return out


class Aws:
    """The AWS CLI, in one region, with the credentials of whoever runs the kit."""

    def __init__(self, region):
        self.region = region

    def __call__(self, *arguments, always=False):
        out = run(
            "aws", "--region", self.region, "--output", "json", *arguments, environment={"AWS_PAGER": ""}, always=always
        )
        return json.loads(out) if out.strip() else {}

    def account(self):
        return self("sts", "get-caller-identity")["Account"]


class Ground:
    """A copy of infra/, with its state beside it, applied for one cluster."""

    def __init__(self, folder, variables, more, log):
        self.folder, self.log = folder / "infra", log
        if self.folder.exists():
            return
        unwanted = shutil.ignore_patterns(".terraform*", "*.tfstate*", "terraform.tfvars", "backend.hcl", "*.json.bak")
        shutil.copytree(TREE / "infra", self.folder, ignore=unwanted)
        shutil.copytree(TREE / "deploy/systemd", folder / "deploy/systemd")
        local = 'terraform {\n  backend "local" {}\n}\n'
        (self.folder / "backend_override.tf").write_text(local, encoding="utf-8")
        text = json.dumps(variables, indent=2)
        (self.folder / "terraform.tfvars.json").write_text(text, encoding="utf-8")
        # In the environment, because a value may be of any form; the file goes before it.
        (self.folder / "more.json").write_text(json.dumps(more), encoding="utf-8")

    def terraform(self, *arguments):
        more = json.loads((self.folder / "more.json").read_text(encoding="utf-8"))
        environment = {"TF_IN_AUTOMATION": "1", "TF_CLI_ARGS": "-no-color"}
        environment.update({f"TF_VAR_{name}": value for name, value in more.items()})
        return run("terraform", *arguments, folder=self.folder, environment=environment, log=self.log)

    def apply(self):
        self.terraform("init", "-input=false")
        self.terraform("apply", "-input=false", "-auto-approve")
        told = self.terraform("output", "-json")
        (self.folder / "outputs.json").write_text(told, encoding="utf-8")
        return {name: output["value"] for name, output in json.loads(told).items()}

    def destroy(self):
        if (self.folder / "terraform.tfstate").exists():
            self.terraform("destroy", "-input=false", "-auto-approve")


class Host:
    """The controller's host. What it runs goes through Session Manager's agent, so nothing has to be reached from here."""

    def __init__(self, aws, instance, name, claims, region):
        self.aws, self.instance, self.is_online = aws, instance, False
        # For `sh` on the host. Names are of letters, digits and '-', and quoted all the same.
        self.begin = "\n".join(
            [
                "set -eu",
                'export HOME="${HOME:-/root}"',
                f"export AWS_DEFAULT_REGION={shlex.quote(region)} HERMITCRAB_CLAIMS={shlex.quote(claims)}",
                f'mkdir -p "$HOME"/{shlex.quote(name)} && cd "$HOME"/{shlex.quote(name)}',
            ]
        )

    def wait_until_online(self, limit=15 * 60):
        """The agent reports once the host has booted."""
        if self.is_online:
            return
        begun = time.monotonic()
        filters = f"Key=InstanceIds,Values={self.instance}"
        while time.monotonic() - begun < limit:
            told = self.aws("ssm", "describe-instance-information", "--filters", filters)
            if any(one.get("PingStatus") == "Online" for one in told["InstanceInformationList"]):
                self.is_online = True
                return
            pause(5)
        raise Failed(f"the agent of {self.instance} has not reported for {limit // 60} minutes")

    def run(self, script):
        """Runs a script there, and gives what it says on stdout. SSM shows the first 24,000 characters."""
        self.wait_until_online()
        parameters = {"commands": [f"{self.begin}\n{script}"], "executionTimeout": [str(LONGEST)]}
        sent = self.aws(
            "ssm",
            "send-command",
            "--document-name",
            "AWS-RunShellScript",
            "--instance-ids",
            self.instance,
            "--parameters",
            json.dumps(parameters),
        )
        command = sent["Command"]["CommandId"]
        try:
            return self.wait_for(command)
        except Stopped:
            self.aws("ssm", "cancel-command", "--command-id", command, always=True)
            raise

    def wait_for(self, command):
        begun, pauses = time.monotonic(), 2
        while time.monotonic() - begun < LONGEST + 600:
            try:
                told = self.aws("ssm", "get-command-invocation", "--command-id", command, "--instance-id", self.instance)
            except Failed as failed:
                # A command is known a moment after it was sent.
                if "InvocationDoesNotExist" not in str(failed):
                    raise
                told = {"Status": "Pending"}
            if told["Status"] == "Success":
                return told["StandardOutputContent"]
            if told["Status"] not in ("Pending", "InProgress", "Delayed"):
                out, err = told["StandardOutputContent"], told["StandardErrorContent"]
                last = [line for line in (out + "\n" + err).splitlines() if line.strip()][-12:]
                raise Failed("\n".join(last) or told["Status"], told.get("ResponseCode", 1), out)
            pause(pauses)
            pauses = min(pauses * 1.5, 10)
        raise Failed(f"command {command} on {self.instance} does not end")
