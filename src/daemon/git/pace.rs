//! The pauses between two looks at a source: nothing here waits.

use std::time::Duration;

/// The shortest pause after an attempt.
const LEAST: Duration = Duration::from_secs(1);
/// The pause after an attempt before somebody's wish for another one is fulfilled: many calls of a webhook are one fetch.
pub const AFTER_WISH: Duration = Duration::from_secs(5);
/// The longest pause after attempts that failed, unless the interval itself is longer.
const MOST: Duration = Duration::from_secs(15 * 60);

/// The pause before the next attempt, after so many that failed in a row. Chance, from 0 to 1, moves it by a fifth at the most, so
/// that many controllers do not ask one server at the same moment.
pub fn pause(interval: Duration, failures: u32, chance: f64) -> Duration {
    let doubled = interval.saturating_mul(1 << failures.min(16)).min(MOST.max(interval));
    doubled.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0)).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_make_the_pause_longer_up_to_a_bound() {
        let minute = Duration::from_secs(60);
        let pauses: Vec<_> = (0..7).map(|failures| pause(minute, failures, 0.5).as_secs()).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(pause(2 * MOST, 9, 0.5), 2 * MOST, "an interval that is longer stays");
        assert_eq!(pause(Duration::ZERO, 0, 0.5), LEAST);
    }

    #[test]
    fn chance_moves_a_pause_by_a_fifth() {
        let minute = Duration::from_secs(60);
        assert_eq!((pause(minute, 0, 0.0).as_secs(), pause(minute, 0, 1.0).as_secs()), (48, 72));
    }
}
