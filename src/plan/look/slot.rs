//! One slot, as it is looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Generation, InstanceId, VolumeId, VolumeName};
use crate::observed::{Claim, CloudView, Health, Instance, Member, Membership, Volume, VolumeState};
use crate::spec::{ClusterSpec, SlotSpec, VolumeSpec};
use crate::time::Timestamp;

/// Everything that belongs to one slot.
#[derive(Debug)]
pub struct SlotLook<'a> {
    pub spec: &'a SlotSpec,
    /// The instances, dead ones too for as long as EC2 shows them, without the one that was launched ahead: that has no part in
    /// the slot before a claim takes it over.
    pub instances: Vec<&'a Instance>,
    /// The declared volumes, each with the volume that is there.
    pub volumes: Vec<(&'a VolumeSpec, Option<&'a Volume>)>,
    /// A declared volume that several volumes say they are, e.g. one and its restored copy: tags are not unique.
    pub contested: Option<(VolumeName, BTreeMap<VolumeId, VolumeState>)>,
    pub member: Option<&'a Member>,
}

impl<'a> SlotLook<'a> {
    pub(super) fn new(
        spec: &'a ClusterSpec,
        slot: &'a SlotSpec,
        cloud: &'a CloudView,
        ahead: Option<&Instance>,
        membership: Option<&'a Membership>,
    ) -> Self {
        let candidates = |declared: &'a VolumeSpec| {
            cloud.volumes().filter(move |volume| {
                volume.slot == slot.name && volume.name == declared.name && volume.state != VolumeState::Deleted
            })
        };
        // Of several the one that serves is shown as the slot's; nothing is decided before it is the only one.
        let serves = |volume: &&Volume| match &volume.state {
            VolumeState::InUse(at) => cloud.instance(&at.instance).is_some_and(|instance| instance.slot == slot.name),
            _ => false,
        };
        let is_ahead = |instance: &Instance| ahead.is_some_and(|ahead| ahead.id == instance.id);
        let shown = |declared| candidates(declared).find(serves).or_else(|| candidates(declared).next());
        let contested = spec.volumes.iter().find(|declared| candidates(declared).nth(1).is_some());
        Self {
            spec: slot,
            instances: cloud.instances().filter(|it| it.slot == slot.name && !is_ahead(it)).collect(),
            volumes: spec.volumes.iter().map(|declared| (declared, shown(declared))).collect(),
            contested: contested.map(|declared| {
                (declared.name.clone(), candidates(declared).map(|one| (one.id.clone(), one.state.clone())).collect())
            }),
            member: membership.and_then(|membership| membership.of_slot(&slot.name)),
        }
    }

    /// Lists the slot's instances that are neither dead nor dying.
    pub fn live(&self) -> impl Iterator<Item = &'a Instance> + '_ {
        self.instances.iter().copied().filter(|instance| instance.state.is_live())
    }

    /// Finds the slot's instance of that id, dead or alive.
    pub fn instance(&self, id: &InstanceId) -> Option<&'a Instance> {
        self.instances.iter().copied().find(|instance| instance.id == *id)
    }

    /// Finds the instance that was launched under a claim's attempt, dead or alive.
    pub fn launched_under(&self, claim: &Claim) -> Option<&'a Instance> {
        let is_new = |i: &&Instance| claim.launched(i);
        self.instances.iter().copied().find(is_new)
    }

    /// Finds when an instance was given one of the slot's volumes last.
    pub fn given_since(&self, id: &InstanceId) -> Option<Timestamp> {
        let given = self.present().filter_map(|(_, volume)| match &volume.state {
            VolumeState::InUse(attachment) => (attachment.instance == *id).then_some(attachment.since),
            _ => None,
        });
        given.max()
    }

    /// Lists the ids of the volumes that are there.
    pub fn volume_ids(&self) -> BTreeSet<VolumeId> {
        self.present().map(|(_, volume)| volume.id.clone()).collect()
    }

    /// Lists the volumes that are there by their names.
    pub fn named_volumes(&self) -> BTreeMap<VolumeName, VolumeId> {
        self.present().map(|(_, volume)| (volume.name.clone(), volume.id.clone())).collect()
    }

    /// Lists the declared volumes that are not there.
    pub fn lacking(&self) -> Vec<VolumeName> {
        self.volumes.iter().filter(|(_, there)| there.is_none()).map(|(spec, _)| spec.name.clone()).collect()
    }

    /// Lists the volumes that are there.
    pub fn present(&self) -> impl Iterator<Item = (&'a VolumeSpec, &'a Volume)> + '_ {
        self.volumes.iter().filter_map(|(spec, volume)| volume.map(|volume| (*spec, volume)))
    }

    /// Says whether the slot's volumes record that an instance has proved itself with what it was launched as.
    pub fn has_settled(&self, instance: &Instance) -> bool {
        let Some(generation) = instance.generation() else { return false };
        self.present().all(|(_, volume)| volume.carries(generation) && Some(volume.attempt) == instance.attempt())
    }

    /// Says whether the slot's member counts, and is healthy.
    pub fn counts_as_healthy(&self) -> bool {
        self.member.is_some_and(|member| member.counts && member.health == Health::Healthy)
    }

    /// Says whether that generation failed here, be it for itself or together with what is the slot's own: its subnet as it
    /// is declared now, or the instance whose place was to be taken.
    pub fn rejected_here(&self, generation: &Generation) -> bool {
        // Nothing has failed in most slots, and each slot is asked many times a plan.
        if self.present().all(|(_, volume)| volume.rejected.is_none()) {
            return false;
        }
        let instances = self.live().map(|instance| &*instance.id);
        let mut places = instances.chain([self.spec.subnet.as_str()]);
        let with_address = self.spec.address.map(|address| generation.together_with(&address.to_string()));
        self.rejected(generation)
            || places.any(|place| self.rejected(&generation.together_with(place)))
            || with_address.is_some_and(|both| self.rejected(&both))
    }

    /// Finds the instance in whose place that generation failed, and not for itself.
    pub fn rejected_in_place_of(&self, generation: &Generation) -> Option<&'a Instance> {
        let failed_in_its_place = |instance: &&Instance| self.rejected(&generation.together_with(&instance.id));
        self.live().find(failed_in_its_place).filter(|_| !self.rejected(generation))
    }

    /// Says whether that generation failed here for itself.
    pub fn rejected(&self, generation: &Generation) -> bool {
        self.present().any(|(_, volume)| volume.rejected.as_ref() == Some(generation))
    }
}
