//! Actions that came to nothing of late: counted by the controller, and a fact like any other to the planner.

use crate::time::Timestamp;

/// An action that is not sent again for a while, because it came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// The key of the deed: the same one, tried again, has the same key.
    pub key: String,
    /// The deed in words, e.g. `detach vol-1 for consul-a`.
    pub doing: String,
    /// The latest answer in words.
    pub found: String,
    /// The moment of the first such answer in a row.
    pub since: Timestamp,
    /// The number of such answers in a row.
    pub times: u32,
    pub nature: Nature,
}

/// The nature of an answer that leaves a deed undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Refused in a way that takes a person.
    Refused,
    /// EC2 has none to give, or a quota is full.
    NoCapacity,
    /// Not sent, not answered, or refused in a way that should have cleared by itself.
    Undone,
    /// Carried out, and the world was as before.
    WithoutEffect,
}
