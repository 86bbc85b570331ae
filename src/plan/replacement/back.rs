//! A replacement being taken back: the old shell is filled again.

use crate::action::CloudEffect;
use crate::observed::{Instance, InstanceState};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::time::{after, elapsed};

use super::proof::{Outstanding, Wanted, outstanding};
use super::under_way::Replacement;

impl<'a> Replacement<'_, 'a> {
    pub(super) fn back(&self) -> Plan {
        if self.old.is_some_and(|old| old.state == InstanceState::Running && self.slot.all_on(self.look, &old.id))
            && self.waits_for_others()
        {
            return self.release(true, Why::Forming);
        }
        let plan = self.vacate_new().or_else(|| self.restore_old()).or_else(|| self.discard_new(Why::TakenBack));
        plan.unwrap_or_else(|| self.release(true, Why::TakenBack))
    }

    /// The new instance stopped, and nothing of the slot attached to it.
    fn vacate_new(&self) -> Option<Plan> {
        self.vacate(self.new?, &Why::TakenBack)
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
            InstanceState::Stopping => Some(self.until_stopped(old)),
            InstanceState::Pending | InstanceState::ShuttingDown | InstanceState::Terminated => {
                Some(self.until_running(old))
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
