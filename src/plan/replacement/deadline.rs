//! The deadline of a member that does not come back, and what happens when it has passed: the replacement is taken
//! back, or held for a person.

use std::time::Duration;

use crate::action::CloudEffect;
use crate::ids::Generation;
use crate::observed::{Instance, InstanceState, Nature, Setback, Settled};
use crate::plan::answer::{Plan, Stall, Why};
use crate::plan::steps::Step;
use crate::plan::{gates, heal, peers};
use crate::spec::OnFailure;
use crate::time::{Timestamp, after};

use super::proof::{Outstanding, Wanted, missing_proof};
use super::under_way::Replacement;

impl<'a> Replacement<'_, 'a> {
    /// Says what the member at the new instance has not proved yet.
    pub(super) fn missing_proof(&self, new: &'a Instance) -> Option<Outstanding> {
        let (member, version) = (self.claim.member.as_ref(), self.claim.version.as_deref());
        let wanted = Wanted { instance: new, member, vote: self.needs_vote(), version };
        missing_proof(self.look, self.slot, &wanted, self.look.spec.rollout.bake_time)
    }

    /// Says whether the member has to come back with a vote. An observer that is lost is on nobody's list, as a voter is that is only
    /// down: whoever nobody knew when the slot was claimed to be healed may be one, and would wait for a vote without end.
    fn needs_vote(&self) -> bool {
        let heals_a_stranger = self.claim.old().is_none() && self.claim.member.is_none();
        !(self.look.rules.observers && heals_a_stranger)
    }

    /// Rejects what was claimed, or holds it for a person, once the member has been expected for too long.
    pub(super) fn past_deadline(&self) -> Option<Plan> {
        if !self.is_late() {
            return None;
        }
        let old_is_there = self.serviceable_old().is_some_and(|old| !old.retired);
        let is_unwanted = self.claim.generation != self.look.generation;
        let can_go_back = old_is_there || (self.has_no_way_back() && (is_unwanted || self.has_settled_on_another()));
        match self.look.spec.rollout.on_failure {
            OnFailure::Rollback if can_go_back => Some(self.reject_as_late()),
            // Held for a person to look at: whoever has committed something else since has looked.
            OnFailure::Hold if can_go_back && is_unwanted => Some(self.reject_as_late()),
            OnFailure::Rollback | OnFailure::Hold => self.hold(),
        }
    }

    /// Says whether the member's deadline has passed.
    pub(super) fn is_late(&self) -> bool {
        let limit = self.look.spec.rollout.join_deadline;
        self.expected_since().is_some_and(|since| self.look.now >= after(since, limit))
    }

    /// Finds since when the member is expected back, as the world tells it: since its volumes are at the new instance.
    /// Before that it can't come back, and how long a move takes says nothing of the image: the move may take as long
    /// again. While there is no instance to move them to, the old one's stop counts, unless it could not be started
    /// when the slot was claimed: then nothing is gained by going back to it.
    pub(super) fn expected_since(&self) -> Option<Timestamp> {
        let given = self.given_since();
        match self.old {
            Some(old) if old.state == InstanceState::Stopped => Some(match given {
                Some(given) => given.max(old.state_since),
                None if self.claim.stranded => return None,
                None if self.new.is_some_and(|new| new.state == InstanceState::Running) => {
                    after(old.state_since, self.look.spec.rollout.join_deadline)
                }
                None => old.state_since,
            }),
            // Somebody has started the old instance again, without the volumes: it serves nothing.
            Some(old) if old.state.is_live() && given.is_none() => None,
            Some(old) if old.state.is_live() && self.slot.any_at(self.look, &old.id) => None,
            Some(_) | None => given,
        }
    }

    /// Finds when the new instance was given a volume last, or started again with it, or was first seen with its fixed address after
    /// it had been seen without: the member serves at no other, and that the address was away says nothing of the image.
    pub(super) fn given_since(&self) -> Option<Timestamp> {
        let new = self.new?;
        self.slot.given_since(&new.id).map(|given| given.max(self.look.serves_since(new)))
    }

    /// Says whether there never was an old instance, or EC2 shows that it is gone.
    pub(super) fn has_no_old(&self) -> bool {
        self.claim.old().is_none() || self.old.is_some_and(|old| !old.state.is_live())
    }

    /// Says whether no old instance is left at which the member could serve: none is there, or it waits for a volume that is gone.
    fn has_no_way_back(&self) -> bool {
        self.claim.old().is_none() || (self.old.is_some() && self.serviceable_old().is_none())
    }

    /// Says whether the slot ran another generation before, with which it can be healed.
    fn has_settled_on_another(&self) -> bool {
        let another = |settled: &Settled| settled.image.is_some() && settled.generation != self.claim.generation;
        self.slot.present().any(|(_, volume)| volume.settled.as_ref().is_some_and(another))
    }

    /// Names what has failed. If the slot moves to another subnet or gets another fixed address too, that may be the reason;
    /// what has settled here before is no bad generation because it failed in place of this one instance; and neither is one whose
    /// member never got its volume because that got stuck on its way.
    fn failed(&self) -> Generation {
        let generation = &self.claim.generation;
        let has_settled = || self.slot.present().any(|(_, volume)| volume.carries(generation));
        match self.old {
            Some(old) if old.subnet != self.slot.spec.subnet => generation.together_with(&self.slot.spec.subnet),
            Some(old) if old.fixed_address != self.slot.spec.address => match self.slot.spec.address {
                Some(address) => generation.together_with(&address.to_string()),
                None => generation.together_with(&self.slot.spec.subnet),
            },
            Some(old) if has_settled() || self.never_arrived() => generation.together_with(&old.id),
            Some(_) | None => generation.clone(),
        }
    }

    /// Says whether a volume got stuck on its way to a new instance under this claim, and all of them have not been at one since.
    fn never_arrived(&self) -> bool {
        self.claim.stuck.is_some() && self.holder().is_none()
    }

    /// Takes back at once a move whose next step is refused, while no data has moved: the old instance could serve, and
    /// nobody knows for how long the refusal lasts. The image is not to blame, so that it is rejected in place of this one
    /// instance alone.
    pub(super) fn taken_back_as_refused(&self, step: Step, plan: &Plan) -> Option<Plan> {
        let is_of_the_move =
            matches!(step, Step::Snapshot | Step::Detach | Step::AssignAddress | Step::MoveMember | Step::Attach);
        let is_of_the_move = is_of_the_move && !self.claim.stranded;
        let old = self.old.filter(|old| is_of_the_move && self.look.is_way_back(old))?;
        let has_moved = self.live_new().is_some_and(|new| self.slot.any_at(self.look, &new.id));
        let lasts = |refused: &&Setback| matches!(refused.nature, Nature::Refused | Nature::NoCapacity);
        let refused = self.look.setback(plan).filter(lasts).filter(|_| !has_moved)?;
        let why = Why::StepRefused { doing: refused.doing.clone() };
        Some(self.reject(self.claim.generation.together_with(&old.id), why))
    }

    /// Rejects what has failed to bring its member back within the limit.
    fn reject_as_late(&self) -> Plan {
        self.reject(self.failed(), Why::NotBackInTime { limit: self.look.spec.rollout.join_deadline })
    }

    fn reject(&self, generation: Generation, why: Why) -> Plan {
        let effect = CloudEffect::Reject { volumes: self.slot.volume_ids(), generation, attempt: self.claim.attempt };
        self.look.act(self.slot, effect, why)
    }

    /// Stalls, once the new instance has the volumes; before that the move goes on, late as it is.
    fn hold(&self) -> Option<Plan> {
        let new = self.new.filter(|new| self.slot.all_on(self.look, &new.id))?;
        let why_not = match self.missing_proof(new)? {
            Outstanding::NotBack(why_not) => why_not,
            Outstanding::NotKnown(why_not) if self.can_restore() => why_not,
            Outstanding::NotKnown(_) | Outstanding::Until { .. } => return None,
        };
        let (slot, image) = (self.slot.spec.name.clone(), self.claim.image.clone());
        let generation = self.claim.generation.clone();
        Some(Plan::stalled(Stall::Held { slot, image, generation, why_not }))
    }

    /// Blocks on what forbids taking the member down again, also when nobody can say whether the member is well.
    pub(super) fn blocked_from_taking_back(&self, new: &Instance) -> Option<Plan> {
        let hazards = gates::taking_back_refusals(self.look, self.slot, new);
        (!hazards.is_empty()).then(|| self.blocked(hazards))
    }

    /// Says whether the members cannot elect a leader, although those that have run for long would be enough with this one, and what
    /// settled in the slot before may bring them one: its old instance is there to be started again, or is gone and can be healed with what it ran.
    /// Raft knows the old instance's address; a member at another one may have to be admitted by the very leader that is missing.
    pub(super) fn can_restore(&self) -> bool {
        let could_elect = || self.look.could_elect_with(self.slot, self.look.limits.leaderless);
        let has_another = self.old.is_some_and(|old| self.look.is_way_back(old))
            || (self.has_no_way_back() && self.has_settled_on_another());
        self.look.cannot_elect() && has_another && could_elect()
    }

    /// Names that the members cannot elect anybody any more, where no old instance is left that might help.
    pub(super) fn quorum_lost(&self) -> Option<Plan> {
        let is_new = |it: &Instance| self.new.is_some_and(|new| new.id == it.id);
        // An instance that another slot has kept beside the one that serves it is not gone back to.
        let is_served =
            |it: &Instance| self.look.slot(&it.slot).is_some_and(|slot| slot.served_by(self.look).is_some());
        let is_left = |it: &Instance| it.slot != self.slot.spec.name && is_served(it);
        let may_help = |it: &Instance| self.look.is_way_back(it) && !is_new(it) && !is_left(it);
        let why = peers::quorum_lost(self.look).filter(|_| !self.look.cloud.live_instances().any(may_help))?;
        Some(Plan::stalled(Stall::QuorumLost { slot: self.slot.spec.name.clone(), why }))
    }

    /// Names what a person has to do in another slot, where without that the members are too few to elect anybody who could
    /// vouch for this one.
    pub(super) fn held_up_beside(&self) -> Option<Plan> {
        let is_held_up = self.look.cannot_elect() && !self.look.could_elect_with(self.slot, Duration::ZERO);
        is_held_up.then(|| heal::stalled_beside(self.look, self.slot)).flatten()
    }

    /// Says whether a member that has its volumes cannot prove itself before others are given back theirs: those of a
    /// new cluster, or those without which there is no leader to vouch for it. The claim then moves on, and nothing is
    /// forgotten: what the instances say of themselves is enough to take it up again.
    pub(super) fn waits_for_others(&self) -> bool {
        let volumes = &self.look.cloud.volumes;
        let forming = self.claim.old().is_none() && volumes.iter().all(|volume| volume.settled.is_none());
        let forming_together = self.look.rules.forms_together && forming;
        let is_needed = || self.is_needed_beside() || heal::is_restorable_beside(self.look, self.slot);
        let waits = !self.look.is_led() && is_needed();
        forming_together || (waits && !self.may_go_back_for_quorum())
    }
}
