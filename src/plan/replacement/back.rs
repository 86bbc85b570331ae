//! A replacement being taken back: the new instance is emptied, and the old one is given its volumes again.

use crate::action::CloudEffect;
use crate::observed::{Instance, InstanceState};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::plan::steps::Step;
use crate::time::{after, elapsed};

use super::proof::{Outstanding, Wanted, missing_proof};
use super::under_way::Replacement;

impl<'a> Replacement<'_, 'a> {
    /// Says what is outstanding of one step on the way back.
    pub(super) fn back(&self, step: Step) -> Option<Plan> {
        let why = &Why::TakenBack;
        match step {
            Step::Stop | Step::Detach | Step::Retire | Step::LeaveGroup | Step::Terminate => {
                self.discard_by(step, self.new?, why)
            }
            Step::Attach => self.refill_old(),
            Step::Start => self.start_old(),
            Step::Prove => self.prove_old(),
            Step::Release => Some(self.release(true, Why::TakenBack)),
            _ => None,
        }
    }

    /// Attaches the volumes to the old instance. One that is gone cannot be restored: the slot is then released, and
    /// healed like any lost one.
    fn refill_old(&self) -> Option<Plan> {
        let named = self.claim.old()?;
        match self.old {
            None => self.wait_until_shown(named, self.claim.since),
            Some(old) if old.state.is_live() => self.attach(old, &Why::TakenBack),
            Some(_) => None,
        }
    }

    fn start_old(&self) -> Option<Plan> {
        let old = self.old?;
        match old.state {
            InstanceState::Stopped => {
                Some(self.look.act(self.slot, CloudEffect::Start { instance: old.id.clone() }, Why::TakenBack))
            }
            InstanceState::Stopping => Some(self.until_stopped(old)),
            InstanceState::Pending => Some(self.until_running(old)),
            InstanceState::Running | InstanceState::ShuttingDown | InstanceState::Terminated => None,
        }
    }

    /// Waits until the member has proved itself at the old instance.
    fn prove_old(&self) -> Option<Plan> {
        let old = self.old.filter(|old| old.state == InstanceState::Running)?;
        if self.waits_for_others() {
            return Some(self.release(true, Why::Forming));
        }
        let wanted = Wanted { instance: old, member: self.claim.member.as_ref() };
        let limit = self.look.spec.rollout.join_deadline;
        let is_late = self.look.now >= after(old.launched_at, limit);
        match missing_proof(self.look, self.slot, &wanted, self.look.rules.stabilization)? {
            Outstanding::Until { since, until } => {
                let limit = elapsed(until, since) + limit;
                Some(self.look.wait(self.slot, Awaited::Steady { until }, since, limit))
            }
            Outstanding::NotKnown(_) if is_late => self.blocked_from_taking_back(),
            Outstanding::NotBack(why_not) if is_late => Some(self.lost(old, why_not)),
            Outstanding::NotKnown(why_not) | Outstanding::NotBack(why_not) => {
                Some(self.look.wait(self.slot, Awaited::MemberBack { why_not }, old.launched_at, limit))
            }
        }
    }

    fn lost(&self, old: &Instance, why_not: String) -> Plan {
        let (slot, instance) = (self.slot.spec.name.clone(), old.id.clone());
        Plan::Stalled(Stall::RollbackFailed { slot, instance, why_not })
    }
}
