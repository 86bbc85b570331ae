//! A replacement being taken back: the old shell is filled again.

use crate::action::CloudEffect;
use crate::observed::{Instance, InstanceState};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::plan::gates;
use crate::time::{after, elapsed};

use super::proof::{Outstanding, Wanted, outstanding};
use super::{INSTANCE_PATIENCE, Replacement};

impl<'a> Replacement<'_, 'a> {
    pub(super) fn back(&self) -> Plan {
        let plan = self.empty_new().or_else(|| self.restore_old()).or_else(|| self.discard_new(Why::TakenBack));
        plan.unwrap_or_else(|| self.release(true, Why::TakenBack))
    }

    /// The new instance stopped, and nothing of the slot attached to it.
    fn empty_new(&self) -> Option<Plan> {
        let new = self.new?;
        if !self.slot.any_at(self.look, &new.id) {
            return None;
        }
        match new.state {
            InstanceState::Running => {
                // It was given up because it was not healthy. Should it have become so since, it is a member
                // like any other, and is not taken down if the others could not do without it.
                let hazards = gates::taking_back_refusals(self.look, self.slot);
                Some(match hazards.is_empty() {
                    true => self.look.act(self.slot, CloudEffect::Stop { instance: new.id.clone() }, Why::TakenBack),
                    false => self.blocked(hazards),
                })
            }
            InstanceState::Pending => {
                let what = Awaited::Running { instance: new.id.clone() };
                Some(self.look.wait(self.slot, what, new.launched_at, INSTANCE_PATIENCE))
            }
            InstanceState::Stopping => {
                let what = Awaited::Stopped { instance: new.id.clone() };
                Some(self.look.wait(self.slot, what, new.state_since, INSTANCE_PATIENCE))
            }
            InstanceState::Stopped | InstanceState::ShuttingDown | InstanceState::Terminated => {
                self.empty(new, false, &Why::TakenBack)
            }
        }
    }

    /// The old instance running with its volumes, its member healthy. An old instance that is gone cannot be
    /// restored: the slot is then released, and healed like any lost one.
    fn restore_old(&self) -> Option<Plan> {
        let named = self.claim.old.as_ref()?;
        let Some(old) = self.old else { return self.unseen(named, self.claim.since) };
        if !old.state.is_live() {
            return None;
        }
        if let Some(plan) = self.fill(old, &Why::TakenBack) {
            return Some(plan);
        }
        let id = || old.id.clone();
        match old.state {
            InstanceState::Stopped => {
                Some(self.look.act(self.slot, CloudEffect::Start { instance: id() }, Why::TakenBack))
            }
            InstanceState::Running => self.proof_of(old),
            InstanceState::Stopping => {
                let what = Awaited::Stopped { instance: id() };
                Some(self.look.wait(self.slot, what, old.state_since, INSTANCE_PATIENCE))
            }
            InstanceState::Pending | InstanceState::ShuttingDown | InstanceState::Terminated => {
                let what = Awaited::Running { instance: id() };
                Some(self.look.wait(self.slot, what, old.launched_at, INSTANCE_PATIENCE))
            }
        }
    }

    fn proof_of(&self, old: &'a Instance) -> Option<Plan> {
        let wanted = Wanted { instance: old, member: self.claim.member.as_ref() };
        match outstanding(self.look, self.slot, &wanted, self.look.rules.stabilization)? {
            Outstanding::Until { since, until } => {
                let span = elapsed(until, since) + self.look.spec.rollout.join_deadline;
                Some(self.look.wait(self.slot, Awaited::Steady { until }, since, span))
            }
            Outstanding::NotKnown(why_not) => {
                let limit = self.look.spec.rollout.join_deadline;
                if self.look.now >= after(old.launched_at, limit) {
                    return self.cannot_say();
                }
                Some(self.look.wait(self.slot, Awaited::MemberBack { why_not }, old.launched_at, limit))
            }
            Outstanding::NotBack(why_not) => {
                let limit = self.look.spec.rollout.join_deadline;
                let (slot, instance) = (self.slot.spec.name.clone(), old.id.clone());
                Some(match self.look.now < after(old.launched_at, limit) {
                    true => self.look.wait(self.slot, Awaited::MemberBack { why_not }, old.launched_at, limit),
                    false => Plan::Stalled(Stall::RollbackFailed { slot, instance, why_not }),
                })
            }
        }
    }
}
