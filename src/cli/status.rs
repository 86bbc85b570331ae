//! `status`: one screen on each cluster, all of it true of one moment.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::plan::plan;
use crate::spec::ClusterSpec;
use crate::status::{Condition, ConditionKind, ConditionStatus, Phase, SlotStatus, Status, status};
use crate::time::clock;

use super::cloud;
use super::desired::{Desired, Paths};
use super::format::{self, Format};
use super::output::{BAD, GOOD, NAME, SO_SO, styled};
use super::{Exit, Failure, Output, wait};

/// The version of the JSON shape, counted as that of a plan is.
const FORMAT_VERSION: &str = "1.0";
/// The characters of a note that fit beside the rest of a row; `-o wide` has all of it.
const NOTE: usize = 40;

const EXAMPLES: &str = "\
Examples:
  hermitcrab status
      Every cluster below desired-state
  hermitcrab status desired-state/prod/consul.yaml -o wide
      With volumes and whole notes, for a wide terminal
  hermitcrab status desired-state/prod/consul.yaml --wait --timeout 45m
      Look again until the rollout is over, whoever carries it out
  hermitcrab status -o json
      For a program

Exit codes:
  0  every cluster is settled, under way, waiting or blocked
  1  a file cannot be used
  3  a cluster is stalled, or its desired image was rejected: a person must act
  4  not there in time (with --wait)
  5  a cluster waits for a person (with --wait)";

/// Show the status of every cluster
///
/// An image is marked ✓ if the slot's instance is as the spec wants it, and → if the instance will be replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    /// The format of the status
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::TABLE))]
    output: Format,
    #[command(flatten)]
    waiting: wait::Args,
    #[command(flatten)]
    cloud: cloud::Args,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    format_version: &'static str,
    clusters: Vec<Status>,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(&args.paths.paths, out)?;
    let waited = args.waiting.until(&desired, &args.cloud, out)?;
    let environment = args.cloud.open(&desired.specs)?.beside(&desired);
    let report = |spec: &ClusterSpec| {
        let seen = environment.look(spec);
        status(spec, &seen, &plan(spec, &seen), None)
    };
    let clusters: Vec<_> = environment.specs.iter().map(report).collect();
    let stalled = clusters.iter().any(is_stalled);
    if args.output == Format::Json {
        out.json(&Document { format_version: FORMAT_VERSION, clusters })?;
    } else {
        let screens: Vec<_> = clusters.iter().map(|status| screen(status, args.output == Format::Wide)).collect();
        out.data.write_all(screens.join("\n").as_bytes())?;
    }
    Ok(match (desired.exit(), waited) {
        (Exit::Done, Some(waited)) => waited,
        (Exit::Done, None) if stalled => Exit::Failed,
        (other, _) => other,
    })
}

fn is_stalled(status: &Status) -> bool {
    status.condition(ConditionKind::Stalled).is_some_and(|condition| condition.status == ConditionStatus::True)
}

fn screen(status: &Status, wide: bool) -> String {
    let mut screen = header(status);
    let _ = writeln!(screen, "{}", table(status, wide));
    let text = match status.phase {
        Phase::Settled => styled(GOOD, &status.answer),
        Phase::Stalled => styled(BAD, &status.answer),
        Phase::Blocked => styled(SO_SO, &status.answer),
        Phase::Replacing | Phase::RollingBack | Phase::Healing | Phase::Reconciling | Phase::Waiting => {
            status.answer.clone()
        }
    };
    let _ = writeln!(screen, "  {text}");
    screen.extend(status.hints.iter().map(|hint| format!("    hint: {hint}\n")));
    // The answer's own message is not repeated.
    let extra = |condition: &&Condition| is_remarkable(condition) && !status.answer.contains(&condition.message);
    for condition in status.conditions.iter().filter(extra) {
        let _ = writeln!(
            screen,
            "  {:?}: {:?} ({}) {}",
            condition.kind, condition.status, condition.reason, condition.message
        );
    }
    let rejected = status.slots.iter().filter(|slot| slot.rejected).map(|slot| slot.slot.to_string());
    let rejected: Vec<_> = rejected.collect();
    if !rejected.is_empty() {
        let _ =
            writeln!(screen, "  rejected: {} ({}) failed in {}", status.image, status.generation, rejected.join(", "));
    }
    if !status.orphans.is_empty() {
        let _ = writeln!(screen, "  orphaned, and left alone: {}", status.orphans.join(", "));
    }
    screen.extend(status.notes.iter().map(|note| format!("  note: {note}\n")));
    screen
}

/// Sums a cluster up: `consul-prod (prod): settled, 3 of 3 on ami-…; healthy voters 3 of 3, 2 needed, 1 may fail`.
fn header(status: &Status) -> String {
    let name = styled(NAME, &status.cluster);
    let environment = if status.environment.is_empty() { String::new() } else { format!(" ({})", status.environment) };
    let (progress, total) = (status.progress, status.progress.total);
    let needed = status.needed;
    let known =
        status.condition(ConditionKind::QuorumHealthy).is_some_and(|quorum| quorum.status != ConditionStatus::Unknown);
    let healthy = status.slots.iter().filter(|slot| slot.counts_as_healthy()).count();
    let margin = match (known, healthy.checked_sub(needed)) {
        (false, _) => "healthy voters not known".to_owned(),
        (true, Some(margin)) => format!("healthy voters {healthy} of {total}, {needed} needed, {margin} may fail"),
        (true, None) => format!("healthy voters {healthy} of {total}, {needed} needed: no quorum"),
    };
    let (phase, image) = (status.phase, &status.image);
    format!(
        "{name}{environment}: {phase}, {} of {} on {image}; {margin}\n  at {}\n",
        progress.updated,
        progress.total,
        clock(status.at),
    )
}

/// Writes one row a slot, always in one line.
fn table(status: &Status, wide: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec![" SLOT", "ZONE", "INSTANCE", "STATE", "IMAGE", "ROLE", "HEALTH", "NOTE"];
    if wide {
        header.insert(5, "VOLUMES");
    }
    table.set_header(header);
    for slot in &status.slots {
        let mark = if slot.current { "✓" } else { "→" };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let health = cut(&slot.health.to_string(), wide);
        let mut row = vec![
            format!(" {}", slot.slot),
            slot.zone.to_string(),
            or_dash(slot.instance.as_ref().map(ToString::to_string)),
            or_dash(slot.state.map(|state| state.to_string())),
            format!("{mark} {}", or_dash(slot.image.as_ref().map(ToString::to_string))),
            slot.role.to_string(),
            health,
            cut(&note(slot), wide),
        ];
        if wide {
            row.insert(5, slot.volumes.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        }
        table.add_row(row);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn note(slot: &SlotStatus) -> String {
    let notes = [(slot.claimed, "being replaced"), (slot.rejected, "the desired generation failed here")];
    notes.iter().filter(|(applies, _)| *applies).map(|(_, note)| *note).collect::<Vec<_>>().join(", ")
}

fn cut(text: &str, wide: bool) -> String {
    let line = text.replace('\n', " ");
    if wide || line.chars().count() <= NOTE { line } else { line.chars().take(NOTE - 1).chain(['…']).collect() }
}

/// Says whether a condition is worth a line: where it is not as it is in a settled cluster.
fn is_remarkable(condition: &Condition) -> bool {
    let wished = match condition.kind {
        ConditionKind::Ready | ConditionKind::QuorumHealthy => ConditionStatus::True,
        ConditionKind::Stalled | ConditionKind::Suspended | ConditionKind::AwaitingApproval => ConditionStatus::False,
        ConditionKind::Reconciling => return false,
    };
    condition.status != wished
}
