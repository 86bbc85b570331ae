//! Change windows: the times at which a replacement may begin.

use std::fmt;
use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use serde::{Serialize, Serializer};

use crate::time::{Timestamp, after, before};

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
    crontab: Crontab,
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
        let crontab = cronexpr::parse_crontab(&format!("{schedule} {time_zone}")).map_err(|error| error.to_string())?;
        Ok(Self { kind, schedule: schedule.to_owned(), duration, time_zone: time_zone.to_owned(), crontab })
    }

    /// Finds the window's next start after `then`; `None` if the window never opens again.
    pub fn next_start(&self, then: Timestamp) -> Option<Timestamp> {
        self.crontab.find_next(MakeTimestamp(then)).ok().map(|next| next.timestamp())
    }

    /// Finds the end of the occurrence that covers `now`, if one does.
    fn covers(&self, now: Timestamp) -> Option<Timestamp> {
        let mut end = None;
        let mut start = self.next_start(before(now, self.duration))?;
        while start <= now {
            end = Some(after(start, self.duration));
            start = self.next_start(start)?;
        }
        end
    }
}

/// The number of windows in a row that are followed in search of the next opening: those of a month, if they are hourly.
const HORIZON: usize = 1024;

/// Says whether a change may begin at `now`: never inside a deny window; if there are allow windows, only inside one.
pub fn opening(windows: &[Window], now: Timestamp) -> Opening {
    match step(windows, now) {
        open @ Opening::Open { .. } => open,
        Opening::Closed { from } => Opening::Closed { from: from.and_then(|then| next_opening(windows, then)) },
    }
}

/// Finds the first instant at or after `then` at which a change may begin.
fn next_opening(windows: &[Window], then: Timestamp) -> Option<Timestamp> {
    let mut then = then;
    for _ in 0..HORIZON {
        match step(windows, then) {
            Opening::Open { .. } => return Some(then),
            Opening::Closed { from } => then = from?,
        }
    }
    None
}

/// Asks the windows that cover `now`; `from` is the next instant worth another look.
fn step(windows: &[Window], now: Timestamp) -> Opening {
    let of = |kind| windows.iter().filter(move |window| window.kind == kind);
    let next = |kind| of(kind).filter_map(|window| window.next_start(now)).min();
    let covering = |kind| of(kind).filter_map(|window| window.covers(now)).max();
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
