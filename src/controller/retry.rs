//! The pause before the next pass: longer and longer after failures, with jitter, and else until there may be something to see.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::ids::ClusterName;
use crate::plan::{Awaited, Hazard, Hazards, Plan, Stall};
use crate::ports::{ErrorKind, Outcome, PortError};
use crate::time::{Timestamp, elapsed};

/// The pause while a change of state is under way.
const WATCHING: Duration = Duration::from_secs(1);
/// The pause while a member is down until EC2 has done its part, or the whole rollout waits for it. With the time that EC2 takes to
/// answer, that is two looks a second: a tenth of its limit gives three in two seconds for good, and the rest for a quarter of a minute.
const OFTEN: Duration = Duration::from_millis(200);
/// The pause while EC2 does what it usually does within seconds. What the limit has saved up lasts for as long.
const SOON: Duration = Duration::from_millis(50);
/// The time after which something that usually takes seconds is no longer expected at every moment.
const SECONDS: Duration = Duration::from_secs(15);
/// The time that an instance takes to stop at least, as a rule.
const SHUTTING_DOWN: Duration = Duration::from_secs(9);
/// The time from its launch on that an instance takes to pass its status checks at least, as a rule.
const STARTING_UP: Duration = Duration::from_secs(30);
/// The pause meanwhile. What is saved of EC2's limits is spent on the volumes, which a member waits for afterwards.
const NOT_YET: Duration = Duration::from_millis(2_500);
/// The pause while only members are waited for: they are asked without a call to EC2.
const ASKING: Duration = Duration::from_millis(100);
/// The time after which a member that is to come back is asked after as seldom as EC2 is.
const SLOW: Duration = Duration::from_secs(120);
/// The time before an instant that is waited for at which EC2 is looked at once more, so that the members alone have to be
/// asked when it has come. Less than the age at which a look is no longer shared.
const AHEAD: Duration = Duration::from_millis(700);
/// The part of the time waited so far after which a snapshot is looked at again: it takes minutes or hours, and nobody is down.
const A_THIRTIETH: u32 = 30;
/// The pause of a blocked cluster.
const BLOCKED: Duration = Duration::from_secs(5);
/// The pause of a settled cluster, and of one that needs a person.
const RESTING: Duration = Duration::from_secs(30);
/// The longest pause after failures that pass by themselves.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest such pause while a replacement is under way: a member may be down, and nobody is spared by waiting.
const LONGEST_WHEN_BUSY: Duration = Duration::from_secs(5);

/// The number of answers in a row that say that the world has moved, before it is looked at less often.
const QUICK: u32 = 10;

/// The number of times that an action may be carried out within minutes before anybody wonders.
const TWICE: u32 = 2;

pub(super) struct Backoff {
    seed: u64,
    pauses: ExponentialBackoff,
}

impl Backoff {
    /// Gives a cluster jitter of its own, so that clusters do not come back together.
    pub(super) fn new(seed: u64, cluster: &ClusterName) -> Self {
        let seed = cluster.bytes().fold(seed, |seed, byte| seed.rotate_left(5) ^ u64::from(byte));
        Self { seed, pauses: pauses(seed) }
    }

    pub(super) fn reset(&mut self) {
        self.seed = self.seed.wrapping_add(1);
        self.pauses = pauses(self.seed);
    }

    /// The pause after an action: none if it took effect, because then there is something new to see. An action that has
    /// had this answer several `times` in a row has come to nothing so far. If it `is_named`, the planner says so next, and
    /// does not try it again until it is time.
    pub(super) fn after(&mut self, outcome: &Result<Outcome, PortError>, times: u32, is_named: bool) -> Duration {
        if is_named {
            return MOMENT;
        }
        if outcome.is_ok() && times <= QUICK {
            self.reset();
        }
        match outcome {
            Ok(Outcome::AlreadySo | Outcome::Changed { .. }) if times <= QUICK => WATCHING,
            Ok(_) if times <= TWICE => Duration::ZERO,
            Ok(_) => self.pauses.next().unwrap_or(LONGEST).clamp(WATCHING, LONGEST_WHEN_BUSY),
            Err(error) => self.after_refusal(error.kind),
        }
    }

    /// The pause after a look that failed.
    pub(super) fn after_failed_look(&mut self, busy: bool) -> Duration {
        let longest = if busy { LONGEST_WHEN_BUSY } else { LONGEST };
        self.pauses.next().unwrap_or(LONGEST).min(longest)
    }

    fn after_refusal(&mut self, kind: ErrorKind) -> Duration {
        let pause = self.pauses.next().unwrap_or(LONGEST);
        match kind {
            ErrorKind::Throttled => pause,
            ErrorKind::NotFound | ErrorKind::Unreachable | ErrorKind::TokenSpent => pause.min(LONGEST_WHEN_BUSY),
            ErrorKind::NoCapacity => pause.max(LONGEST),
            // An unknown code holds the cluster: the planner says so from now on.
            ErrorKind::Unknown => MOMENT,
            // A launch may be valid in a moment.
            ErrorKind::Denied | ErrorKind::Invalid => pause.min(LONGEST_WHEN_BUSY),
        }
    }

    /// The pause until there may be something new to see. Whatever is waited for began with our last write, or before: EC2 says since
    /// when a volume is attached, and not since when it is on its way.
    pub(super) fn until_next_look(&mut self, plan: &Plan, now: Timestamp, wrote: Option<Timestamp>) -> Duration {
        match plan {
            // For how long nobody has led is known only if the members are asked again and again.
            Plan::Stalled(stalls) if matches!(stalls.stall, Stall::QuorumLost { .. }) => BLOCKED,
            Plan::Settled | Plan::Stalled(_) => RESTING,
            Plan::Act(..) => WATCHING,
            Plan::Wait(waiting) => match until(&waiting.what) {
                Some(until) => until_instant(elapsed(until, now)),
                None => {
                    let since_write = elapsed(now, wrote.unwrap_or(waiting.since));
                    while_awaited(&waiting.what, elapsed(now, waiting.since), since_write)
                }
            },
            Plan::Blocked(hazards) => blocked(hazards, now),
        }
    }
}

/// Shortens the pause after a call that is made before its time: whatever came of it keeps nothing else waiting, but for EC2's own
/// limits. A member may be down meanwhile.
pub(super) fn at_most_beside(outcome: &Result<Outcome, PortError>, pause: Duration) -> Duration {
    let is_throttled = matches!(outcome, Err(error) if error.kind == ErrorKind::Throttled);
    pause.min(if is_throttled { LONGEST_WHEN_BUSY } else { WATCHING })
}

/// The shortest pause: an instant that has just been reached is looked at right after it.
const MOMENT: Duration = Duration::from_millis(50);

/// Says whether a plan waits for members and for nothing of EC2's.
pub(super) fn is_for_members(plan: &Plan) -> bool {
    matches!(plan, Plan::Wait(waiting) if matches!(waiting.what, Awaited::PeersTold { .. } | Awaited::MemberBack { .. } | Awaited::Formation { .. }))
}

/// Says whether the next look is to show EC2 anew: a plan waits for EC2 to change, or for an instant for which the look before it has
/// to be a new one.
pub(super) fn wants_news_of_ec2(plan: &Plan, now: Timestamp) -> bool {
    match plan {
        Plan::Wait(waiting) => match until(&waiting.what) {
            Some(until) => elapsed(until, now) > AHEAD,
            None => !is_for_members(plan),
        },
        Plan::Settled | Plan::Act(..) | Plan::Blocked(_) | Plan::Stalled(_) => false,
    }
}

/// Finds the instant that is waited for, if it is one.
fn until(what: &Awaited) -> Option<Timestamp> {
    match what {
        Awaited::Bake { until }
        | Awaited::Steady { until }
        | Awaited::NothingElse { until }
        | Awaited::NoLateLaunch { until } => Some(*until),
        _ => None,
    }
}

/// The pause while something is waited for that has been awaited for so long. How long a volume has been on its way only the time of our
/// last write says: EC2 dates its attachment, and not its detachment.
fn while_awaited(what: &Awaited, waited: Duration, since_write: Duration) -> Duration {
    let (waited, often, expected) = match what {
        Awaited::PeersTold { .. } | Awaited::MemberBack { .. } | Awaited::Formation { .. } => (waited, ASKING, SLOW),
        Awaited::VolumeFree { .. } | Awaited::VolumeAttached { .. } | Awaited::VolumeCreated { .. } => {
            (waited.min(since_write), SOON, SECONDS)
        }
        Awaited::Stopped { .. } => return if waited < SHUTTING_DOWN { NOT_YET } else { OFTEN },
        Awaited::Checks { .. } => return if waited < STARTING_UP { NOT_YET } else { OFTEN },
        Awaited::VolumeSaved { .. } => return (waited / A_THIRTIETH).clamp(WATCHING, BLOCKED),
        _ => return WATCHING,
    };
    if waited < expected { often } else { WATCHING }
}

/// The pause until an instant, or until shortly before it.
fn until_instant(left: Duration) -> Duration {
    let before = left.saturating_sub(AHEAD);
    if before.is_zero() { left.max(MOMENT) } else { before.min(BLOCKED) }
}

fn blocked(hazards: &Hazards, now: Timestamp) -> Duration {
    let clears = hazards.hazards.iter().filter_map(|hazard| match hazard {
        Hazard::Unstable { until: Some(until), .. } | Hazard::RollbackCooldown { until } => {
            Some(until_instant(elapsed(*until, now)))
        }
        Hazard::Unread { .. } | Hazard::StaleObservation { .. } | Hazard::NotUnderstood { .. } => Some(WATCHING),
        _ => None,
    });
    clears.max().unwrap_or(BLOCKED)
}

fn pauses(seed: u64) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST / 2)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(seed)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_looked_for_often_from_the_call_on_that_moves_it() {
        let free = Awaited::VolumeFree { volume: "vol-a".into() };
        let (years, moment) = (Duration::from_secs(100_000_000), Duration::from_secs(2));
        assert_eq!(while_awaited(&free, years, moment), SOON, "its attachment is old, its detachment is not");
        assert_eq!(while_awaited(&free, years, years), WATCHING);
    }

    #[test]
    fn an_instance_that_stops_is_looked_at_seldom_until_it_may_have_stopped() {
        let stopped = Awaited::Stopped { instance: "i-a".into() };
        let pause = |waited| while_awaited(&stopped, Duration::from_secs(waited), Duration::ZERO);
        assert_eq!((pause(0), pause(8), pause(9)), (NOT_YET, NOT_YET, OFTEN));
    }

    #[test]
    fn a_launch_ahead_that_is_refused_keeps_nothing_else_waiting_but_for_the_limits_of_ec2() {
        let refused = |kind| Err(PortError::new("launch", kind, "refused"));
        assert_eq!(at_most_beside(&refused(ErrorKind::NoCapacity), LONGEST), WATCHING);
        assert_eq!(at_most_beside(&refused(ErrorKind::Throttled), LONGEST), LONGEST_WHEN_BUSY);
        assert_eq!(at_most_beside(&Ok(Outcome::Done), Duration::ZERO), Duration::ZERO);
    }
}
