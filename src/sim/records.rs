//! What there is: instances, volumes, clusters, and what is on their disks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::canaries::Canaries;
use super::consul::Consul;
use super::truth::Millis;
use crate::ids::{ClusterName, InstanceId, MemberId, SlotName, VolumeId, VolumeName, Zone};
use crate::observed::{ClaimRecord, CloudView, Instance, Snapshot, Volume};
use crate::spec::{ApplicationSpec, ClusterSpec};

/// An instance, and what EC2 does not say of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shell {
    /// What EC2 would say if it were read exactly.
    pub seen: Instance,
    pub cluster: ClusterName,
    /// The volumes that its guest waits for.
    pub volumes: BTreeMap<VolumeName, VolumeId>,
    /// Counts its changes of state.
    pub turn: u32,
    pub booted: bool,
    /// What it is was once recorded on its slot's volumes as settled.
    pub settled: bool,
    /// Its member has been a healthy voter since it got the volumes that it has.
    pub proven: bool,
    /// Somebody other than a controller laid hands on it.
    pub meddled: bool,
    /// The launch will fail for this reason.
    pub doomed: Option<String>,
}

/// A data volume, and what is on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Disk {
    /// What EC2 would say if it were read exactly.
    pub seen: Volume,
    pub cluster: ClusterName,
    /// Counts its changes of state.
    pub turn: u32,
    /// The instance and device last asked for; kept while detaching.
    pub delete_on_termination: bool,
    /// Who formatted it; none while it is blank.
    pub stamp: Option<Stamp>,
    /// The node id that lies on it.
    pub member: Option<MemberId>,
    /// How much of the log lies on it.
    pub applied: u64,
    /// The canary data on it, but for what a running member has not left there yet.
    #[serde(default)]
    pub canaries: Canaries,
    /// The next server on it knows of no other.
    #[serde(default)]
    pub alone: bool,
    /// How often it was formatted.
    pub formatted: u32,
    /// Attaching fails although the volume is fine: its KMS key may not be used.
    pub key_revoked: bool,
}

/// What the guest writes on a volume when it formats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub cluster: ClusterName,
    pub slot: SlotName,
    pub volume: VolumeName,
}

/// A token that was used, for what, and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Spent<R, I> {
    pub request: R,
    pub made: I,
    pub at: Millis,
}

/// What troubles a zone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Weather {
    pub no_capacity_until: Millis,
    pub impaired_until: Millis,
}

/// The addresses of a subnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Subnet {
    pub number: u8,
    pub given: u16,
    pub free: u32,
}

/// What the world knows of a controller.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Controller {
    /// The last sweep that it was answered began then.
    pub swept: Option<Millis>,
    /// When its last accepted write to each cluster took effect.
    pub wrote: BTreeMap<ClusterName, Millis>,
    /// It is to die now, and to come back then.
    #[serde(skip)]
    pub dies: Option<Millis>,
    /// It is not to run before then.
    #[serde(skip)]
    pub paused: Option<Millis>,
}

/// A cluster: what is declared of it, and what is true.
#[derive(Serialize, Deserialize)]
pub(super) struct Cluster {
    pub declared: Declared,
    pub instances: BTreeSet<InstanceId>,
    pub volumes: BTreeSet<VolumeId>,
    pub snapshots: Vec<Snapshot>,
    pub claim: ClaimRecord,
    pub consul: Consul,
    pub slots: BTreeMap<SlotName, SlotTruth>,
    pub unreachable_until: Millis,
    /// Set by every change of what EC2 would say.
    pub changed: bool,
    /// What EC2 has said of late, oldest first.
    pub versions: VecDeque<Version>,
    #[serde(skip)]
    pub view: Option<Arc<CloudView>>,
}

/// One moment's exact answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub at: Millis,
    pub view: Arc<CloudView>,
}

/// What a spec says that matters to the model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Declared {
    pub slots: BTreeMap<SlotName, Zone>,
    pub volumes: BTreeSet<VolumeName>,
    pub version: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// The Auto Scaling group that is adopted.
    #[serde(default)]
    pub group: Option<String>,
}

/// What is true of a slot's member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SlotTruth {
    /// It is a healthy voter.
    pub up: bool,
    /// Since when.
    pub since: Millis,
    /// It is down because a controller stopped its instance.
    pub ours: bool,
    /// It has been a healthy voter at some time.
    pub was_up: bool,
    /// How long it has been down, not counting the present.
    pub down: Millis,
    /// The member that sits here.
    pub member: Option<MemberId>,
    /// How much of the log it had when it was last stopped.
    pub applied: u64,
}

impl Declared {
    pub(super) fn of(spec: &ClusterSpec) -> Self {
        let ApplicationSpec::Consul(consul) = &spec.application;
        Self {
            slots: spec.slots.iter().map(|slot| (slot.name.clone(), slot.zone.clone())).collect(),
            volumes: spec.volumes.iter().map(|volume| volume.name.clone()).collect(),
            version: consul.version.clone(),
            tags: spec.instance.tags.clone(),
            group: spec.capacity.group().map(str::to_owned),
        }
    }
}

impl Cluster {
    pub(super) fn new(declared: Declared) -> Self {
        Self {
            declared,
            instances: BTreeSet::new(),
            volumes: BTreeSet::new(),
            snapshots: Vec::new(),
            claim: ClaimRecord::default(),
            consul: Consul::default(),
            slots: BTreeMap::new(),
            unreachable_until: 0,
            changed: true,
            versions: VecDeque::new(),
            view: None,
        }
    }
}

impl SlotTruth {
    pub(super) fn empty(now: Millis) -> Self {
        Self { up: false, since: now, ours: false, was_up: false, down: 0, member: None, applied: 0 }
    }
}
