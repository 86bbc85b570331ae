//! `history`: shows the rollouts of the clusters, read off the log that a daemon writes.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};

use crate::history::rollout::{Kind, Make, Outcome, Rollout, document, rollouts};
use crate::time::{Human, clock, elapsed};

use super::format::{self, Format};
use super::state::Recorded;
use super::{Exit, Failure, Output, picture};

const EXAMPLES: &str = "\
Examples:
  hermitcrab history --state /var/lib/hermitcrab
      The rollouts of every cluster, the oldest first
  hermitcrab history consul-prod --state /var/lib/hermitcrab -o json
      Those of one cluster with their slots, for a program
  hermitcrab history consul-prod --state /var/lib/hermitcrab --picture rollout.svg
      Draw the latest one: which slot stood where when, for how long its member was down, and how many might have failed";

/// Show the rollouts of the clusters: from which image to which, when, how they ended, and for how long members were down
///
/// Rollouts are read off the events that `run --state DIR` writes, so one is shown for as long as its events are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    recorded: Recorded,
    /// Only the newest rollouts
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Draw the newest of them as a time line, an SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// The format of the rollouts; schema/history.v1.json is the schema of their JSON
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::LOG))]
    output: Format,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let records = args.recorded.read(out)?;
    let mut rollouts = rollouts(&records);
    let skipped = args.last.map_or(0, |last| rollouts.len().saturating_sub(last));
    rollouts.drain(..skipped);
    if let (Some(path), Some(newest)) = (&args.picture, rollouts.last()) {
        picture::of(path, newest, &records)?;
    }
    match args.output {
        Format::Json => out.json(&document(rollouts))?,
        Format::Jsonl => rollouts.iter().try_for_each(|rollout| out.json_line(rollout))?,
        _ if rollouts.is_empty() => writeln!(out.data, "no rollouts")?,
        _ => {
            writeln!(out.data, "{}", table(&rollouts))?;
            rollouts.iter().try_for_each(|rollout| out.data.write_all(notes(rollout).as_bytes()))?;
        }
    }
    Ok(Exit::Done)
}

/// Writes a row a rollout. On a terminal the columns keep to its width; elsewhere each rollout has one line.
fn table(rollouts: &[Rollout]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["STARTED", "CLUSTER", "WHAT", "TOOK", "OUTCOME", "MEMBER DOWN", "APPROVAL"]);
    for rollout in rollouts {
        let took = rollout.ended.map(|ended| Human(elapsed(ended, rollout.started)).to_string());
        table.add_row([
            clock(rollout.started),
            rollout.cluster.clone(),
            what(rollout),
            took.unwrap_or_else(|| "–".to_owned()),
            outcome(rollout.outcome).to_owned(),
            down(rollout),
            rollout.approval.clone().unwrap_or_else(|| "–".to_owned()),
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn what(rollout: &Rollout) -> String {
    let to = make(&rollout.to);
    match (rollout.kind, &rollout.from) {
        (Kind::Heal, _) => format!("healed with {to}"),
        (Kind::Create, _) => format!("created with {to}"),
        (Kind::Upgrade, None) => format!("to {to}"),
        (Kind::Upgrade, Some(from)) if from.image == rollout.to.image => format!("other settings, on {to}"),
        (Kind::Upgrade, Some(from)) => format!("{} → {to}", make(from)),
    }
}

fn make(make: &Make) -> String {
    match &make.version {
        Some(version) => format!("{} ({version})", make.image),
        None => make.image.clone(),
    }
}

/// For how long the member of each slot was down, e.g. `consul-a 31s, consul-b 29s`.
fn down(rollout: &Rollout) -> String {
    let slots = rollout.slots.iter().filter_map(|slot| Some((&slot.slot, slot.member_down_seconds?)));
    let spans: Vec<_> =
        slots.map(|(slot, seconds)| format!("{slot} {}", Human(Duration::from_secs(seconds)))).collect();
    if spans.is_empty() { "–".to_owned() } else { spans.join(", ") }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Settled => "settled",
        Outcome::TakenBack => "taken back",
        Outcome::Superseded => "superseded",
        Outcome::UnderWay => "under way",
        Outcome::Blocked => "blocked",
        Outcome::Stalled => "stalled",
    }
}

/// Says below the table which revision asked for a rollout, and why it failed, or does not go on.
fn notes(rollout: &Rollout) -> String {
    let failed =
        |slot: &crate::history::rollout::SlotRollout| Some(format!("{} failed: {}", slot.slot, slot.failed.as_ref()?));
    let revision = rollout.revision.iter().map(|revision| format!("revision {revision}"));
    let told = revision.chain(rollout.slots.iter().filter_map(failed)).chain(rollout.answer.clone());
    told.map(|told| format!("  {} of {}: {told}\n", rollout.cluster, clock(rollout.started))).collect()
}
