//! The tree of `watch`: the clusters, below each its slots, and below the slot that is replaced the steps with their times.

use std::time::Duration;

use serde_json::Value;

use crate::cli::plan::counted;
use crate::input::text;
use crate::time::Human;

/// Renders the tree from the documents that a daemon shows, one line after the other, at most so many. A cluster that finds no
/// room is counted in the last line, unless it is the first, of which as much is shown as there is room for.
pub(super) fn render(clusters: &[Value], room: usize) -> Vec<String> {
    let settled = clusters.iter().filter(|cluster| cluster["summary"]["attention"] == "settled").count();
    let mut lines = vec![format!("{}, {settled} settled", counted(clusters.len(), "cluster"))];
    for (nth, cluster) in clusters.iter().enumerate() {
        let left_out = clusters.len() - nth;
        let room = room.saturating_sub(lines.len() + usize::from(left_out > 1));
        let branch = branch(cluster);
        let fits = branch.len() <= room;
        if fits || nth == 0 {
            lines.extend(branch.into_iter().take(room));
        }
        if !fits {
            let more = counted(if nth == 0 { left_out - 1 } else { left_out }, "cluster");
            lines.push(format!("and {more} more than there is room for"));
            break;
        }
    }
    lines
}

/// One cluster in a line, e.g. `consul-prod: replacing, 1 of 3 on ami-0bbbbbbbbbbbbbbbb, consul-b at stop (5 of 12)`.
pub(super) fn line(summary: &Value) -> String {
    let slots = &summary["slots"];
    let mut line = format!(
        "{}: {}, {} of {} on {}",
        word(&summary["cluster"]),
        word(&summary["phase"]),
        slots["current"],
        slots["declared"],
        word(&summary["wanted"])
    );
    let step = &summary["step"];
    if step.is_object() {
        line +=
            &format!(", {} at {} ({} of {})", word(&step["slot"]), word(&step["action"]), step["number"], step["of"]);
    }
    if summary["attention"] != "settled" {
        line += &format!(": {}", word(&summary["answer"]));
    }
    line
}

/// A cluster, and what there is to see of it.
fn branch(cluster: &Value) -> Vec<String> {
    let summary = &cluster["summary"];
    let margin = match summary["quorum"]["mayFail"].as_i64() {
        Some(margin) if margin < 0 => format!("{} too few", -margin),
        Some(margin) => format!("{margin} may fail"),
        None => "quorum not known".to_owned(),
    };
    let since = summary["sinceSeconds"].as_u64().map(|since| format!(", for {}", span(since))).unwrap_or_default();
    let slots = &summary["slots"];
    let mut lines = vec![format!(
        "{}  {}{since}; {} of {} on {}; {margin}",
        word(&summary["cluster"]),
        word(&summary["phase"]),
        slots["current"],
        slots["declared"],
        word(&summary["wanted"])
    )];
    if summary["attention"] == "settled" {
        return lines;
    }
    let remarks = summary["remarks"].as_array().into_iter().flatten();
    lines.extend([&summary["answer"]].into_iter().chain(remarks).map(|said| format!("│  {}", word(said))));
    let slots = cluster["slots"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (nth, slot) in slots.iter().enumerate() {
        let is_last = nth + 1 == slots.len();
        lines.push(format!("{} {}", if is_last { "└─" } else { "├─" }, leaf(slot)));
        if slot["claimed"] == true {
            let stem = if is_last { " " } else { "│" };
            lines.extend(
                cluster["steps"].as_array().into_iter().flatten().map(|step| format!("{stem}    {}", self::step(step))),
            );
        }
    }
    lines
}

fn leaf(slot: &Value) -> String {
    let mark = if slot["current"] == true { "✓" } else { "→" };
    let instances = slot["instances"].as_array().into_iter().flatten();
    let instances: Vec<_> =
        instances.map(|instance| format!("{} {}", word(&instance["id"]), word(&instance["state"]))).collect();
    let instances = if instances.is_empty() { "no instance".to_owned() } else { instances.join(" → ") };
    format!("{mark} {}  {}, {}  {instances}", word(&slot["slot"]), word(&slot["role"]), word(&slot["health"]))
}

fn step(step: &Value) -> String {
    let (mark, verb) = match step["state"].as_str() {
        Some("done") => ("✓", "took"),
        Some("now") => ("▸", "has taken"),
        _ => ("·", ""),
    };
    let about = step["forecastSeconds"].as_u64().map(|about| format!("about {}", span(about))).unwrap_or_default();
    match step["tookSeconds"].as_u64().filter(|_| !verb.is_empty()) {
        Some(took) => format!("{mark} {}: {verb} {}, {about}", word(&step["action"]), span(took)),
        None => format!("{mark} {}: {about}", word(&step["action"])),
    }
}

/// A text of a document in one line, in which nothing steers the terminal.
fn word(value: &Value) -> String {
    text::clean(value.as_str().unwrap_or("–")).into_owned()
}

fn span(seconds: u64) -> Human {
    Human(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_slot_that_is_replaced_has_its_steps_below_it_and_nothing_steers_the_terminal() {
        let cluster = json!({
            "summary": {
                "cluster": "consul-prod", "phase": "replacing", "attention": "under-way", "sinceSeconds": 65,
                "answer": "waiting for \u{1b}[2J", "wanted": "ami-b", "slots": {"current": 1, "declared": 2},
                "remarks": ["the file is broken: its last good version stays in force"],
                "quorum": {"mayFail": 0}, "step": {"slot": "consul-a", "action": "stop", "number": 2, "of": 3},
            },
            "slots": [
                {"slot": "consul-a", "current": false, "claimed": true, "role": "voter", "health": "healthy",
                 "instances": [{"id": "i-1", "state": "running"}, {"id": "i-2", "state": "pending"}]},
                {"slot": "consul-b", "current": true, "claimed": false, "role": "leader", "health": "healthy", "instances": []},
            ],
            "steps": [
                {"action": "claim", "state": "done", "tookSeconds": 1, "forecastSeconds": 0},
                {"action": "stop", "state": "now", "tookSeconds": 12, "forecastSeconds": 40},
                {"action": "start", "state": "to-come", "forecastSeconds": 20},
            ],
        });
        let expected = "1 cluster, 0 settled\n\
            consul-prod  replacing, for 1m 5s; 1 of 2 on ami-b; 0 may fail\n\
            │  waiting for \\u{1b}[2J\n\
            │  the file is broken: its last good version stays in force\n\
            ├─ → consul-a  voter, healthy  i-1 running → i-2 pending\n\
            │    ✓ claim: took 1s, about 0s\n\
            │    ▸ stop: has taken 12s, about 40s\n\
            │    · start: about 20s\n\
            └─ ✓ consul-b  leader, healthy  no instance";
        assert_eq!(render(std::slice::from_ref(&cluster), 60).join("\n"), expected);
        let told = "consul-prod: replacing, 1 of 2 on ami-b, consul-a at stop (2 of 3): waiting for \\u{1b}[2J";
        assert_eq!(line(&cluster["summary"]), told);
    }

    #[test]
    fn clusters_for_which_there_is_no_room_are_counted() {
        let one = |name: &str| json!({"summary": {"cluster": name, "phase": "blocked", "attention": "blocked", "answer": "blocked: suspended"}});
        let clusters = [one("a"), one("b"), one("c")];
        let shown = |room| render(&clusters, room).iter().map(|line| line.chars().next().unwrap()).collect::<String>();
        assert_eq!(shown(7), "3a│b│c│");
        assert_eq!(shown(6), "3a│b│a");
        assert_eq!(render(&clusters, 6).last().unwrap(), "and 1 cluster more than there is room for");
        assert_eq!(shown(4), "3a│a");
        assert_eq!(
            render(&clusters, 3),
            ["3 clusters, 0 settled", &render(&clusters, 9)[1], "and 2 clusters more than there is room for"]
        );
    }
}
