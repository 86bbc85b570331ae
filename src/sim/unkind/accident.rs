//! Accidents that are arranged for one certain call, because chance would find them only now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fate::{CallFate, TIMEOUT};
use crate::ports::ErrorKind;
use crate::sim::time::Millis;
use crate::sim::words::CrashPoint;

/// An accident of a call that was arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accident {
    /// The call's controller dies, and starts anew after a while with nothing remembered.
    Crash(CrashPoint),
    /// The call fails before it has any effect.
    Refused(ErrorKind),
    /// The call takes effect, and its answer is lost.
    AnswerLost,
    /// The call's controller stands still for this long between sending it and its taking effect.
    Pause(Duration),
    /// The call takes effect twice, because something on its way sent it again.
    Twice,
    /// The adapter's own look before the call shows what was so this long ago.
    StaleLook(Duration),
}

/// The accidents that are arranged, and how many calls were sent so far.
#[derive(Clone, Debug, Default)]
pub struct Arranged {
    pub sent: u64,
    pub at: BTreeMap<u64, Accident>,
    pub always: Option<Accident>,
}

impl Arranged {
    /// The age of what an adapter is to see just before it sends the next call, if that is to be old.
    pub fn stale_look(&self) -> Option<Millis> {
        match self.at.get(&(self.sent + 1)).or(self.always.as_ref()) {
            Some(Accident::StaleLook(age)) => Some(age.as_millis() as Millis),
            _ => None,
        }
    }

    /// Counts a mutating call that is sent now, and takes its accident.
    pub fn next(&mut self) -> Option<Accident> {
        self.sent += 1;
        self.at.remove(&self.sent).or(self.always)
    }
}

impl Accident {
    /// Adds the accident to a call's fate.
    pub fn befall(self, fate: CallFate) -> CallFate {
        match self {
            Self::Crash(point) => CallFate { crash: Some(point), ..fate },
            Self::Pause(span) => CallFate { frozen: Some(span.as_millis() as Millis), ..fate },
            Self::Refused(kind) => CallFate { refused: Some(kind), ..fate },
            Self::AnswerLost => CallFate { lost: Some(TIMEOUT), ..fate },
            Self::Twice => CallFate { twice: true, ..fate },
            Self::StaleLook(_) => fate,
        }
    }

    /// Names the fault that is told when the call is sent. A death, a pause and an old look are told when they happen.
    pub fn fault(self) -> Option<&'static str> {
        match self {
            Self::Crash(_) | Self::Pause(_) | Self::StaleLook(_) => None,
            Self::Refused(ErrorKind::Throttled) => Some("throttled"),
            Self::Refused(_) => Some("refused"),
            Self::AnswerLost => Some("answer-lost"),
            Self::Twice => Some("sent-twice"),
        }
    }
}
