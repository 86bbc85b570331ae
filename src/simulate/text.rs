//! The transcript as a person reads it.

use std::fmt::Write;

use crate::sim::event::{SlotLine, UpDown, What};
use crate::time::Human;

use super::{Answer, AnswerKind, Line, Summary};

/// One line of the transcript in words, without its end of line.
pub fn line(line: &Line) -> String {
    match line {
        Line::World { event, why, .. } => match &event.what {
            What::World { cluster, slots } => world(cluster, slots),
            What::Action { .. } => action(event.t, &event.what, why.as_deref()),
            What::Member { slot, state: UpDown::Down, .. } => at(event.t, slot, "member down", ""),
            What::Member { slot, state: UpDown::Up, .. } => at(event.t, slot, "member up", "healthy voter"),
            What::Fault { fault, detail, .. } => at(event.t, "", &format!("fault: {fault}"), detail),
            What::Group { group, did, instance, .. } => {
                at(event.t, "", &format!("group {did}"), &format!("{instance}  ({group})"))
            }
            What::Crash { controller, at: point } => {
                at(event.t, "", "crash", &format!("controller {controller} died {}", point.replace('-', " ")))
            }
            What::Violation { invariant, detail, .. } => at(event.t, "", &format!("VIOLATION {invariant}"), detail),
        },
        Line::Answer(answer) => self::answer(answer),
        Line::Summary(summary) => self::summary(summary),
    }
}

fn world(cluster: &str, slots: &[SlotLine]) -> String {
    let mut text = format!("{cluster}: {} slot{}", slots.len(), if slots.len() == 1 { "" } else { "s" });
    for slot in slots {
        let volumes: Vec<_> = slot.volumes.iter().map(ToString::to_string).collect();
        let none = || "–".to_owned();
        let instance = slot.instance.as_ref().map_or_else(none, ToString::to_string);
        let image = slot.image.as_ref().map_or_else(none, ToString::to_string);
        let (name, zone, role, volumes) = (&slot.slot, &slot.zone, &slot.role, volumes.join(" "));
        let _ = write!(text, "\n       {name:<12} {zone:<12} {role:<9} {instance}  {image}  {volumes}");
    }
    text
}

fn action(t: f64, what: &What, why: Option<&str>) -> String {
    let What::Action { action, controller, slot, instance, volume, image, outcome, .. } = what else {
        return String::new();
    };
    let (instance, volume, image) = (text(instance), text(volume), text(image));
    let mut detail = match action.as_str() {
        "launch" => format!("{instance} from {image}"),
        "attach" => format!("{volume} to {instance}"),
        "detach" => format!("{volume} from {instance}"),
        "snapshot-running" | "snapshot" | "grow" => volume,
        _ => instance,
    };
    if let Some(why) = why.filter(|why| *why != "next step") {
        let _ = write!(detail, "{}({why})", if detail.is_empty() { "" } else { "  " });
    }
    if let Some(outcome) = outcome {
        let _ = write!(detail, "  → {outcome}");
    }
    if *controller > 0 {
        let _ = write!(detail, "  [controller {controller}]");
    }
    at(t, slot.as_deref().unwrap_or_default(), action, &detail)
}

fn answer(answer: &Answer) -> String {
    let kind = match answer.kind {
        AnswerKind::Wait => "…",
        AnswerKind::Blocked => "BLOCKED",
        AnswerKind::Stalled => "STALLED",
        AnswerKind::Settled => "SETTLED",
    };
    let said = ["waiting ", "blocked: ", "stalled: ", "settled: "].iter().find_map(|p| answer.answer.strip_prefix(p));
    let about = answer.slot.as_ref().map(|slot| slot.to_string()).unwrap_or_default();
    let said = said.unwrap_or(&answer.answer);
    let said = said.strip_prefix("for ").unwrap_or(said);
    let said = said.strip_prefix(&format!("{about}: ")).unwrap_or(said);
    at(answer.t, &about, kind, said)
}

fn summary(summary: &Summary) -> String {
    let span = |seconds: f64| Human(std::time::Duration::from_secs_f64(seconds));
    let mut text = format!("\n{} after {} of simulated time", summary.outcome, span(summary.seconds));
    let down: Vec<_> =
        summary.member_down_seconds.iter().map(|(slot, seconds)| format!("{slot} {}", span(*seconds))).collect();
    let calls: Vec<_> = summary.mutating_calls.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let total: u64 = summary.mutating_calls.values().sum();
    let down = if down.is_empty() { "none".to_owned() } else { down.join(", ") };
    let _ = write!(text, "\n  member down     {down}");
    let calls = if calls.is_empty() { String::new() } else { format!(": {}", calls.join(", ")) };
    let _ = write!(text, "\n  mutating calls  {total}{calls}");
    let _ = write!(text, "\n  passes          {}", summary.passes);
    if summary.faults > 0 {
        let _ = write!(text, "\n  faults          {}", summary.faults);
    }
    for (cluster, outcome) in &summary.beside {
        let _ = write!(text, "\n  beside          {cluster} {outcome}");
    }
    let _ = write!(text, "\n  violations      {}", summary.invariant_violations.len());
    let _ = write!(text, "\n  seed            {}", summary.seed);
    text
}

/// `minutes:seconds  slot  what  detail`.
fn at(t: f64, slot: &str, what: &str, detail: &str) -> String {
    let (minutes, seconds) = ((t / 60.0) as u64, t % 60.0);
    format!("{minutes:>3}:{seconds:04.1} {slot:<12} {what:<20} {detail}").trim_end().to_owned()
}

fn text<T: ToString>(id: &Option<T>) -> String {
    id.as_ref().map(ToString::to_string).unwrap_or_default()
}
