//! The slots beside the claimed one: whether one of them should have the claim, because it has lost its instance or its own
//! replacement was interrupted.

use crate::action::{ClaimEffect, Effect};
use crate::observed::{Claim, ClaimRecord};
use crate::plan::answer::Plan;
use crate::plan::heal;
use crate::plan::look::{Look, SlotLook};

use super::under_way::Replacement;

impl Replacement<'_, '_> {
    /// Says whether no instance serves in another slot, and something would be done about it if this one were not claimed.
    pub(super) fn is_needed_beside(&self) -> bool {
        self.would_be_claimed(heal::claim_of_lost)
    }

    /// Says whether another slot's replacement was interrupted, and would go on if this one were not claimed. Until it is over, no
    /// member of this slot is taken down.
    pub(super) fn is_awaited_beside(&self) -> bool {
        self.would_be_claimed(heal::claim_of_interrupted)
    }

    fn would_be_claimed(&self, claim: fn(&Look<'_>, &SlotLook<'_>) -> Option<Plan>) -> bool {
        let look = self.look;
        let mut claims = look.others(self.slot).filter_map(|other| claim(look, other));
        claims.any(|plan| leads_on(look, &look.unless_set_back(plan)))
    }
}

/// Says whether a plan is an action that leads on: after a claim there is something to do or to wait for. A slot that is claimed only
/// to give way at once would pass the claim to and fro.
pub fn leads_on(look: &Look<'_>, plan: &Plan) -> bool {
    let Plan::Act(action, _) = plan else { return false };
    match &action.effect {
        Effect::Claim(ClaimEffect::Claim { claim, .. }) if !look.is_supposed => !is_stuck_once_claimed(look, claim),
        _ => true,
    }
}

/// Supposes that a claim is written and its turn waited for, and says whether nothing could be done under it.
fn is_stuck_once_claimed(look: &Look<'_>, claim: &Claim) -> bool {
    let record = ClaimRecord { held: Some(Claim { turning: false, ..claim.clone() }), ..look.record.clone() };
    let is_stuck = |supposed: &Look<'_>| {
        let Some(replacement) = Replacement::of(supposed) else { return true };
        match supposed.unless_set_back(replacement.next().1) {
            Plan::Act(action, _) => matches!(action.effect, Effect::Claim(ClaimEffect::Release { .. })),
            Plan::Blocked(_) | Plan::Stalled(_) => true,
            Plan::Wait(_) | Plan::Settled => false,
        }
    };
    look.supposing(record, is_stuck).unwrap_or(false)
}
