//! `notify`: tries out the receivers that `run --notify` tells.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::clock::SystemClock;
use crate::notifications::file::{Receivers, schema};
use crate::notifications::post::try_out;

use super::format::{self, Format};
use super::output::{BAD, GOOD, styled};
use super::{Exit, Failure, Output, runtime};

/// The version of the JSON shape, counted as that of a plan is.
const FORMAT_VERSION: &str = "1.0";

const EXAMPLES: &str = "\
Examples:
  hermitcrab notify test notifications.yaml
      Send each receiver a test message, and say which of them have failed and why
  hermitcrab run desired-state --state /var/lib/hermitcrab --notify notifications.yaml
      Tell them what becomes of the clusters
  hermitcrab notify schema
      Print the JSON schema of such a file

docs/notifications.md describes the file and the messages.

Exit codes of `test`:
  0  every receiver has accepted the message
  1  one has not, or the file cannot be used";

/// Try out the receivers of notifications: Slack, webhooks, e-mail, and statuses of commits on GitHub and GitLab
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send each receiver a test message; of GitHub and GitLab only read the repository, because a status would stay
    Test(Test),
    /// Print the JSON schema (draft 7) of the file
    Schema,
}

/// The arguments of `test`.
#[derive(Debug, clap::Args)]
struct Test {
    /// The file that names the receivers
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The format of what was found
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REPORT))]
    output: Format,
}

/// The findings, for a program.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Findings<'f> {
    format_version: &'static str,
    receivers: Vec<Finding<'f>>,
}

/// Whether one receiver could be told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'f> {
    name: &'f str,
    told: bool,
    /// The thing that was done, or the reason why nothing could be.
    found: &'f str,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    match &args.command {
        Command::Test(args) => args.run(out),
        Command::Schema => {
            writeln!(out.data, "{:#}", schema())?;
            Ok(Exit::Done)
        }
    }
}

/// Reads the file that names receivers.
pub fn receivers(file: &std::path::Path) -> Result<Receivers, Failure> {
    crate::notifications::file::read(file).map_err(|error| {
        Failure::new(error).hint("docs/notifications.md shows one; `hermitcrab notify schema` describes it")
    })
}

impl Test {
    fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let receivers = receivers(&self.file)?;
        let tried = runtime::start()?.block_on(try_out(&receivers, &SystemClock::start()));
        let all = receivers.all.iter().zip(&tried).map(|(receiver, tried)| match tried {
            Ok(done) => Finding { name: &receiver.name, told: true, found: done },
            Err(why) => Finding { name: &receiver.name, told: false, found: why },
        });
        let all: Vec<_> = all.collect();
        let exit = if all.iter().all(|finding| finding.told) { Exit::Done } else { Exit::Error };
        match self.output {
            Format::Json => out.json(&Findings { format_version: FORMAT_VERSION, receivers: all })?,
            _ => {
                let width = all.iter().map(|finding| finding.name.len()).max().unwrap_or_default();
                for Finding { name, told, found } in all {
                    let mark = if told { styled(GOOD, "✓") } else { styled(BAD, "✗") };
                    writeln!(out.data, "{mark} {name:width$}  {found}")?;
                }
            }
        }
        Ok(exit)
    }
}
