//! A broken slot is given back what it has lost, one slot at a time. No gate on upgrades applies here.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::action::{CloudEffect, CreateVolume, Effect};
use crate::ids::{Generation, ImageId, InstanceId, SlotName, Token, VolumeName};
use crate::observed::{Instance, Snapshot, SnapshotState, Volume};
use crate::spec::{OnFailure, Original};
use crate::time::{Timestamp, after, elapsed};

use super::address;
use super::answer::{Awaited, Hazard, Plan, Stall, Why};
use super::creation;
use super::gates;
use super::group;
use super::look::{Look, SlotLook};
use super::peers;
use super::slot_state::{self, Moving, SlotState, slot_state};

/// Decides what to do about the slots that are not as they should be. What can be done comes before what must be waited
/// for, and that before what needs a person: one slot's trouble does not keep another from being healed.
///
/// Of several claims one that leads somewhere comes first, as far as `leads_on` can say: what is stuck would keep the others waiting.
pub fn repair(look: &Look<'_>, leads_on: fn(&Look<'_>, &Plan) -> bool) -> Option<Plan> {
    // Before there is the data that the others are given by their peers, they would begin a cluster without it.
    if let Some(plan) = seed(look) {
        return Some(plan);
    }
    let plans = look.slots.iter().filter_map(|slot| Some((slot, look.unless_set_back(for_slot(look, slot)?))));
    let urgency = |(slot, plan): &(&SlotLook<'_>, Plan)| match plan {
        Plan::Act(..) if !leads_on(look, plan) => 4,
        // A slot that has lost everything comes before one whose replacement was interrupted to give way to it.
        Plan::Act(_, Why::Interrupted { .. }) => 1 + standing(look, slot),
        Plan::Act(..) => 0,
        Plan::Wait(_) => 5,
        Plan::Blocked(_) => 6,
        Plan::Stalled(_) | Plan::Settled => 7,
    };
    let claims = |plan: &Plan| matches!(plan, Plan::Act(action, _) if matches!(action.effect, Effect::Claim(_)));
    let is_open = |plan: &Plan| look.setback(plan).is_none();
    let restored = restorable(look).find_map(|slot| for_slot(look, slot).filter(is_open));
    let first = restored.or_else(|| plans.min_by_key(urgency).map(|(_, plan)| plan))?;
    // The volumes must know of a slot before anything is written to it.
    if claims(&first) { record_slots(look).or(Some(first)) } else { Some(first) }
}

/// Says how well a slot stands whose replacement was interrupted: 0 if no instance serves there, 1 if the new one does, which has to
/// prove itself, and 2 if the old one serves as before.
fn standing(look: &Look<'_>, slot: &SlotLook<'_>) -> u8 {
    let serves = |instance: &Instance| slot.is_served_by(look, instance);
    match slot_state(look, slot) {
        SlotState::Interrupted { old: Some(old), .. } if serves(old) => 2,
        SlotState::Interrupted { new, .. } if serves(new) => 1,
        _ => 0,
    }
}

/// Finds the claim of a slot in which no instance serves, because it has lost its instance or its replacement was interrupted in the
/// middle.
pub fn claim_of_lost(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Plan> {
    match slot_state(look, slot) {
        SlotState::Vacant { left } => Some(fill(look, slot, left)),
        _ => claim_of_interrupted(look, slot).filter(|_| standing(look, slot) == 0),
    }
}

/// Finds the claim with which an interrupted replacement is taken up again, if a slot has one.
pub fn claim_of_interrupted(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Plan> {
    match slot_state(look, slot) {
        SlotState::Interrupted { old, new } => Some(claim_again(look, slot, old, new)),
        _ => None,
    }
}

/// Finds what keeps another slot down until a person has acted.
pub fn stalled_beside(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Plan> {
    look.others(slot).find_map(|other| stall_of(look, other)).map(Plan::stalled)
}

/// Lists what only a person can end in the slots that nobody claims.
pub fn stalls(look: &Look<'_>) -> Vec<Stall> {
    let claimed = look.record.held.as_ref().map(|claim| &claim.slot);
    let unclaimed = look.slots.iter().filter(|slot| Some(&slot.spec.name) != claimed);
    unclaimed.filter_map(|slot| stall_of(look, slot)).collect()
}

fn stall_of(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Stall> {
    match look.unless_set_back(for_slot(look, slot)?) {
        Plan::Stalled(stalls) => Some(stalls.stall),
        Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Blocked(_) => None,
    }
}

/// Says whether the members lack a leader, and another slot's old instance could bring one back.
pub fn is_restorable_beside(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    restorable(look).any(|other| other.spec.name != slot.spec.name)
}

/// Lists the slots whose old instance is kept, while the members cannot elect a leader, could with this one, and the member
/// has had its time at the new instance. Consul before 1.9 removes a server with a new address before it adds it again, and
/// the removal may need the vote of just the member that is down. Whoever claims such a slot takes it back: where a claim
/// would not, because the failure is held for a person, say, there is nothing to restore.
fn restorable<'l, 'a>(look: &'l Look<'a>) -> impl Iterator<Item = &'l SlotLook<'a>> {
    let is_late = |since: Timestamp| elapsed(look.now, since) >= look.spec.rollout.join_deadline;
    let slots = look.slots.iter().filter(|slot| look.cannot_elect() && look.could_elect_with(slot, Duration::ZERO));
    slots.filter(move |slot| match slot_state(look, slot) {
        SlotState::Interrupted { old: Some(old), new } => {
            let given = slot.given_since(&new.id).map(|given| given.max(new.launched_at).max(old.state_since));
            let is_taken_back =
                look.spec.rollout.on_failure == OnFailure::Rollback || new.generation() != Some(&look.generation);
            let may_stop = || gates::taking_back_refusals(look, slot, new).is_empty();
            look.is_way_back(old) && is_taken_back && given.is_some_and(is_late) && may_stop()
        }
        _ => false,
    })
}

fn for_slot<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> Option<Plan> {
    let name = || slot.spec.name.clone();
    match slot_state(look, slot) {
        SlotState::Serving(instance) => mend(look, slot, instance),
        SlotState::Blank { lacking } => Some(create_volume(look, slot, &lacking)),
        SlotState::Vacant { left } => Some(fill(look, slot, left)),
        SlotState::Interrupted { old, new } => Some(claim_again(look, slot, old, new)),
        SlotState::Down(instance) => Some(revive(look, slot, instance)),
        SlotState::Contested(instances) => Some(Plan::stalled(Stall::Contested { slot: name(), instances })),
        SlotState::Unsound(stall) => Some(Plan::stalled(stall)),
        SlotState::Moving(moving) => Some(wait_for(look, slot, moving)),
    }
}

/// Gives an instance that is to serve its lost address back, or tells the other members where its own is.
fn mend(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance) -> Option<Plan> {
    let is_ours = look.is_ours(&instance.owner);
    let told = || peers::correct(look, slot, Some(instance).filter(|_| is_ours)?, &Why::AddressChanged);
    address::give_back(look, slot, instance).or_else(told)
}

/// Starts an instance that was not stopped by a person, or gives one its lost address back, whoever holds the claim: this
/// only brings a member back. One that could not be started of late is left to others for a while.
pub fn start_again(look: &Look<'_>) -> Option<Plan> {
    let claimed = look.record.held.as_ref().map(|claim| &claim.slot);
    let unclaimed = look.slots.iter().filter(|slot| Some(&slot.spec.name) != claimed);
    let starts = unclaimed.filter_map(|slot| match slot_state(look, slot) {
        SlotState::Down(instance) => start(look, slot, instance),
        SlotState::Serving(instance) => mend(look, slot, instance),
        SlotState::Interrupted { new, .. } if is_stopped_alone(look, slot, new) => start(look, slot, new),
        SlotState::Interrupted { new, .. } if slot.is_served_by(look, new) => {
            address::give_back_unused(look, slot, new)
        }
        _ => None,
    });
    starts.into_iter().find(|plan| matches!(plan, Plan::Act(..)) && look.setback(plan).is_none())
}

/// Says whether EC2 has stopped the new instance of an interrupted replacement while it holds the volumes: nobody was about to
/// take them away from it when the claim gave way, so that its member comes back there.
fn is_stopped_alone(look: &Look<'_>, slot: &SlotLook<'_>, new: &Instance) -> bool {
    let is_left = look.record.stopped.contains_key(&new.id);
    new.stopped_by_ec2().is_some() && !is_left && slot.all_on(look, &new.id)
}

/// Starts an instance that EC2 has stopped, or a claim of ours that gave way: once no call of that claim is on its way any more,
/// which would take its volumes.
fn start(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance) -> Option<Plan> {
    let by_us = look.was_stopped_by_us(instance).then(|| "its replacement gave way to another slot".to_owned());
    let reason = instance.stopped_by_ec2().map(str::to_owned).or(by_us)?;
    if let Some(wait) = look.left_since(instance).and_then(|since| look.until_nothing_else(slot, since)) {
        return Some(wait);
    }
    let start = || look.act(slot, CloudEffect::Start { instance: instance.id.clone() }, Why::Stopped { reason });
    Some(address::give_back(look, slot, instance).unwrap_or_else(start))
}

/// Brings back a slot whose instance was stopped. One that EC2 has stopped and that cannot be started in time is
/// replaced, and kept until its successor is proven. What a person has stopped is the person's to start.
fn revive(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance) -> Plan {
    let in_time = elapsed(look.now, instance.state_since) < look.spec.rollout.join_deadline;
    let start = start(look, slot, instance);
    match start {
        Some(start) if look.setback(&start).is_some() && !in_time => fill(look, slot, Some(instance)),
        Some(start) => start,
        None => {
            let (slot, why) = (slot.spec.name.clone(), instance.state_reason.clone());
            Plan::stalled(Stall::InstanceStopped { slot, instance: instance.id.clone(), why })
        }
    }
}

fn wait_for(look: &Look<'_>, slot: &SlotLook<'_>, moving: Moving<'_>) -> Plan {
    let (what, since) = match moving {
        Moving::Attaching { volume, to, since } => {
            (Awaited::VolumeAttached { volume: volume.clone(), instance: to.clone() }, since)
        }
        Moving::Detaching { volume, since } => (Awaited::VolumeFree { volume: volume.clone() }, since),
        Moving::Creating { volume } => (Awaited::VolumeCreated { volume: volume.clone() }, look.now),
        Moving::Starting(instance) => (Awaited::Running { instance: instance.id.clone() }, instance.launched_at),
        Moving::Stopping(instance) => (Awaited::Stopped { instance: instance.id.clone() }, instance.state_since),
        Moving::Views(detail) => (Awaited::ViewsAgree { detail }, look.now),
    };
    look.wait(slot, what, since, look.limits.slot)
}

/// Creates the volumes of the slot that begins with another cluster's data.
fn seed(look: &Look<'_>) -> Option<Plan> {
    let seed = look.spec.origin.as_ref()?.seed.as_ref()?;
    let slot = look.slot(&seed.slot)?;
    match slot_state(look, slot) {
        SlotState::Blank { lacking } => Some(create_volume(look, slot, &lacking)),
        _ => None,
    }
}

/// Creates a volume, only ever for a slot that nothing remembers: a blank one, unless the slot begins with a
/// copy.
fn create_volume(look: &Look<'_>, slot: &SlotLook<'_>, lacking: &[VolumeName]) -> Plan {
    let hazards = gates::creation_refusals(look, slot, &look.spec.image);
    let wanted = look.spec.volumes.iter().find(|volume| lacking.contains(&volume.name));
    let (Some(volume), true) = (wanted, hazards.is_empty()) else {
        return look.blocked(slot, hazards);
    };
    let copy = match content(look, slot, &volume.name) {
        Content::Blank => None,
        Content::Copy(copy) => Some(copy),
        Content::Outstanding(plan) => return *plan,
    };
    let mut slots: BTreeSet<SlotName> = known_slots(look);
    slots.insert(slot.spec.name.clone());
    let create = CreateVolume {
        token: Token::from(""),
        slot: slot.spec.name.clone(),
        name: volume.name.clone(),
        zone: slot.spec.zone.clone(),
        size_gib: copy.map_or(volume.size_gib, |snapshot| volume.size_gib.max(snapshot.size_gib)),
        ebs: volume.ebs.clone(),
        tags: volume.tags.clone(),
        snapshot: copy.map(|snapshot| snapshot.id.clone()),
        owner: look.seen.owner.clone(),
        slots,
        number: 0,
    };
    creation::create(look, slot, create)
}

/// The data that a new volume begins with.
enum Content<'a> {
    /// No data.
    Blank,
    /// A snapshot's data, of another cluster's volume.
    Copy(&'a Snapshot),
    /// A snapshot's data, but that snapshot is still to be taken, or to be completed, or came to nothing.
    Outstanding(Box<Plan>),
}

fn content<'a>(look: &Look<'a>, slot: &SlotLook<'_>, name: &VolumeName) -> Content<'a> {
    let origin = look.spec.origin.as_ref();
    let seed = |origin: &'a Original| origin.seed.as_ref().filter(|seed| seed.slot == slot.spec.name);
    let source = origin.and_then(|origin| Some((&origin.cluster, seed(origin)?.volumes.get(name)?)));
    let Some((of, volume)) = source else { return Content::Blank };
    let copies = look.cloud.copies().filter(|copy| copy.volume == *volume);
    let best = copies.max_by_key(|copy| copy.state);
    let plan = match best.map(|copy| (copy, copy.state)) {
        Some((copy, SnapshotState::Completed)) => return Content::Copy(copy),
        Some((copy, SnapshotState::Failed)) => {
            let (slot, volume, snapshot) = (slot.spec.name.clone(), volume.clone(), copy.id.clone());
            Plan::stalled(Stall::CopyFailed { slot, volume, snapshot })
        }
        Some((copy, SnapshotState::Pending)) => {
            let what = Awaited::VolumeCopied { volume: volume.clone(), snapshot: copy.id.clone() };
            look.wait(slot, what, copy.begun.unwrap_or(look.now), look.limits.snapshot)
        }
        None => {
            let (volume, of, name) = (volume.clone(), of.clone(), name.clone());
            let effect = CloudEffect::CopyVolume { volume, of, slot: slot.spec.name.clone(), name };
            look.act(slot, effect, Why::New)
        }
    };
    Content::Outstanding(Box::new(plan))
}

/// Makes every volume of ours know every slot that has one. Somebody else's are not written to.
fn record_slots(look: &Look<'_>) -> Option<Plan> {
    let slots = known_slots(look);
    let behind: BTreeSet<_> = look
        .cloud
        .volumes
        .iter()
        .filter(|volume| look.is_ours(&volume.owner) && !slots.is_subset(&volume.slots))
        .map(|volume| volume.id.clone())
        .collect();
    if behind.is_empty() {
        return None;
    }
    let effect = CloudEffect::RecordSlots { volumes: behind, slots };
    Some(look.effect(None, Effect::Cloud(effect), Why::Memory))
}

fn known_slots(look: &Look<'_>) -> BTreeSet<SlotName> {
    let recorded = look.cloud.volumes.iter().flat_map(|volume| volume.slots.iter().chain([&volume.slot]));
    recorded.chain(&look.record.initialised).cloned().collect()
}

/// Gives a slot that has lost its instance, or never had one, another: one that the group has launched for want of it,
/// or will launch in a moment, or one of ours.
fn fill(look: &Look<'_>, slot: &SlotLook<'_>, left: Option<&Instance>) -> Plan {
    let Some(remedy) = remedy(look, slot) else {
        let (slot, generation) = (slot.spec.name.clone(), look.generation.clone());
        return Plan::stalled(Stall::NothingToHealWith { slot, generation });
    };
    // The group launches what settled last. If that is outdated, it is replaced in its turn.
    let targets = [Some(remedy.clone()), settled(look, slot)];
    let recruit = |target: &(Generation, ImageId)| {
        group::recruit_for(look, slot, &target.1).map(|recruit| (target.clone(), recruit.id.clone()))
    };
    if let Some((target, recruit)) = targets.iter().flatten().find_map(recruit) {
        return claim_lost(look, slot, left, target, Some(recruit));
    }
    let about_to = |target: &(Generation, ImageId)| group::about_to_launch(look, slot, &target.1);
    let awaited = targets.iter().flatten().find_map(about_to);
    awaited.unwrap_or_else(|| claim_lost(look, slot, left, remedy, None))
}

/// Claims a slot to give it an instance. An instance that is left is kept until the new one has proved itself.
fn claim_lost(
    look: &Look<'_>,
    slot: &SlotLook<'_>,
    left: Option<&Instance>,
    (generation, image): (Generation, ImageId),
    recruit: Option<InstanceId>,
) -> Plan {
    // The slot's volumes alone say nothing: they are made, and known to the others, before its first instance is.
    let proven = slot.present().any(|(_, volume)| volume.settled.is_some());
    let had_one = proven || look.record.initialised.contains(&slot.spec.name);
    let refusals = if had_one { gates::repair_refusals } else { gates::creation_refusals };
    let hazards = refusals(look, slot, &image);
    if !hazards.is_empty() {
        let is_full = hazards.iter().any(|hazard| matches!(hazard, Hazard::GroupFullOfSpares { .. }));
        let room = is_full.then(|| group::shed(look).or_else(|| group::resume(look))).flatten();
        return room.unwrap_or_else(|| look.blocked(slot, hazards));
    }
    if recruit.is_none()
        && let Some(stalled) = rests_after_launches(look, slot, &generation)
    {
        return stalled;
    }
    let why = if had_one { Why::Lost } else { Why::New };
    look.claim(slot, left, look.next_attempt(), (generation, image), recruit, why)
}

/// Stalls for a while where a slot's launches have come to nothing as often of late as is tried in a row: its claim gave way meanwhile,
/// and a new one begins to count anew. Two lost slots would pass the claim to and fro, and launch without a pause.
fn rests_after_launches(look: &Look<'_>, slot: &SlotLook<'_>, generation: &Generation) -> Option<Plan> {
    let limits = look.limits;
    let has_failed = |it: &&&Instance| {
        let is_same = it.generation() == Some(generation) && it.subnet == slot.spec.subnet;
        !it.state.is_live() && !it.retired && is_same && slot_state::is_newer(slot, it)
    };
    let mut failed: Vec<_> = slot.instances.iter().filter(has_failed).collect();
    failed.sort_by_key(|instance| std::cmp::Reverse(instance.launched_at));
    let (latest, first) = (failed.first()?, failed.get(limits.launches.checked_sub(1)? as usize)?);
    let reason = latest.state_reason.clone().unwrap_or_else(|| "it ended by itself".to_owned());
    let is_time = look.now >= after(first.launched_at, limits.next_launches);
    let (slot, why, times) = (slot.spec.name.clone(), format!("{}: {reason}", latest.id), limits.launches);
    (!is_time).then_some(Plan::stalled(Stall::NotLaunched { slot, why, times }))
}

/// Chooses what to heal a slot with: what settled there last. An image that is just failing in another slot, or that
/// nobody has agreed to, would put the lost member's data at risk as well, and data formats do not go back. The spec's
/// image is taken once it has settled in another slot and nothing withholds it; or where there is no other.
pub fn remedy(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<(Generation, ImageId)> {
    let wanted = || (look.generation.clone(), look.spec.image.clone());
    let is_rejected = look.slots.iter().any(|slot| slot.rejected_here(&look.generation));
    let Some(before) = settled(look, slot) else { return (!is_rejected).then(wanted) };
    let is_agreed = || has_settled_beside(look, slot) && gates::withheld(look, slot).is_empty();
    let takes_wanted = !is_rejected && (is_deregistered(look, &before.1) || is_agreed());
    Some(if takes_wanted { wanted() } else { before })
}

/// Says whether the spec's generation has settled in a slot other than this one.
fn has_settled_beside(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    let is_wanted = |volume: &Volume| volume.settled.as_ref().is_some_and(|s| s.generation == look.generation);
    look.others(slot).any(|other| other.present().any(|(_, volume)| is_wanted(volume)))
}

/// Says whether EC2 shows the spec's image and does not show that one.
fn is_deregistered(look: &Look<'_>, image: &ImageId) -> bool {
    let images = &look.cloud.catalogue.images;
    images.contains_key(&look.spec.image) && !images.contains_key(image)
}

/// Finds the generation and image that settled last in a slot, if they were not rejected there.
pub fn settled(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<(Generation, ImageId)> {
    let image = slot.present().find_map(|(_, volume)| volume.settled.as_ref()?.image.clone())?;
    let generation = look.spec.generation_on(&image);
    (!slot.rejected(&generation)).then_some((generation, image))
}

/// Takes an interrupted replacement under a claim again, made from what the instances say of themselves. The
/// replacement is then finished, taken back or given up, as any other.
fn claim_again(look: &Look<'_>, slot: &SlotLook<'_>, old: Option<&Instance>, new: &Instance) -> Plan {
    let generation = new.generation().cloned().unwrap_or_else(|| look.generation.clone());
    let why = Why::Interrupted { instance: new.id.clone() };
    // One that the group may have launched was launched with no token of ours, which could be sent again for it.
    let recruit = group::adopted(look).filter(|group| group.members.contains_key(&new.id)).map(|_| new.id.clone());
    look.claim(slot, old, new.attempt().unwrap_or_default(), (generation, new.make.image.clone()), recruit, why)
}
