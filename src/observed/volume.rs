//! Volumes and snapshots, as EBS shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, ClusterName, Generation, ImageId, InstanceId, Owner, SlotName, SnapshotId, VolumeId};
use crate::ids::{VolumeName, Zone};
use crate::spec::EbsSettings;
use crate::time::Timestamp;

/// A data volume of a slot. Its tags are the memory of the slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    pub id: VolumeId,
    /// From the tag `hermitcrab:slot`, e.g. `consul-a`.
    pub slot: SlotName,
    /// From the tag `hermitcrab:volume`, e.g. `data`.
    pub name: VolumeName,
    /// From the tag `hermitcrab:owner`, e.g. `hermitcrab`.
    pub owner: Option<Owner>,
    /// The slots that have ever been initialised, as last recorded here; from the tag `hermitcrab:slots`. Most volumes of a cluster
    /// share the list.
    pub slots: Arc<BTreeSet<SlotName>>,
    /// The last launch that proved itself on this volume, if one has.
    #[serde(flatten)]
    pub settled: Option<Settled>,
    /// The last attempt that settled or failed here, from the tag `hermitcrab:attempt`; 0 before there is one.
    pub attempt: Attempt,
    /// The generation that failed here, from the tag `hermitcrab:rejected`.
    pub rejected: Option<Generation>,
    pub state: VolumeState,
    /// E.g. `us-east-1a`.
    pub zone: Zone,
    pub size_gib: u32,
    /// The settings that EBS shows beside the size; none where it shows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs: Option<EbsSettings>,
    /// The tags that are neither ours nor AWS's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Trouble with its I/O, in EBS's words, e.g. `io-enabled failed`.
    pub impaired: Option<String>,
    /// A modification of its size or type is under way.
    pub modifying: bool,
    /// A modification has taken effect, and EBS is busy with it for hours perhaps: the volume can be moved meanwhile, and not be
    /// modified again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optimizing: bool,
}

impl Volume {
    /// Says whether EBS has a modification of it in hand, and takes no further one.
    pub fn is_being_modified(&self) -> bool {
        self.modifying || self.optimizing
    }

    /// Says whether that generation was the last one that proved itself here.
    pub fn carries(&self, generation: &Generation) -> bool {
        self.settled.as_ref().is_some_and(|settled| settled.generation == *generation)
    }
}

/// A launch that proved itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// From the tag `hermitcrab:generation`.
    pub generation: Generation,
    /// The image of that generation, to heal with if a later one is rejected; from the tag `hermitcrab:image`. None where
    /// somebody has removed that tag.
    pub image: Option<ImageId>,
}

/// The life cycle of a volume, as the volume view tells it.
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

/// Writes the state for a person to read, e.g. `attached to i-1 at /dev/sdf`.
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

/// The attachment of a volume to one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    pub instance: InstanceId,
    /// E.g. `/dev/sdf`.
    pub device: String,
    pub phase: AttachmentPhase,
    /// The time at which attaching was asked for.
    pub since: Timestamp,
}

/// The progress of an attachment, in EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentPhase {
    Attaching,
    Attached,
    Detaching,
    /// Asked to detach, but the guest still uses it.
    Busy,
}

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
    #[serde(flatten)]
    pub purpose: SnapshotPurpose,
    /// From the tag `hermitcrab:owner`, e.g. `hermitcrab`.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// The time at which it was begun, as far as EC2 tells.
    #[serde(default)]
    pub begun: Option<Timestamp>,
    /// The size of its volume.
    #[serde(default)]
    pub size_gib: u32,
    #[serde(default)]
    pub state: SnapshotState,
}

impl Snapshot {
    /// Says whether a throw-away copy of a cluster begins with it.
    pub fn is_copy(&self) -> bool {
        matches!(self.purpose, SnapshotPurpose::Copy { .. })
    }

    /// Says whether it was begun as the backup of that volume for that attempt, whatever has come of it.
    pub fn is_backup(&self, volume: &VolumeId, attempt: Attempt, taken: Taken) -> bool {
        self.volume == *volume && self.purpose == SnapshotPurpose::Backup { attempt, taken }
    }

    /// Says whether it is the backup of that volume for that attempt, and may still be used.
    pub fn backs_up(&self, volume: &VolumeId, attempt: Attempt, taken: Taken) -> bool {
        self.state != SnapshotState::Failed && self.is_backup(volume, attempt, taken)
    }
}

/// The reason for which a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SnapshotTags", into = "SnapshotTags")]
pub enum SnapshotPurpose {
    /// A replacement or the end of the cluster was ahead, so the data was saved; the number is from the tag
    /// `hermitcrab:attempt`, and the moment from `hermitcrab:taken`.
    Backup { attempt: Attempt, taken: Taken },
    /// A throw-away copy of that cluster begins with it; from the tag `hermitcrab:copy-of`. No other snapshot is ever
    /// deleted.
    Copy { of: ClusterName },
}

/// The moment of a snapshot, by what the volume's instance did then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// The instance wrote to it: it is as after a loss of power.
    Running,
    /// Nothing wrote to it any more.
    #[default]
    AtRest,
}

impl Taken {
    /// Says whether nothing wrote to the volume any more.
    pub fn is_at_rest(&self) -> bool {
        *self == Self::AtRest
    }
}

/// The tags that tell a purpose.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotTags {
    #[serde(default)]
    attempt: Attempt,
    #[serde(default)]
    copy_of: Option<ClusterName>,
    #[serde(default, skip_serializing_if = "Taken::is_at_rest")]
    taken: Taken,
}

impl SnapshotPurpose {
    /// Reads the purpose off its tags.
    pub fn of(copy_of: Option<ClusterName>, attempt: Attempt, taken: Taken) -> Self {
        copy_of.map_or(Self::Backup { attempt, taken }, |of| Self::Copy { of })
    }
}

impl From<SnapshotTags> for SnapshotPurpose {
    fn from(tags: SnapshotTags) -> Self {
        Self::of(tags.copy_of, tags.attempt, tags.taken)
    }
}

impl From<SnapshotPurpose> for SnapshotTags {
    fn from(purpose: SnapshotPurpose) -> Self {
        match purpose {
            SnapshotPurpose::Backup { attempt, taken } => Self { attempt, copy_of: None, taken },
            SnapshotPurpose::Copy { of } => Self { copy_of: Some(of), ..Self::default() },
        }
    }
}

/// The progress of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotState {
    /// EBS gave it up, so it can never be used.
    Failed,
    #[default]
    Pending,
    /// All of its data is safe, whatever becomes of the volume.
    Completed,
}
