//! The pause before the next pass: longer and longer after failures, with jitter, and else until there may be something to see.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::ids::ClusterName;
use crate::plan::{Awaited, Hazard, Hazards, Plan};
use crate::ports::{ErrorKind, Outcome, PortError};
use crate::time::{Timestamp, elapsed};

/// The pause while a change of state is under way.
const WATCHING: Duration = Duration::from_secs(1);
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

    /// The pause until there may be something new to see.
    pub(super) fn until_next_look(&mut self, plan: &Plan, now: Timestamp) -> Duration {
        match plan {
            Plan::Settled | Plan::Stalled(_) => RESTING,
            Plan::Act(..) => WATCHING,
            Plan::Wait(waiting) => match &waiting.what {
                Awaited::Bake { until } | Awaited::Steady { until } => elapsed(*until, now).min(BLOCKED).max(MOMENT),
                Awaited::NextLaunch { .. } => RESTING,
                _ => WATCHING,
            },
            Plan::Blocked(hazards) => blocked(hazards, now),
        }
    }
}

/// The shortest pause: an instant that has just been reached is looked at right after it.
const MOMENT: Duration = Duration::from_millis(50);

fn blocked(hazards: &Hazards, now: Timestamp) -> Duration {
    let clears = hazards.hazards.iter().filter_map(|hazard| match hazard {
        Hazard::Unstable { until: Some(until), .. } | Hazard::RollbackCooldown { until } => Some(elapsed(*until, now)),
        Hazard::Unread { .. } | Hazard::StaleObservation { .. } | Hazard::NotUnderstood { .. } => Some(WATCHING),
        _ => None,
    });
    clears.max().map_or(BLOCKED, |pause| pause.clamp(MOMENT, BLOCKED))
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
