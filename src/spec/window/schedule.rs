//! A schedule: the times of a wall clock at which a window opens.
//!
//! Times of a wall clock are counted here as if it never changed. What a zone's clock skips and repeats is for the window to
//! see to, because a package that looks for moments in a zone passes over the times that the clock skips.

use cronexpr::{Crontab, MakeTimestamp};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

/// Five cron fields: minute, hour, day of month, month, day of week; e.g. `0 2 * * TUE`.
#[derive(Clone, Debug)]
pub struct Schedule {
    crontab: Crontab,
    last_of_december: Vec<LastOfDecember>,
}

/// Times on the last days of December. The package takes no day of December for the last one (`L`, `FRIL`) of its month,
/// because it compares the number of the next month, which is 1.
#[derive(Clone, Debug)]
struct LastOfDecember {
    crontab: Crontab,
    first_day: i8,
}

impl Schedule {
    /// Reads a schedule, or says what is wrong with it.
    pub fn read(fields: &str) -> Result<Self, String> {
        let crontab = crontab(fields)?;
        let last_of_december = match fields.split_whitespace().collect::<Vec<_>>()[..] {
            [minute, hour, day, month, weekday] if has_december(month) => {
                let at = format!("{minute} {hour}");
                last_day(&at, day, weekday).into_iter().chain(last_weekdays(&at, day, weekday)).collect()
            }
            _ => Vec::new(),
        };
        Ok(Self { crontab, last_of_december })
    }

    /// Finds the first time after `then`; `None` if there is none in the next four years.
    pub fn next(&self, then: DateTime) -> Option<DateTime> {
        let december = self.last_of_december.iter().filter_map(|last| last.next(then));
        next(&self.crontab, then).into_iter().chain(december).min()
    }
}

impl LastOfDecember {
    fn next(&self, then: DateTime) -> Option<DateTime> {
        let found = next(&self.crontab, then)?;
        if found.day() >= self.first_day {
            return Some(found);
        }
        let before =
            found.date().with().day(self.first_day).build().ok()?.at(0, 0, 0, 0).checked_sub(1.minute()).ok()?;
        next(&self.crontab, before)
    }
}

/// The last day of December, where the field of days has `L`.
fn last_day(at: &str, day: &str, weekday: &str) -> Option<LastOfDecember> {
    day.split(',').find(|item| item.eq_ignore_ascii_case("L"))?;
    // Where one of the fields of days begins with `*`, both must match; otherwise either does.
    let weekday = if weekday.starts_with('*') { weekday } else { "*" };
    Some(LastOfDecember { crontab: crontab(&format!("{at} 31 12 {weekday}")).ok()?, first_day: 31 })
}

/// The last weekdays of December, where the field of weekdays has them, e.g. `FRIL`.
fn last_weekdays(at: &str, day: &str, weekday: &str) -> Option<LastOfDecember> {
    let last = |item: &str| item.strip_suffix(['L', 'l']).map(str::to_owned);
    let weekdays: Vec<_> = weekday.split(',').filter_map(last).collect();
    let day = if day.starts_with('*') { day } else { "*" };
    let fields = format!("{at} {day} 12 {}", weekdays.join(","));
    Some(LastOfDecember { crontab: crontab(&fields).ok()?, first_day: 25 })
}

fn has_december(month: &str) -> bool {
    let december = DateTime::constant(2025, 12, 1, 0, 0, 0, 0);
    let matches = |crontab: &Crontab| crontab.matches(MakeTimestamp(counted(december)?)).ok();
    crontab(&format!("0 0 1 {month} *")).is_ok_and(|crontab| matches(&crontab) == Some(true))
}

fn crontab(fields: &str) -> Result<Crontab, String> {
    cronexpr::parse_crontab(&format!("{fields} UTC")).map_err(|error| error.to_string())
}

fn next(crontab: &Crontab, then: DateTime) -> Option<DateTime> {
    crontab.find_next(MakeTimestamp(counted(then)?)).ok().map(|next| next.datetime())
}

/// A time of a wall clock as an instant of a clock that never changes.
fn counted(time: DateTime) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first starts after a day's beginning, e.g. `2025-12-31T00:00:00`.
    fn starts(fields: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::read(fields).unwrap();
        let from: DateTime = from.parse().unwrap();
        let times = std::iter::successors(schedule.next(from), |then| schedule.next(*then));
        times.take(count).map(|time| time.to_string()).collect()
    }

    #[test]
    fn the_last_day_of_december_is_a_last_day() {
        let last = ["2025-11-30T00:00:00", "2025-12-31T00:00:00", "2026-01-31T00:00:00"];
        assert_eq!(starts("0 0 L * *", "2025-11-01T00:00:00", 3), last);
        assert_eq!(starts("0 0 15,L 12 *", "2025-11-01T00:00:00", 2), ["2025-12-15T00:00:00", "2025-12-31T00:00:00"]);
        // 31 December 2027 is a Friday.
        assert_eq!(starts("0 0 L 12 */5", "2025-11-01T00:00:00", 1), ["2027-12-31T00:00:00"]);
        assert_eq!(starts("0 0 L 1-11 *", "2025-12-01T00:00:00", 1), ["2026-01-31T00:00:00"]);
    }

    #[test]
    fn the_last_friday_of_december_is_a_last_friday() {
        let last = ["2025-11-28T22:00:00", "2025-12-26T22:00:00", "2026-01-30T22:00:00"];
        assert_eq!(starts("0 22 * * FRIL", "2025-11-01T00:00:00", 3), last);
        assert_eq!(starts("0 22 * dec 1,5L", "2025-12-23T00:00:00", 2), ["2025-12-26T22:00:00", "2025-12-29T22:00:00"]);
        assert_eq!(starts("0 22 1 12 5L", "2025-11-01T00:00:00", 2), ["2025-12-01T22:00:00", "2025-12-26T22:00:00"]);
        assert_eq!(starts("0 22 * JAN-NOV 5L", "2025-12-01T00:00:00", 1), ["2026-01-30T22:00:00"]);
    }
}
