//! The planner's answers in words. Every sentence is written here or below, once.

use std::fmt;

use crate::action::Action;
use crate::time::{Timestamp, clock};

use super::answer::{Hazards, Plan, WaitingOn};

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
            Self::Stalled(stall) => write!(f, "stalled: {stall}"),
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
        f.write_str(&self.hazards.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}
