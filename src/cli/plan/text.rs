//! A plan on a terminal: the counts first, then what comes next, then every slot in its order.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use crate::cli::output::{BAD, DIM, GOOD, NAME, SO_SO, styled};
use crate::time::Human;

use super::headline::headline;
use super::json::{
    AddressMove, Answer, ApprovalPolicy, ClusterPlan, Document, GrowthReport, HeldBack, Next, ReasonKind, SlotPlan,
    StepReport, VolumeMove,
};

/// Renders all plans, with an empty line between them.
pub fn render(document: &Document) -> String {
    let plans: Vec<_> = document.plans.iter().map(|plan| Text(plan).to_string()).collect();
    plans.join("\n")
}

struct Text<'a>(&'a ClusterPlan);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let name = styled(NAME, &plan.cluster);
        writeln!(f, "{name} ({}): {}", place(plan), headline(plan))?;
        write_next(f, plan)?;
        if let Some(approval) = approvals(plan) {
            writeln!(f, "  {}: {approval}", styled(SO_SO, "approval needed"))?;
        }
        if let Some(held_back) = held_back(plan) {
            writeln!(f, "  {held_back}")?;
        }
        if let Some(reason) = &plan.held_back_because {
            writeln!(f, "  {}: {reason}", styled(SO_SO, "reason"))?;
        }
        plan.notes.iter().try_for_each(|note| writeln!(f, "  {}: {note}", styled(SO_SO, "note")))?;
        if let Some(orphans) = orphans(plan) {
            writeln!(f, "  {}: {orphans}", styled(SO_SO, "orphaned, and left alone"))?;
        }
        plan.growths.iter().try_for_each(|growth| writeln!(f, "  {}", grows(growth)))?;
        for (index, slot) in plan.slots.iter().enumerate() {
            writeln!(f)?;
            write_slot(f, index + 1, slot)?;
        }
        Ok(())
    }
}

fn place(plan: &ClusterPlan) -> String {
    match plan.environment.is_empty() {
        true => plan.region.clone(),
        false => format!("{}, {}", plan.environment, plan.region),
    }
}

/// Says which approvals the rest of the rollout takes, and how each is given.
pub fn approvals(plan: &ClusterPlan) -> Option<String> {
    let now = plan.approval_needed.as_ref().map(|id| match plan.approval.policy {
        ApprovalPolicy::EverySlot => format!("{id}, for the next slot"),
        ApprovalPolicy::Never | ApprovalPolicy::Canary => id.clone(),
    });
    let (later, more) = (plan.approval.later.join(", "), if now.is_some() { " more" } else { "" });
    let later = (!later.is_empty()).then(|| match plan.approval.policy {
        ApprovalPolicy::EverySlot => format!("one{more} before each of {later}, when it is its turn"),
        ApprovalPolicy::Never | ApprovalPolicy::Canary => {
            format!("one before {later}, once the first slot has settled")
        }
    });
    match (now, later) {
        (Some(now), Some(later)) => Some(format!("{now}; {later}")),
        (now, later) => now.or(later),
    }
}

/// Says what the file keeps back, unless a refusal says so already.
pub fn held_back(plan: &ClusterPlan) -> Option<&'static str> {
    let said = plan.hazards.iter().any(|hazard| matches!(hazard.gate.as_str(), "suspended" | "frozen"));
    match plan.held_back.filter(|_| !said)? {
        HeldBack::Suspended => Some("suspended: no upgrade is begun; healing goes on"),
        HeldBack::Frozen => Some("frozen: nothing at all is done"),
    }
}

/// Names what is left of slots that are no longer declared, e.g. `consul-c (i-1, vol-1)`.
pub fn orphans(plan: &ClusterPlan) -> Option<String> {
    let mut by_slot = BTreeMap::<&str, Vec<&str>>::new();
    for orphan in &plan.orphans {
        by_slot.entry(orphan.slot.as_deref().unwrap_or("no slot")).or_default().push(&orphan.id);
    }
    let told: Vec<_> = by_slot.iter().map(|(slot, ids)| format!("{slot} ({})", ids.join(", "))).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Says how a volume grows.
pub fn grows(growth: &GrowthReport) -> String {
    let GrowthReport { slot, name, volume, from_gib, to_gib } = growth;
    format!("volume {name} of {slot} ({volume}) grows from {from_gib} to {to_gib} GiB where it is")
}

fn write_next(f: &mut fmt::Formatter<'_>, plan: &ClusterPlan) -> fmt::Result {
    let Next { answer, text, hint, slot, .. } = &plan.next;
    match answer {
        Answer::Settled => writeln!(f, "  {}: {text}", styled(GOOD, "settled"))?,
        Answer::Act => writeln!(f, "  {}: {text}", styled(GOOD, "next"))?,
        Answer::Wait => writeln!(f, "  {}: waiting {text}", styled(SO_SO, "next"))?,
        Answer::Stalled => writeln!(f, "  {}: {text}", styled(BAD, "stalled"))?,
        Answer::Blocked => {
            let which = slot.as_ref().map(|slot| format!(" {slot} is next, and may not begin now")).unwrap_or_default();
            writeln!(f, "  {}:{which}", styled(SO_SO, "blocked"))?;
        }
    }
    if let Some(hint) = hint {
        writeln!(f, "    hint: {hint}")?;
    }
    if let Some(follows) = plan.hazards_slot.as_ref().filter(|_| *answer != Answer::Blocked) {
        writeln!(
            f,
            "  {}: {follows} is the next slot to change, and may not begin now",
            styled(SO_SO, "then blocked")
        )?;
    }
    for hazard in &plan.hazards {
        writeln!(f, "    {} {}: {}", styled(BAD, "✗"), hazard.gate, hazard.message)?;
        if let Some(hint) = &hazard.hint {
            writeln!(f, "      hint: {hint}")?;
        }
    }
    Ok(())
}

fn write_slot(f: &mut fmt::Formatter<'_>, place: usize, slot: &SlotPlan) -> fmt::Result {
    writeln!(f, "  {place}. {} ({}): {}", styled(NAME, &slot.slot), slot.zone, why(slot))?;
    for drift in &slot.reason.drifts {
        writeln!(f, "     {} {} → {}", drift.field, drift.from, drift.to)?;
    }
    for volume in &slot.volumes {
        writeln!(f, "     {}", movement(volume))?;
    }
    if let Some(address) = &slot.address {
        writeln!(f, "     {}", movement_of_address(address))?;
    }
    if let Some(old) = &slot.from.instance {
        writeln!(f, "     {} {old}, once its replacement has proved itself", styled(BAD, "terminates"))?;
    }
    let quorum = &slot.quorum;
    writeln!(
        f,
        "     healthy voters {} → {} → {} of {}, {} needed; member down about {}, {} in all",
        quorum.before,
        quorum.during,
        quorum.after,
        quorum.declared,
        quorum.needed,
        span(slot.member_down_seconds),
        span(slot.takes_seconds),
    )?;
    if let Some(ahead) = launched_ahead(slot) {
        writeln!(f, "     {ahead}")?;
    }
    let width = slot.steps.iter().map(|step| step.action.len()).max().unwrap_or_default();
    let mut numbered = slot.steps.iter().enumerate();
    numbered.try_for_each(|(index, step)| write_step(f, index + 1, step, width, quorum.declared))
}

fn write_step(f: &mut fmt::Formatter<'_>, place: usize, step: &StepReport, width: usize, of: usize) -> fmt::Result {
    let (takes, voters) = (span(step.takes_seconds), step.healthy_voters);
    let mut line = format!("     {place:>4}  {:width$}  {takes:>6}  {voters} of {of} voters", step.action);
    let notes = [(step.member_down, "member down"), (step.destructive, "cannot be undone")];
    for (_, note) in notes.iter().filter(|(applies, _)| *applies) {
        write!(line, "  {}", styled(DIM, note))?;
    }
    writeln!(f, "{line}")
}

/// Says that the slot's new instance is launched before its turn, if it is.
pub fn launched_ahead(slot: &SlotPlan) -> Option<String> {
    let ahead = span(slot.launch_ahead_seconds);
    (slot.launch_ahead_seconds > 0)
        .then(|| format!("launched ahead, about {ahead} of it while the slot before proves itself"))
}

/// Says why the slot is changed, and why it is the slot's turn.
pub fn why(slot: &SlotPlan) -> String {
    match (slot.reason.kind, &slot.reason.rank) {
        (ReasonKind::UnderWay, _) => "its replacement has begun, and is finished first".to_owned(),
        (ReasonKind::Empty, _) => "the slot has no instance, and is given one before any upgrade".to_owned(),
        (ReasonKind::Outdated, Some(rank)) => rank.clone(),
        (ReasonKind::Outdated, None) => "outdated".to_owned(),
    }
}

/// Says from where to where a volume moves.
pub fn movement(volume: &VolumeMove) -> String {
    let to = volume.to.as_deref().unwrap_or("its new instance");
    match (&volume.volume, &volume.from) {
        (Some(id), Some(from)) => format!("volume {} ({id}) moves from {from} to {to}", volume.name),
        (Some(id), None) => format!("volume {} ({id}) is attached to {to}", volume.name),
        (None, _) => format!("volume {} is created blank and attached to {to}", volume.name),
    }
}

/// Says from where to where a fixed address moves.
pub fn movement_of_address(moved: &AddressMove) -> String {
    let to = moved.to.as_deref().unwrap_or("its new instance");
    match &moved.from {
        Some(from) if *from == to => format!("address {} is at {to}", moved.address),
        Some(from) => format!("address {} moves from {from} to {to}", moved.address),
        None => format!("address {} is given to {to}", moved.address),
    }
}

/// Writes seconds as a person does.
pub fn span(seconds: u64) -> Human {
    Human(Duration::from_secs(seconds))
}
