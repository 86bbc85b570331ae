//! Words that every room of the simulated world uses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ports::{ErrorKind, Outcome, PortError};

/// The owner of what [`World::settle`](super::World::settle) builds.
pub const OWNER: &str = "hermitcrab";
/// The version that members run where nothing else is said.
pub const DEFAULT_VERSION: &str = "1.20.1";

/// The number of every controller that reaches the world over HTTP. Its claims are kept somewhere else.
pub const OUTSIDER: u8 = u8::MAX;

/// The unkindness of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultLevel {
    /// Nothing fails but what a test or a script arranges.
    #[default]
    None,
    /// About one fault in four minutes.
    Some,
    /// About one fault in a minute and a half.
    Many,
}

/// The behaviour of members on instances of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// Members run well.
    Good {
        /// The version that they report, e.g. "1.20.1".
        version: String,
    },
    /// The member's process never starts.
    NeverJoins,
    /// Members join, and never become healthy.
    JoinsUnhealthy,
    /// Members are healthy for 28 s, ill for 12 s, and so on.
    Flaps,
    /// Members run well, but another version than the image is meant to have.
    WrongVersion(String),
    /// Members start this much later than others do.
    SlowToJoin(Duration),
    /// Members run well, and have lost their canary data whenever they start. Their peers send them only new writes.
    LosesData,
}

impl Default for Payload {
    fn default() -> Self {
        Self::Good { version: DEFAULT_VERSION.to_owned() }
    }
}

/// The point of a mutating call at which a controller dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashPoint {
    /// Nothing was sent.
    BeforeSend,
    /// The call took effect, and nobody hears the answer.
    AfterEffect,
    /// The answer was heard, and nothing more was done with it.
    AfterAnswer,
}

/// A call that came to nothing.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub kind: ErrorKind,
    pub text: String,
}

impl Refusal {
    /// Refuses a call, in the words of whoever refuses it.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Words a refusal as a port does.
    pub fn while_doing(self, doing: impl Into<String>) -> PortError {
        PortError::new(doing, self.kind, self.text)
    }
}

/// Answers that the world was not as the call expects.
pub fn changed(expected: impl Into<String>, found: impl Into<String>) -> Outcome {
    Outcome::Changed { expected: expected.into(), found: found.into() }
}
