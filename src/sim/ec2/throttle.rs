//! EC2's request buckets (reference/reliability.md 2.7), shared with everybody else in the account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::CloudEffect;
use crate::ports::ErrorKind;
use crate::sim::time::Millis;
use crate::sim::words::Refusal;

/// All request buckets of the account in the region.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Buckets {
    levels: BTreeMap<Bucket, Level>,
    /// Others in the account use them up until then.
    pub noisy_until: Millis,
}

/// A bucket, and so the calls that share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Bucket {
    Describe,
    Change,
    RunInstances,
    TerminateInstances,
    CreateTags,
    CreateVolume,
    AutoScaling,
}

/// The content of a bucket, in thousandths of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Level {
    left: u64,
    at: Millis,
}

impl Bucket {
    /// Finds the bucket of a call.
    pub fn of(effect: &CloudEffect) -> Self {
        match effect {
            CloudEffect::Launch(_) | CloudEffect::Start { .. } => Self::RunInstances,
            CloudEffect::Terminate { .. } => Self::TerminateInstances,
            CloudEffect::CreateVolume(_) | CloudEffect::Snapshot { .. } | CloudEffect::CopyVolume { .. } => {
                Self::CreateVolume
            }
            CloudEffect::Stop { .. }
            | CloudEffect::Detach { .. }
            | CloudEffect::Attach { .. }
            | CloudEffect::Grow { .. }
            | CloudEffect::AssignAddress { .. }
            | CloudEffect::DeleteVolume { .. }
            | CloudEffect::DeleteSnapshot { .. } => Self::Change,
            CloudEffect::Retire { .. }
            | CloudEffect::Reject { .. }
            | CloudEffect::Forgive { .. }
            | CloudEffect::Settle { .. }
            | CloudEffect::RecordSlots { .. }
            | CloudEffect::Tag { .. }
            | CloudEffect::Recruit(_) => Self::CreateTags,
            CloudEffect::Group { .. } => Self::AutoScaling,
        }
    }

    /// Gives the capacity, and the refill a second.
    fn size(self) -> (u64, u64) {
        match self {
            Self::Describe => (100, 20),
            Self::Change => (50, 5),
            Self::RunInstances => (5, 2),
            Self::TerminateInstances | Self::CreateVolume => (100, 5),
            Self::CreateTags => (100, 10),
            Self::AutoScaling => (50, 5), // not published; Auto Scaling has buckets of its own
        }
    }
}

impl Buckets {
    /// Takes requests from a bucket. A noisy neighbour leaves a tenth of the refill.
    pub fn take(&mut self, now: Millis, bucket: Bucket, requests: u64) -> Result<(), Refusal> {
        let (capacity, refill) = bucket.size();
        let noisy = now < self.noisy_until;
        let level = self.levels.entry(bucket).or_insert(Level { left: capacity * 1_000, at: now });
        let (refill, capacity) = if noisy { (refill / 10, capacity / 10) } else { (refill, capacity) };
        level.left =
            level.left.saturating_add(now.saturating_sub(level.at).saturating_mul(refill)).min(capacity * 1_000);
        level.at = now;
        if level.left < requests.min(capacity) * 1_000 || capacity == 0 {
            return Err(Refusal::new(ErrorKind::Throttled, "RequestLimitExceeded: Request limit exceeded."));
        }
        level.left -= requests.min(capacity) * 1_000;
        Ok(())
    }
}
