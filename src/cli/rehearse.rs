//! `rehearse`: creates a throw-away copy of a cluster, rolls it to another image, judges the rollout and destroys the copy.

use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::history::book::Book;
use crate::ids::{ImageId, Zone};
use crate::observed::{CloudView, Reading};
use crate::rehearsal::{self, Budget, Changes, Judgement, Rehearsal, Report, Source};
use crate::simulate::Behaviour;
use crate::spec::ClusterSpec;

use super::cloud::{self, Environment};
use super::desired::Desired;
use super::format::{self, Format};
use super::run::span;
use super::steps::Steps;
use super::{Exit, Failure, Output, image, picture, signals};

mod record;
mod sweep;

const EXAMPLES: &str = "\
Examples:
  hermitcrab rehearse desired-state/prod/consul.yaml
      Try the file's image on a copy of the cluster, which runs another image
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb…
      Try another image
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb… --max-down 90s --max-stall 10s -o markdown
      Do so within a budget, and write a comment for a pull request
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb… --with-data --subnet us-east-1a=subnet-0aaa… \
        --subnet us-east-1b=subnet-0bbb… --subnet us-east-1c=subnet-0ccc… --security-group sg-0aaa…
      Try the image on a copy of the data, in a network from which the cluster cannot be reached
  hermitcrab rehearse desired-state --sweep --older-than 2h
      Destroy the copies that a crash has left
  hermitcrab rehearse desired-state/prod/consul.yaml --image ami-0bbb… --cloud simulated --payload loses-data
      See a rehearsal fail, without an AWS account

The copy is named after the cluster, with the time, and its slots are named `rehearsal-…`. The copy takes no snapshots before
a replacement, waits for no window and no approval, and is in no Auto Scaling group, even if the cluster has adopted one. The
copy is destroyed in any case, also after Ctrl-C. Destroying it needs ec2:DeleteVolume, which the controller's own policy denies.

The copy starts with blank volumes. With `--with-data` one of its members starts with a snapshot of a healthy follower's
volumes, and gives the data to the other members. The image's guest cuts that member off from the cluster before it starts;
an image that does not say that its guest does so is refused (images/README.md). Copying data needs ec2:CreateSnapshot on the
cluster's volumes, ec2:DeleteSnapshot, and time for the snapshot within `--timeout`.

The result is recorded for the cluster beside its claim (`--claims`), and replaces an earlier result for the same generation.
A file with `rehearsal: required` is rolled out only after a rehearsal of it has passed.

Exit codes:
  0    passed, or there is nothing new to rehearse
  1    failed, or not begun; or not recorded although the file requires a rehearsal
  129  ended by SIGHUP; the copy is destroyed all the same
  130  ended by SIGINT, likewise
  143  ended by SIGTERM, likewise";

/// Rehearse a rollout on a throw-away copy of a cluster
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The cluster's desired-state file; with `--sweep` also a folder
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The image to begin with, instead of the one that runs now
    #[arg(long, value_name = "AMI", value_parser = image::id)]
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
    /// The longest time that any member may be down, e.g. `90s`
    #[arg(long, value_name = "SPAN", value_parser = span)]
    max_down: Option<Duration>,
    /// The longest time without a successful write, e.g. `10s`
    #[arg(long, value_name = "SPAN", value_parser = span)]
    max_stall: Option<Duration>,
    /// The longest time for each of creation, rollout and destruction
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    timeout: Duration,
    /// Draw the copy's rollout as a time line, an SVG
    #[arg(long, value_name = "FILE", conflicts_with = "sweep")]
    picture: Option<PathBuf>,
    /// The format of the report
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REVIEW))]
    output: Format,
    /// Destroy copies that were left behind, instead of making one
    #[arg(long, conflicts_with_all = ["from", "image", "max_down", "max_stall", "with_data"])]
    sweep: bool,
    /// The age from which copies are destroyed; younger ones are left alone
    #[arg(long, value_name = "SPAN", default_value = "2h", value_parser = span, requires = "sweep")]
    older_than: Duration,
    /// The behaviour of members on the new image, in a simulated world
    #[arg(long, value_enum, value_name = "BEHAVIOUR", default_value = "good")]
    payload: Behaviour,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(std::slice::from_ref(&args.path), out)?;
    if args.sweep {
        return sweep::sweep(args, &args.cloud.open(&desired.specs)?, out);
    }
    let (spec, environment) = args.cloud.open_for(desired.only()?)?;
    if let Some(why) = spec.application.rules().why_no_rehearsal {
        let failure = Failure::new(format!("{} cannot be rehearsed: {why}", spec.name));
        return Err(
            failure.hint("try the image on another cluster first, e.g. in staging, which has a file of its own")
        );
    }
    let (view, _) = environment.see(&spec)?;
    let from = args.from.clone().map_or_else(|| running(&spec, &view), Ok)?;
    if from == spec.image {
        return nothing_new(args, &spec, &view, out);
    }
    let rehearsal = args.rehearsal(&environment, &spec, from)?;
    let Rehearsal { copy, from, changed, .. } = &rehearsal;
    environment.announce(copy, args.payload);
    writeln!(out.notes, "{}: a copy of {} at {from}, to be rolled to {}", copy.name, spec.name, copy.image)?;
    if !changed.is_empty() {
        writeln!(out.notes, "changed: {}", changed.join("; "))?;
    }
    let book = Rc::new(Book::default());
    let report = environment.rehearse(&rehearsal, Steps::alone(out).with(book.clone()))?;
    let record = record::record(&environment, &spec, &report);
    match args.output {
        Format::Json => out.json(&record.beside(&report))?,
        Format::Markdown => write!(out.data, "{}{}", report.markdown(), record.markdown(&args.cloud))?,
        _ => write!(out.data, "{}{}", report.text(), record.text(&args.cloud))?,
    }
    if let Some(path) = &args.picture {
        picture::of_newest(path, &book.records())?;
    }
    record.conclude(&spec)?;
    Ok(match report.judgement {
        Judgement::Passed => Exit::Done,
        Judgement::Failed => Exit::Error,
        Judgement::Interrupted => signals::interrupted(),
    })
}

impl Args {
    /// Describes the copy that begins with `from`, how it differs from the cluster, and what it may cost.
    fn rehearsal(&self, environment: &Environment, spec: &ClusterSpec, from: ImageId) -> Result<Rehearsal, Failure> {
        let mut copy = rehearsal::copy(spec, rehearsal::name(&spec.name, environment.now()));
        let mut changed = self
            .changes(environment, spec, &from)?
            .make(&mut copy)
            .map_err(|unknown| Failure::new(unknown).hint("`--subnet ZONE=SUBNET` names a zone of the file's slots"))?;
        changed.extend(spec.capacity.group().map(|group| format!("instances of its own, not of {group}")));
        changed.extend(spec.has_addresses().then(|| "addresses that EC2 chooses, not the fixed ones".to_owned()));
        let budget = Budget { member_down: self.max_down, write_stall: self.max_stall, part: self.timeout };
        Ok(Rehearsal { original: spec.name.clone(), copy, changed, from, budget })
    }

    /// Collects the differences between the copy and the cluster that the arguments ask for.
    fn changes(&self, environment: &Environment, spec: &ClusterSpec, from: &ImageId) -> Result<Changes, Failure> {
        Ok(Changes {
            instance_type: self.instance_type.clone(),
            subnets: self.subnets.iter().cloned().collect(),
            security_groups: self.security_groups.iter().cloned().collect(),
            data: if self.with_data { Some(source(environment, spec, from)?) } else { None },
        })
    }
}

/// Chooses the member whose data the copy begins with. Refuses an image whose guest would let the copy reach the cluster.
fn source(environment: &Environment, spec: &ClusterSpec, from: &ImageId) -> Result<Source, Failure> {
    let seen = environment.look(&ClusterSpec { image: from.clone(), ..spec.clone() });
    let (view, membership) = match (&seen.cloud, &seen.membership) {
        (Reading::Seen { value: view, .. }, Reading::Seen { value: membership, .. }) => (view, membership),
        (Reading::Unknown { why }, _) | (_, Reading::Unknown { why }) => {
            return Err(Failure::new(format!("no member's data can be copied: {why}"))
                .hint("`hermitcrab doctor` shows what can be reached, and what is allowed"));
        }
    };
    if !view.catalogue.images.get(from).is_some_and(|image| image.isolates_copies) {
        return Err(Failure::new(format!(
            "{from} does not say that its guest cuts copied data off from {}",
            spec.name
        ))
        .hint("images built from images/ say so by a tag; images/README.md says what other images must do first"));
    }
    Source::find(spec, view, membership)
        .map_err(|none| Failure::new(none).hint("rehearse when the cluster is healthy, or without `--with-data`"))
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
    if text.starts_with("sg-") {
        Ok(text.to_owned())
    } else {
        Err("the id of a security group begins with `sg-`".to_owned())
    }
}

/// Reports that the copy would begin with the image that it is to be rolled to.
fn nothing_new(args: &Args, spec: &ClusterSpec, view: &CloudView, out: &mut Output) -> Result<Exit, Failure> {
    let (name, image, wanted) = (&spec.name, &spec.image, spec.generation());
    let is_settled =
        view.present_volumes().next().is_some() && view.present_volumes().all(|volume| volume.carries(&wanted));
    if !is_settled {
        return Err(Failure::new(format!(
            "a copy of {name} would begin with {image}, the image that it is to be rolled to"
        ))
        .hint("begin with another image, e.g. the previous one: `--from AMI`; or try another image: `--image AMI`"));
    }
    if args.output == Format::Json {
        out.json(&None::<Report>)?;
    } else {
        writeln!(out.data, "{name}: there is nothing to rehearse, because the cluster has settled on {image}")?;
    }
    Ok(Exit::Done)
}

/// Finds the image that all slots have settled on; slots that have settled on the desired image do not count.
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
