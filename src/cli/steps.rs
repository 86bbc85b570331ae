//! The steps of one command, as they happen: a line for each action.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use crate::event::{Acted, Event, EventKind, Listener, Listeners};
use crate::ports::Outcome;

use super::Output;
use super::output::{BAD, styled};

/// Writes each action, and how it went, to the notes.
pub struct Steps<'a>(RefCell<&'a mut Output>);

impl<'a> Steps<'a> {
    /// Makes steps the only listener.
    pub fn alone(out: &'a mut Output) -> Listeners<'a> {
        Listeners::default().with(Rc::new(Self(RefCell::new(out))))
    }
}

impl Listener for Steps<'_> {
    fn hear(&self, event: &Event) {
        let EventKind::Acted(acted) = &event.kind else { return };
        let Acted { action, outcome, .. } = &**acted;
        let result = match outcome {
            Ok(Outcome::Changed { found, .. }) => format!("  not yet: {found}"),
            Ok(_) => String::new(),
            Err(failed) => format!("  {}: {}", styled(BAD, "failed"), failed.why),
        };
        let slot = action.slot.as_deref().unwrap_or_default();
        // A closed pipe does not keep the cluster from its end.
        let _ = writeln!(self.0.borrow_mut().notes, "  {slot:12} {}{result}", action.effect);
    }
}
