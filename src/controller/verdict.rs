//! Where a cluster stands, for whoever waits for its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use crate::ids::ClusterName;
use crate::plan::{Hazard, Plan};

/// Where a cluster stands; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is as it is wanted.
    Settled,
    /// It gets there by itself, or may.
    UnderWay,
    /// Somebody has to agree, or to open a window.
    NeedsPerson,
    /// It does not get there.
    Stalled,
    /// An internal assertion broke.
    Broken,
}

impl Verdict {
    /// Blocked is an end only where it takes a person; everything else may clear by itself.
    fn on(plan: &Plan) -> Self {
        match plan {
            Plan::Settled => Self::Settled,
            Plan::Act(..) | Plan::Wait(_) => Self::UnderWay,
            Plan::Blocked(blocked) => {
                let rejected = blocked.hazards.iter().any(|hazard| matches!(hazard, Hazard::GenerationRejected { .. }));
                match (rejected, blocked.hazards.iter().any(Hazard::takes_person)) {
                    (true, _) => Self::Stalled,
                    (false, true) => Self::NeedsPerson,
                    (false, false) => Self::UnderWay,
                }
            }
            Plan::Stalled(_) => Self::Stalled,
        }
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

/// Tells what looks come to, one after another.
#[derive(Debug, Default)]
pub struct Judge {
    /// What each cluster's last look came to.
    latest: RefCell<BTreeMap<ClusterName, Verdict>>,
}

impl Judge {
    /// What a look comes to, as far as it counts. That a person is needed has to be seen twice in a row: a single answer of
    /// EC2 may leave things out.
    pub fn counted(&self, cluster: &ClusterName, plan: &Plan) -> Verdict {
        let seen = Verdict::on(plan);
        let is_confirmed = self.latest.borrow_mut().insert(cluster.clone(), seen) == Some(seen);
        match seen {
            Verdict::NeedsPerson | Verdict::Stalled if !is_confirmed => Verdict::UnderWay,
            Verdict::Settled | Verdict::UnderWay | Verdict::NeedsPerson | Verdict::Stalled | Verdict::Broken => seen,
        }
    }
}
