//! `retry`: a person says that a failed image, or a destroyed cluster, may be tried again.

use std::io::Write;

use crate::action::{ClaimEffect, CloudEffect, Effect};
use crate::ids::{Generation, SlotName, VolumeId};
use crate::observed::{ClaimRecord, CloudView, Ending, InstanceState, Remains, Volume};
use crate::ports::Outcome;
use crate::spec::ClusterSpec;

use super::cloud::{self, Environment};
use super::desired::Named;
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab retry consul-prod --dry-run
      Show which generation failed in which slot
  hermitcrab retry consul-prod
      Allow another try, once the cause of the failure is corrected

The controller never tries a failed generation again by itself. Another image, or other instance settings, are another
generation and need no retry. A running controller continues within a minute or two.

Exit codes:
  0  nothing is marked as failed any more
  1  the marks could not be removed, or not yet; nothing was lost";

/// Allow a failed image, or a destroyed cluster, to be tried again
///
/// Removes the tag `hermitcrab:rejected` from the cluster's volumes. For a cluster that was destroyed, removes the record of
/// its destruction, so that controllers create it again. Nothing else is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// Only show what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let declared = args.named.read(out)?;
    let (spec, environment) = args.cloud.open_for(&declared)?;
    let (view, record) = environment.see(&spec)?;
    let retry = Retry { spec: &spec, environment: &environment, dry_run: args.dry_run };
    if let Some(ending) = &record.ending {
        refuse_half_destroyed(&spec, &view)?;
        retry.revive(&record, ending, out)
    } else {
        retry.forgive(&view, &record, out)
    }
}

/// A retry of one cluster.
struct Retry<'a> {
    spec: &'a ClusterSpec,
    environment: &'a Environment,
    dry_run: bool,
}

impl Retry<'_> {
    /// Removes the marks of generations that failed.
    fn forgive(&self, view: &CloudView, record: &ClaimRecord, out: &mut Output) -> Result<Exit, Failure> {
        let rejected: Vec<_> = rejected(view).collect();
        if rejected.is_empty() {
            writeln!(out.data, "{}: nothing is marked as failed", self.spec.name)?;
            return Ok(Exit::Done);
        }
        if let Some(claim) = &record.held {
            let slot = &claim.slot;
            return Err(Failure::new(format!("the replacement in {slot} is not finished"))
                .hint(format!("wait until `hermitcrab status` shows no claim for {slot}, and run the command again")));
        }
        for (slot, volume, generation) in rejected {
            write!(out.data, "{slot}: {generation} failed ({volume})")?;
            let removed = if self.dry_run { Ok(()) } else { self.remove_mark(&slot, &volume, &generation) };
            let tail = if self.dry_run || removed.is_err() { "" } else { "; it may be tried again" };
            writeln!(out.data, "{tail}")?;
            removed?;
        }
        Ok(Exit::Done)
    }

    fn remove_mark(&self, slot: &SlotName, volume: &VolumeId, generation: &Generation) -> Result<(), Failure> {
        let effect = CloudEffect::Forgive { volumes: [volume.clone()].into(), generation: generation.clone() };
        match self.environment.act(self.spec, Some(slot), Effect::Cloud(effect)) {
            Ok(Outcome::Changed { expected, found }) => {
                Err(Failure::new(format!("{volume} has changed: expected {expected}, found {found}"))
                    .hint("run the command again"))
            }
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.hint("marks that were removed stay removed; run the command again")),
        }
    }

    /// Removes the record that the cluster was destroyed, or is being destroyed.
    fn revive(&self, record: &ClaimRecord, ending: &Ending, out: &mut Output) -> Result<Exit, Failure> {
        let name = &self.spec.name;
        let start = match ending.remains {
            Remains::Volumes => "with the volumes that were kept",
            Remains::Snapshots | Remains::Nothing => "with blank volumes, because its volumes were not kept",
        };
        if self.dry_run {
            writeln!(out.data, "{name}: destroyed; a retry allows controllers to create it again, {start}")?;
            return Ok(Exit::Done);
        }
        let effect = ClaimEffect::Revive { expects: record.revision };
        if let Outcome::Changed { .. } = self.environment.act(self.spec, None, Effect::Claim(effect))? {
            return Err(Failure::new(format!("somebody else has changed the claim record of {name}"))
                .hint("run the command again"));
        }
        writeln!(out.data, "{name}: controllers create it again, {start}")?;
        if ending.remains != Remains::Volumes {
            let when =
                "creation begins when EC2 no longer shows the old instances and volumes, about an hour after their end";
            writeln!(out.notes, " note: {when}")?;
        }
        if let Some(group) = self.spec.capacity.group() {
            let note = format!("new instances join {group}; set its minimum again when the cluster has settled");
            writeln!(out.notes, " note: {note}")?;
        }
        Ok(Exit::Done)
    }
}

/// Refuses a cluster that is half destroyed: its stopped instances and their replacements would exist side by side.
fn refuse_half_destroyed(spec: &ClusterSpec, view: &CloudView) -> Result<(), Failure> {
    let Some(instance) = view.live_instances().find(|instance| instance.state != InstanceState::Running) else {
        return Ok(());
    };
    let (name, id) = (&spec.name, &instance.id);
    Err(Failure::new(format!("{name} is half destroyed: {id} exists, and does not run"))
        .hint("finish with `hermitcrab destroy FILE`, which keeps the volumes, and run this command then"))
}

/// Lists the volumes that a failed generation is marked on.
fn rejected(view: &CloudView) -> impl Iterator<Item = (SlotName, VolumeId, Generation)> + '_ {
    let mark = |volume: &Volume| Some((volume.slot.clone(), volume.id.clone(), volume.rejected.clone()?));
    view.volumes().filter_map(mark)
}
