//! A plan in one line: everything that is to come in numbers, and how it stands. The same on a terminal and on a pull request.

use crate::time::Human;

use super::json::{Answer, ClusterPlan, HeldBack, ReasonKind};
use super::text::span;

/// Sums a plan up, e.g. `3 of 3 slots to replace, about 9m, 24 mutating EC2 calls, 3 instances terminated; blocked now`.
pub fn headline(plan: &ClusterPlan) -> String {
    if !plan.seen {
        return "the cloud could not be read".to_owned();
    }
    let mut said = match (plan.slots.is_empty(), plan.growths.is_empty()) {
        (true, true) => nothing_to_come(plan),
        (true, false) => [growths(plan), calls(plan)].join(", "),
        (false, _) => to_come(plan),
    };
    for remark in remarks(plan) {
        said.push_str("; ");
        said.push_str(&remark);
    }
    said
}

/// Says how a plan stands that changes no slot.
fn nothing_to_come(plan: &ClusterPlan) -> String {
    match plan.next.answer {
        Answer::Settled if plan.not_carried_out.is_empty() => {
            format!("nothing to do, {} as the spec wants", counted(plan.totals.declared_slots, "slot"))
        }
        Answer::Settled => "no slot to change".to_owned(),
        Answer::Act => "no slot to change, and something small to do".to_owned(),
        Answer::Wait => "no slot to change, and something to wait for".to_owned(),
        Answer::Blocked | Answer::Stalled => "no slot can be changed".to_owned(),
    }
}

/// Counts the slots to change, and what that takes.
fn to_come(plan: &ClusterPlan) -> String {
    let totals = &plan.totals;
    let of_kind = |kind| plan.slots.iter().filter(|slot| slot.reason.kind == kind).count();
    let kinds = [
        (of_kind(ReasonKind::UnderWay), "to finish"),
        (of_kind(ReasonKind::Empty), "to give an instance"),
        (of_kind(ReasonKind::Outdated), "to replace"),
    ];
    let all = counted(totals.declared_slots, "slot");
    let kinds = kinds.iter().filter(|(count, _)| *count > 0);
    let mut parts: Vec<_> = kinds.map(|(count, what)| format!("{count} of {all} {what}")).collect();
    parts.push(duration(plan));
    parts.push(calls(plan));
    parts.push(format!("{} terminated", counted(totals.instances_terminated.len(), "instance")));
    if !plan.growths.is_empty() {
        parts.push(growths(plan));
    }
    parts.join(", ")
}

/// Says how long the rollout takes, with what it waits for people, e.g. `about 9m and 1 approval`.
pub fn duration(plan: &ClusterPlan) -> String {
    let takes: Human = span(plan.totals.takes_seconds);
    match plan.approval.outstanding {
        0 => format!("about {takes}"),
        approvals => format!("about {takes} and {}", counted(approvals, "approval")),
    }
}

fn calls(plan: &ClusterPlan) -> String {
    counted(plan.totals.ec2_calls, "mutating EC2 call")
}

fn growths(plan: &ClusterPlan) -> String {
    format!("{} to grow", counted(plan.growths.len(), "volume"))
}

/// Lists what a reader of the numbers alone would not expect.
fn remarks(plan: &ClusterPlan) -> Vec<String> {
    let stands = match (plan.next.answer, plan.hazards.is_empty()) {
        (Answer::Stalled, _) => Some("stalled: a person must act".to_owned()),
        (Answer::Blocked, _) | (_, false) => Some("blocked now".to_owned()),
        _ => None,
    };
    let held_back = plan.held_back.map(|held_back| match held_back {
        HeldBack::Suspended => "suspended".to_owned(),
        HeldBack::Frozen => "frozen".to_owned(),
    });
    let of = |count: usize, one: &str, rest: &str| (count > 0).then(|| format!("{}{rest}", counted(count, one)));
    let not_carried_out = of(plan.not_carried_out.len(), "difference", " not carried out");
    let orphans = of(plan.orphans.len(), "resource", " orphaned");
    [stands, held_back, not_carried_out, orphans].into_iter().flatten().collect()
}

/// Counts things, e.g. `1 slot` and `3 slots`.
pub fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
