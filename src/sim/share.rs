//! A controller's own share of what EC2 allows for looking: the adapter waits for its turn, so a look at a large fleet takes time.

use serde::{Deserialize, Serialize};

use super::time::Millis;

/// Levels are kept in 100,000ths of a request.
const REQUEST: i64 = 100_000;

/// The looks of one controller, and what each kind has left of its share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    /// Looks at what moves.
    pub busy: Looks,
    /// Looks at the whole fleet.
    pub fleet: Looks,
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
    left: i64,
    at: Millis,
    capacity: i64,
    /// Parts of a request that are added each millisecond.
    refill: i64,
}

impl Share {
    /// A tenth of what EC2 allows an account: 7.5 requests at once and 1.5 a second for what moves, a third of that for the rest.
    pub fn tenth() -> Self {
        Self { busy: Looks::of(75, 150), fleet: Looks::of(25, 50) }
    }
}

impl Looks {
    fn of(tenths: i64, refill: i64) -> Self {
        let capacity = tenths * REQUEST / 10;
        Self { looks: 0, calls: 0, most: 0, left: capacity, at: 0, capacity, refill }
    }

    /// Takes the calls of one look, and says how long it is until the last of them may be sent.
    pub fn reserve(&mut self, now: Millis, calls: u64) -> Millis {
        let passed = now.saturating_sub(self.at) as i64;
        self.left = self.left.saturating_add(passed.saturating_mul(self.refill)).min(self.capacity);
        self.left -= calls as i64 * REQUEST;
        (self.at, self.looks, self.calls) = (now, self.looks + 1, self.calls + calls);
        self.most = self.most.max(calls);
        ((-self.left).max(0) / self.refill) as Millis
    }
}
