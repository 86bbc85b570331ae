//! `destroy`: shows the resources that will be deleted, asks for the cluster's name, and destroys the cluster.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::controller::converge::{Conclusion, Target};
use crate::input::text;
use crate::observed::{ClaimRecord, CloudView, Group, Remains};
use crate::plan::{Goal, Hazard, Plan};
use crate::spec::ClusterSpec;
use crate::time::clock;

use super::cloud::{self, Environment};
use super::desired::Desired;
use super::output::{BAD, DIM, GOOD, NAME, styled};
use super::steps::Steps;
use super::{Exit, Failure, Output, signals};

const EXAMPLES: &str = "\
Examples:
  hermitcrab destroy desired-state/dev/consul.yaml
      Show what will be deleted and what is kept, and ask for the cluster's name
  hermitcrab destroy desired-state/dev/consul.yaml --confirm consul-dev
      Ask nobody, for scripts
  hermitcrab destroy desired-state/dev/consul.yaml --confirm consul-dev --delete-volumes
      Delete the volumes as well, once a last snapshot of each is completed

The command can be interrupted at any time; run it again, and it continues. From its first step on, controllers leave the
cluster alone, until `hermitcrab retry CLUSTER` allows the cluster to be created again. An adopted Auto Scaling group is kept:
its processes are suspended during the destruction, its minimum and its desired capacity become 0, and its processes are
resumed. Deleting volumes needs ec2:DeleteVolume. The controller's own policy denies it, so use a person's credentials.

Exit codes:
  0    the cluster is destroyed, or it had no instances and no volumes
  1    the cluster is protected, or its name was not confirmed; nothing was changed
  3    the destruction cannot continue: a person must act
  4    the destruction took too long; run the command again, and it continues
  129  ended by SIGHUP; run the command again, and it continues
  130  ended by SIGINT, likewise
  143  ended by SIGTERM, likewise";

/// Destroy a cluster: stop its members, save their data, and terminate its instances
///
/// Refused while the file has `deletionProtection: true`, which is the default.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The cluster's desired-state file
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The cluster's name, which confirms the destruction
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Delete the volumes as well, once a last snapshot of each is completed
    #[arg(long)]
    delete_volumes: bool,
    /// Take no last snapshots, so that no data remain
    #[arg(long, requires = "delete_volumes")]
    no_snapshots: bool,
    /// The time after which to give up, e.g. `2h`
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
    let declared = desired.only()?;
    refuse_protected(args, declared)?;
    let (spec, environment) = args.cloud.open_for(declared)?;
    let (view, record) = environment.see(&spec)?;
    let destruction = Destruction { args, spec: &spec, environment: &environment, before: &view };
    if destruction.is_done() {
        writeln!(out.data, "{}: no instances and no volumes exist", spec.name)?;
        return Ok(Exit::Done);
    }
    destruction.show(&record, out)?;
    destruction.confirm(out)?;
    out.unattended();
    let target = Target { spec: spec.clone(), goal: Goal::Gone(args.remains()), limit: args.timeout };
    let conclusion = environment.reach(target, Steps::alone(out))?;
    destruction.conclude(&conclusion, out)
}

/// Refuses a cluster that its file protects.
fn refuse_protected(args: &Args, spec: &ClusterSpec) -> Result<(), Failure> {
    if !spec.deletion_protection {
        return Ok(());
    }
    let file = text::path(&args.path);
    Err(Failure::new(format!("{} is protected against deletion", spec.name))
        .hint(format!("write `deletionProtection: false` into {file}, commit it, and run the command again")))
}

/// The destruction of one cluster, with the cluster's resources as they were before it.
struct Destruction<'a> {
    args: &'a Args,
    spec: &'a ClusterSpec,
    environment: &'a Environment,
    before: &'a CloudView,
}

impl Destruction<'_> {
    /// Says whether nothing is left, and no group has processes that are suspended for the cluster.
    fn is_done(&self) -> bool {
        let is_suspended = self.group().is_some_and(|group| group.resume.is_some());
        self.before.live_instances().next().is_none() && self.before.present_volumes().next().is_none() && !is_suspended
    }

    /// Returns the group that the cluster has adopted.
    fn group(&self) -> Option<&Group> {
        self.spec.capacity.group().and(self.before.group.as_ref())
    }

    /// Lists every resource with what happens to it.
    fn show(&self, record: &ClaimRecord, out: &mut Output) -> Result<(), Failure> {
        let (name, region) = (styled(NAME, &self.spec.name), &self.spec.region);
        let begun = record.ending.as_ref().map(|ending| format!(", begun at {}", clock(ending.since)));
        writeln!(out.notes, "{name} ({region}), to be destroyed{}:", begun.unwrap_or_default())?;
        let mut instances: Vec<_> = self.before.live_instances().collect();
        instances.sort_by_key(|instance| &instance.slot);
        for instance in instances {
            let address = instance.fixed_address.filter(|address| instance.has(*address));
            let address = address.map_or_else(String::new, |address| format!(", at {address}"));
            let state = format!("({}{address})", instance.state);
            writeln!(out.notes, "  {:12} {:24} {}  {state}", instance.slot, instance.id, styled(BAD, "terminated"))?;
        }
        let mut volumes: Vec<_> = self.before.present_volumes().collect();
        volumes.sort_by_key(|volume| &volume.slot);
        let fate = match self.args.remains() {
            Remains::Volumes => styled(GOOD, "kept, with a last snapshot"),
            Remains::Snapshots => styled(BAD, "deleted, after a last snapshot"),
            Remains::Nothing => styled(BAD, "deleted, without a snapshot"),
        };
        for volume in volumes {
            let size = styled(DIM, format!("({}, {} GiB)", volume.name, volume.size_gib));
            writeln!(out.notes, "  {:12} {:24} {fate}  {size}", volume.slot, volume.id)?;
        }
        self.group().map_or(Ok(()), |group| show_group(group, out))
    }

    /// Compares the name in the arguments, or the name that is typed, with the cluster's.
    fn confirm(&self, out: &mut Output) -> Result<(), Failure> {
        let name = match &self.args.confirm {
            Some(name) => name.clone(),
            None if std::io::stdin().is_terminal() => {
                write!(out.notes, "Type the cluster's name to destroy it: ")?;
                out.notes.flush()?;
                let mut line = String::new();
                std::io::stdin().read_line(&mut line)?;
                line.trim().to_owned()
            }
            None => {
                return Err(Failure::new("the destruction is not confirmed, and there is no terminal to ask on")
                    .hint(format!("add `--confirm {}` to confirm it", self.spec.name)));
            }
        };
        if name == *self.spec.name {
            return Ok(());
        }
        Err(Failure::new(format!("`{name}` is not {}: nothing was changed", self.spec.name))
            .hint("give the cluster's name as the file has it"))
    }

    /// Reports how the destruction ended.
    fn conclude(&self, conclusion: &Conclusion, out: &mut Output) -> Result<Exit, Failure> {
        const AGAIN: &str = "run the same command again; it continues from here";
        let (exit, reason, hint) = match conclusion {
            Conclusion::Reached => return self.conclude_destroyed(out),
            Conclusion::Stuck(plan) => {
                (Exit::Failed, plan.to_string(), hint_for(plan).unwrap_or_else(|| AGAIN.to_owned()))
            }
            Conclusion::OutOfTime(plan) => (Exit::TimedOut, plan.to_string(), AGAIN.to_owned()),
            Conclusion::Interrupted => (signals::interrupted(), "interrupted".to_owned(), AGAIN.to_owned()),
        };
        // Whoever interrupts waits for no other look.
        let is_wanted = matches!(exit, Exit::Failed | Exit::TimedOut);
        let seen = is_wanted.then(|| self.environment.see(self.spec).ok()).flatten();
        let left = seen.map_or_else(String::new, |(view, _)| {
            let (instances, volumes) = (view.live_instances().count(), view.present_volumes().count());
            format!("; {instances} instances and {volumes} volumes exist")
        });
        let error = format!("{} is not destroyed yet: {reason}{left}", self.spec.name);
        Err(Failure { exit, ..Failure::new(error) }.hint(hint))
    }

    fn conclude_destroyed(&self, out: &mut Output) -> Result<Exit, Failure> {
        let (name, file) = (&self.spec.name, text::path(&self.args.path));
        let left = match self.args.remains() {
            Remains::Volumes => "its volumes and last snapshots remain",
            Remains::Snapshots => "its last snapshots remain",
            Remains::Nothing => "nothing remains",
        };
        writeln!(out.data, "{name} is destroyed: {left}")?;
        writeln!(
            out.notes,
            " note: delete {file}; or allow the cluster to be created again: `hermitcrab retry {name}`"
        )?;
        if self.spec.has_addresses() {
            writeln!(
                out.notes,
                " note: its fixed addresses are given up. What reserves them in their subnets is not hermitcrab's, and stays"
            )?;
        }
        self.group().map_or(Ok(()), |group| show_left_group(group, out))?;
        Ok(Exit::Done)
    }
}

/// Lists what happens to the group, and the instances in it that are not the cluster's.
fn show_group(group: &Group, out: &mut Output) -> Result<(), Failure> {
    let sizes = format!("(desired capacity {} → 0, minimum {} → 0, maximum {})", group.desired, group.min, group.max);
    let fate = styled(GOOD, "kept, empty");
    writeln!(out.notes, "  {:12} {:24} {fate}  {}", "group", group.name, styled(DIM, sizes))?;
    for recruit in group.recruits.iter().filter(|recruit| recruit.state.is_live()) {
        let fate = styled(BAD, "blocks the destruction: the group launched it, and it may hold data");
        writeln!(out.notes, "  {:12} {:24} {fate}", "", recruit.id)?;
    }
    Ok(())
}

/// Says how the group is left, and how to set its minimum again.
fn show_left_group(Group { name, min, .. }: &Group, out: &mut Output) -> Result<(), Failure> {
    writeln!(out.notes, " note: Auto Scaling group {name} is kept, empty, and its processes are resumed")?;
    if *min > 0 {
        let set =
            format!("aws autoscaling update-auto-scaling-group --auto-scaling-group-name {name} --min-size {min}");
        writeln!(
            out.notes,
            " note: its minimum was {min}. The group launches instances as soon as that is set again, as"
        )?;
        writeln!(out.notes, "       Terraform does where `min_size = {min}`; by hand: `{set}`")?;
    }
    Ok(())
}

fn hint_for(plan: &Plan) -> Option<String> {
    match plan {
        Plan::Stalled(stalls) => Some(stalls.stall.hint()),
        Plan::Blocked(blocked) => blocked.hazards.iter().find_map(Hazard::hint),
        Plan::Settled | Plan::Act(..) | Plan::Wait(_) => None,
    }
}
