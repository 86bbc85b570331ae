//! Conditions of an instance.

use std::collections::BTreeMap;

use crate::ids::{ClusterName, InstanceId, InterfaceId, VolumeId};
use crate::observed::InstanceState;

use super::super::Recruitment;
use super::super::facts::{Facts, InstanceFacts};
use super::condition::{Difference, Ours};

/// Something that an instance is or is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InstanceCondition<'e> {
    /// Bears our tags.
    IsOurs(Ours<'e>),
    /// In one of these states.
    In(&'static [InstanceState]),
    /// Marked as superseded, or never needed.
    IsRetired,
    /// Without any data volume of a cluster, in both views: nothing is terminated while a data volume is attached to it.
    HoldsNoData,
    /// Without a volume of somebody else's that EC2 would delete with it. An instance that we launched has none but those
    /// that its image brought.
    DeletesNothing,
    /// Without that volume in its own view, which may show for a moment what has left already.
    ListsNot(&'e VolumeId),
    /// With nothing at that device yet.
    HasFree(&'e str),
    /// Without protection from being terminated. What is stopped is terminated in its turn, and the claim is held until then.
    MayBeTerminated,
    /// With all of these tags.
    Bears(&'e BTreeMap<String, String>),
    /// With that primary network interface.
    HasInterface(&'e InterfaceId),
    /// Without a tag of any cluster.
    InNoCluster,
    /// A member of that Auto Scaling group, or of none.
    InGroup(Option<&'e str>),
    /// One of the slot's already, by the tags that a recruitment writes.
    IsRecruited { cluster: &'e ClusterName, wanted: &'e Recruitment },
}

impl InstanceCondition<'_> {
    /// Tells whether the volume view is needed as well.
    pub(super) fn asks_for_volumes(&self) -> bool {
        matches!(self, Self::HoldsNoData | Self::DeletesNothing)
    }

    /// Holds the condition against an instance.
    pub(super) fn compare(&self, id: &InstanceId, seen: &InstanceFacts, facts: &Facts) -> Result<(), Difference> {
        let found_group = || seen.group.clone().unwrap_or_else(|| "no group".to_owned());
        let (holds, expected, found) = match *self {
            Self::IsOurs(ours) => {
                return ours.compare(id, seen.cluster.as_ref(), seen.owner.as_ref(), seen.slot.as_ref());
            }
            Self::HoldsNoData => return holds_no_data(id, seen, facts),
            Self::DeletesNothing => return deletes_nothing(id, seen),
            Self::In(states) => {
                let words: Vec<_> = states.iter().map(InstanceState::to_string).collect();
                (states.contains(&seen.state), format!("{id} {}", words.join(" or ")), seen.state.to_string())
            }
            Self::IsRetired => (seen.retired, format!("{id} retired"), "no such tag".to_owned()),
            Self::ListsNot(volume) => {
                let listed = seen.devices.iter().find(|device| device.volume == *volume);
                let found = listed.map_or_else(String::new, |listed| format!("{volume} at {}", listed.device));
                (listed.is_none(), format!("{id} not to list {volume} any more"), found)
            }
            Self::HasFree(device) => {
                let taken = seen.devices.iter().find(|taken| taken.device == device);
                let found = taken.map_or_else(String::new, |taken| taken.volume.to_string());
                (taken.is_none(), format!("nothing at {device} of {id}"), found)
            }
            Self::MayBeTerminated => {
                let found = "one that EC2 does not terminate: turn DisableApiTermination off";
                (!seen.is_protected, format!("{id} without protection from termination"), found.to_owned())
            }
            Self::Bears(tags) => {
                let holds = tags.iter().all(|(key, value)| seen.tags.get(key) == Some(value));
                (holds, format!("{id} with its declared tags"), "other tags".to_owned())
            }
            Self::HasInterface(interface) => {
                let found = seen.interface.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
                (seen.interface.as_ref() == Some(interface), format!("{id} with {interface}"), found)
            }
            Self::InNoCluster => {
                let found = seen.cluster.as_deref().unwrap_or_default();
                (seen.cluster.is_none(), format!("{id} without a tag of ours"), format!("hermitcrab:cluster={found}"))
            }
            Self::InGroup(None) => (seen.group.is_none(), format!("{id} in no group"), found_group()),
            Self::InGroup(Some(group)) => {
                (seen.group.as_deref() == Some(group), format!("{id} launched by {group}"), found_group())
            }
            Self::IsRecruited { cluster, wanted } => {
                let holds = is_recruited(seen, cluster, wanted);
                (holds, format!("{id} of {}", wanted.slot), "an instance of no slot".to_owned())
            }
        };
        if holds { Ok(()) } else { Err(Difference::new(expected, found)) }
    }
}

fn is_recruited(seen: &InstanceFacts, cluster: &ClusterName, wanted: &Recruitment) -> bool {
    seen.cluster.as_ref() == Some(cluster)
        && seen.slot.as_ref() == Some(&wanted.slot)
        && seen.owner.as_ref() == Some(&wanted.owner)
        && seen.generation.as_ref() == Some(&wanted.generation)
        && seen.attempt == Some(wanted.attempt)
}

/// Wants no data volume in either view. A volume without a cluster's tag is no data volume of ours, but both views must
/// know of it: one that only the instance view shows may be any volume.
fn holds_no_data(id: &InstanceId, seen: &InstanceFacts, facts: &Facts) -> Result<(), Difference> {
    let nothing = || format!("no data volume attached to {id}");
    let mut attached = facts.volumes.iter().filter(|(_, volume)| volume.is_at(id));
    if let Some((volume, _)) = attached.find(|(_, volume)| volume.cluster.is_some()) {
        return Err(Difference::new(nothing(), volume.to_string()));
    }
    let elsewhere = seen.devices.iter().filter(|device| !device.is_root).find(|device| {
        let in_volume_view = facts.volumes.get(&device.volume);
        !in_volume_view.is_some_and(|volume| volume.is_at(id))
    });
    elsewhere.map_or(Ok(()), |device| {
        Err(Difference::new(nothing(), format!("{}, which the volume view shows elsewhere", device.volume)))
    })
}

fn deletes_nothing(id: &InstanceId, seen: &InstanceFacts) -> Result<(), Difference> {
    let was_launched = seen.generation.is_some();
    let deleted = seen.devices.iter().find(|device| !device.is_root && device.delete_on_termination && !was_launched);
    deleted.map_or(Ok(()), |device| {
        let expected = format!("no volume without hermitcrab tags that EC2 would delete with {id}");
        Err(Difference::new(expected, format!("{}: detach it first", device.volume)))
    })
}
