//! The machine's clock, as the controller is shown it.
#![allow(clippy::disallowed_methods)] // the one place where real time comes in; everything else asks ports::Clock

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::ports::{Clock, SET_BACK};
use crate::time::{Timestamp, after, elapsed};

/// The wall clock, made to go forward only, and always to go: a decision must not look younger than it is because somebody
/// set the time. A wall clock that is ahead (somebody set it forward, or this machine was suspended) is followed, and time
/// goes on from there at its steady pace, also when the wall clock is set back. A process that was shown a time far ahead cannot tell
/// the age of anything any more, and says so ([`Clock::set_back`]).
#[derive(Clone, Debug)]
pub struct SystemClock {
    anchor: Cell<(Instant, Timestamp)>,
}

impl SystemClock {
    /// Starts a clock that shows the time.
    pub fn start() -> Self {
        Self { anchor: Cell::new((Instant::now(), Timestamp::now())) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let (anchored, shown) = self.anchor.get();
        let instant = Instant::now();
        let now = next(shown, instant.duration_since(anchored), Timestamp::now());
        self.anchor.set((instant, now));
        now
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn set_back(&self) -> Option<Duration> {
        behind(self.now(), Timestamp::now())
    }
}

/// Picks the time to show, so long after another was shown: the steady time, or the wall clock where that is ahead.
fn next(shown: Timestamp, passed: Duration, wall: Timestamp) -> Timestamp {
    after(shown, passed).max(wall)
}

/// Tells how far the wall clock lies behind the time that is shown, if that is too far.
fn behind(shown: Timestamp, wall: Timestamp) -> Option<Duration> {
    Some(elapsed(shown, wall)).filter(|behind| *behind > SET_BACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_wall_clock_that_is_set_back_stops_nothing() {
        assert_eq!(next(at(100), 5 * SECOND, at(40)), at(105));
    }

    #[test]
    fn a_wall_clock_that_jumps_ahead_and_back_again_does_not_stop_the_clock() {
        let ahead = next(at(100), SECOND, at(3_700));
        assert_eq!(ahead, at(3_700), "a machine that was suspended looks just so");
        let back = next(ahead, SECOND, at(102));
        assert_eq!(back, at(3_701));
        assert_eq!(next(back, 30 * SECOND, at(132)), at(3_731), "an age is what has passed");
    }

    #[test]
    fn a_wall_clock_that_is_set_back_by_more_than_a_minute_is_told() {
        assert_eq!(behind(at(3_700), at(100)), Some(3_600 * SECOND));
        assert_eq!(behind(at(160), at(100)), None, "no limit is as short as that");
        assert_eq!(behind(at(100), at(3_700)), None, "a clock that is ahead is followed");
    }

    #[test]
    fn the_clock_goes_on_by_itself() {
        let clock = SystemClock::start();
        let began = clock.now();
        while clock.now() == began {}
        assert!(clock.now() > began);
    }
}
