//! Instances and volumes on their way: states that linger, tokens, and refusals.

use std::time::Duration;

use crate::stage::{LAUNCH, Stage, texts};

const MINUTE: Duration = Duration::from_secs(60);

fn state(stage: &Stage, instance: &str) -> String {
    stage.one("DescribeInstances", &[("InstanceId.1", instance)], "name")
}

fn volume_state(stage: &Stage, volume: &str) -> String {
    stage.all("DescribeVolumes", &[("VolumeId.1", volume)], "status").join(", ")
}

#[test]
fn a_launch_lingers_and_its_token_makes_one_instance() {
    let stage = Stage::new();
    let id = stage.one("RunInstances", LAUNCH, "instanceId");
    assert_eq!(stage.one("RunInstances", LAUNCH, "instanceId"), id);
    assert_eq!(state(&stage, &id), "pending");
    assert_eq!(stage.all("DescribeInstances", &[("InstanceId.1", &id)], "key"), [""; 0], "nobody has given it a tag");
    stage.pass(MINUTE);
    assert_eq!(state(&stage, &id), "running");
    let found = [("Filter.1.Name", "client-token"), ("Filter.1.Value.1", "once")];
    assert_eq!(stage.all("DescribeInstances", &found, "instanceId"), [&*id]);
    let other: Vec<_> = LAUNCH
        .iter()
        .map(|(name, value)| (*name, if *name == "InstanceType" { "m7i.xlarge" } else { value }))
        .collect();
    assert_eq!(stage.refusal("RunInstances", &other), (400, "IdempotentParameterMismatch".to_owned()));
    assert_eq!(stage.one("TerminateInstances", &[("InstanceId.1", &id)], "name"), "shutting-down");
    stage.pass(2 * MINUTE);
    assert_eq!(state(&stage, &id), "terminated");
    assert_eq!(stage.refusal("RunInstances", LAUNCH), (400, "IdempotentInstanceTerminated".to_owned()));
}

#[test]
fn an_instance_is_where_its_launch_has_placed_it() {
    let placed = |more: &[(&'static str, &'static str)]| {
        let stage = Stage::new();
        let id = stage.one("RunInstances", &[LAUNCH, more].concat(), "instanceId");
        let (_, text) = stage.ask("DescribeInstances", &[("InstanceId.1", &id)]);
        let shown = ["tenancy", "groupName", "capacityReservationPreference", "capacityReservationId"];
        shown.map(|name| texts(&text, name).first().cloned().unwrap_or_default())
    };
    assert_eq!(placed(&[]), ["default", "", "open", ""]);
    let chosen = [("Placement.Tenancy", "dedicated"), ("Placement.GroupName", "racks")];
    assert_eq!(placed(&chosen), ["dedicated", "racks", "open", ""]);
    let preference = "CapacityReservationSpecification.CapacityReservationPreference";
    let target = "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId";
    assert_eq!(placed(&[(preference, "none")])[2..], ["none", ""]);
    assert_eq!(placed(&[(target, "cr-0123456789abcdef0")])[2..], ["", "cr-0123456789abcdef0"]);
    let both = [LAUNCH, &[(preference, "open"), (target, "cr-0123456789abcdef0")]].concat();
    assert_eq!(Stage::new().refusal("RunInstances", &both), (400, "InvalidParameterCombination".to_owned()));
    let on_a_host = [LAUNCH, &[("Placement.Tenancy", "host")]].concat();
    assert_eq!(Stage::new().refusal("RunInstances", &on_a_host), (400, "UnsupportedOperation".to_owned()));
}

#[test]
fn a_root_volume_is_as_its_launch_asks_for_and_no_smaller_than_the_image() {
    const EBS: &str = "BlockDeviceMapping.1.Ebs";
    let mapped = |settings: &[(&str, &str)]| -> Vec<(String, String)> {
        let device = ("BlockDeviceMapping.1.DeviceName".to_owned(), "/dev/xvda".to_owned());
        let ends = (format!("{EBS}.DeleteOnTermination"), "true".to_owned());
        let settings = settings.iter().map(|(name, value)| (format!("{EBS}.{name}"), (*value).to_owned()));
        let plain = LAUNCH.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        plain.chain([device, ends]).chain(settings).collect()
    };
    fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
        fields.iter().map(|(name, value)| (&**name, &**value)).collect()
    }
    let shown = |settings: &[(&str, &str)]| {
        let stage = Stage::new();
        let id = stage.one("RunInstances", &borrowed(&mapped(settings)), "instanceId");
        let at = [("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", &*id)];
        let (_, text) = stage.ask("DescribeVolumes", &at);
        ["size", "volumeType", "iops", "throughput", "encrypted", "deleteOnTermination"]
            .map(|name| texts(&text, name).concat())
    };
    assert_eq!(shown(&[]), ["8", "gp3", "3000", "125", "false", "true"]);
    let asked = [("VolumeSize", "30"), ("VolumeType", "gp3"), ("Iops", "6000"), ("Encrypted", "true")];
    assert_eq!(shown(&asked), ["30", "gp3", "6000", "125", "true", "true"]);
    for (settings, code) in [
        (&[("VolumeSize", "4"), ("VolumeType", "gp3")][..], "InvalidBlockDeviceMapping"),
        (&[("VolumeSize", "8"), ("VolumeType", "io1")], "MissingParameter"),
        (&[("VolumeType", "io1"), ("Iops", "401")], "InvalidParameterValue"),
    ] {
        let refused = Stage::new().refusal("RunInstances", &borrowed(&mapped(settings)));
        assert_eq!(refused, (400, code.to_owned()), "{settings:?}");
    }
}

#[test]
fn a_volume_is_made_as_it_is_asked_for_and_shown_so() {
    let stage = Stage::new();
    let plain = [("AvailabilityZone", "us-east-1a"), ("Size", "10")];
    let make = |more: &[(&'static str, &'static str)]| {
        let id = stage.one("CreateVolume", &[&plain[..], more].concat(), "volumeId");
        let (_, text) = stage.ask("DescribeVolumes", &[("VolumeId.1", &id)]);
        ["volumeType", "iops", "throughput", "encrypted", "kmsKeyId"].map(|name| texts(&text, name).concat())
    };
    assert_eq!(make(&[]), ["gp2", "100", "", "false", ""]);
    assert_eq!(make(&[("VolumeType", "gp3"), ("ClientToken", "a")]), ["gp3", "3000", "125", "false", ""]);
    let asked = [("VolumeType", "gp3"), ("Iops", "4000"), ("Throughput", "1000"), ("Encrypted", "true")];
    let by_id = [&asked[..], &[("KmsKeyId", "1234abcd-12ab-34cd-56ef-1234567890ab")]].concat();
    let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    assert_eq!(make(&by_id), ["gp3", "4000", "1000", "true", key]);
}

#[test]
fn a_volume_that_ebs_does_not_offer_is_refused() {
    for (more, code) in [
        (&[("VolumeType", "gp4")][..], "UnknownVolumeType"),
        (&[("VolumeType", "st1")], "InvalidParameterValue"),
        (&[("VolumeType", "io2")], "MissingParameter"),
        (&[("VolumeType", "gp2"), ("Iops", "3000")], "InvalidParameterCombination"),
        (&[("VolumeType", "gp3"), ("Iops", "2999")], "InvalidParameterValue"),
        (&[("VolumeType", "io1"), ("Iops", "501")], "InvalidParameterValue"),
        (&[("VolumeType", "io1"), ("Iops", "100"), ("Throughput", "125")], "InvalidParameterCombination"),
        (&[("VolumeType", "gp3"), ("Throughput", "2001")], "InvalidParameterValue"),
        (&[("VolumeType", "gp3"), ("Throughput", "751")], "InvalidParameterValue"),
        (&[("KmsKeyId", "1234abcd-12ab-34cd-56ef-1234567890ab")], "InvalidParameterDependency"),
        (&[("Iops", "many")], "InvalidParameterValue"),
    ] {
        let fields = [&[("AvailabilityZone", "us-east-1a"), ("Size", "10")], more].concat();
        assert_eq!(Stage::new().refusal("CreateVolume", &fields), (400, code.to_owned()), "{more:?}");
    }
}

#[test]
fn a_volume_grows_once_in_six_hours_and_shows_its_size_when_ebs_has_it() {
    let stage = Stage::new();
    let volume = stage.volume("consul-a");
    let size = |stage: &Stage| stage.one("DescribeVolumes", &[("VolumeId.1", &volume)], "size");
    let refusal = |stage: &Stage, size: &str| stage.refusal("ModifyVolume", &[("VolumeId", &*volume), ("Size", size)]);
    let state = |stage: &Stage| stage.all("DescribeVolumesModifications", &[], "modificationState");
    assert_eq!(refusal(&stage, "10"), (400, "InvalidParameterValue".to_owned()), "volumes do not shrink");
    let fields = [("VolumeId", &*volume), ("Size", "40")];
    assert_eq!(stage.one("ModifyVolume", &fields, "targetSize"), "40");
    assert_eq!((size(&stage), state(&stage)), ("20".to_owned(), vec!["modifying".to_owned()]));
    assert_eq!(refusal(&stage, "60"), (400, "IncorrectModificationState".to_owned()));
    stage.pass(4 * MINUTE);
    assert_eq!((size(&stage), state(&stage)), ("40".to_owned(), vec!["optimizing".to_owned()]));
    assert_eq!(refusal(&stage, "60"), (400, "IncorrectModificationState".to_owned()));
    for _ in 0..5 * 60 {
        stage.pass(MINUTE);
        if state(&stage).is_empty() {
            assert_eq!(refusal(&stage, "60"), (400, "VolumeModificationRateExceeded".to_owned()));
        }
    }
    stage.pass(60 * MINUTE);
    assert_eq!(state(&stage), [""; 0]);
    assert_eq!(stage.one("ModifyVolume", &[("VolumeId", &*volume), ("Size", "60")], "targetSize"), "60");
    let faster = [("VolumeId", &*volume), ("Iops", "6000")];
    assert_eq!(stage.refusal("ModifyVolume", &faster), (400, "UnsupportedOperation".to_owned()));
}

#[test]
fn a_launch_that_names_what_is_not_there_is_refused() {
    for (name, value, code) in [
        ("ImageId", "ami-00000000000000000", "InvalidAMIID.NotFound"),
        ("SubnetId", "subnet-00000000", "InvalidSubnetID.NotFound"),
        ("InstanceType", "large", "InvalidParameterValue"),
        ("InstanceType", "m7g.large", "InvalidParameterValue"),
        ("MinCount", "", "MissingParameter"),
    ] {
        let fields: Vec<_> =
            LAUNCH.iter().map(|(field, said)| (*field, if *field == name { value } else { said })).collect();
        assert_eq!(Stage::new().refusal("RunInstances", &fields), (400, code.to_owned()), "{name}={value}");
    }
    let elsewhere: Vec<_> = LAUNCH.iter().copied().chain([("Placement.AvailabilityZone", "us-east-1b")]).collect();
    assert_eq!(Stage::new().refusal("RunInstances", &elsewhere), (400, "InvalidParameterCombination".to_owned()));
    let stage = Stage::new();
    stage.world.exhaust_capacity(&"us-east-1a".into(), MINUTE);
    assert_eq!(stage.refusal("RunInstances", LAUNCH), (500, "InsufficientInstanceCapacity".to_owned()));
}

#[test]
fn a_volume_is_attached_to_one_instance_and_moves_when_that_has_stopped() {
    let stage = Stage::new();
    let (volume, old) = (stage.volume("consul-a"), stage.instance("consul-a"));
    let new = stage.one("RunInstances", LAUNCH, "instanceId");
    let attach = [("VolumeId", &*volume), ("InstanceId", &*new), ("Device", "/dev/sdf")];
    assert_eq!(stage.refusal("AttachVolume", &attach), (400, "VolumeInUse".to_owned()));
    assert_eq!(stage.all("StopInstances", &[("InstanceId.1", &old)], "name"), ["stopping", "running"]);
    stage.pass(2 * MINUTE);
    assert_eq!(state(&stage, &old), "stopped");
    let detach = [("VolumeId", &*volume), ("InstanceId", &*old)];
    assert_eq!(stage.one("DetachVolume", &detach, "status"), "detaching");
    assert_eq!(stage.refusal("DetachVolume", &detach), (400, "IncorrectState".to_owned()));
    assert_eq!(volume_state(&stage, &volume), "in-use, detaching");
    stage.pass(MINUTE);
    assert_eq!(volume_state(&stage, &volume), "available");
    assert_eq!(stage.refusal("DetachVolume", &detach), (400, "IncorrectState".to_owned()));
    assert_eq!(stage.one("AttachVolume", &attach, "status"), "attaching");
    assert_eq!(stage.refusal("AttachVolume", &attach), (400, "VolumeInUse".to_owned()));
    assert_eq!(
        stage.all("DescribeInstances", &[("InstanceId.1", &new)], "status"),
        ["in-use", "attached", "attached", "attaching"]
    );
    stage.pass(MINUTE);
    assert_eq!(volume_state(&stage, &volume), "in-use, attached");
    let wrong = [("VolumeId", &*volume), ("InstanceId", &*old)];
    assert_eq!(stage.refusal("DetachVolume", &wrong), (400, "InvalidAttachment.NotFound".to_owned()));
    assert_eq!(stage.refusal("DeleteVolume", &[("VolumeId", &volume)]), (400, "VolumeInUse".to_owned()));
}

#[test]
fn an_attachment_that_cannot_be_is_refused() {
    let stage = Stage::new();
    let create = |zone: &str| stage.one("CreateVolume", &[("AvailabilityZone", zone), ("Size", "1")], "volumeId");
    let (near, far) = (create("us-east-1a"), create("us-east-1b"));
    let instance = stage.instance("consul-a");
    let refusal = |volume: &str, device: &str| {
        stage.refusal("AttachVolume", &[("VolumeId", volume), ("InstanceId", &instance), ("Device", device)]).1
    };
    assert_eq!(refusal(&near, "/dev/sdg"), "IncorrectState", "it is being created");
    stage.pass(MINUTE);
    assert_eq!(refusal(&far, "/dev/sdg"), "InvalidVolume.ZoneMismatch");
    assert_eq!(refusal(&near, "/dev/sdf"), "InvalidParameterValue");
    assert_eq!(refusal(&near, "/dev/xvda"), "InvalidParameterValue");
    assert_eq!(refusal("vol-00000000", "/dev/sdg"), "InvalidVolume.NotFound");
    assert_eq!(refusal(&near, "/dev/sdg"), "");
}

#[test]
fn a_volume_is_made_once_by_its_token_and_from_a_completed_snapshot() {
    let stage = Stage::new();
    let volume = stage.volume("consul-a");
    let snapshot = stage.one("CreateSnapshot", &[("VolumeId", &volume)], "snapshotId");
    let restore = [("SnapshotId", &*snapshot), ("AvailabilityZone", "us-east-1a"), ("ClientToken", "again")];
    assert_eq!(stage.refusal("CreateVolume", &restore), (400, "IncorrectState".to_owned()));
    stage.pass(2 * MINUTE);
    let copy = stage.one("CreateVolume", &restore, "volumeId");
    assert_eq!(stage.one("CreateVolume", &restore, "volumeId"), copy);
    assert_eq!(stage.one("DescribeVolumes", &[("VolumeId.1", &copy)], "size"), "20");
    let larger: Vec<_> = restore.iter().copied().chain([("Size", "40")]).collect();
    assert_eq!(stage.refusal("CreateVolume", &larger), (400, "IdempotentParameterMismatch".to_owned()));
    let smaller = [("SnapshotId", &*snapshot), ("AvailabilityZone", "us-east-1a"), ("Size", "1")];
    assert_eq!(stage.refusal("CreateVolume", &smaller), (400, "InvalidParameterValue".to_owned()));
    let nowhere = [("AvailabilityZone", "us-east-1z"), ("Size", "1")];
    assert_eq!(stage.refusal("CreateVolume", &nowhere), (400, "InvalidZone.NotFound".to_owned()));
    assert_eq!(
        stage.refusal("CreateVolume", &[("AvailabilityZone", "us-east-1a")]),
        (400, "MissingParameter".to_owned())
    );
    stage.pass(MINUTE);
    assert_eq!(stage.one("DeleteVolume", &[("VolumeId", &copy)], "return"), "true");
    assert_eq!(stage.refusal("CreateVolume", &restore), (400, "IdempotentParameterMismatch".to_owned()));
}

#[test]
fn a_restored_copy_with_all_tags_is_the_clusters() {
    let stage = Stage::new();
    let copy = stage.one("CreateVolume", &[("AvailabilityZone", "us-east-1a"), ("Size", "20")], "volumeId");
    let tags = [
        ("ResourceId.1", &*copy),
        ("Tag.1.Key", "hermitcrab:cluster"),
        ("Tag.1.Value", "consul-prod"),
        ("Tag.2.Key", "hermitcrab:slot"),
        ("Tag.2.Value", "consul-a"),
        ("Tag.3.Key", "hermitcrab:volume"),
        ("Tag.3.Value", "data"),
    ];
    assert_eq!(stage.one("CreateTags", &tags, "return"), "true");
    let view = stage.world.view(&stage.spec.name);
    assert_eq!(view.volumes.iter().filter(|volume| *volume.slot == *"consul-a").count(), 2);
    let untag = [("ResourceId.1", &*copy), ("Tag.1.Key", "hermitcrab:cluster"), ("Tag.2.Key", "hermitcrab:slot")];
    assert_eq!(stage.one("DeleteTags", &untag, "return"), "true");
    assert_eq!(stage.world.view(&stage.spec.name).volumes.len(), 3);
    let reserved = [("ResourceId.1", &*copy), ("Tag.1.Key", "aws:mine"), ("Tag.1.Value", "x")];
    assert_eq!(stage.refusal("CreateTags", &reserved), (400, "InvalidParameterValue".to_owned()));
}

#[test]
fn what_is_protected_is_neither_stopped_nor_terminated() {
    let stage = Stage::new();
    let id = stage.instance("consul-a");
    let protect = [("InstanceId", &*id), ("DisableApiStop.Value", "true"), ("DisableApiTermination.Value", "true")];
    assert_eq!(stage.one("ModifyInstanceAttribute", &protect, "return"), "true");
    for attribute in ["disableApiStop", "disableApiTermination"] {
        let asked = [("InstanceId", &*id), ("Attribute", attribute)];
        assert_eq!(stage.one("DescribeInstanceAttribute", &asked, "value"), "true");
    }
    for action in ["StopInstances", "TerminateInstances"] {
        assert_eq!(stage.refusal(action, &[("InstanceId.1", &id)]), (400, "OperationNotPermitted".to_owned()));
    }
    assert_eq!(state(&stage, &id), "running");
}

#[test]
fn an_instance_on_its_way_is_in_the_wrong_state() {
    let stage = Stage::new();
    let id = stage.instance("consul-a");
    stage.one("StopInstances", &[("InstanceId.1", &id)], "name");
    assert_eq!(stage.refusal("StartInstances", &[("InstanceId.1", &id)]), (400, "IncorrectInstanceState".to_owned()));
    assert_eq!(stage.all("StopInstances", &[("InstanceId.1", &id)], "name"), ["stopping", "stopping"]);
}
