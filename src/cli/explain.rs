//! `explain`: every gate with what it found and what it wants, for the slot whose turn it is.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use crate::ids::SlotName;
use crate::observed::Observation;
use crate::plan::gates::{Guards, findings};
use crate::plan::look::SlotLook;
use crate::plan::{Look, Plan, Stall, plan, replacement, select};
use crate::spec::ClusterSpec;

use super::cloud;
use super::desired::{Desired, unknown};
use super::output::{BAD, DIM, GOOD, NAME, styled};
use super::plan::json::{HazardReport, Next};
use super::{Exit, Failure, Output};

/// The version of the JSON shape; the rule is the plan's.
const FORMAT_VERSION: &str = "1.0";

const EXAMPLES: &str = "\
Examples:
  hermitcrab explain consul-prod
      Why does nothing happen? Every gate, for the slot whose turn it is
  hermitcrab explain consul-prod desired-state/prod --slot consul-c
      The same for another slot
  hermitcrab explain consul-prod -o json
      For a program

docs/gates.md says of each gate what it refuses, why, and what to do.";

/// Show every gate, its value and what it wants, and why nothing happens
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The cluster's name
    cluster: String,
    /// Its desired-state file, or a folder that it lies in
    #[arg(value_name = "PATH", default_value = "desired-state")]
    path: PathBuf,
    /// Ask about this slot, whosever turn it is
    #[arg(long, value_name = "SLOT")]
    slot: Option<String>,
    /// How it is written
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
    #[command(flatten)]
    cloud: cloud::Args,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// A gate a line
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// What is said about one cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    format_version: &'static str,
    cluster: String,
    /// The slot that the gates were asked about; none where the world could not be seen.
    slot: Option<String>,
    /// Why that slot.
    why_this_slot: String,
    next: Next,
    gates: Vec<GateReport>,
    /// Why the next pass does not act; all reasons.
    refusals: Vec<HazardReport>,
}

/// One gate's answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GateReport {
    gate: &'static str,
    guards: &'static str,
    open: bool,
    value: String,
    wants: String,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(std::slice::from_ref(&args.path), out)?;
    let declared = desired.named(&args.cluster)?;
    if let Some(slot) = &args.slot
        && declared.slot(&SlotName::from(slot.as_str())).is_none()
    {
        return Err(unknown("slot", slot, declared.slots.iter().map(|slot| &*slot.name)));
    }
    let scene = args.cloud.open(std::slice::from_ref(declared))?;
    let spec = scene.specs.first().unwrap_or(declared);
    let explanation = explain(spec, &scene.look(spec), args.slot.as_deref());
    match args.output {
        Format::Text => write(&explanation, &mut out.data)?,
        Format::Json => out.json(&explanation)?,
    }
    Ok(Exit::Done)
}

fn explain(spec: &ClusterSpec, seen: &Observation, asked: Option<&str>) -> Explanation {
    let answer = plan(spec, seen);
    let mut explanation = Explanation {
        format_version: FORMAT_VERSION,
        cluster: spec.name.to_string(),
        slot: None,
        why_this_slot: "the world could not be seen, so there is nothing to ask about".to_owned(),
        next: Next::new(&answer),
        gates: Vec::new(),
        refusals: match &answer {
            Plan::Blocked(blocked) => blocked.hazards.iter().map(HazardReport::new).collect(),
            Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Stalled(_) => Vec::new(),
        },
    };
    if let Plan::Wait(waiting) = &answer {
        explanation.next.hint = waiting.overdue(seen.now);
    }
    if let Plan::Stalled(Stall::Ended { .. }) = answer {
        explanation.why_this_slot = "it has been put an end to, so no gate matters any more".to_owned();
    } else if let Some(look) = Look::at(spec, seen).look()
        && let Some((slot, why)) = subject(&look, asked)
    {
        let image = look.record.held.as_ref().filter(|claim| claim.slot == slot.spec.name).map(|claim| &claim.image);
        explanation.gates = gates(&look, slot, image.unwrap_or(&spec.image));
        explanation.slot = Some(slot.spec.name.to_string());
        explanation.why_this_slot = why;
    }
    explanation
}

/// The slot to ask about, and why that one.
fn subject<'l, 'a>(look: &'l Look<'a>, asked: Option<&str>) -> Option<(&'l SlotLook<'a>, String)> {
    if let Some(asked) = asked {
        return Some((look.slot(&SlotName::from(asked))?, "it was asked about".to_owned()));
    }
    let claimed = look.record.held.as_ref().and_then(|claim| look.slot(&claim.slot));
    if let Some(slot) = claimed {
        let at = replacement::step(look).map(|step| format!(" at the step `{step}`")).unwrap_or_default();
        return Some((slot, format!("it is claimed: its replacement is under way{at}")));
    }
    if let Some(next) = select::order(look).into_iter().next() {
        let drifts = next.drifts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Some((next.slot, format!("it is the first outdated one ({}): {drifts}", next.rank)));
    }
    let why = "no slot is outdated, so none is next; this is what the gates would say of the first";
    Some((look.slots.first()?, why.to_owned()))
}

fn gates(look: &Look<'_>, slot: &SlotLook<'_>, image: &crate::ids::ImageId) -> Vec<GateReport> {
    let report = |(gate, finding): (&'static crate::plan::gates::Gate, crate::plan::gates::Finding)| GateReport {
        gate: gate.name.as_str(),
        guards: match gate.guards() {
            Guards::Upgrade => "upgrade",
            Guards::Repair => "repair",
            Guards::Everything => "everything",
        },
        open: finding.hazard.is_none(),
        value: finding.value,
        wants: finding.wants,
    };
    findings(look, slot, image).map(report).collect()
}

fn write(explanation: &Explanation, out: &mut dyn Write) -> std::io::Result<()> {
    let slot = explanation.slot.as_ref().map(|slot| format!(", slot {slot}")).unwrap_or_default();
    writeln!(out, "{}{slot}: {}", styled(NAME, &explanation.cluster), explanation.why_this_slot)?;
    let width = explanation.gates.iter().map(|gate| gate.gate.len()).max().unwrap_or_default();
    for gate in &explanation.gates {
        let mark = if gate.open { styled(GOOD, "✓") } else { styled(BAD, "✗") };
        let wants = styled(DIM, format!("wants {}", gate.wants));
        writeln!(out, "  {mark} {:width$}  {}; {wants}", gate.gate, gate.value)?;
    }
    if !explanation.gates.is_empty() {
        let open = explanation.gates.iter().filter(|gate| gate.open).count();
        writeln!(out, "{open} of {} gates are open", explanation.gates.len())?;
    }
    writeln!(out)?;
    let next = &explanation.next;
    let answer = match next.answer {
        super::plan::json::Answer::Act => "next",
        super::plan::json::Answer::Settled => "settled",
        super::plan::json::Answer::Wait => "waiting",
        super::plan::json::Answer::Blocked => "blocked",
        super::plan::json::Answer::Stalled => "stalled",
    };
    match explanation.refusals.is_empty() {
        true => writeln!(out, "{answer}: {}", next.text)?,
        false => writeln!(out, "{answer}:")?,
    }
    if let Some(hint) = &next.hint {
        writeln!(out, "  hint: {hint}")?;
    }
    for refusal in &explanation.refusals {
        writeln!(out, "  {}: {}", refusal.gate, refusal.message)?;
        if let Some(hint) = &refusal.hint {
            writeln!(out, "    hint: {hint}")?;
        }
    }
    Ok(())
}
