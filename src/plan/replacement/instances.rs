//! An instance that loses the slot's volumes, or gets them.
//!
//! Each function answers `None` when its part is done, and the plan for its next move otherwise.

use crate::action::CloudEffect;
use crate::ids::InstanceId;
use crate::observed::{Instance, InstanceState, LaunchAnswer, Volume, VolumeState};
use crate::plan::answer::{Awaited, Plan, Why};
use crate::plan::look::Place;
use crate::plan::steps::{DISCARD, STOP_FIRST, Step};
use crate::plan::{gates, group};
use crate::spec::VolumeSpec;
use crate::time::{Timestamp, elapsed};

use super::under_way::Replacement;

/// A volume that has to leave an instance.
pub(super) enum Leaving<'a> {
    /// Still attached to the instance, in both views, at that device.
    Attached(&'a VolumeSpec, &'a Volume, &'a str),
    /// On its way off an instance, since then.
    Detaching(&'a Volume, Timestamp),
    /// Seen in one place by one view and in another by the other; in words.
    Unclear(String),
}

impl<'a> Replacement<'_, 'a> {
    /// Takes one step of discarding an instance that is not needed any more.
    pub(super) fn discard_by(&self, step: Step, instance: &Instance, why: &Why) -> Option<Plan> {
        let holds = self.slot.any_at(self.look, &instance.id);
        let id = || instance.id.clone();
        let is_last = matches!(step, Step::Retire | Step::LeaveGroup | Step::Terminate);
        if let Some(plan) = Some(step).filter(|_| is_last).and_then(|_| self.free_undeclared(instance, why)) {
            return Some(plan);
        }
        match step {
            Step::MarkStop | Step::Transfer | Step::Stop if holds => self.stop_given_up(step, instance, why),
            Step::Detach if holds => self.detach(instance, why),
            Step::Retire if instance.state.is_live() && !instance.retired => {
                Some(self.look.act(self.slot, CloudEffect::Retire { instance: id() }, why.clone()))
            }
            Step::LeaveGroup if instance.state.is_live() => group::detach(self.look, self.slot, instance, why),
            Step::Terminate if instance.state.is_live() => {
                Some(self.look.act(self.slot, CloudEffect::Terminate { instance: id() }, why.clone()))
            }
            _ => None,
        }
    }

    /// Takes one step of stopping an instance that was given up. Should its member have become healthy since, it is a
    /// member like any other, and is not taken down if the others could not do without it.
    pub(super) fn stop_given_up(&self, step: Step, instance: &Instance, why: &Why) -> Option<Plan> {
        let refusals = || gates::taking_back_refusals(self.look, self.slot, instance);
        self.stop(step, instance, &refusals, why)
    }

    /// Detaches from an instance that goes what is the slot's and is not declared, or not any more: while anything of ours is at
    /// an instance, the instance is not terminated. The volume is kept.
    fn free_undeclared(&self, instance: &Instance, why: &Why) -> Option<Plan> {
        let live = Some(instance).filter(|instance| instance.state.is_live())?;
        let mut others = self.look.cloud.present_volumes().filter(|volume| {
            let is_declared = self.slot.present().any(|(_, declared)| declared.id == volume.id);
            matches!(&volume.state, VolumeState::InUse(at) if at.instance == live.id && !is_declared)
        });
        let volume = others.next()?;
        let mut stop = STOP_FIRST.iter();
        if let Some(plan) = stop.find_map(|step| self.stop_given_up(*step, live, why)) {
            return Some(plan);
        }
        Some(match self.look.place(volume) {
            Place::On { instance, device } => self.detach_one(volume, instance, device, why),
            Place::Detaching { since, .. } => {
                let what = Awaited::VolumeFree { volume: volume.id.clone() };
                self.look.wait(self.slot, what, since, self.look.limits.volume)
            }
            _ => self.disagreement(format!("{} is on its way to or from {}", volume.id, live.id)),
        })
    }

    /// Discards a live instance. Done when EC2 says that the instance is shutting down.
    pub(super) fn discard(&self, instance: &Instance, why: &Why) -> Option<Plan> {
        let live = Some(instance).filter(|instance| instance.state.is_live())?;
        DISCARD.iter().find_map(|step| self.discard_by(*step, live, why))
    }

    /// Detaches the volumes of a stopped (or dead) instance, one at a time. Terminating detaches them too: asked
    /// meanwhile, EC2 refuses.
    pub(super) fn detach(&self, instance: &Instance, why: &Why) -> Option<Plan> {
        if instance.state == InstanceState::ShuttingDown && self.slot.any_at(self.look, &instance.id) {
            return Some(self.until(Awaited::Terminated { instance: instance.id.clone() }, instance.state_since));
        }
        Some(match self.next_to_leave(instance)? {
            // At the device where it is seen: the spec says where it belongs next.
            Leaving::Attached(_, volume, device) => self.detach_one(volume, &instance.id, device, why),
            Leaving::Detaching(volume, since) => {
                let what = Awaited::VolumeFree { volume: volume.id.clone() };
                self.look.wait(self.slot, what, since, self.look.limits.volume)
            }
            Leaving::Unclear(detail) => self.disagreement(detail),
        })
    }

    fn detach_one(&self, volume: &Volume, from: &InstanceId, device: &str, why: &Why) -> Plan {
        let (volume, instance, device) = (volume.id.clone(), from.clone(), device.to_owned());
        self.look.act(self.slot, CloudEffect::Detach { volume, instance, device }, why.clone())
    }

    /// Finds the first volume that has not left an instance, or may not have.
    pub(super) fn next_to_leave(&self, instance: &Instance) -> Option<Leaving<'a>> {
        self.slot.present().find_map(|(spec, volume)| match self.look.place(volume) {
            Place::On { instance: at, device } => {
                (*at == instance.id).then_some(Leaving::Attached(spec, volume, device))
            }
            // On its way to an instance that rests: it got stuck, or came too late.
            Place::Attaching { to, .. } if *to == instance.id && instance.state == InstanceState::Stopped => {
                let VolumeState::InUse(at) = &volume.state else { return None };
                Some(Leaving::Attached(spec, volume, &at.device))
            }
            Place::Detaching { since, .. } => Some(Leaving::Detaching(volume, since)),
            Place::Unclear { detail, .. } => Some(Leaving::Unclear(detail)),
            Place::Free | Place::Creating | Place::Attaching { .. } | Place::Unusable(_) => None,
        })
    }

    /// Attaches to an instance every volume that is free, and waits for those on their way.
    pub(super) fn attach(&self, instance: &Instance, why: &Why) -> Option<Plan> {
        let mut placed = self.slot.present().map(|(spec, volume)| (spec, volume, self.look.place(volume)));
        let (spec, volume, place) = placed.find(|(_, _, place)| !place.is_on(&instance.id))?;
        let id = || volume.id.clone();
        let limit = self.look.limits.volume;
        Some(match place {
            Place::Free => {
                let (instance, device) = (instance.id.clone(), spec.device.clone());
                self.look.act(self.slot, CloudEffect::Attach { volume: id(), instance, device }, why.clone())
            }
            Place::Attaching { to, since } => {
                let what = Awaited::VolumeAttached { volume: id(), instance: to.clone() };
                let is_stopping = instance.state == InstanceState::Running && self.claim.stops.contains(to);
                let is_stuck = is_stopping || self.look.has_waited(self.slot, &what, limit);
                let given_up = (is_stuck && *to == instance.id).then(|| self.give_up_attaching(volume, instance));
                given_up.flatten().unwrap_or_else(|| self.look.wait(self.slot, what, since, limit))
            }
            Place::Detaching { since, .. } => {
                self.look.wait(self.slot, Awaited::VolumeFree { volume: id() }, since, limit)
            }
            Place::Creating => {
                self.look.wait(self.slot, Awaited::VolumeCreated { volume: id() }, self.claim.since, limit)
            }
            Place::On { instance: at, .. } => self.disagreement(format!("{} is attached to {at}", volume.id)),
            Place::Unclear { detail, .. } => self.disagreement(detail),
            Place::Unusable(why) => self.disagreement(format!("{} is {why}", volume.id)),
        })
    }

    /// Gives up an attachment that got stuck: an instance that rests gives the volume back, to be given it once more; one
    /// that runs is discarded, because nothing is detached from a running instance.
    fn give_up_attaching(&self, volume: &Volume, instance: &Instance) -> Option<Plan> {
        let why = Why::Stuck { volume: volume.id.clone(), to: instance.id.clone() };
        match &volume.state {
            VolumeState::InUse(at) if instance.state == InstanceState::Stopped => {
                Some(self.detach_one(volume, &instance.id, &at.device, &why))
            }
            _ => self.discard(instance, &why),
        }
    }

    /// Waits for an instance that the claim names and EC2 does not show: not found is not gone, until EC2 would have
    /// stopped showing it. Nobody need look at that before, because all goes on by itself then.
    pub(super) fn wait_until_shown(&self, id: &InstanceId, since: Timestamp) -> Option<Plan> {
        let limit = self.look.limits.terminated_shown;
        let is_over = elapsed(self.look.now, since) > limit;
        (!is_over).then(|| self.look.wait(self.slot, not_shown(id), since, limit))
    }

    /// Waits for an instance of this replacement that has one of the volumes, and that EC2 does not show. How long it has had the
    /// volume says nothing; nobody has taken it before EC2 would have stopped showing the instance.
    pub(super) fn until_holders_shown(&self) -> Option<Plan> {
        let (look, claim) = (self.look, self.claim);
        let launched = look.seen.last_launch.as_ref().filter(|sent| sent.attempt == claim.attempt);
        let launched = launched.and_then(|sent| match &sent.answer {
            LaunchAnswer::Launched(instance) => Some(instance),
            LaunchAnswer::TokenSpent => None,
        });
        let named = || claim.old().into_iter().chain(&claim.recruit).chain(&claim.stops).chain(launched);
        let holders = self.slot.present().filter_map(|(_, volume)| match &volume.state {
            VolumeState::InUse(at) => Some(&at.instance),
            _ => None,
        });
        let is_hidden = |id: &&InstanceId| look.cloud.instance(id).is_none() && named().any(|known| known == *id);
        let id = holders.into_iter().find(is_hidden)?;
        let is_over = look.has_waited(self.slot, &not_shown(id), look.limits.terminated_shown);
        (!is_over).then(|| self.until(not_shown(id), claim.since))
    }
}

fn not_shown(id: &InstanceId) -> Awaited {
    Awaited::ViewsAgree { detail: format!("{id} is not shown, and that does not mean that it is gone") }
}
