//! The planner's answers in words. Every sentence is written here or below, once.

use std::fmt;

use crate::action::Action;
use crate::time::{Timestamp, clock};

use super::answer::{Hazard, Hazards, Plan, Stall, Stalls, WaitingOn};

mod effects;
mod hazards;
mod reasons;
mod stalls;
mod words;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled => f.write_str("settled: every slot is as the spec wants it"),
            Self::Act(action, why) => write!(f, "{action} ({why})"),
            Self::Wait(waiting) => write!(f, "waiting {waiting}"),
            Self::Blocked(hazards) => write!(f, "blocked: {hazards}"),
            Self::Stalled(stalls) => write!(f, "stalled: {stalls}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.slot {
            Some(slot) => write!(f, "{slot}: {}", self.effect),
            None => self.effect.fmt(f),
        }
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.slot {
            Some(slot) => write!(f, "for {slot}: {}", self.what),
            None => write!(f, "for {}", self.what),
        }
    }
}

impl WaitingOn {
    /// Says that the wait takes longer than it should, if it does.
    pub fn overdue(&self, now: Timestamp) -> Option<String> {
        let (since, worry_at) = (clock(self.since), clock(self.worry_at));
        (now >= self.worry_at).then(|| {
            format!("this takes longer than expected: it began at {since} and should have been over by {worry_at}")
        })
    }
}

impl fmt::Display for Hazards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(slot) = &self.slot {
            write!(f, "{slot}: ")?;
        }
        let (hazards, stalls) =
            (self.hazards.iter().map(ToString::to_string), self.beside.iter().map(Stall::to_string));
        f.write_str(&hazards.chain(stalls).collect::<Vec<_>>().join("; "))
    }
}

impl Hazards {
    /// Says what a person can do, where there is anything.
    pub fn hints(&self) -> Vec<String> {
        let hints = self.hazards.iter().filter_map(Hazard::hint).chain(self.beside.iter().map(Stall::hint));
        each_once(hints)
    }

    /// Lists the gates that refuse, and the reasons of what only a person can end beside them.
    pub fn reasons(&self) -> Vec<&'static str> {
        let gates = self.hazards.iter().map(|hazard| hazard.gate().as_str());
        each_once(gates.chain(self.beside.iter().map(Stall::reason)))
    }
}

impl fmt::Display for Stalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.all().map(Stall::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl Stalls {
    /// Says what a person can do.
    pub fn hints(&self) -> Vec<String> {
        each_once(self.all().map(Stall::hint))
    }

    /// Lists the reasons by their stable names.
    pub fn reasons(&self) -> Vec<&'static str> {
        each_once(self.all().map(Stall::reason))
    }
}

/// Lists things in their order, and what is there twice once.
fn each_once<T: PartialEq>(things: impl Iterator<Item = T>) -> Vec<T> {
    things.fold(Vec::new(), |mut once, thing| {
        if !once.contains(&thing) {
            once.push(thing);
        }
        once
    })
}
