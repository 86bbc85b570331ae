//! One cluster on a screen: how it stands, its slots, and everything that is not as one would wish.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::cli::output::{BAD, GOOD, NAME, SO_SO, styled, width};
use crate::input::text::clean;
use crate::status::{Attention, Condition, ConditionKind, ConditionStatus, Phase, SOURCE_NOT_READY, Status};
use crate::time::clock;

use super::table;

/// Renders a cluster.
pub(in crate::cli) fn render(status: &Status, is_wide: bool) -> String {
    let mut screen = header(status);
    screen += &revision(status);
    if status.seen {
        let width = if is_wide { None } else { width() };
        let _ = writeln!(screen, "{}", table::render(status, is_wide, width));
        if !is_wide {
            write_outdated(&mut screen, status);
        }
    }
    write_answer(&mut screen, status);
    for condition in status.conditions.iter().filter(|condition| is_remarkable(condition, status)) {
        let Condition { kind, status, reason, message, .. } = condition;
        let _ = writeln!(screen, "  {}: {} ({reason}) {}", kind.word(), status.word(), clean(message));
    }
    let rejected: Vec<_> = status.slots.iter().filter(|slot| slot.rejected).map(|slot| slot.slot.to_string()).collect();
    if !rejected.is_empty() {
        let _ =
            writeln!(screen, "  rejected: {} ({}) failed in {}", status.image, status.generation, rejected.join(", "));
    }
    if !status.orphans.is_empty() {
        let _ = writeln!(screen, "  orphaned, and left alone: {}", clean(&status.orphans.join(", ")));
    }
    screen.extend(status.notes.iter().map(|note| format!("  note: {}\n", clean(note))));
    screen
}

/// Sums a cluster up: `consul-prod (prod): settled, 3 of 3 on ami-…`, and how many members may fail.
fn header(status: &Status) -> String {
    let name = styled(NAME, &status.cluster);
    let environment = if status.environment.is_empty() { String::new() } else { format!(" ({})", status.environment) };
    let (phase, image, progress) = (status.phase, &status.image, status.progress);
    if !status.seen {
        return format!("{name}{environment}: could not be seen, at {}; {image} is wanted\n", clock(status.at));
    }
    let done = format!("{} of {} on {image}", progress.updated, progress.total);
    // The words of `run --once`.
    let phase = match (phase, status.attention) {
        (Phase::Blocked, Attention::NeedsPerson) => "waits for a person".to_owned(),
        (phase, _) => phase.to_string(),
    };
    format!("{name}{environment}: {phase}, {done}\n  {}; at {}\n", margin(status), clock(status.at))
}

/// Names the revision in force, where the source has revisions.
fn revision(status: &Status) -> String {
    let Some(revision) = status.source.as_ref().and_then(|source| source.revision.as_ref()) else {
        return String::new();
    };
    let signed = revision.verified_by.as_ref().map(|signer| format!("; signed by {signer}"));
    format!("  revision {}\n", clean(&format!("{revision}{}", signed.unwrap_or_default())))
}

/// Says how many members may fail, e.g. `healthy voters 3 of 3, 2 needed, 1 may fail`.
fn margin(status: &Status) -> String {
    let (needed, total) = (status.needed, status.progress.total);
    match (status.healthy_voters(), status.healthy_voters().and_then(|healthy| healthy.checked_sub(needed))) {
        (None, _) => "healthy voters not known".to_owned(),
        (Some(healthy), Some(margin)) => {
            format!("healthy voters {healthy} of {total}, {needed} needed, {margin} may fail")
        }
        (Some(healthy), None) => format!("healthy voters {healthy} of {total}, {needed} needed: no quorum"),
    }
}

/// Names the images that are to go, each with the slots that run it.
fn write_outdated(screen: &mut String, status: &Status) {
    let mut by_image = BTreeMap::<&str, Vec<&str>>::new();
    for slot in status.slots.iter().filter(|slot| !slot.current) {
        let Some(image) = slot.image.as_ref().filter(|image| **image != status.image) else { continue };
        by_image.entry(image).or_default().push(&slot.slot);
    }
    for (image, slots) in by_image {
        let runs = if slots.len() == 1 { "runs" } else { "run" };
        let _ = writeln!(screen, "  → {} {runs} {}", slots.join(", "), clean(image));
    }
}

/// Writes the planner's answer, with every refusal by the name of its gate.
fn write_answer(screen: &mut String, status: &Status) {
    let answer = &*clean(&status.answer);
    let stall = status.condition(ConditionKind::Stalled).filter(|stalled| stalled.status == ConditionStatus::True);
    let _ = match (status.phase, stall) {
        (Phase::Settled, _) => writeln!(screen, "  {}", styled(GOOD, answer)),
        (Phase::Stalled, Some(stall)) if status.refusals.is_empty() => {
            writeln!(screen, "  {} ({})", styled(BAD, answer), stall.reason)
        }
        (Phase::Stalled, Some(stall)) => writeln!(screen, "  {} ({}):", styled(BAD, "stalled"), stall.reason),
        (Phase::Stalled, None) => writeln!(screen, "  {}", styled(BAD, answer)),
        (Phase::Blocked, _) => writeln!(screen, "  {}:", styled(SO_SO, "blocked")),
        _ if status.refusals.is_empty() => writeln!(screen, "  {answer}"),
        _ => writeln!(screen, "  {answer}\n  {}:", styled(SO_SO, "then blocked")),
    };
    for refusal in &status.refusals {
        let _ = writeln!(screen, "    {} {}: {}", styled(BAD, "✗"), refusal.gate, clean(&refusal.message));
        screen.extend(refusal.hint.iter().map(|hint| format!("      hint: {}\n", clean(hint))));
    }
    if status.phase != Phase::Blocked && !repeats_hints(status) {
        screen.extend(status.hints.iter().map(|hint| format!("    hint: {}\n", clean(hint))));
    }
}

/// Says whether a condition is worth a line: where it is not as in a settled cluster, and nothing above says the same.
fn is_remarkable(condition: &Condition, status: &Status) -> bool {
    let is_true = condition.status == ConditionStatus::True;
    match condition.kind {
        ConditionKind::Ready => {
            !is_true && condition.message != status.answer && status.seen && condition.reason != SOURCE_NOT_READY
        }
        ConditionKind::SourceReady => !is_true,
        ConditionKind::QuorumHealthy => !is_true && status.seen,
        ConditionKind::Suspended => is_true,
        ConditionKind::Stalled => is_true && status.phase != Phase::Stalled && !repeats(condition, status),
        ConditionKind::AwaitingApproval => is_true && !repeats(condition, status),
        ConditionKind::Reconciling | ConditionKind::Drifted | ConditionKind::SourceVerified => false,
    }
}

/// Says whether the refusals have given the hints already.
fn repeats_hints(status: &Status) -> bool {
    status.hints.iter().all(|hint| status.refusals.iter().any(|refusal| refusal.hint.as_ref() == Some(hint)))
}

/// Says whether the answer or a refusal has the condition's message already.
fn repeats(condition: &Condition, status: &Status) -> bool {
    let said = status.refusals.iter().map(|refusal| &refusal.message).chain([&status.answer]);
    said.into_iter().any(|said| said.contains(&condition.message))
}
