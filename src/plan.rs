//! The decision what to do next with one cluster, made on data alone.
//!
//! [`towards`] has no I/O, no clock, no chance and no way to fail. It asks its questions in one fixed order and gives
//! the first answer that it finds; the next pass asks again from a fresh look.

use crate::limits::Limits;
use crate::observed::{Observation, Remains};
use crate::spec::ClusterSpec;

pub mod answer;
mod election;
pub mod look;

pub mod address;
pub mod drift;
pub mod not_carried_out;
pub mod orphans;
pub mod peers;
pub mod slot_state;
pub mod steps;
pub mod undeclared;

pub mod replacement;

pub mod creation;
pub mod group;
pub mod heal;
pub mod maintenance;

pub mod approval;
pub mod gates;
pub mod growth;
pub mod rehearsal;
pub mod select;

pub mod ahead;
mod hand_over;
pub mod launch_ahead;
pub mod left_over;

pub mod teardown;

pub mod explain;
pub mod forecast;

pub use answer::{Awaited, Hazard, Hazards, Plan, Rank, Stall, Stalls, Unproven, WaitingOn, Why};
pub use look::{Arranged, Look};

/// The goal for a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The cluster is as its spec says.
    AsDeclared,
    /// The cluster is deleted, but for what is to remain.
    Gone(Remains),
}

/// Decides on the one next thing to do towards a goal, or says why there is none.
pub fn towards(goal: Goal, spec: &ClusterSpec, seen: &Observation, limits: &Limits) -> Plan {
    let look = match Look::within(limits, spec, seen) {
        Arranged::Look(look) => look,
        Arranged::Unseen(hazards) => return Plan::Blocked(hazards),
    };
    if let Some(hazards) = gates::standstill(&look) {
        return Plan::Blocked(hazards);
    }
    if let (Goal::AsDeclared, Some(ending)) = (goal, &look.record.ending) {
        let is_finished = teardown::teardown(&look, ending.remains) == Plan::Settled;
        return Plan::stalled(Stall::Ended { since: ending.since, is_finished });
    }
    if let Some(why) = &seen.refused {
        return Plan::stalled(Stall::Refused { why: why.clone() }).naming_beside(|| heal::stalls(&look));
    }
    match goal {
        Goal::AsDeclared => {
            let plan = hand_over::at_once(&look, keep_up(&look), keep_up);
            launch_ahead::beside(&look, left_over::beside(&look, plan)).naming_beside(|| heal::stalls(&look))
        }
        Goal::Gone(remains) => look.unless_set_back(teardown::teardown(&look, remains)),
    }
}

/// Decides on the one next thing to do for a cluster that is to be as declared, by the limits that a controller runs
/// with.
pub fn plan(spec: &ClusterSpec, seen: &Observation) -> Plan {
    towards(Goal::AsDeclared, spec, seen, &Limits::DEFAULT)
}

/// Says everything that a person may miss in a plan, one sentence each: things that the file does not mention, edits of it that are
/// not carried out, what was launched ahead, and of what members warn.
pub fn notes(look: &Look<'_>) -> Vec<String> {
    let warnings = warnings(look);
    [undeclared::notes(look), not_carried_out::notes(look), launch_ahead::notes(look), warnings].concat()
}

/// Lists everything that holds nothing up yet, and of which members warn, one sentence each.
pub fn warnings(look: &Look<'_>) -> Vec<String> {
    look.membership.map(|membership| membership.warnings.clone()).unwrap_or_default()
}

/// Keeps a cluster as declared. Finishing and healing come before every gate on upgrades: a gate that blocked repair
/// would deadlock. An action that came to nothing keeps its own slot waiting, and no other.
fn keep_up(look: &Look<'_>) -> Plan {
    if let Some(plan) = heal::start_again(look).or_else(|| maintenance::mend_for_gates(look)) {
        return plan;
    }
    let give_way = || replacement::give_way(look).filter(|plan| look.setback(plan).is_none());
    match replacement::finish(look).map(|plan| look.unless_set_back(plan)) {
        Some(stuck @ (Plan::Stalled(_) | Plan::Blocked(_))) => {
            give_way().or_else(|| replacement::way_out(look)).unwrap_or(stuck)
        }
        Some(plan) => plan,
        None => heal::repair(look, replacement::leads_on)
            .or_else(|| maintenance::keep_up(look))
            .unwrap_or_else(|| begin(look)),
    }
}

/// Begins with what is outdated. Where nothing is to be begun, upkeep that came to nothing is named.
fn begin(look: &Look<'_>) -> Plan {
    match look.unless_set_back(select::begin(look)) {
        plan @ (Plan::Act(..) | Plan::Wait(_) | Plan::Stalled(_)) => plan,
        plan @ (Plan::Settled | Plan::Blocked(_)) => maintenance::set_back(look).unwrap_or(plan),
    }
}
