//! A replacement being taken back: the new instance is emptied, and the old one is given its volumes again.

use crate::action::CloudEffect;
use crate::make::{Make, differences};
use crate::observed::{Claim, Instance, InstanceState, Way};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::plan::steps::Step;
use crate::plan::{address, heal, peers};
use crate::time::{after, elapsed};

use super::proof::{Outstanding, Wanted, missing_proof};
use super::under_way::Replacement;

impl<'a> Replacement<'_, 'a> {
    /// Says what is outstanding of one step on the way back.
    pub(super) fn back(&self, step: Step) -> Option<Plan> {
        let why = &Why::TakenBack;
        match step {
            Step::MarkStop | Step::Transfer | Step::Stop => self.empty_new(step, self.new?, why),
            Step::AssignAddress => {
                let old = self.serviceable_old()?;
                address::assign(self.look, self.slot, old, why)
            }
            Step::MoveMember => {
                let old = self.serviceable_old()?;
                peers::tell(self.look, self.slot, old, why)
            }
            Step::Attach => self.refill_old(),
            Step::Start => self.start_old(),
            Step::Prove => self.prove_old(),
            Step::Release => Some(self.release(Why::TakenBack)),
            _ => self.discard_by(step, self.new?, why),
        }
    }

    /// Takes one step of stopping the new instance. One that has none of the volumes, and only the address, serves nothing.
    fn empty_new(&self, step: Step, new: &Instance, why: &Why) -> Option<Plan> {
        let has_volumes = self.slot.any_at(self.look, &new.id);
        if !has_volumes && new.has_fixed_address() {
            return self.stop(step, new, &Vec::new, why);
        }
        self.discard_by(step, new, why)
    }

    /// Attaches the volumes to the old instance. One that is gone, or whose guest waits for a volume that is, cannot be restored: the
    /// slot is then released, and healed like any lost one.
    fn refill_old(&self) -> Option<Plan> {
        let named = self.claim.old()?;
        match self.old {
            None => self.wait_until_shown(named, self.claim.since),
            Some(_) => self.attach(self.serviceable_old()?, &Why::TakenBack),
        }
    }

    fn start_old(&self) -> Option<Plan> {
        let old = self.serviceable_old()?;
        match old.state {
            InstanceState::Stopped => {
                Some(self.look.act(self.slot, CloudEffect::Start { instance: old.id.clone() }, Why::TakenBack))
            }
            InstanceState::Stopping => Some(self.until_stopped(old)),
            InstanceState::Pending => Some(self.until_running(old)),
            InstanceState::Running | InstanceState::ShuttingDown | InstanceState::Terminated => None,
        }
    }

    /// Heals the slot with what is committed now, once the old instance could not be started of late: another instance
    /// type, say. The old instance keeps its volumes until there is one to give them to, and is kept until that is proven.
    pub(super) fn way_out(&self) -> Option<Plan> {
        let (look, slot) = (self.look, self.slot);
        let rests = |old: &&Instance| old.state == InstanceState::Stopped && slot.all_on(look, &old.id);
        let old = self.old.filter(rests).filter(|_| !self.claim.turning)?;
        let start = look.act(slot, CloudEffect::Start { instance: old.id.clone() }, Why::TakenBack);
        look.setback(&start)?;
        let (generation, image) = heal::remedy(look, slot)?;
        let make = Make { image: image.clone(), ..look.make.clone() };
        if generation == self.claim.generation || differences(&old.make, &make).is_empty() {
            return None;
        }
        let why = Why::CannotStart { instance: old.id.clone() };
        if let Some(new) = self.live_new() {
            return self.discard(new, &why);
        }
        let attempt = look.next_attempt();
        let claim = Claim { attempt, tries: 0, generation, image, version: None, recruit: None, ..self.claim.clone() };
        let claim = Claim { stranded: true, way: Way::Forward, turning: true, since: look.now, ..claim };
        Some(look.write_claim(slot, claim, why))
    }

    /// Waits until the member has proved itself at the old instance.
    fn prove_old(&self) -> Option<Plan> {
        let old = self.serviceable_old().filter(|old| old.state == InstanceState::Running)?;
        if let Some(lost) = self.quorum_lost() {
            return Some(lost);
        }
        if self.waits_for_others() {
            return Some(self.release(Why::Forming));
        }
        if let Some(told) = peers::correct(self.look, self.slot, old, &Why::TakenBack) {
            return Some(told);
        }
        let wanted = Wanted { instance: old, member: self.claim.member.as_ref(), vote: true, version: None };
        let limit = self.look.spec.rollout.join_deadline;
        let since = self.look.serves_since(old);
        let is_late = self.look.now >= after(since, limit);
        match missing_proof(self.look, self.slot, &wanted, self.look.rules.stabilization)? {
            Outstanding::Until { since, until } => {
                let limit = elapsed(until, since) + limit;
                Some(self.look.wait(self.slot, Awaited::Steady { until }, since, limit))
            }
            Outstanding::NotKnown(why_not) | Outstanding::NotBack(why_not) if is_late => Some(self.lost(old, why_not)),
            Outstanding::NotKnown(why_not) | Outstanding::NotBack(why_not) => {
                Some(self.look.wait(self.slot, Awaited::MemberBack { why_not }, since, limit))
            }
        }
    }

    fn lost(&self, old: &Instance, why_not: String) -> Plan {
        let (slot, instance) = (self.slot.spec.name.clone(), old.id.clone());
        Plan::stalled(Stall::RollbackFailed { slot, instance, why_not })
    }
}
