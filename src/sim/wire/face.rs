//! The world as a whole, as the endpoint shows it: its account and its clock.

use std::time::Duration;

use crate::sim::time::{Millis, instant, moment};
use crate::time::{Timestamp, after, elapsed};

/// The account that the world's resources belong to where no file names one.
pub const ACCOUNT: &str = "123456789012";

/// Everything that is the same in all answers.
#[derive(Clone, Debug)]
pub struct Face {
    /// E.g. `123456789012`.
    pub account: String,
    /// The moment of the reader's clock at which the world began.
    pub origin: Timestamp,
    /// The number of the world's seconds in one of the reader's.
    pub speed: f64,
}

impl Default for Face {
    fn default() -> Self {
        Self { account: ACCOUNT.to_owned(), origin: instant(0), speed: 1.0 }
    }
}

impl Face {
    /// Says whether an owner that a request names is this account.
    pub fn is_account(&self, owner: &str) -> bool {
        owner == "self" || owner == self.account
    }

    /// Gives the instant of the world that a reader's clock comes to.
    pub fn world_at(&self, now: Timestamp) -> Timestamp {
        after(instant(0), elapsed(now, self.origin).mul_f64(self.speed))
    }

    /// Writes an instant of the world as AWS does, by the reader's clock: `2026-01-05T09:00:00.000Z`.
    pub fn written(&self, at: Timestamp) -> String {
        self.shown(at).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// Writes an instant of the world as EC2 does within a text: `2026-01-05 09:00:00 GMT`.
    pub fn in_words(&self, at: Timestamp) -> String {
        self.shown(at).strftime("%Y-%m-%d %H:%M:%S GMT").to_string()
    }

    /// Counts the reader's milliseconds since the world began, by which buckets are filled.
    pub fn millis(&self, now: Millis) -> Millis {
        (now as f64 / self.speed) as Millis
    }

    fn shown(&self, at: Timestamp) -> Timestamp {
        after(self.origin, Duration::from_millis(self.millis(moment(at))))
    }
}
