//! The part of a controller's memory that comes of following one cluster: the claim record, leadership, and since when.

use std::collections::BTreeMap;

use crate::action::{Action, Effect, MemberEffect};
use crate::ids::InstanceId;
use crate::observed::{ClaimRecord, Followed, Observation};
use crate::plan::{Plan, Stall};
use crate::ports::{Outcome, PortError};
use crate::time::Timestamp;

#[derive(Default)]
pub(super) struct Following {
    /// The revision of the claim record that was read last, or written by us since, and the time of the first such look.
    record: Option<(u64, Timestamp)>,
    marked: BTreeMap<InstanceId, Timestamp>,
    transfers: u32,
    waiting: Option<(String, Timestamp)>,
}

impl Following {
    /// Notes what we sent.
    pub(super) fn wrote(&mut self, now: Timestamp, action: &Action, outcome: &Result<Outcome, PortError>) {
        match &action.effect {
            Effect::Claim(effect) => {
                self.transfers = 0;
                if matches!(outcome, Ok(Outcome::Done)) {
                    self.record = Some((effect.expects() + 1, now));
                }
            }
            Effect::Member(MemberEffect::TransferLeadership { .. }) => self.transfers += 1,
            Effect::Member(_) | Effect::Cloud(_) => {}
        }
    }

    /// Notes a record that was read, and says whether the cloud has to be looked at again: somebody else has claimed a
    /// slot, or changed a claim, and what we saw of the cloud may be older than that.
    pub(super) fn has_news(&mut self, record: &ClaimRecord, begun: Timestamp) -> bool {
        let is_known = self.record.is_some_and(|(revision, _)| revision == record.revision);
        if !is_known {
            self.record = Some((record.revision, begun));
        }
        !is_known && record.held.is_some()
    }

    /// Notes a plan. A look at which nothing could be decided ends no wait.
    pub(super) fn planned(&mut self, now: Timestamp, plan: &Plan) {
        let key = match plan {
            Plan::Wait(waiting) | Plan::Stalled(Stall::Overdue { waiting, .. }) => waiting.key(),
            Plan::Blocked(_) => return,
            Plan::Settled | Plan::Act(..) | Plan::Stalled(_) => return self.waiting = None,
        };
        let since = self.waiting.take().filter(|(before, _)| *before == key).map_or(now, |(_, since)| since);
        self.waiting = Some((key, since));
    }

    /// Completes an observation.
    pub(super) fn follow(&mut self, seen: &mut Observation) {
        if let Some(record) = seen.claim.seen() {
            let marks = record.held.iter().flat_map(|claim| &claim.stops);
            let since = |id: &InstanceId| self.marked.get(id).copied().unwrap_or(seen.now);
            self.marked = marks.map(|id| (id.clone(), since(id))).collect();
        }
        seen.followed = Followed {
            record_since: self.record.map(|(_, since)| since),
            marked_since: self.marked.clone(),
            transfers: self.transfers,
            waiting: self.waiting.clone(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ClaimEffect;
    use crate::observed::{Claim, Purpose};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn claimed(revision: u64) -> ClaimRecord {
        let claim = Claim {
            slot: "a".into(),
            attempt: Default::default(),
            tries: 0,
            purpose: Purpose::Fill,
            member: None,
            generation: "v1-a".into(),
            image: "ami-a".into(),
            recruit: None,
            request: None,
            stops: ["i-a".into()].into(),
            since: at(9_999),
        };
        ClaimRecord { revision, held: Some(claim), ..ClaimRecord::default() }
    }

    /// The date in the claim is its writer's, whose clock may be wrong.
    #[test]
    fn somebody_elses_claim_is_dated_by_our_own_first_reading_of_it() {
        let mut following = Following::default();
        assert!(following.has_news(&claimed(4), at(10)));
        assert!(!following.has_news(&claimed(4), at(20)));
        assert_eq!(following.record, Some((4, at(10))));
        assert!(following.has_news(&claimed(5), at(30)));
        assert_eq!(following.record, Some((5, at(30))));
        assert!(
            !following.has_news(&ClaimRecord { revision: 6, ..ClaimRecord::default() }, at(40)),
            "nothing is claimed"
        );
    }

    #[test]
    fn our_own_claim_is_no_news() {
        let mut following = Following::default();
        let claim = claimed(4).held.unwrap();
        let effect = Effect::Claim(ClaimEffect::Claim { claim, expects: 3 });
        let action = Action { cluster: "consul".into(), slot: None, effect };
        following.wrote(at(5), &action, &Ok(Outcome::Done));
        assert!(!following.has_news(&claimed(4), at(6)));
        assert_eq!(following.record, Some((4, at(5))));
    }
}
