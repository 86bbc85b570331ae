//! Records every event, for tests and benchmarks that ask afterwards what was told.
#![allow(dead_code)] // each of those who share this file uses a part of it

use std::cell::RefCell;
use std::rc::Rc;

use hermitcrab::event::{Acted, Event, EventKind, Listener, Listeners, Pass};
use hermitcrab::time::Timestamp;
use tokio::sync::Notify;

/// Everything that was told, in order.
#[derive(Default)]
pub struct Recorder {
    events: RefCell<Vec<Event>>,
    told: Notify,
}

impl Recorder {
    /// A recorder, and the listeners that it is the only one of.
    pub fn alone() -> (Rc<Self>, Listeners<'static>) {
        let recorder = Rc::new(Self::default());
        (recorder.clone(), Listeners::default().with(recorder))
    }

    /// Every event.
    pub fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// Every pass.
    pub fn passes(&self) -> Vec<Rc<Pass>> {
        let pass = |event: &Event| match &event.kind {
            EventKind::Planned(pass) => Some(pass.clone()),
            _ => None,
        };
        self.events.borrow().iter().filter_map(pass).collect()
    }

    /// The latest pass.
    pub fn latest(&self) -> Option<Rc<Pass>> {
        let pass = |event: &Event| match &event.kind {
            EventKind::Planned(pass) => Some(pass.clone()),
            _ => None,
        };
        self.events.borrow().iter().rev().find_map(pass)
    }

    /// Every action, and when it had been carried out.
    pub fn actions(&self) -> Vec<(Timestamp, Rc<Acted>)> {
        let acted = |event: &Event| match &event.kind {
            EventKind::Acted(acted) => Some((event.at, acted.clone())),
            _ => None,
        };
        self.events.borrow().iter().filter_map(acted).collect()
    }

    /// Waits until so many actions have been carried out without an error.
    pub async fn has_acted(&self, times: usize) {
        while self.actions().iter().filter(|(_, acted)| acted.outcome.is_ok()).count() < times {
            self.told.notified().await;
        }
    }
}

impl Listener for Recorder {
    fn hear(&self, event: &Event) {
        self.events.borrow_mut().push(event.clone());
        self.told.notify_one();
    }
}
