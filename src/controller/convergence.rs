//! Convergence: how far a cluster has come towards its goal, read off its plans.

use std::fmt;
use std::time::Duration;

use crate::plan::{Hazard, Plan};
use crate::time::{Timestamp, elapsed};

/// The longest time that the members take to settle among themselves after a change: Patroni names a new synchronous standby some
/// rounds of 10 s after leadership has moved.
const SETTLING: Duration = Duration::from_secs(60);

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
            Plan::Blocked(blocked) if blocked.beside.is_empty() => Self::under(&blocked.hazards),
            Plan::Blocked(_) | Plan::Stalled(_) => Self::Stalled,
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
    /// The latest judgement, and since when it has been the same.
    latest: Option<(Convergence, Timestamp)>,
}

impl Confirmation {
    /// Judges the next plan, made of what was seen by `now`. That a person is needed counts only when two plans in a row say so,
    /// because a single answer of EC2 may leave things out. What only the members say of themselves counts once they have had
    /// the time to settle it.
    pub fn after(&mut self, plan: &Plan, now: Timestamp) -> Convergence {
        let judged = Convergence::after(plan);
        let before = self.latest.filter(|(before, _)| *before == judged);
        let (_, since) = *self.latest.insert(before.unwrap_or((judged, now)));
        let is_confirmed = before.is_some() && elapsed(now, since) >= patience(plan);
        match judged {
            Convergence::NeedsPerson | Convergence::Stalled if !is_confirmed => Convergence::UnderWay,
            judged => judged,
        }
    }
}

/// The time for which a plan that takes a person is given the chance to be over.
fn patience(plan: &Plan) -> Duration {
    let Plan::Blocked(blocked) = plan else { return Duration::ZERO };
    let mut of_person = blocked.hazards.iter().filter(|hazard| hazard.takes_person());
    let is_of_members = of_person.all(|hazard| matches!(hazard, Hazard::ApplicationForbids { .. }));
    if is_of_members { SETTLING } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Blocker;
    use crate::plan::Hazards;

    fn judged(plans: &[(i64, &Plan)]) -> Vec<Convergence> {
        let mut confirmation = Confirmation::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        plans.iter().map(|(second, plan)| confirmation.after(plan, at(*second))).collect()
    }

    #[test]
    fn a_refusal_that_takes_a_person_counts_when_it_is_said_twice_in_a_row() {
        let suspended = Plan::Blocked(Hazards { hazards: vec![Hazard::Suspended], ..Hazards::default() });
        let judged = judged(&[(0, &suspended), (1, &Plan::Settled), (2, &suspended), (3, &suspended)]);
        let (settled, under_way) = (Convergence::Settled, Convergence::UnderWay);
        assert_eq!(judged, [under_way, settled, under_way, Convergence::NeedsPerson]);
    }

    #[test]
    fn a_refusal_of_the_members_counts_once_they_have_had_time_to_settle() {
        let blocker = Blocker { why: "no member is a synchronous standby".into(), hint: "see why".into() };
        let forbids = || Hazard::ApplicationForbids { blockers: vec![blocker.clone()] };
        let blocked = |hazards| Plan::Blocked(Hazards { hazards, ..Hazards::default() });
        let (alone, beside) = (blocked(vec![forbids()]), blocked(vec![Hazard::Suspended, forbids()]));
        let young = blocked(vec![forbids(), Hazard::Unstable { slots: Vec::new(), until: None }]);
        let (settled, under_way) = (Convergence::Settled, Convergence::UnderWay);
        let person = Convergence::NeedsPerson;
        assert_eq!(
            judged(&[(0, &alone), (2, &young), (59, &alone), (60, &alone)]),
            [under_way, under_way, under_way, person]
        );
        assert_eq!(
            judged(&[(0, &alone), (59, &Plan::Settled), (60, &alone), (61, &alone)]),
            [under_way, settled, under_way, under_way]
        );
        assert_eq!(judged(&[(0, &beside), (2, &beside)]), [under_way, person], "it would not go on anyway");
    }
}
