//! One odd resource among others: its cluster hears of it, and no other one does.

use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance as Member, LifecycleState};
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    AttachmentStatus, EbsInstanceBlockDevice, InstanceBlockDeviceMapping, InstanceStateName, Placement, SnapshotState,
    Tag, VolumeAttachment, VolumeAttachmentState, VolumeState,
};

use super::*;
use crate::observed::Catalogue;

const CLUSTERS: [&str; 2] = ["consul", "other"];

fn tags_of(cluster: &str) -> Vec<Tag> {
    let all = [("cluster", cluster), ("slot", "a"), ("volume", "data"), ("owner", "hermitcrab")];
    all.map(|(key, value)| Tag::builder().key(format!("hermitcrab:{key}")).value(value).build()).into()
}

fn volume(cluster: &str) -> types::Volume {
    let attachment = VolumeAttachment::builder()
        .instance_id(format!("i-{cluster}"))
        .device("/dev/sdf")
        .state(VolumeAttachmentState::Attached)
        .attach_time(DateTime::from_secs(1_700_000_000))
        .build();
    types::Volume::builder()
        .volume_id(format!("vol-{cluster}"))
        .set_tags(Some(tags_of(cluster)))
        .state(VolumeState::InUse)
        .availability_zone("us-east-1a")
        .size(20)
        .attachments(attachment)
        .build()
}

fn instance(cluster: &str) -> types::Instance {
    let ebs = EbsInstanceBlockDevice::builder().volume_id(format!("vol-{cluster}")).status(AttachmentStatus::Attached);
    types::Instance::builder()
        .instance_id(format!("i-{cluster}"))
        .set_tags(Some(tags_of(cluster)))
        .state(types::InstanceState::builder().name(InstanceStateName::Running).build())
        .launch_time(DateTime::from_secs(1_700_000_000))
        .image_id("ami-1")
        .instance_type(types::InstanceType::M7iLarge)
        .placement(Placement::builder().availability_zone("us-east-1a").build())
        .private_ip_address("10.0.0.1")
        .block_device_mappings(InstanceBlockDeviceMapping::builder().device_name("/dev/sdf").ebs(ebs.build()).build())
        .build()
}

fn snapshot(cluster: &str) -> types::Snapshot {
    types::Snapshot::builder()
        .snapshot_id(format!("snap-{cluster}"))
        .volume_id(format!("vol-{cluster}"))
        .set_tags(Some(tags_of(cluster)))
        .state(SnapshotState::Completed)
        .build()
}

fn group(cluster: &str) -> groups::Adopted {
    let member = Member::builder().instance_id(format!("i-{cluster}")).lifecycle_state(LifecycleState::InService);
    let group = AutoScalingGroup::builder().auto_scaling_group_name(format!("servers-{cluster}"));
    let group = group.min_size(0).max_size(4).desired_capacity(3).instances(member.build()).build();
    groups::Adopted { cluster: cluster.into(), group, versions: Ok(Vec::new()), strangers: Vec::new() }
}

/// Two clusters with one of everything, the first of which has something odd.
fn seen(change: impl FnOnce(&mut Seen)) -> Sweep {
    let mut seen = Seen {
        instances: CLUSTERS.map(instance).into(),
        volumes: CLUSTERS.map(volume).into(),
        groups: CLUSTERS.map(group).into(),
        statuses: BTreeMap::new(),
        snapshots: CLUSTERS.map(snapshot).into(),
        copies: Vec::new(),
        facts: facts::Known { catalogue: Arc::new(Catalogue::default()), warnings: convert::VolumeWarnings::default() },
    };
    change(&mut seen);
    arrange(Timestamp::UNIX_EPOCH, &FirstSeen::default(), &seen, true).0
}

/// Whatever is odd about the first cluster is said of it alone, and the second is as it always is.
fn odd(change: impl FnOnce(&mut Seen)) -> BTreeMap<String, String> {
    let sweep = seen(change);
    let (first, second) = (sweep.cluster(&"consul".into()), sweep.cluster(&"other".into()));
    assert_eq!(second, seen(|_| ()).cluster(&"other".into()));
    assert_eq!((second.instances.len(), second.volumes.len(), second.snapshots.len()), (1, 1, 1));
    first.not_understood.clone()
}

fn only(id: &str, why: &str) -> BTreeMap<String, String> {
    [(id.to_owned(), why.to_owned())].into()
}

/// A look at the whole fleet would show every snapshot that was ever taken of them.
#[test]
fn snapshots_of_volumes_in_use_are_asked_for_where_their_cluster_saves_them_and_is_looked_at_by_itself() {
    let (instances, volumes) = (CLUSTERS.map(instance), CLUSTERS.map(volume));
    let moving = |wanted: &Wanted| moving_volumes(&instances, &volumes, wanted);
    let fleet = Wanted { saved_running: ["consul".into()].into(), ..Wanted::default() };
    assert_eq!(moving(&fleet), BTreeSet::new());
    let only = CLUSTERS.map(ClusterName::from).into();
    assert_eq!(moving(&Wanted { only, ..fleet }), ["vol-consul".to_owned()].into());
}

#[test]
fn a_world_that_makes_sense_has_nothing_odd() {
    assert_eq!(odd(|_| ()), BTreeMap::new());
}

#[test]
fn an_odd_volume_holds_its_cluster_alone() {
    let detached = |seen: &mut Seen| seen.volumes[0].attachments = None;
    assert_eq!(odd(detached), only("vol-consul", "it is in use, and attached to nothing"));
    let timeless = |seen: &mut Seen| seen.volumes[0].attachments.as_mut().unwrap()[0].attach_time = None;
    assert_eq!(odd(timeless), only("vol-consul", "it has an attachment without a time"));
    let word = |seen: &mut Seen| seen.volumes[0].state = Some("archived".into());
    assert_eq!(odd(word), only("vol-consul", "its state is `archived`, which is not known here"));
    assert_eq!(odd(|seen| seen.volumes[0].state = None), only("vol-consul", "it has no state"));
    assert_eq!(odd(|seen| seen.volumes[0].availability_zone = None), only("vol-consul", "it has no zone"));
}

#[test]
fn an_odd_instance_holds_its_cluster_alone() {
    let word = |seen: &mut Seen| seen.instances[0].state.as_mut().unwrap().name = Some("hibernated".into());
    assert_eq!(odd(word), only("i-consul", "its state is `hibernated`, which is not known here"));
    assert_eq!(odd(|seen| seen.instances[0].launch_time = None), only("i-consul", "it has no launch time"));
    assert_eq!(odd(|seen| seen.instances[0].placement = None), only("i-consul", "it has no zone"));
    assert_eq!(odd(|seen| seen.instances[0].image_id = None), only("i-consul", "it has no image"));
    let address = |seen: &mut Seen| seen.instances[0].private_ip_address = Some("somewhere".into());
    assert_eq!(odd(address), only("i-consul", "its private address is `somewhere`, which is not known here"));
    let status = |seen: &mut Seen| {
        let ebs = seen.instances[0].block_device_mappings.as_mut().unwrap()[0].ebs.as_mut().unwrap();
        ebs.status = Some("migrating".into());
    };
    assert_eq!(odd(status), only("i-consul", "its attachment status is `migrating`, which is not known here"));
}

#[test]
fn an_odd_snapshot_holds_its_cluster_alone() {
    assert_eq!(odd(|seen| seen.snapshots[0].volume_id = None), only("snap-consul", "it has no volume"));
}

#[test]
fn an_odd_group_holds_its_cluster_alone_and_names_the_member() {
    let word = |seen: &mut Seen| {
        let member = &mut seen.groups[0].group.instances.as_mut().unwrap()[0];
        member.lifecycle_state = Some("Hibernating".into());
    };
    let why = "i-consul: its state in its group is `Hibernating`, which is not known here";
    assert_eq!(odd(word), only("servers-consul", why));
    let refused = |seen: &mut Seen| seen.groups[0].versions = Err("its launch template cannot be read".to_owned());
    assert_eq!(odd(refused), only("servers-consul", "its launch template cannot be read"));
    let sizeless = |seen: &mut Seen| seen.groups[0].group.desired_capacity = None;
    assert_eq!(odd(sizeless), only("servers-consul", "it has no desired capacity"));
}

#[test]
fn a_resource_whose_tags_make_no_sense_is_left_out_and_said_of_its_cluster() {
    let sweep = seen(|seen| seen.volumes[0].tags.as_mut().unwrap().retain(|tag| tag.key() != Some("hermitcrab:slot")));
    let view = sweep.cluster(&"consul".into());
    assert_eq!(view.left_out, only("vol-consul", "it has no hermitcrab:slot tag"));
    assert_eq!((view.not_understood.len(), view.volumes.len(), view.instances.len()), (0, 0, 1));
}
