//! The claim store: a record of each cluster, replaced with compare-and-set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pack;
use super::time::Millis;
use super::words::{Refusal, changed};
use crate::action::ClaimEffect;
use crate::ids::ClusterName;
use crate::observed::ClaimRecord;
use crate::ports::{ErrorKind, Outcome};
use crate::time::Timestamp;

/// The claim records of all clusters.
#[derive(Default, Serialize, Deserialize)]
pub struct Claims {
    records: BTreeMap<ClusterName, ClaimRecord>,
    /// The time since which each cluster's claim has said which way its replacement goes.
    #[serde(default)]
    turned: BTreeMap<ClusterName, Millis>,
    /// The store does not answer until then.
    pub down_until: Millis,
    /// The cluster whose members keep the claims, if any do: without a leader there they are not to be had.
    #[serde(default)]
    pub kept_by: Option<ClusterName>,
}

impl Claims {
    /// Gives back the memory that is not needed.
    pub fn pack(&mut self) {
        pack::tree(&mut self.records);
        pack::tree(&mut self.turned);
    }

    /// Makes a cluster known, with nothing claimed.
    pub fn declare(&mut self, cluster: &ClusterName) {
        self.records.entry(cluster.clone()).or_default();
    }

    /// Puts a record there at a time of the world, whatever is there.
    pub fn put(&mut self, at: Millis, cluster: &ClusterName, record: ClaimRecord) {
        self.turned.insert(cluster.clone(), at);
        self.records.insert(cluster.clone(), record);
    }

    /// Removes a cluster's record. The cluster stays known, with nothing claimed.
    pub fn forget(&mut self, cluster: &ClusterName) {
        if let Some(record) = self.records.get_mut(cluster) {
            *record = ClaimRecord::default();
        }
    }

    /// Finds a cluster's record, whether or not the store answers.
    pub fn get(&self, cluster: &ClusterName) -> Option<&ClaimRecord> {
        self.records.get(cluster)
    }

    /// Tells since when a cluster's claim has said which way its replacement goes.
    pub fn turned(&self, cluster: &ClusterName) -> Millis {
        self.turned.get(cluster).copied().unwrap_or_default()
    }

    /// Says whether the store answers.
    pub fn answers(&self, now: Millis) -> Result<(), Refusal> {
        let down = now < self.down_until;
        if down { Err(Refusal::new(ErrorKind::Unreachable, "the claim store does not answer")) } else { Ok(()) }
    }

    /// Replaces a record if it has the revision that the effect expects, at a time of the world and of the writer's clock.
    pub fn write(
        &mut self,
        at: Millis,
        now: Timestamp,
        cluster: &ClusterName,
        effect: &ClaimEffect,
    ) -> Result<Outcome, Refusal> {
        let Some(record) = self.records.get_mut(cluster) else {
            return Err(Refusal::new(ErrorKind::NotFound, "no such cluster in this world"));
        };
        if record.revision != effect.expects() {
            let found = format!("revision {}", record.revision);
            return Ok(changed(format!("revision {}", effect.expects()), found));
        }
        let next = effect.apply(record, now);
        let heading = |record: &ClaimRecord| {
            record.held.as_ref().map(|claim| (claim.slot.clone(), claim.attempt, claim.way, claim.turning))
        };
        let is_turned = heading(record) != heading(&next);
        *record = next;
        if is_turned {
            self.turned.insert(cluster.clone(), at);
        }
        Ok(Outcome::Done)
    }
}
