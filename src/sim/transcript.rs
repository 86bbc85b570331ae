//! The transcript of a world: what has happened, which rules were broken, and how many calls were accepted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{Event, Violation, What};
use super::judge::Objection;
use super::time::Millis;
use crate::ids::ClusterName;

/// Everything that was told of a world.
#[derive(Default, Serialize, Deserialize)]
pub struct Transcript {
    pub events: Vec<Event>,
    pub violations: Vec<Violation>,
    /// Accepted mutating calls, by the effect's name.
    pub calls: BTreeMap<String, u64>,
}

/// Simulated seconds, as events have them.
pub fn seconds(now: Millis) -> f64 {
    now as f64 / 1_000.0
}

impl Transcript {
    /// Adds an event.
    pub fn tell(&mut self, now: Millis, what: What) {
        self.events.push(Event { t: seconds(now), what });
    }

    /// Counts an accepted call.
    pub fn count(&mut self, action: &str) {
        *self.calls.entry(action.to_owned()).or_default() += 1;
    }

    /// Tells of a broken rule, the first time.
    pub fn violate(&mut self, now: Millis, cluster: &ClusterName, (rule, detail): Objection) {
        let same = |old: &Violation| old.cluster == *cluster && old.rule == rule && old.detail == detail;
        if self.violations.iter().any(same) {
            return;
        }
        let (cluster, invariant) = (cluster.clone(), rule.name().to_owned());
        self.tell(now, What::Violation { cluster: cluster.clone(), invariant, detail: detail.clone() });
        self.violations.push(Violation { t: seconds(now), cluster, rule, detail });
    }
}
