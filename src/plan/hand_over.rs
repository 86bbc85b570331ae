//! Writes of the claim record that nothing lies between are one write.
//!
//! A slot is given up and the next one claimed; a claim says from the beginning that its old instance is about to be stopped, where
//! nothing else is to be done before. What is written so is what the same look would decide on once the first write was read again, so
//! each of them costs a look less, and everything that disrupts a member still rests on a look that begins after it.
//!
//! Where the next slot can be begun with at once like that, the claim moves as soon as the volumes of the slot before carry its
//! generation: the old instance there is ended beside (`left_over`).

use crate::action::{Action, ClaimEffect, CloudEffect, Effect};
use crate::ids::InstanceId;
use crate::observed::{Checks, Claim, InstanceState};
use crate::spec::Strategy;

use super::answer::{Plan, Why};
use super::left_over;
use super::look::Look;
use super::replacement::{self, Replacement};

/// Gives a plan as it is, or one write of the claim record in place of several. `next` plans for a cluster, whoever has claimed what.
pub fn at_once(look: &Look<'_>, plan: Plan, next: fn(&Look<'_>) -> Plan) -> Plan {
    match &plan {
        Plan::Act(
            Action { effect: Effect::Claim(ClaimEffect::Claim { claim, expects }), .. },
            why @ Why::Outdated { .. },
        ) => {
            let effect = ClaimEffect::Claim { claim: marked(look, claim), expects: *expects };
            look.unless_set_back(look.effect(Some(&claim.slot), Effect::Claim(effect), why.clone()))
        }
        Plan::Act(Action { effect: Effect::Claim(ClaimEffect::Release { .. }), .. }, Why::Proven) => {
            moved(look, next, |_| true).unwrap_or(plan)
        }
        Plan::Act(Action { effect: Effect::Cloud(CloudEffect::Retire { instance }), .. }, Why::Proven)
            if rests(look, instance) =>
        {
            moved(look, next, is_marked).unwrap_or(plan)
        }
        _ => plan,
    }
}

/// Says whether an old instance may be left over: it is the only one, and its slot has settled.
fn rests(look: &Look<'_>, old: &InstanceId) -> bool {
    let claimed = look.record.held.as_ref().and_then(|claim| look.slot(&claim.slot));
    let left = claimed.and_then(|slot| slot.left_over(look));
    left.is_some_and(|left| left.id == *old && left.state == InstanceState::Stopped) && left_over::found(look).is_none()
}

fn is_marked(claim: &Claim) -> bool {
    claim.old().is_some_and(|old| claim.stops.contains(old))
}

/// Moves the claim to the slot that would be claimed if the one that has it were given up, if `is_enough` agrees. What was launched
/// ahead for another slot is let go first, under the claim that there is.
fn moved(look: &Look<'_>, next: fn(&Look<'_>) -> Plan, is_enough: fn(&Claim) -> bool) -> Option<Plan> {
    let Plan::Act(Action { effect: Effect::Claim(release), .. }, _) = Replacement::of(look)?.release(Why::Proven)
    else {
        return None;
    };
    let record = release.apply(look.record, look.now);
    let plan = look.supposing(record, |supposed| at_once(supposed, next(supposed), next))?;
    let Plan::Act(Action { effect: Effect::Claim(ClaimEffect::Claim { claim, .. }), .. }, why @ Why::Outdated { .. }) =
        plan
    else {
        return None;
    };
    let is_taken_over = look.record.ahead.as_ref().is_none_or(|ahead| ahead.is_taken_over_by(&claim));
    let ClaimEffect::Release { expects, initialised, stopped, .. } = release else { return None };
    let from = look.record.held.as_ref()?.slot.clone();
    let to = claim.slot.clone();
    let moves = is_taken_over && is_enough(&claim);
    let effect = ClaimEffect::Move { from, initialised, stopped, claim: Box::new(claim), expects };
    moves.then(|| look.effect(Some(&to), Effect::Claim(effect), why)).filter(|plan| look.setback(plan).is_none())
}

/// Has a claim say that its old instance is about to be stopped, if that is what would be written next: what takes its place is ready, or
/// is launched only afterwards. Where other clusters stand on this one, or it on them, each looks at the other's claim before it says so.
fn marked(look: &Look<'_>, claim: &Claim) -> Claim {
    let is_taken_over = look.record.ahead.as_ref().is_some_and(|ahead| ahead.is_taken_over_by(claim));
    let is_ready = is_taken_over && look.ahead.is_some_and(|new| new.checks == Checks::Ok);
    let may_stop = is_ready || look.spec.rollout.strategy == Strategy::Recreate;
    let mut claim = claim.clone();
    if !may_stop || claim.turning || !look.seen.related.is_empty() {
        return claim;
    }
    let record = ClaimEffect::Claim { claim: claim.clone(), expects: 0 }.apply(look.record, look.now);
    let next = look.supposing(record, replacement::finish).flatten();
    if let Some(Plan::Act(Action { effect: Effect::Claim(ClaimEffect::MarkStop { instance, .. }), .. }, _)) = next
        && claim.old() == Some(&instance)
    {
        claim.stops.insert(instance);
    }
    claim
}
