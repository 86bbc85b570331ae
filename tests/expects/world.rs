//! Facts that every effect expects, and changes to them that it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hermitcrab::action::facts::{AddressFacts, DeviceFacts, Facts, InstanceFacts, SnapshotFacts, VolumeFacts};
use hermitcrab::action::{CloudEffect, CreateVolume, GroupEffect, NewTemplateVersion, Recruitment};
use hermitcrab::ids::{Attempt, InstanceId, Owner, SlotName, Token, VolumeId};
use hermitcrab::make::UserData;
use hermitcrab::observed::{
    Attachment, AttachmentPhase, Group, GroupMember, InstanceState, Launches, Lifecycle, Process, Taken, Template,
    TemplateVersion, VolumeState,
};
use hermitcrab::spec::load::load;
use hermitcrab::spec::{Capacity, ClusterSpec, EbsSettings};

pub const INSTANCE: &str = "i-1";
const VOLUME: &str = "vol-1";
const SNAPSHOT: &str = "snap-1";
pub const DEVICE: &str = "/dev/sdf";
const GROUP: &str = "servers";
const INTERFACE: &str = "eni-1";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

/// A change to facts.
pub type Change = fn(&mut Facts);

/// Three Consul servers in an Auto Scaling group.
pub fn spec() -> ClusterSpec {
    let spec = load(&["desired-state/prod/consul.yaml".into()]).specs().next().unwrap().1.clone();
    ClusterSpec { capacity: Capacity::AutoScalingGroup(GROUP.to_owned()), ..spec }
}

pub fn owner() -> Owner {
    Owner::from("hermitcrab")
}

pub fn slot() -> SlotName {
    SlotName::from("consul-a")
}

/// A stopped instance of `consul-a` with its volume, in a group whose processes are suspended.
pub fn facts() -> Facts {
    let device =
        DeviceFacts { device: DEVICE.to_owned(), volume: VOLUME.into(), is_root: false, delete_on_termination: false };
    let instance = InstanceFacts {
        state: InstanceState::Stopped,
        cluster: Some("consul-prod".into()),
        slot: Some(slot()),
        owner: Some(owner()),
        generation: None,
        attempt: None,
        retired: false,
        tags: BTreeMap::new(),
        zone: Some("us-east-1a".into()),
        devices: vec![device],
        group: None,
        interface: Some(INTERFACE.into()),
        is_protected: false,
    };
    Facts {
        instances: [(INSTANCE.into(), instance)].into(),
        volumes: [(VOLUME.into(), volume())].into(),
        snapshots: BTreeMap::new(),
        addresses: BTreeMap::new(),
        group: Some(group()),
    }
}

fn volume() -> VolumeFacts {
    VolumeFacts {
        state: at(INSTANCE, DEVICE, AttachmentPhase::Attached),
        cluster: Some("consul-prod".into()),
        slot: Some(slot()),
        owner: Some(owner()),
        name: Some("data".into()),
        zone: Some("us-east-1a".into()),
        size_gib: 20,
        is_being_modified: false,
        generation: None,
        image: None,
        attempt: None,
        rejected: None,
        slots: [].into(),
        tags: BTreeMap::new(),
    }
}

fn at(instance: &str, device: &str, phase: AttachmentPhase) -> VolumeState {
    let since = "2026-11-23T00:00:00Z".parse().unwrap();
    VolumeState::InUse(Attachment { instance: instance.into(), device: device.to_owned(), phase, since })
}

fn processes() -> BTreeSet<Process> {
    [Process::Launch, Process::Terminate].into()
}

fn group() -> Group {
    let version = TemplateVersion { number: 1, make: spec().make(), tells_tags: true };
    let template =
        Template { id: "lt-1".to_owned(), latest: version.clone(), version, pinned: true, beyond: Vec::new() };
    let member = GroupMember { lifecycle: Lifecycle::InService, healthy: false, protected: false };
    Group {
        name: GROUP.to_owned(),
        min: 1,
        max: 4,
        desired: 3,
        zones: [].into(),
        suspended: processes(),
        resume: Some(processes()),
        members: [("i-2".into(), member)].into(),
        launches: Launches::Template(Box::new(template)),
        recruits: Vec::new(),
    }
}

fn instance_of(facts: &mut Facts) -> &mut InstanceFacts {
    facts.instances.get_mut(&InstanceId::from(INSTANCE)).unwrap()
}

fn volume_of(facts: &mut Facts) -> &mut VolumeFacts {
    facts.volumes.get_mut(&VolumeId::from(VOLUME)).unwrap()
}

fn group_of(facts: &mut Facts) -> &mut Group {
    facts.group.as_mut().unwrap()
}

fn runs(facts: &mut Facts) {
    instance_of(facts).state = InstanceState::Running;
}

fn is_free(facts: &mut Facts) {
    volume_of(facts).state = VolumeState::Available;
    instance_of(facts).devices.clear();
}

/// Every effect, with what must be changed in the facts for all of its expectations to be met.
pub fn effects() -> Vec<(CloudEffect, Change)> {
    let mut effects = instance_effects();
    effects.extend(volume_effects());
    effects.extend(group_effects().into_iter().map(|(effect, change)| {
        let group = GROUP.to_owned();
        (CloudEffect::Group { group, effect }, change)
    }));
    effects
}

fn instance_effects() -> Vec<(CloudEffect, Change)> {
    let instance = InstanceId::from(INSTANCE);
    let recruitment = Recruitment {
        instance: instance.clone(),
        slot: slot(),
        owner: owner(),
        generation: "v1-new".into(),
        attempt: Attempt(2),
        user_data: UserData::Absent,
        volumes: BTreeMap::new(),
    };
    vec![
        (CloudEffect::Stop { instance: instance.clone() }, runs),
        (CloudEffect::Start { instance: instance.clone() }, |_| {}),
        (CloudEffect::Terminate { instance: instance.clone() }, |facts| {
            is_free(facts);
            instance_of(facts).retired = true;
        }),
        (CloudEffect::Retire { instance: instance.clone() }, |_| {}),
        (assignment(), is_at_another_of_the_slot),
        (CloudEffect::Tag { instance, tags: [("team".to_owned(), "data".to_owned())].into() }, |_| {}),
        (CloudEffect::Recruit(recruitment), |facts| {
            let seen = instance_of(facts);
            (seen.cluster, seen.group) = (None, Some(GROUP.to_owned()));
        }),
    ]
}

fn assignment() -> CloudEffect {
    let (instance, interface) = (INSTANCE.into(), INTERFACE.into());
    CloudEffect::AssignAddress { address: ADDRESS, instance, interface, subnet: "subnet-1".to_owned() }
}

/// The old instance of the slot has stopped, and still has the address.
fn is_at_another_of_the_slot(facts: &mut Facts) {
    let old = InstanceFacts { interface: Some("eni-2".into()), devices: Vec::new(), ..instance_of(facts).clone() };
    facts.instances.insert("i-old".into(), old);
    address_at(facts, "eni-2", Some("i-old"), false);
}

fn address_at(facts: &mut Facts, interface: &str, instance: Option<&str>, is_primary: bool) {
    let used = AddressFacts { interface: interface.into(), instance: instance.map(Into::into), is_primary };
    facts.addresses.insert(ADDRESS, used);
}

fn volume_effects() -> Vec<(CloudEffect, Change)> {
    let (volume, instance, device) = (VolumeId::from(VOLUME), InstanceId::from(INSTANCE), DEVICE.to_owned());
    let volumes = || [volume.clone()].into();
    let copied =
        CloudEffect::CopyVolume { volume: volume.clone(), of: "consul-prod".into(), slot: slot(), name: "data".into() };
    let (of, at) = (volume.clone(), instance.clone());
    vec![
        (CloudEffect::Grow { volume: of, instance: at, from_gib: 20, to_gib: 40 }, runs),
        (
            CloudEffect::Snapshot { volume: volume.clone(), slot: slot(), attempt: Attempt(2), taken: Taken::AtRest },
            |_| {},
        ),
        (
            CloudEffect::Snapshot { volume: volume.clone(), slot: slot(), attempt: Attempt(2), taken: Taken::Running },
            runs,
        ),
        (copied, |_| {}),
        (CloudEffect::DeleteSnapshot { snapshot: SNAPSHOT.into() }, |facts| {
            facts.snapshots.insert(SNAPSHOT.into(), copy());
        }),
        (CloudEffect::Detach { volume: volume.clone(), instance: instance.clone(), device: device.clone() }, |_| {}),
        (CloudEffect::Attach { volume: volume.clone(), instance, device }, is_free),
        (CloudEffect::Reject { volumes: volumes(), generation: "v1-bad".into(), attempt: Attempt(2) }, |_| {}),
        (CloudEffect::Forgive { volumes: volumes(), generation: "v1-bad".into() }, |facts| {
            volume_of(facts).rejected = Some("v1-bad".into());
        }),
        (
            CloudEffect::Settle {
                volumes: volumes(),
                generation: "v1-new".into(),
                image: "ami-1".into(),
                attempt: Attempt(2),
                instance: Some(INSTANCE.into()),
            },
            |_| {},
        ),
        (CloudEffect::RecordSlots { volumes: volumes(), slots: [slot()].into() }, |_| {}),
        (CloudEffect::DeleteVolume { volume }, is_free),
        (CloudEffect::CreateVolume(creation()), |facts| facts.volumes.clear()),
    ]
}

fn group_effects() -> Vec<(GroupEffect, Change)> {
    let (stranger, member) = (InstanceId::from(INSTANCE), InstanceId::from("i-2"));
    let version = NewTemplateVersion {
        token: "t".into(),
        template: "lt-1".to_owned(),
        make: spec().make(),
        user_data_text: None,
        root_volume: None,
        tags: BTreeMap::new(),
        owner: owner(),
    };
    vec![
        (GroupEffect::RecordResume { processes: processes() }, |facts| group_of(facts).resume = None),
        (GroupEffect::Suspend { processes: processes() }, |facts| group_of(facts).suspended.clear()),
        (GroupEffect::Join { instance: stranger }, runs),
        (GroupEffect::Protect { instance: member.clone() }, |_| {}),
        (GroupEffect::Vouch { instance: member.clone() }, |_| {}),
        (GroupEffect::Leave { instance: member }, |_| {}),
        (GroupEffect::Resize { from: 3, to: 0 }, |_| {}),
        (GroupEffect::LowerMinimum { from: 1 }, |_| {}),
        (GroupEffect::Resume { processes: processes() }, |_| {}),
        (GroupEffect::ForgetResume { processes: processes() }, |facts| group_of(facts).suspended.clear()),
        (GroupEffect::CreateTemplateVersion(Box::new(version)), |_| {}),
        (GroupEffect::UseTemplateVersion { template: "lt-1".to_owned(), from: 1, to: 2 }, |_| {}),
    ]
}

pub fn creation() -> CreateVolume {
    CreateVolume {
        token: Token::from("hermitcrab-volume"),
        slot: slot(),
        name: "data".into(),
        zone: "us-east-1a".into(),
        size_gib: 20,
        ebs: EbsSettings::plain("gp3"),
        tags: std::collections::BTreeMap::new(),
        snapshot: None,
        owner: owner(),
        slots: [slot()].into(),
        number: 0,
    }
}

pub fn copy() -> SnapshotFacts {
    SnapshotFacts {
        volume: VOLUME.into(),
        cluster: Some("consul-prod".into()),
        owner: Some(owner()),
        attempt: None,
        taken: Taken::AtRest,
        copy_of: Some("consul-prod".into()),
        failed: false,
    }
}

/// Everything that may have happened since the decision.
pub fn changes() -> Vec<Change> {
    let mut changes: Vec<Change> = vec![
        |facts| instance_of(facts).owner = None,
        |facts| instance_of(facts).state = InstanceState::Pending,
        runs,
        |facts| instance_of(facts).state = InstanceState::Stopped,
        |facts| instance_of(facts).state = InstanceState::Terminated,
        |facts| instance_of(facts).retired ^= true,
        |facts| instance_of(facts).tags = [("team".to_owned(), "data".to_owned())].into(),
        |facts| instance_of(facts).cluster = Some("other".into()),
        |facts| instance_of(facts).group = Some("others".to_owned()),
        |facts| instance_of(facts).zone = Some("us-east-1b".into()),
        |facts| {
            let seen = instance_of(facts);
            (seen.cluster, seen.generation) = (Some("consul-prod".into()), Some("v1-new".into()));
            seen.attempt = Some(Attempt(2));
        },
        holds_somebodys_volume,
    ];
    changes.push(|facts| {
        let listed = facts.volumes.keys().next().cloned();
        let device =
            |volume| DeviceFacts { device: "/dev/sdz".into(), volume, is_root: false, delete_on_termination: false };
        instance_of(facts).devices = listed.map(device).into_iter().collect();
    });
    changes.push(|facts| instance_of(facts).is_protected = true);
    changes.extend(changes_of_addresses());
    changes.extend(changes_of_volumes());
    changes.extend(changes_of_groups());
    changes
}

/// Something else is at the device, which the volume view knows, and which would be deleted with the instance.
fn holds_somebodys_volume(facts: &mut Facts) {
    let device =
        DeviceFacts { device: DEVICE.to_owned(), volume: "vol-2".into(), is_root: false, delete_on_termination: true };
    instance_of(facts).devices = vec![device];
    let state = at(INSTANCE, DEVICE, AttachmentPhase::Attached);
    facts.volumes.insert("vol-2".into(), VolumeFacts { state, cluster: None, ..volume() });
}

fn changes_of_addresses() -> Vec<Change> {
    vec![
        |facts| address_at(facts, INTERFACE, Some(INSTANCE), false),
        |facts| address_at(facts, "eni-9", None, false),
        |facts| address_at(facts, "eni-2", Some("i-old"), true),
        |facts| instance_of(facts).interface = Some("eni-9".into()),
        |facts| {
            if let Some(old) = facts.instances.get_mut(&InstanceId::from("i-old")) {
                old.state = InstanceState::Running;
            }
        },
    ]
}

fn changes_of_volumes() -> Vec<Change> {
    vec![
        |facts| facts.volumes.values_mut().for_each(|volume| volume.slot = Some("consul-b".into())),
        |facts| facts.volumes.values_mut().for_each(|volume| volume.cluster = Some("other".into())),
        |facts| facts.volumes.values_mut().for_each(|volume| volume.state = VolumeState::Creating),
        |facts| facts.volumes.values_mut().for_each(|volume| volume.state = VolumeState::Deleted),
        |facts| facts.volumes.values_mut().for_each(|volume| volume.state = VolumeState::Available),
        |facts| facts.volumes.values_mut().for_each(|volume| volume.size_gib = 30),
        |facts| facts.volumes.values_mut().for_each(|volume| volume.size_gib = 40),
        |facts| facts.volumes.values_mut().for_each(|volume| volume.is_being_modified = true),
        |facts| volume_at(facts, INSTANCE, AttachmentPhase::Attaching),
        |facts| volume_at(facts, INSTANCE, AttachmentPhase::Detaching),
        |facts| volume_at(facts, "i-3", AttachmentPhase::Attached),
        |facts| {
            facts.volumes.insert(VOLUME.into(), volume());
        },
        |facts| {
            if let Some(volume) = facts.volumes.values_mut().next() {
                (volume.generation, volume.image) = (Some("v1-new".into()), Some("ami-1".into()));
            }
            facts.volumes.values_mut().for_each(|volume| volume.attempt = Some(Attempt(2)));
        },
        |facts| {
            facts.volumes.values_mut().for_each(|volume| {
                (volume.rejected, volume.attempt) = (Some("v1-bad".into()), Some(Attempt(2)));
            });
        },
        |facts| facts.volumes.values_mut().for_each(|volume| volume.rejected = None),
        |facts| facts.volumes.values_mut().for_each(|volume| volume.slots = [slot()].into()),
        |facts| facts.snapshots.clear(),
        |facts| facts.snapshots.values_mut().for_each(|snapshot| snapshot.owner = None),
        |facts| facts.snapshots.values_mut().for_each(|snapshot| snapshot.copy_of = None),
        |facts| {
            facts.snapshots.insert(SNAPSHOT.into(), SnapshotFacts { attempt: Some(Attempt(2)), ..copy() });
        },
        |facts| {
            let saved = SnapshotFacts { attempt: Some(Attempt(2)), taken: Taken::Running, ..copy() };
            facts.snapshots.insert(SNAPSHOT.into(), saved);
        },
    ]
}

fn volume_at(facts: &mut Facts, instance: &str, phase: AttachmentPhase) {
    facts.volumes.values_mut().for_each(|volume| volume.state = at(instance, DEVICE, phase));
}

fn changes_of_groups() -> Vec<Change> {
    vec![
        |facts| facts.group = None,
        |facts| group_of(facts).resume = None,
        |facts| group_of(facts).resume = Some(processes()),
        |facts| group_of(facts).resume = Some([Process::HealthCheck].into()),
        |facts| group_of(facts).suspended.clear(),
        |facts| group_of(facts).suspended = processes(),
        |facts| group_of(facts).members.clear(),
        |facts| group_of(facts).members.values_mut().for_each(|member| member.protected = true),
        |facts| group_of(facts).members.values_mut().for_each(|member| member.healthy = true),
        |facts| {
            let member = GroupMember { lifecycle: Lifecycle::InService, healthy: true, protected: true };
            group_of(facts).members.insert(INSTANCE.into(), member);
        },
        |facts| group_of(facts).desired = 0,
        |facts| group_of(facts).desired = 2,
        |facts| group_of(facts).min = 0,
        |facts| group_of(facts).min = 2,
        |facts| group_of(facts).launches = Launches::Otherwise("a launch configuration".to_owned()),
        |facts| uses_version(facts, 2),
        |facts| uses_version(facts, 3),
    ]
}

fn uses_version(facts: &mut Facts, number: u64) {
    if let Launches::Template(template) = &mut group_of(facts).launches {
        template.version.number = number;
    }
}
