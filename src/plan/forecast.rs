//! The future of a cluster, as far as its spec asks for one: the steps in their order, how long a member is down, how
//! long all of it takes, and its calls.
//!
//! The steps are the planner's own lists less what is done, as they are taken while nothing goes wrong.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::ids::{ImageId, InstanceId, SlotName, VolumeId, VolumeName, Zone};
use crate::make::Drift;
use crate::observed::{Instance, Launches};

use super::answer::Rank;
use super::group;
use super::growth::{self, Growth};
use super::launch_ahead;
use super::look::{Look, SlotLook};
use super::replacement::Replacement;
use super::select;
use super::slot_state::{SlotState, slot_state};
use super::steps::{self, CREATE, HEAL, KEEP_GROUP_STILL, RESUME_GROUP, Scope, Step, TimedStep, timed};

/// Everything that is still to come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecast {
    /// One for each slot that something will happen to, in order.
    pub slots: Vec<SlotForecast>,
    /// The volumes that grow where they are, in order. EBS takes as long over each as it likes.
    pub growths: Vec<VolumeGrowth>,
    /// Seconds that all of it takes, but for the volumes that grow.
    pub total: Duration,
    /// Mutating EC2 calls that all of it makes.
    pub calls: usize,
}

/// A volume that grows where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeGrowth {
    pub slot: SlotName,
    pub name: VolumeName,
    pub volume: VolumeId,
    pub from_gib: u32,
    pub to_gib: u32,
}

/// Everything that is to come for one slot.
#[derive(Clone, Debug, PartialEq)]
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
    /// The fixed address that moves with them.
    pub address: Option<Ipv4Addr>,
    /// The instance that has the address.
    pub address_from: Option<InstanceId>,
    /// The part of the new instance's launch that falls into the wait for the new member of the slot before; it counts for neither
    /// the step nor the total.
    pub ahead: Duration,
    pub steps: Vec<TimedStep>,
    pub quorum: Quorum,
    pub member_down: Duration,
    pub total: Duration,
    pub calls: usize,
}

/// The reason for which something happens to a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The replacement has begun.
    UnderWay,
    /// The slot has lost its instance, or never had one.
    Empty,
    Outdated {
        rank: Rank,
        drifts: Vec<Drift>,
    },
}

/// Healthy voters before, during and after, and how many are needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quorum {
    pub before: usize,
    pub during: usize,
    pub after: usize,
    pub needed: usize,
    pub declared: usize,
}

/// Forecasts everything that the spec asks for and the world does not show, whatever gates are closed now.
pub fn forecast(look: &Look<'_>) -> Forecast {
    let replacement = Replacement::of(look);
    let is_claimed = |slot: &SlotLook<'_>| replacement.as_ref().is_some_and(|r| r.slot.spec.name == slot.spec.name);
    let under_way = replacement.as_ref().map(|replacement| under_way(look, replacement));
    let empty = look.slots.iter().filter(|slot| !is_claimed(slot)).filter_map(|slot| filled(look, slot));
    let outdated = select::order(look).into_iter().filter(|next| !is_claimed(next.slot)).map(|next| {
        let transfers = next.rank == Rank::LeaderLast && can_hand_over(look, next.slot);
        let reason = Reason::Outdated { rank: next.rank, drifts: next.drifts };
        slot_forecast(look, next.slot, reason, (Some(next.instance), None), replacing(look, transfers))
    });
    let mut slots: Vec<_> = under_way.into_iter().chain(empty).chain(outdated).collect();
    launch_ahead(look, &mut slots);
    hand_over(look, &mut slots);
    keep_group_still(look, &mut slots);
    let growths: Vec<_> = growth::outstanding(look).iter().map(grown).collect();
    Forecast {
        total: slots.iter().map(|slot| slot.total).sum(),
        calls: slots.iter().map(|slot| slot.calls).sum::<usize>() + growths.len(),
        growths,
        slots,
    }
}

fn grown(growth: &Growth<'_, '_>) -> VolumeGrowth {
    let Growth { slot, volume, to_gib, .. } = growth;
    let (name, id) = (volume.name.clone(), volume.id.clone());
    VolumeGrowth { slot: slot.spec.name.clone(), name, volume: id, from_gib: volume.size_gib, to_gib: *to_gib }
}

/// Leaves out the launch that was made ahead, and shortens those that are made while the slot before waits for its new member.
fn launch_ahead(look: &Look<'_>, slots: &mut [SlotForecast]) {
    let wait = launch_ahead::span(look);
    let mut follows = false;
    for (index, slot) in slots.iter_mut().enumerate() {
        let is_next = matches!(slot.reason, Reason::Outdated { .. });
        let launched = launch_ahead::wanted_instance(look).filter(|it| it.slot == slot.slot);
        if let Some(instance) = launched.filter(|_| is_next) {
            slot.launched_already(instance);
        } else if is_next && follows && launch_ahead::is_foreseen(look, index) {
            slot.launch_within(wait);
        }
        follows = slot.old.is_some();
    }
}

/// Puts into one write what is written to the claim record one after the other, as `hand_over` does: a slot is given up and the next one
/// claimed, and a claim says at once what is about to be stopped.
fn hand_over(look: &Look<'_>, slots: &mut [SlotForecast]) {
    let mut before: Option<&mut SlotForecast> = None;
    for (index, slot) in slots.iter_mut().enumerate() {
        let is_begun = matches!(slot.reason, Reason::Outdated { .. });
        if let Some(before) = before.filter(|_| is_begun && launch_ahead::needs_nobody(look, index)) {
            before.steps.pop_if(|last| last.step == Step::Release);
            before.add_up();
            slot.steps.iter_mut().filter(|it| it.step == Step::Claim).for_each(|it| it.step = Step::MoveClaim);
        }
        if is_begun && look.seen.related.is_empty() {
            slot.mark_at_once();
        }
        before = slot.old.is_some().then_some(slot);
    }
}

/// Adds the steps that keep the adopted group still from the first slot's claim on, and those that let it act again
/// after the last slot.
fn keep_group_still(look: &Look<'_>, slots: &mut [SlotForecast]) {
    let Some(group) = group::adopted(look) else { return };
    let still_runs = !group.running().is_empty();
    let may_resume = group.resume.is_some() || still_runs;
    let is_behind = matches!(&group.launches, Launches::Template(template) if !group::is_up_to_date(look, template));
    let is_taken = |step: &Step| match step {
        Step::RecordResume => still_runs && group.resume.is_none(),
        Step::SuspendProcesses => still_runs,
        Step::CreateTemplate | Step::UseTemplate => is_behind,
        _ => may_resume,
    };
    let taken = |list: &[Step]| list.iter().copied().filter(is_taken).map(undisturbing).collect();
    if let Some(first) = slots.first_mut() {
        let after_claim = first.steps.iter().position(|step| step.step == Step::Claim).map_or(0, |claim| claim + 1);
        first.add(after_claim, taken(KEEP_GROUP_STILL));
    }
    if let Some(last) = slots.last_mut() {
        last.add(last.steps.len(), taken(RESUME_GROUP));
    }
}

/// Times a step that leaves every member up.
fn undisturbing(step: Step) -> TimedStep {
    TimedStep { step, takes: step.takes(), down: false }
}

impl SlotForecast {
    /// Leaves out the launch of the instance that is to take the place.
    fn launched_already(&mut self, instance: &Instance) {
        self.new = Some(instance.id.clone());
        self.steps.retain(|step| step.step != Step::Launch);
        self.add_up();
    }

    fn add_up(&mut self) {
        self.total = self.steps.iter().map(|step| step.takes).sum();
        self.calls = self.steps.iter().filter(|step| step.step.is_ec2_call()).count();
    }

    /// Leaves out that the claim says what is about to be stopped, where nothing has to be done between the claim and that.
    fn mark_at_once(&mut self) {
        let is_launching = self.steps.iter().any(|step| step.step == Step::Launch && !step.takes.is_zero());
        let follows = |pair: &[TimedStep]| {
            matches!(pair[0].step, Step::Claim | Step::MoveClaim) && pair[1].step == Step::MarkStop
        };
        if let Some(claim) = self.steps.windows(2).position(follows) {
            let launches_after = self.steps[claim..].iter().any(|step| step.step == Step::Launch);
            if launches_after || !is_launching {
                self.steps.remove(claim + 1);
                self.add_up();
            }
        }
    }

    /// Puts the launch before the claim, and takes off it what falls into the wait for the slot before.
    fn launch_within(&mut self, wait: Duration) {
        let Some(at) = self.steps.iter().position(|step| step.step == Step::Launch) else { return };
        let launch = self.steps.remove(at);
        self.ahead = launch.takes.min(wait);
        self.total -= self.ahead;
        let announce = TimedStep { step: Step::Announce, takes: Duration::ZERO, down: false };
        self.steps.splice(0..0, [announce, TimedStep { takes: launch.takes - self.ahead, ..launch }]);
    }

    fn add(&mut self, at: usize, steps: Vec<TimedStep>) {
        self.total += steps.iter().map(|step| step.takes).sum::<Duration>();
        self.calls += steps.iter().filter(|step| step.step.is_ec2_call()).count();
        self.steps.splice(at..at, steps);
    }
}

/// Says whether leadership can be moved away from a slot's member, and there is somebody to move it to.
fn can_hand_over(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    look.membership.is_some_and(|membership| membership.can_transfer) && select::successor(look, slot).is_some()
}

/// Times the steps of one whole replacement.
fn replacing(look: &Look<'_>, transfers: bool) -> Vec<TimedStep> {
    timed(steps::replacing(look.spec.rollout.strategy), look.spec, Scope { transfers, lacking: 0 })
}

/// Forecasts the claimed slot, without what is done.
fn under_way(look: &Look<'_>, replacement: &Replacement<'_, '_>) -> SlotForecast {
    let slot = replacement.slot;
    let leads = slot.member.is_some_and(|member| look.leads(&member.id)) && can_hand_over(look, slot);
    let mut steps = match replacement.old {
        Some(_) => replacing(look, leads),
        None => timed(HEAL, look.spec, Scope::default()),
    };
    steps.retain(|step| !replacement.is_done(step.step));
    slot_forecast(look, slot, Reason::UnderWay, (replacement.old, replacement.live_new()), steps)
}

/// Forecasts a slot that has no instance.
fn filled(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<SlotForecast> {
    let steps = match slot_state(look, slot) {
        SlotState::Blank { lacking } => timed(CREATE, look.spec, Scope { transfers: false, lacking: lacking.len() }),
        SlotState::Vacant { .. } => timed(HEAL, look.spec, Scope::default()),
        _ => return None,
    };
    Some(slot_forecast(look, slot, Reason::Empty, (None, None), steps))
}

fn slot_forecast(
    look: &Look<'_>,
    slot: &SlotLook<'_>,
    reason: Reason,
    (old, new): (Option<&Instance>, Option<&Instance>),
    steps: Vec<TimedStep>,
) -> SlotForecast {
    let healthy = look.slots.iter().filter(|slot| slot.counts_as_healthy()).count();
    let own = usize::from(slot.counts_as_healthy());
    let declared = look.spec.slots.len();
    let claim = look.record.held.as_ref().filter(|claim| claim.slot == slot.spec.name);
    SlotForecast {
        slot: slot.spec.name.clone(),
        zone: slot.spec.zone.clone(),
        reason,
        old: old.map(|old| old.id.clone()),
        new: new.map(|new| new.id.clone()),
        from: old.map(|old| old.make.image.clone()),
        to: claim.map_or(&look.spec.image, |claim| &claim.image).clone(),
        volumes: slot.volumes.iter().map(|(v, there)| (v.name.clone(), there.map(|there| there.id.clone()))).collect(),
        address: slot.spec.address,
        address_from: slot.spec.address.and_then(|address| {
            let holder = slot.instances.iter().find(|instance| instance.has(address))?;
            Some(holder.id.clone())
        }),
        quorum: Quorum {
            before: healthy,
            during: if steps.iter().any(|step| step.down) { healthy - own } else { healthy },
            after: (healthy - own + 1).min(declared),
            needed: look.needed(),
            declared,
        },
        member_down: steps.iter().filter(|step| step.down).map(|step| step.takes).sum(),
        total: steps.iter().map(|step| step.takes).sum(),
        calls: steps.iter().filter(|step| step.step.is_ec2_call()).count(),
        ahead: Duration::ZERO,
        steps,
    }
}
