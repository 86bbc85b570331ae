//! A replacement going forward.

use crate::action::{CloudEffect, Effect, MemberEffect};
use crate::observed::{Instance, InstanceState, VolumeState};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::plan::{gates, group, heal, select};
use crate::spec::{OnFailure, Strategy};
use crate::time::{Timestamp, after, elapsed};

use super::proof::{Outstanding, Wanted, outstanding};
use super::under_way::Replacement;

impl<'a> Replacement<'_, 'a> {
    pub(super) fn forward(&self) -> Plan {
        if let Some(new) = self.new
            && self.slot.all_on(self.look, &new.id)
            && new.state.is_live()
        {
            return self.prove(new);
        }
        if let Some(plan) = self.too_late() {
            return plan;
        }
        let steps = match self.look.spec.rollout.strategy {
            Strategy::Surge => self.ready_new().or_else(|| self.enlist_new()).or_else(|| self.empty_old()),
            Strategy::Recreate => self.empty_old().or_else(|| self.ready_new()).or_else(|| self.enlist_new()),
        };
        steps
            .or_else(|| self.fill(self.new?, &Why::NextStep))
            .unwrap_or_else(|| self.disagreement("the new instance and its volumes are not seen together".to_owned()))
    }

    /// The new instance a member of the adopted group, if there is one.
    fn enlist_new(&self) -> Option<Plan> {
        group::enlist(self.look, self.slot, self.new?, &Why::NextStep)
    }

    /// The old instance stopped, and nothing of the slot attached to it.
    fn empty_old(&self) -> Option<Plan> {
        let named = self.claim.old.as_ref()?;
        let Some(old) = self.old else { return self.unseen(named, self.claim.since) };
        match old.state {
            InstanceState::Running => self.disrupt(old),
            InstanceState::Pending => Some(self.until_running(old)),
            InstanceState::Stopping => Some(self.until_stopped(old)),
            InstanceState::Stopped => self.empty(old, true, &Why::NextStep),
            InstanceState::ShuttingDown | InstanceState::Terminated => self.empty(old, false, &Why::NextStep),
        }
    }

    /// The one step that takes a member down: all gates again on a fresh look, leadership away first.
    fn disrupt(&self, old: &'a Instance) -> Option<Plan> {
        if !self.slot.any_at(self.look, &old.id) {
            // Its volumes have moved and somebody started it again: it serves nothing, and goes when the new one is proven.
            return None;
        }
        let hazards = gates::upgrade_refusals(self.look, self.slot);
        if !hazards.is_empty() {
            return Some(self.blocked(hazards));
        }
        if let Some(plan) = self.move_leadership() {
            return Some(plan);
        }
        Some(self.look.act(self.slot, CloudEffect::Stop { instance: old.id.clone() }, Why::NextStep))
    }

    fn move_leadership(&self) -> Option<Plan> {
        let (membership, leader) = (self.look.membership?, self.slot.member?);
        if !self.look.rules.leader_last || !membership.can_transfer || !self.look.leads(&leader.id) {
            return None;
        }
        let to = select::successor(self.look, self.slot)?;
        let effect = MemberEffect::TransferLeadership { from: leader.id.clone(), to: to.id.clone() };
        Some(self.look.effect(Some(&self.slot.spec.name), Effect::Member(effect), Why::Leads))
    }

    /// Every volume is at the new instance: the member has to prove itself, then the old shell goes.
    fn prove(&self, new: &'a Instance) -> Plan {
        if self.waits_for_others() {
            return self.release(false, Why::Forming);
        }
        // Asked again although the old instance may be marked retired: that was on the word of whatever was proven then,
        // which need not be this one.
        if let Some(plan) = self.proof_outstanding(new) {
            return plan;
        }
        self.discard_old(new).or_else(|| self.settle(new)).unwrap_or_else(|| self.release(false, Why::Proven))
    }

    /// A member that is back only has to stay healthy, however late it was; one that is not has a deadline; and while
    /// nobody can say which it is, a deadline that has passed proves nothing.
    fn proof_outstanding(&self, new: &'a Instance) -> Option<Plan> {
        let outstanding = self.outstanding(new)?;
        let too_late = match &outstanding {
            Outstanding::NotBack(_) => self.too_late(),
            Outstanding::NotKnown(_) if self.is_late() => self.cannot_say(),
            Outstanding::NotKnown(_) | Outstanding::Until { .. } => None,
        };
        Some(too_late.unwrap_or_else(|| self.wait_for(outstanding, new)))
    }

    pub(super) fn cannot_say(&self) -> Option<Plan> {
        let hazards = gates::taking_back_refusals(self.look, self.slot);
        (!hazards.is_empty()).then(|| self.blocked(hazards))
    }

    fn outstanding(&self, new: &'a Instance) -> Option<Outstanding> {
        let wanted = Wanted { instance: new, member: self.claim.member.as_ref() };
        outstanding(self.look, self.slot, &wanted, self.look.spec.rollout.bake_time)
    }

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

    /// A member that has its volumes cannot prove itself before others are given back theirs: those of a new cluster, or
    /// those without which there is no leader to vouch for it. The claim then moves on, and nothing is forgotten: what
    /// the instances say of themselves is enough to take it up again.
    pub(super) fn waits_for_others(&self) -> bool {
        let volumes = &self.look.cloud.volumes;
        let forming = self.claim.old.is_none() && volumes.iter().all(|volume| volume.generation.is_none());
        let led = self.look.membership.is_some_and(|membership| membership.leader.is_some());
        (self.look.rules.forms_together && forming) || (!led && heal::is_needed_beside(self.look, self.slot))
    }

    fn discard_old(&self, new: &Instance) -> Option<Plan> {
        let named = self.claim.old.as_ref()?;
        match self.old {
            Some(old) => self.discard(old, &Why::Proven),
            None => self.unseen(named, new.launched_at),
        }
    }

    fn settle(&self, new: &Instance) -> Option<Plan> {
        let behind = |v: &crate::observed::Volume| v.generation.as_ref() != Some(&self.claim.generation);
        if !self.slot.present().any(|(_, volume)| behind(volume)) {
            return None;
        }
        let effect = CloudEffect::Settle {
            volumes: self.slot.volume_ids(),
            generation: self.claim.generation.clone(),
            image: self.claim.image.clone(),
            attempt: new.attempt,
        };
        Some(self.look.act(self.slot, effect, Why::Proven))
    }

    /// Since when the member is expected back, as the world tells it: since its volumes are at the new instance. Before
    /// that it can't come back, and how long a move takes says nothing of the image: the move may take as long again.
    /// While there is no instance to move them to, the old one's stop counts.
    fn expected_since(&self) -> Option<Timestamp> {
        let given = self.given_since();
        match self.old {
            Some(old) if old.state == InstanceState::Stopped => Some(match given {
                Some(given) => given.max(old.state_since),
                None if self.new.is_some_and(|new| new.state == InstanceState::Running) => {
                    after(old.state_since, self.look.spec.rollout.join_deadline)
                }
                None => old.state_since,
            }),
            Some(old) if old.state.is_live() => None,
            Some(_) | None => given,
        }
    }

    /// When the new instance was given a volume last.
    fn given_since(&self) -> Option<Timestamp> {
        let new = self.new?;
        let at_new = self.slot.present().filter_map(|(_, volume)| match &volume.state {
            VolumeState::InUse(attachment) => (attachment.instance == new.id).then_some(attachment.since),
            _ => None,
        });
        at_new.max()
    }

    /// What to do when the member has been expected for too long.
    fn too_late(&self) -> Option<Plan> {
        if !self.is_late() {
            return None;
        }
        let old_is_there = self.old.is_some_and(|old| old.state == InstanceState::Stopped && !old.retired);
        let old_is_gone = self.claim.old.is_none() || self.old.is_some_and(|old| !old.state.is_live());
        let is_unwanted = self.claim.generation != self.look.generation;
        let can_go_back = old_is_there || (old_is_gone && (is_unwanted || self.settled_otherwise()));
        match self.look.spec.rollout.on_failure {
            OnFailure::Rollback if can_go_back => Some(self.reject()),
            // Held for a person to look at: whoever has committed something else since has looked.
            OnFailure::Hold if can_go_back && is_unwanted => Some(self.reject()),
            OnFailure::Rollback | OnFailure::Hold => self.hold(),
        }
    }

    fn is_late(&self) -> bool {
        let limit = self.look.spec.rollout.join_deadline;
        self.expected_since().is_some_and(|since| self.look.now >= after(since, limit))
    }

    /// The slot ran something else before, which it can be healed with.
    fn settled_otherwise(&self) -> bool {
        self.slot.present().any(|(_, v)| v.image.is_some() && v.generation.as_ref() != Some(&self.claim.generation))
    }

    fn reject(&self) -> Plan {
        let effect = CloudEffect::Reject {
            volumes: self.slot.volume_ids(),
            generation: self.claim.generation.clone(),
            attempt: self.claim.attempt,
        };
        self.look.act(self.slot, effect, Why::NotBackInTime { limit: self.look.spec.rollout.join_deadline })
    }

    /// Stalled, once the new instance has the volumes; before that the move goes on, late as it is.
    fn hold(&self) -> Option<Plan> {
        let new = self.new.filter(|new| self.slot.all_on(self.look, &new.id))?;
        match self.outstanding(new)? {
            Outstanding::NotBack(why_not) => {
                let (slot, generation) = (self.slot.spec.name.clone(), self.claim.generation.clone());
                Some(Plan::Stalled(Stall::Held { slot, generation, why_not }))
            }
            Outstanding::NotKnown(_) | Outstanding::Until { .. } => None,
        }
    }
}
