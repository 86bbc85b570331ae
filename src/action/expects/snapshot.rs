//! Conditions of a snapshot.

use crate::ids::SnapshotId;

use super::super::facts::SnapshotFacts;
use super::condition::{Difference, Mismatch, Ours};

/// Something that a snapshot is or is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SnapshotCondition<'e> {
    /// Not shown, which for a snapshot means deleted: EC2 lists the snapshots of an account as soon as they are begun.
    IsGone,
    /// Bears our tags.
    IsOurs(Ours<'e>),
    /// Taken to begin a throw-away copy with. Every other snapshot is somebody's way back.
    IsCopy,
}

impl SnapshotCondition<'_> {
    /// Holds the condition against a snapshot, where there is one.
    pub(super) fn compare(&self, id: &SnapshotId, seen: Option<&SnapshotFacts>) -> Result<(), Mismatch> {
        let seen = match (self, seen) {
            (Self::IsGone, None) => return Ok(()),
            (_, None) => return Err(Mismatch::NotShown(id.to_string())),
            (_, Some(seen)) => seen,
        };
        match self {
            Self::IsOurs(ours) => Ok(ours.compare(id, seen.cluster.as_ref(), seen.owner.as_ref(), None)?),
            Self::IsCopy if seen.copy_of.is_some() => Ok(()),
            Self::IsCopy => Err(Difference::new(format!("{id} to bear hermitcrab:copy-of"), "no such tag").into()),
            Self::IsGone => Err(Difference::new(format!("{id} deleted"), "there").into()),
        }
    }
}
