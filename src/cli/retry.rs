//! `retry`: a person says that what failed in a cluster may be tried again.

use std::io::Write;
use std::path::PathBuf;

use crate::action::{ClaimEffect, CloudEffect, Effect};
use crate::ids::{Generation, SlotName, VolumeId};
use crate::observed::{ClaimRecord, CloudView, Ending, InstanceState, Remains};
use crate::ports::Outcome;
use crate::spec::ClusterSpec;

use super::cloud;
use super::desired::Desired;
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab retry consul-prod --dry-run
      Show what failed where
  hermitcrab retry consul-prod
      Let it be tried again: the image was not to blame, and what was has been mended

A generation that failed is not tried again by itself. Committing another image, or other instance settings, needs no
retry: that is another generation. A running controller goes on within a minute or two.

Exit codes:
  0  nothing is marked as failed any more, or nothing was
  1  it could not be done, or not yet; nothing was lost";

/// Let a generation that failed be tried again
///
/// Takes the mark `hermitcrab:rejected` off the cluster's volumes. A cluster that was destroyed may be again. Nothing else is
/// changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The cluster's name
    cluster: String,
    /// Its desired-state file, or a folder that it lies in
    #[arg(value_name = "PATH", default_value = "desired-state")]
    path: PathBuf,
    /// Only show what is marked
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(std::slice::from_ref(&args.path), out)?;
    let declared = desired.named(&args.cluster)?;
    let scene = args.cloud.open(std::slice::from_ref(declared))?;
    let spec = scene.specs.first().unwrap_or(declared);
    let (view, record) = scene.see(spec)?;
    if let Some(ending) = &record.ending {
        half_destroyed(spec, &view)?;
        return revive(args, &scene, spec, &record, ending, out);
    }
    let marked: Vec<_> = marked(&view).collect();
    if marked.is_empty() {
        writeln!(out.data, "{}: nothing is marked as failed", spec.name)?;
        return Ok(Exit::Done);
    }
    if let Some(claim) = &record.held {
        let slot = &claim.slot;
        return Err(Failure::new(format!("a replacement of {slot} is still under way, or being taken back"))
            .hint(format!("wait until `hermitcrab status` shows no claim for {slot}, and retry then")));
    }
    for (slot, volume, generation) in marked {
        write!(out.data, "{slot}: {generation} failed ({volume})")?;
        if args.dry_run {
            writeln!(out.data)?;
            continue;
        }
        let effect = CloudEffect::Forgive { volumes: [volume.clone()].into(), generation: generation.clone() };
        match scene.act(spec, Some(&slot), Effect::Cloud(effect)) {
            Ok(Outcome::Changed { expected, found }) => {
                writeln!(out.data)?;
                return Err(Failure::new(format!("{volume} has changed: expected {expected}, found {found}"))
                    .hint("run the command again"));
            }
            Ok(_) => writeln!(out.data, "; it may be tried again")?,
            Err(failure) => {
                writeln!(out.data)?;
                return Err(failure.hint("the marks that were taken off stay off; run the command again"));
            }
        }
    }
    Ok(Exit::Done)
}

/// Brought back in the middle, a cluster would have its stopped instances and their replacements side by side.
fn half_destroyed(spec: &ClusterSpec, view: &CloudView) -> Result<(), Failure> {
    let Some(instance) = view.live_instances().find(|instance| instance.state != InstanceState::Running) else {
        return Ok(());
    };
    let (name, id) = (&spec.name, &instance.id);
    Err(Failure::new(format!("{name} is half destroyed: {id} is there, and does not run"))
        .hint("finish with `hermitcrab destroy FILE`, which keeps its volumes, and retry then"))
}

/// A cluster that was destroyed, or is to be, may be again.
fn revive(
    args: &Args,
    scene: &cloud::Scene,
    spec: &ClusterSpec,
    record: &ClaimRecord,
    ending: &Ending,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let back = match ending.remains {
        Remains::Volumes => "with the volumes that were kept",
        Remains::Snapshots | Remains::Nothing => "from nothing: its volumes were not to be kept",
    };
    if args.dry_run {
        writeln!(out.data, "{}: destroyed; a retry lets it be again, {back}", spec.name)?;
        return Ok(Exit::Done);
    }
    match scene.act(spec, None, Effect::Claim(ClaimEffect::Revive { expects: record.revision }))? {
        Outcome::Changed { .. } => {
            Err(Failure::new(format!("somebody else has just written to {}", spec.name)).hint("run the command again"))
        }
        _ => {
            writeln!(out.data, "{}: a controller may bring it back, {back}", spec.name)?;
            if ending.remains != Remains::Volumes {
                let when =
                    "that begins when EC2 shows its old instances and volumes no more, an hour or so after their end";
                writeln!(out.notes, " note: {when}")?;
            }
            if let Some(group) = spec.capacity.group() {
                let note =
                    format!("what is launched joins {group}; set its minimum again when the cluster has settled");
                writeln!(out.notes, " note: {note}")?;
            }
            Ok(Exit::Done)
        }
    }
}

fn marked(view: &CloudView) -> impl Iterator<Item = (SlotName, VolumeId, Generation)> + '_ {
    let mark =
        |volume: &crate::observed::Volume| Some((volume.slot.clone(), volume.id.clone(), volume.rejected.clone()?));
    view.volumes.iter().filter_map(mark)
}
