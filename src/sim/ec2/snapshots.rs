//! EBS snapshots: they hold what their volume held at the moment of the call.

use std::time::Duration;

use super::happened::{Due, Span};
use super::records::Disk;
use super::region::{Fresh, Region};
use crate::ids::{ClusterName, SnapshotId, VolumeId};
use crate::observed::{Snapshot, SnapshotPurpose, SnapshotState};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::time::Millis;
use crate::sim::words::Refusal;
use crate::time::{Timestamp, elapsed};

/// A snapshot is completed after a minute and a half, if it has little to copy.
const AT_LEAST: Millis = 90_000;
/// The size up to which a volume has little in it.
const SMALL_GIB: Millis = 20;
/// The time that the first copy of one further GiB takes, at some 170 MiB/s. EBS promises nothing.
const A_GIB: Millis = 6_000;
/// The time that EC2 wants between two snapshots of a volume.
const APART: Millis = 15_000;

impl Region {
    /// `CreateSnapshot`; EC2 has no token for it. A volume may be in use, and its snapshot holds what was written so far.
    pub(super) fn create_snapshot(
        &mut self,
        cluster: &ClusterName,
        volume: &VolumeId,
        purpose: SnapshotPurpose,
        fresh: Fresh,
    ) -> Result<Outcome, Refusal> {
        let saved = self.disk(volume)?.clone();
        self.refuse_further_snapshot(&saved)?;
        let takes = if self.was_copied(volume) { AT_LEAST } else { first_copy(saved.seen.size_gib) };
        let id = SnapshotId::from(fresh("snap"));
        let snapshot = Snapshot {
            id: id.clone(),
            volume: volume.clone(),
            purpose,
            owner: saved.seen.owner.clone(),
            begun: Some(self.timestamp()),
            size_gib: saved.seen.size_gib,
            state: SnapshotState::Pending,
        };
        self.snapshots.insert(id.clone(), saved);
        if let Some(holdings) = self.clusters.get_mut(cluster) {
            holdings.snapshots.push(snapshot);
        }
        self.begins(Due::Snapshot(cluster.clone(), id.clone()), Span::Exactly(takes));
        self.changed(cluster);
        Ok(Outcome::Snapshotted(id))
    }

    /// Says whether EBS has a copy of a volume: a further snapshot copies only what has changed.
    fn was_copied(&self, volume: &VolumeId) -> bool {
        self.snapshots_of(volume).any(|snapshot| snapshot.state != SnapshotState::Failed)
    }

    /// Refuses a snapshot where too many of the volume are under way, whoever's they are, or where the last one was just begun.
    fn refuse_further_snapshot(&self, disk: &Disk) -> Result<(), Refusal> {
        let pending = self.snapshots_of(&disk.seen.id).filter(|snapshot| snapshot.state == SnapshotState::Pending);
        if pending.count() >= most_pending(disk) {
            return Err(Refusal::new(ErrorKind::Throttled, "ConcurrentSnapshotLimitExceeded"));
        }
        let apart = Duration::from_millis(APART);
        let is_recent = |begun: Timestamp| elapsed(self.timestamp(), begun) < apart;
        match self.snapshots_of(&disk.seen.id).filter_map(|snapshot| snapshot.begun).any(is_recent) {
            true => Err(Refusal::new(ErrorKind::Throttled, "SnapshotCreationPerVolumeRateExceeded")),
            false => Ok(()),
        }
    }

    fn snapshots_of(&self, volume: &VolumeId) -> impl Iterator<Item = &Snapshot> {
        let all = self.clusters.values().flat_map(|holdings| &holdings.snapshots);
        all.filter(move |snapshot| snapshot.volume == *volume)
    }

    /// Completes a snapshot.
    pub(super) fn snapshot_completes(&mut self, name: &ClusterName, id: &SnapshotId) {
        let state = if self.troubles.snapshots_fail { SnapshotState::Failed } else { SnapshotState::Completed };
        let snapshots = self.clusters.get_mut(name).into_iter().flat_map(|holdings| &mut holdings.snapshots);
        snapshots.filter(|snapshot| snapshot.id == *id).for_each(|snapshot| snapshot.state = state);
        self.changed(name);
    }

    /// `DeleteSnapshot`.
    pub(super) fn delete_snapshot(&mut self, id: &SnapshotId) -> Result<Outcome, Refusal> {
        let (name, holdings) = self
            .clusters
            .iter_mut()
            .find(|(_, holdings)| holdings.snapshots.iter().any(|snapshot| snapshot.id == *id))
            .ok_or_else(missing)?;
        holdings.snapshots.retain(|snapshot| snapshot.id != *id);
        self.snapshots.remove(id);
        let name = name.clone();
        self.changed(&name);
        Ok(Outcome::Done)
    }

    /// Lists a cluster's snapshots, each with its volume as it was when the snapshot was taken.
    pub fn saved_of(&self, name: &ClusterName) -> impl Iterator<Item = (&SnapshotId, &Disk)> {
        let snapshots = self.clusters.get(name).into_iter().flat_map(|holdings| &holdings.snapshots);
        snapshots.filter_map(|snapshot| Some((&snapshot.id, self.snapshots.get(&snapshot.id)?)))
    }

    /// Finds the volume as it was when the snapshot was taken.
    pub(super) fn saved(&self, id: &SnapshotId) -> Result<&Disk, Refusal> {
        self.snapshots.get(id).ok_or_else(missing)
    }
}

/// Says how long the first copy of a volume takes.
fn first_copy(size_gib: u32) -> Millis {
    AT_LEAST + Millis::from(size_gib).saturating_sub(SMALL_GIB) * A_GIB
}

/// Says how many snapshots of a volume EBS takes at once, by its type (`Concurrent snapshots per …` among the quotas of EBS).
fn most_pending(disk: &Disk) -> usize {
    let volume_type = disk.seen.ebs.as_ref().map(|ebs| &*ebs.volume_type);
    if matches!(volume_type, Some("st1" | "sc1")) { 1 } else { 5 }
}

fn missing() -> Refusal {
    Refusal::new(ErrorKind::NotFound, "InvalidSnapshot.NotFound")
}
