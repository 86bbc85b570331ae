//! A replacement going forward: the old instance gives way to the new one.

use crate::action::CloudEffect;
use crate::observed::{Instance, InstanceState, Volume};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::plan::steps::Step;
use crate::plan::{address, gates, group, peers};
use crate::time::elapsed;

use super::proof::Outstanding;
use super::under_way::Replacement;

impl<'a> Replacement<'_, 'a> {
    /// Says what is outstanding of one step on the way forward.
    pub(super) fn forward(&self, step: Step) -> Option<Plan> {
        let why = &Why::NextStep;
        match step {
            Step::Launch => self.launch(),
            Step::JoinGroup => group::attach(self.look, self.slot, self.new?, why),
            Step::Protect => group::protect(self.look, self.slot, self.new?, why),
            Step::MarkStop | Step::Transfer | Step::Prepare | Step::Stop => self.stop_old(step),
            Step::SnapshotRunning => self.snapshot_running(self.old_in(&[InstanceState::Running])?, why),
            Step::Snapshot => self.snapshot(self.old_in(&[InstanceState::Stopped])?, why),
            Step::Detach => {
                const EMPTIED: [InstanceState; 3] =
                    [InstanceState::Stopped, InstanceState::ShuttingDown, InstanceState::Terminated];
                self.detach(self.old_in(&EMPTIED)?, why)
            }
            Step::AssignAddress => address::assign(self.look, self.slot, self.new?, why),
            Step::MoveMember => peers::tell(self.look, self.slot, self.new?, why),
            Step::Attach => self.attach(self.new?, why),
            Step::Prove => self.prove(),
            Step::Retire | Step::LeaveGroup | Step::Terminate => self.discard_old(step),
            Step::Settle => self.settle(),
            Step::Release => Some(self.release(Why::Proven)),
            _ => None,
        }
    }

    /// Answers with the old instance, if EC2 shows it in one of those states.
    fn old_in(&self, states: &[InstanceState]) -> Option<&'a Instance> {
        self.old.filter(|old| states.contains(&old.state))
    }

    /// Stops the old instance. This takes a member down, so all gates are asked again on a fresh look.
    fn stop_old(&self, step: Step) -> Option<Plan> {
        let named = self.claim.old()?;
        let Some(old) = self.old else {
            return (step == Step::Stop).then(|| self.wait_until_shown(named, self.claim.since)).flatten();
        };
        // One that was taken back serves again, and the others look for its member elsewhere: nobody can say how that is.
        if self.slot.is_served_by(self.look, old)
            && let Some(told) = peers::correct(self.look, self.slot, old, &Why::AddressChanged)
        {
            return Some(told);
        }
        // The volumes have moved and somebody started the instance again: it serves nothing, and goes when the new one is
        // proven. Only if it still has the address that the new one needs, it is stopped before.
        let serves_nothing = old.state == InstanceState::Running && !self.slot.any_at(self.look, &old.id);
        // Without all of the slot's volumes it serves nothing, and its successor has what settled: to restore a slot needs no permission.
        let is_restored = self.claim.generation != self.look.generation && !self.slot.all_on(self.look, &old.id);
        match serves_nothing {
            true if old.has_fixed_address() => self.stop(step, old, &Vec::new, &Why::NextStep),
            true => None,
            false if is_restored => self.stop_given_up(step, old, &Why::NextStep),
            false => self.stop(step, old, &|| gates::upgrade_refusals(self.look, self.slot), &Why::NextStep),
        }
    }

    /// Waits until the member has proved itself at the new instance, or until its volumes record of this very instance that it has,
    /// whatever is asked of members since.
    fn prove(&self) -> Option<Plan> {
        let Some(new) = self.holder() else {
            return Some(self.disagreement("the new instance and its volumes are not seen together".to_owned()));
        };
        if self.slot.has_settled(new) {
            return None;
        }
        let mended = self.start_new_again(new).or_else(|| self.stopped_by_a_person(new));
        // Without its address the member cannot come back, and no image is rejected for that meanwhile.
        if let Some(plan) = mended.or_else(|| address::give_back(self.look, self.slot, new)) {
            return Some(plan);
        }
        if let Some(lost) = self.quorum_lost() {
            return Some(lost);
        }
        if self.can_restore()
            && let Some(plan) = self.past_deadline()
        {
            return Some(plan);
        }
        if self.waits_for_others() {
            return Some(self.release(Why::Forming));
        }
        if let Some(told) = peers::correct(self.look, self.slot, new, &Why::NextStep) {
            return Some(told);
        }
        let outstanding = self.missing_proof(new)?;
        if let Some(stalled) = self.held_up_beside() {
            return Some(stalled);
        }
        let past_deadline = match &outstanding {
            Outstanding::NotBack(_) => self.past_deadline(),
            // A deadline proves nothing while nobody can say whether the member is back.
            Outstanding::NotKnown(_) if self.is_late() => self.blocked_from_taking_back(new),
            Outstanding::NotKnown(_) | Outstanding::Until { .. } => None,
        };
        Some(past_deadline.unwrap_or_else(|| self.wait_for(outstanding, new)))
    }

    /// Starts the new instance again, where it holds the volumes and EC2 has stopped it, or this claim has, to discard it, and
    /// the volumes have come to it after all: this only brings a member back. One that could not be started of late has its
    /// deadline.
    fn start_new_again(&self, new: &Instance) -> Option<Plan> {
        let by_us = new.state == InstanceState::Stopped && self.claim.stops.contains(&new.id);
        let by_us = by_us.then(|| "it was to be discarded, and has got its volumes since".to_owned());
        let reason = by_us.or_else(|| new.stopped_by_ec2().map(str::to_owned))?;
        let start = self.look.act(self.slot, CloudEffect::Start { instance: new.id.clone() }, Why::Stopped { reason });
        self.look.setback(&start).is_none().then_some(start)
    }

    /// Names a new instance that a person has stopped and that has no old one to go back to: it is the person's to start. How
    /// long its member is not back says nothing of the image meanwhile.
    fn stopped_by_a_person(&self, new: &Instance) -> Option<Plan> {
        self.old.is_none_or(|old| !old.state.is_live()).then_some(())?;
        let is_ours = || new.stopped_by_ec2().is_some() || self.claim.stops.contains(&new.id);
        match new.state {
            InstanceState::Stopping => Some(self.until_stopped(new)),
            InstanceState::Stopped if !is_ours() => {
                let (slot, instance) = (self.slot.spec.name.clone(), new.id.clone());
                Some(Plan::stalled(Stall::InstanceStopped { slot, instance, why: new.state_reason.clone() }))
            }
            _ => None,
        }
    }

    /// Waits for the member. One that is back only has to stay healthy, however late it was; one that is not has a
    /// deadline.
    fn wait_for(&self, outstanding: Outstanding, new: &Instance) -> Plan {
        let limit = self.look.spec.rollout.join_deadline;
        match outstanding {
            Outstanding::NotBack(why_not) | Outstanding::NotKnown(why_not) => {
                let since = self.expected_since().unwrap_or(new.launched_at);
                self.look.wait(self.slot, Awaited::MemberBack { why_not }, since, limit)
            }
            Outstanding::Until { since, until } => {
                self.look.wait(self.slot, Awaited::Bake { until }, since, elapsed(until, since) + limit)
            }
        }
    }

    fn discard_old(&self, step: Step) -> Option<Plan> {
        let named = self.claim.old()?;
        match self.old {
            Some(old) => self.discard_by(step, old, &Why::Proven),
            None => self.wait_until_shown(named, self.new?.launched_at),
        }
    }

    /// Records on the volumes what has proved itself.
    fn settle(&self) -> Option<Plan> {
        let behind = |volume: &Volume| !volume.carries(&self.claim.generation);
        if !self.slot.present().any(|(_, volume)| behind(volume)) {
            return None;
        }
        Some(self.look.settle(self.slot, self.new?, &self.claim.generation, &self.claim.image, Why::Proven))
    }
}
