//! The replacement of the slot that comes next, launched while the slot before it waits for its old instance to stop, or for its new
//! member to come back and to stay.
//!
//! The record says so before the launch is sent, and until the slot's own claim takes the launch over, or the instance is seen
//! gone. Meanwhile the instance has no part in its slot: it is given nothing, and nobody counts it. The claim has the same
//! attempt, so that its launch is the very same one. What is wanted no more is let go: the record says that first, so that no
//! claim takes over what somebody is about to terminate. That is so too where the file does not declare the slot any more: all that
//! the slot has is left alone, and this instance is not the slot's.

use std::time::Duration;

use crate::action::{Action, ClaimEffect, CloudEffect, Effect};
use crate::ids::SlotName;
use crate::observed::{Ahead, Checks, Instance, LaunchAnswer, Purpose, Way};
use crate::spec::window::{Opening, opening};
use crate::spec::{Approval, Strategy};
use crate::time::{Timestamp, after, elapsed};

use super::ahead::LASTING;
use super::answer::{Awaited, Hazard, Plan, Why};
use super::approval;
use super::gates;
use super::left_over;
use super::look::{Look, SlotLook};
use super::select;
use super::slot_state::{SlotState, slot_state};
use super::steps::{self, Step};

/// Gives a plan as it is, or what is to be done about a launch ahead before it.
pub fn beside(look: &Look<'_>, plan: Plan) -> Plan {
    let Some(ahead) = &look.record.ahead else { return announce(look, &plan).unwrap_or(plan) };
    match unwanted(look, ahead, &plan) {
        None => launch(look, ahead, &plan).unwrap_or(plan),
        Some(reason) => let_go(look, ahead, reason, plan),
    }
}

/// Says whether slots of this cluster have their replacements launched ahead. An adopted group would have to be told of an
/// instance that may go again.
pub fn is_on(look: &Look<'_>) -> bool {
    let rollout = &look.spec.rollout;
    rollout.launch_ahead && rollout.strategy == Strategy::Surge && look.spec.capacity.group().is_none()
}

/// Finds the instance that was launched ahead, unless it goes again.
pub fn wanted_instance<'a>(look: &Look<'a>) -> Option<&'a Instance> {
    let is_wanted = look.record.ahead.as_ref().is_some_and(|ahead| !ahead.let_go);
    look.ahead.filter(|it| is_wanted && it.state.is_live())
}

/// Says whether the slot of that place in the order, counted from 0, will have its replacement launched ahead, as far as anybody can
/// say. Whatever somebody has still to agree to is not launched before.
pub fn is_foreseen(look: &Look<'_>, place: usize) -> bool {
    is_on(look) && needs_nobody(look, place)
}

/// Says whether nobody has to agree before the slot of that place in the order, counted from 0, as far as anybody can say.
pub fn needs_nobody(look: &Look<'_>, place: usize) -> bool {
    let waits_for_canary = || look.slots.iter().all(|slot| approval::needed(look, slot).is_none());
    match look.spec.rollout.approval {
        Approval::Never => true,
        Approval::Canary => place > 1 || !waits_for_canary() || is_agreed_to(look),
        Approval::EverySlot => false,
    }
}

/// Says about how long the wait before a slot is in which its replacement may be launched.
pub fn span(look: &Look<'_>) -> Duration {
    let (bake, longest) = (look.spec.rollout.bake_time, look.limits.ahead);
    let spans = [steps::span_to_proof(look.spec), Step::Prove.takes() + bake];
    spans.into_iter().find(|span| *span <= longest).unwrap_or(longest)
}

/// Says what there is to know of a launch ahead, one sentence each.
pub fn notes(look: &Look<'_>) -> Vec<String> {
    let Some(ahead) = &look.record.ahead else { return Vec::new() };
    let (slot, end) = (&ahead.slot, if ahead.let_go { ", and is let go" } else { ", which comes next" });
    let shown = look.ahead.map(|it| format!("{} ({}) was launched ahead for {slot}{end}", it.id, it.state));
    let refused = || {
        let slot = look.slot(slot)?;
        let setback = look.setback(&launching(look, slot, ahead))?;
        Some(format!("the launch ahead for {} came to nothing: {}", slot.spec.name, setback.found))
    };
    shown.or_else(refused).into_iter().collect()
}

/// Announces the launch for the slot that comes next, as soon as the claimed one only waits for its old instance to stop. That takes
/// longer than the launch, which so keeps nothing waiting: the member's return is noticed late by a controller that is launching.
fn announce(look: &Look<'_>, plan: &Plan) -> Option<Plan> {
    let until = baked_by(look, plan)?;
    let next = next_slot(look).filter(|slot| may_be_launched(look, slot, until))?;
    let (attempt, generation, image) = (look.next_attempt(), look.generation.clone(), look.spec.image.clone());
    let request = look.request_of(next, &generation, &image);
    let ahead = Ahead { slot: next.spec.name.clone(), attempt, generation, image, request, let_go: false };
    if look.setback(&launching(look, next, &ahead)).is_some() {
        return None;
    }
    let effect = ClaimEffect::Announce { ahead, expects: look.record.revision };
    Some(look.effect(Some(&next.spec.name), Effect::Claim(effect), because(look)?))
}

/// Sends the launch that was announced, while the claimed slot still waits for its member. One that was sent is sent again only once its
/// instance would be shown. One that is refused keeps nothing waiting: the slot's own claim tries it again.
fn launch(look: &Look<'_>, ahead: &Ahead, plan: &Plan) -> Option<Plan> {
    let until = baked_by(look, plan).filter(|_| look.ahead.is_none())?;
    let next = next_slot(look).filter(|slot| slot.spec.name == ahead.slot)?;
    let sent = look.seen.last_launch.as_ref().filter(|sent| sent.attempt == ahead.attempt);
    let may_be_sent = sent.is_none_or(|sent| match sent.answer {
        LaunchAnswer::TokenSpent => false,
        LaunchAnswer::Launched(_) => elapsed(look.now, sent.at) >= look.limits.late,
    });
    let launch = launching(look, next, ahead);
    (may_be_sent && may_be_launched(look, next, until) && look.setback(&launch).is_none()).then_some(launch)
}

fn launching(look: &Look<'_>, slot: &SlotLook<'_>, ahead: &Ahead) -> Plan {
    let launch = look.launch_of(slot, ahead.attempt, &ahead.generation, &ahead.image);
    let why = because(look).unwrap_or(Why::NextStep);
    look.act(slot, CloudEffect::Launch(Box::new(launch)), why)
}

fn because(look: &Look<'_>) -> Option<Why> {
    Some(Why::Ahead { of: look.record.held.as_ref()?.slot.clone() })
}

/// Finds when the claimed slot will have baked, at the earliest, if the stop of its old instance or its new member is all that is waited
/// for, its replacement goes forward to what is wanted, and that is near enough. A member that is late may well not come at all.
fn baked_by(look: &Look<'_>, plan: &Plan) -> Option<Timestamp> {
    let claim = look.record.held.as_ref().filter(|_| is_on(look))?;
    let Plan::Wait(waiting) = plan else { return None };
    let is_late = elapsed(look.now, waiting.since) > look.limits.ahead;
    let baked = match &waiting.what {
        Awaited::Bake { until } => *until,
        Awaited::Stopped { instance } if !is_late && claim.old() == Some(instance) => {
            after(look.now, steps::span_to_proof(look.spec))
        }
        Awaited::MemberBack { .. } if !is_late => after(look.now, look.spec.rollout.bake_time),
        _ => return None,
    };
    let replaces = matches!(claim.purpose, Purpose::Replace { .. }) && claim.generation == look.generation;
    let goes_on = claim.way != Way::Back && !claim.turning && waiting.slot.as_ref() == Some(&claim.slot);
    (replaces && goes_on && elapsed(baked, look.now) <= look.limits.ahead).then_some(baked)
}

/// Finds the slot that is chosen next once the claimed one is settled, as things are now.
fn next_slot<'l, 'a>(look: &'l Look<'a>) -> Option<&'l SlotLook<'a>> {
    let claimed = look.record.held.as_ref().map(|claim| &claim.slot);
    let mut order = select::order(look).into_iter().map(|next| next.slot);
    order.find(|slot| claimed != Some(&slot.spec.name))
}

/// Says whether a slot's replacement may be launched before the slot is claimed: every member is well but the claimed slot's, which is
/// waited for, nothing would refuse to begin with the slot but what the end of that wait cures, and there is room.
fn may_be_launched(look: &Look<'_>, slot: &SlotLook<'_>, until: Timestamp) -> bool {
    let is_claimed = |slot: &SlotName| look.record.held.as_ref().is_some_and(|claim| claim.slot == *slot);
    let are_well = look.slots.iter().all(|slot| is_claimed(&slot.spec.name) || slot.counts_as_healthy());
    let is_away = |slot: &SlotLook<'_>| is_claimed(&slot.spec.name) && !slot.counts_as_healthy();
    let away = look.slots.iter().filter(|slot| is_away(slot)).count();
    let is_cured = |hazard: &Hazard| match hazard {
        Hazard::ClaimHeld { slot } => is_claimed(slot),
        Hazard::AnotherReplacement { slots } | Hazard::Unstable { slots, .. } | Hazard::MemberNotVoter { slots } => {
            slots.iter().all(is_claimed)
        }
        Hazard::MembersMissing { missing, strangers } => strangers.is_empty() && missing.iter().all(is_claimed),
        Hazard::MemberUnhealthy { members } => members.iter().all(|(slot, _)| is_claimed(slot)),
        Hazard::Lagging { members } => members.iter().all(|(slot, _)| is_claimed(slot)),
        Hazard::QuorumWouldBeLost { healthy_after, quorum } => healthy_after + away >= *quorum,
        _ => false,
    };
    let is_free = are_well && gates::upgrade_refusals(look, slot).iter().all(is_cured);
    let is_tidy = left_over::found(look).is_none();
    is_free && is_tidy && is_agreed_to(look) && fits_after(look, until) && !has_failed(look, slot) && has_room(look)
}

/// Says whether nobody has to agree to the next slot before it begins. That is asked for once the first slot has settled, which it
/// has not while its new member is waited for.
fn is_agreed_to(look: &Look<'_>) -> bool {
    let rollout = &look.spec.rollout;
    match rollout.approval {
        Approval::Never | Approval::EverySlot => true, // the gate knows of every slot's own
        Approval::Canary => rollout.approved == Some(approval::plan_id(look, approval::REST)),
    }
}

/// Says whether the next replacement fits into the window from the end of the bake on.
fn fits_after(look: &Look<'_>, until: Timestamp) -> bool {
    let after_proof: Duration = steps::from_proof(steps::SURGE).iter().map(|step| step.takes()).sum();
    let begins = after(until, after_proof);
    match opening(&look.spec.rollout.windows, begins) {
        Opening::Open { until: None } => true,
        Opening::Open { until: Some(closes) } => elapsed(closes, begins) >= steps::replacement_span(look.spec),
        Opening::Closed { .. } => false,
    }
}

/// Says whether a launch of that generation has come to nothing in a slot already: it is not tried twice ahead.
fn has_failed(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    let mut dead = slot.instances.iter().filter(|instance| !instance.state.is_live());
    dead.any(|instance| {
        let is_newer = slot.present().all(|(_, volume)| Some(volume.attempt) < instance.attempt());
        is_newer && instance.generation() == Some(&look.generation)
    })
}

/// Says whether one more instance may run: there is never more than one beyond the declared slots.
fn has_room(look: &Look<'_>) -> bool {
    running(look) <= look.slots.len()
}

fn running(look: &Look<'_>) -> usize {
    look.cloud.live_instances().filter(|it| it.state.is_up()).count()
}

/// Finds why a launch ahead is wanted no more, if that is so.
fn unwanted(look: &Look<'_>, ahead: &Ahead, plan: &Plan) -> Option<String> {
    let says = |reason: &str| Some(reason.to_owned());
    if ahead.let_go {
        return says("it is wanted no more");
    }
    if !is_on(look) {
        return says("the file wants nothing launched ahead");
    }
    let Some(slot) = look.slot(&ahead.slot) else { return says("its slot is declared no more") };
    // While the image is not shown, nobody can say what its launch would be.
    let is_shown = look.cloud.catalogue.images.contains_key(&ahead.image);
    if ahead.generation != look.generation || (is_shown && select::launched_ahead(look, slot).is_none()) {
        return says("another launch is wanted");
    }
    if look.record.held.as_ref().is_some_and(|claim| claim.way == Way::Back) {
        return says("the replacement before it is taken back");
    }
    if let Some(reason) = failed(look) {
        return Some(reason);
    }
    if let Some(other) = look.slots.iter().find(|slot| is_broken(look, slot)) {
        return Some(format!("{} has to be healed", other.spec.name));
    }
    if !matches!(slot_state(look, slot), SlotState::Serving(_) | SlotState::Moving(_)) {
        return says("its slot is not served");
    }
    let lasts = |hazard: &Hazard| LASTING.contains(&hazard.gate());
    if let Some(hazard) = gates::upgrade_refusals(look, slot).into_iter().find(lasts) {
        return Some(hazard.to_string());
    }
    match plan {
        Plan::Stalled(_) => says("the rollout does not go on"),
        Plan::Act(Action { effect: Effect::Claim(effect), .. }, Why::Outdated { .. }) => {
            let other = effect.claim().filter(|claim| !ahead.is_taken_over_by(claim))?;
            Some(format!("{} comes first now", other.slot))
        }
        Plan::Settled => says("its slot is replaced no more"),
        _ => None,
    }
}

/// Finds why the instance that was launched ahead is of no use, if it is not.
fn failed(look: &Look<'_>) -> Option<String> {
    let instance = look.ahead?;
    let reasons = [
        (instance.retired, "it is marked retired"),
        (!instance.state.is_up(), "it does not run"),
        (matches!(instance.checks, Checks::Impaired(_)), "its status checks fail"),
        (elapsed(look.now, instance.launched_at) > look.limits.kept_ahead, "its slot's turn did not come"),
        (running(look) > look.slots.len() + 1, "too many instances run"),
    ];
    reasons.into_iter().find_map(|(is_so, why)| is_so.then(|| why.to_owned()))
}

/// Says whether a slot that nobody claims has lost its instance, or is about to be given one.
fn is_broken(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    let is_claimed = look.record.held.as_ref().is_some_and(|claim| claim.slot == slot.spec.name);
    let state = slot_state(look, slot);
    !is_claimed && matches!(state, SlotState::Vacant { .. } | SlotState::Interrupted { .. } | SlotState::Blank { .. })
}

/// Lets a launch go before anything else is launched or claimed, before an instance is started that would be one too many, and beside
/// whatever else is waited for. Where its instance may still come to be shown, only the next slot of the rollout waits for that: a
/// slot that has lost its instance does not.
fn let_go(look: &Look<'_>, ahead: &Ahead, reason: String, plan: Plan) -> Plan {
    let yields = match &plan {
        Plan::Act(Action { effect: Effect::Cloud(CloudEffect::Start { .. }), .. }, _) => {
            let serves = look.ahead.is_some_and(|instance| instance.state.is_up() && !instance.retired);
            !ahead.let_go || serves && !has_room(look)
        }
        plan => left_over::yields(plan),
    };
    if !yields {
        return plan;
    }
    match end(look, ahead, reason).map(|end| look.unless_set_back(end)) {
        Some(end @ Plan::Act(..)) => end,
        Some(end) if is_settled_but_for_it(&plan) => end,
        Some(_) | None => plan,
    }
}

/// Says whether nothing but a further slot, or nothing at all, would be begun.
fn is_settled_but_for_it(plan: &Plan) -> bool {
    matches!(plan, Plan::Settled | Plan::Act(_, Why::Outdated { .. }))
}

/// Takes the next step of letting a launch go, or waits for what may still be shown of it.
fn end(look: &Look<'_>, ahead: &Ahead, reason: String) -> Option<Plan> {
    let why = Why::LetGoAhead { reason };
    let expects = look.record.revision;
    let say = |effect: ClaimEffect| look.effect(Some(&ahead.slot), Effect::Claim(effect), why.clone());
    let act = |effect: CloudEffect| look.effect(Some(&ahead.slot), Effect::Cloud(effect), why.clone());
    match look.ahead {
        Some(dead) if !dead.state.is_live() => Some(say(ClaimEffect::Forget { expects })),
        _ if !ahead.let_go => Some(say(ClaimEffect::LetGo { expects })),
        // Whoever has given it a volume has something in mind: nothing is terminated that has one.
        Some(instance) if holds_volume(look, instance) => None,
        Some(instance) => Some(act(left_over::end_of(instance))),
        None => {
            let (since, late) = (look.seen.followed.let_go_since.unwrap_or(look.now), look.limits.late);
            let until = after(since, late);
            let wait = || Plan::wait(Some(&ahead.slot), Awaited::NoLateLaunch { until }, since, late);
            Some(if look.now < until { wait() } else { say(ClaimEffect::Forget { expects }) })
        }
    }
}

fn holds_volume(look: &Look<'_>, instance: &Instance) -> bool {
    !instance.devices.is_empty() || look.cloud.has_volume_at(&instance.id)
}
