//! `history`: shows the rollouts of the clusters, read off the log that a daemon writes.

use std::io::Write;
use std::path::PathBuf;

use crate::history::rollout::{Rollout, document};
use crate::input::text::clean;
use crate::time::clock;

use super::format::{self, Format};
use super::output::{rows, width};
use super::state::{Past, Recorded};
use super::{Exit, Failure, Output, file};

const EXAMPLES: &str = "\
Examples:
  hermitcrab history --state /var/lib/hermitcrab
      The rollouts of every cluster, the oldest first
  hermitcrab history consul-prod --state /var/lib/hermitcrab -o json
      Those of one cluster with their slots, for a program
  hermitcrab history consul-prod --state /var/lib/hermitcrab --picture rollout.svg
      Draw the latest one: which slot stood where when, for how long its member was down, and how many might have failed
  hermitcrab history consul-prod --from 127.0.0.1:8642
      The rollouts that the daemon that listens there has in memory";

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
    let Past { mut rollouts, source } = args.recorded.past(out)?;
    let skipped = args.last.map_or(0, |last| rollouts.len().saturating_sub(last));
    rollouts.drain(..skipped);
    if let (Some(path), Some(newest)) = (&args.picture, rollouts.last()) {
        file::put(path, &source.picture(newest)?)?;
    }
    match args.output {
        Format::Json => out.json(&document(rollouts))?,
        Format::Jsonl => rollouts.iter().try_for_each(|rollout| out.json_line(rollout))?,
        _ if rollouts.is_empty() => writeln!(out.data, "no rollouts")?,
        _ => out.text(&told(&rollouts, width()))?,
    }
    Ok(Exit::Done)
}

/// Writes a row a rollout, with what else there is to say of some below; on a terminal that is too narrow for such rows a few
/// lines a rollout.
fn told(rollouts: &[Rollout], width: Option<usize>) -> String {
    let cells: Vec<_> = rollouts.iter().map(row).collect();
    let broadest = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let needed: usize = (0..TITLES.len()).map(|column| broadest(column).max(TITLES[column].len()) + 2).sum();
    if width.is_some_and(|width| width < needed) {
        return rollouts.iter().map(lines).collect();
    }
    let of = |rollout: &Rollout| format!("  {} of {}: ", rollout.cluster, clock(rollout.started));
    let notes = rollouts.iter().flat_map(|rollout| notes(rollout).map(move |note| of(rollout) + &note));
    let notes: String = notes.map(|note| format!("{}\n", clean(&note))).collect();
    format!("{}\n{notes}", rows(TITLES, cells.into_iter()))
}

const TITLES: [&str; 7] = ["STARTED", "CLUSTER", "WHAT", "TOOK", "OUTCOME", "MEMBER DOWN", "APPROVAL"];

fn row(rollout: &Rollout) -> [String; 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    [
        clock(rollout.started),
        rollout.cluster.clone(),
        rollout.what(),
        or_dash(rollout.took().map(|took| took.to_string())),
        rollout.outcome.to_string(),
        or_dash(rollout.down()),
        or_dash(rollout.approval.clone()),
    ]
}

/// Writes a few lines on a rollout.
fn lines(rollout: &Rollout) -> String {
    let took = rollout.took().map(|took| format!(" after {took}")).unwrap_or_default();
    let head = format!("{}  {}  {}{took}", clock(rollout.started), rollout.cluster, rollout.outcome);
    let down = rollout.down().map(|down| format!("member down: {down}"));
    let approved = rollout.approval.as_ref().map(|approval| format!("approved: {approval}"));
    let more = [Some(rollout.what()), down, approved].into_iter().flatten().chain(notes(rollout));
    let lines = [head].into_iter().chain(more.map(|line| format!("  {line}")));
    lines.map(|line| format!("{}\n", clean(&line))).collect()
}

/// Says which revision asked for a rollout, and why it failed, or does not go on.
fn notes(rollout: &Rollout) -> impl Iterator<Item = String> {
    let revision = rollout.revision.iter().map(|revision| format!("revision {revision}"));
    revision.chain(rollout.troubles())
}
