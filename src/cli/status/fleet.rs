//! Many clusters on a screen: one row each, those that need a person first.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::output::{cut, width};
use crate::cli::plan::counted;
use crate::input::text::clean;
use crate::status::{Attention, ConditionKind, ConditionStatus, Phase, Status};

/// Renders the clusters, and how many of them need somebody.
pub(super) fn render(clusters: &[Status]) -> String {
    rows(clusters.iter().map(row).collect())
}

/// Renders the rows of a daemon's fleet in the same way.
pub(super) fn render_told(clusters: &[Value]) -> String {
    rows(clusters.iter().map(told).collect())
}

/// A cluster's row.
struct Row {
    attention: Attention,
    cluster: String,
    environment: String,
    done: String,
    may_fail: String,
    why: String,
}

fn row(status: &Status) -> Row {
    let progress = status.progress;
    Row {
        attention: status.attention,
        cluster: status.cluster.to_string(),
        environment: status.environment.clone(),
        done: if status.seen { format!("{}/{}", progress.updated, progress.total) } else { "?".to_owned() },
        may_fail: margin(status.healthy_voters().map(|healthy| healthy.checked_sub(status.needed))),
        why: why(status),
    }
}

/// A row that a daemon tells of. What only the daemon knows of a cluster goes before what every look finds.
fn told(summary: &Value) -> Row {
    let word = |value: &Value| clean(value.as_str().unwrap_or("–")).into_owned();
    let attention = Attention::deserialize(&summary["attention"]).unwrap_or(Attention::NotSeen);
    let (slots, may_fail) = (&summary["slots"], summary["quorum"]["mayFail"].as_i64());
    let mut said: Vec<_> = summary["remarks"].as_array().into_iter().flatten().map(word).collect();
    if said.is_empty() {
        said.push(if attention == Attention::Settled { word(&summary["phase"]) } else { word(&summary["answer"]) });
    }
    Row {
        attention,
        cluster: word(&summary["cluster"]),
        environment: word(&summary["environment"]),
        done: format!("{}/{}", slots["current"], slots["declared"]),
        may_fail: margin(may_fail.map(|margin| usize::try_from(margin).ok())),
        why: said.join("; "),
    }
}

fn rows(mut rows: Vec<Row>) -> String {
    let sum = sum(&rows);
    rows.sort_by_key(|row| row.attention);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["CLUSTER", "ENV", "NEEDS", "DONE", "MAY FAIL", "WHY"]);
    for Row { attention, cluster, environment, done, may_fail, why } in rows {
        table.add_row([cluster, environment, need(attention).to_owned(), done, may_fail, why]);
    }
    let width = width().unwrap_or(usize::MAX);
    let lines: Vec<_> = table.lines().map(|line| cut(line.to_string().trim_end(), width)).collect();
    format!("{}\n{sum}\n", lines.join("\n"))
}

/// Says in a word or two which thing the cluster needs.
fn need(attention: Attention) -> &'static str {
    match attention {
        Attention::Stalled => "a person",
        Attention::NoQuorum => "quorum",
        Attention::NotSeen => "to be seen",
        Attention::NeedsPerson => "a person",
        Attention::Blocked => "time",
        Attention::UnderWay => "time",
        Attention::Settled => "nothing",
    }
}

/// The number of members that may fail: none where the members could not be asked, or where too few are left.
fn margin(may_fail: Option<Option<usize>>) -> String {
    match may_fail {
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
fn sum(clusters: &[Row]) -> String {
    let of = |wanted: &[Attention]| clusters.iter().filter(|row| wanted.contains(&row.attention)).count();
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
