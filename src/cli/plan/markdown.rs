//! A plan as a comment on a pull request: the summary is always visible, the steps can be unfolded.

use std::fmt::Write;

use super::headline::{duration, headline};
use super::json::{Answer, ClusterPlan, Document, SlotPlan};
use super::text::{approvals, grows, held_back, launched_ahead, movement, movement_of_address, orphans, span, why};

/// The characters of a comment. GitHub accepts 65,536; the rest is left for a workflow that adds text.
const LIMIT: usize = 60_000;

/// Renders a comment for each cluster. The marker in its first line names the earlier comment that it replaces.
pub fn render(document: &Document) -> String {
    document.plans.iter().map(comment).collect::<Vec<_>>().join("\n")
}

fn comment(plan: &ClusterPlan) -> String {
    let mut comment = head(plan);
    let details: Vec<_> = plan.slots.iter().map(details).collect();
    let shown = fitting(&details, LIMIT.saturating_sub(comment.len()));
    comment.extend(details[..shown].iter().map(String::as_str));
    if shown < details.len() {
        let left_out = details.len() - shown;
        let _ = writeln!(comment, "\nThe steps of {left_out} more slots are left out; `-o json` has them all.");
    }
    comment
}

/// Counts the sections that fit, with room for a line about the others.
fn fitting(sections: &[String], room: usize) -> usize {
    let mut used = 200;
    let fits = |section: &&String| {
        used += section.len();
        used <= room
    };
    sections.iter().take_while(fits).count()
}

fn head(plan: &ClusterPlan) -> String {
    // The name of a folder must not end the comment that the marker stands in.
    let safe = |c: char| if c.is_alphanumeric() || "-_./ ".contains(c) { c } else { '_' };
    let environment: String = plan.environment.chars().map(safe).collect();
    let marker = match environment.is_empty() {
        true => plan.cluster.clone(),
        false => format!("{environment}/{}", plan.cluster),
    };
    let mut head = format!("<!-- hermitcrab-plan:{marker} -->\n### {}: {}\n\n", plan.cluster, headline(plan));
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let terminated = &plan.totals.instances_terminated;
    let rows = [
        ("Environment", if plan.environment.is_empty() { "–".to_owned() } else { escaped(&plan.environment) }),
        ("Account", or_dash(&plan.account)),
        ("Region", plan.region.clone()),
        ("Cluster", plan.cluster.clone()),
        ("Image", format!("`{}`", plan.image)),
        ("Terminates", if terminated.is_empty() { "nothing".to_owned() } else { code(terminated) }),
        ("Deletes volumes", "none".to_owned()),
        ("Approval needed", approvals(plan).map_or("no".to_owned(), |approvals| format!("**yes**: {approvals}"))),
        ("Expected duration", if plan.slots.is_empty() { "–".to_owned() } else { duration(plan) }),
    ];
    head.push_str("| | |\n|---|---|\n");
    head.extend(rows.iter().map(|(name, value)| format!("| {name} | {} |\n", cell(value))));
    head.push_str(&next(plan));
    head.extend(held_back(plan).map(|held_back| format!("\n> **Held back**: {held_back}\n")));
    let because = plan.held_back_because.iter();
    head.extend(because.map(|reason| format!("\n> **Reason**: {}\n", escaped(reason))));
    head.extend(orphans(plan).map(|orphans| format!("\n> **Orphaned, and left alone**: {}\n", escaped(&orphans))));
    head.extend(plan.notes.iter().map(|note| format!("\n> **Note**: {}\n", escaped(note))));
    head.extend(plan.growths.iter().map(|growth| format!("\n> {}\n", escaped(&grows(growth)))));
    head.push_str(&order(&plan.slots));
    head
}

fn next(plan: &ClusterPlan) -> String {
    let said = match plan.next.answer {
        Answer::Settled => "**Settled**".to_owned(),
        Answer::Act => "**Next**".to_owned(),
        Answer::Wait => "**Waiting**".to_owned(),
        Answer::Blocked => "**Blocked now**".to_owned(),
        Answer::Stalled => "**Stalled**".to_owned(),
    };
    let hint = plan.next.hint.as_ref().map(|hint| format!(" (hint: {})", escaped(hint))).unwrap_or_default();
    let next = format!("\n{said}: {}{hint}\n", escaped(&plan.next.text));
    if plan.hazards.is_empty() {
        return next;
    }
    let line = |hazard: &super::json::HazardReport| {
        let hint = hazard.hint.as_ref().map(|hint| format!(" (hint: {})", escaped(hint))).unwrap_or_default();
        format!("- `{}`: {}{hint}\n", hazard.gate, escaped(&hazard.message))
    };
    let hazards: String = plan.hazards.iter().map(line).collect();
    match &plan.hazards_slot {
        Some(slot) if plan.next.answer != Answer::Blocked => {
            format!("{next}\n**Then blocked**: {slot} is the next slot to change, and may not begin now:\n\n{hazards}")
        }
        _ => format!("\n{said}:\n\n{hazards}"),
    }
}

/// Renders the slots in their order.
fn order(slots: &[SlotPlan]) -> String {
    if slots.is_empty() {
        return String::new();
    }
    let mut table = "\n| # | Slot | Zone | Why now | Image | Healthy voters | Member down |\n\
                     |---|---|---|---|---|---|---|\n"
        .to_owned();
    for (index, slot) in slots.iter().enumerate() {
        let (from, to) = (slot.from.image.as_deref().unwrap_or("none"), slot.to.image.as_deref().unwrap_or("none"));
        let quorum = &slot.quorum;
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | `{from}` → `{to}` | {} → {} → {}, {} needed | about {} |",
            index + 1,
            slot.slot,
            slot.zone,
            cell(&why(slot)),
            quorum.before,
            quorum.during,
            quorum.after,
            quorum.needed,
            span(slot.member_down_seconds),
        );
    }
    table
}

fn details(slot: &SlotPlan) -> String {
    let mut text =
        format!("\n<details><summary>Steps of {}, about {}</summary>\n\n", slot.slot, span(slot.takes_seconds));
    for drift in &slot.reason.drifts {
        let _ = writeln!(text, "- {}: `{}` → `{}`", drift.field, escaped(&drift.from), escaped(&drift.to));
    }
    for volume in &slot.volumes {
        let _ = writeln!(text, "- {}", escaped(&movement(volume)));
    }
    if let Some(address) = &slot.address {
        let _ = writeln!(text, "- {}", movement_of_address(address));
    }
    if let Some(ahead) = launched_ahead(slot) {
        let _ = writeln!(text, "- {ahead}");
    }
    text.push_str("\n| # | Step | About | Healthy voters | |\n|---|---|---|---|---|\n");
    for (index, step) in slot.steps.iter().enumerate() {
        let notes = [(step.member_down, "member down"), (step.destructive, "**cannot be undone**")];
        let notes: Vec<_> = notes.iter().filter(|(applies, _)| *applies).map(|(_, note)| *note).collect();
        let (takes, voters) = (span(step.takes_seconds), step.healthy_voters);
        let _ = writeln!(text, "| {} | {} | {takes} | {voters} | {} |", index + 1, step.action, notes.join(", "));
    }
    text + "\n</details>\n"
}

fn code(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Escapes text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Escapes text that a reader of Markdown would take for HTML.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_sections_are_taken_as_fit() {
        let sections = vec!["x".repeat(1_000); 100];
        assert_eq!(fitting(&sections, LIMIT), 59);
        assert_eq!(fitting(&sections, 0), 0);
        assert_eq!(fitting(&sections[..3], LIMIT), 3);
    }
}
