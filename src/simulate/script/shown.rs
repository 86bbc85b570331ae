//! The answers to a story's questions: how the cluster and its Auto Scaling group stand.

use std::collections::BTreeSet;

use crate::observed::{Launches, Process};
use crate::plan::plan;
use crate::status::status;

use super::stage::Stage;

/// Says what `hermitcrab status` says, with names in the place of ids.
pub(super) fn status_of(stage: &Stage) -> String {
    let spec = stage.simulation.committed();
    let seen = stage.look();
    let status = status(&spec, &seen, &plan(&spec, &seen), None);
    let mut told = format!("{} of {} on {}\n", status.progress.updated, status.progress.total, status.image);
    for slot in &status.slots {
        let instance = slot.instance.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        let image = slot.image.as_ref().map_or_else(String::new, ToString::to_string);
        told.push_str(&format!("  {}  {instance}  {image}  {}\n", slot.slot, slot.health));
    }
    told.extend(status.orphans.iter().map(|orphan| format!("  orphaned: {orphan}\n")));
    told.extend(status.notes.iter().map(|note| format!("  note: {note}\n")));
    told.push_str(&format!("{}\n", status.answer));
    told.extend(status.hints.iter().map(|hint| format!("  hint: {hint}\n")));
    let beside = stage.simulation.standing_beside();
    told.extend(beside.iter().map(|(cluster, answer)| format!("beside it, {cluster}: {answer}\n")));
    stage.names.called(&told)
}

/// Describes an adopted group: its desired capacity, its instances and its processes.
pub(super) fn group(stage: &Stage, name: &str) -> String {
    let Some(group) = stage.world.group(name) else { return format!("no such group: {name}\n") };
    let image = match &group.launches {
        Launches::Template(template) => template.version.make.image.to_string(),
        _ => "nothing that is known".to_owned(),
    };
    let mut told = format!("wants {}, launches {image}\n", group.desired);
    told.push_str(&format!("  suspended: {}\n", joined(&group.suspended)));
    told.extend(group.resume.iter().map(|resume| format!("  to resume: {}\n", joined(resume))));
    let mut members: Vec<_> = group.members.keys().map(|id| format!("  {}\n", stage.names.called(id))).collect();
    members.sort();
    told.extend(members);
    told
}

fn joined(processes: &BTreeSet<Process>) -> String {
    if processes.is_empty() {
        return "none".to_owned();
    }
    processes.iter().map(|process| process.name()).collect::<Vec<_>>().join(" ")
}
