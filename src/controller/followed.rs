//! The part of a controller's memory that comes of following one cluster: the claim record, and since when.

use std::collections::BTreeMap;

use crate::ids::{Attempt, InstanceId};
use crate::observed::{ClaimRecord, CloudView, Followed, Observation};
use crate::plan::{Plan, Stall, Stalls};
use crate::time::Timestamp;

#[derive(Default)]
pub(super) struct Following {
    marked: BTreeMap<InstanceId, Timestamp>,
    prepared: BTreeMap<InstanceId, Timestamp>,
    /// The instances that were seen without their fixed address, each with when it was seen with it, if it was since.
    addressed: BTreeMap<InstanceId, Option<Timestamp>>,
    turning: Option<(u64, Timestamp)>,
    left: BTreeMap<InstanceId, Timestamp>,
    retired: BTreeMap<InstanceId, Timestamp>,
    let_go: Option<(Attempt, Timestamp)>,
    waiting: Option<(String, Timestamp)>,
}

impl Following {
    /// Notes a plan. A look at which nothing could be decided ends no wait.
    pub(super) fn planned(&mut self, now: Timestamp, plan: &Plan) {
        let key = match plan {
            Plan::Wait(waiting) | Plan::Stalled(Stalls { stall: Stall::Overdue { waiting, .. }, .. }) => waiting.key(),
            Plan::Blocked(_) => return,
            Plan::Settled | Plan::Act(..) | Plan::Stalled(_) => return self.waiting = None,
        };
        let since = self.waiting.take().filter(|(before, _)| *before == key).map_or(now, |(_, since)| since);
        self.waiting = Some((key, since));
    }

    /// Notes that an instance's member was prepared for its stop. A controller that does not know prepares it once more.
    pub(super) fn prepared(&mut self, now: Timestamp, instance: &InstanceId) {
        self.prepared.insert(instance.clone(), now);
    }

    /// Completes an observation.
    pub(super) fn follow(&mut self, seen: &mut Observation) {
        if let Some(record) = seen.claim.seen() {
            self.read(seen.now, record);
        }
        if let Some(cloud) = seen.cloud.seen() {
            self.look_for_addresses(seen.now, cloud);
            let retired = cloud.instances.iter().filter(|instance| instance.retired).map(|instance| &instance.id);
            self.retired = first_read(&self.retired, retired, seen.now);
        }
        let addressed = self.addressed.iter().filter_map(|(instance, since)| Some((instance.clone(), (*since)?)));
        seen.followed = Followed {
            marked_since: self.marked.clone(),
            prepared_since: self.prepared.clone(),
            addressed_since: addressed.collect(),
            turning_since: self.turning.map(|(_, since)| since),
            left_since: self.left.clone(),
            retired_since: self.retired.clone(),
            let_go_since: self.let_go.map(|(_, since)| since),
            waiting: self.waiting.clone(),
        };
    }

    /// Notes which instances lack their fixed address, and which have it again.
    fn look_for_addresses(&mut self, now: Timestamp, cloud: &CloudView) {
        self.addressed.retain(|id, _| cloud.instance(id).is_some());
        for instance in cloud.instances().filter(|instance| instance.fixed_address.is_some()) {
            match self.addressed.get_mut(&instance.id) {
                Some(since) if instance.has_fixed_address() => _ = since.get_or_insert(now),
                _ if instance.has_fixed_address() => {}
                _ => _ = self.addressed.insert(instance.id.clone(), None),
            }
        }
    }

    /// Notes a claim record as it was read by then.
    fn read(&mut self, now: Timestamp, record: &ClaimRecord) {
        let marks = record.held.iter().flat_map(|claim| &claim.stops);
        self.marked = first_read(&self.marked, marks, now);
        self.prepared.retain(|instance, _| self.marked.contains_key(instance));
        self.left = first_read(&self.left, record.stopped.keys(), now);
        // By revision: a claim that was turned to one way, to the other and to this one again is another one.
        let before = self.turning.filter(|(revision, _)| *revision == record.revision);
        let is_turning = record.held.as_ref().is_some_and(|claim| claim.turning);
        self.turning = is_turning.then(|| before.unwrap_or((record.revision, now)));
        let let_go = record.ahead.as_ref().filter(|ahead| ahead.let_go).map(|ahead| ahead.attempt);
        let before = self.let_go.filter(|(attempt, _)| Some(*attempt) == let_go);
        self.let_go = let_go.map(|attempt| before.unwrap_or((attempt, now)));
    }
}

/// Dates what is read now: by the first reading that had it, of those without a gap.
fn first_read<'i>(
    before: &BTreeMap<InstanceId, Timestamp>,
    ids: impl Iterator<Item = &'i InstanceId>,
    now: Timestamp,
) -> BTreeMap<InstanceId, Timestamp> {
    ids.map(|id| (id.clone(), before.get(id).copied().unwrap_or(now))).collect()
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
        let unread = Plan::Blocked(Hazards::default());
        for (second, plan) in [(1, wait("i-a")), (2, wait("i-a")), (3, unread), (4, wait("i-a"))] {
            following.planned(at(second), &plan);
            assert_eq!(following.waiting.as_ref().map(|(_, since)| *since), Some(at(1)));
        }
        following.planned(at(5), &wait("i-b"));
        assert_eq!(following.waiting.as_ref().map(|(_, since)| *since), Some(at(5)));
        following.planned(at(6), &Plan::Settled);
        assert_eq!(following.waiting, None);
    }

    #[test]
    fn a_turn_counts_from_the_first_reading_of_its_revision() {
        let mut following = Following::default();
        let mut since = |second, revision, turning: bool| {
            let claim = serde_json::json!({
                "slot": "a", "attempt": 4, "tries": 0, "old": "i-a", "member": null, "generation": "v1-0", "image": "ami-a",
                "since": at(0), "way": "back", "turning": turning,
            });
            let held = Some(serde_json::from_value(claim).unwrap());
            following.read(at(second), &ClaimRecord { revision, held, ..ClaimRecord::default() });
            following.turning.map(|(_, since)| since.as_second())
        };
        assert_eq!(since(1, 7, true), Some(1));
        assert_eq!(since(9, 7, true), Some(1));
        assert_eq!(since(20, 8, false), None);
        assert_eq!(since(600, 12, true), Some(600), "it was turned twice since, while nobody here looked");
        assert_eq!(since(601, 13, true), Some(601), "something was written meanwhile");
    }

    #[test]
    fn what_a_claim_left_stopped_counts_from_when_it_was_first_read() {
        let mut following = Following::default();
        let mut since = |second, left: &[&str]| {
            let stopped = left.iter().map(|id| (InstanceId::from(*id), at(0))).collect();
            following.read(at(second), &ClaimRecord { stopped, ..ClaimRecord::default() });
            following.left.values().map(|since| since.as_second()).collect::<Vec<_>>()
        };
        assert_eq!(since(5, &["i-a"]), [5]);
        assert_eq!(since(9, &["i-a", "i-b"]), [5, 9]);
        assert_eq!(since(10, &["i-b"]), [9]);
    }
}
