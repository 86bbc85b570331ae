//! The choice of the outdated slot that goes next, if it may.

use crate::make::Drift;
use crate::observed::{Ahead, Health, Instance, Member};
use crate::spec::LeaderGoes;

use super::answer::{Plan, Rank, Why};
use super::drift::drifts;
use super::gates;
use super::group;
use super::growth;
use super::look::{Look, SlotLook};
use super::maintenance;
use super::slot_state::{SlotState, slot_state};

/// An outdated slot, or one whose instance EC2 is going to stop.
#[derive(Debug)]
pub struct Candidate<'l, 'a> {
    pub slot: &'l SlotLook<'a>,
    pub instance: &'a Instance,
    pub drifts: Vec<Drift>,
    pub rank: Rank,
}

/// Lists every slot whose instance is to be replaced, in the order in which they are replaced as things are now. Asked again before each one.
pub fn order<'l, 'a>(look: &'l Look<'a>) -> Vec<Candidate<'l, 'a>> {
    let mut candidates: Vec<_> = look.slots.iter().filter_map(|slot| candidate(look, slot)).collect();
    candidates.sort_by_key(|candidate| candidate.rank);
    candidates
}

fn candidate<'l, 'a>(look: &Look<'a>, slot: &'l SlotLook<'a>) -> Option<Candidate<'l, 'a>> {
    let SlotState::Serving(instance) = slot_state(look, slot) else { return None };
    let drifts = drifts(&look.make, slot.spec, instance);
    if drifts.is_empty() && instance.announced_stop().is_none() {
        return None;
    }
    Some(Candidate { slot, instance, drifts, rank: rank(look, slot, instance) })
}

fn rank(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance) -> Rank {
    match slot.member {
        Some(Member { health: Health::Unhealthy(_), .. }) | None => Rank::Unhealthy,
        Some(member) if look.leads(&member.id) && look.rules.leader == Some(LeaderGoes::Last) => Rank::LeaderLast,
        _ if !instance.scheduled_events.is_empty() => Rank::Maintenance,
        Some(member) if look.leads(&member.id) && look.rules.leader == Some(LeaderGoes::First) => Rank::LeaderFirst,
        Some(member) if !member.counts => Rank::NonVoter,
        Some(_) => Rank::Follower,
    }
}

/// The things that are still to be done when no slot is outdated, in this order.
const AT_REST: [fn(&Look<'_>) -> Option<Plan>; 5] =
    [maintenance::outstanding, group::update_template, group::resume, blocked_by_unusable_group, growth::grow];

fn blocked_by_unusable_group(look: &Look<'_>) -> Option<Plan> {
    group::fault(look).map(|hazard| Plan::blocked(None, vec![hazard]))
}

/// Begins with the right slot, unless there is a reason not to. Nothing is under way and nothing is broken.
pub fn begin(look: &Look<'_>) -> Plan {
    let Some(next) = order(look).into_iter().next() else {
        return AT_REST.iter().find_map(|ask| ask(look)).unwrap_or(Plan::Settled);
    };
    let hazards = gates::upgrade_refusals(look, next.slot);
    if !hazards.is_empty() {
        let blocked = || look.blocked(next.slot, hazards);
        let meanwhile: [fn(&Look<'_>) -> Option<Plan>; 3] = [group::shed, group::resume, growth::grow_meanwhile];
        return meanwhile.iter().find_map(|ask| ask(look)).unwrap_or_else(blocked);
    }
    let why = Why::Outdated { drifts: next.drifts, rank: next.rank };
    let target = (look.generation.clone(), look.spec.image.clone());
    let attempt = launched_ahead(look, next.slot).map_or_else(|| look.next_attempt(), |ahead| ahead.attempt);
    look.claim(next.slot, Some(next.instance), attempt, target, None, why)
}

/// Finds the launch that was sent ahead for a slot, if it is just the one that a claim of the slot would ask for now.
pub fn launched_ahead<'a>(look: &Look<'a>, slot: &SlotLook<'_>) -> Option<&'a Ahead> {
    let ahead = look.record.ahead.as_ref().filter(|ahead| ahead.slot == slot.spec.name && !ahead.let_go)?;
    let is_wanted = ahead.generation == look.generation && ahead.image == look.spec.image;
    let request = || look.request_of(slot, &ahead.generation, &ahead.image);
    (is_wanted && ahead.request == request()).then_some(ahead)
}

/// Chooses who should lead in place of a slot's member: a healthy voter, caught up if there is one, and on the desired
/// image if there is one, so that leadership moves only once in a rollout. A leader brings its successor up to date before
/// it hands over, so one that is behind will do where no other is there.
pub fn successor<'a>(look: &Look<'a>, leaving: &SlotLook<'a>) -> Option<&'a Member> {
    let heirs = look.membership.and_then(|membership| membership.heirs.as_ref());
    let may_lead = |member: &Member| heirs.is_none_or(|heirs| heirs.contains(&member.id));
    let others = look.others(leaving).filter(|slot| slot.counts_as_healthy() && slot.member.is_some_and(may_lead));
    let is_caught_up = |member: &Member| member.lag.is_some_and(|lag| !lag.exceeds(&look.rules.lag_limit));
    let disadvantages = |slot: &&SlotLook<'a>| {
        let is_behind = !slot.member.is_some_and(is_caught_up);
        (is_behind, candidate(look, slot).is_some())
    };
    others.min_by_key(disadvantages).and_then(|slot| slot.member)
}
