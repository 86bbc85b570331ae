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
