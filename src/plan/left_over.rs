//! The old instance of a slot that has settled, and from which the claim has moved on: it goes beside the next slot's replacement.
//!
//! It has nothing of ours, and its slot's volumes record that a later instance has proved itself with them. So nobody goes back to it, and
//! to end it needs no claim.

use crate::action::{CloudEffect, Effect};
use crate::observed::Instance;

use super::answer::{Plan, Why};
use super::look::{Look, SlotLook};

/// Gives a plan as it is, or the next step of ending what is left over, before anything is launched or claimed and beside whatever is
/// waited for. Where that is refused, no further slot is begun.
pub fn beside(look: &Look<'_>, plan: Plan) -> Plan {
    let Some((slot, old)) = found(look).filter(|_| yields(&plan)) else { return plan };
    let instance = old.id.clone();
    let end = if old.retired { CloudEffect::Terminate { instance } } else { CloudEffect::Retire { instance } };
    match look.unless_set_back(look.act(slot, end, Why::LeftOver)) {
        end @ Plan::Act(..) => end,
        refused if matches!(plan, Plan::Settled | Plan::Act(_, Why::Outdated { .. })) => refused,
        _ => plan,
    }
}

/// Finds an instance that is left over in a slot that nobody claims.
pub fn found<'l, 'a>(look: &'l Look<'a>) -> Option<(&'l SlotLook<'a>, &'a Instance)> {
    let claimed = look.record.held.as_ref().map(|claim| &claim.slot);
    let mut unclaimed = look.slots.iter().filter(|slot| Some(&slot.spec.name) != claimed);
    unclaimed.find_map(|slot| Some((slot, slot.left_over(look)?)))
}

fn yields(plan: &Plan) -> bool {
    match plan {
        Plan::Act(action, _) => match &action.effect {
            Effect::Cloud(effect) => matches!(effect, CloudEffect::Launch(_)),
            Effect::Claim(effect) => effect.claim().is_some(),
            Effect::Member(_) => false,
        },
        Plan::Settled | Plan::Wait(_) | Plan::Blocked(_) | Plan::Stalled(_) => true,
    }
}
