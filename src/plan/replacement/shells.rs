//! Instances as shells: getting a new one ready, emptying one, moving volumes in, throwing one away.
//!
//! Each function answers `None` when its part is done, and the plan for its next move otherwise.

use crate::action::{ClaimEffect, CloudEffect, Effect, Launch, Recruitment};
use crate::ids::{InstanceId, Token};
use crate::observed::{Checks, Claim, Instance, InstanceState};
use crate::plan::answer::{Awaited, Plan, Why};
use crate::plan::look::Place;
use crate::plan::{gates, group};
use crate::time::{after, elapsed};

use super::under_way::Replacement;

impl<'a> Replacement<'_, 'a> {
    /// Brings the new instance to running, with its status checks passed.
    pub(super) fn ready_new(&self) -> Option<Plan> {
        let Some(new) = self.new else {
            return Some(match &self.claim.recruit {
                Some(recruit) => self.recruit(recruit),
                None => self.launch_unless_sent(),
            });
        };
        let id = || new.id.clone();
        match (new.state, &new.checks) {
            (InstanceState::Terminated | InstanceState::ShuttingDown, _) => Some(self.try_again(reason(new))),
            _ if new.retired => self.discard_new(Why::LaunchFailed { reason: reason(new) }),
            (InstanceState::Pending, _) => Some(self.until_running(new)),
            (InstanceState::Running, Checks::Ok) => None,
            (InstanceState::Running, Checks::Initializing | Checks::Unknown)
                if elapsed(self.look.now, new.launched_at) < self.look.limits.checks =>
            {
                Some(self.look.wait(
                    self.slot,
                    Awaited::Checks { instance: id() },
                    new.launched_at,
                    self.look.limits.checks,
                ))
            }
            (InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped, _) => {
                self.discard_new(Why::LaunchFailed { reason: reason(new) })
            }
        }
    }

    /// The id in EC2's answer is the truth: it is waited for, and only if it never shows the same call is sent again.
    fn launch_unless_sent(&self) -> Plan {
        let attempt = self.claim.attempt;
        if self.look.seen.spent == Some(attempt) {
            return self.try_again("its launch token was used before".to_owned());
        }
        match &self.look.seen.launched {
            Some((sent, instance, at)) if *sent == attempt && elapsed(self.look.now, *at) < self.look.limits.late => {
                self.look.wait(
                    self.slot,
                    Awaited::Running { instance: instance.clone() },
                    *at,
                    self.look.limits.instance,
                )
            }
            _ => self.launch(),
        }
    }

    fn launch(&self) -> Plan {
        let hazards = gates::repair_refusals(self.look, self.slot, &self.claim.image);
        if !hazards.is_empty() {
            return self.blocked(hazards);
        }
        let (spec, slot, claim) = (self.look.spec, self.slot.spec, self.claim);
        let token = Token::of(&[&spec.name, &slot.name, &claim.generation, &claim.attempt.to_string(), &slot.subnet]);
        let launch = Launch {
            image: claim.image.clone(),
            generation: claim.generation.clone(),
            attempt: claim.attempt,
            volumes: self.slot.present().map(|(_, volume)| (volume.name.clone(), volume.id.clone())).collect(),
            ..Launch::declared(spec, slot, self.look.seen.owner.clone(), token)
        };
        self.look.act(self.slot, CloudEffect::Launch(Box::new(launch)), Why::NextStep)
    }

    /// Takes the instance that the group has launched. It is the one that the claim names, and nothing else is launched
    /// in its place as long as it may be there.
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
            owner: self.look.seen.owner.clone(),
            generation: self.claim.generation.clone(),
            attempt: self.claim.attempt,
            user_data_digest: self.look.spec.instance.user_data_digest(),
            volumes: self.slot.present().map(|(_, volume)| (volume.name.clone(), volume.id.clone())).collect(),
        };
        self.look.act(self.slot, CloudEffect::Recruit(recruitment), Why::NextStep)
    }

    /// The launch came to nothing: a further attempt under the same claim, or a longer pause first.
    fn try_again(&self, reason: String) -> Plan {
        let again_at = after(self.claim.since, self.look.limits.next_launches);
        if self.claim.tries + 1 >= self.look.limits.launches && self.look.now < again_at {
            return self.look.wait(
                self.slot,
                Awaited::NextLaunch { reason },
                self.claim.since,
                self.look.limits.next_launches,
            );
        }
        let claim = Claim {
            attempt: self.look.next_attempt(),
            tries: if self.claim.tries + 1 >= self.look.limits.launches { 0 } else { self.claim.tries + 1 },
            since: self.look.now,
            recruit: group::recruit_for(self.look, self.slot, &self.claim.image).map(|recruit| recruit.id.clone()),
            ..self.claim.clone()
        };
        let effect = ClaimEffect::Claim { claim, expects: self.look.record.revision };
        self.look.effect(Some(&self.slot.spec.name), Effect::Claim(effect), Why::LaunchFailed { reason })
    }

    /// Empties a stopped (or dead) instance: snapshot where asked for, then detach, one volume at a time.
    pub(super) fn empty(&self, shell: &Instance, snapshot: bool, why: &Why) -> Option<Plan> {
        if shell.state == InstanceState::ShuttingDown && self.slot.any_at(self.look, &shell.id) {
            // Terminating detaches its volumes; asked meanwhile, EC2 refuses.
            let what = Awaited::Terminated { instance: shell.id.clone() };
            return Some(self.look.wait(self.slot, what, shell.state_since, self.look.limits.instance));
        }
        for (spec, volume) in self.slot.present() {
            let effect = match self.look.place(volume) {
                Place::On(at) if *at == shell.id => {
                    let taken = |s: &crate::observed::Snapshot| {
                        s.volume == volume.id && s.attempt == self.claim.attempt && !s.failed
                    };
                    match snapshot && spec.snapshot_before_replace && !self.look.cloud.snapshots.iter().any(taken) {
                        true => CloudEffect::Snapshot { volume: volume.id.clone(), attempt: self.claim.attempt },
                        false => CloudEffect::Detach {
                            volume: volume.id.clone(),
                            instance: shell.id.clone(),
                            device: spec.device.clone(),
                        },
                    }
                }
                Place::Detaching { since, .. } => {
                    let what = Awaited::VolumeFree { volume: volume.id.clone() };
                    return Some(self.look.wait(self.slot, what, since, self.look.limits.volume));
                }
                Place::Unclear(detail) => return Some(self.disagreement(detail)),
                Place::On(_) | Place::Free | Place::Creating | Place::Attaching { .. } | Place::Unusable(_) => continue,
            };
            return Some(self.look.act(self.slot, effect, why.clone()));
        }
        None
    }

    /// Attaches to an instance every volume that is free, and waits for those on their way.
    pub(super) fn fill(&self, shell: &Instance, why: &Why) -> Option<Plan> {
        let (device, volume, place) = self.elsewhere(&shell.id).into_iter().next()?;
        let volume = || volume.clone();
        Some(match place {
            Place::Free => {
                let (instance, device) = (shell.id.clone(), device.to_owned());
                self.look.act(self.slot, CloudEffect::Attach { volume: volume(), instance, device }, why.clone())
            }
            Place::Attaching { to, since } => {
                let what = Awaited::VolumeAttached { volume: volume(), instance: to.clone() };
                self.look.wait(self.slot, what, since, self.look.limits.volume)
            }
            Place::Detaching { since, .. } => {
                self.look.wait(self.slot, Awaited::VolumeFree { volume: volume() }, since, self.look.limits.volume)
            }
            Place::Creating => {
                let what = Awaited::VolumeCreated { volume: volume() };
                self.look.wait(self.slot, what, self.claim.since, self.look.limits.volume)
            }
            Place::On(at) => self.disagreement(format!("{} is attached to {at}", volume())),
            Place::Unclear(detail) => self.disagreement(detail),
            Place::Unusable(why) => self.disagreement(format!("{} is {why}", volume())),
        })
    }

    /// Brings an instance that was given up to where nothing of the slot is attached to it.
    pub(super) fn vacate(&self, shell: &Instance, why: &Why) -> Option<Plan> {
        if !self.slot.any_at(self.look, &shell.id) {
            return None;
        }
        let instance = shell.id.clone();
        match shell.state {
            InstanceState::Running => {
                // It was given up because its member was not healthy. Should it have become so since, it is a member
                // like any other, and is not taken down if the others could not do without it.
                let hazards = gates::taking_back_refusals(self.look, self.slot);
                Some(match hazards.is_empty() {
                    true => self.look.act(self.slot, CloudEffect::Stop { instance }, why.clone()),
                    false => self.blocked(hazards),
                })
            }
            InstanceState::Pending => Some(self.until_running(shell)),
            InstanceState::Stopping => Some(self.until_stopped(shell)),
            InstanceState::Stopped | InstanceState::ShuttingDown | InstanceState::Terminated => {
                self.empty(shell, false, why)
            }
        }
    }

    /// Retires an instance once it holds nothing, has it leave the group, and terminates it. Done when EC2 says it is on its way out.
    pub(super) fn discard(&self, shell: &Instance, why: &Why) -> Option<Plan> {
        if !shell.state.is_live() {
            return None;
        }
        if let Some(plan) = self.vacate(shell, why) {
            return Some(plan);
        }
        let instance = shell.id.clone();
        let effect = match shell.retired {
            false => CloudEffect::Retire { instance },
            true => match group::discharge(self.look, self.slot, shell, why) {
                Some(plan) => return Some(plan),
                None => CloudEffect::Terminate { instance },
            },
        };
        Some(self.look.act(self.slot, effect, why.clone()))
    }

    /// The same for the new instance, if it was ever seen.
    pub(super) fn discard_new(&self, why: Why) -> Option<Plan> {
        self.discard(self.new?, &why)
    }

    /// An instance that is named and not shown: not found is not gone, until EC2 would have stopped showing it.
    pub(super) fn unseen(&self, id: &crate::ids::InstanceId, since: crate::time::Timestamp) -> Option<Plan> {
        if elapsed(self.look.now, since) > self.look.limits.terminated_shown {
            return None;
        }
        let detail = format!("{id} is not shown, and that does not mean that it is gone");
        Some(self.look.wait(self.slot, Awaited::ViewsAgree { detail }, since, self.look.limits.instance))
    }

    pub(super) fn until_running(&self, shell: &Instance) -> Plan {
        let what = Awaited::Running { instance: shell.id.clone() };
        self.look.wait(self.slot, what, shell.launched_at, self.look.limits.instance)
    }

    pub(super) fn until_stopped(&self, shell: &Instance) -> Plan {
        let what = Awaited::Stopped { instance: shell.id.clone() };
        self.look.wait(self.slot, what, shell.state_since, self.look.limits.instance)
    }

    pub(super) fn disagreement(&self, detail: String) -> Plan {
        self.look.wait(self.slot, Awaited::ViewsAgree { detail }, self.claim.since, self.look.limits.instance)
    }
}

fn reason(instance: &Instance) -> String {
    match (&instance.state_reason, &instance.checks) {
        (Some(reason), _) => format!("{}: {reason}", instance.id),
        (None, Checks::Impaired(why)) => format!("{}: status checks: {why}", instance.id),
        (None, _) => format!("{} is not running with its status checks passed", instance.id),
    }
}
