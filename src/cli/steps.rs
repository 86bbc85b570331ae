//! The steps of one command, as they happen: a line for each action, with the time since the first one.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;

use crate::event::{Acted, Event, EventKind, Listener, Listeners};
use crate::ports::Outcome;
use crate::time::{Timestamp, elapsed};

use super::Output;
use super::output::{BAD, styled};

/// Writes each action, and how it went, to the notes.
pub struct Steps<'a> {
    out: RefCell<&'a mut Output>,
    /// The time of the first action.
    began: Cell<Option<Timestamp>>,
}

impl<'a> Steps<'a> {
    /// Makes steps the only listener.
    pub fn alone(out: &'a mut Output) -> Listeners<'a> {
        Listeners::default().with(Rc::new(Self { out: RefCell::new(out), began: Cell::new(None) }))
    }
}

impl Listener for Steps<'_> {
    fn hear(&self, event: &Event) {
        let EventKind::Acted(acted) = &event.kind else { return };
        let Acted { action, outcome, status } = &**acted;
        let result = match outcome {
            Ok(Outcome::Changed { found, .. }) => format!("  not yet: {found}"),
            Ok(_) => String::new(),
            Err(failed) => format!("  {}: {}", styled(BAD, "failed"), failed.why),
        };
        let slot = action.slot.as_deref().unwrap_or_default();
        let width = status.slots.iter().map(|slot| slot.slot.chars().count()).max().unwrap_or_default().max(12);
        let began = self.began.get().unwrap_or(event.at);
        self.began.set(Some(began));
        let since = elapsed(event.at, began).as_secs();
        let (minutes, seconds) = (since / 60, since % 60);
        // A closed pipe does not keep the cluster from its end.
        let _ = writeln!(
            self.out.borrow_mut().notes,
            "  {minutes:>3}:{seconds:02}  {slot:width$}  {}{result}",
            action.effect
        );
    }
}
