//! Many clusters on a screen: one row each, those that need a person first.

use comfy_table::{ContentArrangement, Table, presets};

use crate::cli::output::{cut, width};
use crate::cli::plan::counted;
use crate::input::text::clean;
use crate::status::{Attention, ConditionKind, ConditionStatus, Phase, Status};

/// Renders the clusters, and how many of them need somebody.
pub(super) fn render(clusters: &[Status]) -> String {
    let mut order: Vec<_> = clusters.iter().collect();
    order.sort_by_key(|status| status.attention);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["CLUSTER", "ENV", "NEEDS", "DONE", "MAY FAIL", "WHY"]);
    for status in order {
        let progress = status.progress;
        let done = if status.seen { format!("{}/{}", progress.updated, progress.total) } else { "?".to_owned() };
        let row = [
            status.cluster.to_string(),
            status.environment.clone(),
            need(status).to_owned(),
            done,
            margin(status),
            why(status),
        ];
        table.add_row(row);
    }
    let width = width().unwrap_or(usize::MAX);
    let rows: Vec<_> = table.lines().map(|line| cut(line.to_string().trim_end(), width)).collect();
    format!("{}\n{}\n", rows.join("\n"), sum(clusters))
}

/// Says in a word or two which thing the cluster needs.
fn need(status: &Status) -> &'static str {
    match status.attention {
        Attention::Stalled => "a person",
        Attention::NoQuorum => "quorum",
        Attention::NotSeen => "to be seen",
        Attention::NeedsPerson => "a person",
        Attention::Blocked => "time",
        Attention::UnderWay => "time",
        Attention::Settled => "nothing",
    }
}

/// The number of members that may fail.
fn margin(status: &Status) -> String {
    match status.healthy_voters().map(|healthy| healthy.checked_sub(status.needed)) {
        None => "?".to_owned(),
        Some(None) => "no quorum".to_owned(),
        Some(Some(margin)) => margin.to_string(),
    }
}

/// Why the cluster stands where it does: the gates that refuse, the reason of a stall, or the phase.
fn why(status: &Status) -> String {
    let stalled = status.condition(ConditionKind::Stalled).filter(|it| it.status == ConditionStatus::True);
    let claimed = status.slots.iter().find(|slot| slot.claimed);
    let suspended = status.condition(ConditionKind::Suspended).filter(|it| it.status == ConditionStatus::True);
    let mut said = match (stalled, claimed) {
        (Some(stalled), _) => format!("stalled: {}", stalled.reason),
        (None, Some(slot)) => {
            let step = slot.step.map(|step| format!(" at {step}")).unwrap_or_default();
            format!("{}: {}{step}", status.phase, slot.slot)
        }
        (None, None) => status.phase.to_string(),
    };
    if !status.seen {
        said = clean(&status.answer).into_owned();
    } else if stalled.is_none() && !status.refusals.is_empty() {
        let gates: Vec<_> = status.refusals.iter().map(|refusal| refusal.gate).collect();
        let then = if status.phase == Phase::Blocked { "" } else { ", then blocked" };
        said += &format!("{then} by {}", gates.join(", "));
    } else if let Some(suspended) = suspended {
        said += &format!(", {}", suspended.reason.to_lowercase());
    }
    said
}

/// Counts the clusters by what they need.
fn sum(clusters: &[Status]) -> String {
    let of = |wanted: &[Attention]| clusters.iter().filter(|status| wanted.contains(&status.attention)).count();
    let need_person = of(&[Attention::Stalled, Attention::NoQuorum, Attention::NeedsPerson]);
    let parts = [
        (need_person, if need_person == 1 { "needs a person" } else { "need a person" }),
        (of(&[Attention::NotSeen]), "could not be seen"),
        (of(&[Attention::Blocked]), "blocked"),
        (of(&[Attention::UnderWay]), "under way"),
        (of(&[Attention::Settled]), "settled"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("{}: {}", counted(clusters.len(), "cluster"), parts.join(", "))
}
