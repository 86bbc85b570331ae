//! Change windows: the times at which a replacement may begin.
//!
//! A window opens at times of a wall clock, which is put forward and back. A time that the clock skips counts where it
//! goes on, and one that it shows twice counts both times: for a `deny` window the other choice would leave it open.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use serde::{Serialize, Serializer};

use crate::time::{Timestamp, after, before, elapsed};

mod schedule;

use schedule::Schedule;

/// A stretch of time that returns by a schedule.
#[derive(Clone, Debug)]
pub struct Window {
    pub kind: WindowKind,
    /// Five cron fields: minute, hour, day of month, month, day of week; e.g. `0 2 * * TUE`.
    pub schedule: String,
    /// The time for which the window stays open.
    pub duration: Duration,
    /// An IANA zone name, e.g. `Europe/Berlin`.
    pub time_zone: String,
    starts: Schedule,
    zone: TimeZone,
}

/// The two kinds of windows: changes may begin in one, and may not in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// Changes may begin only in a window of this kind, if there is any.
    Allow,
    /// No change begins in it, whatever other windows say.
    Deny,
}

/// An answer to the question whether a change may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A change may begin.
    Open {
        /// The first instant at which changes may no longer begin, where one is in sight.
        until: Option<Timestamp>,
    },
    /// No change may begin.
    Closed {
        /// The next instant at which changes may begin, where one is in sight.
        from: Option<Timestamp>,
    },
}

impl Window {
    /// Makes a window, or says what is wrong with its schedule or its time zone.
    pub fn new(kind: WindowKind, schedule: &str, duration: Duration, time_zone: &str) -> Result<Self, String> {
        let zone = TimeZone::get(time_zone).map_err(|error| error.to_string())?;
        let starts = Schedule::read(schedule)?;
        Ok(Self { kind, schedule: schedule.to_owned(), duration, time_zone: time_zone.to_owned(), starts, zone })
    }

    /// Finds the window's next start after `then`; `None` if the window never opens again.
    pub fn next_start(&self, then: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(then);
        let again = self.shown_again_from(local, then).and_then(|from| self.first_start(from, then));
        self.first_start(local, then).into_iter().chain(again).min()
    }

    /// Finds the first start after `then` among those whose time on the wall clock comes after `local`.
    fn first_start(&self, local: DateTime, then: Timestamp) -> Option<Timestamp> {
        let mut times = std::iter::successors(self.starts.next(local), |time| self.starts.next(*time));
        times.find_map(|time| self.instants(time).into_iter().flatten().find(|instant| *instant > then))
    }

    /// Finds the time on the wall clock from just after which the clock will show times once more that it shows up to
    /// `local`, if it will be put back over `local`.
    fn shown_again_from(&self, local: DateTime, then: Timestamp) -> Option<DateTime> {
        let AmbiguousOffset::Fold { before, .. } = self.zone.to_ambiguous_timestamp(local).offset() else {
            return None;
        };
        if self.zone.to_offset(then) != before {
            return None;
        }
        let put_back = self.zone.following(then).next()?.timestamp();
        self.zone.to_datetime(put_back).checked_sub(1.minute()).ok()
    }

    /// Lists the instants at which a time counts: where the clock goes on, if it skips the time.
    fn instants(&self, time: DateTime) -> [Option<Timestamp>; 2] {
        let by = |offset: Offset| offset.to_timestamp(time).ok();
        match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => [by(offset), None],
            AmbiguousOffset::Fold { before, after } => [by(before), by(after)],
            AmbiguousOffset::Gap { before, after } => {
                let goes_on = by(after).and_then(|earlier| self.zone.following(earlier).next());
                [goes_on.map(|transition| transition.timestamp()).or(by(before)), None]
            }
        }
    }
}

/// The number of starts of windows that are asked for at most in search of the next opening. One question takes some microseconds;
/// an opening that is further off than all these is not in sight.
const MOST_STARTS: usize = 4_000;
/// The finest that schedules tell times apart.
const MINUTE: Duration = Duration::from_secs(60);

/// Says whether a change may begin at `now`: never inside a deny window; if there are allow windows, only inside one.
pub fn opening(windows: &[Window], now: Timestamp) -> Opening {
    Search { windows, asked: Cell::new(0) }.opening(now)
}

/// A search for the next opening, and the work that it has taken.
struct Search<'w> {
    windows: &'w [Window],
    /// The number of starts that were asked for.
    asked: Cell<usize>,
}

impl Search<'_> {
    fn opening(&self, now: Timestamp) -> Opening {
        match self.step(now) {
            open @ Opening::Open { .. } => open,
            Opening::Closed { from } => Opening::Closed { from: from.and_then(|then| self.next_opening(then)) },
        }
    }

    /// Finds the first instant at or after `then` at which a change may begin, if it is in sight.
    fn next_opening(&self, mut then: Timestamp) -> Option<Timestamp> {
        while self.asked.get() < MOST_STARTS {
            match self.step(then) {
                Opening::Open { .. } => return Some(then),
                Opening::Closed { from } => then = from?,
            }
        }
        None
    }

    /// Asks the windows that cover `now`; `from` is the next instant worth another look.
    fn step(&self, now: Timestamp) -> Opening {
        let of = |kind| self.windows.iter().filter(move |window| window.kind == kind);
        let next = |kind| of(kind).filter_map(|window| self.start(window, now)).min();
        let covering = |kind| of(kind).filter_map(|window| self.covers(window, now)).max();
        if let Some(end) = covering(WindowKind::Deny) {
            return Opening::Closed { from: Some(end) };
        }
        let deny = next(WindowKind::Deny);
        if of(WindowKind::Allow).next().is_none() {
            return Opening::Open { until: deny };
        }
        match covering(WindowKind::Allow) {
            Some(end) => Opening::Open { until: Some(deny.map_or(end, |deny| deny.min(end))) },
            None => Opening::Closed { from: next(WindowKind::Allow) },
        }
    }

    /// Finds the end of the occurrence that covers `now`, if one does. Of several that overlap, the last one began last: it is
    /// found by halving, so a window that opens each minute for a week costs no more than one that opens once.
    fn covers(&self, window: &Window, now: Timestamp) -> Option<Timestamp> {
        let mut last = self.start(window, before(now, window.duration)).filter(|start| *start <= now)?;
        let mut end = now;
        while elapsed(end, last) >= MINUTE {
            let middle = after(last, elapsed(end, last) / 2);
            match self.start(window, middle) {
                Some(start) if start <= now => last = start,
                _ => end = middle,
            }
        }
        Some(after(last, window.duration))
    }

    fn start(&self, window: &Window, then: Timestamp) -> Option<Timestamp> {
        self.asked.set(self.asked.get() + 1);
        window.next_start(then)
    }
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.schedule, self.duration, &self.time_zone)
            == (other.kind, &other.schedule, other.duration, &other.time_zone)
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.kind, &self.schedule, self.duration, &self.time_zone).serialize(serializer)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            WindowKind::Allow => "allow",
            WindowKind::Deny => "deny",
        };
        write!(f, "{kind} {:?} {} for {}", self.schedule, self.time_zone, crate::time::Human(self.duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn window(kind: WindowKind, schedule: &str, seconds: u64) -> Window {
        Window::new(kind, schedule, Duration::from_secs(seconds), "UTC").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The end of the occurrence that covers an instant, found one start after the other.
    fn covers_by_counting(window: &Window, now: Timestamp) -> Option<Timestamp> {
        let mut end = None;
        let mut start = window.next_start(before(now, window.duration))?;
        while start <= now {
            end = Some(after(start, window.duration));
            start = window.next_start(start)?;
        }
        end
    }

    #[test]
    fn halving_finds_what_counting_finds() {
        let now = at("2025-01-01T00:00:00Z");
        for schedule in
            ["* * * * *", "*/7 3 * * *", "0 * * * *", "30 2 * * TUE", "0 0 1 * *", "0 0 29 2 *", "59 23 31 12 *"]
        {
            for seconds in [1, 60, 61, 3_600, 5 * 3_600, DAY, 7 * DAY] {
                let window = window(WindowKind::Deny, schedule, seconds);
                for step in 0..60 {
                    let now = after(now, Duration::from_secs(step * 8_191));
                    let windows = std::slice::from_ref(&window);
                    let halved = Search { windows, asked: Cell::new(0) }.covers(&window, now);
                    assert_eq!(halved, covers_by_counting(&window, now), "{schedule} for {seconds} s at {now}");
                }
            }
        }
    }

    #[test]
    fn a_search_ends_however_many_windows_there_are() {
        let never = |count| vec![window(WindowKind::Deny, "* * * * *", 7 * DAY); count];
        for count in [1, 8, 32] {
            let windows = never(count);
            let search = Search { windows: &windows, asked: Cell::new(0) };
            assert_eq!(search.opening(at("2025-01-01T00:00:00Z")), Opening::Closed { from: None });
            assert!(search.asked.get() < MOST_STARTS + 20 * count, "{count} windows: {}", search.asked.get());
        }
    }
}
