"""One throw-away cluster of the acceptance kit, on a ground of its own, and everything that is done to it."""

import base64
import gzip
import json
import re
import shlex
import sys

import account
from programs import Failed, Ground, Host, Stopped, run

# A key of Consul's that must be there after whatever was done.
KEY = "hermitcrab-acceptance"


class Cluster:
    """One throw-away cluster, on a ground of its own."""

    def __init__(self, kit, name, network):
        self.kit, self.name, self.network = kit, name, network
        self.folder = kit.options.work / name
        self.file = self.folder / "desired-state/consul.yaml"
        self.ground, self.host, self.outputs, self.is_destroyed, self.sent = None, None, {}, False, None

    def make_ground(self, group=None):
        options = self.kit.options
        region_zones = self.kit.aws(
            "ec2", "describe-availability-zones", "--filters", "Name=opt-in-status,Values=opt-in-not-required"
        )
        zones = sorted(zone["ZoneName"] for zone in region_zones["AvailabilityZones"])[:3]
        variables = {
            "cluster": self.name,
            # Slots of the same names in the same zones would be taken for a cluster that was renamed.
            "slot_prefix": self.name,
            "account": options.account,
            "region": options.region,
            "zones": zones,
            "vpc_cidr": self.network,
            "endpoint_zones": zones[:1],
            "flow_logs": True,
            "log_retention_days": 1,
            "auto_scaling_group": group,
        }
        more = dict(variable.split("=", 1) for variable in options.terraform_var)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ground = Ground(self.folder, variables, more, options.work / f"terraform-{self.name}.log")
        before = self.has_linked_role() if group else None
        self.outputs = self.ground.apply()
        if group:
            after = self.has_linked_role()
            told = {True: "is there", False: "is not there"}
            self.kit.report.check(
                "E3",
                "the role of Auto Scaling's that the policy of infra's key names",
                "ok" if after else "wrong",
                f"{told[before]} before the group is made, {told[after]} after it",
            )
        self.host = Host(self.kit.aws, self.outputs["controller_host"], self.name, self.outputs["claims"], options.region)
        self.kit.aws("s3", "cp", "--only-show-errors", options.program, f"s3://{self.outputs['bucket']}/program/hermitcrab")
        return f"{self.outputs['vpc']} in {', '.join(zones)}"

    def has_linked_role(self):
        try:
            self.kit.aws("iam", "get-role", "--role-name", "AWSServiceRoleForAutoScaling")
            return True
        except Failed as failed:
            if "NoSuchEntity" in str(failed):
                return False
            raise

    def go(self):
        """The cluster with fixed addresses, and everything that is done to it."""
        without = self.kit.options.without
        parts = [
            ("create", self.create),
            ("rehearse", self.rehearse),
            ("upgrade", self.upgrade),
            ("bad-image", self.bad_image),
        ]
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
            options.program,
            "init",
            self.file,
            "--from-terraform",
            self.ground.folder / "outputs.json",
            "--manifest",
            image["manifest"],
            "--application-version",
            image["version"],
            "--instance-type",
            options.instance_type,
            "--volume-size",
            "8GiB",
        )
        # Empty members need no long proof, and a bad image is to be taken back within minutes.
        self.edit("bakeTime: 60s", "bakeTime: 10s")
        self.edit("joinDeadline: 10m", f"joinDeadline: {options.join_deadline}")
        self.doctor("before the cluster is made")
        self.controller("create")
        self.tell("PUT", self.name)
        self.doctor("of a settled cluster")
        member = self.members()[0]
        told = self.kit.aws(
            "ssm", "describe-instance-information", "--filters", f"Key=InstanceIds,Values={member['InstanceId']}"
        )
        online = [one["PingStatus"] for one in told["InstanceInformationList"]]
        self.kit.report.check(
            "A4", f"{self.name}: Session Manager knows a member", "ok" if online == ["Online"] else "wrong", online
        )
        return self.is_whole("v1")

    def rehearse(self):
        """With data, by the rehearsals' role, before the upgrade to the same image."""
        self.promote("v2")
        # On the host the role is taken on from the instance's. Credentials in the environment would go before any profile, so they
        # are put into one.
        script = f"""
            {{
                printf '[profile rehearsal]\\nrole_arn = %s\\nregion = %s\\n' \\
                    {shlex.quote(self.outputs["rehearsal_role"])} {shlex.quote(self.kit.options.region)}
                if [ -n "${{AWS_ACCESS_KEY_ID:-}}" ]; then
                    printf 'source_profile = own\\n[profile own]\\naws_access_key_id = %s\\naws_secret_access_key = %s\\n' \\
                        "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
                else
                    printf 'credential_source = Ec2InstanceMetadata\\n'
                fi
            }} >aws-config
            unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
            AWS_PROFILE=rehearsal AWS_CONFIG_FILE="$PWD/aws-config" \\
                ./hermitcrab rehearse desired-state/consul.yaml --with-data --timeout 1h -o json --log-level warn
        """
        report = json.loads(self.on_host(script))
        if not report["passed"]:
            raise Failed(f"the rehearsal is red: {json.dumps(report.get('findings', report))}")
        self.kit.report.check(
            "A5, C2",
            "a rehearsal with data, by its own role",
            "ok",
            f"passed; {report['writesAcknowledged']} writes, {report['writesLost']} lost",
        )
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
        group = self.kit.aws("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", self.name)[
            "AutoScalingGroups"
        ][0]
        template = group["LaunchTemplate"]
        version = self.kit.aws(
            "ec2",
            "describe-launch-template-versions",
            "--launch-template-id",
            template["LaunchTemplateId"],
            "--versions",
            template["Version"],
        )
        launches = version["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"]
        wanted = self.kit.images["v2"]["image"]
        self.kit.report.check(
            "C6",
            "the group is given a template by the controller's role",
            "ok" if launches == wanted else "wrong",
            f"it launches {launches}",
        )
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
        volumes = self.kit.aws("ec2", "describe-volumes", "--filters", f"Name=tag:hermitcrab:cluster,Values={self.name}")[
            "Volumes"
        ]
        return f"{len(volumes)} volumes are kept, as they are to be"

    # What the parts are made of.

    def flow_logs(self):
        told = self.kit.aws("ec2", "describe-flow-logs", "--filter", f"Name=resource-id,Values={self.outputs['vpc']}")[
            "FlowLogs"
        ]
        states = [one.get("DeliverLogsStatus", "not known yet") for one in told]
        self.kit.report.check(
            "E2", f"{self.name}: the flow log is delivered", "wrong" if "FAILED" in states or not told else "ok", states
        )

    def doctor(self, when):
        """The doctor is green. Before its end every line with `?` is something that could not be asked."""
        script = './hermitcrab doctor desired-state --log-level error 2>&1 && code=0 || code=$?; echo "exit $code"'
        lines = self.on_host(script).strip().splitlines()
        (self.folder / f"doctor {when}.txt").write_text("\n".join(lines), encoding="utf-8")
        unclear = [line.strip() for line in lines if line.strip().startswith(("?", "✗"))]
        verdict = "ok" if lines[-1] == "exit 0" else "wrong"
        self.kit.report.check(
            "A8, B3", f"{self.name}: the doctor {when}", verdict, "; ".join(unclear[:6]) or "nothing is in the way"
        )

    def controller(self, step, expected=0):
        """The controller brings the cluster to what the file says, and its events are read for their times."""
        state = f"state-{step}"
        options = f"--once --timeout 90m --state {state} --log-level warn"
        script = (
            f"code=0; ./hermitcrab run desired-state {options} >{state}.said 2>&1 || code=$?\n"
            f'tail -n 12 {state}.said; echo "exit $code"'
        )
        try:
            last = self.on_host(script).strip().splitlines()
        finally:
            self.read_events(state)
        if last[-1] != f"exit {expected}":
            raise Failed("\n".join(last[-6:]))

    def read_events(self, state):
        packed = "| gzip -9 | base64 -w 0; echo"
        read = (
            f"./hermitcrab events --state {state} -o jsonl {packed}\n./hermitcrab history --state {state} -o json {packed}"
        )
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
        program = f"aws s3 cp --only-show-errors s3://{bucket}/program/hermitcrab hermitcrab"
        files = f"aws s3 sync --only-show-errors --delete --exact-timestamps s3://{bucket}/desired-state desired-state"
        fetch = f"[ -x hermitcrab ] || {{ {program}; chmod +x hermitcrab; }}\n{files}"
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
            "ec2",
            "describe-instances",
            "--filters",
            f"Name=tag:hermitcrab:cluster,Values={self.name}",
            "Name=instance-state-name,Values=pending,running,stopping,stopped",
        )
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
                self.file.write_text(
                    self.file.read_text(encoding="utf-8").replace("deletionProtection: true", "deletionProtection: false"),
                    encoding="utf-8",
                )
                self.on_host(
                    f"./hermitcrab destroy desired-state/consul.yaml --confirm {shlex.quote(self.name)} --log-level warn"
                )
            except (Failed, OSError) as error:
                notes.append(f"not by hermitcrab: {str(error).splitlines()[-1]}")
        account.end_by_tags(self.kit.aws, self.name)
        if (self.folder / "infra").exists():
            (self.ground or Ground(self.folder, {}, {}, self.kit.options.work / f"terraform-{self.name}.log")).destroy()
        return "; ".join(notes)


def tag(resource, key):
    return next((one["Value"] for one in resource.get("Tags", []) if one["Key"] == key), "")
