//! The folding of a log: events that say what is known are left out, and repeated ones are counted instead of written again.

use std::collections::BTreeMap;

use super::record::{Desired, Members, Record, What};

/// The number of different events of one cluster that a later one may repeat, as long as nothing is done meanwhile.
const RECENT: usize = 8;

/// All that has to be known of the events before, to decide what is written of the next one.
#[derive(Debug, Default)]
pub(super) struct Folding {
    /// The number of the latest event.
    latest: u64,
    desired: BTreeMap<String, Desired>,
    members: BTreeMap<String, Members>,
    /// The latest events of each cluster since something was done to it; of the daemon under the empty name.
    recent: BTreeMap<String, Vec<Recent>>,
}

#[derive(Debug)]
struct Recent {
    record: Record,
    /// The count that was written last.
    written: u64,
}

impl Folding {
    /// Goes on with a log that has these events.
    pub(super) fn resume(records: &[Record]) -> Self {
        let mut folding = Self::default();
        for record in records {
            folding.latest = folding.latest.max(record.id);
            folding.is_known(record);
        }
        folding
    }

    /// The number of the next event.
    pub(super) fn next(&self) -> u64 {
        self.latest + 1
    }

    /// Takes an event, and answers with the records to write: the event itself, or an earlier one with another count, or none.
    /// A count is written whenever it has doubled, so that a daemon that is killed loses little of it.
    pub(super) fn take(&mut self, record: Record) -> Vec<Record> {
        if self.is_known(&record) {
            return Vec::new();
        }
        let recent = self.recent.entry(record.cluster.clone().unwrap_or_default()).or_default();
        if let Some(before) = recent.iter_mut().find(|before| record.what.repeats(&before.record.what)) {
            before.record.count += record.count;
            before.record.last = Some(record.at);
            return if before.record.count.is_power_of_two() { before.owed() } else { Vec::new() };
        }
        let forgotten =
            if record.what.is_progress() { recent.len() } else { (recent.len() + 1).saturating_sub(RECENT) };
        let mut written: Vec<_> = recent.drain(..forgotten).flat_map(|mut before| before.owed()).collect();
        self.latest += 1;
        let record = Record { id: self.latest, ..record };
        recent.push(Recent { record: record.clone(), written: record.count });
        written.push(record);
        written
    }

    /// Answers with the counts that are not written yet.
    pub(super) fn finish(&mut self) -> Vec<Record> {
        self.recent.values_mut().flatten().flat_map(Recent::owed).collect()
    }

    /// Takes note of what the record says of its cluster. Says whether that was known.
    fn is_known(&mut self, record: &Record) -> bool {
        let Some(cluster) = &record.cluster else { return false };
        match &record.what {
            What::Desired(desired) => {
                let before = self.desired.insert(cluster.clone(), desired.clone());
                before.is_some_and(|before| before.is_same(desired))
            }
            What::Members(members) => {
                let before = self.members.insert(cluster.clone(), members.clone());
                before.map_or(members.down.is_empty(), |before| before == *members)
            }
            _ => false,
        }
    }
}

impl Recent {
    fn owed(&mut self) -> Vec<Record> {
        let is_owed = std::mem::replace(&mut self.written, self.record.count) != self.record.count;
        Vec::from_iter(is_owed.then(|| self.record.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::record::{Action, ActionResult, Answer, AnswerKind};
    use crate::time::Timestamp;

    fn at(second: i64, what: What) -> Record {
        Record::new(Timestamp::from_second(second).unwrap(), Some("consul-prod".to_owned()), what)
    }

    fn blocked(text: &str) -> What {
        let text = text.to_owned();
        What::Answer(Answer { answer: AnswerKind::Blocked, slot: None, step: None, reasons: Vec::new(), text })
    }

    fn action(result: ActionResult, problem: Option<&str>) -> What {
        What::Action(Action {
            action: "attach".to_owned(),
            slot: Some("consul-a".to_owned()),
            instance: None,
            volume: None,
            image: None,
            from_image: None,
            generation: None,
            result,
            text: "attach".to_owned(),
            why: None,
            problem: problem.map(str::to_owned),
        })
    }

    /// The records that are written, as their numbers and counts.
    fn written(records: &[Record]) -> Vec<(u64, u64)> {
        records.iter().map(|record| (record.id, record.count)).collect()
    }

    #[test]
    fn what_is_repeated_is_counted_and_written_when_its_count_has_doubled() {
        let mut folding = Folding::default();
        let mut all = Vec::new();
        for second in 0..1_000 {
            all.extend(folding.take(at(2 * second, blocked(&format!("read {second}s ago")))));
            all.extend(folding.take(at(2 * second + 1, action(ActionResult::Failed, Some("throttled")))));
        }
        assert_eq!(all.len(), 20, "{all:#?}");
        let owed = folding.finish();
        assert_eq!(written(&owed), [(1, 1_000), (2, 1_000)]);
        assert_eq!(owed[0].at, Timestamp::from_second(0).unwrap());
        assert_eq!(owed[0].last, Some(Timestamp::from_second(1_998).unwrap()));
        assert_eq!(folding.finish(), []);
    }

    #[test]
    fn an_answer_after_something_was_done_is_another_event_and_what_is_owed_is_written_first() {
        let mut folding = Folding::default();
        for second in 0..3 {
            folding.take(at(second, blocked("no leader")));
        }
        assert_eq!(written(&folding.take(at(3, action(ActionResult::Done, None)))), [(1, 3), (2, 1)]);
        assert_eq!(written(&folding.take(at(4, blocked("no leader")))), [(3, 1)]);
    }

    #[test]
    fn a_daemon_that_starts_anew_writes_nothing_that_is_known() {
        let members = |down: &[&str]| {
            let down = down.iter().map(|slot| (*slot).to_owned()).collect();
            What::Members(Members { down, healthy: 2, needed: 2 })
        };
        let desired = |image: &str| {
            let (image, generation) = (image.to_owned(), "v1-0".to_owned());
            What::Desired(Desired {
                image,
                version: None,
                generation,
                approved: None,
                suspend: false,
                freeze: false,
                reason: None,
                revision: None,
            })
        };
        let mut folding = Folding::default();
        let mut log = folding.take(at(0, desired("ami-a")));
        assert_eq!(folding.take(at(0, members(&[]))), [], "all members are up at the first look");
        log.extend(folding.take(at(1, members(&["consul-b"]))));
        assert_eq!(written(&log), [(1, 1), (2, 1)]);
        let mut folding = Folding::resume(&log);
        assert_eq!(folding.take(at(2, desired("ami-a"))), []);
        assert_eq!(folding.take(at(2, members(&["consul-b"]))), []);
        assert_eq!(written(&folding.take(at(3, members(&[])))), [(3, 1)], "the outage ends in the log");
        assert_eq!(written(&folding.take(at(4, desired("ami-b")))), [(4, 1)]);
    }
}
