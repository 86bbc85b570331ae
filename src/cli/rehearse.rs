//! `rehearse`: a throw-away copy of a cluster is created, brought to another image, judged and destroyed.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::ids::{ImageId, Zone};
use crate::observed::{CloudView, Reading};
use crate::rehearsal::{self, Budget, Changes, Judgement, Rehearsal, Report, Source};
use crate::spec::ClusterSpec;

use super::cloud::{self, Scene};
use super::desired::Desired;
use super::run::span;
use super::simulate::Behaviour;
use super::steps::Steps;
use super::{Exit, Failure, Output};

mod record;
mod sweep;

const EXAMPLES: &str = "\
Examples:
  hermitcrab rehearse desired-state/prod/consul.yaml
      Try the file's image on a copy of the cluster, which runs another one
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb…
      Try another image
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb… --max-down 90s --max-stall 10s -o markdown
      The same, judged by what it costs, for a comment on a pull request
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb… --with-data --subnet us-east-1a=subnet-0aaa… \
        --subnet us-east-1b=subnet-0bbb… --subnet us-east-1c=subnet-0ccc… --security-group sg-0aaa…
      Try it on a copy of the data, in a network from which the cluster cannot be reached
  hermitcrab rehearse desired-state --sweep --older-than 2h
      Destroy the copies that a crash has left
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb… --cloud simulated --payload loses-data
      See one fail, without an AWS account

The copy is named after the cluster, with the time; its slots are named `rehearsal-…`, it takes no snapshots before a
replacement, and waits for no window and no approval. It is in no Auto Scaling group, should the cluster have adopted one. It is
destroyed in any case, after Ctrl-C too. That needs ec2:DeleteVolume, which the controller's own policy denies.

It starts with blank volumes, unless `--with-data` is given: then one of its members begins with a snapshot of a healthy
follower's volumes, and the others are given the data by it. The image's guest cuts that member off from the cluster before
it starts; an image that does not say that it does is refused (images/README.md). That needs ec2:CreateSnapshot on the
cluster's volumes and ec2:DeleteSnapshot too, and time for the snapshot within `--timeout`.

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
    /// The copy's subnet in a zone, e.g. `us-east-1a=subnet-0aaa…`; may be given for each
    #[arg(long = "subnet", value_name = "ZONE=SUBNET", value_parser = subnet)]
    subnets: Vec<(Zone, String)>,
    /// A security group of the copy, instead of the cluster's; may be given several times
    #[arg(long = "security-group", value_name = "GROUP", value_parser = security_group)]
    security_groups: Vec<String>,
    /// Begin with a copy of the cluster's data
    #[arg(long)]
    with_data: bool,
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
    #[arg(long, conflicts_with_all = ["from", "image", "max_down", "max_stall", "with_data"])]
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
        return sweep::sweep(args, &scene, out);
    }
    let [spec] = scene.specs.as_slice() else {
        return Err(Failure::new(format!("{} declares several clusters", args.path.display()))
            .hint("name the file of the one that is meant"));
    };
    let (view, _) = scene.see(spec)?;
    let from = args.from.clone().map_or_else(|| running(spec, &view), Ok)?;
    if from == spec.image {
        return nothing_new(args, spec, &view, out);
    }
    let mut copy = rehearsal::copy(spec, rehearsal::name(&spec.name, scene.now()));
    let mut changed = args
        .changes(&scene, spec, &from)?
        .make(&mut copy)
        .map_err(|unknown| Failure::new(unknown).hint("`--subnet ZONE=SUBNET` names a zone of the file's slots"))?;
    changed.extend(spec.capacity.group().map(|group| format!("instances of its own, not of {group}")));
    scene.announce(&copy, args.payload);
    writeln!(out.notes, "{}: a copy of {} at {from}, to be brought to {}", copy.name, spec.name, copy.image)?;
    if !changed.is_empty() {
        writeln!(out.notes, "changed: {}", changed.join("; "))?;
    }
    let budget = Budget { member_down: args.max_down, write_stall: args.max_stall, part: args.timeout };
    let rehearsal = Rehearsal { original: spec.name.clone(), copy, changed, from, budget };
    let report = scene.rehearse(&rehearsal, Steps::alone(out))?;
    let record = record::record(&scene, spec, &report);
    match args.output {
        Format::Text => write!(out.data, "{}{}", report.text(), record.text(&args.cloud))?,
        Format::Markdown => write!(out.data, "{}{}", report.markdown(), record.markdown(&args.cloud))?,
        Format::Json => out.json(&record.beside(&report))?,
    }
    record.conclude(spec)?;
    Ok(match report.judgement {
        Judgement::Passed => Exit::Done,
        Judgement::Failed => Exit::Error,
        Judgement::Interrupted => Exit::Interrupted,
    })
}

impl Args {
    /// In what the copy is to differ.
    fn changes(&self, scene: &Scene, spec: &ClusterSpec, from: &ImageId) -> Result<Changes, Failure> {
        Ok(Changes {
            instance_type: self.instance_type.clone(),
            subnets: self.subnets.iter().cloned().collect(),
            security_groups: self.security_groups.iter().cloned().collect(),
            data: if self.with_data { Some(source(scene, spec, from)?) } else { None },
        })
    }
}

/// Whose data the copy begins with. Nothing is copied for an image whose guest would let it reach the cluster.
fn source(scene: &Scene, spec: &ClusterSpec, from: &ImageId) -> Result<Source, Failure> {
    let seen = scene.look(&ClusterSpec { image: from.clone(), ..spec.clone() });
    let (view, membership) = match (&seen.cloud, &seen.membership) {
        (Reading::Seen { value: view, .. }, Reading::Seen { value: membership, .. }) => (view, membership),
        (Reading::Unknown { why }, _) | (_, Reading::Unknown { why }) => {
            return Err(Failure::new(format!("nobody says whose data to copy: {why}"))
                .hint("`hermitcrab doctor` shows what can be reached, and what is allowed"));
        }
    };
    if !view.catalogue.images.get(from).is_some_and(|image| image.isolates_copies) {
        return Err(Failure::new(format!(
            "{from} does not say that its guest cuts copied data off from {}",
            spec.name
        ))
        .hint("images of images/ say so by a tag; images/README.md has what others must do first"));
    }
    Source::find(spec, view, membership)
        .map_err(|none| Failure::new(none).hint("rehearse it when the cluster is well, or without `--with-data`"))
}

fn subnet(text: &str) -> Result<(Zone, String), String> {
    match text.split_once('=') {
        Some((zone, subnet)) if !zone.is_empty() && subnet.starts_with("subnet-") => {
            Ok((zone.into(), subnet.to_owned()))
        }
        _ => Err("write the zone and the subnet, as in `us-east-1a=subnet-0aaa1111aaaa1111a`".to_owned()),
    }
}

fn security_group(text: &str) -> Result<String, String> {
    match text.starts_with("sg-") {
        true => Ok(text.to_owned()),
        false => Err("the id of a security group begins with `sg-`".to_owned()),
    }
}

/// There is nowhere to go from where the copy would begin.
fn nothing_new(args: &Args, spec: &ClusterSpec, view: &CloudView, out: &mut Output) -> Result<Exit, Failure> {
    let (name, image, wanted) = (&spec.name, &spec.image, spec.generation());
    let is_settled =
        view.present_volumes().next().is_some() && view.present_volumes().all(|volume| volume.carries(&wanted));
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

/// The image that all slots have settled on, but for those that have arrived already.
fn running(spec: &ClusterSpec, view: &CloudView) -> Result<ImageId, Failure> {
    let mut images: Vec<_> =
        view.present_volumes().filter_map(|volume| volume.settled.as_ref()?.image.clone()).collect();
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
