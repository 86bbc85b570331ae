//! What is still to come: the steps in their order, how long a member is down, how long it all takes, what it calls.
//!
//! The steps are the planner's own, in the order in which it takes them while nothing goes wrong; a test runs a whole
//! rollout and compares. The spans are medians of published figures and say "about".

use std::time::Duration;

use serde::Serialize;

use crate::ids::{ImageId, InstanceId, SlotName, VolumeId, VolumeName, Zone};
use crate::observed::{Instance, InstanceState, Launches};

use super::answer::Rank;
use super::drift::Drift;
use super::group;
use super::look::{Look, SlotLook};
use super::select;
use super::standing::{Standing, standing};
use super::steps::{CALL, Step, call, filling, replacement};

/// What is still to come.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// One for each slot that something will happen to, in order.
    pub slots: Vec<SlotForecast>,
    /// Seconds that all of it takes.
    pub total: Duration,
    /// Mutating EC2 calls that all of it makes.
    pub calls: usize,
}

/// What is to come for one slot.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotForecast {
    pub slot: SlotName,
    pub zone: Zone,
    pub reason: Reason,
    /// The instance that will be terminated.
    pub old: Option<InstanceId>,
    /// The instance that takes its place, if it has been launched already.
    pub new: Option<InstanceId>,
    pub from: Option<ImageId>,
    pub to: ImageId,
    /// The volumes that move, or are made.
    pub volumes: Vec<(VolumeName, Option<VolumeId>)>,
    pub steps: Vec<Step>,
    pub quorum: Quorum,
    pub member_down: Duration,
    pub total: Duration,
    pub calls: usize,
}

/// Why something happens to a slot, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Its replacement has begun.
    UnderWay,
    /// It has lost its instance, or never had one.
    Empty,
    Outdated {
        rank: Rank,
        drifts: Vec<Drift>,
    },
}

/// Healthy voters before, during and after, and how many are needed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quorum {
    pub before: usize,
    pub during: usize,
    pub after: usize,
    pub needed: usize,
    pub declared: usize,
}

/// Forecasts everything that the spec asks for and the world does not show, whatever gates are closed now.
pub fn forecast(look: &Look<'_>) -> Forecast {
    let claimed = look.record.held.as_ref().and_then(|claim| look.slot(&claim.slot));
    let is_claimed = |slot: &SlotLook<'_>| claimed.is_some_and(|claimed| claimed.spec.name == slot.spec.name);
    let under_way = claimed.map(|slot| under_way(look, slot));
    let empty = look.slots.iter().filter(|slot| !is_claimed(slot)).filter_map(|slot| filled(look, slot));
    let outdated = select::order(look).into_iter().filter(|next| !is_claimed(next.slot)).map(|next| {
        let leads = next.rank == Rank::Leader && can_hand_over(look, next.slot);
        let reason = Reason::Outdated { rank: next.rank, drifts: next.drifts };
        let steps = replacement(look.spec, next.slot.volumes.iter().any(|(v, _)| v.snapshot_before_replace), leads);
        slot_forecast(look, next.slot, reason, (Some(next.instance), None), steps)
    });
    let mut slots: Vec<_> = under_way.into_iter().chain(empty).chain(outdated).collect();
    keep_group_still(look, &mut slots);
    Forecast {
        total: slots.iter().map(|slot| slot.total).sum(),
        calls: slots.iter().map(|slot| slot.calls).sum(),
        slots,
    }
}

/// The adopted group is kept still from the first slot's claim on, and let go after the last slot.
fn keep_group_still(look: &Look<'_>, slots: &mut [SlotForecast]) {
    let Some(group) = group::adopted(look) else { return };
    let simple = |action| call(action, CALL, false);
    if let Some(first) = slots.first_mut()
        && !group.running().is_empty()
    {
        let after_claim = first.steps.iter().position(|step| step.action == "claim").map_or(0, |claim| claim + 1);
        let record = group.resume.is_none().then_some("record-resume");
        let quiet = record.into_iter().chain(["suspend-processes"]).map(simple);
        first.add(after_claim, quiet.collect());
    }
    if let Some(last) = slots.last_mut() {
        let let_go = group.resume.is_some() || !group.running().is_empty();
        let behind = matches!(&group.launches, Launches::Template(template) if !group::follows(look, template));
        let template = behind.then_some(["create-template", "use-template"]);
        let let_go = let_go.then_some(["resume-processes", "forget-resume"]);
        let steps = template.into_iter().chain(let_go).flatten().map(simple);
        last.add(last.steps.len(), steps.collect());
    }
}

impl SlotForecast {
    fn add(&mut self, at: usize, steps: Vec<Step>) {
        self.total += steps.iter().map(|step| step.takes).sum::<Duration>();
        self.calls += steps.iter().filter(|step| step.ec2).count();
        self.steps.splice(at..at, steps);
    }
}

/// Whether leadership can be moved away from a slot's member, and there is somebody to move it to.
fn can_hand_over(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    look.membership.is_some_and(|membership| membership.can_transfer) && select::successor(look, slot).is_some()
}

/// A claimed slot: what has been done already is left out.
fn under_way<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> SlotForecast {
    let claim = look.record.held.as_ref();
    let old = claim.and_then(|claim| slot.instance(claim.old.as_ref()?));
    let new =
        claim.and_then(|claim| slot.live().find(|i| i.attempt == claim.attempt && Some(&i.id) != claim.old.as_ref()));
    let stopped = old.is_none_or(|old| old.state >= InstanceState::Stopping);
    let moved = new.is_some_and(|new| slot.all_on(look, &new.id));
    let member = |instance: &Instance| group::adopted(look).and_then(|group| group.members.get(&instance.id));
    let done = |action: &str| match action {
        "claim" => true,
        "launch" => new.is_some(),
        "transfer-leadership" | "stop" => stopped,
        "snapshot" | "detach" => moved || slot.present().all(|(_, v)| look.place(v) == super::look::Place::Free),
        "attach" => moved,
        "join-group" => new.is_some_and(|new| member(new).is_some()),
        "protect" => new.is_some_and(|new| member(new).is_some_and(|member| member.protected)),
        "retire" => old.is_some_and(|old| old.retired),
        "leave-group" => old.is_some_and(|old| old.retired && member(old).is_none()),
        _ => false,
    };
    let leads = slot.member.is_some_and(|member| look.leads(&member.id)) && can_hand_over(look, slot);
    let mut steps = match old {
        Some(_) => replacement(look.spec, slot.volumes.iter().any(|(v, _)| v.snapshot_before_replace), leads),
        None => filling(look.spec, 0),
    };
    steps.retain(|step| !done(step.action));
    slot_forecast(look, slot, Reason::UnderWay, (old, new), steps)
}

fn filled<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> Option<SlotForecast> {
    let to_make = match standing(look, slot) {
        Standing::Blank { lacking } => lacking.len(),
        Standing::Vacant { .. } => 0,
        _ => return None,
    };
    Some(slot_forecast(look, slot, Reason::Empty, (None, None), filling(look.spec, to_make)))
}

fn slot_forecast(
    look: &Look<'_>,
    slot: &SlotLook<'_>,
    reason: Reason,
    (old, new): (Option<&Instance>, Option<&Instance>),
    steps: Vec<Step>,
) -> SlotForecast {
    let healthy = look.slots.iter().filter(|slot| slot.is_healthy_voter()).count();
    let own = usize::from(slot.is_healthy_voter());
    let declared = look.spec.slots.len();
    SlotForecast {
        slot: slot.spec.name.clone(),
        zone: slot.spec.zone.clone(),
        reason,
        old: old.map(|old| old.id.clone()),
        new: new.map(|new| new.id.clone()),
        from: old.map(|old| old.image.clone()),
        to: look
            .record
            .held
            .as_ref()
            .filter(|c| c.slot == slot.spec.name)
            .map_or(&look.spec.image, |c| &c.image)
            .clone(),
        volumes: slot.volumes.iter().map(|(v, there)| (v.name.clone(), there.map(|there| there.id.clone()))).collect(),
        quorum: Quorum {
            before: healthy,
            during: if steps.iter().any(|step| step.down) { healthy - own } else { healthy },
            after: (healthy - own + 1).min(declared),
            needed: look.spec.quorum(),
            declared,
        },
        member_down: steps.iter().filter(|step| step.down).map(|step| step.takes).sum(),
        total: steps.iter().map(|step| step.takes).sum(),
        calls: steps.iter().filter(|step| step.ec2).count(),
        steps,
    }
}
