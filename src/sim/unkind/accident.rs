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
}

/// The accidents that are arranged, and how many calls were sent so far.
#[derive(Clone, Debug, Default)]
pub struct Arranged {
    pub sent: u64,
    pub at: BTreeMap<u64, Accident>,
    pub always: Option<Accident>,
}

impl Arranged {
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
            Self::Pause(span) => CallFate { pause: Some(span.as_millis() as Millis), ..fate },
            Self::Refused(kind) => CallFate { refused: Some(kind), ..fate },
            Self::AnswerLost => CallFate { lost: Some(TIMEOUT), ..fate },
        }
    }

    /// Names the fault that is told when the call is sent. A death and a pause are told when they happen.
    pub fn fault(self) -> Option<&'static str> {
        match self {
            Self::Crash(_) | Self::Pause(_) => None,
            Self::Refused(ErrorKind::Throttled) => Some("throttled"),
            Self::Refused(_) => Some("refused"),
            Self::AnswerLost => Some("answer-lost"),
        }
    }
}
