//! Looks on: where members can be asked, which slots are through, and how long each member is down.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{ClaimEffect, Effect};
use crate::controller::{Audience, Report, seats};
use crate::ids::SlotName;
use crate::observed::{Health, Observation};
use crate::plan::Plan;
use crate::ports::{Outcome, PortError, Seat};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, elapsed};

pub(super) struct Watch<'a> {
    audience: &'a dyn Audience,
    seats: RefCell<Vec<Seat>>,
    /// The slot that was released last, until somebody asks.
    released: RefCell<Option<SlotName>>,
    /// Since when each member has been down without a break, and the longest that it was.
    downs: RefCell<BTreeMap<SlotName, Down>>,
    /// The clocks run.
    counts: Cell<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Down {
    since: Option<Timestamp>,
    longest: Duration,
}

impl<'a> Watch<'a> {
    pub(super) fn new(audience: &'a dyn Audience) -> Self {
        let (seats, released, downs) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { audience, seats, released, downs, counts: Cell::new(false) }
    }

    /// Counts from now on: until then the members of a new cluster were down because there were none.
    pub(super) fn begin(&self) {
        self.counts.set(true);
        self.released.take();
    }

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

    fn follow(&self, spec: &ClusterSpec, seen: &Observation) {
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
}

impl Audience for Watch<'_> {
    fn planned(&self, report: &Report<'_>) {
        self.audience.planned(report);
        if let Some(view) = report.seen.cloud.seen() {
            *self.seats.borrow_mut() = seats(view);
        }
        if self.counts.get() {
            self.follow(report.spec, report.seen);
        }
    }

    fn acted(&self, report: &Report<'_>, outcome: &Result<Outcome, PortError>) {
        self.audience.acted(report, outcome);
        if let (Plan::Act(action, _), Ok(Outcome::Done)) = (report.plan, outcome)
            && let (Effect::Claim(ClaimEffect::Release { .. }), Some(slot)) = (&action.effect, &action.slot)
        {
            self.released.replace(Some(slot.clone()));
        }
    }
}
