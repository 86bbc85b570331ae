//! The claimed slot: its replacement is finished, taken back, or given up, whichever the world says it is at.
//!
//! ```text
//! surge     launch ─ running, checks ─ gates ─ leadership away ─ STOP old ─┐
//! recreate  gates ─ leadership away ─ STOP old ─┐                          │
//!                     (snapshot) ─ detach ─ launch ─ running, checks ─┐    (snapshot) ─ detach ─┐
//!                                                                     └──────── attach to new ──┴─ member back
//!           ─ bake ─ retire old ─ terminate old ─ volumes carry the generation ─ release the claim
//! ```
//!
//! The lists in `steps` say in which order. Which list is in force is read off the world too. A generation that the
//! slot's volumes carry as *rejected* is being taken back; a claim for something the spec no longer wants is given up
//! as long as no data has moved.

use crate::action::CloudEffect;
use crate::observed::{Instance, InstanceState, Purpose};

use super::answer::{Plan, Stall, Why};
use super::drift::drifts;
use super::group;
use super::heal;
use super::look::{Look, Place};
use super::slot_state;
use super::steps::{self, GIVE_UP, HEAL, KEEP_GROUP_STILL, Step, TAKE_BACK};

mod back;
mod deadline;
mod forward;
mod instances;
mod launch;
mod proof;
mod under_way;

pub use under_way::Replacement;

/// The way that a replacement goes.
#[derive(Clone, Copy, PartialEq)]
enum Course {
    /// To the new instance.
    Forward,
    /// To the old instance again.
    Back,
    /// To an end before any data has moved.
    GivenUp,
}

/// Decides on the next thing to do about the claimed slot, if one is claimed.
pub fn finish(look: &Look<'_>) -> Option<Plan> {
    let claim = look.record.held.as_ref()?;
    let undeclared = || Plan::Stalled(Stall::ClaimForUndeclared { slot: claim.slot.clone() });
    Some(Replacement::of(look).map_or_else(undeclared, |replacement| replacement.next().1))
}

/// Lets a replacement that cannot go on give way to a slot that has lost its instance. A member that was taken down comes
/// back first, where its volumes have not moved. The instances say enough to take the replacement up again afterwards.
pub fn give_way(look: &Look<'_>) -> Option<Plan> {
    let replacement = Replacement::of(look)?;
    let slot = replacement.slot;
    if !heal::is_needed_beside(look, slot) {
        return None;
    }
    let at_old = replacement.old.filter(|old| slot.any_at(look, &old.id));
    match at_old.map(|old| (old, old.state)) {
        Some((old, InstanceState::Stopped))
            if slot.all_on(look, &old.id) && slot_state::fault(look, slot).is_none() =>
        {
            let start = look.act(slot, CloudEffect::Start { instance: old.id.clone() }, Why::GivesWay);
            Some(start).filter(|plan| look.setback(plan).is_none())
        }
        Some((_, InstanceState::Stopped | InstanceState::Stopping | InstanceState::Pending)) => None,
        Some(_) | None => Some(replacement.release(true, Why::GivesWay)),
    }
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
        if let Some((step, plan)) = self.first_of(self.before(course), course) {
            return (Some(step), plan);
        }
        let (is_moving, list) = self.steps(course);
        if is_moving && let Some(plan) = self.past_deadline() {
            return (None, plan);
        }
        match self.first_of(list, course) {
            Some((step, plan)) => (Some(step), plan),
            None => (None, self.disagreement("nothing is left to do, and the slot is still claimed".to_owned())),
        }
    }

    /// Reads off the world which way the replacement goes.
    fn course(&self) -> Course {
        if self.slot.rejected(&self.claim.generation) {
            Course::Back
        } else if self.is_superseded() {
            Course::GivenUp
        } else {
            Course::Forward
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
        list.iter().find_map(|step| Some((*step, self.outstanding(*step, course)?)))
    }

    /// Says what is outstanding of a step: the plan for its next move, or nothing where the step is done or not needed.
    fn outstanding(&self, step: Step, course: Course) -> Option<Plan> {
        match (step, course) {
            (Step::RecordResume, _) => group::record_resume(self.look, self.slot),
            (Step::SuspendProcesses, _) => group::keep_still(self.look, self.slot),
            (_, Course::Forward) => self.forward(step),
            (_, Course::Back) => self.back(step),
            (Step::Release, Course::GivenUp) => Some(self.abandon()),
            (_, Course::GivenUp) => self.discard_by(step, self.new?, &Why::Superseded),
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
            Step::Transfer | Step::Stop => {
                old.is_none_or(|old| !matches!(old.state, InstanceState::Pending | InstanceState::Running))
            }
            Step::Snapshot | Step::Detach => {
                self.holder().is_some() || slot.present().all(|(_, volume)| look.place(volume) == Place::Free)
            }
            Step::Attach => self.holder().is_some(),
            Step::JoinGroup => new.is_some_and(|new| member(new).is_some()),
            Step::Protect => new.is_some_and(|new| member(new).is_some_and(|member| member.protected)),
            Step::Retire => old.is_some_and(|old| old.retired),
            Step::LeaveGroup => old.is_some_and(|old| old.retired && member(old).is_none()),
            _ => false,
        }
    }

    /// Finds the reason why nothing at all can be done in this slot, if there is one.
    fn blocked_by_fault(&self) -> Option<Plan> {
        if let Some(stall) = slot_state::fault(self.look, self.slot) {
            return Some(Plan::Stalled(stall));
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
                Some(self.release(true, Why::Superseded))
            }
            _ => {
                let instances = self.slot.live().map(|instance| instance.id.clone()).collect();
                Some(Plan::Stalled(Stall::Contested { slot: self.slot.spec.name.clone(), instances }))
            }
        }
    }

    /// Says whether what was claimed is not wanted any more, and no data has moved yet. Once data has moved, the
    /// replacement is finished (or taken back) before the direction changes. A slot that has lost its instance comes
    /// before one that only has an outdated one: the gates would keep this one from going on, and the claim that one
    /// from being healed.
    fn is_superseded(&self) -> bool {
        match self.old {
            Some(old) => {
                let untouched = old.state == InstanceState::Running && self.slot.all_on(self.look, &old.id);
                let unwanted = self.claim.generation != self.look.generation || self.old_is_current(old);
                untouched && (unwanted || heal::is_needed_beside(self.look, self.slot))
            }
            None if self.claim.old().is_some() => false,
            None => {
                let moved = self.new.is_some_and(|new| self.slot.any_at(self.look, &new.id));
                // An instance that the group has launched is a slot's instance like any other, and if outdated is
                // replaced as one.
                let launched_for_it = self.claim.recruit.is_none();
                let yields = heal::is_restorable_beside(self.look, self.slot);
                !moved && launched_for_it && (yields || !self.heals())
            }
        }
    }

    fn old_is_current(&self, old: &Instance) -> bool {
        drifts(&self.look.make, self.slot.spec, old).is_empty()
    }

    /// Says whether a lost slot may be healed with what is claimed. What settled there last always will do, so that an
    /// approval or a window does not take back a launch in the middle.
    fn heals(&self) -> bool {
        let remedies = [heal::remedy(self.look, self.slot), heal::settled(self.look, self.slot)];
        let mut will_do = remedies.iter().flatten().map(|(generation, _)| generation).peekable();
        match will_do.peek() {
            Some(_) => will_do.any(|generation| *generation == self.claim.generation),
            None => self.claim.generation == self.look.generation,
        }
    }

    /// Gives the slot up. Where no launch was seen, another controller's may still be on its way: then nothing new
    /// begins for as long as EC2 would accept it.
    fn abandon(&self) -> Plan {
        self.release(self.new.is_none(), Why::Superseded)
    }
}
