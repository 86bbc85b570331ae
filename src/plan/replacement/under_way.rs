//! A replacement under way: the claim, its slot, and the instances that it is about.

use crate::action::{ClaimEffect, Effect};
use crate::ids::{InstanceId, VolumeId};
use crate::observed::{Claim, Instance};
use crate::plan::answer::{Hazard, Plan, Why};
use crate::plan::look::{Look, Place, SlotLook};

/// A replacement under way: the claim and what it is about.
pub(super) struct Replacement<'l, 'a> {
    pub(super) look: &'l Look<'a>,
    pub(super) slot: &'l SlotLook<'a>,
    pub(super) claim: &'a Claim,
    /// The instance to be replaced, if the claim names one and EC2 shows it.
    pub(super) old: Option<&'a Instance>,
    /// The instance launched under this claim's attempt, if EC2 shows it.
    pub(super) new: Option<&'a Instance>,
}

impl<'a> Replacement<'_, 'a> {
    /// Gives the slot up. After a replacement that was `taken_back` there is a pause.
    pub(super) fn release(&self, taken_back: bool, why: Why) -> Plan {
        let mut initialised = self.look.record.initialised.clone();
        initialised.insert(self.slot.spec.name.clone());
        let effect = ClaimEffect::Release { expects: self.look.record.revision, initialised, taken_back };
        self.look.effect(Some(&self.slot.spec.name), Effect::Claim(effect), why)
    }

    /// The slot's volumes that are not (wholly) at that instance, each with where it is.
    pub(super) fn elsewhere(&self, id: &InstanceId) -> Vec<(&'a str, &'a VolumeId, Place<'a>)> {
        self.slot
            .present()
            .map(|(spec, volume)| (spec.device.as_str(), &volume.id, self.look.place(volume)))
            .filter(|(_, _, place)| *place != Place::On(id))
            .collect()
    }

    /// Blocked, with all the reasons.
    pub(super) fn blocked(&self, hazards: Vec<Hazard>) -> Plan {
        self.look.blocked(self.slot, hazards)
    }
}
