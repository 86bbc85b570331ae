//! `rehearse`: a throw-away copy of a cluster is created, brought to another image, judged and destroyed.

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::controller::errand::{Errand, Finish};
use crate::ids::ImageId;
use crate::observed::{CloudView, Remains, Volume, VolumeState};
use crate::plan::{Goal, Hazard};
use crate::rehearsal::{self, Budget, Rehearsal, Report};
use crate::spec::ClusterSpec;
use crate::time::{Human, elapsed};

use super::cloud::{self, Scene};
use super::desired::Desired;
use super::run::span;
use super::simulate::Behaviour;
use super::steps::Steps;
use super::{Exit, Failure, Output};

mod record;

const EXAMPLES: &str = "\
Examples:
  hermitcrab rehearse desired-state/prod/consul.yaml
      Try the file's image on a copy of the cluster, which runs another one
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb…
      Try another image
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb… --max-down 90s --max-stall 10s -o markdown
      The same, judged by what it costs, for a comment on a pull request
  hermitcrab rehearse desired-state --sweep --older-than 2h
      Destroy the copies that a crash has left
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb… --cloud simulated --payload loses-data
      See one fail, without an AWS account

The copy is named after the cluster, with the time; its slots are named `rehearsal-…`, it takes no snapshots, and waits for
no window and no approval. It starts with blank volumes: the data of the cluster is not copied. It is destroyed in any case,
after Ctrl-C too. That needs ec2:DeleteVolume, which the controller's own policy denies.

What comes of it is recorded for the cluster, beside its claim (`--claims`), and replaces what was recorded of the same
generation. A file that says `rehearsal: required` is not rolled out before a rehearsal of it has passed.

Exit codes:
  0    passed, or nothing is new
  1    failed, or it could not begin; or the file requires it, and it could not be recorded
  130  broken off; the copy is destroyed all the same";

/// Rehearse a rollout on a throw-away copy of a cluster
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The cluster's desired-state file; with `--sweep` a folder will do
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The image to begin with, where it is not the one that runs now
    #[arg(long, value_name = "AMI", value_parser = cloud::image)]
    from: Option<ImageId>,
    /// The copy's instance type
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    /// The longest that any member may be down, e.g. `90s`
    #[arg(long, value_name = "SPAN", value_parser = span)]
    max_down: Option<Duration>,
    /// The longest that nothing may be written, e.g. `10s`
    #[arg(long, value_name = "SPAN", value_parser = span)]
    max_stall: Option<Duration>,
    /// The longest that creation, rollout and end may take, each
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    timeout: Duration,
    /// How to print the report
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
    /// Destroy copies that were left behind, instead of making one
    #[arg(long, conflicts_with_all = ["from", "image", "max_down", "max_stall"])]
    sweep: bool,
    /// Of those only the ones that are at least so old
    #[arg(long, value_name = "SPAN", default_value = "2h", value_parser = span, requires = "sweep")]
    older_than: Duration,
    /// What members on the new image do, in a simulated world
    #[arg(long, value_enum, value_name = "BEHAVIOUR", default_value = "good")]
    payload: Behaviour,
    #[command(flatten)]
    cloud: cloud::Args,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For a terminal
    #[default]
    Text,
    /// For a comment on a pull request
    Markdown,
    /// For programs
    Json,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(std::slice::from_ref(&args.path), out)?;
    let scene = args.cloud.open(&desired.specs)?;
    if args.sweep {
        return sweep(args, &scene, out);
    }
    let [spec] = scene.specs.as_slice() else {
        return Err(Failure::new(format!("{} declares several clusters", args.path.display()))
            .hint("name the file of the one that is meant"));
    };
    if let Some(group) = spec.capacity.group() {
        return Err(Failure::new(format!("{} adopts Auto Scaling group {group}, which has no copy", spec.name))
            .hint("rehearse it from a file without `capacity`"));
    }
    let (view, _) = scene.see(spec)?;
    if let Some(hazard) = Hazard::of_account(spec, view.catalogue.account.as_ref()) {
        return Err(hazard.into());
    }
    let from = args.from.clone().map_or_else(|| running(spec, &view), Ok)?;
    if from == spec.image {
        return nothing_new(args, spec, &view, out);
    }
    let mut copy = rehearsal::copy(spec, rehearsal::name(&spec.name, scene.now()));
    copy.instance.instance_type = args.instance_type.clone().unwrap_or(copy.instance.instance_type);
    scene.announce(&copy, args.payload);
    writeln!(out.notes, "{}: a copy of {} at {from}, to be brought to {}", copy.name, spec.name, copy.image)?;
    let budget = Budget { member_down: args.max_down, write_stall: args.max_stall, part: args.timeout };
    let rehearsal = Rehearsal { original: spec.name.clone(), copy, from, budget };
    let report = scene.rehearse(&rehearsal, &Steps(RefCell::new(&mut *out)))?;
    let record = record::record(&scene, spec, &rehearsal, &report);
    match args.output {
        Format::Text => write!(out.data, "{}{}", report.text(), record.text(&args.cloud))?,
        Format::Markdown => write!(out.data, "{}{}", report.markdown(), record.markdown(&args.cloud))?,
        Format::Json => out.json(&record.beside(&report))?,
    }
    record.conclude(spec)?;
    Ok(match (report.passed, report.broken_off) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Interrupted,
        (false, false) => Exit::Error,
    })
}

/// There is nowhere to go from where the copy would begin.
fn nothing_new(args: &Args, spec: &ClusterSpec, view: &CloudView, out: &mut Output) -> Result<Exit, Failure> {
    let (name, image, wanted) = (&spec.name, &spec.image, Some(spec.generation()));
    let is_settled = there(view).next().is_some() && there(view).all(|volume| volume.generation == wanted);
    if !is_settled {
        return Err(Failure::new(format!(
            "a copy of {name} would begin as it is to end: at {image}, as the file says"
        ))
        .hint("let it begin with another image, such as the one before: `--from AMI`; or try another: `--image AMI`"));
    }
    match args.output {
        Format::Text | Format::Markdown => writeln!(out.data, "{name}: nothing is new, it has settled on {image}")?,
        Format::Json => out.json(&None::<Report>)?,
    }
    Ok(Exit::Done)
}

fn there(view: &CloudView) -> impl Iterator<Item = &Volume> {
    view.volumes.iter().filter(|volume| volume.state != VolumeState::Deleted)
}

/// The image that all slots have settled on, but for those that have arrived already.
fn running(spec: &ClusterSpec, view: &CloudView) -> Result<ImageId, Failure> {
    let mut images: Vec<_> = there(view).filter_map(|volume| volume.image.clone()).collect();
    images.sort();
    images.dedup();
    if images.len() > 1 {
        images.retain(|image| *image != spec.image);
    }
    match images.as_slice() {
        [image] => Ok(image.clone()),
        [] => Err(Failure::new(format!("{} has not settled on any image yet", spec.name))
            .hint("name the image to begin with: `--from AMI`")),
        several => {
            let several: Vec<_> = several.iter().map(ImageId::to_string).collect();
            Err(Failure::new(format!("{} is settled on several images: {}", spec.name, several.join(", ")))
                .hint("finish its rollout first, or name the image to begin with: `--from AMI`"))
        }
    }
}

/// Destroys what rehearsals of these clusters have left, if it is old enough.
fn sweep(args: &Args, scene: &Scene, out: &mut Output) -> Result<Exit, Failure> {
    let mut left = false;
    for spec in &scene.specs {
        for name in scene.clusters(spec)? {
            let Some(made) = rehearsal::made_at(&spec.name, &name) else { continue };
            let (copy, age) = (rehearsal::copy(spec, name), elapsed(scene.now(), made));
            let (view, _) = scene.see(&copy)?;
            let is_gone = view.instances.iter().all(|instance| !instance.state.is_live())
                && view.volumes.iter().all(|volume| volume.state == VolumeState::Deleted);
            if is_gone {
                continue;
            }
            if age < args.older_than {
                writeln!(out.data, "{}: left alone, as it is {} old", copy.name, Human(age))?;
                continue;
            }
            let errand = Errand { spec: copy.clone(), goal: Goal::Gone(Remains::Nothing), limit: args.timeout };
            match scene.bring(errand, &Steps(RefCell::new(&mut *out)))? {
                Finish::Reached => {
                    scene.forget(&copy)?;
                    writeln!(out.data, "{}: destroyed", copy.name)?;
                }
                Finish::Stuck(plan) | Finish::OutOfTime(plan) => {
                    left = true;
                    writeln!(out.data, "{}: not destroyed yet: {plan}", copy.name)?;
                }
                Finish::BrokenOff => return Ok(Exit::Interrupted),
            }
        }
    }
    Ok(if left { Exit::Error } else { Exit::Done })
}
