//! A replacement under way: the claim, its slot, and the instances that it is about.

use crate::action::{ClaimEffect, Effect};
use crate::observed::{Claim, Instance, InstanceState};
use crate::plan::answer::{Awaited, Hazard, Plan, Why};
use crate::plan::look::{Look, SlotLook};
use crate::time::Timestamp;

/// A replacement under way: the claim and what it is about.
pub struct Replacement<'l, 'a> {
    pub(super) look: &'l Look<'a>,
    /// The claimed slot.
    pub slot: &'l SlotLook<'a>,
    pub(super) claim: &'a Claim,
    /// The instance to be replaced, if the claim names one and EC2 shows it.
    pub old: Option<&'a Instance>,
    /// The instance launched under this claim's attempt, if EC2 shows it, dead or alive.
    pub(super) new: Option<&'a Instance>,
}

impl<'l, 'a> Replacement<'l, 'a> {
    /// Finds the replacement of the claimed slot, if one is claimed and declared.
    pub fn of(look: &'l Look<'a>) -> Option<Self> {
        let claim = look.record.held.as_ref()?;
        let slot = look.slot(&claim.slot)?;
        let old = claim.old().and_then(|id| slot.instance(id));
        Some(Self { look, slot, claim, old, new: slot.launched_under(claim) })
    }

    /// Answers with the new instance, if EC2 shows it alive.
    pub fn live_new(&self) -> Option<&'a Instance> {
        self.new.filter(|new| new.state.is_live())
    }

    /// Answers with the old instance, if EC2 shows it alive, and its member could serve there once it has the volumes.
    pub(super) fn serviceable_old(&self) -> Option<&'a Instance> {
        self.old.filter(|old| old.state.is_live() && !self.look.waits_in_vain(old))
    }

    /// Answers with the new instance, if it is alive and every volume is at it.
    pub(super) fn holder(&self) -> Option<&'a Instance> {
        self.live_new().filter(|new| self.slot.all_on(self.look, &new.id))
    }

    /// Gives the slot up, once no stop that the claim speaks of can still come. After a replacement that came to nothing
    /// there is a pause: a launch or a stop of it may be on its way, for as long as EC2 would accept it.
    pub fn release(&self, why: Why) -> Plan {
        if let Some(wait) = self.late_stop() {
            return wait;
        }
        let begins_anew = why == Why::Forming && self.claim.old().is_none();
        let taken_back = why != Why::Proven && !begins_anew;
        let mut initialised = self.look.record.initialised.clone();
        initialised.insert(self.slot.spec.name.clone());
        let is_left_stopped = |instance: &&Instance| {
            let rests = matches!(instance.state, InstanceState::Stopping | InstanceState::Stopped);
            let by_us = self.claim.stops.contains(&instance.id) || Some(&instance.id) == self.claim.old();
            let is_replaced = self.slot.left_over(self.look).is_some_and(|left| left.id == instance.id);
            rests && !instance.retired && !is_replaced && by_us
        };
        let stopped = self.slot.live().filter(is_left_stopped).map(|instance| instance.id.clone()).collect();
        let effect = ClaimEffect::Release { expects: self.look.record.revision, initialised, stopped, taken_back };
        self.look.effect(Some(&self.slot.spec.name), Effect::Claim(effect), why)
    }

    /// Blocks, with all the reasons.
    pub(super) fn blocked(&self, hazards: Vec<Hazard>) -> Plan {
        self.look.blocked(self.slot, hazards)
    }

    /// Waits for an instance to run.
    pub(super) fn until_running(&self, instance: &Instance) -> Plan {
        self.until(Awaited::Running { instance: instance.id.clone() }, instance.launched_at)
    }

    /// Waits for an instance to stop.
    pub(super) fn until_stopped(&self, instance: &Instance) -> Plan {
        self.until(Awaited::Stopped { instance: instance.id.clone() }, instance.state_since)
    }

    /// Waits for EC2's views to agree.
    pub(super) fn disagreement(&self, detail: String) -> Plan {
        self.until(Awaited::ViewsAgree { detail }, self.claim.since)
    }

    /// Waits for something that takes an instance no longer than its limit.
    pub(super) fn until(&self, what: Awaited, since: Timestamp) -> Plan {
        self.look.wait(self.slot, what, since, self.look.limits.instance)
    }
}
