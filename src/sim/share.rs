//! A controller's own share of what EC2 allows for looking: the adapter waits for its turn, so a look at a large fleet takes time.
//!
//! EC2 counts each kind of call by itself, and so does the adapter.

use serde::{Deserialize, Serialize};

use super::time::Millis;

/// Levels are kept in 100,000ths of a request.
const REQUEST: i64 = 100_000;

/// The kinds of calls that a look takes: for instances, for volumes, and for the status of instances.
pub const KINDS: usize = 3;

/// The looks of one controller, and what each kind has left of its share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    /// Looks at what moves.
    pub busy: Looks,
    /// Looks at the whole fleet.
    pub fleet: Looks,
    /// The last look at what moves that asked for the status of instances.
    #[serde(default)]
    status_asked: Millis,
}

/// Looks of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Looks {
    /// The number of looks so far.
    pub looks: u64,
    /// The number of calls that they took.
    pub calls: u64,
    /// The most calls that one of them took.
    pub most: u64,
    /// The milliseconds that they have waited for their turns.
    #[serde(default)]
    pub waited: Millis,
    /// By the kind of call.
    left: [i64; KINDS],
    at: Millis,
    capacity: i64,
    /// Parts of a request that are added each millisecond.
    refill: i64,
}

/// The time for which the status of instances that have passed their checks is believed.
const STATUS_LIFE: Millis = 10_000;
/// The time for which it is believed that they have not passed them yet.
const AWAITED_LIFE: Millis = 1_000;

impl Share {
    /// A tenth of what EC2 allows an account: 7.5 requests of a kind at once and 1.5 a second for what moves, a third of that for the
    /// rest.
    pub fn tenth() -> Self {
        Self { busy: Looks::of(75, 150), fleet: Looks::of(25, 50), status_asked: 0 }
    }

    /// Says whether a look at what moves asks for the status of instances: often while their checks are waited for, and now and then.
    pub fn asks_for_status(&mut self, now: Millis, is_awaited: bool) -> bool {
        let life = if is_awaited { AWAITED_LIFE } else { STATUS_LIFE };
        let asks = now >= self.status_asked + life;
        if asks {
            self.status_asked = now;
        }
        asks
    }

    /// Takes the calls of one look, and says how long it is until the last of them may be sent. A call is taken from what the
    /// other kind has left where that is more than half of its share.
    pub fn reserve(&mut self, now: Millis, is_of_fleet: bool, calls: [u64; KINDS]) -> Millis {
        let (own, other) = match is_of_fleet {
            true => (&mut self.fleet, &mut self.busy),
            false => (&mut self.busy, &mut self.fleet),
        };
        let lent = std::array::from_fn(|kind| (0..calls[kind]).filter(|_| other.lends(now, kind)).count() as u64);
        own.reserve(now, calls, lent)
    }
}

impl Looks {
    fn of(tenths: i64, refill: i64) -> Self {
        let capacity = tenths * REQUEST / 10;
        Self { looks: 0, calls: 0, most: 0, waited: 0, left: [capacity; KINDS], at: 0, capacity, refill }
    }

    fn reserve(&mut self, now: Millis, calls: [u64; KINDS], lent: [u64; KINDS]) -> Millis {
        self.refill(now);
        for ((left, calls), lent) in self.left.iter_mut().zip(calls).zip(lent) {
            *left -= (calls - lent) as i64 * REQUEST;
        }
        let all = calls.iter().sum();
        (self.looks, self.calls, self.most) = (self.looks + 1, self.calls + all, self.most.max(all));
        let lacking = self.left.iter().map(|left| (-left).max(0)).max().unwrap_or_default();
        let wait = (lacking / self.refill) as Millis;
        self.waited += wait;
        wait
    }

    /// Gives one request away, if more than half is left after it.
    fn lends(&mut self, now: Millis, kind: usize) -> bool {
        self.refill(now);
        let lends = self.left[kind] - REQUEST >= self.capacity / 2;
        if lends {
            self.left[kind] -= REQUEST;
        }
        lends
    }

    fn refill(&mut self, now: Millis) {
        let passed = now.saturating_sub(self.at) as i64;
        let (more, capacity) = (passed.saturating_mul(self.refill), self.capacity);
        self.left.iter_mut().for_each(|left| *left = left.saturating_add(more).min(capacity));
        self.at = self.at.max(now);
    }
}
