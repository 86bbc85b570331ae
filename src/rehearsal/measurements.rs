//! Measures a rehearsal by its events: where members can be asked, which slots are through, how long each member is down.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{ClaimEffect, Effect};
use crate::controller::seats;
use crate::event::{Acted, Event, EventKind, Listener};
use crate::ids::SlotName;
use crate::observed::{Health, Observation};
use crate::ports::{Outcome, Seat};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, elapsed};

/// Everything that is measured.
#[derive(Debug, Default)]
pub(super) struct Measurements {
    seats: RefCell<Vec<Seat>>,
    /// The slot that was released last, until somebody asks.
    released: RefCell<Option<SlotName>>,
    downs: RefCell<BTreeMap<SlotName, Down>>,
    /// Whether the time that members are down is measured.
    has_begun: Cell<bool>,
}

/// The time that one member was down.
#[derive(Clone, Copy, Debug, Default)]
struct Down {
    /// The moment since which the member has been down without a break, if it is.
    since: Option<Timestamp>,
    longest: Duration,
}

impl Measurements {
    /// Measures from now on: until then the members of a new cluster were down because there were none.
    pub(super) fn begin(&self) {
        self.has_begun.set(true);
        self.released.take();
    }

    /// The places where members could be asked at the last look.
    pub(super) fn seats(&self) -> Vec<Seat> {
        self.seats.borrow().clone()
    }

    /// The slot that is through since this was asked last.
    pub(super) fn released(&self) -> Option<SlotName> {
        self.released.take()
    }

    /// The longest that each member was down.
    pub(super) fn downs(&self) -> BTreeMap<SlotName, Duration> {
        self.downs.borrow().iter().map(|(slot, down)| (slot.clone(), down.longest)).collect()
    }

    fn measure(&self, spec: &ClusterSpec, seen: &Observation) {
        let Some(membership) = seen.membership.seen() else { return };
        let mut downs = self.downs.borrow_mut();
        for slot in &spec.slots {
            let member = membership.of_slot(&slot.name);
            let is_up = member.is_some_and(|member| member.counts && member.health == Health::Healthy);
            let down = downs.entry(slot.name.clone()).or_default();
            let since = down.since.unwrap_or(seen.now);
            if !is_up || down.since.is_some() {
                down.longest = down.longest.max(elapsed(seen.now, since));
            }
            down.since = (!is_up).then_some(since);
        }
    }

    fn note_release(&self, Acted { action, outcome, .. }: &Acted) {
        let released = match &action.effect {
            Effect::Claim(ClaimEffect::Release { .. }) => action.slot.as_ref(),
            Effect::Claim(ClaimEffect::Move { from, .. }) => Some(from),
            _ => None,
        };
        if let Some(slot) = released.filter(|_| *outcome == Ok(Outcome::Done)) {
            self.released.replace(Some(slot.clone()));
        }
    }
}

impl Listener for Measurements {
    fn hear(&self, event: &Event) {
        match &event.kind {
            EventKind::Planned(pass) => {
                if let Some(view) = pass.seen.cloud.seen() {
                    *self.seats.borrow_mut() = seats(view);
                }
                if self.has_begun.get() {
                    self.measure(&pass.spec, &pass.seen);
                }
            }
            EventKind::Acted(acted) => self.note_release(acted),
            _ => {}
        }
    }
}
