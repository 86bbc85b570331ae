//! The differences between a copy and its cluster that somebody wants, and their words.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{ClusterName, SlotName, VolumeId, VolumeName, Zone};
use crate::observed::{CloudView, Health, Membership, Volume, VolumeState};
use crate::spec::{COPY_OF, ClusterSpec, Original, Seed};

/// The differences that are wanted. Everything else is as in the cluster.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Another instance type, e.g. `t3.small`.
    pub instance_type: Option<String>,
    /// The subnet of the slots in each of these zones.
    pub subnets: BTreeMap<Zone, String>,
    /// All security groups of the copy; none for the cluster's own.
    pub security_groups: BTreeSet<String>,
    /// The slot whose data the copy begins with; none for blank volumes.
    pub data: Option<Source>,
}

/// A slot of the cluster, and its volumes.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub slot: SlotName,
    pub volumes: BTreeMap<VolumeName, VolumeId>,
}

/// A subnet was given for a zone that the cluster has no slot in.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{cluster} has no slot in {zone}; its zones are {zones}")]
pub struct UnknownZone {
    pub cluster: ClusterName,
    pub zone: Zone,
    pub zones: String,
}

/// The reason why there is no data to begin with.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum NoSource {
    #[error("{0} has no healthy voter that does not lead, and so nobody whose data could be copied")]
    NoFollower(ClusterName),
    #[error("{slot} has no volume {volume} that could be copied")]
    NoVolume { slot: SlotName, volume: VolumeName },
}

impl Changes {
    /// Makes the changes in a copy, and says in words what differs now.
    pub fn make(&self, copy: &mut ClusterSpec) -> Result<Vec<String>, UnknownZone> {
        let mut told = Vec::new();
        if let Some(other) = self.instance_type.as_ref().filter(|other| **other != copy.instance.instance_type) {
            told.push(format!("instance type {} → {other}", copy.instance.instance_type));
            copy.instance.instance_type.clone_from(other);
        }
        for (zone, subnet) in &self.subnets {
            told.extend(move_zone(copy, zone, subnet)?);
        }
        let groups = &self.security_groups;
        if !groups.is_empty() && *groups != copy.instance.security_groups {
            let listed = |groups: &BTreeSet<String>| groups.iter().cloned().collect::<Vec<_>>().join(" ");
            told.push(format!("security groups {} → {}", listed(&copy.instance.security_groups), listed(groups)));
            copy.instance.security_groups.clone_from(groups);
        }
        if let Some(source) = &self.data {
            told.push(format!("data of {}", source.slot));
            begin_with(copy, source);
        }
        Ok(told)
    }
}

/// Puts all slots of a zone into another subnet.
fn move_zone(copy: &mut ClusterSpec, zone: &Zone, subnet: &str) -> Result<Option<String>, UnknownZone> {
    if copy.slots.iter().all(|slot| slot.zone != *zone) {
        let zones: BTreeSet<&str> = copy.slots.iter().map(|slot| &*slot.zone).collect();
        let zones = zones.into_iter().collect::<Vec<_>>().join(", ");
        let cluster = copy.origin.as_ref().map_or(&copy.name, |origin| &origin.cluster).clone();
        return Err(UnknownZone { cluster, zone: zone.clone(), zones });
    }
    let mut before = BTreeSet::new();
    for slot in copy.slots.iter_mut().filter(|slot| slot.zone == *zone && slot.subnet != subnet) {
        before.insert(std::mem::replace(&mut slot.subnet, subnet.to_owned()));
    }
    let before = before.into_iter().collect::<Vec<_>>().join(" ");
    Ok((!before.is_empty()).then(|| format!("subnet in {zone} {before} → {subnet}")))
}

/// Lets the first slot begin with the data. All instances bear the tag, because tags are the cluster's; a blank volume is blank
/// whatever the tag says.
fn begin_with(copy: &mut ClusterSpec, source: &Source) {
    if let (Some(Original { cluster, seed }), Some(first)) = (&mut copy.origin, copy.slots.first()) {
        *seed = Some(Seed { slot: first.name.clone(), volumes: source.volumes.clone() });
        copy.instance.tags.insert(COPY_OF.to_owned(), cluster.to_string());
    }
}

impl Source {
    /// Finds the first slot whose member is a healthy voter and does not lead: it has all of the data, and is missed least
    /// while its volume is read.
    pub fn find(spec: &ClusterSpec, view: &CloudView, membership: &Membership) -> Result<Self, NoSource> {
        let follows = |slot: &&SlotName| {
            let member = membership.of_slot(slot);
            member.is_some_and(|member| {
                member.counts && member.health == Health::Healthy && membership.leader.as_ref() != Some(&member.id)
            })
        };
        let slot = spec.slots.iter().map(|slot| &slot.name).find(follows);
        let slot = slot.ok_or_else(|| NoSource::NoFollower(spec.name.clone()))?;
        let volume = |name: &VolumeName| {
            let usable = |volume: &&Volume| !matches!(volume.state, VolumeState::Deleted | VolumeState::Error);
            let mut volumes = view.volumes().filter(usable);
            let there = volumes.find(|volume| volume.slot == *slot && volume.name == *name);
            let (slot, volume) = (slot.clone(), name.clone());
            there.map(|there| (name.clone(), there.id.clone())).ok_or(NoSource::NoVolume { slot, volume })
        };
        let volumes = spec.volumes.iter().map(|declared| volume(&declared.name)).collect::<Result<_, _>>()?;
        Ok(Self { slot: slot.clone(), volumes })
    }
}
