//! A cluster that is to be no more: its instances stop, its data is saved, and only then does anything go.
//!
//! Every step is read from the world, so whoever takes up a destruction that was interrupted goes on where it stopped.
//! What an adopted Auto Scaling group adds to it is in `group`.

use std::time::Duration;

use crate::action::{Action, ClaimEffect, CloudEffect, Effect};
use crate::ids::SlotName;
use crate::observed::{Ending, Group, Instance, InstanceState, Remains, Snapshot, Volume, VolumeState};
use crate::time::{Timestamp, after};

use super::answer::{Awaited, Hazard, Hazards, Plan, Stall, WaitingOn, Why};
use super::group::{adopted, let_go};
use super::look::{Look, Place};

mod group;

/// How long EC2 takes for any one step, at the worst.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// A copy of a large volume takes hours.
pub const PATIENCE_WITH_SNAPSHOTS: Duration = Duration::from_secs(24 * 60 * 60);
/// EC2 refuses a launch that was signed longer ago, so nothing of a replacement that fell can turn up after this.
const LATE: Duration = Duration::from_secs(5 * 60);

/// The one next thing to do towards the end of a cluster, of which just that is to remain.
pub fn teardown(look: &Look<'_>, remains: Remains) -> Plan {
    let ending = look.record.ending.as_ref().filter(|ending| ending.remains == remains);
    let hazards: Vec<_> =
        not_ours(look, remains).into_iter().chain(group::in_the_way(look, ending.is_some())).collect();
    if !hazards.is_empty() {
        return Plan::Blocked(Hazards { slot: None, hazards });
    }
    let Some(ending) = ending else { return end(look, remains) };
    let mut instances: Vec<_> = look.cloud.instances.iter().collect();
    let mut volumes: Vec<_> = look.cloud.present_volumes().collect();
    instances.sort_by_key(|instance| &instance.id);
    volumes.sort_by_key(|volume| &volume.id);
    let end = End { look, ending, group: adopted(look), instances, volumes };
    end.keep_still()
        .or_else(|| end.stop())
        .or_else(|| end.save())
        .or_else(|| end.free())
        .or_else(|| end.lower_minimum())
        .or_else(|| end.terminate())
        .or_else(|| end.empty())
        .or_else(|| let_go(look))
        .or_else(|| end.delete())
        .or_else(|| end.delete_copies())
        .or_else(|| end.linger())
        .unwrap_or(Plan::Settled)
}

/// Nothing of somebody else's is touched, and so the cluster would not be gone.
fn not_ours(look: &Look<'_>, remains: Remains) -> Option<Hazard> {
    let owner = Some(&look.seen.owner);
    let instances = look.cloud.live_instances().filter(|one| one.owner.as_ref() != owner);
    let volumes = look.cloud.present_volumes().filter(|volume| volume.owner.as_ref() != owner);
    let copies = copies(look, remains).filter(|copy| copy.owner.as_ref() != owner);
    let resources = instances.map(|one| one.id.to_string()).chain(volumes.map(|volume| volume.id.to_string()));
    let resources: Vec<_> = resources.chain(copies.map(|copy| copy.id.to_string())).collect();
    (!resources.is_empty()).then_some(Hazard::NotOwned { resources, group: None })
}

/// From now on no controller does anything else to it.
fn end(look: &Look<'_>, remains: Remains) -> Plan {
    let fresh = || Ending { since: look.now, attempt: look.next_attempt(), remains };
    let ending = look.record.ending.clone().map_or_else(fresh, |begun| Ending { remains, ..begun });
    let effect = Effect::Claim(ClaimEffect::End { ending, expects: look.record.revision });
    look.effect(None, effect, Why::Unwanted)
}

/// The snapshots that it began with, where nothing is to remain. Those that were taken to save data are kept in any case.
fn copies<'a>(look: &Look<'a>, remains: Remains) -> impl Iterator<Item = &'a Snapshot> + use<'a> {
    look.cloud.copies().filter(move |_| remains == Remains::Nothing)
}

/// An end that has been decided on.
struct End<'l, 'a> {
    look: &'l Look<'a>,
    ending: &'l Ending,
    /// The Auto Scaling group that the cluster adopts.
    group: Option<&'a Group>,
    instances: Vec<&'a Instance>,
    volumes: Vec<&'a Volume>,
}

impl<'a> End<'_, 'a> {
    /// Every instance stopped: all at once, for nobody is left to serve.
    fn stop(&self) -> Option<Plan> {
        if let Some(running) = self.first(|instance| instance.state == InstanceState::Running) {
            return Some(self.act(&running.slot, CloudEffect::Stop { instance: running.id.clone() }));
        }
        let turning = self.first(|one| matches!(one.state, InstanceState::Pending | InstanceState::Stopping))?;
        let instance = turning.id.clone();
        let what = match turning.state {
            InstanceState::Pending => Awaited::Running { instance },
            _ => Awaited::Stopped { instance },
        };
        Some(self.wait(&turning.slot, what, turning.state_since, PATIENCE))
    }

    /// Of every volume a last snapshot, from when nothing wrote to it any more.
    fn save(&self) -> Option<Plan> {
        if self.ending.remains == Remains::Nothing {
            return None;
        }
        let volume = self.volumes.iter().find(|volume| self.last_snapshot(volume).is_none())?;
        if volume.state == VolumeState::Creating {
            let what = Awaited::VolumeCreated { volume: volume.id.clone() };
            return Some(self.wait(&volume.slot, what, self.ending.since, PATIENCE));
        }
        let effect = CloudEffect::Snapshot { volume: volume.id.clone(), attempt: self.ending.attempt };
        Some(self.act(&volume.slot, effect))
    }

    fn last_snapshot(&self, volume: &Volume) -> Option<&'a Snapshot> {
        let last = |snapshot: &&Snapshot| {
            snapshot.volume == volume.id && snapshot.attempt == self.ending.attempt && !snapshot.failed
        };
        self.look.cloud.snapshots.iter().find(last)
    }

    /// No volume at any instance.
    fn free(&self) -> Option<Plan> {
        self.volumes.iter().find_map(|volume| {
            let id = volume.id.clone();
            let (what, since) = match self.look.place(volume) {
                Place::Free => return None,
                Place::On(at) => return Some(self.detach(volume, at)),
                Place::Attaching { to, since } => (Awaited::VolumeAttached { volume: id, instance: to.clone() }, since),
                Place::Detaching { since, .. } => (Awaited::VolumeFree { volume: id }, since),
                Place::Creating => (Awaited::VolumeCreated { volume: id }, self.ending.since),
                Place::Unclear(detail) => match self.stranger(volume) {
                    Some(stalled) => return Some(stalled),
                    None => (Awaited::ViewsAgree { detail }, self.ending.since),
                },
                Place::Unusable(why) => {
                    let (slot, why) = (volume.slot.clone(), why.to_owned());
                    return Some(Plan::Stalled(Stall::VolumeUnusable { slot, volume: id, why }));
                }
            };
            Some(self.wait(&volume.slot, what, since, PATIENCE))
        })
    }

    fn detach(&self, volume: &Volume, from: &crate::ids::InstanceId) -> Plan {
        let held_by = self.look.cloud.instance(from);
        if let Some(dying) = held_by.filter(|one| one.state == InstanceState::ShuttingDown) {
            let what = Awaited::Terminated { instance: dying.id.clone() };
            return self.wait(&volume.slot, what, dying.state_since, PATIENCE);
        }
        let VolumeState::InUse(at) = &volume.state else { unreachable!("it is on {from}") };
        let (volume_id, device) = (volume.id.clone(), at.device.clone());
        self.act(&volume.slot, CloudEffect::Detach { volume: volume_id, instance: from.clone(), device })
    }

    /// Something that is not the cluster's has a volume of it.
    fn stranger(&self, volume: &Volume) -> Option<Plan> {
        let VolumeState::InUse(at) = &volume.state else { return None };
        let (slot, volume, by) = (volume.slot.clone(), volume.id.clone(), at.instance.clone());
        self.look.cloud.instance(&by).is_none().then_some(Plan::Stalled(Stall::VolumeTaken { slot, volume, by }))
    }

    fn terminate(&self) -> Option<Plan> {
        if let Some(stopped) = self.first(|instance| instance.state == InstanceState::Stopped) {
            let instance = stopped.id.clone();
            let effect = match stopped.retired {
                false => CloudEffect::Retire { instance },
                true => match self.discharge(stopped) {
                    Some(plan) => return Some(plan),
                    None => CloudEffect::Terminate { instance },
                },
            };
            return Some(self.act(&stopped.slot, effect));
        }
        let dying = self.first(|instance| instance.state == InstanceState::ShuttingDown)?;
        let what = Awaited::Terminated { instance: dying.id.clone() };
        Some(self.wait(&dying.slot, what, dying.state_since, PATIENCE))
    }

    fn delete(&self) -> Option<Plan> {
        let volume = match self.ending.remains {
            Remains::Volumes => None,
            Remains::Snapshots | Remains::Nothing => self.volumes.first(),
        }?;
        let unsaved = |snapshot: &Snapshot| !snapshot.completed;
        if self.ending.remains == Remains::Snapshots && self.last_snapshot(volume).is_none_or(unsaved) {
            let what = Awaited::SnapshotCompleted { volume: volume.id.clone() };
            return Some(self.wait(&volume.slot, what, self.ending.since, PATIENCE_WITH_SNAPSHOTS));
        }
        Some(self.act(&volume.slot, CloudEffect::DeleteVolume { volume: volume.id.clone() }))
    }

    /// EC2 takes a snapshot away only when it is done with it.
    fn delete_copies(&self) -> Option<Plan> {
        let is_done = |copy: &Snapshot| copy.completed || copy.failed;
        let copy = copies(self.look, self.ending.remains).max_by_key(|copy| is_done(copy))?;
        if is_done(copy) {
            let effect = Effect::Cloud(CloudEffect::DeleteSnapshot { snapshot: copy.id.clone() });
            return Some(self.look.effect(None, effect, Why::Unwanted));
        }
        let what = Awaited::VolumeCopied { volume: copy.volume.clone(), snapshot: copy.id.clone() };
        let since = copy.begun.unwrap_or(self.ending.since);
        let worry_at = after(since, PATIENCE_WITH_SNAPSHOTS);
        Some(Plan::Wait(WaitingOn { slot: None, what, since, worry_at }))
    }

    /// A replacement fell when the end was decided on, and its launch may have been on the way.
    fn linger(&self) -> Option<Plan> {
        let fell = self.look.record.taken_back_at.filter(|fell| *fell >= self.ending.since)?;
        let until = after(fell, LATE);
        let what = Awaited::NothingLate { until };
        (self.look.now < until).then_some(Plan::Wait(WaitingOn { slot: None, what, since: fell, worry_at: until }))
    }

    fn first(&self, is: impl Fn(&Instance) -> bool) -> Option<&'a Instance> {
        self.instances.iter().copied().find(|instance| is(instance))
    }

    fn act(&self, slot: &SlotName, effect: CloudEffect) -> Plan {
        let (cluster, slot) = (self.look.spec.name.clone(), Some(slot.clone()));
        Plan::Act(Action { cluster, slot, effect: Effect::Cloud(effect) }, Why::Unwanted)
    }

    fn wait(&self, slot: &SlotName, what: Awaited, since: Timestamp, patience: Duration) -> Plan {
        Plan::Wait(WaitingOn { slot: Some(slot.clone()), what, since, worry_at: after(since, patience) })
    }
}
