//! Faults that stay, for a while or for ever: a kind of call that fails in the same way, and answers that are old.

use crate::ports::ErrorKind;
use crate::sim::time::Millis;

/// Everything that stays.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    refused: Vec<Refused>,
    old: Vec<Old>,
    /// The time for which each call to EC2 is on its way, and the end of that.
    slow: Option<(Millis, Millis)>,
}

/// Looks that answer what was so a while ago.
#[derive(Clone, Copy, Debug)]
struct Old {
    look: Look,
    age: Millis,
    until: Millis,
}

/// A kind of look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The look that decisions rest on.
    Sweep,
    /// An adapter's own, just before it sends.
    Last,
}

/// A kind of call that is refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The call by its name, e.g. `stop`; every call if none is named.
    pub call: Option<String>,
    pub kind: ErrorKind,
    /// The end of it, if it ends with time.
    pub until: Option<Millis>,
    /// The number of calls that are still refused, if it ends with them.
    pub times: Option<u32>,
}

impl Standing {
    /// Refuses a kind of call from now on.
    pub fn add(&mut self, refused: Refused) {
        self.refused.push(refused);
    }

    /// Has a kind of look answer what was so `age` ago, until then.
    pub fn make_old(&mut self, look: Look, age: Millis, until: Millis) {
        self.old.push(Old { look, age, until });
    }

    /// Says how old a look's answer is to be, if it is to be old.
    pub fn age_of(&self, look: Look, now: Millis) -> Option<Millis> {
        self.old.iter().find(|old| old.look == look && now < old.until).map(|old| old.age)
    }

    /// Has each call to EC2 be on its way for that long, until then.
    pub fn hold_up(&mut self, span: Millis, until: Millis) {
        self.slow = Some((span, until));
    }

    /// Says how long a call to EC2 that is sent now is on its way, if that is long.
    pub fn on_the_wire(&self, now: Millis) -> Option<Millis> {
        self.slow.filter(|(_, until)| now < *until).map(|(span, _)| span)
    }

    /// Refuses nothing any more, has no look be old, and holds no call up.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Says how a call that is sent now is refused, if it is.
    pub fn next(&mut self, call: &str, now: Millis) -> Option<ErrorKind> {
        self.refused.retain(|refused| refused.until.is_none_or(|until| now < until) && refused.times != Some(0));
        let refused =
            self.refused.iter_mut().find(|refused| refused.call.as_deref().is_none_or(|named| named == call))?;
        refused.times = refused.times.map(|times| times - 1);
        Some(refused.kind)
    }
}
