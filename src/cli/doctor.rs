//! `doctor`: checks everything that a rollout will need, before there is one.

use std::io::Write;

use serde::Serialize;

use crate::spec::ClusterSpec;

use super::cloud;
use super::desired::{Desired, Paths};
use super::format::{self, Format};
use super::output::{BAD, DIM, GOOD, NAME, SO_SO, styled};
use super::{Exit, Failure, Output};

mod addresses;
mod checks;
mod encryption;
mod permissions;
mod vcpus;

use checks::{Check, Verdict};

/// The version of the JSON shape, counted as that of a plan is.
const FORMAT_VERSION: &str = "1.0";

const EXAMPLES: &str = "\
Examples:
  hermitcrab doctor desired-state/prod
      Check the credentials, what they may do, what can be reached, and what would block a rollout
  hermitcrab doctor desired-state/prod -o json
      For a program
  hermitcrab doctor --cloud simulated
      The same for a simulated world, without an AWS account

Permissions are asked about with DryRun: nothing is changed. A line with · says what there is nothing to check of yet, or no
way to ask about; nothing is wrong. A question that AWS finds one too many is asked once more after five seconds.

Exit codes:
  0  nothing would block a rollout
  1  something would, or could not be checked";

/// Check everything that a rollout will need, and say what would block it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    /// The format of the checks
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REPORT))]
    output: Format,
    #[command(flatten)]
    cloud: cloud::Args,
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
    let desired = Desired::read(&args.paths.paths, out)?;
    let mut cloud = args.cloud.clone();
    cloud.aws.patient = true;
    let environment = cloud.open(&desired.specs)?;
    let examine = |spec: &ClusterSpec| {
        let mut checks = permissions::permissions(&environment.allowed(spec));
        checks.extend(environment.time(spec).map(|theirs| checks::clock(environment.now(), theirs)));
        let seen = environment.look(spec);
        checks.extend(checks::of(spec, &seen));
        checks.extend(addresses::checks(spec, &seen, environment.subnets(spec)));
        checks.extend(encryption::check(spec, environment.ebs_defaults(spec)));
        checks.extend(vcpus::check(spec, environment.vcpus(spec)));
        checks.extend(checks::protection(&environment.protected(spec, &checks::to_be_replaced(spec, &seen))));
        Examined { cluster: spec.name.to_string(), checks }
    };
    let clusters = environment.specs.iter().map(examine).collect();
    let document = Document { format_version: FORMAT_VERSION, clusters };
    if args.output == Format::Json {
        out.json(&document)?;
    } else {
        document.clusters.iter().try_for_each(|examined| write(examined, &mut out.data))?;
    }
    let well = !document.clusters.iter().flat_map(|examined| &examined.checks).any(Check::is_amiss);
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
            Verdict::Open => styled(DIM, "·"),
        };
        writeln!(out, "  {mark} {:width$}  {}", check.what, check.found)?;
        if let Some(hint) = &check.hint {
            writeln!(out, "    {:width$}  {}", "", styled(DIM, format!("hint: {hint}")))?;
        }
    }
    let bad = examined.checks.iter().filter(|check| check.is_amiss()).count();
    match bad {
        0 => writeln!(out, "  nothing would block a rollout"),
        1 => writeln!(out, "  1 check did not pass"),
        more => writeln!(out, "  {more} checks did not pass"),
    }
}
