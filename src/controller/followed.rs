//! The part of a controller's memory that comes of following one cluster: the claim record, and since when.

use std::collections::BTreeMap;

use crate::ids::InstanceId;
use crate::observed::{Followed, Observation};
use crate::plan::{Plan, Stall};
use crate::time::Timestamp;

#[derive(Default)]
pub(super) struct Following {
    marked: BTreeMap<InstanceId, Timestamp>,
    waiting: Option<(String, Timestamp)>,
}

impl Following {
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
        seen.followed = Followed { marked_since: self.marked.clone(), waiting: self.waiting.clone() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Awaited, Hazards, WaitingOn};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_wait_lasts_until_something_else_is_the_answer() {
        let mut following = Following::default();
        let wait = |instance: &str| {
            let what = Awaited::Stopped { instance: instance.into() };
            Plan::Wait(WaitingOn { slot: None, what, since: at(0), worry_at: at(600) })
        };
        let unread = Plan::Blocked(Hazards { slot: None, hazards: Vec::new() });
        for (second, plan) in [(1, wait("i-a")), (2, wait("i-a")), (3, unread), (4, wait("i-a"))] {
            following.planned(at(second), &plan);
            assert_eq!(following.waiting.as_ref().map(|(_, since)| *since), Some(at(1)));
        }
        following.planned(at(5), &wait("i-b"));
        assert_eq!(following.waiting.as_ref().map(|(_, since)| *since), Some(at(5)));
        following.planned(at(6), &Plan::Settled);
        assert_eq!(following.waiting, None);
    }
}
