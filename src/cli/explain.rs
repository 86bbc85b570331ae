//! `explain`: shows every gate with its finding and its wish, for the slot whose turn it is.

use std::io::Write;

use schemars::JsonSchema;
use serde::Serialize;

use crate::face::request::{Asked, Form};
use crate::ids::{ImageId, SlotName};
use crate::input::text::{clean, clean_lines};
use crate::observed::Observation;
use crate::plan::gates::{Finding, Gate, GateName, Guards, findings};
use crate::plan::look::SlotLook;
use crate::plan::{self, Look, Plan, Stall, ahead, replacement, select};
use crate::spec::ClusterSpec;

use super::cloud;
use super::desired::{Named, unknown};
use super::format::{self, Format};
use super::from::{self, From};
use super::output::{BAD, DIM, GOOD, NAME, SO_SO, styled};
use super::plan::json::{Answer, HazardReport, Next};
use super::{Exit, Failure, Output};

/// The version of the JSON shape, counted as that of a plan is.
const FORMAT_VERSION: &str = "1.2";

const EXAMPLES: &str = "\
Examples:
  hermitcrab explain consul-prod
      Why does nothing happen? Every gate, for the slot whose turn it is
  hermitcrab explain consul-prod --blocked-only
      The same without the gates that are open
  hermitcrab explain consul-prod desired-state/prod --slot consul-c
      The same for another slot
  hermitcrab explain consul-prod -o json
      For a program
  hermitcrab explain consul-prod --blocked-only --from 127.0.0.1:8642
      By the daemon that listens there, which also knows its kill switch and what it was refused

docs/gates.md says what each gate refuses, why, and what to do.

Exit codes:
  0  the gates were asked, whatever they say
  1  there is no such cluster, its file is broken, or the cloud could not be read";

/// Show every gate, its value and what it wants, and why nothing happens
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// Ask about this slot, even if it is not this slot's turn
    #[arg(long, value_name = "SLOT")]
    slot: Option<String>,
    /// Leave out the gates that are open
    #[arg(long)]
    blocked_only: bool,
    /// The format of the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REPORT))]
    output: Format,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// The answer for one cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    format_version: &'static str,
    /// Whether the cloud and the claim could be read.
    is_seen: bool,
    /// The number of gates that were asked, and of those that are open.
    #[serde(skip)]
    counts: (usize, usize),
    cluster: String,
    /// The slot that the gates were asked about; none where the cloud could not be read.
    slot: Option<String>,
    /// The reason for that slot.
    why_this_slot: String,
    next: Next,
    gates: Vec<GateReport>,
    /// Everything that only a controller knows, and that may keep it from acting.
    not_known: Vec<NotKnown>,
    /// Every reason why the next slot may not be changed now, whatever small thing is done before.
    refusals: Vec<HazardReport>,
    /// The slot that the reasons are about; none where they are about the whole cluster.
    refusals_slot: Option<String>,
    /// Things that are there although the file does not mention them.
    notes: Vec<String>,
}

/// One gate's answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GateReport {
    gate: &'static str,
    guards: &'static str,
    open: bool,
    value: String,
    wants: String,
}

/// Something that only a controller knows.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct NotKnown {
    /// A gate's name, or what else it is.
    what: &'static str,
    /// The question that is open.
    question: &'static str,
    /// The place where the answer is found.
    ask: &'static str,
}

/// Everything that only a controller knows. A look at the files and at the cloud shows none of it.
const NOT_KNOWN: [NotKnown; 4] = [
    NotKnown {
        what: "controller",
        question: "whether one runs, and acts or only observes (`--observe`)",
        ask: "the first line of its log",
    },
    NotKnown {
        what: GateName::KillSwitch.as_str(),
        question: "whether the kill switch is thrown",
        ask: "the file that `run --kill-switch` names",
    },
    NotKnown {
        what: "lease",
        question: "which of several controllers holds the lease, if any does (`--lease`)",
        ask: "the logs of all of them",
    },
    NotKnown {
        what: "refused",
        question: "which calls the controller was refused, and is not sending again for a while",
        ask: "`failed` and `stalled` in its log",
    },
];

/// Whoever asks the gates.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// A command, which looks by itself.
    Command,
    /// A controller, which knows all of it.
    Controller,
}

impl Asker {
    fn does_not_know(self) -> &'static [NotKnown] {
        match self {
            Self::Command => &NOT_KNOWN,
            Self::Controller => &[],
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(daemon) = &args.from.from {
        let form = if args.output == Format::Json { Form::Json } else { Form::Text };
        if let Some(slot) = args.slot.as_ref().filter(|slot| from::in_path(slot) != **slot) {
            return Err(Failure::new(format!("`{}` can be no slot's name", clean(slot)))
                .hint("`hermitcrab status --from` shows the slots of each cluster"));
        }
        let slot = args.slot.iter().map(|slot| format!("slot={slot}"));
        let gates = args.blocked_only.then(|| "gates=closed".to_owned());
        let query: Vec<_> = slot.chain(gates).collect();
        let path = format!("{}?{}", from::path_of(&args.named.cluster, "explain"), query.join("&"));
        from::write(daemon, &path, form, out)?;
        return Ok(Exit::Done);
    }
    let desired = args.named.desired(out)?;
    let declared = desired.named(&args.named.cluster)?;
    if let Some(slot) = &args.slot
        && declared.slot(&SlotName::from(slot.as_str())).is_none()
    {
        return Err(unknown("slot", slot, declared.slots.iter().map(|slot| &*slot.name)));
    }
    let (spec, environment) = args.cloud.open_for(declared)?;
    let environment = environment.beside(&desired);
    let asked = Asked { slot: args.slot.clone(), only_closed: args.blocked_only };
    let explanation = explain(&spec, &environment.look(&spec), &asked, Asker::Command);
    if args.output == Format::Json {
        out.json(&explanation)?;
    } else {
        out.text(&text(&explanation))?;
    }
    Ok(if explanation.is_seen { Exit::Done } else { Exit::Error })
}

/// Asks every gate about a slot: the one that is asked about, or the one whose turn it is.
pub(super) fn explain(spec: &ClusterSpec, seen: &Observation, asked: &Asked, asker: Asker) -> Explanation {
    let not_known = asker.does_not_know();
    let answer = plan::plan(spec, seen);
    let look = Look::at(spec, seen).look();
    let refusals = match (&look, &answer) {
        (Some(look), answer) => ahead::refusals(look, answer),
        (None, Plan::Blocked(blocked)) => Some(blocked.clone()),
        (None, _) => None,
    };
    let mut explanation = Explanation {
        format_version: FORMAT_VERSION,
        is_seen: look.is_some(),
        counts: (0, 0),
        cluster: spec.name.to_string(),
        slot: None,
        why_this_slot: "the cloud could not be read, so no gate can answer".to_owned(),
        next: Next::new(&answer),
        gates: Vec::new(),
        not_known: not_known.to_vec(),
        refusals: refusals.iter().flat_map(|refusals| &refusals.hazards).map(HazardReport::new).collect(),
        refusals_slot: refusals.and_then(|refusals| Some(refusals.slot?.to_string())),
        notes: look.as_ref().map(plan::notes).unwrap_or_default(),
    };
    if let Plan::Wait(waiting) = &answer {
        explanation.next.hint = waiting.overdue(seen.now);
    }
    if matches!(&answer, Plan::Stalled(stalls) if matches!(stalls.stall, Stall::Ended { .. })) {
        explanation.why_this_slot = "the cluster is being destroyed, so no gate is asked".to_owned();
    } else if let Some(look) = &look
        && let Some((slot, why)) = subject(look, asked.slot.as_deref())
    {
        let image = look.record.held.as_ref().filter(|claim| claim.slot == slot.spec.name).map(|claim| &claim.image);
        explanation.gates = gates(look, slot, image.unwrap_or(&spec.image), not_known);
        let open = explanation.gates.iter().filter(|gate| gate.open).count();
        explanation.counts = (explanation.gates.len(), open);
        explanation.gates.retain(|gate| !(asked.only_closed && gate.open));
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

fn gates(look: &Look<'_>, slot: &SlotLook<'_>, image: &ImageId, not_known: &[NotKnown]) -> Vec<GateReport> {
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
    let is_known = |(gate, _): &(&'static Gate, Finding)| not_known.iter().all(|it| it.what != gate.name.as_str());
    findings(look, slot, image).filter(is_known).map(report).collect()
}

/// Writes every gate for a person to read.
pub(super) fn text(explanation: &Explanation) -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = write(explanation, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn write(explanation: &Explanation, out: &mut dyn Write) -> std::io::Result<()> {
    let slot = explanation.slot.as_ref().map(|slot| format!(", slot {slot}")).unwrap_or_default();
    writeln!(out, "{}{slot}: {}", styled(NAME, &explanation.cluster), clean(&explanation.why_this_slot))?;
    let not_known = explanation.not_known.iter().map(|not_known| not_known.what.len());
    let width = explanation.gates.iter().map(|gate| gate.gate.len()).chain(not_known).max().unwrap_or_default();
    for gate in &explanation.gates {
        let mark = if gate.open { styled(GOOD, "✓") } else { styled(BAD, "✗") };
        let wants = styled(DIM, format!("wants {}", clean(&gate.wants)));
        writeln!(out, "  {mark} {:width$}  {}; {wants}", gate.gate, clean(&gate.value))?;
    }
    let (asked, open) = explanation.counts;
    if asked > 0 {
        writeln!(out, "{open} of {asked} gates are open")?;
    }
    writeln!(out)?;
    write_next(explanation, out)?;
    if !explanation.not_known.is_empty() {
        writeln!(out, "not known from here, because only a controller knows:")?;
    }
    for NotKnown { what, question, ask } in &explanation.not_known {
        writeln!(out, "  {} {what:width$}  {question}; {}", styled(SO_SO, "?"), styled(DIM, format!("see {ask}")))?;
    }
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
    if explanation.refusals.is_empty() || next.answer != Answer::Blocked {
        writeln!(out, "{answer}: {}", clean_lines(&next.text))?;
    } else {
        writeln!(out, "{answer}:")?;
    }
    if let Some(hint) = &next.hint {
        writeln!(out, "  hint: {}", clean_lines(hint))?;
    }
    if let Some(slot) = explanation.refusals_slot.as_ref().filter(|_| next.answer != Answer::Blocked) {
        writeln!(out, "then blocked: {slot} is the next slot to change, and may not begin now")?;
    }
    for refusal in &explanation.refusals {
        writeln!(out, "  {}: {}", refusal.gate, clean(&refusal.message))?;
        if let Some(hint) = &refusal.hint {
            writeln!(out, "    hint: {}", clean_lines(hint))?;
        }
    }
    Ok(())
}
