//! Compare-and-set of a cluster's claim record, and what the record is afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, SlotName, VolumeName};
use crate::observed::{Claim, ClaimRecord, Ending, Rehearsed, Remains, Way};
use crate::time::{Timestamp, elapsed};

/// Number of generations whose rehearsals are remembered.
const REMEMBERED: usize = 8;

/// The time for which an instance that was left stopped is remembered: a week, as long as anybody may take to mend what
/// keeps it from being started.
const REMEMBERED_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A compare-and-set of a cluster's claim record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClaimEffect {
    /// Claim a slot, or claim it anew with a further attempt.
    Claim { claim: Claim, expects: u64 },
    /// Say in the claim that an instance is about to be stopped.
    MarkStop { instance: InstanceId, expects: u64 },
    /// Say in the claim that its replacement is being turned to another way. From now on nothing is begun that is right on one
    /// way alone.
    Turn { to: Way, expects: u64 },
    /// Say in the claim that it goes that way: what was sent on the other one has arrived, or never will.
    Turned { expects: u64 },
    /// Give the slot up: it is settled again.
    Release {
        /// The revision that is replaced.
        expects: u64,
        /// Slots known to be initialised.
        initialised: BTreeSet<SlotName>,
        /// The instances that were stopped under the claim, and that nobody has started again.
        stopped: BTreeSet<InstanceId>,
        /// The replacement was taken back, or dropped while a launch may have been on its way.
        taken_back: bool,
    },
    /// Count a try to create a volume that came to nothing.
    CreateAgain {
        slot: SlotName,
        name: VolumeName,
        /// The digest of what was asked for.
        request: String,
        why: String,
        expects: u64,
    },
    /// Let the cluster be no more: from now on nothing else is done to it, and a claim falls.
    End { ending: Ending, expects: u64 },
    /// Take that back.
    Revive { expects: u64 },
    /// Write down what a rehearsal came to, in place of an earlier one of the same generation.
    Rehearsed { rehearsed: Rehearsed, expects: u64 },
}

impl ClaimEffect {
    /// The revision that the record must have for this effect to apply.
    pub fn expects(&self) -> u64 {
        match self {
            Self::Claim { expects, .. }
            | Self::MarkStop { expects, .. }
            | Self::Turn { expects, .. }
            | Self::Turned { expects }
            | Self::Release { expects, .. }
            | Self::CreateAgain { expects, .. }
            | Self::End { expects, .. }
            | Self::Revive { expects }
            | Self::Rehearsed { expects, .. } => *expects,
        }
    }

    /// The record after this effect at `now`. Every `Coordination` writes just this.
    pub fn apply(&self, record: &ClaimRecord, now: Timestamp) -> ClaimRecord {
        let mut next = ClaimRecord { revision: record.revision + 1, ..record.clone() };
        match self {
            Self::Claim { claim, .. } => {
                next.last_attempt = next.last_attempt.max(claim.attempt);
                next.held = Some(claim.clone());
            }
            Self::MarkStop { instance, .. } => {
                if let Some(claim) = &mut next.held {
                    claim.stops.insert(instance.clone());
                }
            }
            Self::Turn { to, .. } => {
                if let Some(claim) = &mut next.held {
                    (claim.way, claim.turning) = (*to, true);
                }
            }
            Self::Turned { .. } => {
                if let Some(claim) = &mut next.held {
                    claim.turning = false;
                }
            }
            Self::Release { initialised, stopped, taken_back, .. } => {
                next.held = None;
                next.stopped.retain(|_, since| elapsed(now, *since) < REMEMBERED_FOR);
                next.stopped.extend(stopped.iter().map(|instance| (instance.clone(), now)));
                next.initialised.extend(initialised.iter().cloned());
                if *taken_back {
                    next.taken_back_at = Some(now);
                }
            }
            Self::CreateAgain { slot, name, request, why, .. } => {
                let failed = next.creations.entry(ClaimRecord::creation_key(slot, name)).or_default();
                let is_another = failed.request != *request;
                failed.number += 1;
                failed.in_a_row = if is_another { 1 } else { failed.in_a_row + 1 };
                (failed.at, failed.request, failed.why) = (now, request.clone(), why.clone());
            }
            Self::End { ending, .. } => {
                if next.held.take().is_some() {
                    next.taken_back_at = Some(now); // a launch may be on its way
                }
                next.last_attempt = next.last_attempt.max(ending.attempt);
                next.ending = Some(ending.clone());
            }
            Self::Revive { .. } => {
                let kept = next.ending.take().is_none_or(|ending| ending.remains == Remains::Volumes);
                if !kept {
                    next.initialised.clear(); // there is no data that a blank volume could stand in for
                    next.rebuilt += 1; // EC2 would answer the same requests with what it made before
                }
            }
            Self::Rehearsed { rehearsed, .. } => {
                next.rehearsed.retain(|earlier| earlier.generation != rehearsed.generation);
                next.rehearsed.push(rehearsed.clone());
                let forgotten = next.rehearsed.len().saturating_sub(REMEMBERED);
                next.rehearsed.drain(..forgotten);
            }
        }
        next
    }
}
