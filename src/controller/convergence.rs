//! Convergence: how far a cluster has come towards its goal, read off its plans.

use std::fmt;

use crate::plan::{Hazard, Plan};

/// A cluster's distance from its goal; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Convergence {
    /// The cluster is as it is wanted.
    Settled,
    /// The cluster gets there by itself, or may.
    UnderWay,
    /// Somebody has to agree, or to open a window.
    NeedsPerson,
    /// The cluster does not get there.
    Stalled,
    /// An internal assertion broke.
    Broken,
}

impl Convergence {
    /// Judges one plan. A refusal is an end only where it takes a person; every other refusal may clear by itself.
    pub fn after(plan: &Plan) -> Self {
        match plan {
            Plan::Settled => Self::Settled,
            Plan::Act(..) | Plan::Wait(_) => Self::UnderWay,
            Plan::Blocked(blocked) => Self::under(&blocked.hazards),
            Plan::Stalled(_) => Self::Stalled,
        }
    }

    fn under(hazards: &[Hazard]) -> Self {
        if hazards.iter().any(|hazard| matches!(hazard, Hazard::GenerationRejected { .. })) {
            Self::Stalled
        } else if hazards.iter().any(Hazard::takes_person) {
            Self::NeedsPerson
        } else {
            Self::UnderWay
        }
    }
}

impl fmt::Display for Convergence {
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

/// The convergence of one cluster, plan after plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Confirmation {
    latest: Option<Convergence>,
}

impl Confirmation {
    /// Judges the next plan. That a person is needed counts only when two plans in a row say so, because a single answer of
    /// EC2 may leave things out.
    pub fn after(&mut self, plan: &Plan) -> Convergence {
        let judged = Convergence::after(plan);
        let is_confirmed = self.latest.replace(judged) == Some(judged);
        match judged {
            Convergence::NeedsPerson | Convergence::Stalled if !is_confirmed => Convergence::UnderWay,
            judged => judged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Hazards;

    #[test]
    fn a_refusal_that_takes_a_person_counts_when_it_is_said_twice_in_a_row() {
        let suspended = Plan::Blocked(Hazards { slot: None, hazards: vec![Hazard::Suspended] });
        let mut confirmation = Confirmation::default();
        let judged: Vec<_> =
            [&suspended, &Plan::Settled, &suspended, &suspended].map(|plan| confirmation.after(plan)).into();
        let (settled, under_way) = (Convergence::Settled, Convergence::UnderWay);
        assert_eq!(judged, [under_way, settled, under_way, Convergence::NeedsPerson]);
    }
}
