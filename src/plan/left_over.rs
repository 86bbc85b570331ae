//! The old instance of a slot that has settled, and from which the claim has moved on: it goes beside the next slot's replacement.
//!
//! Such an instance has nothing of ours, and its slot's volumes record that a later one has proved itself with them. So nobody goes back
//! to it, and its end needs no claim.

use crate::action::{CloudEffect, Effect};
use crate::observed::Instance;

use super::answer::{Plan, Why};
use super::look::{Look, SlotLook};

/// Gives a plan as it is, or the next step of ending what is left over, before anything is launched or claimed and beside whatever is
/// waited for. Where that is refused, no further slot is begun.
pub fn beside(look: &Look<'_>, plan: Plan) -> Plan {
    let left = yields(&plan).then(|| found(look)).flatten();
    let Some((slot, old)) = left else { return plan };
    match look.unless_set_back(look.act(slot, end_of(old), Why::LeftOver)) {
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

/// Gives the next step of ending an instance that is needed no more and has no volume.
pub fn end_of(instance: &Instance) -> CloudEffect {
    let is_marked = instance.retired;
    let instance = instance.id.clone();
    if is_marked { CloudEffect::Terminate { instance } } else { CloudEffect::Retire { instance } }
}

/// Says whether a plan lets the end of an instance go first: what is waited for does, and what launches or claims something.
pub fn yields(plan: &Plan) -> bool {
    match plan {
        Plan::Act(action, _) => match &action.effect {
            Effect::Cloud(effect) => matches!(effect, CloudEffect::Launch(_)),
            Effect::Claim(effect) => effect.claim().is_some(),
            Effect::Member(_) => false,
        },
        Plan::Settled | Plan::Wait(_) | Plan::Blocked(_) | Plan::Stalled(_) => true,
    }
}
