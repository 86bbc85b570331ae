//! The last line of a transcript, and the count of many of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::ids::{ClusterName, SlotName};
use crate::sim::event::Violation;
use crate::sim::{FaultLevel, World};
use crate::spec::ClusterSpec;

use super::{Scenario, Simulation, lawful};

/// The end of a simulated rollout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Every slot is as the spec wants it, and stays so.
    Settled,
    /// The cluster stays blocked by these gates.
    Blocked(Vec<&'static str>),
    /// The cluster stays stalled for these reasons.
    Stalled(Vec<&'static str>),
    /// The cluster is still not at an end long after the last fault.
    Unsettled,
    /// A safety rule was broken.
    Violated,
}

/// The last line of a transcript.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The moment of the last answer, in simulated seconds since the world began.
    pub t: f64,
    pub kind: &'static str,
    pub cluster: ClusterName,
    /// `settled`, `blocked: GATES`, `stalled: REASONS`, `unsettled` or `violated`.
    pub outcome: String,
    /// Seconds until the last answer.
    pub seconds: f64,
    pub member_down_seconds: BTreeMap<SlotName, f64>,
    /// Mutating calls that reached the world, by name.
    pub mutating_calls: BTreeMap<String, u64>,
    pub passes: u64,
    pub invariant_violations: Vec<Violation>,
    pub seed: u64,
    /// The number of faults that the world came up with.
    pub faults: u64,
    /// The endings of the clusters that were simulated beside it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<ClusterName, String>,
    /// The reason why a cluster may not come to this end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlawful: Option<String>,
    #[serde(skip)]
    pub ending: Ending,
    #[serde(skip)]
    pub fault_level: FaultLevel,
}

impl Summary {
    /// Sums up a scenario that was run in a world.
    pub(super) fn new(scenario: &Scenario, world: &World, simulation: &Simulation) -> Self {
        let (ending, transcript, cluster) = (simulation.ending(), simulation.transcript(), &scenario.from.name);
        let beside = simulation.endings_beside();
        let spec = simulation.committed();
        let unnamed = || lawful::unnamed(&transcript.ending_answer()?.answer, &spec, world);
        let unlawful = lawful::objection(&ending, &spec, world).or_else(unnamed).or_else(|| {
            let named = |name| ClusterSpec { name, ..spec.clone() };
            beside.iter().find_map(|(name, ending)| {
                let objection = lawful::objection_beside(ending, &named(name.clone()), world)?;
                Some(format!("{name}: {objection}"))
            })
        });
        let t = transcript.latest.as_ref().map_or_else(|| world.seconds(), |answer| answer.t);
        Self {
            t,
            kind: "summary",
            cluster: cluster.clone(),
            outcome: ending.to_string(),
            seconds: t,
            member_down_seconds: world.member_down_seconds(cluster),
            mutating_calls: world.calls(),
            passes: transcript.passes,
            invariant_violations: world.violations(),
            seed: scenario.seed,
            faults: transcript.faults,
            beside: beside.iter().map(|(name, ending)| (name.clone(), ending.to_string())).collect(),
            unlawful,
            ending,
            fault_level: scenario.faults,
        }
    }
}

impl Summary {
    /// Says whether a run must not end like this.
    pub fn must_not_be(&self) -> bool {
        matches!(self.ending, Ending::Violated | Ending::Unsettled) || self.unlawful.is_some()
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled => f.write_str("settled"),
            Self::Blocked(gates) => write!(f, "blocked: {}", gates.join(", ")),
            Self::Stalled(reasons) => write!(f, "stalled: {}", reasons.join(", ")),
            Self::Unsettled => f.write_str("unsettled"),
            Self::Violated => f.write_str("violated"),
        }
    }
}

/// The endings of many seeds, counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// The number of runs for each ending.
    pub endings: BTreeMap<Ending, u64>,
    /// The runs that must not be: the seed, and the ending.
    pub failures: Vec<(u64, Ending)>,
    /// Passes made, all runs together.
    pub passes: u64,
    /// Faults that the worlds came up with, all runs together.
    pub faults: u64,
    /// The longest that any member was down, and in which run.
    pub longest_down: Option<(f64, u64, SlotName)>,
}

impl Tally {
    /// Counts one run in.
    pub fn add(&mut self, summary: &Summary) {
        *self.endings.entry(summary.ending.clone()).or_default() += 1;
        if summary.must_not_be() {
            self.failures.push((summary.seed, summary.ending.clone()));
        }
        self.passes += summary.passes;
        self.faults += summary.faults;
        for (slot, seconds) in &summary.member_down_seconds {
            if self.longest_down.as_ref().is_none_or(|(longest, ..)| seconds > longest) {
                self.longest_down = Some((*seconds, summary.seed, slot.clone()));
            }
        }
    }
}
