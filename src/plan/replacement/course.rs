//! The way that a replacement goes, read off the world and off the claim: to the new instance, to the old one again, or to an
//! early end.

use std::time::Duration;

use crate::action::{ClaimEffect, CloudEffect, Effect};
use crate::observed::{Instance, InstanceState, Nature, Setback, Way};
use crate::plan::answer::{Plan, Why};
use crate::plan::drift::drifts;
use crate::plan::steps::Step;
use crate::plan::{gates, heal};
use crate::spec::OnFailure;
use crate::time::elapsed;

use super::under_way::Replacement;

/// The way that a replacement goes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Course {
    /// To the new instance.
    Forward,
    /// To the old instance again.
    Back,
    /// To an end before anything was done to the old instance.
    GivenUp,
}

impl Replacement<'_, '_> {
    /// Says which way the replacement goes. One that the claim says is taken back stays so, whatever is wanted meanwhile: two
    /// controllers that have read different files would pull at it from both ends. One that goes on after all is taken back
    /// once more only if it has failed, so that what is stuck on both sides is not turned for ever.
    pub(super) fn course(&self) -> Course {
        match (self.claim.way, self.right_course()) {
            (Way::Back, Course::Forward) if !self.may_go_on() => self.course_back(),
            (Way::ForwardAgain, Course::Back) if !self.is_rejected() => Course::Forward,
            (_, right) => right,
        }
    }

    /// Turns the claim to the way that the replacement goes, where it says another one, and waits until that is done. An early end
    /// before anything was launched as well: another controller may have sent the launch, and without a claim its instance would be
    /// nobody's.
    pub(super) fn turn(&self, step: Step, course: Course) -> Option<Plan> {
        let (is_back, why) = match (step, course) {
            (Step::TurnForward, Course::Forward) if self.claim.way == Way::Forward => (false, Why::NextStep),
            (Step::TurnForward, Course::Forward) => (false, Why::GoesOn),
            (Step::TurnBack, Course::Back) => (true, Why::TakenBack),
            (Step::TurnBack, Course::GivenUp) => (true, self.why_given_up()),
            _ => return None,
        };
        if is_back != (self.claim.way == Way::Back) {
            return Some(self.turn_to(if is_back { Way::Back } else { Way::ForwardAgain }, why));
        }
        self.claim.turning.then(|| self.turned(why))
    }

    /// Has the claim say that the replacement is being turned.
    pub(super) fn turn_to(&self, to: Way, why: Why) -> Plan {
        self.say(ClaimEffect::Turn { to, expects: self.look.record.revision }, why)
    }

    /// Has the claim say that the replacement is turned, once nothing is on its way any more that was sent before.
    pub(super) fn turned(&self, why: Why) -> Plan {
        let since = self.look.seen.followed.turning_since.unwrap_or(self.look.now);
        let wait = self.look.until_nothing_else(self.slot, since);
        wait.unwrap_or_else(|| self.say(ClaimEffect::Turned { expects: self.look.record.revision }, why))
    }

    fn say(&self, effect: ClaimEffect, why: Why) -> Plan {
        self.look.effect(Some(&self.slot.spec.name), Effect::Claim(effect), why)
    }

    /// Says whether a replacement that is taken back may go forward again: its old instance cannot serve; or nothing was done
    /// on the way back, because the new instance runs with the volumes and no stop of it is announced.
    fn may_go_on(&self) -> bool {
        let serves = |new: &Instance| new.state == InstanceState::Running && !self.claim.stops.contains(&new.id);
        self.holder().is_some_and(serves) || self.old.is_some_and(|old| self.is_lost_for_good(old))
    }

    /// Says whether the old instance cannot serve again, by more than a call that has come to nothing: one that was only late
    /// may have started it.
    fn is_lost_for_good(&self, old: &Instance) -> bool {
        let refuses = |refused: &Setback| matches!(refused.nature, Nature::Refused | Nature::NoCapacity);
        !self.can_go_back(old) && self.setback_of_start(old).is_none_or(refuses)
    }

    /// Finds what came of the last tries to start the old instance, if they came to nothing.
    fn setback_of_start(&self, old: &Instance) -> Option<&Setback> {
        let start = self.look.act(self.slot, CloudEffect::Start { instance: old.id.clone() }, Why::TakenBack);
        self.look.setback(&start)
    }

    /// Says how a replacement is taken back: an old instance that serves as before has only to be left alone.
    fn course_back(&self) -> Course {
        match self.old {
            Some(old) if self.is_untouched(old) => Course::GivenUp,
            None if self.claim.old().is_none() => Course::GivenUp,
            Some(_) | None => Course::Back,
        }
    }

    /// Finds the way that is right, by the world and by the spec.
    fn right_course(&self) -> Course {
        match self.old {
            _ if self.is_rejected() => Course::Back,
            Some(old) if self.is_untouched(old) && self.is_superseded(old) => Course::GivenUp,
            Some(old) if self.can_go_back(old) && self.goes_back() => Course::Back,
            _ if self.has_no_old() && self.is_unwanted_filling() => Course::GivenUp,
            Some(_) | None => Course::Forward,
        }
    }

    /// Says whether what is claimed has failed here. A slot that has lost its instance has nothing to go back to, so a
    /// failure that is not the generation's own ends nothing there.
    fn is_rejected(&self) -> bool {
        let (slot, generation) = (self.slot, &self.claim.generation);
        if self.claim.old().is_some() { slot.rejected_here(generation) } else { slot.rejected(generation) }
    }

    /// Says whether the old instance serves as before, and no stop of it is on its way.
    fn is_untouched(&self, old: &Instance) -> bool {
        self.slot.is_served_by(self.look, old) && !self.claim.stops.contains(&old.id)
    }

    /// Says whether an old instance that is untouched is to stay as it is: another thing is wanted now, or another slot has
    /// lost its instance or has a replacement that was interrupted. That one comes first: the gates would keep this one from going
    /// on, and the claim that one from being healed. So does a cluster on which this one stands, and that has been claimed at the same moment.
    fn is_superseded(&self, old: &Instance) -> bool {
        let is_due = old.announced_stop().is_some();
        let is_current = drifts(&self.look.make, self.slot.spec, old).is_empty() && !is_due;
        let is_wanted = self.claim.generation == self.look.generation && !is_current;
        let is_needed = || self.is_needed_beside() || self.is_awaited_beside();
        !is_wanted || self.has_lost_address(old) || is_needed() || gates::is_waited_for(self.look)
    }

    /// Says whether the old instance can serve again, as far as anybody knows.
    pub(super) fn can_go_back(&self, old: &Instance) -> bool {
        let failed_here = old.generation().is_some_and(|generation| self.slot.rejected(generation));
        let cannot_start = old.stopped_by_ec2().is_some() || self.setback_of_start(old).is_some();
        let is_replaced = old.retired || self.live_new().is_some_and(|new| self.slot.has_settled(new));
        old.state.is_live() && !is_replaced && !failed_here && !cannot_start && !self.look.waits_in_vain(old)
    }

    /// Says whether the old instance is to serve again, although it was touched. As long as no data has reached the new
    /// instance, that is so for the reasons for which an untouched one stays; after that only for the sake of the quorum.
    /// Once the claim says that the new instance is stopped although it has them all, there is no turning round.
    fn goes_back(&self) -> bool {
        let is_stopping = |new: &Instance| self.claim.stops.contains(&new.id);
        match self.live_new().filter(|new| self.slot.any_at(self.look, &new.id)) {
            Some(_) => self.holder().is_some_and(is_stopping) || self.keeps_quorum_away(),
            None => {
                !self.is_wanted() || self.old.is_some_and(|old| self.has_lost_address(old)) || self.is_needed_beside()
            }
        }
    }

    /// Says whether the old instance runs with all volumes and has lost the fixed address that its member serves at. On the way
    /// forward nobody gives it back: such a call may arrive late, and would take the address off the new instance.
    fn has_lost_address(&self, old: &Instance) -> bool {
        old.lacks_fixed_address() && self.slot.is_served_by(self.look, old)
    }

    /// Says whether the slot may be brought to what is claimed: what the spec wants now, or what settled there last.
    fn is_wanted(&self) -> bool {
        let settled = heal::settled(self.look, self.slot).map(|(generation, _)| generation);
        [Some(&self.look.generation), settled.as_ref()].into_iter().flatten().any(|it| *it == self.claim.generation)
    }

    /// Says whether there is no leader, and the old instance could help to one where the new one does not: its member is
    /// overdue; or another slot has lost its instance, and this member has given no sign yet.
    fn keeps_quorum_away(&self) -> bool {
        let look = self.look;
        let given = || self.given_since().is_some_and(|since| elapsed(look.now, since) > look.limits.first_sign);
        self.may_go_back_for_quorum() && (self.is_late() || (given() && self.is_needed_beside()))
    }

    /// Says whether there is no leader, and nothing forbids to start the old instance in place of the new one.
    pub(super) fn may_go_back_for_quorum(&self) -> bool {
        let (look, Some(old), Some(new)) = (self.look, self.old, self.live_new()) else { return false };
        let takes_back = look.spec.rollout.on_failure == OnFailure::Rollback && old.is_kept();
        let is_leaderless = look.membership.is_some() && !look.is_led();
        let may_stop = || gates::taking_back_refusals(look, self.slot, new).is_empty();
        let could_elect = || look.could_elect_with(self.slot, Duration::ZERO);
        takes_back && is_leaderless && self.can_go_back(old) && could_elect() && may_stop()
    }

    /// Says why the replacement comes to an early end.
    pub(super) fn why_given_up(&self) -> Why {
        match self.old {
            Some(old) if !old.state.is_live() && !self.heals() => Why::OldLost,
            Some(old) if self.has_lost_address(old) => Why::AddressFirst,
            Some(_) | None => Why::Superseded,
        }
    }

    /// Says whether a slot that has lost its instance, be it after it was claimed to be replaced, is not to be filled with what is
    /// claimed, and no data has moved yet.
    /// An instance that the group has launched is a slot's instance like any other, and if outdated is replaced as one.
    fn is_unwanted_filling(&self) -> bool {
        let moved = self.new.is_some_and(|new| self.slot.any_at(self.look, &new.id));
        let yields = heal::is_restorable_beside(self.look, self.slot);
        !moved && self.claim.recruit.is_none() && (yields || !self.heals())
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
}
