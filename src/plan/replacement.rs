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

use crate::observed::{Instance, InstanceState};

use super::answer::{Plan, Stall, Why};
use super::drift::drifts;
use super::group;
use super::look::Look;
use super::standing;

mod back;
mod forward;
mod proof;
mod shells;
mod under_way;

use under_way::Replacement;

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
}
