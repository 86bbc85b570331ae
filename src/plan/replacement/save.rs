//! The volumes of an instance are saved before they leave it: while it serves, once it has stopped, or both.
//!
//! EC2 fixes what a snapshot holds at the call, and copies it to where it is safe afterwards. The first copy of a large volume takes
//! hours; a later one holds only what has changed. So the copy that may take long, or be refused, is made while nothing is down.

use crate::action::CloudEffect;
use crate::observed::{Instance, InstanceState, Snapshot, SnapshotState, Taken, Volume};
use crate::plan::answer::{Awaited, Plan, Stall, Why};
use crate::plan::gates;
use crate::time::elapsed;

use super::instances::Leaving;
use super::under_way::Replacement;

impl<'a> Replacement<'_, 'a> {
    /// Saves the volumes of an instance that serves, as far as its spec wants that, and waits until all of their data is safe. What
    /// refuses the stop refuses a snapshot too, so that none is older than it must be.
    pub(super) fn snapshot_running(&self, instance: &Instance, why: &Why) -> Option<Plan> {
        if self.claim.stops.contains(&instance.id) {
            return None;
        }
        let answers = self.to_save_running(instance).filter_map(|volume| self.save_running(volume, why));
        let next = answers.min_by_key(|plan| !matches!(plan, Plan::Act(..)))?;
        let hazards = match next {
            Plan::Act(..) => gates::upgrade_refusals(self.look, self.slot),
            _ => Vec::new(),
        };
        Some(if hazards.is_empty() { next } else { self.blocked(hazards) })
    }

    /// Says whether nothing is left to save of an instance that serves.
    pub(super) fn is_saved_running(&self, instance: &Instance) -> bool {
        let is_saved = |volume: &Volume| self.saved(volume, Taken::Running).is_some();
        instance.state != InstanceState::Running || self.to_save_running(instance).all(is_saved)
    }

    /// Saves the volume that is to be detached next, where its spec wants one and this replacement has taken none.
    pub(super) fn snapshot(&self, instance: &Instance, why: &Why) -> Option<Plan> {
        let Leaving::Attached(spec, volume, _) = self.next_to_leave(instance)? else { return None };
        let is_outstanding = spec.snapshot_before_replace.is_at_rest() && self.saved(volume, Taken::AtRest).is_none();
        is_outstanding.then(|| self.save(volume, Taken::AtRest, why))
    }

    /// Lists the volumes that are saved while that instance serves.
    fn to_save_running(&self, instance: &Instance) -> impl Iterator<Item = &'a Volume> {
        let wanted = self.slot.present().filter(|(spec, _)| spec.snapshot_before_replace.is_while_running());
        wanted.map(|(_, volume)| volume).filter(move |volume| self.look.place(volume).is_on(&instance.id))
    }

    /// Begins a volume's snapshot, or waits for it. One that EBS gave up is taken anew, after some in a row with a pause that a
    /// person is told of.
    fn save_running(&self, volume: &'a Volume, why: &Why) -> Option<Plan> {
        let limits = self.look.limits;
        if let Some(saved) = self.saved(volume, Taken::Running) {
            let what = || Awaited::VolumeSaved { volume: volume.id.clone(), snapshot: saved.id.clone() };
            let since = saved.begun.unwrap_or(self.claim.since);
            let is_safe = saved.state == SnapshotState::Completed;
            return (!is_safe).then(|| self.look.wait(self.slot, what(), since, limits.snapshot));
        }
        let given_up: Vec<_> = self.backups(volume, Taken::Running).collect();
        let last = given_up.iter().max_by_key(|snapshot| (snapshot.begun, &snapshot.id));
        let times = u32::try_from(given_up.len()).unwrap_or(u32::MAX);
        if let Some(last) = last.filter(|_| times >= limits.launches)
            && elapsed(self.look.now, last.begun.unwrap_or(self.claim.since)) < limits.next_launches
        {
            let (slot, volume, snapshot) = (self.slot.spec.name.clone(), volume.id.clone(), last.id.clone());
            return Some(Plan::stalled(Stall::VolumeNotSaved { slot, volume, snapshot, times }));
        }
        Some(self.save(volume, Taken::Running, why))
    }

    fn save(&self, volume: &Volume, taken: Taken, why: &Why) -> Plan {
        let (slot, attempt) = (self.slot.spec.name.clone(), self.claim.attempt);
        let effect = CloudEffect::Snapshot { volume: volume.id.clone(), slot, attempt, taken };
        self.look.act(self.slot, effect, why.clone())
    }

    /// Finds the snapshot of a volume that this replacement has taken, and that may be used or still become usable.
    fn saved(&self, volume: &Volume, taken: Taken) -> Option<&'a Snapshot> {
        self.backups(volume, taken).find(|snapshot| snapshot.state != SnapshotState::Failed)
    }

    /// Lists the snapshots of a volume that this replacement has taken.
    fn backups(&self, volume: &Volume, taken: Taken) -> impl Iterator<Item = &'a Snapshot> {
        let (volume, attempt) = (volume.id.clone(), self.claim.attempt);
        let all = self.look.cloud.snapshots.iter();
        all.filter(move |snapshot| snapshot.is_backup(&volume, attempt, taken))
    }
}
