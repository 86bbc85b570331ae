//! Change windows: when a replacement may begin.

use std::fmt;
use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use serde::{Serialize, Serializer};

use crate::time::{Timestamp, after, before};

/// A stretch of time that returns by a schedule.
#[derive(Clone, Debug)]
pub struct Window {
    /// Whether changes may begin in it, or must not.
    pub kind: WindowKind,
    /// Five cron fields: minute, hour, day of month, month, day of week.
    pub schedule: String,
    /// How long it stays open.
    pub duration: Duration,
    /// An IANA zone name.
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

/// Whether a change may begin, and until or from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It may. `until` is the instant at which it no longer may, where one is in sight.
    Open {
        /// The first instant at which changes may no longer begin.
        until: Option<Timestamp>,
    },
    /// It may not. `from` is the next instant at which it may, where one is in sight.
    Closed {
        /// The next instant at which changes may begin.
        from: Option<Timestamp>,
    },
}

impl Window {
    /// A window, or what is wrong with its schedule or its time zone.
    pub fn new(kind: WindowKind, schedule: &str, duration: Duration, time_zone: &str) -> Result<Self, String> {
        let crontab = cronexpr::parse_crontab(&format!("{schedule} {time_zone}")).map_err(|error| error.to_string())?;
        Ok(Self { kind, schedule: schedule.to_owned(), duration, time_zone: time_zone.to_owned(), crontab })
    }

    /// The window's next start after `then`; `None` if it never opens again.
    pub fn next_start(&self, then: Timestamp) -> Option<Timestamp> {
        self.crontab.find_next(MakeTimestamp(then)).ok().map(|next| next.timestamp())
    }

    /// When the occurrence that covers `now` ends, if one does.
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

/// How many windows in a row are followed in search of the next opening: those of a month, if they are hourly.
const HORIZON: usize = 1024;

/// Whether a change may begin at `now`: never inside a deny window; if there are allow windows, only inside one.
pub fn opening(windows: &[Window], now: Timestamp) -> Opening {
    match step(windows, now) {
        open @ Opening::Open { .. } => open,
        Opening::Closed { from } => Opening::Closed { from: from.and_then(|then| next_opening(windows, then)) },
    }
}

/// The first instant at or after `then` at which a change may begin.
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

/// What the windows that cover `now` say; `from` is the next instant worth another look.
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
