//! The meaning of `rollout`: deadlines that can be kept, windows that do open.

use std::time::Duration;

use serde_saphyr::Spanned;

use super::meaning::{Meaning, bytes, written};
use super::quantity;
use crate::ids::PlanId;
use crate::spec::raw::{self, Text};
use crate::spec::window::{Opening, Window, opening};
use crate::spec::words::Word;
use crate::spec::{Approval, Rollout};
use crate::time::{Human, Timestamp};

/// The longest window. One that stays open longer is a mistake, or no window.
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// The number of windows that a file may declare: more than a person keeps in mind. Every pass asks each of them.
const MOST_WINDOWS: usize = 32;
/// The most characters of a schedule: every minute of an hour, written out, has 170.
const LONGEST_SCHEDULE: usize = 400;
/// An instant in seconds, 2025-01-01. Schedules repeat, so any instant will do to ask whether one ever fires, and no clock
/// is needed.
const SOME_INSTANT: i64 = 1_735_689_600;

/// Says what `rollout` means.
pub fn of(meaning: &mut Meaning, raw: &raw::Rollout) -> Option<Rollout> {
    let bake_time = positive(meaning, &raw.bake_time, Duration::from_secs(60), "bakeTime");
    let join_deadline = positive(meaning, &raw.join_deadline, Duration::from_secs(600), "joinDeadline");
    refuse_short_deadline(meaning, raw, bake_time, join_deadline);
    let approval = word(&raw.approval);
    if let (Some(Approval::Never), Some(approved)) = (approval, &raw.approved) {
        meaning
            .report
            .error(bytes(approved), "`approved` without `approval`")
            .label("nobody is asked")
            .hint("set `approval: canary` or `approval: everySlot`, or remove `approved`");
    }
    let windows = windows(meaning, raw.windows.as_deref().unwrap_or_default());
    Some(Rollout {
        strategy: word(&raw.strategy)?,
        bake_time: bake_time?,
        join_deadline: join_deadline?,
        on_failure: word(&raw.on_failure)?,
        approval: approval?,
        approved: written(&raw.approved).map(PlanId::from),
        rehearsal: word(&raw.rehearsal)?,
        windows: windows?,
    })
}

/// Gives the value of a word, or the default where none is written. A word that is not known means nothing: `shape` has
/// reported it already.
fn word<T: Word>(text: &Text) -> Option<T> {
    match written(text) {
        None => T::WORDS.first().map(|(_, value)| *value),
        Some(written) => T::meant(written),
    }
}

fn positive(meaning: &mut Meaning, text: &Text, default: Duration, field: &str) -> Option<Duration> {
    let Some(written) = text else { return Some(default) };
    let value = meaning.quantity(text, quantity::duration, "duration")?;
    if value.is_zero() {
        let hint = match field {
            "bakeTime" => "a member must prove itself before the next one is touched; `60s` is usual",
            "joinDeadline" => "no member is back in no time; `10m` is usual",
            _ => "leave the window out instead",
        };
        meaning.report.error(bytes(written), format!("`{field}` is zero")).hint(hint);
        return None;
    }
    Some(value)
}

fn refuse_short_deadline(meaning: &mut Meaning, raw: &raw::Rollout, bake: Option<Duration>, join: Option<Duration>) {
    if let (Some(bake), Some(join)) = (bake, join)
        && join < bake
        && let Some(text) = raw.join_deadline.as_ref().or(raw.bake_time.as_ref())
    {
        let (join, bake) = (Human(join), Human(bake));
        meaning
            .report
            .error(bytes(text), format!("`joinDeadline` ({join}) is shorter than `bakeTime` ({bake})"))
            .hint("every replacement would miss its deadline; set `joinDeadline` to several times `bakeTime`");
    }
}

fn windows(meaning: &mut Meaning, raw: &[raw::Window]) -> Option<Vec<Window>> {
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
fn schedule<'r>(meaning: &mut Meaning, text: &'r Text) -> Option<&'r Spanned<String>> {
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

fn time_zone(meaning: &mut Meaning, text: &Text) -> Option<String> {
    let Some(text) = text else { return Some("UTC".to_owned()) };
    if jiff::tz::TimeZone::get(&text.value).is_ok() {
        return Some(text.value.clone());
    }
    meaning
        .report
        .error(bytes(text), format!("unknown time zone `{}`", text.value))
        .hint("give an IANA name such as `Europe/Berlin`, or `UTC`");
    None
}
