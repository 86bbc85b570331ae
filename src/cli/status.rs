//! `status`: one screen on each cluster, all of it true of one moment; of many clusters one row each.

use std::collections::BTreeSet;
use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use crate::face::listen::Place;
use crate::face::request::Form;
use crate::ids::ClusterName;
use crate::input::text;
use crate::plan::plan;
use crate::spec::ClusterSpec;
use crate::status::{Attention, Status, status};

use super::cloud::{self, Environment};
use super::desired::{Desired, Only, Paths};
use super::format::{self, Format};
use super::from::{self, Fleet, From};
use super::{Exit, Failure, Output, wait};

mod fleet;
mod resource;
pub(super) mod screen;
mod table;

/// The version of the JSON shape, counted as that of a plan is.
const FORMAT_VERSION: &str = "2.1";
/// The number of clusters up to which each has a screen of its own, unless somebody asks for something else.
const FEW: usize = 4;
/// The things that only a controller knows, which this command does not ask.
const NOT_KNOWN: &str = "a running controller, its kill switch and its lease, and what it was refused";

const EXAMPLES: &str = "\
Examples:
  hermitcrab status
      Every cluster below desired-state
  hermitcrab status desired-state/prod/consul.yaml -o wide
      With volumes and whole notes, for a wide terminal
  hermitcrab status --show fleet
      One row a cluster, those that need a person first
  hermitcrab status desired-state/prod/consul.yaml --wait --timeout 45m
      Look again until the rollout is over, whoever carries it out
  hermitcrab status --detailed-exitcode > /dev/null || mail-somebody
      For an alert: fails when a person is needed, and when nothing was seen
  hermitcrab status -o json
      For a program
  hermitcrab status --from 127.0.0.1:8642
      Every cluster of the daemon that listens there, with what only the daemon knows
  hermitcrab status --from 127.0.0.1:8642 --cluster consul-prod
      One of them

Exit codes:
  0  every cluster is settled, under way, waiting or blocked
  1  a file cannot be used, or a cluster could not be seen
  3  a cluster is stalled, or its desired image was rejected: a person must act
  4  not there in time (with --wait)
  5  a cluster waits for a person, or has no quorum (with --detailed-exitcode or --wait)";

/// Show the status of every cluster
///
/// A slot is marked ✓ if its instance is as the spec wants it, and → if the instance will be replaced. Of more than four
/// clusters each has one row, and those that need a person stand first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    only: Only,
    /// The format of the status
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::STATUS))]
    output: Format,
    /// The part of each cluster that is shown as text
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    show: Show,
    /// Exit with 5 if a cluster waits for a person, or has no quorum
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    waiting: wait::Args,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// The part of each cluster that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Show {
    /// A screen for each of a few clusters, a row for each of many
    #[default]
    Auto,
    /// A row for each cluster, those that need a person first
    Fleet,
    /// A screen for each cluster, with a row for each slot
    Slots,
}

/// The document that `status -o json` writes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    format_version: &'static str,
    clusters: Vec<Status>,
    /// Clusters that were not looked at because their files are broken.
    broken: Vec<Broken>,
    /// Clusters that own resources in the regions that were looked at, and that none of the named files declares. Nothing
    /// is done to them.
    undeclared: Vec<Undeclared>,
    /// The things that only a controller knows.
    not_known: &'static str,
}

/// A cluster whose file is broken.
#[derive(Serialize)]
struct Broken {
    cluster: String,
    file: String,
}

/// A cluster that no file declares.
#[derive(Serialize)]
struct Undeclared {
    cluster: ClusterName,
    region: String,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(daemon) = &args.from.from {
        return of_daemon(args, daemon, out);
    }
    let mut desired = Desired::read(&args.paths.paths, out)?;
    desired.keep(&args.only)?;
    let waited = args.waiting.until(&desired, &args.cloud, out)?;
    let environment = args.cloud.open(&desired.specs)?.beside(&desired);
    let report = |spec: &ClusterSpec| {
        let seen = environment.look(spec);
        status(spec, &seen, &plan(spec, &seen), None)
    };
    let clusters: Vec<_> = environment.specs.iter().map(report).collect();
    let shows_all = args.only.is_all();
    let undeclared =
        if shows_all && args.paths.name_folder() { undeclared(&environment, &desired) } else { Vec::new() };
    let broken = desired
        .broken()
        .filter(|_| shows_all)
        .map(|(name, path)| Broken { cluster: name.to_string(), file: text::path(path) });
    let broken = broken.collect();
    let document = Document { format_version: FORMAT_VERSION, clusters, broken, undeclared, not_known: NOT_KNOWN };
    match args.output {
        Format::Json => out.json(&document)?,
        Format::Yaml => out.data.write_all(resource::render(&document.clusters)?.as_bytes())?,
        Format::Wide => out.text(&document.text(args.show, true))?,
        _ => out.text(&document.text(args.show, false))?,
    }
    let attentions: Vec<_> = document.clusters.iter().map(|cluster| cluster.attention).collect();
    let is_at_rest = attentions.iter().all(|attention| *attention == Attention::Settled);
    if !is_at_rest && matches!(args.output, Format::Text | Format::Wide) {
        writeln!(out.notes, "note: not known from here: {NOT_KNOWN}")?;
    }
    Ok(match (desired.exit_of(&args.only), waited) {
        (Exit::Done, Some(waited)) => waited,
        (files, _) => exit(&attentions, files, args.detailed_exitcode),
    })
}

/// Writes what a daemon knows.
fn of_daemon(args: &Args, daemon: &Place, out: &mut Output) -> Result<Exit, Failure> {
    let form = match args.output {
        Format::Json => Form::Json,
        Format::Text => Form::Text,
        _ => {
            let failure = Failure::new("a daemon answers as `text` and as `json` alone");
            return Err(Failure { exit: Exit::Usage, ..failure.hint("take one of them, or leave `--from` out") });
        }
    };
    let fleet = from::document::<Fleet>(daemon, Fleet::PATH)?.keep(&args.only)?;
    match form {
        Form::Json => out.json(&fleet)?,
        Form::Text if args.show.is_fleet(fleet.clusters.len()) => {
            // The daemon's own text begins with whatever holds for every cluster.
            let told = from::ask(daemon, Fleet::PATH, form)?;
            let told = told.lines().take_while(|line| line.starts_with("daemon: "));
            let told: String = told.map(|line| format!("{}\n", text::clean(line))).collect();
            out.text(&told)?;
            out.data.write_all(fleet::render_told(&fleet.clusters).as_bytes())?;
        }
        Form::Text if args.only.is_all() => from::write(daemon, Fleet::PATH, form, out)?,
        Form::Text => {
            for row in &fleet.clusters {
                from::write(daemon, &from::cluster_path(from::name(row)), form, out)?;
            }
        }
    }
    Ok(exit(&fleet.attentions(), Exit::Done, args.detailed_exitcode))
}

/// The exit code: that of the files, or of the cluster that is worst off.
fn exit(clusters: &[Attention], files: Exit, detailed: bool) -> Exit {
    let is = |attention| clusters.contains(&attention);
    match files {
        Exit::Done if is(Attention::NotSeen) => Exit::Error,
        Exit::Done if is(Attention::Stalled) => Exit::Failed,
        Exit::Done if detailed && clusters.iter().any(|attention| attention.needs_person()) => Exit::NeedsPerson,
        files => files,
    }
}

/// Lists the clusters that own something in a region that was looked at, and that no file declares. A region that cannot be
/// read is told of by its clusters.
fn undeclared(environment: &Environment, desired: &Desired) -> Vec<Undeclared> {
    let declared = desired.declared();
    let mut regions = BTreeSet::new();
    let specs = environment.specs.iter().filter(|spec| regions.insert(spec.region.clone()));
    let found = specs.flat_map(|spec| {
        let clusters = environment.clusters(spec).unwrap_or_default();
        clusters.into_iter().map(|cluster| Undeclared { cluster, region: spec.region.clone() })
    });
    found.filter(|found| !declared.contains(&found.cluster)).collect()
}

impl Show {
    /// Says whether so many clusters have a row each.
    fn is_fleet(self, clusters: usize) -> bool {
        self == Self::Fleet || (self == Self::Auto && clusters > FEW)
    }
}

impl Document {
    fn text(&self, show: Show, is_wide: bool) -> String {
        let mut text = if show.is_fleet(self.clusters.len() + self.broken.len()) {
            fleet::render(&self.clusters)
        } else {
            self.clusters.iter().map(|status| screen::render(status, is_wide)).collect::<Vec<_>>().join("\n")
        };
        for Broken { cluster, file } in &self.broken {
            text += &format!(
                "\n{cluster}: not looked at, because {file} is broken\n  \
                 a controller goes on with the last good version of the file, which is not known from here\n"
            );
        }
        for Undeclared { cluster, region } in &self.undeclared {
            text += &format!(
                "\n{cluster}: orphaned, and left alone: it owns resources in {region}, and none of these files declares it\n"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests;
