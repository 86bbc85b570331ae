//! The log: a line when an answer changes, and a line for whatever was done.

use std::path::Path;

use crate::event::{Acted, Event, EventKind, Listener, Pass};
use crate::ids::ClusterName;
use crate::input::text;
use crate::plan::Plan;
use crate::plan::steps::Step;
use crate::ports::Outcome;

/// Writes events to the log.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Listener for Log {
    fn hear(&self, event: &Event) {
        match (&event.kind, &event.cluster) {
            (EventKind::Started { source, observe_only }, _) => {
                tracing::info!(path = %source, observe = observe_only, "watching desired state");
            }
            (EventKind::FileUsable(path), _) => tracing::info!(path = text::path(path), "file is usable again"),
            (EventKind::FileBroken(path), kept) => broken(path, kept.as_ref()),
            (EventKind::Orphaned, Some(cluster)) => {
                tracing::warn!(%cluster, "orphaned: no file declares it any more; nothing of it is changed");
            }
            (EventKind::DesiredChanged(spec), Some(cluster)) => {
                tracing::info!(%cluster, image = %spec.image, "desired state has changed");
            }
            (EventKind::Planned(pass), Some(cluster)) if pass.is_new => planned(cluster, pass),
            (EventKind::Acted(acted), Some(cluster)) => self::acted(cluster, acted),
            (EventKind::Broken, Some(cluster)) => {
                tracing::error!(%cluster, "internal assertion broke; the cluster is left alone until its spec changes");
            }
            (EventKind::LeaseLost, _) => {
                tracing::error!("the lease is lost: nothing more is done until it is held again");
            }
            _ => {}
        }
    }
}

fn broken(path: &Path, kept: Option<&ClusterName>) {
    let path = text::path(path);
    match kept {
        Some(cluster) => tracing::error!(path, %cluster, "broken: the last good version stays in force"),
        None => tracing::error!(path, "broken: there is no good version to go by"),
    }
}

fn planned(cluster: &ClusterName, pass: &Pass) {
    let (answer, hints) = (pass.status.answer.as_str(), || pass.status.hints.join("; "));
    let step = pass.status.step().map(Step::name);
    match &pass.plan {
        Plan::Stalled(_) => tracing::warn!(%cluster, step, answer, hints = hints(), "stalled"),
        Plan::Blocked(blocked) => {
            let gates = blocked.hazards.iter().map(|hazard| hazard.gate().as_str()).collect::<Vec<_>>().join(", ");
            tracing::warn!(%cluster, step, answer, gates, hints = hints(), "blocked");
        }
        Plan::Settled => tracing::info!(%cluster, answer, "settled"),
        Plan::Wait(_) => tracing::info!(%cluster, step, answer, "waiting"),
        Plan::Act(..) => tracing::info!(%cluster, step, answer, "acting"),
    }
}

fn acted(cluster: &ClusterName, acted: &Acted) {
    let answer = acted.status.answer.as_str();
    match &acted.outcome {
        Ok(Outcome::Launched(instance)) => tracing::info!(%cluster, %instance, "launched"),
        Ok(Outcome::Created(volume)) => tracing::info!(%cluster, %volume, "created"),
        Ok(Outcome::Snapshotted(snapshot)) => tracing::info!(%cluster, %snapshot, "snapshot begun"),
        Ok(Outcome::Done | Outcome::AlreadySo) => tracing::debug!(%cluster, answer, "done"),
        Ok(Outcome::Changed { expected, found }) => {
            tracing::info!(%cluster, answer, expected, found, "not done: the world has changed");
        }
        Err(failed) => tracing::warn!(%cluster, answer, kind = %failed.kind, error = failed.why, "failed"),
    }
}
