//! `doctor`: everything that a rollout will need, looked at before there is one.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use super::cloud;
use super::desired::Desired;
use super::output::{BAD, DIM, GOOD, NAME, SO_SO, styled};
use super::{Exit, Failure, Output};

mod checks;

use checks::{Check, Verdict};

/// The version of the JSON shape; the rule is the plan's.
const FORMAT_VERSION: &str = "1.0";

const EXAMPLES: &str = "\
Examples:
  hermitcrab doctor desired-state/prod
      Whose the credentials are, what they may do, what can be reached, and what is in the way
  hermitcrab doctor desired-state/prod -o json
      For a program
  hermitcrab doctor --cloud simulated
      The same for a simulated world, without an AWS account

Permissions are asked about with DryRun: nothing is changed.

Exit codes:
  0  nothing is in the way
  1  something is, or could not be found out";

/// Look at everything that a rollout will need, and say what is in its way
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Desired-state files, or folders of them
    #[arg(value_name = "PATH", default_value = "desired-state")]
    paths: Vec<PathBuf>,
    /// How it is written
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
    #[command(flatten)]
    cloud: cloud::Args,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// A check a line
    #[default]
    Text,
    /// One JSON document
    Json,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    format_version: &'static str,
    clusters: Vec<Examined>,
}

#[derive(Serialize)]
struct Examined {
    cluster: String,
    checks: Vec<Check>,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(&args.paths, out)?;
    let scene = args.cloud.open(&desired.specs)?;
    let examine = |spec: &crate::spec::ClusterSpec| {
        let mut checks = checks::permissions(&scene.allowed(spec));
        checks.extend(scene.time(spec).map(|theirs| checks::clock(scene.now(), theirs)));
        checks.extend(checks::of(spec, &scene.look(spec)));
        Examined { cluster: spec.name.to_string(), checks }
    };
    let document = Document { format_version: FORMAT_VERSION, clusters: scene.specs.iter().map(examine).collect() };
    match args.output {
        Format::Text => document.clusters.iter().try_for_each(|examined| write(examined, &mut out.data))?,
        Format::Json => out.json(&document)?,
    }
    let well = document.clusters.iter().flat_map(|examined| &examined.checks).all(|c| c.verdict == Verdict::Good);
    Ok(if well { desired.exit() } else { Exit::Error })
}

fn write(examined: &Examined, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}", styled(NAME, &examined.cluster))?;
    let width = examined.checks.iter().map(|check| check.what.chars().count()).max().unwrap_or_default();
    for check in &examined.checks {
        let mark = match check.verdict {
            Verdict::Good => styled(GOOD, "✓"),
            Verdict::Bad => styled(BAD, "✗"),
            Verdict::Unknown => styled(SO_SO, "?"),
        };
        writeln!(out, "  {mark} {:width$}  {}", check.what, check.found)?;
        if let Some(hint) = &check.hint {
            writeln!(out, "    {:width$}  {}", "", styled(DIM, format!("hint: {hint}")))?;
        }
    }
    let bad = examined.checks.iter().filter(|check| check.verdict != Verdict::Good).count();
    match bad {
        0 => writeln!(out, "  nothing is in the way"),
        1 => writeln!(out, "  one thing is in the way"),
        more => writeln!(out, "  {more} things are in the way"),
    }
}
