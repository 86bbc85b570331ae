//! The meaning of `windows`: schedules that do fire, and mean what was meant.

use std::time::Duration;

use jiff::tz::TimeZoneDatabase;

use super::meaning::{Meaning, bytes};
use super::rollout::{positive, word};
use crate::spec::raw::{self, Spanned, Text};
use crate::spec::window::{Opening, Window, opening};
use crate::time::Timestamp;

/// The longest window. One that stays open longer is a mistake, or no window.
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// The number of windows that a file may declare: more than a person keeps in mind. Every pass asks each of them.
const MOST_WINDOWS: usize = 32;
/// The most characters of a schedule: every minute of an hour, written out, has 170.
const LONGEST_SCHEDULE: usize = 400;
/// An instant in seconds, 2025-01-01. Schedules repeat, so any instant will do to ask whether one ever fires, and no clock
/// is needed.
const SOME_INSTANT: i64 = 1_735_689_600;

/// Says what `windows` means.
pub fn of(meaning: &mut Meaning, raw: &[raw::Window]) -> Option<Vec<Window>> {
    if raw.len() > MOST_WINDOWS {
        meaning
            .report
            .error(meaning.root.key(&["spec", "rollout", "windows"]), format!("more than {MOST_WINDOWS} windows"))
            .hint("let one schedule name several hours or days, e.g. `0 2 * * TUE,THU`");
        return None;
    }
    let windows: Vec<_> = raw.iter().map(|raw| window(meaning, raw)).collect();
    let windows: Vec<Window> = windows.into_iter().collect::<Option<_>>()?;
    let then = Timestamp::new(SOME_INSTANT, 0).unwrap_or(Timestamp::UNIX_EPOCH);
    if opening(&windows, then) == (Opening::Closed { from: None }) {
        meaning
            .report
            .error(meaning.root.key(&["spec", "rollout", "windows"]), "no change could ever begin in these windows")
            .hint("shorten the `deny` windows, or move them away from the `allow` windows");
        return None;
    }
    Some(windows)
}

fn window(meaning: &mut Meaning, raw: &raw::Window) -> Option<Window> {
    let kind = word(&raw.kind)?;
    let duration = window_duration(meaning, &raw.duration);
    let time_zone = time_zone(meaning, &raw.time_zone);
    let schedule = schedule(meaning, &raw.schedule)?;
    surprises(meaning, schedule);
    let then = Timestamp::new(SOME_INSTANT, 0).unwrap_or(Timestamp::UNIX_EPOCH);
    match Window::new(kind, &schedule.value, duration.unwrap_or_default(), time_zone.as_deref().unwrap_or("UTC")) {
        Ok(window) if window.next_start(then).is_none() => {
            meaning
                .report
                .error(bytes(schedule), "this schedule never fires")
                .hint("there is no such day; look at the day of month and the month");
            None
        }
        Ok(window) => duration.and(time_zone).map(|_| window),
        Err(error) => {
            let reason = error.lines().last().unwrap_or_default().trim_start_matches([' ', '^']).to_owned();
            meaning
                .report
                .error(bytes(schedule), "not a cron schedule")
                .label(reason)
                .hint("minute, hour, day of month, month, day of week; e.g. `0 2 * * TUE` is Tuesday at 02:00");
            None
        }
    }
}

/// Reads a schedule of five fields and a length that a person would write.
fn schedule<'r>(meaning: &mut Meaning, text: &'r Text) -> Option<&'r Spanned> {
    let schedule = text.as_ref()?;
    if schedule.value.len() > LONGEST_SCHEDULE {
        meaning
            .report
            .error(bytes(schedule), format!("a schedule of more than {LONGEST_SCHEDULE} characters"))
            .hint("write ranges and steps, e.g. `*/10 2-5 * * *`, or several windows");
        return None;
    }
    let fields = schedule.value.split_whitespace().count();
    if fields != 5 {
        meaning
            .report
            .error(bytes(schedule), format!("a schedule has five fields, this one has {fields}"))
            .hint("minute, hour, day of month, month, day of week; e.g. `0 2 * * TUE` is Tuesday at 02:00");
        return None;
    }
    Some(schedule)
}

fn window_duration(meaning: &mut Meaning, text: &Text) -> Option<Duration> {
    let written = text.as_ref()?;
    let duration = positive(meaning, text, Duration::ZERO, "duration")?;
    if duration > LONGEST_WINDOW {
        meaning
            .report
            .error(bytes(written), "a window stays open for seven days at most")
            .hint("for longer, use `suspend: true`, or a schedule that fires more often");
        return None;
    }
    Some(duration)
}

/// Reads a time zone. Names that are not IANA's, such as `localtime`, mean another zone on each machine, or a leap second
/// more: the list that is built in has none of them.
fn time_zone(meaning: &mut Meaning, text: &Text) -> Option<String> {
    let Some(text) = text else { return Some("UTC".to_owned()) };
    let named = TimeZoneDatabase::bundled().get(&text.value);
    if named.is_ok_and(|zone| zone.iana_name().is_some()) && !text.value.eq_ignore_ascii_case("Factory") {
        return Some(text.value.clone());
    }
    meaning
        .report
        .error(bytes(text), format!("unknown time zone `{}`", text.value))
        .hint("give an IANA name such as `Europe/Berlin`, or `UTC`: it must mean the same on every machine");
    None
}

/// Warns of a schedule that is valid and probably not what was meant.
fn surprises(meaning: &mut Meaning, schedule: &Spanned) {
    let [minute, hour, day, _, weekday] = schedule.value.split_whitespace().collect::<Vec<_>>()[..] else { return };
    if !day.starts_with('*') && !weekday.starts_with('*') {
        let hint = match nth(day).filter(|_| !weekday.contains([',', '-', '#', 'L', 'l'])) {
            Some(nth) => format!("for both at once write `{minute} {hour} * * {weekday}{nth}`"),
            None => {
                "for both at once name the weekday's place in its month: `6#1` is the first Saturday, `6L` the last"
                    .to_owned()
            }
        };
        meaning
            .report
            .warning(bytes(schedule), "the window opens on each day that either field of days names")
            .label(format!("on the days `{day}` of the month, and on each `{weekday}` as well"))
            .hint(hint);
    }
    if minute.starts_with('*') && !hour.starts_with('*') {
        meaning
            .report
            .warning(bytes(schedule), "the window opens again and again within the hour")
            .label(format!("`{minute}` names many minutes, so it closes that much later"))
            .hint(format!("to open it once, name the minute: `0 {hour} …`"));
    }
}

/// The place in its month of a weekday that lies within these days, e.g. `#1` in `1-7`.
fn nth(days: &str) -> Option<&'static str> {
    const WEEKS: [(&str, &str); 5] = [("1-7", "#1"), ("8-14", "#2"), ("15-21", "#3"), ("22-28", "#4"), ("25-31", "L")];
    WEEKS.iter().find(|(week, _)| *week == days).map(|(_, nth)| *nth)
}
