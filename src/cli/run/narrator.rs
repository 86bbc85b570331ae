//! Tells what the controller answers and does: a log line when an answer changes, and progress for a terminal.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::cli::progress::Progress;
use crate::controller::verdict::{Judge, Verdict};
use crate::controller::{Audience, Report, chain};
use crate::ids::ClusterName;
use crate::plan::Plan;
use crate::ports::{Outcome, PortError};

pub(super) struct Narrator {
    progress: Progress,
    verdicts: Rc<RefCell<BTreeMap<ClusterName, Verdict>>>,
    changed: Rc<Notify>,
    judge: Judge,
}

impl Narrator {
    pub(super) fn new(
        progress: Progress,
        verdicts: Rc<RefCell<BTreeMap<ClusterName, Verdict>>>,
        changed: Rc<Notify>,
    ) -> Self {
        Self { progress, verdicts, changed, judge: Judge::default() }
    }
}

impl Audience for Narrator {
    fn planned(&self, report: &Report<'_>) {
        self.progress.show(report.status);
        let verdict = self.judge.counted(&report.spec.name, report.plan);
        if self.verdicts.borrow_mut().insert(report.spec.name.clone(), verdict) != Some(verdict) {
            self.changed.notify_one();
        }
        if report.is_new {
            let (cluster, answer) = (&report.spec.name, report.status.answer.as_str());
            match report.plan {
                Plan::Stalled(_) => tracing::warn!(%cluster, answer, hints = report.status.hints.join("; "), "stalled"),
                Plan::Blocked(blocked) => {
                    let gates =
                        blocked.hazards.iter().map(|hazard| hazard.gate().as_str()).collect::<Vec<_>>().join(", ");
                    tracing::warn!(%cluster, answer, gates, hints = report.status.hints.join("; "), "blocked");
                }
                Plan::Settled => tracing::info!(%cluster, answer, "settled"),
                Plan::Wait(_) => tracing::info!(%cluster, answer, "waiting"),
                Plan::Act(..) => tracing::info!(%cluster, answer, "acting"),
            }
        }
    }

    fn acted(&self, report: &Report<'_>, outcome: &Result<Outcome, PortError>) {
        let (cluster, answer) = (&report.spec.name, report.status.answer.as_str());
        match outcome {
            Ok(Outcome::Launched(instance)) => tracing::info!(%cluster, %instance, "launched"),
            Ok(Outcome::Created(volume)) => tracing::info!(%cluster, %volume, "created"),
            Ok(Outcome::Snapshotted(snapshot)) => tracing::info!(%cluster, %snapshot, "snapshot begun"),
            Ok(Outcome::Done | Outcome::AlreadySo) => tracing::debug!(%cluster, answer, "done"),
            Ok(Outcome::Changed { expected, found }) => {
                tracing::info!(%cluster, answer, expected, found, "not done: the world has changed");
            }
            Err(error) => tracing::warn!(%cluster, answer, kind = %error.kind, error = chain(error), "failed"),
        }
    }
}
