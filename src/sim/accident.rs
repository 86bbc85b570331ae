//! Accidents that are arranged for one certain call: what chance would find only now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use super::faults::{Fate, TIMEOUT};
use super::truth::{Millis, Truth};
use super::{CrashPoint, World};
use crate::ports::ErrorKind;

/// What goes wrong with a call that was arranged to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accident {
    /// Its controller dies, and starts anew after a while with nothing remembered.
    Crash(CrashPoint),
    /// It fails before it has any effect.
    Refused(ErrorKind),
    /// It takes effect, and its answer is lost.
    AnswerLost,
    /// Its controller stands still for so long between sending it and its taking effect.
    Pause(Duration),
}

/// What is arranged, and how far the calls have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Arranged {
    sent: u64,
    at: BTreeMap<u64, Accident>,
    always: Option<Accident>,
}

impl World {
    /// Lets the `call`-th mutating call that is sent from the beginning meet with an accident. The first is number 1;
    /// a call that its sender found to be unnecessary is not sent.
    pub fn arrange(&self, call: u64, accident: Accident) {
        self.truth.borrow_mut().faults.arranged.at.insert(call, accident);
    }

    /// Lets every mutating call meet with this accident.
    pub fn arrange_always(&self, accident: Accident) {
        self.truth.borrow_mut().faults.arranged.always = Some(accident);
    }

    /// How many mutating calls have been sent, whatever came of them.
    pub fn sent(&self) -> u64 {
        self.truth.borrow().faults.arranged.sent
    }
}

impl Truth {
    /// A mutating call is sent now: its fate, with what was arranged for it.
    pub(super) fn arranged_fate(&mut self, fate: Fate, doing: &str) -> Fate {
        let arranged = &mut self.faults.arranged;
        arranged.sent += 1;
        let Some(accident) = arranged.at.remove(&arranged.sent).or(arranged.always) else { return fate };
        let (name, fate) = match accident {
            // A death is told when it happens.
            Accident::Crash(point) => return Fate { crash: Some(point), ..fate },
            // A pause is told by whoever stands still.
            Accident::Pause(span) => return Fate { pause: Some(span.as_millis() as Millis), ..fate },
            Accident::Refused(ErrorKind::Throttled) => {
                ("throttled", Fate { refused: Some(ErrorKind::Throttled), ..fate })
            }
            Accident::Refused(kind) => ("refused", Fate { refused: Some(kind), ..fate }),
            Accident::AnswerLost => ("answer-lost", Fate { lost: Some(TIMEOUT), ..fate }),
        };
        self.fault(None, name, doing.to_owned());
        fate
    }
}
