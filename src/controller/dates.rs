//! Dates by the clocks of other machines: of other controllers, and of EC2. Nothing waits for such a clock, and nothing
//! is permitted by one: where a date cannot be right by our own clock, the moment of our own first reading takes its place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::observed::{ClaimRecord, CloudView, Observation, Reading, VolumeState};
use crate::time::{Timestamp, before};

/// The difference between two clocks that nobody minds: less than any limit that is counted from a date, and more than
/// the time for which EC2 shows something late.
const SKEW: Duration = Duration::from_secs(5 * 60);
/// The time after which a date that was replaced is forgotten: no limit is longer.
const REMEMBERED: Duration = Duration::from_secs(48 * 60 * 60);

/// The dates that were replaced, and what tells new ones from old ones.
#[derive(Default)]
pub(super) struct Dates {
    /// The moments of our own that stand for dates.
    own: BTreeMap<Timestamp, Timestamp>,
    /// The moment at which the claim was last read, and the date of what was held then.
    claim: Option<(Timestamp, Option<Timestamp>)>,
    /// The revision of the record at our last reading, and the moment since which we know it.
    revision: Option<(u64, Timestamp)>,
}

impl Dates {
    /// Notes that we have just written the record: what it says then was known before any later reading.
    pub(super) fn wrote_claim(&mut self, now: Timestamp, replaced: u64) {
        self.revision = Some((replaced + 1, now));
    }

    /// Replaces the dates in an observation that cannot be right. Answers since when we know that the record is as it is,
    /// if it has changed since we watch it.
    pub(super) fn correct(&mut self, seen: &mut Observation) -> Option<Timestamp> {
        let now = seen.now;
        self.own.retain(|_, own| *own >= before(now, REMEMBERED));
        if let Reading::Seen { value, .. } = &mut seen.cloud {
            self.correct_view(now, value);
        }
        let Reading::Seen { begun, value } = &mut seen.claim else { return None };
        self.correct_record(now, value);
        let known = self.revision.filter(|(revision, _)| *revision == value.revision);
        let is_first = self.revision.is_none();
        let (_, since) = *self.revision.insert(known.unwrap_or((value.revision, *begun)));
        (!is_first).then_some(since)
    }

    fn correct_view(&mut self, now: Timestamp, view: &mut Arc<CloudView>) {
        let attached = |state: &VolumeState| match state {
            VolumeState::InUse(attachment) => Some(attachment.since),
            _ => None,
        };
        let of_instances = view.instances.iter().flat_map(|instance| [instance.launched_at, instance.state_since]);
        let of_volumes = view.volumes.iter().filter_map(|volume| attached(&volume.state));
        let of_snapshots = view.snapshots.iter().filter_map(|snapshot| snapshot.begun);
        let mut dates = of_instances.chain(of_volumes).chain(of_snapshots);
        if !dates.any(|date| date > now || self.own.contains_key(&date)) {
            return; // as good as always, so that what all clusters share is not copied
        }
        let view = Arc::make_mut(view);
        for instance in &mut view.instances {
            instance.launched_at = self.of(instance.launched_at, now);
            instance.state_since = self.of(instance.state_since, now);
        }
        for volume in &mut view.volumes {
            if let VolumeState::InUse(attachment) = &mut volume.state {
                attachment.since = self.of(attachment.since, now);
            }
        }
        for snapshot in &mut view.snapshots {
            snapshot.begun = snapshot.begun.map(|begun| self.of(begun, now));
        }
    }

    fn correct_record(&mut self, now: Timestamp, record: &mut ClaimRecord) {
        let held = record.held.as_ref().map(|claim| claim.since);
        let before_that = self.claim.replace((now, held));
        if let (Some(since), Some((read, earlier))) = (held, before_that) {
            // Somebody whose clock is behind has claimed the slot since we read last.
            if earlier != held && since < before(read, SKEW) {
                self.own.insert(since, now);
            }
        }
        if let Some(claim) = &mut record.held {
            claim.since = self.of(claim.since, now);
        }
        record.taken_back_at = record.taken_back_at.map(|at| self.of(at, now));
        for failed in record.creations.values_mut() {
            failed.at = self.of(failed.at, now);
        }
        if let Some(ending) = &mut record.ending {
            ending.since = self.of(ending.since, now);
        }
    }

    /// Gives the date as our own clock has it.
    fn of(&mut self, date: Timestamp, now: Timestamp) -> Timestamp {
        match self.own.get(&date) {
            Some(own) => *own,
            None if date <= now => date,
            None => *self.own.entry(date).or_insert(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn taken_back(at: Timestamp) -> ClaimRecord {
        ClaimRecord { taken_back_at: Some(at), ..ClaimRecord::default() }
    }

    #[test]
    fn a_date_that_lies_ahead_counts_from_when_it_was_first_read() {
        let (mut dates, hours) = (Dates::default(), Duration::from_secs(20 * 60 * 60));
        let ahead = after(at(1_000), hours);
        for now in [1_000, 1_001, 2_000, 80_000] {
            let mut record = taken_back(ahead);
            dates.correct_record(at(now), &mut record);
            assert_eq!(record.taken_back_at, Some(at(1_000)), "at {now}");
        }
        let mut record = taken_back(at(900));
        dates.correct_record(at(1_000), &mut record);
        assert_eq!(record.taken_back_at, Some(at(900)), "a date that may be right is left as it is");
    }

    #[test]
    fn a_claim_by_somebody_whose_clock_is_behind_counts_from_when_it_was_first_read() {
        let held = |since: Timestamp| -> ClaimRecord {
            let claim = serde_json::json!({
                "slot": "a", "attempt": 4, "tries": 0, "old": null, "member": null, "generation": "v1-0", "image": "ami-a",
                "since": since,
            });
            ClaimRecord { held: Some(serde_json::from_value(claim).unwrap()), ..ClaimRecord::default() }
        };
        let since = |dates: &mut Dates, now, mut record: ClaimRecord| {
            dates.correct_record(at(now), &mut record);
            record.held.map(|claim| claim.since)
        };
        let mut dates = Dates::default();
        assert_eq!(since(&mut dates, 10_000, ClaimRecord::default()), None);
        assert_eq!(since(&mut dates, 10_010, held(at(2_000))), Some(at(10_010)));
        assert_eq!(since(&mut dates, 10_500, held(at(2_000))), Some(at(10_010)));
        assert_eq!(since(&mut Dates::default(), 10_500, held(at(2_000))), Some(at(2_000)), "it may well be old");
    }
}
