#!/usr/bin/env python3
"""Tries on an AWS account, once each, everything that hermitcrab does: it makes a throw-away network and cluster, creates, rehearses with
data, upgrades, takes a bad image back, heals, does the same with an Auto Scaling group, destroys, and takes all of it down again.

    deploy/acceptance/acceptance.py --account 123456789012 --region us-east-1 \\
        --program target/release/hermitcrab --builder-cidr 203.0.113.4/32

It needs Python 3.9, Terraform, Packer, the AWS CLI, and credentials that may make all of infra/. The report is report.md in the work
folder. README.md beside this says what it costs and how long it takes.
"""

import argparse
import base64
import gzip
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
from programs import STOP, TAKING_DOWN, TREE, Aws, Failed, Ground, Host, Stopped, run
from report import Report

PARTS = ("rehearse", "upgrade", "bad-image", "heal", "group")
# A key of Consul's that must be there after whatever was done.
KEY = "hermitcrab-acceptance"
# A volume of its own finds its limits sooner, and costs less, with these than with init's.
QUICKER = [("bakeTime: 60s", "bakeTime: 10s"), ("joinDeadline: 10m", "joinDeadline: 4m")]


def main():
    options = arguments()
    aws = Aws(options.region)
    found = aws.account()
    if found != options.account:
        print(f"these are credentials of account {found}, and --account is {options.account}: nothing was done", file=sys.stderr)
        return 1
    if options.clean != options.work.exists():
        print(f"{options.work} {'is not there' if options.clean else 'is there already; --clean takes its run down'}", file=sys.stderr)
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
    parser.add_argument("--account", required=True, help="the account that all of this is made in; with credentials of another one nothing is done")
    parser.add_argument("--region", required=True)
    parser.add_argument("--program", required=True, type=Path, help="hermitcrab for x86-64 Linux, built with the AWS SDK")
    parser.add_argument("--builder-cidr", required=True, help="from where Packer reaches the builders, your own address such as 203.0.113.4/32")
    parser.add_argument("--name", default=name, help="of the throw-away cluster, and the beginning of all other names [a new one]")
    parser.add_argument("--work", type=Path, help="a new folder for state, logs and the report [NAME]")
    parser.add_argument("--instance-type", default="t3.small", help="of the members [%(default)s]")
    parser.add_argument("--network", action="append", help="the addresses of the cluster's network, and of that of the one in a group; given twice [10.64.0.0/16, 10.65.0.0/16]")
    parser.add_argument("--without", action="append", default=[], choices=PARTS, help="a part to leave out; may be given several times")
    parser.add_argument("--in-turn", action="store_true", help="the cluster in a group after the other one, for a small quota")
    parser.add_argument("--terraform-var", action="append", default=[], metavar="NAME=VALUE", help="a variable of infra/")
    parser.add_argument("--packer-var", action="append", default=[], metavar="NAME=VALUE", help="a variable of images/, such as subnet_id=…")
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
            )  # fmt: skip
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
        self.together([(f"image {name}", lambda name=name: self.build_one(name)) for name in ("v1", "v2")], self.options.name)
        if len(self.images) < 2:
            raise Failed("an image was not built")
        log = "".join((self.options.work / f"packer-{name}.log").read_text(encoding="utf-8") for name in ("v1", "v2"))
        waited = "Could not get lock" in log
        self.report.check("F5, F7", "Packer's own release reaches and installs the builder", "ok", f"Packer {version}; apt's lock {'met' if waited else 'not met'}")

    def build_one(self, name):
        manifest = self.options.work / f"manifest-{name}.json"
        variables = [f"region={self.options.region}", f"builder_cidrs={json.dumps([self.options.builder_cidr])}", f"manifest={manifest}"]
        words = [word for variable in variables + self.options.packer_var for word in ("-var", variable)]
        run("packer", "build", "-color=false", *words, TREE / f"images/consul/{name}", folder=self.options.work, log=self.options.work / f"packer-{name}.log")
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
        self.report_on(self.options.name, "look", lambda: left.extend(account.left_behind(self.aws, self.options.name, images)))
        self.report.left = left
        self.report.write()
        for one in left:
            print(f"LEFT BEHIND: {one['what']} {one['id']}; it goes with: {one['command']}", file=sys.stderr)


class Cluster:
    """One throw-away cluster, on a ground of its own."""

    def __init__(self, kit, name, network):
        self.kit, self.name, self.network = kit, name, network
        self.folder = kit.options.work / name
        self.file = self.folder / "desired-state/consul.yaml"
        self.ground, self.host, self.outputs, self.is_destroyed, self.sent = None, None, {}, False, None

    def make_ground(self, group=None):
        options = self.kit.options
        region_zones = self.kit.aws("ec2", "describe-availability-zones", "--filters", "Name=opt-in-status,Values=opt-in-not-required")
        zones = sorted(zone["ZoneName"] for zone in region_zones["AvailabilityZones"])[:3]
        variables = {
            "cluster": self.name, "account": options.account, "region": options.region, "zones": zones, "vpc_cidr": self.network,
            "endpoint_zones": zones[:1], "flow_logs": True, "log_retention_days": 1, "auto_scaling_group": group,
        }  # fmt: skip
        more = dict(variable.split("=", 1) for variable in options.terraform_var)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ground = Ground(self.folder, variables, more, options.work / f"terraform-{self.name}.log")
        self.outputs = self.ground.apply()
        self.host = Host(self.kit.aws, self.outputs["controller_host"], self.name, self.outputs["claims"], options.region)
        self.kit.aws("s3", "cp", "--only-show-errors", options.program, f"s3://{self.outputs['bucket']}/program/hermitcrab")
        return f"{self.outputs['vpc']} in {', '.join(zones)}"

    def go(self):
        """The cluster with fixed addresses, and everything that is done to it."""
        without = self.kit.options.without
        parts = [("create", self.create), ("rehearse", self.rehearse), ("upgrade", self.upgrade), ("bad-image", self.bad_image)]
        parts += [("heal", self.heal), ("destroy", self.destroy)]
        self.go_through([(name, part) for name, part in parts if name not in without])

    def go_in_a_group(self):
        """The same cluster in an Auto Scaling group, from creation to upgrade to end."""
        group = {"image": self.kit.images["v1"]["image"], "instance_type": self.kit.options.instance_type}
        parts = [("ground", lambda: self.make_ground(group)), ("create", self.create), ("upgrade", self.upgrade)]
        self.go_through(parts + [("group", self.follows), ("destroy", self.destroy)])

    def go_through(self, parts):
        try:
            for name, part in parts:
                if not self.kit.report_on(self.name, name, part):
                    return
        except Stopped:
            pass

    # The parts.

    def create(self):
        options, image = self.kit.options, self.kit.images["v1"]
        run(
            options.program, "init", self.file, "--from-terraform", self.ground.folder / "outputs.json", "--manifest", image["manifest"],
            "--application-version", image["version"], "--instance-type", options.instance_type, "--volume-size", "8GiB",
        )  # fmt: skip
        for usual, quicker in QUICKER:
            self.edit(usual, quicker)
        self.doctor("before the cluster is made")
        self.controller("create")
        self.tell("PUT", self.name)
        self.doctor("of a settled cluster")
        member = self.members()[0]
        told = self.kit.aws("ssm", "describe-instance-information", "--filters", f"Key=InstanceIds,Values={member['InstanceId']}")
        online = [one["PingStatus"] for one in told["InstanceInformationList"]]
        self.kit.report.check("A4", f"{self.name}: Session Manager knows a member", "ok" if online == ["Online"] else "wrong", online)
        return self.is_whole("v1")

    def rehearse(self):
        """With data, by the rehearsals' role, before the upgrade to the same image."""
        self.promote("v2")
        # On the host the role is taken on from the instance's; where there are credentials in the environment, from those.
        script = f"""
            source=Ec2InstanceMetadata
            [ -z "${{AWS_ACCESS_KEY_ID:-}}" ] || source=Environment
            printf '[profile rehearsal]\\nrole_arn = %s\\ncredential_source = %s\\nregion = %s\\n' \\
                {shlex.quote(self.outputs["rehearsal_role"])} "$source" {shlex.quote(self.kit.options.region)} >aws-config
            AWS_PROFILE=rehearsal AWS_CONFIG_FILE="$PWD/aws-config" \\
                ./hermitcrab rehearse desired-state/consul.yaml --with-data --timeout 1h -o json --log-level warn
        """
        report = json.loads(self.on_host(script))
        if not report["passed"]:
            raise Failed(f"the rehearsal is red: {json.dumps(report.get('findings', report))}")
        self.kit.report.check("A5, C2", "a rehearsal with data, by its own role", "ok", f"passed; {report['writesAcknowledged']} writes, {report['writesLost']} lost")
        return f"{report['writesAcknowledged']} writes acknowledged, {report['writesLost']} lost"

    def upgrade(self):
        self.promote("v2")
        plan = self.on_host("./hermitcrab plan desired-state --log-level error | head -n 1").strip()
        self.controller("upgrade")
        return f"{plan}; {self.is_whole('v2')}"

    def bad_image(self):
        """The image that the others are built from has no member on it. It is tried in one slot, and taken back."""
        bad = self.kit.base()
        self.edit_image(bad)
        self.controller("bad-image", expected=3)
        whole = self.is_whole("v2")
        self.edit_image(self.kit.images["v2"]["image"])
        self.controller("back")
        return f"{bad} was taken back; {whole}"

    def heal(self):
        lost = self.members()[-1]["InstanceId"]
        account.terminate(self.kit.aws, [lost])
        self.controller("heal")
        if lost in [one["InstanceId"] for one in self.members()]:
            raise Failed(f"{lost} was not replaced")
        return f"{lost} was replaced; {self.is_whole('v2')}"

    def follows(self):
        """What the group launches by itself is what has settled, and members have the names of their slots."""
        group = self.kit.aws("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", self.name)["AutoScalingGroups"][0]
        template = group["LaunchTemplate"]
        version = self.kit.aws(
            "ec2", "describe-launch-template-versions", "--launch-template-id", template["LaunchTemplateId"], "--versions", template["Version"]
        )  # fmt: skip
        launches = version["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"]
        wanted = self.kit.images["v2"]["image"]
        self.kit.report.check("C6", "the group is given a template by the controller's role", "ok" if launches == wanted else "wrong", f"it launches {launches}")
        names = sorted(tag(one, "Name") for one in self.members())
        slots = sorted(tag(one, "hermitcrab:slot") for one in self.members())
        kept = all(name != self.name for name in names)
        self.kit.report.check("D6", "the group leaves members their names", "ok" if kept else "wrong", f"{names} in {slots}")
        if launches != wanted:
            raise Failed(f"the group would launch {launches}, and {wanted} has settled")
        return f"launches {launches} by itself"

    def destroy(self):
        self.flow_logs()
        self.edit("deletionProtection: true", "deletionProtection: false")
        self.on_host(f"./hermitcrab destroy desired-state/consul.yaml --confirm {shlex.quote(self.name)} --log-level warn")
        self.is_destroyed = True
        if self.members():
            raise Failed(f"there still are {[one['InstanceId'] for one in self.members()]}")
        volumes = self.kit.aws("ec2", "describe-volumes", "--filters", f"Name=tag:hermitcrab:cluster,Values={self.name}")["Volumes"]
        return f"{len(volumes)} volumes are kept, as they are to be"

    # What the parts are made of.

    def flow_logs(self):
        told = self.kit.aws("ec2", "describe-flow-logs", "--filter", f"Name=resource-id,Values={self.outputs['vpc']}")["FlowLogs"]
        states = [one.get("DeliverLogsStatus", "not known yet") for one in told]
        self.kit.report.check("E2", f"{self.name}: the flow log is delivered", "wrong" if "FAILED" in states or not told else "ok", states)

    def doctor(self, when):
        """The doctor is green. Before its end every line with `?` is something that could not be asked."""
        script = "code=0; ./hermitcrab doctor desired-state --log-level error >doctor 2>&1 || code=$?; cat doctor; echo \"exit $code\""
        lines = self.on_host(script).strip().splitlines()
        (self.folder / f"doctor {when}.txt").write_text("\n".join(lines), encoding="utf-8")
        unclear = [line.strip() for line in lines if line.strip().startswith(("?", "✗"))]
        verdict = "ok" if lines[-1] == "exit 0" else "wrong"
        self.kit.report.check("A8, B3", f"{self.name}: the doctor {when}", verdict, "; ".join(unclear[:6]) or "nothing is in the way")

    def controller(self, step, expected=0):
        """The controller brings the cluster to what the file says, and its events are read for their times."""
        state = f"state-{step}"
        script = f"code=0; ./hermitcrab run desired-state --once --timeout 90m --state {state} --log-level warn || code=$?; echo \"exit $code\""
        try:
            last = self.on_host(script).strip().splitlines()
        finally:
            self.read_events(state)
        if last[-1] != f"exit {expected}":
            raise Failed("\n".join(last[-6:]))

    def read_events(self, state):
        read = f"./hermitcrab events --state {state} -o jsonl | gzip -9 | base64 -w 0; echo; ./hermitcrab history --state {state} -o json | gzip -9 | base64 -w 0"
        try:
            events, history = (gzip.decompress(base64.b64decode(line)).decode() for line in self.on_host(read).split())
        except (Failed, ValueError, OSError) as error:
            print(f"{self.name}: the events of {state} cannot be read: {error}", file=sys.stderr)
            return
        (self.folder / f"{state}.jsonl").write_text(events, encoding="utf-8")
        self.kit.report.events([json.loads(line) for line in events.splitlines()])
        self.kit.report.members_down(json.loads(history)["rollouts"])

    def on_host(self, script):
        """Runs a script on the host, with the program and the desired state of now beside it."""
        bucket, text = self.outputs["bucket"], self.file.read_text(encoding="utf-8")
        if text == self.sent:
            return self.host.run(script)
        self.kit.aws("s3", "sync", "--only-show-errors", "--delete", self.file.parent, f"s3://{bucket}/desired-state")
        fetch = "\n".join([
            f"[ -x hermitcrab ] || {{ aws s3 cp --only-show-errors s3://{bucket}/program/hermitcrab hermitcrab; chmod +x hermitcrab; }}",
            f"aws s3 sync --only-show-errors --delete --exact-timestamps s3://{bucket}/desired-state desired-state",
        ])  # fmt: skip
        self.sent = text
        return self.host.run(f"{fetch}\n{script}")

    def promote(self, name):
        version = self.kit.images[name]["version"]
        self.edit_image(self.kit.images[name]["image"])
        text = self.file.read_text(encoding="utf-8")
        self.file.write_text(re.sub(r'version: "[^"]*"', f'version: "{version}"', text), encoding="utf-8")

    def edit_image(self, image):
        run(self.kit.options.program, "promote", self.file, "--image", image)

    def edit(self, old, new):
        text = self.file.read_text(encoding="utf-8")
        if old not in text:
            raise Failed(f"the file that init wrote has no `{old}`")
        self.file.write_text(text.replace(old, new, 1), encoding="utf-8")

    def members(self):
        """The cluster's instances that are not terminated, by slot."""
        told = self.kit.aws(
            "ec2", "describe-instances", "--filters", f"Name=tag:hermitcrab:cluster,Values={self.name}",
            "Name=instance-state-name,Values=pending,running,stopping,stopped",
        )  # fmt: skip
        found = [one for reservation in told["Reservations"] for one in reservation["Instances"]]
        return sorted(found, key=lambda one: tag(one, "hermitcrab:slot"))

    def addresses(self):
        """Where members serve: at their slot's fixed address, or at their instance's own."""
        return [tag(one, "hermitcrab:address") or one["PrivateIpAddress"] for one in self.members()]

    def tell(self, method, value):
        """Writes a value to Consul at the first member, or reads it at each."""
        urls = [shlex.quote(f"http://{address}:8500/v1/kv/{KEY}") for address in self.addresses()]
        if method == "PUT":
            asks, wanted = [f"curl -sS --max-time 20 -X PUT -d {shlex.quote(value)} {urls[0]}"], ["true"]
        else:
            asks, wanted = [f"curl -sS --max-time 20 {url}?raw" for url in urls], [value] * len(urls)
        told = self.host.run("\n".join(f"{ask} || true; echo" for ask in asks)).split()
        if told != wanted:
            raise Failed(f"the members of {self.name} answer {told} in place of {wanted}")

    def is_whole(self, name):
        """Every slot runs on that image, and every member has the data."""
        members, image = self.members(), self.kit.images[name]["image"]
        slots = [tag(one, "hermitcrab:slot") for one in members]
        others = [one["InstanceId"] for one in members if one["ImageId"] != image]
        if len(set(slots)) != 3 or len(slots) != 3 or others:
            raise Failed(f"slots {slots}; not on {image}: {others}")
        self.tell("GET", self.name)
        return f"3 of 3 on {image}, with the data"

    def take_down(self):
        """The cluster first, by its controller if that can be reached, and by hand if not; then the ground."""
        notes = []
        if self.host and self.file.exists() and not self.is_destroyed:
            try:
                self.file.write_text(self.file.read_text(encoding="utf-8").replace("deletionProtection: true", "deletionProtection: false"), encoding="utf-8")
                self.on_host(f"./hermitcrab destroy desired-state/consul.yaml --confirm {shlex.quote(self.name)} --log-level warn")
            except (Failed, OSError) as error:
                notes.append(f"not by hermitcrab: {str(error).splitlines()[-1]}")
        account.end_by_tags(self.kit.aws, self.name)
        if (self.folder / "infra").exists():
            (self.ground or Ground(self.folder, {}, {}, self.kit.options.work / f"terraform-{self.name}.log")).destroy()
        return "; ".join(notes)


def tag(resource, key):
    return next((one["Value"] for one in resource.get("Tags", []) if one["Key"] == key), "")


if __name__ == "__main__":
    sys.exit(main())
