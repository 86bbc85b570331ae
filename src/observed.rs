//! The world as it was seen at one moment: plain data, possibly partial or old, and dated.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, ClusterName, InstanceId, Owner, SlotName, Token, VolumeId, VolumeName};
use crate::revision::Standing;
use crate::time::{Timestamp, elapsed};

pub mod claim;
mod compact;
pub mod encryption;
pub mod group;
pub mod instance;
pub mod membership;
pub mod region;
pub mod related;
pub mod setback;
mod shared;
pub mod subnet;
pub mod tags;
pub mod volume;

pub use claim::{Ahead, Claim, ClaimRecord, Ending, FailedCreation, Purpose, Rehearsed, Remains, Verdict, Way};
pub use encryption::EbsDefaults;
pub use group::{Group, GroupMember, Launches, Lifecycle, Process, Recruit, Template, TemplateVersion};
pub use instance::{Checks, Device, Instance, InstanceState, Interface, Origin, ScheduledEvent};
pub use membership::{Blocker, Health, Member, Membership, Pruning, is_version};
pub use region::{Catalogue, Image, ImageDevice, ImageState, UsedAddress};
pub use related::{Related, Relation};
pub use setback::{Nature, Setback};
pub use shared::Shared;
pub use subnet::{Reserved, Subnet};
pub use volume::{
    Attachment, AttachmentPhase, Settled, Snapshot, SnapshotPurpose, SnapshotState, Taken, Volume, VolumeState,
};

/// Everything that a plan for one cluster is made from.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The moment of decision.
    pub now: Timestamp,
    /// The time at which we last wrote anything to this cluster. No decision rests on a reading begun before it.
    pub wrote: Option<Timestamp>,
    /// This cluster's part of the fleet sweep.
    pub cloud: Reading<Arc<CloudView>>,
    /// The other clusters of the region that no file declares. Looked for only where this cluster has nothing yet: it may
    /// be one of them under another name.
    pub undeclared: BTreeMap<ClusterName, Arc<CloudView>>,
    /// The members, as they describe each other.
    pub membership: Reading<Membership>,
    /// The record that says which slot may be disrupted.
    pub claim: Reading<ClaimRecord>,
    /// The addresses of the servers that keep the claim, as far as they are known.
    pub claim_kept_at: Vec<IpAddr>,
    /// The clusters on which this one stands, and those that stand on it, by name.
    pub related: BTreeMap<ClusterName, Related>,
    /// The times since which we ourselves have seen each slot's member healthy at one address without a break. They are
    /// kept in memory, so they may be too late but never too early.
    pub steady: BTreeMap<SlotName, Timestamp>,
    /// The knowledge of this controller that comes of having followed the cluster.
    pub followed: Followed,
    /// Our last launch that EC2 gave a clear answer to. A fresh instance may not be shown yet.
    pub last_launch: Option<LastLaunch>,
    /// Our last try to create each volume, where EC2 may not show yet what came of it.
    pub creations: Vec<LastCreation>,
    /// The time since which this controller has watched the cluster. Whatever was sent before, by this one or another, may
    /// not be shown yet for a while after it.
    pub watched_since: Option<Timestamp>,
    /// The moment since which we know that the claim record is as it is, by our own reading or writing; none where it has
    /// been so for as long as we watch.
    pub claim_known_since: Option<Timestamp>,
    /// A refusal of late with a code that we do not know, in EC2's words. Nothing more is sent meanwhile.
    pub refused: Option<String>,
    /// Actions that came to nothing of late. Each is not sent again for a while; others are.
    pub setbacks: Vec<Setback>,
    /// The facts that went backwards in time since an earlier look: a stale answer, or a world we do not understand.
    pub regressions: Vec<String>,
    /// The moment since which every look has found that the members answer and nobody leads them.
    pub leaderless_since: Option<Timestamp>,
    /// The reason for which every mutation is stopped, if somebody threw the switch.
    pub kill_switch: Option<String>,
    /// The standing of the source that the spec came from, where it has revisions.
    pub source: Option<Arc<Standing>>,
    /// Our own value of the tag `hermitcrab:owner`.
    pub owner: Owner,
}

/// The spans and numbers that one controller knows because it has followed a cluster, all by its own clock. A controller
/// that has just started knows none of them, so they may delay a decision and never hasten one.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// The time at which a claim was first read that says of this instance that it is about to be stopped.
    pub marked_since: BTreeMap<InstanceId, Timestamp>,
    /// The time at which this instance's member was prepared for its stop.
    pub prepared_since: BTreeMap<InstanceId, Timestamp>,
    /// The time at which this instance was first seen with its fixed address after it had been seen without.
    pub addressed_since: BTreeMap<InstanceId, Timestamp>,
    /// The time at which the claim was first read at this revision, while it is being turned.
    pub turning_since: Option<Timestamp>,
    /// The time at which it was first read that a claim gave way and left this instance stopped.
    pub left_since: BTreeMap<InstanceId, Timestamp>,
    /// The time at which this instance was first seen with the tag that says that it goes.
    pub retired_since: BTreeMap<InstanceId, Timestamp>,
    /// The time at which it was first read that the launch ahead is let go.
    pub let_go_since: Option<Timestamp>,
    /// The wait that was answered last, as a key, and since when it has been the answer.
    pub waiting: Option<(String, Timestamp)>,
}

/// A launch that we sent, and EC2's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLaunch {
    pub attempt: Attempt,
    /// The time of the answer.
    pub at: Timestamp,
    pub answer: LaunchAnswer,
}

/// An answer of EC2's to a launch that leaves nothing open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchAnswer {
    Launched(InstanceId),
    /// EC2 will not honour the token of that attempt any more.
    TokenSpent,
}

/// A creation of a volume that we sent, and EC2's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCreation {
    pub slot: SlotName,
    pub name: VolumeName,
    pub number: u32,
    pub token: Token,
    /// The time of the answer.
    pub at: Timestamp,
    pub answer: CreationAnswer,
}

/// An answer of EC2's to a creation after which a volume may be there that is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreationAnswer {
    Created(VolumeId),
    /// EC2 will not honour the token any more.
    TokenSpent,
    /// The answer was lost.
    Unknown,
}

/// One source's answer, dated by when its reading began; or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading<T> {
    /// The source answered.
    Seen {
        /// The time at which the reading began: nothing that happened later is sure to be in it.
        begun: Timestamp,
        value: T,
    },
    /// The source did not answer, so nothing may rest on it.
    Unknown {
        /// The cause, for a person to read.
        why: String,
    },
}

impl<T> Reading<T> {
    /// Says how old the answer is; no answer has no age.
    pub fn age(&self, now: Timestamp) -> Duration {
        match self {
            Self::Seen { begun, .. } => elapsed(now, *begun),
            Self::Unknown { .. } => Duration::ZERO,
        }
    }

    /// Gives the answer, if there is one.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen { value, .. } => Some(value),
            Self::Unknown { .. } => None,
        }
    }
}

/// One cluster's instances, volumes and snapshots, as found by their tag `hermitcrab:cluster`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudView {
    /// Every managed instance, terminated ones too for as long as EC2 shows them (about an hour).
    pub instances: Vec<Shared<Instance>>,
    /// Every managed data volume.
    pub volumes: Vec<Shared<Volume>>,
    /// The snapshots taken before a replacement, and those that a copy begins with.
    pub snapshots: Vec<Snapshot>,
    /// The Auto Scaling group that the spec adopts; none where it adopts none, or where there is no such group.
    pub group: Option<Group>,
    /// The resources that EC2 describes in a way that is not understood here, by id, each with what is odd about it, e.g.
    /// ``its state is `hibernated`, which is not known here``. Nothing is decided about the cluster meanwhile.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_understood: BTreeMap<String, String>,
    /// The resources that were left out because their tags make no sense, by id, each with what is odd about them. A resource
    /// that is missing from a look is never taken for gone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, String>,
    /// The facts about the whole region.
    pub catalogue: Arc<Catalogue>,
}

impl CloudView {
    /// Lists the instances, terminated ones too.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().map(|instance| &**instance)
    }

    /// Lists the volumes, deleted ones too.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.volumes.iter().map(|volume| &**volume)
    }

    /// Finds the instance of that id.
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances().find(|instance| instance.id == *id)
    }

    /// Lists the instances that are neither terminated nor on their way there.
    pub fn live_instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances().filter(|instance| instance.state.is_live())
    }

    /// Lists the volumes that are not deleted.
    pub fn present_volumes(&self) -> impl Iterator<Item = &Volume> {
        self.volumes().filter(|volume| volume.state != VolumeState::Deleted)
    }

    /// Says whether any of these volumes is at that instance, in whatever phase.
    pub fn has_volume_at(&self, instance: &InstanceId) -> bool {
        self.present_volumes().any(|volume| matches!(&volume.state, VolumeState::InUse(at) if at.instance == *instance))
    }

    /// Lists the snapshots that a throw-away copy of a cluster began with.
    pub fn copies(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.iter().filter(|snapshot| snapshot.is_copy())
    }

    /// Says whether the cluster still owns anything, or may: EC2 shows a terminated instance for about an hour.
    pub fn owns_anything(&self) -> bool {
        let is_unclear = !self.not_understood.is_empty() || !self.left_out.is_empty();
        is_unclear
            || self.live_instances().next().is_some()
            || self.present_volumes().next().is_some()
            || self.copies().next().is_some()
    }
}

/// The whole fleet at one look, by cluster.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The time at which the first of its calls was sent.
    pub begun: Timestamp,
    /// Every cluster that has an instance or a volume, declared or not.
    pub clusters: BTreeMap<ClusterName, Arc<CloudView>>,
    /// The facts about the region, for clusters that have nothing yet.
    pub catalogue: Arc<Catalogue>,
}

impl Sweep {
    /// Gives one cluster's part. A cluster with no resources has an empty one.
    pub fn cluster(&self, name: &ClusterName) -> Arc<CloudView> {
        self.clusters
            .get(name)
            .cloned()
            .unwrap_or_else(|| Arc::new(CloudView { catalogue: self.catalogue.clone(), ..CloudView::default() }))
    }
}
