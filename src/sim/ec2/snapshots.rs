//! EBS snapshots: they hold what their volume held at the moment of the call.

use super::happened::{Due, Span};
use super::records::Disk;
use super::region::{Fresh, Region};
use crate::ids::{ClusterName, SnapshotId, VolumeId};
use crate::observed::{Snapshot, SnapshotPurpose, SnapshotState};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::time::Millis;
use crate::sim::words::Refusal;

/// A snapshot of a small volume is completed after a minute and a half.
const SNAPSHOT_TAKES: Millis = 90_000;

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
        self.begins(Due::Snapshot(cluster.clone(), id.clone()), Span::Exactly(SNAPSHOT_TAKES));
        self.changed(cluster);
        Ok(Outcome::Snapshotted(id))
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

    /// Finds the volume as it was when the snapshot was taken.
    pub(super) fn saved(&self, id: &SnapshotId) -> Result<&Disk, Refusal> {
        self.snapshots.get(id).ok_or_else(missing)
    }
}

fn missing() -> Refusal {
    Refusal::new(ErrorKind::NotFound, "InvalidSnapshot.NotFound")
}
