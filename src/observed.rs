//! What was seen at one moment: plain data, possibly partial or old, and dated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{
    Attempt, ClusterName, Generation, ImageId, InstanceId, MemberId, Owner, SlotName, SnapshotId, VolumeId, VolumeName,
    Zone,
};
use crate::spec::Lag;
use crate::time::Timestamp;

pub mod group;

pub use group::{Group, GroupMember, Launches, Lifecycle, Make, Recruit, Template, TemplateVersion};

/// Everything that a plan for one cluster is made from.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The moment of decision.
    pub now: Timestamp,
    /// When we last wrote anything to this cluster. No decision rests on a reading begun before it.
    pub wrote: Option<Timestamp>,
    /// This cluster's part of the fleet sweep.
    pub cloud: Reading<Arc<CloudView>>,
    /// What the members say of each other.
    pub membership: Reading<Membership>,
    /// Which slot may be disrupted.
    pub claim: Reading<ClaimRecord>,
    /// Since when we ourselves have seen each slot's member healthy at one address without a break. Kept in
    /// memory, so it may be too late but never too early.
    pub steady: BTreeMap<SlotName, Timestamp>,
    /// What EC2 answered to our last launch, for which attempt, and when. A fresh instance may not be shown yet.
    pub launched: Option<(Attempt, InstanceId, Timestamp)>,
    /// The attempt whose token EC2 will not honour any more, as its last answer said.
    pub spent: Option<Attempt>,
    /// What was refused lately in a way that takes a person (not allowed, never possible, or a code that we do not
    /// know), and how. Nothing more is sent meanwhile.
    pub refused: Option<String>,
    /// What went backwards in time since an earlier look: a stale answer, or a world we do not understand.
    pub regressions: Vec<String>,
    /// Why every mutation is stopped, if somebody threw the switch.
    pub kill_switch: Option<String>,
    /// Who we are: the value of the `hermitcrab:owner` tag on what is ours.
    pub owner: Owner,
}

/// One source's answer, dated by when its reading began; or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading<T> {
    /// The source answered.
    Seen {
        /// When the reading began: nothing that happened later is sure to be in it.
        begun: Timestamp,
        /// The answer.
        value: T,
    },
    /// It did not, so nothing may rest on it.
    Unknown {
        /// What went wrong, for a person to read.
        why: String,
    },
}

impl<T> Reading<T> {
    /// The answer, if there is one.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen { value, .. } => Some(value),
            Self::Unknown { .. } => None,
        }
    }
}

/// One cluster's instances, volumes and snapshots, as found by their `hermitcrab:cluster` tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudView {
    /// Terminated ones too, for as long as EC2 shows them (about an hour).
    pub instances: Vec<Instance>,
    /// Every managed data volume.
    pub volumes: Vec<Volume>,
    /// Snapshots taken before a replacement, and those that a copy begins with.
    pub snapshots: Vec<Snapshot>,
    /// The Auto Scaling group that the spec adopts; none where it adopts none, or where there is no such group.
    pub group: Option<Group>,
    /// What is true of the whole region.
    pub catalogue: Arc<Catalogue>,
}

impl CloudView {
    /// The instance of that id.
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == *id)
    }

    /// The instances that are neither terminated nor on their way there.
    pub fn live_instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.state.is_live())
    }

    /// The volumes that are not deleted.
    pub fn present_volumes(&self) -> impl Iterator<Item = &Volume> {
        self.volumes.iter().filter(|volume| volume.state != VolumeState::Deleted)
    }

    /// The snapshots that a throw-away copy of a cluster began with.
    pub fn copies(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.iter().filter(|snapshot| snapshot.copy_of.is_some())
    }
}

/// Facts about a region that every cluster in it shares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Catalogue {
    /// The account that the credentials belong to; none in a cloud without accounts, such as a simulated world.
    pub account: Option<String>,
    /// The images that were asked for and exist.
    pub images: BTreeMap<ImageId, Image>,
    /// Instance types that were asked for, and the processor architectures they run.
    pub instance_types: BTreeMap<String, BTreeSet<String>>,
    /// Availability zones that AWS reports as impaired, with what it says.
    pub impaired_zones: BTreeMap<Zone, String>,
}

/// An AMI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// EC2's word: `available`, `pending`, `failed`, `disabled`, `deregistered` …
    pub state: String,
    /// E.g. `x86_64`.
    pub architecture: String,
    /// Its guest cuts a copied volume off from the cluster that it was copied from, or else refuses it: from the tag
    /// `hermitcrab-guest` with the value `isolates-copies`.
    #[serde(default)]
    pub isolates_copies: bool,
}

/// An EC2 instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub id: InstanceId,
    /// From `hermitcrab:slot`.
    pub slot: SlotName,
    /// From `hermitcrab:owner`.
    pub owner: Option<Owner>,
    /// From `hermitcrab:generation`; an adopted instance has none.
    pub generation: Option<Generation>,
    /// From `hermitcrab:attempt`; 0 for an adopted instance.
    pub attempt: Attempt,
    /// `hermitcrab:retired` is set: proven superseded, or never needed. Only then may it be terminated.
    pub retired: bool,
    pub state: InstanceState,
    /// Why EC2 moved it to that state, e.g. `Server.InsufficientInstanceCapacity`.
    pub state_reason: Option<String>,
    /// When it came to that state, as far as EC2 tells.
    pub state_since: Timestamp,
    /// When it was last started.
    pub launched_at: Timestamp,
    /// EC2's status checks.
    pub checks: Checks,
    pub image: ImageId,
    /// E.g. `m7i.large`.
    pub instance_type: String,
    pub zone: Zone,
    pub subnet: String,
    /// Its private address, once it has one.
    pub address: Option<IpAddr>,
    pub iam_instance_profile: Option<String>,
    pub security_groups: BTreeSet<String>,
    pub key_name: Option<String>,
    /// From `hermitcrab:user-data`: a digest, set at launch. Absent on an adopted instance.
    pub user_data: Option<String>,
    /// Tags that are not ours and not AWS's own.
    pub tags: BTreeMap<String, String>,
    /// What the instance view says of attached data volumes.
    pub devices: Vec<Device>,
    /// The Auto Scaling group that it belongs to, adopted or not, from `aws:autoscaling:groupName`.
    pub auto_scaling_group: Option<String>,
    /// Maintenance that AWS has announced.
    pub scheduled_events: Vec<ScheduledEvent>,
}

/// An instance's life cycle, in EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
}

impl InstanceState {
    /// Neither terminated nor irrevocably on its way there.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// Writes EC2's word for the state.
impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        })
    }
}

/// EC2's system and instance status checks, taken together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checks {
    Ok,
    Initializing,
    Impaired(String),
    /// No answer, or not one that we know.
    Unknown,
}

/// A data volume as its instance sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    pub volume: VolumeId,
    /// E.g. `/dev/sdf`.
    pub device: String,
    /// It would be deleted with the instance.
    pub delete_on_termination: bool,
}

/// Announced maintenance of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledEvent {
    /// E.g. `instance-retirement`.
    pub code: String,
    /// The earliest that it may happen.
    pub not_before: Timestamp,
}

/// An EBS data volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    pub id: VolumeId,
    /// From `hermitcrab:slot`.
    pub slot: SlotName,
    /// From `hermitcrab:volume`.
    pub name: VolumeName,
    /// From `hermitcrab:owner`.
    pub owner: Option<Owner>,
    /// From `hermitcrab:slots`: the slots that have ever been initialised, as last recorded here.
    pub slots: BTreeSet<SlotName>,
    /// From `hermitcrab:generation`: the last generation that proved itself on this volume.
    pub generation: Option<Generation>,
    /// From `hermitcrab:image`: the image of that generation, to heal with if a later one is rejected.
    pub image: Option<ImageId>,
    /// From `hermitcrab:attempt`: the attempt that settled or failed last.
    pub attempt: Attempt,
    /// From `hermitcrab:rejected`: a generation that failed here.
    pub rejected: Option<Generation>,
    pub state: VolumeState,
    pub zone: Zone,
    pub size_gib: u32,
    /// EBS reports I/O trouble, with what it says.
    pub impaired: Option<String>,
    /// A modification is under way.
    pub modifying: bool,
}

/// A volume's life cycle, as the volume view tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeState {
    Creating,
    Available,
    InUse(Attachment),
    /// Attached to several instances at once; nothing safe can be done with it.
    Shared(BTreeSet<InstanceId>),
    /// Being deleted, or deleted.
    Deleted,
    /// EBS gave it up.
    Error,
}

/// Writes where a volume stands, for a person to read, e.g. `attached to i-1 at /dev/sdf`.
impl fmt::Display for VolumeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Creating => f.pad("creating"),
            Self::Available => f.pad("available"),
            Self::InUse(at) => {
                let preposition = if at.phase == AttachmentPhase::Detaching { "from" } else { "to" };
                write!(f, "{} {preposition} {} at {}", at.phase, at.instance, at.device)
            }
            Self::Shared(_) => f.pad("attached to several instances"),
            Self::Deleted => f.pad("deleted"),
            Self::Error => f.pad("in state error"),
        }
    }
}

/// Which instance has a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    pub instance: InstanceId,
    pub device: String,
    pub phase: AttachmentPhase,
    /// When attaching was asked for.
    pub since: Timestamp,
}

/// Where an attachment stands, in EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentPhase {
    Attaching,
    Attached,
    Detaching,
    /// Asked to detach, but the guest still uses it.
    Busy,
}

/// Writes EC2's word for the phase.
impl fmt::Display for AttachmentPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Attaching => "attaching",
            Self::Attached => "attached",
            Self::Detaching => "detaching",
            Self::Busy => "busy",
        })
    }
}

/// A snapshot of a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub id: SnapshotId,
    pub volume: VolumeId,
    /// From `hermitcrab:attempt`: the replacement that it was taken for; 0 for one that a copy begins with.
    pub attempt: Attempt,
    /// From `hermitcrab:owner`.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// From `hermitcrab:copy-of`: it was taken to make a volume of a throw-away copy from, of a volume of that cluster. No
    /// other snapshot is ever deleted.
    #[serde(default)]
    pub copy_of: Option<ClusterName>,
    /// When it was begun, as far as EC2 tells.
    #[serde(default)]
    pub begun: Option<Timestamp>,
    /// The size of its volume.
    #[serde(default)]
    pub size_gib: u32,
    /// It can never be used.
    pub failed: bool,
    /// All of its data is safe, whatever becomes of the volume.
    #[serde(default)]
    pub completed: bool,
}

/// What the application's members say of each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Everyone that the cluster now admits to, failed ones included.
    pub members: Vec<Member>,
    /// Who leads, if anybody does.
    pub leader: Option<MemberId>,
    /// The members offer to move leadership on request.
    pub can_transfer: bool,
    /// Whether the application removes failed members by itself.
    pub pruning: Pruning,
}

impl Membership {
    /// The member that sits in a slot.
    pub fn of_slot(&self, slot: &SlotName) -> Option<&Member> {
        self.members.iter().find(|member| member.slot.as_ref() == Some(slot))
    }
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub id: MemberId,
    /// The declared slot whose name it bears; none for a stranger.
    pub slot: Option<SlotName>,
    /// Where its peers find it.
    pub address: Option<IpAddr>,
    /// A member whose vote or copy is needed, e.g. a voter or an in-sync replica. Arithmetic asks this.
    pub counts: bool,
    pub health: Health,
    /// Since when its peers have found it as it is. They may forget with every new leader, so nothing that acts rests
    /// on it; a command that only looks has no timers of its own and shows this.
    pub stable_since: Option<Timestamp>,
    /// How far it lies behind the leader; unknown if the application does not say.
    pub lag: Option<Lag>,
    /// What it says it runs.
    pub version: Option<String>,
}

/// Whether a member is well. Not knowing is a third answer, and it blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    Healthy,
    Unhealthy(String),
    Unknown(String),
}

/// Whether an application drops failed members from its membership, and so shrinks its quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pruning {
    /// It never does.
    Never,
    /// It does, as long as at least so many remain.
    DownTo(usize),
}

/// The one record of a cluster that is written with compare-and-set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimRecord {
    /// Changes with every write; a write names the revision that it replaces.
    pub revision: u64,
    /// The claim, while a slot may be disrupted.
    pub held: Option<Claim>,
    /// The highest attempt ever made for this cluster.
    pub last_attempt: Attempt,
    /// The slots that have ever been initialised: a second memory beside the volumes' tags.
    pub initialised: BTreeSet<SlotName>,
    /// When a replacement was last taken back, or dropped while a launch may have been on its way. For a while after
    /// it no new one begins.
    pub taken_back_at: Option<Timestamp>,
    /// The cluster is being destroyed, or was. Nothing else is done to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// What the latest rehearsals came to, one for each generation, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rehearsed: Vec<Rehearsed>,
}

/// What became of a generation on a throw-away copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    /// What the cluster itself would be brought to.
    pub generation: Generation,
    /// The image that the copy was created at.
    pub from: ImageId,
    /// The image of that generation.
    pub to: ImageId,
    /// When it was over.
    pub at: Timestamp,
    /// The copy's name.
    pub copy: ClusterName,
    /// In what the copy was not as the cluster is, for a person to read.
    pub unlike: Vec<String>,
    pub verdict: Verdict,
}

/// What a rehearsal proves. One that was broken off proves nothing, and has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Nothing speaks against the generation.
    Passed,
    /// This does.
    Failed { findings: Vec<String> },
}

/// A person wants a cluster to be no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    pub since: Timestamp,
    /// Marks the last snapshots, so that none is taken twice.
    pub attempt: Attempt,
    pub remains: Remains,
}

/// What is left of a cluster that is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remains {
    /// Its volumes, and a last snapshot of each.
    Volumes,
    /// The last snapshots alone.
    Snapshots,
    /// Nothing.
    Nothing,
}

/// "This slot may be disrupted, to this end." It has no expiry and is no lease: whoever plans, only the claimed slot
/// may be touched, and the claim moves only when that slot is settled again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub slot: SlotName,
    /// Names the launch; part of its token.
    pub attempt: Attempt,
    /// How many launches were tried under this claim before this one.
    pub tries: u32,
    /// The instance to be replaced; none where the slot had lost it.
    pub old: Option<InstanceId>,
    /// The member that must come back as itself; none where there was none.
    pub member: Option<MemberId>,
    /// What the slot is brought to.
    pub generation: Generation,
    /// The image of that generation.
    pub image: ImageId,
    /// The instance that takes the place, where the group has launched one by itself. Then nothing else is launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recruit: Option<InstanceId>,
    /// When this attempt was claimed.
    pub since: Timestamp,
}

/// The whole fleet at one look, by cluster.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// When the first of its calls was sent.
    pub begun: Timestamp,
    /// Every cluster that has an instance or a volume, declared or not.
    pub clusters: BTreeMap<ClusterName, Arc<CloudView>>,
    /// What is true of the region, for clusters that have nothing yet.
    pub catalogue: Arc<Catalogue>,
}

impl Sweep {
    /// One cluster's part. A cluster with no resources has an empty one.
    pub fn cluster(&self, name: &ClusterName) -> Arc<CloudView> {
        self.clusters
            .get(name)
            .cloned()
            .unwrap_or_else(|| Arc::new(CloudView { catalogue: self.catalogue.clone(), ..CloudView::default() }))
    }
}
