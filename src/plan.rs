//! What to do next with one cluster, decided on data alone.
//!
//! [`towards`] has no I/O, no clock, no chance and no way to fail. It asks its questions in one fixed order and gives the
//! first answer that it finds; the next pass asks again from a fresh look.

use crate::limits::Limits;
use crate::observed::{Observation, Remains};
use crate::spec::ClusterSpec;

pub mod answer;
pub mod look;

pub mod drift;
pub mod standing;
pub mod steps;

pub mod replacement;

pub mod group;
pub mod heal;
pub mod upkeep;

pub mod approval;
pub mod gates;
pub mod rehearsal;
pub mod select;

pub mod teardown;

pub mod explain;
pub mod forecast;

pub use answer::{Awaited, Hazard, Hazards, Plan, Rank, Stall, Unproven, WaitingOn, Why};
pub use look::{Look, Sight};

/// What is wanted of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// That it is as its spec says.
    AsDeclared,
    /// That it is no more, and what is to be left of it.
    Gone(Remains),
}

/// The one next thing to do towards a goal, or why there is none.
pub fn towards(goal: Goal, spec: &ClusterSpec, seen: &Observation, limits: &Limits) -> Plan {
    let look = match Look::within(limits, spec, seen) {
        Sight::Clear(look) => look,
        Sight::Blind(hazards) => return Plan::Blocked(hazards),
    };
    if let Some(hazards) = gates::standstill(&look) {
        return Plan::Blocked(hazards);
    }
    if let (Goal::AsDeclared, Some(ending)) = (goal, &look.record.ending) {
        return Plan::Stalled(Stall::Ended { since: ending.since });
    }
    if let Some(why) = &seen.refused {
        return Plan::Stalled(Stall::Refused { why: why.clone() });
    }
    match goal {
        Goal::AsDeclared => keep_up(&look),
        Goal::Gone(remains) => teardown::teardown(&look, remains),
    }
}

/// The one next thing to do for a cluster that is to be as declared, by the limits that a controller runs with.
pub fn plan(spec: &ClusterSpec, seen: &Observation) -> Plan {
    towards(Goal::AsDeclared, spec, seen, &Limits::DEFAULT)
}

/// Finishing and healing come before every gate on upgrades: a gate that blocked repair would deadlock.
fn keep_up(look: &Look<'_>) -> Plan {
    replacement::finish(look)
        .or_else(|| heal::repair(look))
        .or_else(|| upkeep::keep(look))
        .unwrap_or_else(|| select::begin(look))
}
