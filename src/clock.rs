//! The machine's clock, as the controller is shown it.
#![allow(clippy::disallowed_methods)] // the one place where real time comes in; everything else asks ports::Clock

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::ports::Clock;
use crate::time::{Timestamp, after};

/// The wall clock, made to go forward only: a decision must not look younger than it is because somebody set the time.
/// A wall clock that is ahead (it was set forward, or this process's machine was suspended) is followed.
#[derive(Clone, Debug)]
pub struct SystemClock {
    started: (Instant, Timestamp),
    latest: Cell<Timestamp>,
}

impl SystemClock {
    /// Starts a clock that shows the time.
    pub fn start() -> Self {
        let now = Timestamp::now();
        Self { started: (Instant::now(), now), latest: Cell::new(now) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let (instant, then) = self.started;
        let now = latest(self.latest.get(), after(then, instant.elapsed()), Timestamp::now());
        self.latest.set(now);
        now
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Picks the time to show: the steady time since the start, or the wall clock where that is ahead, and never an earlier time
/// than before.
fn latest(shown: Timestamp, steady: Timestamp, wall: Timestamp) -> Timestamp {
    shown.max(steady).max(wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_wall_clock_that_is_set_back_stops_nothing() {
        assert_eq!(latest(at(100), at(105), at(40)), at(105));
    }

    #[test]
    fn a_wall_clock_that_is_ahead_is_followed_and_never_left_again() {
        let shown = latest(at(100), at(101), at(160));
        assert_eq!(shown, at(160));
        assert_eq!(latest(shown, at(102), at(102)), at(160));
    }
}
