//! `adapter`: what whoever writes a program for the kind `command` needs.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use crate::application::command::conformance::{Finding, Trial, check};
use crate::application::command::wire;
use crate::ids::{InstanceId, SlotName};
use crate::ports::Seat;

use super::format::{self, Format};
use super::output::{BAD, DIM, GOOD, styled};
use super::run::span;
use super::{Exit, Failure, Output, runtime};

/// The version of the JSON shape, counted as that of a plan is.
const FORMAT_VERSION: &str = "1.0";

const EXAMPLES: &str = "\
Examples:
  hermitcrab adapter check adapters/rabbitmq
      Try a program out where no member runs
  hermitcrab adapter check adapters/rabbitmq --seat mq-a=10.0.1.10 --seat mq-b=10.0.2.10 --seat mq-c=10.0.3.10 \\
      --file password=secrets/rabbitmq -- --port 15672
      The same with members that it may ask, and with arguments of its own; nothing is changed
  hermitcrab adapter schema answer
      Print the JSON schema of answers

docs/applications.md describes the protocol.

Exit codes of `check`:
  0  nothing is wrong
  1  something is";

/// Try out programs that speak to members, and print what they must understand
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program through everything that the protocol asks for, and say what is wrong
    Check(Check),
    /// Print the JSON schema (draft 7) of requests or of answers
    Schema(Schema),
}

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
struct Check {
    /// The program
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    /// The arguments of the program
    #[arg(value_name = "ARG", last = true)]
    args: Vec<String>,
    /// A member that the program may ask, by its slot and its address; without any, it must say that it can ask none
    #[arg(long = "seat", value_name = "SLOT=ADDRESS", value_parser = seat)]
    seats: Vec<Seat>,
    /// A file that the program is told the path of, e.g. one with a password
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = file)]
    files: Vec<(String, String)>,
    /// The time that each run may take
    #[arg(long, value_name = "SPAN", default_value = "20s", value_parser = span)]
    timeout: Duration,
    /// The format of the findings
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REPORT))]
    output: Format,
}

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
struct Schema {
    /// The documents to describe
    #[arg(value_enum, value_name = "DOCUMENT")]
    document: Document,
}

/// A document of the protocol.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Document {
    /// The requests, which a program reads
    Request,
    /// The answers, which it writes
    Answer,
}

/// The findings, for a program.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Findings {
    format_version: &'static str,
    findings: Vec<Finding>,
}

fn seat(text: &str) -> Result<Seat, String> {
    let (slot, address) = text.split_once('=').ok_or("write SLOT=ADDRESS, e.g. mq-a=10.0.1.10")?;
    let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is no IP address"))?;
    Ok(Seat { slot: SlotName::from(slot), instance: InstanceId::from("i-conformance"), address })
}

fn file(text: &str) -> Result<(String, String), String> {
    let (name, path) = text.split_once('=').ok_or("write NAME=PATH, e.g. password=secrets/rabbitmq")?;
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), path.to_string_lossy().into_owned()))
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    match &args.command {
        Command::Check(args) => args.run(out),
        Command::Schema(Schema { document }) => {
            let schema = match document {
                Document::Request => wire::request_schema(),
                Document::Answer => wire::answer_schema(),
            };
            writeln!(out.data, "{schema:#}")?;
            Ok(Exit::Done)
        }
    }
}

impl Check {
    fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let trial = Trial {
            program: &self.program,
            args: &self.args,
            files: self.files.iter().cloned().collect(),
            timeout: self.timeout,
            seats: self.seats.clone(),
        };
        let findings = runtime::start()?.block_on(check(&trial));
        let right = findings.iter().all(|finding| finding.right);
        match self.output {
            Format::Json => out.json(&Findings { format_version: FORMAT_VERSION, findings })?,
            _ => write(&findings, out)?,
        }
        Ok(if right { Exit::Done } else { Exit::Error })
    }
}

fn write(findings: &[Finding], out: &mut Output) -> Result<(), Failure> {
    let width = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or_default();
    for finding in findings {
        let mark = if finding.right { styled(GOOD, "✓") } else { styled(BAD, "✗") };
        let mut lines = finding.found.lines();
        writeln!(out.data, "{mark} {:width$}  {}", finding.what, lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(out.data, "  {:width$}  {}", "", styled(DIM, line))?;
        }
    }
    match findings.iter().filter(|finding| !finding.right).count() {
        0 => writeln!(out.data, "nothing is wrong")?,
        1 => writeln!(out.data, "1 thing is wrong")?,
        more => writeln!(out.data, "{more} things are wrong")?,
    }
    Ok(())
}
