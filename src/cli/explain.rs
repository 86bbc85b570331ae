//! `explain`: shows every gate with its finding and its wish, for the slot whose turn it is.

use std::io::Write;

use serde::Serialize;

use crate::ids::{ImageId, SlotName};
use crate::input::text::{clean, clean_lines};
use crate::observed::Observation;
use crate::plan::gates::{Finding, Gate, Guards, findings};
use crate::plan::look::SlotLook;
use crate::plan::{self, Look, Plan, Stall, replacement, select};
use crate::spec::ClusterSpec;

use super::cloud;
use super::desired::{Named, unknown};
use super::format::{self, Format};
use super::output::{BAD, DIM, GOOD, NAME, styled};
use super::plan::json::{Answer, HazardReport, Next};
use super::{Exit, Failure, Output};

/// The version of the JSON shape, counted as that of a plan is.
const FORMAT_VERSION: &str = "1.1";

const EXAMPLES: &str = "\
Examples:
  hermitcrab explain consul-prod
      Why does nothing happen? Every gate, for the slot whose turn it is
  hermitcrab explain consul-prod desired-state/prod --slot consul-c
      The same for another slot
  hermitcrab explain consul-prod -o json
      For a program

docs/gates.md says what each gate refuses, why, and what to do.";

/// Show every gate, its value and what it wants, and why nothing happens
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// Ask about this slot, even if it is not this slot's turn
    #[arg(long, value_name = "SLOT")]
    slot: Option<String>,
    /// The format of the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REPORT))]
    output: Format,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// The answer for one cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    format_version: &'static str,
    cluster: String,
    /// The slot that the gates were asked about; none where the cloud could not be read.
    slot: Option<String>,
    /// The reason for that slot.
    why_this_slot: String,
    next: Next,
    gates: Vec<GateReport>,
    /// All reasons why the next pass does not act.
    refusals: Vec<HazardReport>,
    /// Things that are there although the file does not mention them.
    notes: Vec<String>,
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
    let desired = args.named.desired(out)?;
    let declared = desired.named(&args.named.cluster)?;
    if let Some(slot) = &args.slot
        && declared.slot(&SlotName::from(slot.as_str())).is_none()
    {
        return Err(unknown("slot", slot, declared.slots.iter().map(|slot| &*slot.name)));
    }
    let (spec, environment) = args.cloud.open_for(declared)?;
    let environment = environment.beside(&desired);
    let explanation = explain(&spec, &environment.look(&spec), args.slot.as_deref());
    if args.output == Format::Json {
        out.json(&explanation)?;
    } else {
        write(&explanation, &mut out.data)?;
    }
    Ok(Exit::Done)
}

fn explain(spec: &ClusterSpec, seen: &Observation, asked: Option<&str>) -> Explanation {
    let answer = plan::plan(spec, seen);
    let mut explanation = Explanation {
        format_version: FORMAT_VERSION,
        cluster: spec.name.to_string(),
        slot: None,
        why_this_slot: "the cloud could not be read, so no gate can answer".to_owned(),
        next: Next::new(&answer),
        gates: Vec::new(),
        refusals: match &answer {
            Plan::Blocked(blocked) => blocked.hazards.iter().map(HazardReport::new).collect(),
            Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Stalled(_) => Vec::new(),
        },
        notes: Look::at(spec, seen).look().as_ref().map(plan::notes).unwrap_or_default(),
    };
    if let Plan::Wait(waiting) = &answer {
        explanation.next.hint = waiting.overdue(seen.now);
    }
    if let Plan::Stalled(Stall::Ended { .. }) = answer {
        explanation.why_this_slot = "the cluster is being destroyed, so no gate is asked".to_owned();
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

/// Chooses the slot to ask about, with the reason.
fn subject<'l, 'a>(look: &'l Look<'a>, asked: Option<&str>) -> Option<(&'l SlotLook<'a>, String)> {
    if let Some(asked) = asked {
        return Some((look.slot(&SlotName::from(asked))?, "named by --slot".to_owned()));
    }
    let claimed = look.record.held.as_ref().and_then(|claim| look.slot(&claim.slot));
    if let Some(slot) = claimed {
        let at = replacement::step(look).map(|step| format!(", at the step `{step}`")).unwrap_or_default();
        return Some((slot, format!("claimed: the replacement of its instance is under way{at}")));
    }
    if let Some(next) = select::order(look).into_iter().next() {
        let drifts = next.drifts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Some((next.slot, format!("the first outdated slot ({}): {drifts}", next.rank)));
    }
    let why = "no slot is outdated, so none is next; these are the gates' answers for the first slot";
    Some((look.slots.first()?, why.to_owned()))
}

fn gates(look: &Look<'_>, slot: &SlotLook<'_>, image: &ImageId) -> Vec<GateReport> {
    let report = |(gate, finding): (&'static Gate, Finding)| GateReport {
        gate: gate.name.as_str(),
        guards: match gate.guards() {
            Guards::Creation => "creation",
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
    writeln!(out, "{}{slot}: {}", styled(NAME, &explanation.cluster), clean(&explanation.why_this_slot))?;
    let width = explanation.gates.iter().map(|gate| gate.gate.len()).max().unwrap_or_default();
    for gate in &explanation.gates {
        let mark = if gate.open { styled(GOOD, "✓") } else { styled(BAD, "✗") };
        let wants = styled(DIM, format!("wants {}", clean(&gate.wants)));
        writeln!(out, "  {mark} {:width$}  {}; {wants}", gate.gate, clean(&gate.value))?;
    }
    if !explanation.gates.is_empty() {
        let open = explanation.gates.iter().filter(|gate| gate.open).count();
        writeln!(out, "{open} of {} gates are open", explanation.gates.len())?;
    }
    writeln!(out)?;
    write_next(explanation, out)?;
    explanation.notes.iter().try_for_each(|note| writeln!(out, "note: {}", clean(note)))
}

/// Writes the answer of the next pass, with every refusal.
fn write_next(explanation: &Explanation, out: &mut dyn Write) -> std::io::Result<()> {
    let next = &explanation.next;
    let answer = match next.answer {
        Answer::Act => "next",
        Answer::Settled => "settled",
        Answer::Wait => "waiting",
        Answer::Blocked => "blocked",
        Answer::Stalled => "stalled",
    };
    if explanation.refusals.is_empty() {
        writeln!(out, "{answer}: {}", clean_lines(&next.text))?;
    } else {
        writeln!(out, "{answer}:")?;
    }
    if let Some(hint) = &next.hint {
        writeln!(out, "  hint: {}", clean_lines(hint))?;
    }
    for refusal in &explanation.refusals {
        writeln!(out, "  {}: {}", refusal.gate, clean(&refusal.message))?;
        if let Some(hint) = &refusal.hint {
            writeln!(out, "    hint: {}", clean_lines(hint))?;
        }
    }
    Ok(())
}
