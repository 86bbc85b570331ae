//! When a change may begin.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::time::Duration;

use hermitcrab::spec::window::{Opening, Window, WindowKind, opening};
use hermitcrab::time::Timestamp;

fn window(kind: WindowKind, schedule: &str, hours: u64, time_zone: &str) -> Window {
    Window::new(kind, schedule, Duration::from_secs(hours * 3_600), time_zone).unwrap()
}

fn allow(schedule: &str, hours: u64) -> Window {
    window(WindowKind::Allow, schedule, hours, "UTC")
}

fn deny(schedule: &str, hours: u64) -> Window {
    window(WindowKind::Deny, schedule, hours, "UTC")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn open_until(text: &str) -> Opening {
    Opening::Open { until: Some(at(text)) }
}

fn closed_until(text: &str) -> Opening {
    Opening::Closed { from: Some(at(text)) }
}

#[test]
fn without_windows_it_is_always_open() {
    assert_eq!(opening(&[], at("2025-01-01T00:00:00Z")), Opening::Open { until: None });
}

#[test]
fn an_allow_window_is_open_from_its_start_to_just_before_its_end() {
    let windows = [allow("0 2 * * *", 2)];
    assert_eq!(opening(&windows, at("2025-06-02T01:59:59Z")), closed_until("2025-06-02T02:00:00Z"));
    assert_eq!(opening(&windows, at("2025-06-02T02:00:00Z")), open_until("2025-06-02T04:00:00Z"));
    assert_eq!(opening(&windows, at("2025-06-02T03:59:59Z")), open_until("2025-06-02T04:00:00Z"));
    assert_eq!(opening(&windows, at("2025-06-02T04:00:00Z")), closed_until("2025-06-03T02:00:00Z"));
}

#[test]
fn deny_wins_over_allow() {
    let windows = [allow("0 0 * * *", 24), deny("0 8 * * *", 10)];
    assert_eq!(opening(&windows, at("2025-06-02T07:00:00Z")), open_until("2025-06-02T08:00:00Z"));
    assert_eq!(opening(&windows, at("2025-06-02T12:00:00Z")), closed_until("2025-06-02T18:00:00Z"));
}

#[test]
fn after_a_denial_it_is_closed_until_the_next_allow_window() {
    let windows = [allow("0 2 * * *", 2), deny("0 0 2 * *", 24)];
    assert_eq!(opening(&windows, at("2025-06-02T02:30:00Z")), closed_until("2025-06-03T02:00:00Z"));
}

#[test]
fn with_denials_only_it_is_open_between_them() {
    let windows = [deny("0 8 * * *", 10)];
    assert_eq!(opening(&windows, at("2025-06-02T19:00:00Z")), open_until("2025-06-03T08:00:00Z"));
}

#[test]
fn a_schedule_is_read_in_its_time_zone_and_follows_the_clocks() {
    let windows = [window(WindowKind::Allow, "0 9 * * *", 1, "Europe/Berlin")];
    assert_eq!(opening(&windows, at("2025-03-29T08:30:00Z")), open_until("2025-03-29T09:00:00Z"));
    // On 30 March the clocks went forward.
    assert_eq!(opening(&windows, at("2025-03-30T00:00:00Z")), closed_until("2025-03-30T07:00:00Z"));
    // On 26 October they went back.
    assert_eq!(opening(&windows, at("2025-10-26T00:00:00Z")), closed_until("2025-10-26T08:00:00Z"));
}

#[test]
fn a_window_lasts_as_long_as_it_says_even_over_a_change_of_the_clocks() {
    let windows = [window(WindowKind::Allow, "0 1 * * *", 4, "Europe/Berlin")];
    assert_eq!(opening(&windows, at("2025-03-30T00:30:00Z")), open_until("2025-03-30T04:00:00Z"));
}

#[test]
fn denials_back_to_back_are_one_long_denial() {
    let windows = [deny("0 * * * MON-FRI", 1)];
    assert_eq!(opening(&windows, at("2025-06-02T00:30:00Z")), closed_until("2025-06-07T00:00:00Z"));
}

#[test]
fn a_denial_of_every_day_never_opens() {
    let windows = [allow("0 2 * * *", 2), deny("0 0 * * *", 24)];
    assert_eq!(opening(&windows, at("2025-06-02T02:30:00Z")), Opening::Closed { from: None });
}

#[test]
fn an_allow_window_on_a_day_that_does_not_exist_never_opens() {
    assert_eq!(opening(&[allow("0 0 30 2 *", 2)], at("2025-06-02T02:30:00Z")), Opening::Closed { from: None });
}

#[test]
fn a_leap_day_comes() {
    assert_eq!(opening(&[allow("0 0 29 2 *", 2)], at("2025-06-02T02:30:00Z")), closed_until("2028-02-29T00:00:00Z"));
}

/// In Berlin the clock goes on at 03:00 on 29 March 2026, after 01:59, which is 01:00 UTC.
#[test]
fn a_start_that_the_clock_skips_counts_where_the_clock_goes_on() {
    for schedule in ["30 2 * * *", "0 2 * * *", "59 2 29 3 *", "15 2 * * SUN"] {
        for kind in [WindowKind::Deny, WindowKind::Allow] {
            let windows = [window(kind, schedule, 2, "Europe/Berlin")];
            let (inside, outside) = match kind {
                WindowKind::Deny => (closed_until("2026-03-29T03:00:00Z"), "open"),
                WindowKind::Allow => (open_until("2026-03-29T03:00:00Z"), "closed"),
            };
            for now in ["2026-03-29T01:00:00Z", "2026-03-29T01:45:00Z", "2026-03-29T02:59:59Z"] {
                assert_eq!(opening(&windows, at(now)), inside, "{schedule} at {now}");
            }
            for now in ["2026-03-29T00:59:59Z", "2026-03-29T03:00:00Z"] {
                let is_open = matches!(opening(&windows, at(now)), Opening::Open { .. });
                assert_eq!(if is_open { "open" } else { "closed" }, outside, "{schedule} at {now}");
            }
        }
    }
}

/// Half an hour is skipped on Lord Howe Island, and midnight in Beirut.
#[test]
fn a_start_counts_however_much_the_clock_skips() {
    let denied = |schedule, zone, now| opening(&[window(WindowKind::Deny, schedule, 1, zone)], at(now));
    // 02:00 becomes 02:30 on 4 October 2026, which is 15:30 UTC the day before.
    let until = closed_until("2026-10-03T16:30:00Z");
    assert_eq!(denied("10 2 4 10 *", "Australia/Lord_Howe", "2026-10-03T15:31:00Z"), until);
    assert_eq!(denied("29 2 4 10 *", "Australia/Lord_Howe", "2026-10-03T16:29:59Z"), until);
    // 00:00 becomes 01:00 on 29 March 2026, which is 22:00 UTC the day before.
    assert_eq!(denied("0 0 29 3 *", "Asia/Beirut", "2026-03-28T22:10:00Z"), closed_until("2026-03-28T23:00:00Z"));
}

/// In Berlin the clock shows 02:00 to 03:00 twice on 25 October 2026: from 00:00 UTC, and from 01:00 UTC.
#[test]
fn a_start_that_the_clock_shows_twice_counts_twice() {
    let window = Window::new(WindowKind::Deny, "30 2 * * *", Duration::from_secs(600), "Europe/Berlin").unwrap();
    let starts = std::iter::successors(window.next_start(at("2026-10-24T12:00:00Z")), |then| window.next_start(*then));
    let starts: Vec<_> = starts.take(3).map(|start| start.to_string()).collect();
    assert_eq!(starts, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]);
    for (now, is_denied) in [
        ("2026-10-25T00:29:00Z", false),
        ("2026-10-25T00:35:00Z", true),
        ("2026-10-25T00:45:00Z", false),
        ("2026-10-25T01:29:00Z", false),
        ("2026-10-25T01:35:00Z", true),
        ("2026-10-25T01:41:00Z", false),
    ] {
        let found = matches!(opening(std::slice::from_ref(&window), at(now)), Opening::Closed { .. });
        assert_eq!(found, is_denied, "{now}");
    }
}

/// Starts come in order, whatever the clocks of a zone do, and each is later than the instant that was asked about.
#[test]
fn starts_follow_each_other_through_the_changes_of_every_clock() {
    for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Casablanca", "UTC"]
    {
        let window = window(WindowKind::Deny, "*/30 * * * *", 1, zone);
        for begin in ["2026-02-10T00:00:00Z", "2026-09-20T00:00:00Z"] {
            let mut then = at(begin);
            for _ in 0..60 * 48 {
                let next = window.next_start(then).unwrap();
                assert_eq!(next.duration_since(then).as_secs(), 1_800, "{zone} after {then}");
                then = next;
            }
        }
    }
}
