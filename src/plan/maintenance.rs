//! Maintenance that disturbs nobody: memory on the volumes, the pruning limit, declared tags, who is in the group.

use crate::action::{CloudEffect, Effect, MemberEffect};
use crate::observed::{Instance, Pruning, Volume};
use crate::time::{Timestamp, after, before};

use super::answer::{Awaited, Plan, Stall, Why};
use super::drift::{drifts, tags_differ};
use super::group;
use super::look::{Look, SlotLook};
use super::slot_state::{SlotState, slot_state};

/// The things that are kept up, in this order.
const UPKEEP: [fn(&Look<'_>) -> Option<Plan>; 5] = [guard_membership, form, remember, mend_tags, group::attach_serving];

/// Decides on the first thing to keep up, if there is one. Every slot is serving when this is asked. Tags that EC2
/// refuses keep nothing else waiting.
pub fn keep_up(look: &Look<'_>) -> Option<Plan> {
    UPKEEP.iter().find_map(|ask| ask(look)).map(|plan| look.unless_set_back(plan))
}

/// Mends what a gate would ask for before a stop, while a slot is claimed: nobody else does, and the replacement would
/// not go on.
pub fn mend_for_gates(look: &Look<'_>) -> Option<Plan> {
    look.record.held.as_ref()?;
    let mended = [guard_membership, group::vouch].into_iter().filter_map(|ask| ask(look));
    mended.into_iter().find(|plan| look.setback(plan).is_none())
}

/// Finds upkeep that came to nothing, and that nothing else waited for.
pub fn set_back(look: &Look<'_>) -> Option<Plan> {
    let setback = tagging(look).find_map(|plan| look.setback(&plan))?;
    Some(Plan::stalled(setback))
}

/// Keeps the application from pruning a stopped member, where the spec lets us.
fn guard_membership(look: &Look<'_>) -> Option<Plan> {
    let membership = look.membership.filter(|_| look.is_led())?;
    let guard = look.rules.pruning.as_ref()?;
    let declared = look.spec.slots.len();
    match membership.pruning {
        Pruning::DownTo(down_to) if down_to < declared && guard.managed => {
            let effect = Effect::Member(MemberEffect::SetPruning { down_to: declared });
            Some(look.effect(None, effect, Why::WouldPrune { down_to, declared }))
        }
        Pruning::DownTo(_) | Pruning::Never => None,
    }
}

/// Waits for all members of a new cluster to find each other: it is not settled before.
fn form(look: &Look<'_>) -> Option<Plan> {
    if look.cloud.volumes.iter().any(|volume| volume.settled.is_some()) {
        return None;
    }
    let missing: Vec<_> = look
        .slots
        .iter()
        .filter(|slot| !look.is_led() || !slot.counts_as_healthy())
        .map(|slot| slot.spec.name.clone())
        .collect();
    if missing.is_empty() {
        return None;
    }
    let since = look.cloud.instances.iter().map(|instance| instance.launched_at).max().unwrap_or(look.now);
    if look.now >= after(since, look.limits.formation) {
        return Some(Plan::stalled(Stall::NotFormed { missing }));
    }
    Some(Plan::wait(None, Awaited::Formation { missing }, since, look.limits.formation))
}

/// Records on a slot's volumes what has proved itself there. An adopted slot, or one of a cluster that has just
/// formed, comes to its memory this way.
fn remember(look: &Look<'_>) -> Option<Plan> {
    let steady = |slot: &SlotLook<'_>| slot.counts_as_healthy() && look.now >= steady_at(look, slot);
    let (slot, instance) = unrecorded(look).find(|(slot, _)| steady(slot))?;
    Some(look.settle(slot, instance, &look.generation, &instance.make.image, Why::Memory))
}

/// Waits for what is still to be recorded when nothing else is to be done: a cluster is not settled before its volumes
/// say so.
pub fn outstanding(look: &Look<'_>) -> Option<Plan> {
    let (slot, instance) = unrecorded(look).next()?;
    let (bake, limit) = (look.spec.rollout.bake_time, look.spec.rollout.join_deadline);
    let why_not = "it is not a healthy voter".to_owned();
    Some(if slot.counts_as_healthy() {
        let until = steady_at(look, slot);
        look.wait(slot, Awaited::Bake { until }, before(until, bake), bake + look.limits.formation)
    } else if look.now < after(instance.launched_at, limit) {
        look.wait(slot, Awaited::MemberBack { why_not }, instance.launched_at, limit)
    } else {
        let (slot, image) = (slot.spec.name.clone(), look.make.image.clone());
        Plan::stalled(Stall::Held { slot, image, generation: look.generation.clone(), why_not })
    })
}

/// Lists the slots that serve what the spec wants, and whose volumes do not record that.
fn unrecorded<'l, 'a>(look: &'l Look<'a>) -> impl Iterator<Item = (&'l SlotLook<'a>, &'a Instance)> {
    let behind = |volume: &Volume| !volume.carries(&look.generation);
    serving(look).filter(move |(slot, instance)| {
        let current = drifts(&look.make, slot.spec, instance).is_empty();
        current && slot.present().any(|(_, volume)| behind(volume))
    })
}

/// Says when a healthy member will have proved itself.
fn steady_at(look: &Look<'_>, slot: &SlotLook<'_>) -> Timestamp {
    after(look.seen.steady.get(&slot.spec.name).copied().unwrap_or(look.now), look.spec.rollout.bake_time)
}

fn mend_tags(look: &Look<'_>) -> Option<Plan> {
    tagging(look).find(|plan| look.setback(plan).is_none())
}

/// Lists the tags that are outstanding, as plans.
fn tagging(look: &Look<'_>) -> impl Iterator<Item = Plan> {
    serving(look).filter(|(_, instance)| tags_differ(look.spec, instance)).map(|(slot, instance)| {
        let (instance, tags) = (instance.id.clone(), look.spec.instance.tags.clone());
        look.act(slot, CloudEffect::Tag { instance, tags }, Why::Tags)
    })
}

/// Lists the serving instances that are ours to touch, each with its slot.
fn serving<'l, 'a>(look: &'l Look<'a>) -> impl Iterator<Item = (&'l SlotLook<'a>, &'a Instance)> {
    look.slots.iter().filter_map(|slot| match slot_state(look, slot) {
        SlotState::Serving(instance) if look.is_ours(&instance.owner) => Some((slot, instance)),
        _ => None,
    })
}
