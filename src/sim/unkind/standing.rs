//! Refusals that stay: a kind of call fails in the same way, for a while or for ever.

use crate::ports::ErrorKind;
use crate::sim::time::Millis;

/// Everything that is refused.
#[derive(Clone, Debug, Default)]
pub struct Standing(Vec<Refused>);

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
        self.0.push(refused);
    }

    /// Refuses nothing any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Says how a call that is sent now is refused, if it is.
    pub fn next(&mut self, call: &str, now: Millis) -> Option<ErrorKind> {
        self.0.retain(|refused| refused.until.is_none_or(|until| now < until) && refused.times != Some(0));
        let refused = self.0.iter_mut().find(|refused| refused.call.as_deref().is_none_or(|named| named == call))?;
        refused.times = refused.times.map(|times| times - 1);
        Some(refused.kind)
    }
}
