//! The new instance: launched or taken over, running, and with its status checks passed.

use crate::action::{CloudEffect, Recruitment};
use crate::ids::InstanceId;
use crate::observed::{Checks, Claim, Instance, InstanceState, LastLaunch, LaunchAnswer};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::plan::{gates, group};
use crate::time::{Timestamp, after, elapsed};

use super::under_way::Replacement;

impl Replacement<'_, '_> {
    /// Brings the new instance to running, with its status checks passed.
    pub(super) fn launch(&self) -> Option<Plan> {
        let Some(new) = self.new else {
            let goes_first = |old: &&Instance| self.is_useless(old) && (old.retired || self.are_too_many());
            if let Some(useless) = self.old.filter(goes_first) {
                return self.discard(useless, &Why::WaitsInVain);
            }
            return Some(match &self.claim.recruit {
                Some(recruit) => self.recruit(recruit),
                None => self.launch_unless_sent(),
            });
        };
        let limit = self.look.limits.checks;
        match (new.state, &new.checks) {
            (InstanceState::Terminated | InstanceState::ShuttingDown, _) => Some(self.try_again(self.reason(new))),
            _ if new.retired || self.look.waits_in_vain(new) => self.discard_new(new),
            (InstanceState::Pending, _) => Some(self.until_running(new)),
            (InstanceState::Running, Checks::Ok) => None,
            (InstanceState::Running, Checks::Initializing | Checks::Unknown)
                if elapsed(self.look.now, new.launched_at) < limit =>
            {
                let what = Awaited::Checks { instance: new.id.clone() };
                Some(self.look.wait(self.slot, what, new.launched_at, limit))
            }
            (InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped, _) => self.discard_new(new),
        }
    }

    /// Discards the new instance, from which nothing comes. Another controller may have seen it well a moment ago, and be sending it a
    /// volume: it is not terminated while that may be on its way.
    fn discard_new(&self, new: &Instance) -> Option<Plan> {
        let is_next_to_go = new.retired && !self.slot.any_at(self.look, &new.id);
        let wait = is_next_to_go.then(|| self.look.until_nothing_else(self.slot, self.look.retired_since(new)));
        wait.flatten().or_else(|| self.discard(new, &self.why_discarded(new)))
    }

    /// Says whether an old instance is no way back: it lives, and can serve nothing any more.
    fn is_useless(&self, old: &Instance) -> bool {
        old.state.is_live() && self.look.waits_in_vain(old)
    }

    /// Says whether a launch would make the cluster have two instances more than slots, beside what was launched ahead: the replacement
    /// of another slot was interrupted.
    fn are_too_many(&self) -> bool {
        let is_ahead = |it: &Instance| self.look.ahead.is_some_and(|ahead| ahead.id == it.id);
        let live = self.look.cloud.live_instances().filter(|it| !it.retired && !is_ahead(it)).count();
        live > self.look.slots.len()
    }

    /// Waits for the instance whose id EC2 has answered, and launches where there is none. The id in EC2's answer is
    /// the truth: only if that instance never shows is the same call sent again.
    fn launch_unless_sent(&self) -> Plan {
        if let Some((instance, sent_at)) = self.launched_unseen() {
            return self.until(Awaited::Running { instance: instance.clone() }, sent_at);
        }
        match self.sent().map(|sent| (&sent.answer, sent.at)) {
            // Another controller may have sent just this launch.
            Some((LaunchAnswer::TokenSpent, at)) if elapsed(self.look.now, at) < self.look.limits.call => {
                let detail =
                    "its launch token was used before, and an instance of that may not be shown yet".to_owned();
                self.until(Awaited::ViewsAgree { detail }, at)
            }
            Some((LaunchAnswer::TokenSpent, _)) => self.try_again("its launch token was used before".to_owned()),
            Some((LaunchAnswer::Launched(_), _)) | None => self.launch_from_spec(),
        }
    }

    /// Finds the launch of this claim that was sent last, and that EC2 gave a clear answer to.
    fn sent(&self) -> Option<&LastLaunch> {
        self.look.seen.last_launch.as_ref().filter(|sent| sent.attempt == self.claim.attempt)
    }

    /// Finds the instance with which EC2 has answered a launch of this claim, and when, while it may not be shown yet. Without the
    /// claim, whoever looks next would launch another one beside it.
    pub(super) fn launched_unseen(&self) -> Option<(&InstanceId, Timestamp)> {
        let sent = self.sent().filter(|_| self.new.is_none())?;
        match &sent.answer {
            LaunchAnswer::Launched(instance) if elapsed(self.look.now, sent.at) < self.look.limits.late => {
                Some((instance, sent.at))
            }
            LaunchAnswer::Launched(_) | LaunchAnswer::TokenSpent => None,
        }
    }

    fn launch_from_spec(&self) -> Plan {
        let hazards = gates::repair_refusals(self.look, self.slot, &self.claim.image);
        if !hazards.is_empty() {
            return self.blocked(hazards);
        }
        let launch = self.look.launch(self.slot, self.claim);
        match &self.claim.request {
            Some(claimed) if *claimed != launch.request() => self.launch_changed(),
            Some(_) | None => self.look.act(self.slot, CloudEffect::Launch(Box::new(launch)), Why::NextStep),
        }
    }

    /// Launches what has changed since the slot was claimed under another attempt: to EC2 it is another request, which the
    /// token of the first one does not cover. So an instance that was launched before is waited for until it would be shown.
    fn launch_changed(&self) -> Plan {
        let seen = self.look.seen;
        let moments = [Some(self.claim.since), seen.watched_since, seen.wrote];
        let since = moments.into_iter().flatten().filter(|at| *at <= self.look.now).max().unwrap_or(self.look.now);
        if elapsed(self.look.now, since) < self.look.limits.late {
            let detail = "the launch has changed since the claim, and an earlier one may not be shown yet".to_owned();
            return self.until(Awaited::ViewsAgree { detail }, since);
        }
        self.claim_anew(self.claim.tries, "what is to be launched has changed".to_owned())
    }

    /// Takes the instance that the group has launched. The claim names it, and nothing else is launched in its place as
    /// long as it may be there.
    fn recruit(&self, id: &InstanceId) -> Plan {
        let recruits = group::adopted(self.look).map(|group| group.recruits.as_slice()).unwrap_or_default();
        match recruits.iter().find(|recruit| recruit.id == *id) {
            Some(recruit) if recruit.state.is_live() => {}
            None if elapsed(self.look.now, self.claim.since) < self.look.limits.late => {
                return self.disagreement(format!("{id} is not shown as one that the group launched"));
            }
            Some(_) | None => return self.try_again(format!("{id} is gone again")),
        }
        let hazards = gates::repair_refusals(self.look, self.slot, &self.claim.image);
        if !hazards.is_empty() {
            return self.blocked(hazards);
        }
        let recruitment = Recruitment {
            instance: id.clone(),
            slot: self.slot.spec.name.clone(),
            owner: self.look.seen.owner.clone(),
            generation: self.claim.generation.clone(),
            attempt: self.claim.attempt,
            user_data: self.look.make.user_data.clone(),
            volumes: self.slot.named_volumes(),
        };
        self.look.act(self.slot, CloudEffect::Recruit(recruitment), Why::NextStep)
    }

    /// Claims a further attempt after a launch that came to nothing. After several in a row that is named, and nothing is done for a
    /// longer while.
    fn try_again(&self, reason: String) -> Plan {
        let (limits, times) = (self.look.limits, self.claim.tries + 1);
        let is_last = times >= limits.launches;
        if is_last && self.look.now < after(self.claim.since, limits.next_launches) {
            let slot = self.slot.spec.name.clone();
            return Plan::stalled(Stall::NotLaunched { slot, why: reason, times });
        }
        self.claim_anew(if is_last { 0 } else { times }, reason)
    }

    fn claim_anew(&self, tries: u32, reason: String) -> Plan {
        let claim = Claim {
            attempt: self.look.next_attempt(),
            tries,
            since: self.look.now,
            recruit: group::recruit_for(self.look, self.slot, &self.claim.image).map(|recruit| recruit.id.clone()),
            ..self.claim.clone()
        };
        self.look.write_claim(self.slot, claim, Why::LaunchFailed { reason })
    }

    /// Says that a volume got stuck on its way to an instance, if that is why the instance was stopped.
    fn stuck_on_its_way(&self, new: &Instance) -> Option<Why> {
        let volume = self.claim.stuck.as_ref().filter(|_| self.claim.stops.contains(&new.id))?;
        Some(Why::Stuck { volume: volume.clone(), to: new.id.clone() })
    }

    fn why_discarded(&self, new: &Instance) -> Why {
        let waits_in_vain = || self.look.waits_in_vain(new).then_some(Why::WaitsInVain);
        let stuck = self.stuck_on_its_way(new).or_else(waits_in_vain);
        stuck.unwrap_or_else(|| Why::LaunchFailed { reason: self.failure(new) })
    }

    fn reason(&self, new: &Instance) -> String {
        self.stuck_on_its_way(new).map_or_else(|| self.failure(new), |stuck| stuck.to_string())
    }

    /// Says what has become of an instance that was launched for nothing.
    fn failure(&self, instance: &Instance) -> String {
        let id = &instance.id;
        if self.look.waits_in_vain(instance) {
            return format!("{id} waits for a volume that is no more");
        }
        match (&instance.state_reason, &instance.checks) {
            (Some(reason), _) => format!("{id}: {reason}"),
            (None, Checks::Impaired(why)) => format!("{id}: status checks: {why}"),
            (None, _) => format!("{id} is not running with its status checks passed"),
        }
    }
}
