//! The log: a line when an answer changes, and a line for whatever was done.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::event::{Acted, Event, EventKind, Listener, Pass};
use crate::ids::ClusterName;
use crate::input::text;
use crate::plan::steps::Step;
use crate::plan::{Hazard, Plan};
use crate::ports::Outcome;
use crate::revision::{Difference, Revision, Standing, short};

/// Writes events to the log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Whether nothing is carried out that is planned.
    observes: Cell<bool>,
    /// The clusters that were declared before.
    declared: RefCell<BTreeSet<ClusterName>>,
    /// The source as it stood before.
    source: RefCell<Option<Arc<Standing>>>,
}

impl Listener for Log {
    fn hear(&self, event: &Event) {
        match (&event.kind, &event.cluster) {
            (EventKind::Started { source, observe_only }, _) => {
                self.observes.set(*observe_only);
                self.declared.take();
                tracing::info!(path = %source, observe = observe_only, "watching desired state");
            }
            (EventKind::SourceAsked(asked), _) if asked.is_new => self.source(&asked.standing),
            (EventKind::FileUsable(path), _) => tracing::info!(path = text::path(path), "file is usable again"),
            (EventKind::FileBroken(path), kept) => broken(path, kept.as_ref()),
            (EventKind::Orphaned, Some(cluster)) => {
                tracing::warn!(%cluster, "orphaned: no file declares it any more; nothing of it is changed");
            }
            (EventKind::DesiredChanged(spec), Some(cluster)) => {
                if self.declared.borrow_mut().insert(cluster.clone()) {
                    tracing::info!(%cluster, image = %spec.image, "declared");
                } else {
                    tracing::info!(%cluster, image = %spec.image, "desired state has changed");
                }
            }
            (EventKind::Planned(pass), Some(cluster)) if pass.is_new => planned(cluster, pass, self.observes.get()),
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

impl Log {
    fn source(&self, standing: &Arc<Standing>) {
        let before = self.source.replace(Some(standing.clone()));
        let Difference { is_usable_again, revision, rewritten_from } = standing.since(before.as_deref());
        if is_usable_again {
            tracing::info!("source: it can be read again");
        }
        if let Some(now) = revision {
            let Revision { id, reference, author, subject, verified_by, .. } = now;
            tracing::info!(revision = id, reference, author, subject, verified_by, "revision in force");
        }
        if let Some(before) = rewritten_from {
            tracing::warn!(
                before = short(before),
                "the branch was rewritten: the revision in force does not descend from the one before"
            );
        }
        match (&standing.trouble, &standing.revision) {
            (None, _) => {}
            (Some(trouble), Some(kept)) => {
                let (reason, problem) = (trouble.reason.word(), &*trouble.message);
                tracing::warn!(
                    reason,
                    problem,
                    kept = kept.short(),
                    "source: no newer revision; the last good one stays in force"
                );
            }
            (Some(trouble), None) => {
                tracing::error!(
                    reason = trouble.reason.word(),
                    problem = &*trouble.message,
                    "source: no revision to go by"
                );
            }
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

fn planned(cluster: &ClusterName, pass: &Pass, observes: bool) {
    let answer = pass.status.answer.as_str();
    // The first word of the answer is the message of the line.
    let answer = ["settled: ", "blocked: ", "stalled: ", "waiting "]
        .iter()
        .fold(answer, |answer, word| answer.strip_prefix(word).unwrap_or(answer));
    let hints = (!pass.status.hints.is_empty()).then(|| pass.status.hints.join("; "));
    let step = pass.status.step().map(Step::name);
    match &pass.plan {
        Plan::Stalled(stalls) => {
            tracing::warn!(%cluster, step, answer, reason = stalls.reasons().join(", "), hints, "stalled");
        }
        Plan::Blocked(blocked) => {
            let gates = blocked.reasons().join(", ");
            let slot = blocked.slot.as_deref();
            // While a slot is replaced, gates close for moments, e.g. between two leaders.
            if step.is_some() && blocked.beside.is_empty() && !blocked.hazards.iter().any(Hazard::takes_person) {
                tracing::info!(%cluster, slot, step, answer, gates, hints, "blocked");
            } else {
                tracing::warn!(%cluster, slot, step, answer, gates, hints, "blocked");
            }
        }
        Plan::Settled => tracing::info!(%cluster, answer, "settled"),
        Plan::Wait(waiting) => {
            tracing::info!(%cluster, slot = waiting.slot.as_deref(), step, answer, hints, "waiting");
        }
        Plan::Act(action, _) => {
            let (slot, action) = (action.slot.as_deref(), action.effect.name());
            if observes {
                tracing::info!(%cluster, slot, step, action, answer, "would act");
            } else {
                tracing::info!(%cluster, slot, step, action, answer, "acting");
            }
        }
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
