//! Instants and spans, and how a person reads them. Nothing here looks at a clock.

use std::fmt;
use std::time::Duration;

pub use jiff::Timestamp;

/// How long ago `then` was at `now`; zero if it is still to come.
pub fn elapsed(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

/// The instant `span` after `then`, or the end of time where that cannot be said.
pub fn after(then: Timestamp, span: Duration) -> Timestamp {
    then.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// The instant `span` before `then`, or the beginning of time where that cannot be said.
pub fn before(then: Timestamp, span: Duration) -> Timestamp {
    then.checked_sub(span).unwrap_or(Timestamp::MIN)
}

/// An instant to the second, as fractions tell a person nothing: `2026-01-05T09:00:20Z`.
pub fn clock(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A span as a person writes it: `45s`, `2m 5s`, `1h 30m`, `3d 4h`. Parts of a second are rounded.
#[derive(Clone, Copy, Debug)]
pub struct Human(pub Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let total = self.0.as_secs() + u64::from(self.0.subsec_millis() >= 500);
        let Some(first) = UNITS.iter().position(|(size, _)| total >= *size) else {
            return f.pad("0s");
        };
        let (size, unit) = UNITS[first];
        let text = match UNITS.get(first + 1) {
            Some((smaller, name)) if total % size / smaller > 0 => {
                format!("{}{unit} {}{name}", total / size, total % size / smaller)
            }
            _ => format!("{}{unit}", total / size),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_in_its_two_largest_units() {
        let read = |seconds| Human(Duration::from_secs(seconds)).to_string();
        assert_eq!(read(0), "0s");
        assert_eq!(read(59), "59s");
        assert_eq!(read(125), "2m 5s");
        assert_eq!(read(3_600), "1h");
        assert_eq!(read(3_661), "1h 1m");
        assert_eq!(read(273_600), "3d 4h");
    }

    #[test]
    fn what_lies_ahead_is_not_long_ago() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(elapsed(now, after(now, Duration::from_secs(5))), Duration::ZERO);
        assert_eq!(elapsed(after(now, Duration::from_secs(5)), now), Duration::from_secs(5));
    }
}
