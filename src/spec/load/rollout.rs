//! The meaning of `rollout`: deadlines that can be kept, words that are known.

use std::time::Duration;

use super::meaning::{Meaning, boolean, bytes, written};
use super::{quantity, windows};
use crate::ids::PlanId;
use crate::spec::raw::{self, Text};
use crate::spec::words::Word;
use crate::spec::{Approval, Rollout};
use crate::time::Human;

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
    let windows = windows::of(meaning, raw.windows.as_deref().unwrap_or_default());
    Some(Rollout {
        strategy: word(&raw.strategy)?,
        bake_time: bake_time?,
        join_deadline: join_deadline?,
        on_failure: word(&raw.on_failure)?,
        approval: approval?,
        approved: written(&raw.approved).map(PlanId::from),
        rehearsal: word(&raw.rehearsal)?,
        windows: windows?,
        launch_ahead: boolean(&raw.launch_ahead, true),
    })
}

/// Gives the value of a word, or the default where none is written. A word that is not known means nothing: `shape` has
/// reported it already.
pub(super) fn word<T: Word>(text: &Text) -> Option<T> {
    match written(text) {
        None => T::WORDS.first().map(|(_, value)| *value),
        Some(written) => T::meant(written),
    }
}

/// Reads a duration that is not zero.
pub(super) fn positive(meaning: &mut Meaning, text: &Text, default: Duration, field: &str) -> Option<Duration> {
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
