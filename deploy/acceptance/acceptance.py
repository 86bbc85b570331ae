#!/usr/bin/env python3
"""Tries everything that hermitcrab does on an AWS account, once each: makes a throw-away network and cluster, creates, rehearses
with data, upgrades, takes a bad image back, heals, does the same in an Auto Scaling group, destroys, and takes all of it down.

    deploy/acceptance/acceptance.py --account 123456789012 --region us-east-1 \\
        --program target/release/hermitcrab --builder-cidr 203.0.113.4/32

It needs Python 3.9, Terraform, Packer, the AWS CLI, and credentials that may make all of infra/. The report is report.md in the
work folder. README.md beside this says what it costs and how long it takes.
"""

import argparse
import json
import os
import re
import secrets
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

import account
from cluster import Cluster
from programs import STOP, TAKING_DOWN, TREE, Aws, Failed, Stopped, run
from report import Report

PARTS = ("rehearse", "upgrade", "bad-image", "heal", "group")


def main():
    options = arguments()
    aws = Aws(options.region)
    found = aws.account()
    if found != options.account:
        print(
            f"these are credentials of account {found}, and --account is {options.account}: nothing was done",
            file=sys.stderr,
        )
        return 1
    if options.clean != options.work.exists():
        print(
            f"{options.work} {'is not there' if options.clean else 'is there already; --clean takes its run down'}",
            file=sys.stderr,
        )
        return 1
    options.work.mkdir(parents=True, exist_ok=True)
    report = Report(options.work, f"Acceptance of hermitcrab in {options.account}, {options.region}: {options.name}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop(options))
    kit = Kit(options, aws, report)
    try:
        if not options.clean:
            kit.run()
    finally:
        TAKING_DOWN.set()
        kit.take_down()
    print(f"{'good' if report.is_good() else 'NOT good'}; the report is {options.work / 'report.md'}")
    return 0 if report.is_good() else 1


def arguments():
    name = f"acc-{secrets.token_hex(3)}"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--account",
        required=True,
        help="the account that all of this is made in; with credentials of another one nothing is done",
    )
    parser.add_argument("--region", required=True)
    parser.add_argument("--program", required=True, type=Path, help="hermitcrab for x86-64 Linux, built with the AWS SDK")
    parser.add_argument(
        "--builder-cidr",
        required=True,
        help="from where Packer reaches the builders, your own address such as 203.0.113.4/32",
    )
    parser.add_argument(
        "--name", default=name, help="of the throw-away cluster, and the beginning of all other names [a new one]"
    )
    parser.add_argument("--work", type=Path, help="a new folder for state, logs and the report [NAME]")
    parser.add_argument(
        "--join-deadline", default="4m", help="how long a member may be down until an image counts as bad [%(default)s]"
    )
    parser.add_argument("--instance-type", default="t3.small", help="of the members [%(default)s]")
    parser.add_argument(
        "--network",
        action="append",
        help="the addresses of the cluster's network, and of that of the one in a group; given twice [10.64.0.0/16, 10.65.0.0/16]",
    )
    parser.add_argument(
        "--without", action="append", default=[], choices=PARTS, help="a part to leave out; may be given several times"
    )
    parser.add_argument(
        "--in-turn", action="store_true", help="the cluster in a group after the other one, for a small quota"
    )
    parser.add_argument("--terraform-var", action="append", default=[], metavar="NAME=VALUE", help="a variable of infra/")
    parser.add_argument(
        "--packer-var", action="append", default=[], metavar="NAME=VALUE", help="a variable of images/, such as subnet_id=…"
    )
    parser.add_argument("--clean", action="store_true", help="only take down what an earlier run of this --name has left")
    options = parser.parse_args()
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,17}[a-z0-9]", options.name) or "--" in options.name:
        parser.error("--name is 2 to 19 lower-case letters, digits and '-', and begins with a letter")
    if not re.fullmatch(r"[0-9]{12}", options.account):
        parser.error("--account is twelve digits")
    for variable in options.terraform_var + options.packer_var:
        if "=" not in variable:
            parser.error(f"{variable} is not NAME=VALUE")
    options.network = options.network or ["10.64.0.0/16", "10.65.0.0/16"]
    if len(options.network) != 2:
        parser.error("--network is given twice, or not at all")
    options.work = (options.work or Path(options.name)).absolute()
    options.program = options.program.absolute()
    if not os.access(options.program, os.X_OK):
        parser.error(f"{options.program} is no program")
    return options


def stop(options):
    """The first signal ends what is under way and takes everything down, the second one ends at once."""
    if STOP.is_set():
        command = shlex.join([*sys.argv, "--clean", "--name", options.name, "--work", str(options.work)])
        os.write(2, f"\nLEFT BEHIND: whatever there was is still there. It goes with\n  {command}\n".encode())
        os._exit(130)
    STOP.set()
    os.write(2, b"\nending: what was made is taken down, which takes some minutes; a second signal leaves it\n")


class Kit:
    def __init__(self, options, aws, report):
        self.options, self.aws, self.report = options, aws, report
        self.clusters = [Cluster(self, options.name, options.network[0])]
        if "group" not in options.without:
            self.clusters.append(Cluster(self, f"{options.name}-g", options.network[1]))
        self.images, self.failed = {}, []

    def run(self):
        """Everything. An error ends the cluster that it is about, and no other."""
        try:
            is_possible = self.report_on(
                self.options.name, "account", lambda: account.ask(self.aws, self.report, self.options, len(self.clusters))
            )
            if not is_possible:
                return
            first, *group = self.clusters
            self.together([("images", self.build), ("ground", first.make_ground)], self.options.name)
            if self.failed:
                return
            lines = [first.go] + [one.go_in_a_group for one in group]
            if self.options.in_turn:
                for line in lines:
                    line()
            else:
                threads = [threading.Thread(target=line) for line in lines]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        except Stopped:
            self.report.step(self.options.name, "stopped", 0, "stopped", "by a signal")

    def report_on(self, cluster, name, part):
        """Does one thing, and reports how it came out. Whether it was good is returned."""
        begun = time.monotonic()
        try:
            text = part() or ""
        except Stopped:
            self.report.step(cluster, name, time.monotonic() - begun, "stopped", "by a signal")
            raise
        except Exception as error:  # whatever it is, it is reported, and all is taken down
            self.failed.append(name)
            text = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            self.report.step(cluster, name, time.monotonic() - begun, "FAILED", text)
            return False
        self.report.step(cluster, name, time.monotonic() - begun, "ok", text)
        return True

    def together(self, parts, cluster):
        def each(name, part):
            try:
                self.report_on(cluster, name, part)
            except Stopped:
                pass

        threads = [threading.Thread(target=each, args=one) for one in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if STOP.is_set():
            raise Stopped()

    def build(self):
        """Builds both images, one beside the other."""
        version = run("packer", "version").split()[1].lstrip("v")
        if tuple(int(part) for part in version.split(".")[:2]) >= (1, 7):
            run("packer", "init", TREE / "images/plugins.pkr.hcl", log=self.options.work / "packer.log")
        self.together(
            [(f"image {name}", lambda name=name: self.build_one(name)) for name in ("v1", "v2")], self.options.name
        )
        if len(self.images) < 2:
            raise Failed("an image was not built")
        log = "".join((self.options.work / f"packer-{name}.log").read_text(encoding="utf-8") for name in ("v1", "v2"))
        waited = "Could not get lock" in log
        self.report.check(
            "F5, F7",
            "Packer's own release reaches and installs the builder",
            "ok",
            f"Packer {version}; apt's lock {'met' if waited else 'not met'}",
        )

    def build_one(self, name):
        manifest = self.options.work / f"manifest-{name}.json"
        variables = [
            f"region={self.options.region}",
            f"builder_cidrs={json.dumps([self.options.builder_cidr])}",
            f"manifest={manifest}",
        ]
        words = [word for variable in variables + self.options.packer_var for word in ("-var", variable)]
        run(
            "packer",
            "build",
            "-color=false",
            *words,
            TREE / f"images/consul/{name}",
            folder=self.options.work,
            log=self.options.work / f"packer-{name}.log",
        )
        built = json.loads(manifest.read_text(encoding="utf-8"))["builds"][-1]
        image = built["artifact_id"].split(":")[-1]
        self.images[name] = {"image": image, "version": built["custom_data"]["consul_version"], "manifest": manifest}
        self.remember()
        return image

    def base(self):
        """The image that both were built from: without Consul, so a member never joins on it."""
        described = self.aws("ec2", "describe-images", "--image-ids", self.images["v1"]["image"])
        return next(tag["Value"] for tag in described["Images"][0]["Tags"] if tag["Key"] == "source-ami")

    def remember(self):
        """Writes down what was made outside Terraform, for --clean."""
        made = {"images": [one["image"] for one in self.images.values()]}
        (self.options.work / "made.json").write_text(json.dumps(made), encoding="utf-8")

    def take_down(self):
        """Everything, however far it came. Then the account is asked what is left."""
        made = self.options.work / "made.json"
        images = json.loads(made.read_text(encoding="utf-8"))["images"] if made.exists() else []
        for cluster in self.clusters:
            self.report_on(cluster.name, "take down", cluster.take_down)
        self.report_on(self.options.name, "images away", lambda: account.deregister(self.aws, images))
        left = []
        self.report_on(
            self.options.name, "look", lambda: left.extend(account.left_behind(self.aws, self.options.name, images))
        )
        self.report.left = left
        self.report.write()
        for one in left:
            print(f"LEFT BEHIND: {one['what']} {one['id']}; it goes with: {one['command']}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
