//! The end of a cluster that has been decided on, step by step: nothing is deleted before it was stopped and saved.

use std::time::Duration;

use crate::action::{CloudEffect, Effect};
use crate::ids::{InstanceId, SlotName};
use crate::observed::{
    Ending, Group, Instance, InstanceState, Remains, Snapshot, SnapshotState, Taken, Volume, VolumeState,
};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::plan::look::{Look, Place};
use crate::time::{Timestamp, after};

/// Lists the snapshots that the cluster began with, where nothing is to remain. Those that were taken to save data are
/// kept in any case.
pub(super) fn copies<'a>(look: &Look<'a>, remains: Remains) -> impl Iterator<Item = &'a Snapshot> + use<'a> {
    look.cloud.copies().filter(move |_| remains == Remains::Nothing)
}

/// An end that has been decided on.
pub(super) struct End<'l, 'a> {
    pub(super) look: &'l Look<'a>,
    pub(super) ending: &'l Ending,
    /// The Auto Scaling group that the cluster adopts.
    pub(super) group: Option<&'a Group>,
    pub(super) instances: Vec<&'a Instance>,
    pub(super) volumes: Vec<&'a Volume>,
}

impl<'a> End<'_, 'a> {
    /// Stops every instance, all at once: nobody is left to serve. All of them rest only once no start is on its way any more.
    pub(super) fn stop(&self) -> Option<Plan> {
        if let Some(running) = self.first(|instance| instance.state == InstanceState::Running) {
            return Some(self.act(&running.slot, CloudEffect::Stop { instance: running.id.clone() }));
        }
        let is_turning = |one: &Instance| matches!(one.state, InstanceState::Pending | InstanceState::Stopping);
        let Some(turning) = self.first(is_turning) else { return self.outlast_starts() };
        let instance = turning.id.clone();
        let what = match turning.state {
            InstanceState::Pending => Awaited::Running { instance },
            _ => Awaited::Stopped { instance },
        };
        Some(self.wait(&turning.slot, what, turning.state_since, self.look.limits.instance))
    }

    /// Waits for as long as a start may arrive that was sent by whoever had not read of the end: a replacement was being taken
    /// back, say, or EC2 had stopped an instance. A volume would be detached from an instance that starts, or a member that serves
    /// once more, perhaps alone, would write to one of which the last snapshot is taken already.
    fn outlast_starts(&self) -> Option<Plan> {
        let (seen, limit) = (self.look.seen, self.look.limits.call);
        let resting = self.stopped().filter(|resting| !resting.retired)?;
        let since = seen.claim_known_since.or(seen.watched_since)?;
        let until = after(since, limit);
        (self.look.now < until).then(|| self.wait(&resting.slot, Awaited::NothingElse { until }, since, limit))
    }

    /// Takes a last snapshot of every volume, once nothing writes to it any more.
    pub(super) fn snapshot(&self) -> Option<Plan> {
        if self.ending.remains == Remains::Nothing {
            return None;
        }
        let volume = self.volumes.iter().find(|volume| self.last_snapshot(volume).is_none())?;
        if volume.state == VolumeState::Creating {
            let what = Awaited::VolumeCreated { volume: volume.id.clone() };
            return Some(self.wait(&volume.slot, what, self.ending.since, self.look.limits.instance));
        }
        let (slot, attempt) = (volume.slot.clone(), self.ending.attempt);
        let effect = CloudEffect::Snapshot { volume: volume.id.clone(), slot, attempt, taken: Taken::AtRest };
        Some(self.act(&volume.slot, effect))
    }

    fn last_snapshot(&self, volume: &Volume) -> Option<&'a Snapshot> {
        let last = |snapshot: &&Snapshot| snapshot.backs_up(&volume.id, self.ending.attempt, Taken::AtRest);
        self.look.cloud.snapshots.iter().find(last)
    }

    /// Detaches every volume from whatever has it.
    pub(super) fn detach(&self) -> Option<Plan> {
        self.volumes.iter().find_map(|volume| {
            let id = volume.id.clone();
            let (what, since) = match self.look.place(volume) {
                Place::Free => return None,
                Place::On { instance, device } => return Some(self.detach_from(volume, instance, device)),
                Place::Attaching { to, since } => (Awaited::VolumeAttached { volume: id, instance: to.clone() }, since),
                Place::Detaching { since, .. } => (Awaited::VolumeFree { volume: id }, since),
                Place::Creating => (Awaited::VolumeCreated { volume: id }, self.ending.since),
                Place::Unclear { detail, .. } => match self.taken(volume) {
                    Some(stalled) => return Some(stalled),
                    None => (Awaited::ViewsAgree { detail }, self.ending.since),
                },
                Place::Unusable(why) => {
                    let (slot, why) = (volume.slot.clone(), why.to_owned());
                    return Some(Plan::stalled(Stall::VolumeUnusable { slot, volume: id, why }));
                }
            };
            Some(self.wait(&volume.slot, what, since, self.look.limits.instance))
        })
    }

    fn detach_from(&self, volume: &Volume, instance: &InstanceId, device: &str) -> Plan {
        let held_by = self.look.cloud.instance(instance);
        if let Some(dying) = held_by.filter(|one| one.state == InstanceState::ShuttingDown) {
            return self.until_terminated(dying);
        }
        let (volume_id, device) = (volume.id.clone(), device.to_owned());
        self.act(&volume.slot, CloudEffect::Detach { volume: volume_id, instance: instance.clone(), device })
    }

    fn until_terminated(&self, dying: &Instance) -> Plan {
        let what = Awaited::Terminated { instance: dying.id.clone() };
        self.wait(&dying.slot, what, dying.state_since, self.look.limits.instance)
    }

    /// Stalls, because something that is not the cluster's has a volume of it.
    fn taken(&self, volume: &Volume) -> Option<Plan> {
        let VolumeState::InUse(at) = &volume.state else { return None };
        let (slot, volume, by) = (volume.slot.clone(), volume.id.clone(), at.instance.clone());
        self.look.cloud.instance(&by).is_none().then_some(Plan::stalled(Stall::VolumeTaken { slot, volume, by }))
    }

    /// Marks the next instance that goes.
    pub(super) fn retire(&self) -> Option<Plan> {
        let stopped = self.stopped().filter(|stopped| !stopped.retired)?;
        Some(self.act(&stopped.slot, CloudEffect::Retire { instance: stopped.id.clone() }))
    }

    /// Terminates the stopped instances, one after the other, and waits for the last.
    pub(super) fn terminate(&self) -> Option<Plan> {
        if let Some(stopped) = self.stopped() {
            return Some(self.act(&stopped.slot, CloudEffect::Terminate { instance: stopped.id.clone() }));
        }
        Some(self.until_terminated(self.first(|instance| instance.state == InstanceState::ShuttingDown)?))
    }

    /// Finds the next instance that goes.
    pub(super) fn stopped(&self) -> Option<&'a Instance> {
        self.first(|instance| instance.state == InstanceState::Stopped)
    }

    /// Deletes every volume that is not to remain, once its last snapshot has all of it.
    pub(super) fn delete_volume(&self) -> Option<Plan> {
        let volume = match self.ending.remains {
            Remains::Volumes => None,
            Remains::Snapshots | Remains::Nothing => self.volumes.first(),
        }?;
        let unsaved = |snapshot: &Snapshot| snapshot.state != SnapshotState::Completed;
        if self.ending.remains == Remains::Snapshots && self.last_snapshot(volume).is_none_or(unsaved) {
            let what = Awaited::SnapshotCompleted { volume: volume.id.clone() };
            return Some(self.wait(&volume.slot, what, self.ending.since, self.look.limits.snapshot));
        }
        Some(self.act(&volume.slot, CloudEffect::DeleteVolume { volume: volume.id.clone() }))
    }

    /// Deletes the snapshots that a copy began with. EC2 deletes a snapshot only when it is done with it.
    pub(super) fn delete_copies(&self) -> Option<Plan> {
        let is_done = |copy: &Snapshot| copy.state != SnapshotState::Pending;
        let copy = copies(self.look, self.ending.remains).max_by_key(|copy| is_done(copy))?;
        if is_done(copy) {
            let effect = Effect::Cloud(CloudEffect::DeleteSnapshot { snapshot: copy.id.clone() });
            return Some(self.look.effect(None, effect, Why::Unwanted));
        }
        let what = Awaited::VolumeCopied { volume: copy.volume.clone(), snapshot: copy.id.clone() };
        let since = copy.begun.unwrap_or(self.ending.since);
        Some(Plan::wait(None, what, since, self.look.limits.snapshot))
    }

    /// Waits for a launch that may have been on its way: a replacement fell when the end was decided on.
    pub(super) fn outlast_launches(&self) -> Option<Plan> {
        let fell = self.look.record.taken_back_at.filter(|fell| *fell >= self.ending.since)?;
        let until = after(fell, self.look.limits.late);
        let what = Awaited::NothingLate { until };
        (self.look.now < until).then(|| Plan::wait(None, what, fell, self.look.limits.late))
    }

    pub(super) fn first(&self, is: impl Fn(&Instance) -> bool) -> Option<&'a Instance> {
        self.instances.iter().copied().find(|instance| is(instance))
    }

    pub(super) fn act(&self, slot: &SlotName, effect: CloudEffect) -> Plan {
        self.look.effect(Some(slot), Effect::Cloud(effect), Why::Unwanted)
    }

    pub(super) fn wait(&self, slot: &SlotName, what: Awaited, since: Timestamp, limit: Duration) -> Plan {
        Plan::wait(Some(slot), what, since, limit)
    }
}
