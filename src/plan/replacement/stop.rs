//! An instance is stopped: the claim says so first, leadership is moved away from its member, and the member is told.

use crate::action::{ClaimEffect, CloudEffect, Effect, MemberEffect};
use crate::observed::{Health, Instance, InstanceState};
use crate::plan::answer::{Awaited, Hazard, Plan, Why};
use crate::plan::select;
use crate::plan::steps::Step;
use crate::spec::LeaderGoes;
use crate::time::{after, elapsed};

use super::under_way::Replacement;

/// The reasons against a stop, asked for only when one is due.
pub(super) type Refusals<'r> = &'r dyn Fn() -> Vec<Hazard>;

impl Replacement<'_, '_> {
    /// Takes one step of stopping an instance, unless something refuses. Whether it has what the stop would cost it both views must say.
    pub(super) fn stop(&self, step: Step, instance: &Instance, refusals: Refusals<'_>, why: &Why) -> Option<Plan> {
        if instance.state == InstanceState::Running
            && let Some(detail) = self.slot.unclear_at(self.look, &instance.id)
        {
            return Some(self.disagreement(detail));
        }
        let unless_refused = |plan: Plan| {
            let hazards = refusals();
            Some(if hazards.is_empty() { plan } else { self.blocked(hazards) })
        };
        let effect = || CloudEffect::Stop { instance: instance.id.clone() };
        match (step, instance.state) {
            (Step::MarkStop, InstanceState::Running) => unless_refused(self.mark_stop(instance, why)?),
            (Step::Transfer, InstanceState::Running) => unless_refused(self.transfer(instance)?),
            (Step::Prepare, InstanceState::Running) => unless_refused(self.prepare(instance)?),
            (Step::Stop, InstanceState::Running) => unless_refused(self.look.act(self.slot, effect(), why.clone())),
            (Step::Stop, InstanceState::Pending) => Some(self.until_running(instance)),
            (Step::Stop, InstanceState::Stopping) => Some(self.until_stopped(instance)),
            _ => None,
        }
    }

    /// Has the claim say that the instance is about to be stopped. From then on no controller drops the claim before the
    /// slot is seen to serve again, and whoever takes it up knows whose stop it was.
    fn mark_stop(&self, instance: &Instance, why: &Why) -> Option<Plan> {
        if self.claim.stops.contains(&instance.id) {
            return None;
        }
        let stuck = match why {
            Why::Stuck { volume, .. } => Some(volume.clone()),
            _ => None,
        };
        let expects = self.look.record.revision;
        let effect = ClaimEffect::MarkStop { instance: instance.id.clone(), stuck, expects };
        Some(self.look.effect(Some(&self.slot.spec.name), Effect::Claim(effect), why.clone()))
    }

    /// Moves leadership away from the member on an instance, where the application can. Leadership that comes back is
    /// moved again: a leader is never stopped instead. A transfer of which nothing comes is named like any other deed.
    fn transfer(&self, instance: &Instance) -> Option<Plan> {
        let (look, membership, leader) = (self.look, self.look.membership?, self.slot.member?);
        let goes_last = look.rules.leader == Some(LeaderGoes::Last);
        let leads_here = look.leads(&leader.id) && leader.address == instance.member_address();
        if !goes_last || !membership.can_transfer || !leads_here {
            return None;
        }
        let to = select::successor(look, self.slot)?;
        let effect = MemberEffect::TransferLeadership { from: leader.id.clone(), to: to.id.clone() };
        Some(look.effect(Some(&self.slot.spec.name), Effect::Member(effect), Why::Leads))
    }

    /// Tells the healthy member on an instance that it is about to be stopped, where its application wants that. One that is not
    /// healthy goes as it is. Nothing undoes what is prepared, so a stop that is refused afterwards leaves nobody worse off, and one
    /// that comes much later is told of anew.
    fn prepare(&self, instance: &Instance) -> Option<Plan> {
        let (look, member) = (self.look, self.slot.member?);
        let serves_here = member.health == Health::Healthy && member.address == instance.member_address();
        let told = look.seen.followed.prepared_since.get(&instance.id);
        let is_prepared = told.is_some_and(|since| elapsed(look.now, *since) <= look.limits.prepared);
        if !look.rules.prepares || !serves_here || is_prepared {
            return None;
        }
        let effect = MemberEffect::Prepare { member: member.id.clone(), instance: instance.id.clone() };
        Some(look.effect(Some(&self.slot.spec.name), Effect::Member(effect), Why::NextStep))
    }

    /// Waits while a stop of an instance that serves may still be on its way, ours or another controller's: EC2 carries out
    /// a request until long after it was signed, and shows a change some time after it was made.
    pub(super) fn late_stop(&self) -> Option<Plan> {
        let late = self.look.limits.late;
        let marked = &self.look.seen.followed.marked_since;
        self.slot.live().filter(|instance| self.claim.stops.contains(&instance.id)).find_map(|instance| {
            let since = marked.get(&instance.id).copied().unwrap_or(self.look.now);
            let may_come = elapsed(self.look.now, since) <= late && self.slot.any_at(self.look, &instance.id);
            let what = || Awaited::NoLateStop { instance: instance.id.clone(), until: after(since, late) };
            may_come.then(|| self.look.wait(self.slot, what(), since, late + self.look.limits.instance))
        })
    }
}
