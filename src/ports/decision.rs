//! The age of a decision, which goes with it until it is sent.

use std::time::Duration;

use crate::ports::Outcome;
use crate::time::{Human, Timestamp, elapsed};

/// The moment at which something was decided, and what it rests on. Whatever has to wait before a call is sent (its turn
/// at a rate limit, credentials, a process that was frozen) asks again afterwards whether the decision still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The moment of the decision, by the clock of whoever sends it.
    pub at: Timestamp,
    /// The greatest age at which it is sent.
    pub life: Duration,
    /// The revision of the claim record that it rests on, where it rests on one.
    pub claim: Option<u64>,
    /// The beginning of the commit of desired state that was in force, e.g. `1a2b3c4d5e6f`, where it comes from git. A call that
    /// writes down what settled writes it beside that, for people.
    pub revision: Option<String>,
}

impl Decision {
    /// Makes a decision that rests on no claim and on no revision.
    pub fn made(at: Timestamp, life: Duration) -> Self {
        Self { at, life, claim: None, revision: None }
    }

    /// Answers that the world may have changed since, where the decision is too old to be sent. One that is dated ahead is
    /// of an age that nobody knows.
    pub fn too_old(&self, now: Timestamp) -> Option<Outcome> {
        let expected = || format!("a decision at most {} old", Human(self.life));
        if self.at > now {
            return Some(Outcome::Changed { expected: expected(), found: "one that is dated ahead".to_owned() });
        }
        let age = elapsed(now, self.at);
        let found = || format!("one that is {} old", Human(age));
        (age > self.life).then(|| Outcome::Changed { expected: expected(), found: found() })
    }
}
