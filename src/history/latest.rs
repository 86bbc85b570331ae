//! The latest records in memory, for whoever asks a daemon about the past: numbered and folded as those of its log are.

use std::collections::BTreeMap;

use super::fold::Folding;
use super::notes::Notes;
use super::record::Record;
use crate::event::Event;

/// The number of records that are kept, of all clusters together: a rollout of three slots has about a hundred.
const MOST: usize = 20_000;

/// The records of the latest events.
#[derive(Debug, Default)]
pub struct Latest {
    notes: Notes,
    folding: Folding,
    records: BTreeMap<u64, Record>,
    /// The number of the newest record that was forgotten.
    forgotten: u64,
}

impl Latest {
    /// Goes on with a log that has these records.
    pub fn resume(records: Vec<Record>) -> Self {
        let mut latest = Self { folding: Folding::resume(&records), ..Self::default() };
        latest.keep(records);
        latest
    }

    /// Takes note of an event.
    pub fn note(&mut self, event: &Event) {
        for record in self.notes.of(event) {
            let written = self.folding.take(record);
            self.keep(written);
        }
    }

    /// Lists the records, the oldest first: of one cluster, or all.
    pub fn of<'l>(&'l self, cluster: Option<&'l str>) -> impl DoubleEndedIterator<Item = &'l Record> {
        self.records.values().filter(move |record| cluster.is_none() || record.cluster.as_deref() == cluster)
    }

    /// The number of the newest record that was forgotten, because only so many are kept; 0 while none was.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn keep(&mut self, records: Vec<Record>) {
        // A record that is told anew, after it was forgotten, stays so.
        let kept = records.into_iter().filter(|record| record.id > self.forgotten);
        self.records.extend(kept.map(|record| (record.id, record)));
        while self.records.len() > MOST {
            self.forgotten = self.records.pop_first().map_or(self.forgotten, |(id, _)| id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::time::Timestamp;

    fn broken(file: usize) -> Event {
        let kind = EventKind::FileBroken(format!("{file}.yaml").into());
        Event { at: Timestamp::UNIX_EPOCH, cluster: None, kind }
    }

    #[test]
    fn the_oldest_records_are_forgotten_and_numbers_go_on_where_the_log_ended() {
        let mut latest = Latest::default();
        (0..5).for_each(|file| latest.note(&broken(file)));
        let log: Vec<_> = latest.of(None).cloned().collect();
        let mut latest = Latest::resume(log);
        (0..MOST).for_each(|file| latest.note(&broken(file + 100)));
        assert_eq!(latest.forgotten(), 5);
        let numbers: Vec<_> = latest.of(None).map(|record| record.id).collect();
        assert_eq!((numbers.first(), numbers.last()), (Some(&6), Some(&(MOST as u64 + 5))));
        assert_eq!(latest.of(Some("consul-prod")).count(), 0);
    }
}
