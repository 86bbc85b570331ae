//! The claimed slot: finish its replacement, take it back, or drop it, whichever the world says it is at.
//!
//! ```text
//! surge     launch ─ running, checks ─ gates ─ leadership away ─ STOP old ─┐
//! recreate  gates ─ leadership away ─ STOP old ─┐                          │
//!                     (snapshot) ─ detach ─ launch ─ running, checks ─┐    (snapshot) ─ detach ─┐
//!                                                                     └──────── attach to new ──┴─ member back
//!           ─ bake ─ retire old ─ terminate old ─ volumes carry the generation ─ release the claim
//! ```
//!
//! Which way it goes is read off the world too. A generation that the slot's volumes carry as *rejected* is being
//! taken back; a claim for something the spec no longer wants is dropped as long as no data has moved.

use std::time::Duration;

use crate::action::{ClaimEffect, Effect};
use crate::ids::VolumeId;
use crate::observed::{Claim, Instance, InstanceState};

use super::answer::{Hazard, Plan, Stall, Why};
use super::drift::drifts;
use super::group;
use super::look::{Look, Place, SlotLook};
use super::standing;

mod back;
mod forward;
mod proof;
mod shells;

pub use shells::token;

/// How long a state change of an instance may take before it is worth a person's attention.
const INSTANCE_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The same for a volume: attaching takes seconds, and 90 s is where EBS's own driver gives up.
const VOLUME_PATIENCE: Duration = Duration::from_secs(90);
/// How long EC2 goes on showing a terminated instance. Absence means nothing before that.
const TERMINATED_SHOWN: Duration = Duration::from_secs(60 * 60);

/// A replacement under way: the claim and what it is about.
struct Replacement<'l, 'a> {
    look: &'l Look<'a>,
    slot: &'l SlotLook<'a>,
    claim: &'a Claim,
    /// The instance to be replaced, if the claim names one and EC2 shows it.
    old: Option<&'a Instance>,
    /// The instance launched under this claim's attempt, if EC2 shows it.
    new: Option<&'a Instance>,
}

/// If a slot is claimed, the next thing to do about it.
pub fn finish(look: &Look<'_>) -> Option<Plan> {
    let claim = look.record.held.as_ref()?;
    let Some(slot) = look.slot(&claim.slot) else {
        return Some(Plan::Stalled(Stall::ClaimForUndeclared { slot: claim.slot.clone() }));
    };
    let old = claim.old.as_ref().and_then(|id| slot.instance(id));
    let is_new = |instance: &&Instance| instance.attempt == claim.attempt && Some(&instance.id) != claim.old.as_ref();
    let new = slot.instances.iter().copied().find(is_new);
    let replacement = Replacement { look, slot, claim, old, new };
    Some(replacement.sound().or_else(|| replacement.quiet()).unwrap_or_else(|| match () {
        () if slot.rejected(&claim.generation) => replacement.back(),
        () if replacement.is_superseded() => replacement.drop_it(),
        () => replacement.forward(),
    }))
}

impl<'a> Replacement<'_, 'a> {
    /// A reason why nothing at all can be done in this slot.
    fn sound(&self) -> Option<Plan> {
        if let Some(stall) = standing::fault(self.look, self.slot) {
            return Some(Plan::Stalled(stall));
        }
        let known = |instance: &Instance| {
            Some(&instance.id) == self.claim.old.as_ref() || Some(&instance.id) == self.new.map(|new| &new.id)
        };
        let strangers: Vec<_> = self.slot.live().filter(|instance| !known(instance) && !instance.retired).collect();
        let is_served = |by: &&Instance| self.slot.all_on(self.look, &by.id);
        match strangers.as_slice() {
            [] => None,
            // It was claimed on an old look: somebody has given the slot an instance since.
            [one] if self.claim.old.is_none() && self.new.is_none() && is_served(one) => {
                Some(self.release(true, Why::Superseded))
            }
            _ => {
                let instances = self.slot.live().map(|instance| instance.id.clone()).collect();
                Some(Plan::Stalled(Stall::Contested { slot: self.slot.spec.name.clone(), instances }))
            }
        }
    }

    /// Keeps the adopted group from acting. Where the claim is to be given up and nothing was launched, there is no need.
    fn quiet(&self) -> Option<Plan> {
        let is_idle = self.new.is_none() && self.is_superseded() && !self.slot.rejected(&self.claim.generation);
        if is_idle { None } else { group::quiet(self.look, self.slot) }
    }

    /// Whether what was claimed is not wanted any more, and no data has moved yet. Once it has, the replacement is
    /// finished (or taken back) before the direction changes. A slot that has lost its instance comes before one that
    /// only has an outdated one: the gates would keep this one from going on, and the claim that one from being healed.
    fn is_superseded(&self) -> bool {
        match self.old {
            Some(old) => {
                let untouched = old.state == InstanceState::Running && self.slot.all_on(self.look, &old.id);
                let unwanted = self.claim.generation != self.look.generation || self.old_will_do(old);
                untouched && (unwanted || super::heal::is_needed_beside(self.look, self.slot))
            }
            None if self.claim.old.is_some() => false,
            None => {
                let moved = self.new.is_some_and(|new| self.slot.any_at(self.look, &new.id));
                // What the group has launched is a slot's instance like any other, and if outdated is replaced as one.
                let launched_for_it = self.claim.recruit.is_none();
                !moved && launched_for_it && self.claim.generation != self.healing_generation()
            }
        }
    }

    fn old_will_do(&self, old: &Instance) -> bool {
        drifts(self.look.spec, self.slot.spec, old).is_empty()
    }

    /// What a lost slot should be healed with as things are now.
    fn healing_generation(&self) -> crate::ids::Generation {
        super::heal::remedy(self.look, self.slot)
            .map_or_else(|| self.look.generation.clone(), |(generation, _)| generation)
    }

    /// Gets rid of what was launched, and gives the slot up. Where no launch was seen, another controller's may still
    /// be on its way: then nothing new begins for as long as EC2 would accept it.
    fn drop_it(&self) -> Plan {
        self.discard_new(Why::Superseded).unwrap_or_else(|| self.release(self.new.is_none(), Why::Superseded))
    }

    /// Gives the slot up. After a replacement that was `taken_back` there is a pause.
    fn release(&self, taken_back: bool, why: Why) -> Plan {
        let mut initialised = self.look.record.initialised.clone();
        initialised.insert(self.slot.spec.name.clone());
        let effect = ClaimEffect::Release { expects: self.look.record.revision, initialised, taken_back };
        self.look.effect(Some(self.slot), Effect::Claim(effect), why)
    }

    /// The slot's volumes that are not (wholly) at that instance, each with where it is.
    fn elsewhere(&self, id: &crate::ids::InstanceId) -> Vec<(&'a str, &'a VolumeId, Place<'a>)> {
        self.slot
            .present()
            .map(|(spec, volume)| (spec.device.as_str(), &volume.id, self.look.place(volume)))
            .filter(|(_, _, place)| *place != Place::On(id))
            .collect()
    }

    /// Blocked, with all the reasons.
    fn blocked(&self, hazards: Vec<Hazard>) -> Plan {
        Plan::Blocked(super::Hazards { slot: Some(self.slot.spec.name.clone()), hazards })
    }
}
