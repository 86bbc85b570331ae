//! `undo`: writes the image that ran before into a cluster's file, with the version that belongs to it.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::history::record::What;
use crate::history::rollout::{Make, Outcome, rollouts};
use crate::ids::ImageId;
use crate::spec::ClusterSpec;
use crate::spec::load::check;
use crate::spec::splice::edit::Edit;

use super::edit::Edited;
use super::{Exit, Failure, Output, git, state};

const EXAMPLES: &str = "\
Examples:
  hermitcrab undo desired-state/prod/consul.yaml
      Write the image of the file's version before in git, and `version` with it
  hermitcrab undo desired-state/prod/consul.yaml --state /var/lib/hermitcrab
      Write the image that the cluster settled on last, from the log of `run --state`
  hermitcrab undo desired-state/prod/consul.yaml --dry-run
      Only show the lines that would change

Exit codes:
  0  written
  1  nothing was changed: no earlier image is known";

/// Go back: write the image and the version from before into a cluster's file
///
/// Nothing else in the file changes. Once it is committed, the cluster is rolled to that image as to any other.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, visible_alias = "rollback")]
pub struct Args {
    #[command(flatten)]
    edited: Edited,
    /// Ask the log that the daemon writes to this folder, and not git
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// An image that was wanted before, with its version, and where that is known from.
struct Earlier {
    image: ImageId,
    /// None where nobody knows it.
    version: Option<Option<String>>,
    source: String,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = args.edited.read(out)?;
    let spec = args.edited.cluster(&desired)?;
    let (path, _) = desired.file(spec);
    let earlier = match &args.state {
        Some(folder) => from_history(folder, spec)?,
        None => from_git(path, spec)?,
    };
    let Some(Earlier { image, version, source }) = earlier else {
        return Err(Failure::new(format!("no earlier image of {} is known than {}", spec.name, spec.image))
            .hint("name one: `hermitcrab promote FILE --image AMI`"));
    };
    let now = spec.application.rules().version;
    let edits =
        [Some(Edit::Image(image.clone())), version.clone().filter(|version| *version != now).map(Edit::Version)];
    let exit = args.edited.write(
        &desired,
        spec,
        &edits.into_iter().flatten().collect::<Vec<_>>(),
        &format!("back to {image}, {source}"),
        out,
    )?;
    if let (None, Some(now)) = (version, now) {
        writeln!(
            out.notes,
            "note: the file wants members of version {now}, and the log does not say which one {image} has"
        )?;
    }
    Ok(exit)
}

/// Finds the image of the newest version in git that had another one.
fn from_git(path: &Path, spec: &ClusterSpec) -> Result<Option<Earlier>, Failure> {
    let versions = git::versions(path).map_err(|failure| {
        failure.hint("name the folder of the daemon's log with `--state DIR`, or an image: `hermitcrab promote`")
    })?;
    for git::Version { commit, text } in versions {
        let loaded = check(path, &text);
        let Some((_, before)) = loaded.specs().next() else { continue };
        if before.image != spec.image && before.name == spec.name {
            let version = before.application.rules().version;
            return Ok(Some(Earlier {
                image: before.image.clone(),
                version: Some(version),
                source: format!("as of {commit}"),
            }));
        }
    }
    Ok(None)
}

/// Finds the image that the cluster settled on last, apart from the one that is wanted now; failing that, the one that was
/// wanted before.
fn from_history(folder: &Path, spec: &ClusterSpec) -> Result<Option<Earlier>, Failure> {
    let mut records = state::found(folder)?.records;
    records.retain(|record| record.cluster.as_deref() == Some(&*spec.name));
    let rollouts = rollouts(&records);
    let settled = rollouts.iter().rev().flat_map(|rollout| {
        let to = Some(&rollout.to).filter(|_| rollout.outcome == Outcome::Settled);
        to.into_iter().chain(&rollout.from)
    });
    let is_other = |image: &str| image != &*spec.image;
    if let Some(Make { image, version }) = settled.into_iter().find(|make| is_other(&make.image)) {
        let (image, version) = (ImageId::from(image.as_str()), version.clone().map(Some));
        return Ok(Some(Earlier { image, version, source: "on which it had settled".to_owned() }));
    }
    let wanted = records.iter().rev().filter_map(|record| match &record.what {
        What::Desired(desired) => Some(desired),
        _ => None,
    });
    let before = wanted.into_iter().find(|desired| is_other(&desired.image));
    Ok(before.map(|desired| Earlier {
        image: ImageId::from(desired.image.as_str()),
        version: Some(desired.version.clone()),
        source: "which was wanted before".to_owned(),
    }))
}
