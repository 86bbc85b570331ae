//! A replacement going forward: the old instance gives way to the new one.

use crate::action::{CloudEffect, Effect, MemberEffect};
use crate::observed::{Instance, InstanceState, Volume};
use crate::plan::answer::{Awaited, Plan, Why};
use crate::plan::steps::Step;
use crate::plan::{gates, group, select};
use crate::spec::LeaderGoes;
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
            Step::Transfer => self.transfer(),
            Step::Stop => self.stop_old(),
            Step::Snapshot => self.snapshot(self.old_in(&[InstanceState::Stopped])?, why),
            Step::Detach => {
                const EMPTIED: [InstanceState; 3] =
                    [InstanceState::Stopped, InstanceState::ShuttingDown, InstanceState::Terminated];
                self.detach(self.old_in(&EMPTIED)?, why)
            }
            Step::Attach => self.attach(self.new?, why),
            Step::Prove => self.prove(),
            Step::Retire | Step::LeaveGroup | Step::Terminate => self.discard_old(step),
            Step::Settle => self.settle(),
            Step::Release => Some(self.release(false, Why::Proven)),
            _ => None,
        }
    }

    /// Answers with the old instance, if EC2 shows it in one of those states.
    fn old_in(&self, states: &[InstanceState]) -> Option<&'a Instance> {
        self.old.filter(|old| states.contains(&old.state))
    }

    /// Moves leadership away before the leader is stopped, unless a gate forbids the stop.
    fn transfer(&self) -> Option<Plan> {
        self.old_in(&[InstanceState::Running]).filter(|old| self.slot.any_at(self.look, &old.id))?;
        let (membership, leader) = (self.look.membership?, self.slot.member?);
        let goes_last = self.look.rules.leader == Some(LeaderGoes::Last);
        if !goes_last || !membership.can_transfer || !self.look.leads(&leader.id) {
            return None;
        }
        if let Some(refused) = self.refused() {
            return Some(refused);
        }
        let to = select::successor(self.look, self.slot)?;
        let effect = MemberEffect::TransferLeadership { from: leader.id.clone(), to: to.id.clone() };
        Some(self.look.effect(Some(&self.slot.spec.name), Effect::Member(effect), Why::Leads))
    }

    /// Stops the old instance. This is the one step that takes a member down, so all gates are asked again on a fresh
    /// look.
    fn stop_old(&self) -> Option<Plan> {
        let named = self.claim.old()?;
        let Some(old) = self.old else { return self.wait_until_shown(named, self.claim.since) };
        match old.state {
            // The volumes have moved and somebody started the instance again: it serves nothing, and goes when the new
            // one is proven.
            InstanceState::Running if !self.slot.any_at(self.look, &old.id) => None,
            InstanceState::Running => Some(self.refused().unwrap_or_else(|| {
                self.look.act(self.slot, CloudEffect::Stop { instance: old.id.clone() }, Why::NextStep)
            })),
            InstanceState::Pending => Some(self.until_running(old)),
            InstanceState::Stopping => Some(self.until_stopped(old)),
            InstanceState::Stopped | InstanceState::ShuttingDown | InstanceState::Terminated => None,
        }
    }

    /// Blocks on the gates that stand before a stop, if any of them refuses.
    fn refused(&self) -> Option<Plan> {
        let hazards = gates::upgrade_refusals(self.look, self.slot);
        (!hazards.is_empty()).then(|| self.blocked(hazards))
    }

    /// Waits until the member has proved itself at the new instance. The proof is asked for again although the old
    /// instance may be marked retired: that was on the word of whatever was proven then, which need not be this one.
    fn prove(&self) -> Option<Plan> {
        let Some(new) = self.holder() else {
            return Some(self.disagreement("the new instance and its volumes are not seen together".to_owned()));
        };
        if self.can_restore()
            && let Some(plan) = self.past_deadline()
        {
            return Some(plan);
        }
        if self.waits_for_others() {
            return Some(self.release(false, Why::Forming));
        }
        let outstanding = self.missing_proof(new)?;
        let past_deadline = match &outstanding {
            Outstanding::NotBack(_) => self.past_deadline(),
            // A deadline proves nothing while nobody can say whether the member is back.
            Outstanding::NotKnown(_) if self.is_late() => self.blocked_from_taking_back(),
            Outstanding::NotKnown(_) | Outstanding::Until { .. } => None,
        };
        Some(past_deadline.unwrap_or_else(|| self.wait_for(outstanding, new)))
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
        let effect = CloudEffect::Settle {
            volumes: self.slot.volume_ids(),
            generation: self.claim.generation.clone(),
            image: self.claim.image.clone(),
            attempt: self.new?.attempt().unwrap_or_default(),
        };
        Some(self.look.act(self.slot, effect, Why::Proven))
    }
}
