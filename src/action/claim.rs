//! Compare-and-set of a cluster's claim record, and what the record is afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, SlotName, VolumeId, VolumeName};
use crate::observed::{Ahead, Claim, ClaimRecord, Ending, Rehearsed, Remains, Way};
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
    /// Say in the claim that an instance is about to be stopped, and which volume got stuck on its way to it, if that is why.
    MarkStop { instance: InstanceId, stuck: Option<VolumeId>, expects: u64 },
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
    /// Give the slot up, which is settled again, and claim another one in the same write.
    Move {
        /// The slot that is given up.
        from: SlotName,
        /// Slots known to be initialised.
        initialised: BTreeSet<SlotName>,
        /// The instances that were stopped under the claim, and that nobody has started again.
        stopped: BTreeSet<InstanceId>,
        /// The claim that takes its place.
        claim: Box<Claim>,
        /// The revision that is replaced.
        expects: u64,
    },
    /// Announce a launch for a slot that is not claimed yet.
    Announce { ahead: Ahead, expects: u64 },
    /// Say that the launch that was announced is wanted no more.
    LetGo { expects: u64 },
    /// Forget the launch that was announced: nothing is left of it.
    Forget { expects: u64 },
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
            | Self::Move { expects, .. }
            | Self::Announce { expects, .. }
            | Self::LetGo { expects }
            | Self::Forget { expects }
            | Self::CreateAgain { expects, .. }
            | Self::End { expects, .. }
            | Self::Revive { expects }
            | Self::Rehearsed { expects, .. } => *expects,
        }
    }

    /// The claim that is written, if one is.
    pub fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Claim { claim, .. } => Some(claim),
            Self::Move { claim, .. } => Some(claim),
            _ => None,
        }
    }

    /// The record after this effect at `now`. Every `Coordination` writes just this.
    pub fn apply(&self, record: &ClaimRecord, now: Timestamp) -> ClaimRecord {
        let mut next = ClaimRecord { revision: record.revision + 1, ..record.clone() };
        match self {
            Self::Claim { claim, .. } => hold(&mut next, claim),
            Self::MarkStop { instance, stuck, .. } => {
                if let Some(claim) = &mut next.held {
                    claim.stops.insert(instance.clone());
                    claim.stuck = stuck.clone().or(claim.stuck.take());
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
                release(&mut next, initialised, stopped, now);
                if *taken_back {
                    next.taken_back_at = Some(now);
                }
            }
            Self::Move { initialised, stopped, claim, .. } => {
                release(&mut next, initialised, stopped, now);
                hold(&mut next, claim);
            }
            Self::Announce { ahead, .. } => {
                next.last_attempt = next.last_attempt.max(ahead.attempt);
                next.ahead = Some(ahead.clone());
            }
            Self::LetGo { .. } => {
                if let Some(ahead) = &mut next.ahead {
                    ahead.let_go = true;
                }
            }
            Self::Forget { .. } => next.ahead = None,
            Self::CreateAgain { slot, name, request, why, .. } => {
                let failed = next.creations.entry(ClaimRecord::creation_key(slot, name)).or_default();
                let is_another = failed.request != *request;
                failed.number += 1;
                failed.in_a_row = if is_another { 1 } else { failed.in_a_row + 1 };
                (failed.at, failed.request, failed.why) = (now, request.clone(), why.clone());
            }
            Self::End { ending, .. } => {
                let fell = (next.held.take(), next.ahead.take());
                if fell != (None, None) {
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

fn hold(record: &mut ClaimRecord, claim: &Claim) {
    record.last_attempt = record.last_attempt.max(claim.attempt);
    record.ahead.take_if(|ahead| ahead.is_taken_over_by(claim));
    record.held = Some(claim.clone());
}

fn release(record: &mut ClaimRecord, initialised: &BTreeSet<SlotName>, stopped: &BTreeSet<InstanceId>, now: Timestamp) {
    record.held = None;
    record.stopped.retain(|_, since| elapsed(now, *since) < REMEMBERED_FOR);
    record.stopped.extend(stopped.iter().map(|instance| (instance.clone(), now)));
    record.initialised.extend(initialised.iter().cloned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Attempt;
    use crate::observed::Purpose;

    fn announced() -> ClaimRecord {
        let (slot, attempt, generation, image) = ("consul-c".into(), Attempt(5), "v1-0".into(), "ami-0".into());
        let ahead = Ahead { slot, attempt, generation, image, request: "0123".to_owned(), let_go: false };
        ClaimEffect::Announce { ahead, expects: 0 }.apply(&ClaimRecord::default(), Timestamp::UNIX_EPOCH)
    }

    fn claim(slot: &str, attempt: u32) -> ClaimEffect {
        let claim = serde_json::json!({
            "slot": slot, "attempt": attempt, "tries": 0, "old": "i-c", "member": null, "generation": "v1-0",
            "image": "ami-0", "since": "2026-01-05T12:00:00Z",
        });
        ClaimEffect::Claim { claim: serde_json::from_value(claim).unwrap(), expects: 1 }
    }

    #[test]
    fn a_launch_ahead_is_somebodys_until_its_own_claim_takes_it_over() {
        assert_eq!(announced().last_attempt, Attempt(5), "no other launch gets its number");
        let after = |effect: ClaimEffect| effect.apply(&announced(), Timestamp::UNIX_EPOCH);
        let release = |taken_back| ClaimEffect::Release {
            expects: 1,
            initialised: BTreeSet::new(),
            stopped: BTreeSet::new(),
            taken_back,
        };
        for (effect, stays) in [
            (claim("consul-c", 5), false),
            (claim("consul-c", 6), true),
            (claim("consul-a", 5), true),
            (release(false), true),
            (release(true), true),
            (ClaimEffect::LetGo { expects: 1 }, true),
            (ClaimEffect::Forget { expects: 1 }, false),
        ] {
            assert_eq!(after(effect.clone()).ahead.is_some(), stays, "{effect:?}");
        }
        let claimed = after(claim("consul-c", 5)).held.unwrap();
        assert_eq!((claimed.purpose, claimed.attempt), (Purpose::of(Some("i-c".into())), Attempt(5)));
    }

    /// The end of a cluster waits until a launch that was on its way can no longer arrive.
    #[test]
    fn a_launch_ahead_falls_with_its_cluster() {
        let now = Timestamp::UNIX_EPOCH;
        let ending = Ending { since: now, attempt: Attempt(6), remains: Remains::Volumes };
        let end = |record: &ClaimRecord| ClaimEffect::End { ending: ending.clone(), expects: 1 }.apply(record, now);
        let ended = end(&announced());
        assert_eq!((ended.ahead, ended.taken_back_at), (None, Some(now)));
        assert_eq!(end(&ClaimRecord::default()).taken_back_at, None);
    }
}
