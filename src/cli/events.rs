//! `events`: shows what a daemon has seen and done, from the log that it writes.

use std::io::Write;

use serde::Serialize;

use crate::history::record::{FORMAT_VERSION, Record};
use crate::time::clock;

use super::format::{self, Format};
use super::output::rows;
use super::state::Recorded;
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab events --state /var/lib/hermitcrab
      Every event of every cluster, the oldest first
  hermitcrab events consul-prod --state /var/lib/hermitcrab --last 20
      The latest twenty events of one cluster
  hermitcrab events --state /var/lib/hermitcrab -o jsonl | jq -c 'select(.result == \"failed\")'
      For a program: one JSON object a line, here the calls that failed
  hermitcrab events consul-prod --from 127.0.0.1:8642
      What the daemon that listens there has in memory";

/// Show what happened to the clusters, as the daemon has written it down
///
/// `run --state DIR` writes the log. It keeps about 64 MiB, the newest; what repeats itself is shown once, with how often and
/// until when. The log can be read while the daemon runs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    recorded: Recorded,
    /// Only the newest events
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// The format of the events; schema/event.v1.json is the schema of one
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::LOG))]
    output: Format,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    format_version: &'static str,
    events: &'a [Record],
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let records = args.recorded.read(out)?;
    let skipped = args.last.map_or(0, |last| records.len().saturating_sub(last));
    let records = &records[skipped..];
    match args.output {
        Format::Json => out.json(&Document { format_version: FORMAT_VERSION, events: records })?,
        Format::Jsonl => records.iter().try_for_each(|record| writeln!(out.data, "{}", record.line()))?,
        _ if records.is_empty() => writeln!(out.data, "no events")?,
        _ => writeln!(out.data, "{}", table(records))?,
    }
    Ok(Exit::Done)
}

/// Writes a row an event.
fn table(records: &[Record]) -> String {
    let or_dash = |text: Option<&str>| text.unwrap_or("–").to_owned();
    let row = |record: &Record| {
        [clock(record.at), or_dash(record.cluster.as_deref()), or_dash(record.what.slot()), record.words()]
    };
    rows(["WHEN", "CLUSTER", "SLOT", "WHAT"], records.iter().map(row))
}
