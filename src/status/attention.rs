//! The degree to which a cluster needs a person: one word, by which clusters are put in order and a script is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{Hazard, Hazards};

use super::{Condition, ConditionKind, ConditionStatus, Phase};

/// The degree to which a cluster needs a person, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    /// The cluster does not go on before a person does something.
    Stalled,
    /// The members have no quorum, or nobody leads them.
    NoQuorum,
    /// The cluster could not be seen, so nobody knows.
    NotSeen,
    /// Somebody has to agree, or to take back what keeps it from going on.
    NeedsPerson,
    /// The cluster may not go on now, and may later.
    Blocked,
    /// Something is done, or waited for.
    UnderWay,
    /// Nothing is to be done.
    Settled,
}

impl Attention {
    pub(super) fn of(is_seen: bool, phase: Phase, refusals: Option<&Hazards>, conditions: &[Condition]) -> Self {
        let is = |kind, status| conditions.iter().any(|it| it.kind == kind && it.status == status);
        let hazards = refusals.map(|refusals| refusals.hazards.as_slice()).unwrap_or_default();
        if is(ConditionKind::Stalled, ConditionStatus::True) {
            Self::Stalled
        } else if !is_seen {
            Self::NotSeen
        } else if is(ConditionKind::QuorumHealthy, ConditionStatus::False) && phase != Phase::Reconciling {
            Self::NoQuorum
        } else if hazards.iter().any(Hazard::takes_person) {
            Self::NeedsPerson
        } else if phase == Phase::Blocked || !hazards.is_empty() {
            Self::Blocked
        } else if phase == Phase::Settled {
            Self::Settled
        } else {
            Self::UnderWay
        }
    }

    /// Says whether a script that waits for a person to be needed has waited long enough.
    pub fn needs_person(self) -> bool {
        self <= Self::NeedsPerson
    }
}
