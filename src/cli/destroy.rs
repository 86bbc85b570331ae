//! `destroy`: shows what would go, asks for the cluster's name, and brings the cluster to its end.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::controller::converge::{Conclusion, Target};
use crate::observed::{CloudView, Ending, Group, Remains};
use crate::plan::{Goal, Hazard, Plan};
use crate::spec::ClusterSpec;
use crate::time::clock;

use super::cloud::{self, Scene};
use super::desired::Desired;
use super::output::{BAD, DIM, GOOD, NAME, styled};
use super::steps::Steps;
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab destroy desired-state/dev/consul.yaml
      Show what will go and what stays, and ask for the cluster's name
  hermitcrab destroy desired-state/dev/consul.yaml --confirm consul-dev
      Ask nobody, for scripts
  hermitcrab destroy desired-state/dev/consul.yaml --confirm consul-dev --delete-volumes
      Delete the volumes too, once a last snapshot of each is completed

It can be broken off at any time, and the same command goes on. From its first step every controller leaves the cluster
alone; `hermitcrab retry CLUSTER` lets it be again. An Auto Scaling group that the cluster adopts stays: it is kept still
meanwhile, has a minimum of 0 and no instance in the end, and acts again as it did. To delete volumes it needs
ec2:DeleteVolume, which the controller's own policy denies: run it with a person's credentials.

Exit codes:
  0    it is gone, or there was nothing of it
  1    it is protected, or not confirmed: nothing was done
  3    it does not get on: a person must act
  4    it took too long, and the same command goes on
  130  it was broken off, and the same command goes on";

/// Destroy a cluster: stop its members, save their data, and let everything else go
///
/// Refused while the file says `deletionProtection: true`, as it does unless it says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The cluster's desired-state file
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The cluster's name, to say that it is meant
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Delete the volumes too, once a last snapshot of each is completed
    #[arg(long)]
    delete_volumes: bool,
    /// Take no last snapshots: nothing remains
    #[arg(long, requires = "delete_volumes")]
    no_snapshots: bool,
    /// Give up after so long, e.g. `2h`
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = super::run::span)]
    timeout: Duration,
    #[command(flatten)]
    cloud: cloud::Args,
}

impl Args {
    fn remains(&self) -> Remains {
        match (self.delete_volumes, self.no_snapshots) {
            (false, _) => Remains::Volumes,
            (true, false) => Remains::Snapshots,
            (true, true) => Remains::Nothing,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(std::slice::from_ref(&args.path), out)?;
    let [declared] = desired.specs.as_slice() else {
        return Err(Failure::new(format!("{} declares several clusters", args.path.display()))
            .hint("name the file of the one that is meant"));
    };
    may_be_destroyed(args, declared)?;
    let scene = args.cloud.open(std::slice::from_ref(declared))?;
    let spec = scene.specs.first().unwrap_or(declared);
    let (view, record) = scene.see(spec)?;
    if is_gone(spec, &view) {
        writeln!(out.data, "{}: there is nothing of it", spec.name)?;
        return Ok(Exit::Done);
    }
    show(spec, record.ending.as_ref(), &view, args.remains(), out)?;
    confirm(args, spec, out)?;
    out.unattended();
    let target = Target { spec: spec.clone(), goal: Goal::Gone(args.remains()), limit: args.timeout };
    let conclusion = scene.reach(target, Steps::alone(out))?;
    conclude(args, spec, &scene, &view, conclusion, out)
}

/// What the file alone says against it.
fn may_be_destroyed(args: &Args, spec: &ClusterSpec) -> Result<(), Failure> {
    if !spec.deletion_protection {
        return Ok(());
    }
    let file = args.path.display();
    Err(Failure::new(format!("{} is protected", spec.name)).hint(format!(
        "write `deletionProtection: false` into {file}, have it committed as any other change, and come again"
    )))
}

/// Nothing of it is left, and no group is still held back on its account.
fn is_gone(spec: &ClusterSpec, view: &CloudView) -> bool {
    let held_back = adopted(spec, view).is_some_and(|group| group.resume.is_some());
    view.live_instances().next().is_none() && view.present_volumes().next().is_none() && !held_back
}

fn adopted<'a>(spec: &ClusterSpec, view: &'a CloudView) -> Option<&'a Group> {
    spec.capacity.group().and(view.group.as_ref())
}

/// Exactly what goes, and what stays.
fn show(
    spec: &ClusterSpec,
    ended: Option<&Ending>,
    view: &CloudView,
    remains: Remains,
    out: &mut Output,
) -> Result<(), Failure> {
    let begun = ended.map(|ending| format!(", begun at {}", clock(ending.since)));
    writeln!(
        out.notes,
        "{} ({}), to be destroyed{}:",
        styled(NAME, &spec.name),
        spec.region,
        begun.unwrap_or_default()
    )?;
    let mut instances: Vec<_> = view.live_instances().collect();
    let mut volumes: Vec<_> = view.present_volumes().collect();
    instances.sort_by_key(|instance| &instance.slot);
    volumes.sort_by_key(|volume| &volume.slot);
    for instance in instances {
        let state = instance.state;
        writeln!(out.notes, "  {:12} {:24} {}  ({state})", instance.slot, instance.id, styled(BAD, "terminated"))?;
    }
    for volume in volumes {
        let fate = match remains {
            Remains::Volumes => styled(GOOD, "kept, with a last snapshot"),
            Remains::Snapshots => styled(BAD, "deleted, after a last snapshot"),
            Remains::Nothing => styled(BAD, "deleted, and no snapshot taken"),
        };
        let size = format!("{}, {} GiB", volume.name, volume.size_gib);
        writeln!(out.notes, "  {:12} {:24} {fate}  {}", volume.slot, volume.id, styled(DIM, format!("({size})")))?;
    }
    adopted(spec, view).map_or(Ok(()), |group| show_group(group, out))
}

/// What becomes of the group, and what in it is not the cluster's.
fn show_group(group: &Group, out: &mut Output) -> Result<(), Failure> {
    let sizes = format!("(wants {} → 0, minimum {} → 0, maximum {})", group.desired, group.min, group.max);
    let fate = styled(GOOD, "stays, empty");
    writeln!(out.notes, "  {:12} {:24} {fate}  {}", "group", group.name, styled(DIM, sizes))?;
    for recruit in group.recruits.iter().filter(|recruit| recruit.state.is_live()) {
        let fate = styled(BAD, "in the way: the group launched it, and it may hold data");
        writeln!(out.notes, "  {:12} {:24} {fate}", "", recruit.id)?;
    }
    Ok(())
}

/// The name, from the arguments or from whoever sits there.
fn confirm(args: &Args, spec: &ClusterSpec, out: &mut Output) -> Result<(), Failure> {
    let told = match &args.confirm {
        Some(name) => name.clone(),
        None if std::io::stdin().is_terminal() => {
            write!(out.notes, "Type the cluster's name to destroy it: ")?;
            out.notes.flush()?;
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)?;
            line.trim().to_owned()
        }
        None => {
            return Err(Failure::new("nobody is there to confirm it")
                .hint(format!("add `--confirm {}` if that is meant", spec.name)));
        }
    };
    match told == *spec.name {
        true => Ok(()),
        false => Err(Failure::new(format!("`{told}` is not {}: nothing was done", spec.name))
            .hint("give the name just as the file has it")),
    }
}

/// What it came to, from how it was at first.
fn conclude(
    args: &Args,
    spec: &ClusterSpec,
    scene: &Scene,
    before: &CloudView,
    conclusion: Conclusion,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let again = "the same command goes on from here";
    let (exit, hint) = match &conclusion {
        Conclusion::Reached => {
            let left = match args.remains() {
                Remains::Volumes => "its volumes and last snapshots remain",
                Remains::Snapshots => "its last snapshots remain",
                Remains::Nothing => "nothing remains",
            };
            writeln!(out.data, "{} is destroyed: {left}", spec.name)?;
            let note = format!("take {} away; `hermitcrab retry {}` lets it be again", args.path.display(), spec.name);
            writeln!(out.notes, " note: {note}")?;
            adopted(spec, before).map_or(Ok(()), |group| show_left_group(group, out))?;
            return Ok(Exit::Done);
        }
        Conclusion::Stuck(plan) => (Exit::Failed, hints(plan).unwrap_or_else(|| again.to_owned())),
        Conclusion::OutOfTime(_) => (Exit::TimedOut, again.to_owned()),
        Conclusion::Interrupted => (Exit::Interrupted, again.to_owned()),
    };
    let left = scene.see(spec).map(|(view, _)| (view.live_instances().count(), view.present_volumes().count()));
    let left = left.map_or_else(
        |_| String::new(),
        |(instances, volumes)| format!("; {instances} instances and {volumes} volumes are there"),
    );
    let at = match &conclusion {
        Conclusion::Stuck(plan) | Conclusion::OutOfTime(plan) => plan.to_string(),
        Conclusion::Reached | Conclusion::Interrupted => "broken off".to_owned(),
    };
    Err(Failure { exit, ..Failure::new(format!("{} is not destroyed yet: {at}{left}", spec.name)) }.hint(hint))
}

/// How the group is left, and how it was.
fn show_left_group(Group { name, min, .. }: &Group, out: &mut Output) -> Result<(), Failure> {
    writeln!(out.notes, " note: Auto Scaling group {name} stays, empty, and its processes run as they did")?;
    if *min > 0 {
        let set =
            format!("aws autoscaling update-auto-scaling-group --auto-scaling-group-name {name} --min-size {min}");
        writeln!(
            out.notes,
            " note: its minimum was {min}, and it launches as soon as that is set again, as Terraform"
        )?;
        writeln!(out.notes, "       does where it says `min_size = {min}`; by hand: `{set}`")?;
    }
    Ok(())
}

fn hints(plan: &Plan) -> Option<String> {
    match plan {
        Plan::Stalled(stall) => Some(stall.hint()),
        Plan::Blocked(blocked) => blocked.hazards.iter().find_map(Hazard::hint),
        Plan::Settled | Plan::Act(..) | Plan::Wait(_) => None,
    }
}
