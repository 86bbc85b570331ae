//! Tells what the controller answers and does: a log line when an answer changes, and progress for a terminal.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::cli::progress::Progress;
use crate::controller::{Audience, Report, chain};
use crate::ids::ClusterName;
use crate::plan::{Hazard, Plan};
use crate::ports::{Outcome, PortError};

/// Where a cluster stands, as far as `--once` is concerned; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Settled,
    UnderWay,
    NeedsPerson,
    Stalled,
    /// An internal assertion broke.
    Broken,
}

pub(super) struct Narrator {
    progress: Progress,
    verdicts: Rc<RefCell<BTreeMap<ClusterName, Verdict>>>,
    changed: Rc<Notify>,
    /// What each cluster's last look came to.
    latest: RefCell<BTreeMap<ClusterName, Verdict>>,
}

impl Narrator {
    pub(super) fn new(
        progress: Progress,
        verdicts: Rc<RefCell<BTreeMap<ClusterName, Verdict>>>,
        changed: Rc<Notify>,
    ) -> Self {
        Self { progress, verdicts, changed, latest: RefCell::default() }
    }

    /// What a look comes to, as far as it counts. That a person is needed has to be seen twice in a row: a single answer of
    /// EC2 may leave things out.
    fn counted(&self, cluster: &ClusterName, plan: &Plan) -> Verdict {
        let seen = verdict(plan);
        let is_confirmed = self.latest.borrow_mut().insert(cluster.clone(), seen) == Some(seen);
        match seen {
            Verdict::NeedsPerson | Verdict::Stalled if !is_confirmed => Verdict::UnderWay,
            Verdict::Settled | Verdict::UnderWay | Verdict::NeedsPerson | Verdict::Stalled | Verdict::Broken => seen,
        }
    }
}

impl Audience for Narrator {
    fn planned(&self, report: &Report<'_>) {
        self.progress.show(report.status);
        let verdict = self.counted(&report.spec.name, report.plan);
        if self.verdicts.borrow_mut().insert(report.spec.name.clone(), verdict) != Some(verdict) {
            self.changed.notify_one();
        }
        if report.is_new {
            let (cluster, answer) = (&report.spec.name, report.status.answer.as_str());
            match report.plan {
                Plan::Stalled(_) => tracing::warn!(%cluster, answer, hints = report.status.hints.join("; "), "stalled"),
                Plan::Blocked(blocked) => {
                    let gates = blocked.hazards.iter().map(Hazard::gate).collect::<Vec<_>>().join(", ");
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

/// Blocked is an end only where it takes a person; everything else may clear by itself.
fn verdict(plan: &Plan) -> Verdict {
    match plan {
        Plan::Settled => Verdict::Settled,
        Plan::Act(..) | Plan::Wait(_) => Verdict::UnderWay,
        Plan::Blocked(blocked) => {
            let rejected = blocked.hazards.iter().any(|hazard| matches!(hazard, Hazard::GenerationRejected { .. }));
            match (rejected, blocked.hazards.iter().any(Hazard::takes_person)) {
                (true, _) => Verdict::Stalled,
                (false, true) => Verdict::NeedsPerson,
                (false, false) => Verdict::UnderWay,
            }
        }
        Plan::Stalled(_) => Verdict::Stalled,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Settled => "settled",
            Self::UnderWay => "not settled yet",
            Self::NeedsPerson => "waits for a person",
            Self::Stalled => "stalled",
            Self::Broken => "broken off by an internal assertion",
        })
    }
}
