//! The planner's answer as the expected texts have it.

use std::fmt::Write;

use hermitcrab::action::Effect;
use hermitcrab::limits::Limits;
use hermitcrab::observed::Observation;
use hermitcrab::plan::{Goal, Plan, towards};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::{Human, Timestamp, elapsed};

/// The planner's answer with everything that a person or a port gets to see.
pub fn answer(goal: Goal, spec: &ClusterSpec, seen: &Observation) -> String {
    let plan = towards(goal, spec, seen, &Limits::DEFAULT);
    let mut told = format!("{plan}\n");
    match &plan {
        Plan::Settled => {}
        Plan::Act(action, _) => {
            let _ = writeln!(told, "  {}{}", action.effect.name(), details(&action.effect));
        }
        Plan::Wait(waiting) => {
            let (since, by) = (relative(seen.now, waiting.since), relative(seen.now, waiting.worry_at));
            let _ = writeln!(told, "  since {since}, worry {by}");
        }
        Plan::Blocked(hazards) => {
            // On lines of their own, which says more than the summary does.
            told = hazards.slot.as_ref().map_or("blocked\n".to_owned(), |slot| format!("blocked: {slot}\n"));
            for hazard in &hazards.hazards {
                let _ = writeln!(told, "  {}: {hazard}", hazard.gate());
                told.extend(hazard.hint().map(|hint| format!("    hint: {hint}\n")));
            }
            for stall in &hazards.beside {
                let _ = writeln!(told, "  {}: {stall}\n    hint: {}", stall.reason(), stall.hint());
            }
        }
        Plan::Stalled(stalls) => {
            for stall in stalls.all() {
                let _ = writeln!(told, "  {}\n    hint: {}", stall.reason(), stall.hint());
            }
        }
    }
    told
}

/// Lists the parts of an effect that its sentence does not contain.
fn details(effect: &Effect) -> String {
    let value = serde_json::to_value(effect).unwrap();
    let mut fields = Vec::new();
    flatten("", &value, &mut fields);
    fields.retain(|(name, _)| !["owner", "expects", "token", "request"].contains(&name.as_str()));
    fields.iter().fold(String::new(), |told, (name, value)| told + &format!(", {name} {value}"))
}

fn flatten(name: &str, value: &serde_json::Value, fields: &mut Vec<(String, String)>) {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Object(object) => object.iter().for_each(|(key, value)| flatten(key, value, fields)),
        Value::Array(items) => {
            let text: Vec<_> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            fields.extend((!items.is_empty()).then(|| (name.to_owned(), text.join(" "))));
        }
        Value::String(text) => fields.push((name.to_owned(), text.clone())),
        other => fields.push((name.to_owned(), other.to_string())),
    }
}

fn relative(now: Timestamp, then: Timestamp) -> String {
    match then <= now {
        true => format!("{} ago", Human(elapsed(now, then))),
        false => format!("in {}", Human(elapsed(then, now))),
    }
}
