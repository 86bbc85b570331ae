//! The requests of the cluster's clients with their answers, and whether one correct register could have answered so.
//!
//! Each key has one writer, which writes 1, 2, 3 …, so that a value says how much was written before it. A write whose
//! answer was lost may take effect later: at any time for a plain write, and for one with a compare-and-set no later than
//! the next acknowledged one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The end of a write, as far as its writer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Acknowledged,
    /// The write may have taken effect, or may do so later.
    Unknown,
}

/// An operation on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Write(u64, Fate),
    /// A consistent read, and the value that it found; 0 for none.
    Read(u64),
}

/// One request, from when it was sent until it was answered.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub sent: Instant,
    pub answered: Instant,
    pub op: Op,
}

/// Whether writes of a key go through a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Cas,
}

/// Everything that was asked of one key.
#[derive(Clone, Debug)]
pub struct Register {
    pub kind: Kind,
    pub events: Vec<Event>,
}

/// Everything that was asked, by key.
pub type History = BTreeMap<String, Register>;

/// All that is wrong with a history.
pub fn check(history: &History) -> Vec<String> {
    history
        .iter()
        .flat_map(|(key, register)| register.check().into_iter().map(move |why| format!("{key}: {why}")))
        .collect()
}

/// The longest time in which no write at all was acknowledged.
pub fn longest_stall(history: &History) -> Duration {
    let mut acks: Vec<Instant> =
        history.values().flat_map(Register::acknowledged).map(|event| event.answered).collect();
    acks.sort();
    acks.windows(2).map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or_default()
}

/// How many writes were acknowledged, and how many have an unknown fate.
pub fn writes(history: &History) -> (usize, usize) {
    let fates = history.values().flat_map(|register| &register.events).filter_map(|event| match event.op {
        Op::Write(_, fate) => Some(fate),
        Op::Read(_) => None,
    });
    fates.fold((0, 0), |(known, unknown), fate| match fate {
        Fate::Acknowledged => (known + 1, unknown),
        Fate::Unknown => (known, unknown + 1),
    })
}

impl Register {
    fn acknowledged(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| matches!(event.op, Op::Write(_, Fate::Acknowledged)))
    }

    fn check(&self) -> Vec<String> {
        let unknown = self.events.iter().filter_map(|event| match event.op {
            Op::Write(value, Fate::Unknown) => Some(value),
            _ => None,
        });
        let unknown: BTreeSet<u64> = unknown.collect();
        let reads = self.events.iter().filter_map(|event| match event.op {
            Op::Read(value) => Some((event, value)),
            Op::Write(..) => None,
        });
        reads.flat_map(|(read, value)| self.judge(read, value, &unknown)).collect()
    }

    /// Lists the errors in one read.
    fn judge(&self, read: &Event, value: u64, unknown: &BTreeSet<u64>) -> Vec<String> {
        let mut wrong = Vec::new();
        let written =
            |event: &Event| matches!(event.op, Op::Write(it, _) if it == value) && event.sent <= read.answered;
        if value != 0 && !self.events.iter().any(written) {
            wrong.push(format!("{value} was read, and nobody had written it"));
        }
        // A plain write that may take effect at any later time explains its value in any read.
        if self.kind == Kind::Plain && unknown.contains(&value) {
            return wrong;
        }
        let before = self.events.iter().filter(|event| event.answered < read.sent);
        for event in before {
            match event.op {
                Op::Write(known, Fate::Acknowledged) if known > value => {
                    wrong.push(format!("{value} was read after {known} had been acknowledged"));
                }
                Op::Read(seen) if seen > value && !(self.kind == Kind::Plain && unknown.contains(&seen)) => {
                    wrong.push(format!("{value} was read after {seen} had been read"));
                }
                _ => {}
            }
        }
        wrong.truncate(3);
        wrong
    }
}

/// The checker's own tests.
pub mod tests {
    use super::*;

    pub const CASES: [(&str, fn()); 5] = cases![
        a_correct_history_passes,
        a_lost_acknowledged_write_is_found,
        a_read_that_goes_back_is_found,
        a_late_effect_of_a_plain_write_is_no_loss,
        a_value_from_nowhere_is_found,
    ];

    fn history(kind: Kind, ops: &[(u64, u64, Op)]) -> Vec<String> {
        let zero = Instant::now();
        let at = |millis: u64| zero + Duration::from_millis(millis);
        let events = ops.iter().map(|(sent, answered, op)| Event { sent: at(*sent), answered: at(*answered), op: *op });
        check(&History::from([("key".to_owned(), Register { kind, events: events.collect() })]))
    }

    fn a_correct_history_passes() {
        use Fate::*;
        let ops = [
            (0, 10, Op::Write(1, Acknowledged)),
            (20, 30, Op::Read(1)),
            (25, 60, Op::Write(2, Unknown)),
            (35, 70, Op::Read(2)),
            (80, 90, Op::Write(3, Acknowledged)),
            (85, 95, Op::Read(2)),
            (100, 110, Op::Read(3)),
        ];
        assert_eq!(history(Kind::Cas, &ops), [] as [&str; 0]);
    }

    fn a_lost_acknowledged_write_is_found() {
        let ops = [
            (0, 10, Op::Write(1, Fate::Acknowledged)),
            (20, 30, Op::Write(2, Fate::Acknowledged)),
            (40, 50, Op::Read(1)),
        ];
        assert_eq!(history(Kind::Cas, &ops), ["key: 1 was read after 2 had been acknowledged"]);
        assert_eq!(history(Kind::Plain, &ops), ["key: 1 was read after 2 had been acknowledged"]);
    }

    fn a_read_that_goes_back_is_found() {
        let ops = [
            (0, 10, Op::Write(1, Fate::Acknowledged)),
            (20, 90, Op::Write(2, Fate::Unknown)),
            (30, 40, Op::Read(2)),
            (50, 60, Op::Read(1)),
        ];
        assert_eq!(history(Kind::Cas, &ops), ["key: 1 was read after 2 had been read"]);
    }

    fn a_late_effect_of_a_plain_write_is_no_loss() {
        let ops =
            [(0, 10, Op::Write(1, Fate::Unknown)), (20, 30, Op::Write(2, Fate::Acknowledged)), (40, 50, Op::Read(1))];
        assert_eq!(history(Kind::Plain, &ops), [] as [&str; 0]);
        assert_eq!(history(Kind::Cas, &ops), ["key: 1 was read after 2 had been acknowledged"]);
    }

    fn a_value_from_nowhere_is_found() {
        let ops = [(0, 10, Op::Write(1, Fate::Acknowledged)), (20, 30, Op::Read(7))];
        assert_eq!(history(Kind::Cas, &ops), ["key: 7 was read, and nobody had written it"]);
    }
}
