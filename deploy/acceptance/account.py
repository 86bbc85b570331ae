"""What the acceptance kit asks of the account itself: whether there is room, how it answers, and what is left in the end."""

import time

from programs import Failed, pause

# The quota "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances".
QUOTA = ("ec2", "L-1216C47A")
# The longest that hermitcrab waits for an answer of EC2's.
PATIENCE = 10


def ask(aws, report, options, clusters):
    """Asks what there is to ask before anything is made; for the quota first, because with too small a one nothing is begun."""
    needed = vcpus(aws, options, clusters)
    allowed = quota(aws)
    verdict = "not-measured" if allowed is None else "ok" if allowed >= needed else "wrong"
    report.check(
        "A12",
        "vCPUs of On-Demand Standard instances",
        verdict,
        f"{needed} needed at most, {allowed or 'not known how many'} allowed",
    )
    if verdict == "wrong":
        raise Failed(
            f"{needed} vCPUs are needed at most, and the account may run {allowed:.0f}: ask for more in Service Quotas "
            f"({QUOTA[1]}), or take --in-turn, --without group or --without rehearse"
        )
    images(aws, report)
    zones = aws("ec2", "describe-availability-zones")["AvailabilityZones"]
    odd = [f"{zone['ZoneName']} {zone['State']}" for zone in zones if zone["State"] != "available"]
    report.check("D4", "states of the region's zones", "ok", odd or "all are available: none is `constrained`")
    groups(aws, report)
    tokens(aws, report, zones[0]["ZoneName"])
    report.check("B2", "a look while a zone fails", "not-measured", "nobody can make a zone fail")
    report.check(
        "A2",
        "a default EBS key whose policy leaves the controller out",
        "not-measured",
        "the account's default is left as it is",
    )
    report.check("F6", "a Consul with its log in `wal`", "not-measured", "the images here keep BoltDB's")
    return f"{needed} vCPUs needed at most"


def vcpus(aws, options, clusters):
    """The most that runs at once: members, one more of each cluster, a copy, hosts and builders."""
    told = aws("ec2", "describe-instance-types", "--instance-types", options.instance_type)["InstanceTypes"]
    each = told[0]["VCpuInfo"]["DefaultVCpus"]
    at_once = 1 if options.in_turn else clusters
    copy = 0 if "rehearse" in options.without else 4
    return each * (4 * at_once + copy) + 2 * clusters


def quota(aws):
    try:
        told = aws("service-quotas", "get-service-quota", "--service-code", QUOTA[0], "--quota-code", QUOTA[1])
        return told["Quota"]["Value"]
    except (Failed, KeyError):
        return None


def images(aws, report):
    """B1: hermitcrab asks for images by their ids, without an owner."""
    mine = aws(
        "ec2",
        "describe-images",
        "--owners",
        "amazon",
        "--max-items",
        "1",
        "--filters",
        "Name=name,Values=al2023-ami-2023*-x86_64",
    )["Images"]
    if not mine:
        report.check("B1", "DescribeImages by id", "not-measured", "there is no image to ask for")
        return
    took = []
    for _ in range(3):
        begun = time.monotonic()
        aws(
            "ec2",
            "describe-images",
            "--include-deprecated",
            "--include-disabled",
            "--image-ids",
            mine[0]["ImageId"],
        )
        took.append(round(time.monotonic() - begun, 1))
    report.check(
        "B1",
        "DescribeImages by id, the AWS CLI's start included",
        "ok" if max(took) < PATIENCE else "wrong",
        f"{took} s",
    )


def groups(aws, report):
    """D5: a look names all adopted groups in one call."""
    names = [f"hermitcrab-acceptance-{number}" for number in range(101)]
    try:
        aws("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", *names)
        report.check("D5", "101 groups by name in one call", "ok", "they are taken")
    except Failed as failed:
        report.check("D5", "101 groups by name in one call", "wrong", str(failed).splitlines()[-1])


def tokens(aws, report, zone):
    """A1: the token of a volume that was deleted."""
    make = [
        "ec2",
        "create-volume",
        "--availability-zone",
        zone,
        "--size",
        "1",
        "--client-token",
        f"hermitcrab-{time.time_ns()}",
    ]
    volume = aws(*make)["VolumeId"]

    def state():
        return [
            one["State"] for one in aws("ec2", "describe-volumes", "--filters", f"Name=volume-id,Values={volume}")["Volumes"]
        ]

    try:
        until(f"{volume} to be available", lambda: state() == ["available"])
    finally:
        aws("ec2", "delete-volume", "--volume-id", volume, always=True)
    until(f"{volume} to be deleted", lambda: state() == [])
    try:
        again = aws(*make)["VolumeId"]
        is_another = again != volume
        verdict, which = ("ok", "another") if is_another else ("wrong", "the deleted")
        report.check("A1", "the token of a deleted volume", verdict, f"gives {which} volume")
        if is_another:
            aws("ec2", "delete-volume", "--volume-id", again, always=True)
    except Failed as failed:
        report.check("A1", "the token of a deleted volume", "ok", f"is refused: {str(failed).splitlines()[-1]}")


def until(what, is_so, limit=15 * 60):
    """Looks until something is so."""
    begun = time.monotonic()
    while not is_so():
        if time.monotonic() - begun > limit:
            raise Failed(f"waited {limit // 60} minutes in vain for {what}")
        pause(4)


def terminate(aws, instances):
    """Terminates instances, and waits until they are."""
    aws("ec2", "terminate-instances", "--instance-ids", *instances)
    states = ["--filters", f"Name=instance-id,Values={','.join(instances)}", "Name=instance-state-name,Values=terminated"]

    def is_so():
        return len(aws("ec2", "describe-instances", *states, "--query", "Reservations[].Instances[].InstanceId")) == len(
            instances
        )

    until(f"{', '.join(instances)} to be terminated", is_so)


# The end.


def of(names):
    """A filter for what bears one of these names of clusters."""
    return ["--filters", f"Name=tag:hermitcrab:cluster,Values={names}"]


def instances(aws, names):
    states = "Name=instance-state-name,Values=pending,running,stopping,stopped,shutting-down"
    told = aws("ec2", "describe-instances", *of(names), states)
    return [one["InstanceId"] for reservation in told["Reservations"] for one in reservation["Instances"]]


def volumes(aws, names):
    return [one["VolumeId"] for one in aws("ec2", "describe-volumes", *of(names))["Volumes"]]


def snapshots(aws, names):
    told = aws("ec2", "describe-snapshots", "--owner-ids", "self", *of(names))
    return [one["SnapshotId"] for one in told["Snapshots"]]


def end_by_tags(aws, name):
    """Ends whatever bears the cluster's name. Volumes and snapshots are kept by hermitcrab on purpose; here they are of no use."""
    own = f"{name},{name}-rehearsal-*"
    found = instances(aws, own)
    if found:
        terminate(aws, found)
    for volume in volumes(aws, own):
        aws("ec2", "delete-volume", "--volume-id", volume)
    for snapshot in snapshots(aws, own):
        delete_snapshot(aws, snapshot)


def there(aws, images):
    """Those of the images that are there still."""
    if not images:
        return []
    told = aws("ec2", "describe-images", "--owners", "self", "--filters", f"Name=image-id,Values={','.join(images)}")
    return told["Images"]


def deregister(aws, images):
    for image in there(aws, images):
        aws("ec2", "deregister-image", "--image-id", image["ImageId"])
        for device in image.get("BlockDeviceMappings", []):
            snapshot = device.get("Ebs", {}).get("SnapshotId")
            if snapshot:
                delete_snapshot(aws, snapshot)


def delete_snapshot(aws, snapshot):
    """An image that was deregistered lets go of its snapshot a moment later."""
    for _ in range(10):
        try:
            aws("ec2", "delete-snapshot", "--snapshot-id", snapshot)
            return
        except Failed as failed:
            if "InvalidSnapshot.NotFound" in str(failed):
                return
            last = failed
        pause(3)
    raise last


def left_behind(aws, name, images):
    """Lists what is left of the kit, each with the command that deletes it."""
    left = []

    def note(what, ids, command):
        left.extend({"what": what, "id": one, "command": f"aws --region {aws.region} {command}{one}"} for one in ids)

    all_of_it = f"{name},{name}-*"
    note("instance", instances(aws, all_of_it), "ec2 terminate-instances --instance-ids ")
    note("volume", volumes(aws, all_of_it), "ec2 delete-volume --volume-id ")
    note("snapshot", snapshots(aws, all_of_it), "ec2 delete-snapshot --snapshot-id ")
    note("image", [one["ImageId"] for one in there(aws, images)], "ec2 deregister-image --image-id ")
    ours = ["--filters", f"Name=tag:Name,Values={name},{name}-*"]
    hosts = aws(
        "ec2", "describe-instances", *ours, "Name=instance-state-name,Values=pending,running,stopping,stopped,shutting-down"
    )
    note(
        "host",
        [one["InstanceId"] for each in hosts["Reservations"] for one in each["Instances"]],
        "ec2 terminate-instances --instance-ids ",
    )
    note("network", [one["VpcId"] for one in aws("ec2", "describe-vpcs", *ours)["Vpcs"]], "ec2 delete-vpc --vpc-id ")

    def is_ours(text):
        return text == name or text.startswith(f"{name}-")

    note(
        "bucket",
        [one["Name"] for one in aws("s3api", "list-buckets")["Buckets"] if is_ours(one["Name"])],
        "s3 rb --force s3://",
    )
    note(
        "role",
        [one["RoleName"] for one in aws("iam", "list-roles")["Roles"] if is_ours(one["RoleName"])],
        "iam delete-role --role-name ",
    )
    logs = aws("logs", "describe-log-groups", "--log-group-name-prefix", f"/hermitcrab/{name}")["logGroups"]
    note("log group", [one["logGroupName"] for one in logs], "logs delete-log-group --log-group-name ")
    templates = aws("ec2", "describe-launch-templates")["LaunchTemplates"]
    note(
        "launch template",
        [one["LaunchTemplateId"] for one in templates if is_ours(one["LaunchTemplateName"])],
        "ec2 delete-launch-template --launch-template-id ",
    )
    groups = aws("autoscaling", "describe-auto-scaling-groups")["AutoScalingGroups"]
    note(
        "Auto Scaling group",
        [one["AutoScalingGroupName"] for one in groups if is_ours(one["AutoScalingGroupName"])],
        "autoscaling delete-auto-scaling-group --force-delete --auto-scaling-group-name ",
    )
    return left
