//! Notes of what AWS remembers of its resources and the simulated world has no place for.

use std::collections::BTreeMap;

use crate::ids::{InstanceId, SnapshotId, VolumeId};
use crate::sim::time::instant;
use crate::time::Timestamp;

/// Everything that is remembered beside the world. None of it matters to the world.
#[derive(Debug, Default)]
pub struct Notes {
    /// The number of requests so far.
    pub requests: u64,
    /// Tags by the ids of volumes, snapshots, instances and network interfaces: those that the world does not keep.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// Digests of whole requests by call, zone and client token.
    pub tokens: BTreeMap<String, String>,
    /// Client tokens of launches.
    pub launched_by: BTreeMap<InstanceId, String>,
    pub volumes: BTreeMap<VolumeId, Made>,
}

/// The origin of a volume.
#[derive(Clone, Debug)]
pub struct Made {
    pub snapshot: Option<SnapshotId>,
    /// The time at which it was made; the beginning of the world where it was there then.
    pub at: Timestamp,
}

impl Default for Made {
    fn default() -> Self {
        Self { snapshot: None, at: instant(0) }
    }
}

impl Notes {
    /// Gives the tags of a resource that the world does not keep.
    pub fn tags_of(&self, id: &str) -> BTreeMap<String, String> {
        self.tags.get(id).cloned().unwrap_or_default()
    }
}
