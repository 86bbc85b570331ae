//! The claimed slot: its replacement is finished, taken back, or given up, whichever the world says it is at.
//!
//! ```text
//! surge     launch ─ running, checks ─ gates ─ claim says so ─ leadership away ─ STOP old ─┐
//! recreate  gates ─ claim says so ─ leadership away ─ STOP old ─┐                          │
//!                     (snapshot) ─ detach ─ launch ─ running, checks ─┐    (snapshot) ─ detach ─┐
//!                                                                     └──────── attach to new ──┴─ member back
//!           ─ bake ─ volumes carry the generation ─ retire old ─ terminate old ─ release the claim
//! ```
//!
//! Where the next slot's replacement was launched ahead, the claim moves there once the volumes carry the generation, and the old
//! instance goes beside that (`hand_over`, `left_over`).
//!
//! Where the spec wants it, the volumes are saved before the claim says anything too, while nothing is down.
//!
//! The lists in `steps` say in which order. Which list is in force is read off the world too. A generation that the
//! slot's volumes carry as *rejected* is being taken back. So is one that the spec no longer wants, or that stands in the
//! way of a slot that has lost everything, as long as no data has reached the new instance; if its old instance was not
//! touched at all, or is gone, it is given up. The claim says which way it goes: it is turned in two writes, between which nothing is done
//! that is right on one way alone, and for so long that nothing is on its way any more that was sent on the other one.

use crate::action::CloudEffect;
use crate::observed::{Instance, InstanceState, Purpose, Way};
use crate::time::elapsed;

use super::answer::{Plan, Stall, Why};
use super::group;
use super::look::{Look, Place};
use super::slot_state;
use super::steps::{self, GIVE_UP, GO_ON, HEAL, KEEP_GROUP_STILL, Step, TAKE_BACK};

mod back;
mod beside;
mod course;
mod deadline;
mod forward;
mod instances;
mod launch;
mod proof;
mod save;
mod stop;
mod under_way;

pub use beside::leads_on;
pub use under_way::Replacement;

use course::Course;

/// Decides on the next thing to do about the claimed slot, if one is claimed.
pub fn finish(look: &Look<'_>) -> Option<Plan> {
    let claim = look.record.held.as_ref()?;
    let undeclared = || Plan::stalled(Stall::ClaimForUndeclared { slot: claim.slot.clone() });
    Some(Replacement::of(look).map_or_else(undeclared, |replacement| replacement.next().1))
}

/// Lets a replacement that cannot go on give way to a slot that has lost its instance. A member that was taken down comes
/// back first, where its volumes have not moved and it can be started. The instances say enough to take the replacement
/// up again afterwards.
///
/// The claim stays for a while if another one has just been given up: where nothing can be done in any slot, several controllers,
/// of which each knows only what was refused to itself, would pass it round without end.
pub fn give_way(look: &Look<'_>) -> Option<Plan> {
    let replacement = Replacement::of(look)?;
    let slot = replacement.slot;
    let is_soon = look.record.taken_back_at.is_some_and(|at| elapsed(look.now, at) < look.limits.late);
    if is_soon || !replacement.is_needed_beside() || replacement.launched_unseen().is_some() {
        return None;
    }
    let rests = |old: &&Instance| old.state == InstanceState::Stopped && slot.all_on(look, &old.id);
    let may_start = |old: &&Instance| slot_state::fault(look, slot).is_none() && replacement.can_go_back(old);
    let start = replacement.old.filter(rests).filter(may_start).map(|old| {
        let start = CloudEffect::Start { instance: old.id.clone() };
        look.act(slot, start, Why::GivesWay)
    });
    Some(match (start, replacement.claim.way) {
        (Some(_), Way::Forward) => replacement.turn_to(Way::Back, Why::GivesWay),
        (Some(_), Way::Back) if replacement.claim.turning => replacement.turned(Why::GivesWay),
        (Some(start), Way::Back) => start,
        (Some(_), Way::ForwardAgain) | (None, _) => replacement.release(Why::GivesWay),
    })
}

/// Finds another way for a replacement that is taken back to an instance that cannot be started.
pub fn way_out(look: &Look<'_>) -> Option<Plan> {
    Replacement::of(look)?.way_out()
}

/// Finds the step at which the claimed slot's replacement stands, if it stands at one.
pub fn step(look: &Look<'_>) -> Option<Step> {
    Replacement::of(look)?.next().0
}

impl Replacement<'_, '_> {
    /// Finds the first step that is outstanding, and the plan for it.
    fn next(&self) -> (Option<Step>, Plan) {
        if let Some(plan) = self.blocked_by_fault() {
            return (None, plan);
        }
        let course = self.course();
        if let Some((step, plan)) = self.first_of(self.before(course), course).or_else(|| self.first_of(GO_ON, course))
        {
            return (Some(step), plan);
        }
        let (is_moving, list) = self.steps(course);
        if is_moving && let Some(plan) = self.past_deadline() {
            return (None, plan);
        }
        match self.first_of(list, course) {
            Some((step, plan)) => match self.taken_back_as_refused(step, &plan).filter(|_| is_moving) {
                Some(rejected) => (None, rejected),
                None => (Some(step), plan),
            },
            None => (None, self.disagreement("nothing is left to do, and the slot is still claimed".to_owned())),
        }
    }

    /// Lists the steps that come before any other. Where the claim is given up and nothing was launched, the group may
    /// go on.
    fn before(&self, course: Course) -> &'static [Step] {
        if course == Course::GivenUp && self.new.is_none() { &[] } else { KEEP_GROUP_STILL }
    }

    /// Lists the steps of a course, and says whether they move the volumes forward. Once every volume is at the new
    /// instance, no step before the proof is asked for again.
    fn steps(&self, course: Course) -> (bool, &'static [Step]) {
        let replaces = self.claim.old().is_some();
        let forward = if replaces { steps::replacing(self.look.spec.rollout.strategy) } else { HEAL };
        match course {
            Course::Back => (false, TAKE_BACK),
            Course::GivenUp => (false, GIVE_UP),
            Course::Forward if self.holder().is_some() => (false, steps::from_proof(forward)),
            Course::Forward => (true, forward),
        }
    }

    fn first_of(&self, list: &[Step], course: Course) -> Option<(Step, Plan)> {
        let outstanding = |step: &Step| Some((*step, self.outstanding(*step, course)?));
        let first = list.iter().find_map(outstanding)?;
        let is_wait = matches!(first.1, Plan::Wait(_));
        let meanwhile = first.0.meanwhile().filter(|step| is_wait && list.contains(step));
        let acts = |(_, plan): &(Step, Plan)| matches!(plan, Plan::Act(..)) && self.look.setback(plan).is_none();
        Some(meanwhile.and_then(|step| outstanding(&step)).filter(acts).unwrap_or(first))
    }

    /// Says what is outstanding of a step: the plan for its next move, or nothing where the step is done or not needed.
    fn outstanding(&self, step: Step, course: Course) -> Option<Plan> {
        match (step, course) {
            (Step::RecordResume, _) => group::record_resume(self.look, self.slot),
            (Step::SuspendProcesses, _) => group::keep_still(self.look, self.slot),
            (Step::TurnBack | Step::TurnForward, _) => self.turn(step, course),
            (_, Course::Forward) => self.forward(step),
            (_, Course::Back) => self.back(step),
            (Step::Release, Course::GivenUp) => Some(self.release(self.why_given_up())),
            (_, Course::GivenUp) => self.discard_by(step, self.new?, &self.why_given_up()),
        }
    }

    /// Says whether a step on the way forward is done, as far as its call goes: a forecast leaves it out.
    pub fn is_done(&self, step: Step) -> bool {
        let (look, slot) = (self.look, self.slot);
        let member = |instance: &Instance| group::adopted(look).and_then(|group| group.members.get(&instance.id));
        let (old, new) = (self.old, self.live_new());
        match step {
            Step::Claim => true,
            Step::Launch => new.is_some(),
            Step::MarkStop | Step::Transfer | Step::Prepare | Step::Stop => old.is_none_or(|old| !old.state.is_up()),
            Step::SnapshotRunning => old.is_none_or(|old| self.is_saved_running(old)),
            Step::Snapshot | Step::Detach => {
                self.holder().is_some() || slot.present().all(|(_, volume)| look.place(volume) == Place::Free)
            }
            Step::AssignAddress => new.is_some_and(Instance::has_fixed_address),
            Step::MoveMember => new.is_some_and(|new| slot.member.is_some_and(|it| it.address == new.member_address())),
            Step::Attach => self.holder().is_some(),
            Step::Settle => self.holder().is_some_and(|new| self.slot.has_settled(new)),
            Step::JoinGroup => new.is_some_and(|new| member(new).is_some()),
            Step::Protect => new.is_some_and(|new| member(new).is_some_and(|member| member.protected)),
            Step::Retire => old.is_some_and(|old| old.retired),
            Step::LeaveGroup => old.is_some_and(|old| old.retired && member(old).is_none()),
            _ => false,
        }
    }

    /// Finds the reason why nothing at all can be done in this slot, if there is one.
    fn blocked_by_fault(&self) -> Option<Plan> {
        // Which of several volumes is the slot's nobody can say, so none of them says where the slot stands.
        if let Some(stall) = slot_state::contested(self.slot) {
            return Some(Plan::stalled(stall));
        }
        if let Some(plan) = self.until_holders_shown() {
            return Some(plan);
        }
        if let Some(stall) = slot_state::fault(self.look, self.slot) {
            return Some(Plan::stalled(stall));
        }
        let known = |instance: &Instance| {
            Some(&instance.id) == self.claim.old() || Some(&instance.id) == self.new.map(|new| &new.id)
        };
        let strangers: Vec<_> = self.slot.live().filter(|instance| !known(instance) && !instance.retired).collect();
        let is_served = |by: &&Instance| self.slot.all_on(self.look, &by.id);
        match strangers.as_slice() {
            [] => None,
            // The slot was claimed on an old look: somebody has given it an instance since.
            [one] if self.claim.purpose == Purpose::Fill && self.new.is_none() && is_served(one) => {
                Some(self.release(Why::Superseded))
            }
            _ => {
                let instances = self.slot.live().map(|instance| instance.id.clone()).collect();
                Some(Plan::stalled(Stall::Contested { slot: self.slot.spec.name.clone(), instances }))
            }
        }
    }
}
