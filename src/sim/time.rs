//! Instants of the simulated world, and the queue of what is due.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{Timestamp, after, elapsed};

/// Milliseconds since the world began.
pub type Millis = u64;

/// Monday 2026-01-05T09:00:00Z, at which every world begins.
const EPOCH: Timestamp = Timestamp::constant(1_767_603_600, 0);

/// Tells what a clock on the wall shows at a moment of the world.
pub fn instant(at: Millis) -> Timestamp {
    after(EPOCH, Duration::from_millis(at))
}

/// Finds the moment at which a clock on the wall shows this.
pub fn moment(at: Timestamp) -> Millis {
    millis(elapsed(at, EPOCH))
}

/// Whole milliseconds, rounded up.
pub fn millis(span: Duration) -> Millis {
    span.as_nanos().div_ceil(1_000_000) as Millis
}

/// Events that are due, in order of time, and of equal times in the order in which they were put there.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: DeserializeOwned"))]
pub struct Queue<T> {
    #[serde(serialize_with = "write_pairs", deserialize_with = "read_pairs")]
    due: BTreeMap<(Millis, u64), T>,
    pushed: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), pushed: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts an event there.
    pub fn push(&mut self, at: Millis, event: T) {
        self.pushed += 1;
        self.due.insert((at, self.pushed), event);
    }

    /// Finds the time of the earliest event.
    pub fn next(&self) -> Option<Millis> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lists the events that are due at the earliest time.
    pub fn earliest(&self) -> impl Iterator<Item = (Millis, &T)> {
        let first = self.next();
        self.due.iter().map(|((at, _), event)| (*at, event)).take_while(move |(at, _)| Some(*at) == first)
    }

    /// Takes the earliest event, if it is due by then.
    pub fn pop(&mut self, by: Millis) -> Option<(Millis, T)> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= by)?;
        let at = entry.key().0;
        Some((at, entry.remove()))
    }
}

/// JSON has no keys but text, so the pairs are a list.
fn write_pairs<S: Serializer, T: Serialize>(
    due: &BTreeMap<(Millis, u64), T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(due)
}

fn read_pairs<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<BTreeMap<(Millis, u64), T>, D::Error> {
    Ok(Vec::<((Millis, u64), T)>::deserialize(deserializer)?.into_iter().collect())
}

/// Futures that wait until the world's clock shows a certain time.
#[derive(Default)]
pub struct Sleepers {
    wakers: BTreeMap<(Millis, u64), Waker>,
    last: u64,
}

impl Sleepers {
    /// Gives a number that orders sleepers who wake at the same time.
    pub fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Wakes the sleeper of that number at that time.
    pub fn set(&mut self, until: Millis, number: u64, waker: Waker) {
        self.wakers.insert((until, number), waker);
    }

    /// Wakes a sleeper no more.
    pub fn remove(&mut self, until: Millis, number: u64) {
        self.wakers.remove(&(until, number));
    }

    /// Finds the time at which the first one wakes.
    pub fn next(&self) -> Option<Millis> {
        self.wakers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Wakes all whose time has come.
    pub fn wake(&mut self, now: Millis) {
        while let Some(entry) = self.wakers.first_entry().filter(|entry| entry.key().0 <= now) {
            entry.remove().wake();
        }
    }
}
