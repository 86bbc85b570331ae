//! Conditions of a volume.

use std::collections::BTreeSet;

use crate::ids::{Attempt, ClusterName, Generation, ImageId, InstanceId, SlotName, VolumeId, VolumeName};
use crate::observed::{AttachmentPhase, VolumeState};

use super::super::facts::VolumeFacts;
use super::condition::{Difference, Ours};

/// Something that a volume is or is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VolumeCondition<'e> {
    /// Bears our tags.
    IsOurs(Ours<'e>),
    /// A volume of that name of another cluster, to which nothing is done.
    IsOf { cluster: &'e ClusterName, name: &'e VolumeName },
    /// Attached to nothing.
    IsAvailable,
    /// Attached to nothing, or to one instance.
    IsPresent,
    /// Deleted, or on its way there.
    IsDeleted,
    /// Attached to that instance, at whatever device.
    IsAt(&'e InstanceId),
    /// Attached to that instance, and neither on its way there nor back.
    IsAttachedTo(&'e InstanceId),
    /// Of just that size, in GiB.
    HasJust(u32),
    /// Of that size or larger, in GiB.
    HasAtLeast(u32),
    /// Without a modification in EBS's hands.
    IsNotBeingModified,
    /// Attached to that instance, or on its way there.
    IsComingTo(&'e InstanceId),
    /// Detached, or being detached from that instance.
    IsLeaving(&'e InstanceId),
    /// Marked with what proved itself on it.
    Settled { generation: &'e Generation, image: &'e ImageId, attempt: Attempt },
    /// Marked with what failed on it.
    Rejected { generation: &'e Generation, attempt: Attempt },
    /// Without the mark that this generation failed on it. Another generation's mark is left alone.
    Forgiven { generation: &'e Generation },
    /// Marked with all of these slots.
    Remembers(&'e BTreeSet<SlotName>),
}

impl VolumeCondition<'_> {
    /// Says whether the volume view is not enough to judge the condition by.
    pub(super) fn asks_for_modification(&self) -> bool {
        matches!(self, Self::IsNotBeingModified)
    }

    /// Holds the condition against a volume.
    pub(super) fn compare(&self, id: &VolumeId, seen: &VolumeFacts) -> Result<(), Difference> {
        if let Self::IsOurs(ours) = self {
            return ours.compare(id, seen.cluster.as_ref(), seen.owner.as_ref(), seen.slot.as_ref());
        }
        if self.holds(seen) {
            return Ok(());
        }
        Err(Difference::new(format!("{id} {}", self.words()), self.found(seen)))
    }

    fn holds(&self, seen: &VolumeFacts) -> bool {
        let at = match &seen.state {
            VolumeState::InUse(at) => Some(at),
            _ => None,
        };
        match *self {
            Self::IsOurs(_) => true, // answered above, tag by tag
            Self::IsOf { cluster, name } => seen.cluster.as_ref() == Some(cluster) && seen.name.as_ref() == Some(name),
            Self::IsAvailable => seen.state == VolumeState::Available,
            Self::IsPresent => matches!(seen.state, VolumeState::Available | VolumeState::InUse(_)),
            Self::IsDeleted => seen.state == VolumeState::Deleted,
            Self::IsAt(instance) => at.is_some_and(|at| at.instance == *instance),
            Self::IsAttachedTo(instance) => {
                at.is_some_and(|at| at.instance == *instance && at.phase == AttachmentPhase::Attached)
            }
            Self::HasJust(gib) => seen.size_gib == gib,
            Self::HasAtLeast(gib) => seen.size_gib >= gib,
            Self::IsNotBeingModified => !seen.is_being_modified,
            Self::IsComingTo(instance) => {
                at.is_some_and(|at| at.instance == *instance && at.phase != AttachmentPhase::Detaching)
            }
            Self::IsLeaving(instance) => match at {
                Some(at) => at.instance == *instance && at.phase == AttachmentPhase::Detaching,
                None => seen.state == VolumeState::Available,
            },
            Self::Settled { generation, image, attempt } => {
                let marks = (seen.generation.as_ref(), seen.image.as_ref(), seen.attempt);
                marks == (Some(generation), Some(image), Some(attempt))
            }
            Self::Rejected { generation, attempt } => {
                (seen.rejected.as_ref(), seen.attempt) == (Some(generation), Some(attempt))
            }
            Self::Forgiven { generation } => seen.rejected.as_ref() != Some(generation),
            Self::Remembers(slots) => seen.slots.is_superset(slots),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::IsOurs(_) => "of ours".to_owned(),
            Self::IsOf { cluster, name } => format!("to be {name} of {cluster}"),
            Self::IsAvailable => "available".to_owned(),
            Self::IsPresent => "available or attached".to_owned(),
            Self::IsDeleted => "deleted".to_owned(),
            Self::HasJust(gib) => format!("of {gib} GiB"),
            Self::HasAtLeast(gib) => format!("of {gib} GiB or more"),
            Self::IsNotBeingModified => "without a modification under way".to_owned(),
            Self::IsAt(instance) | Self::IsAttachedTo(instance) | Self::IsComingTo(instance) => {
                format!("attached to {instance}")
            }
            Self::IsLeaving(instance) => format!("detached from {instance}"),
            Self::Settled { generation, .. } => format!("to say that {generation} settled"),
            Self::Rejected { generation, .. } => format!("to say that {generation} failed"),
            Self::Forgiven { generation } => format!("not to say that {generation} failed"),
            Self::Remembers(slots) => format!("to name {} slots", slots.len()),
        }
    }

    fn found(&self, seen: &VolumeFacts) -> String {
        match self {
            Self::IsOf { .. } => {
                let [name, cluster] = [seen.name.as_deref(), seen.cluster.as_deref()];
                format!("{} of {}", name.unwrap_or("no volume"), cluster.unwrap_or("no cluster"))
            }
            Self::Settled { .. } | Self::Rejected { .. } | Self::Forgiven { .. } | Self::Remembers(_) => {
                "other tags".to_owned()
            }
            Self::HasJust(_) | Self::HasAtLeast(_) => format!("{} GiB", seen.size_gib),
            Self::IsNotBeingModified => "one".to_owned(),
            _ => seen.state.to_string(),
        }
    }
}
