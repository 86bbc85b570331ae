//! The clusters that stand on each other, by the files: which of them each cluster has to be asked about, and the asking.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;

use crate::ids::ClusterName;
use crate::observed::{Reading, Related, Relation};
use crate::ports::Outside;
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

use super::sweep::{Asked, Extent, Sweeper};
use super::{ask, seats};

/// The clusters that stand on another one, and those on which one stands.
#[derive(Default)]
pub(super) struct Ties {
    specs: BTreeMap<ClusterName, Arc<ClusterSpec>>,
    /// The clusters that stand on each.
    above: BTreeMap<ClusterName, BTreeSet<ClusterName>>,
}

impl Ties {
    /// Reads them off the files.
    pub(super) fn among<S: Borrow<ClusterSpec>>(specs: &[S]) -> Self {
        let mut above: BTreeMap<ClusterName, BTreeSet<ClusterName>> = BTreeMap::new();
        for spec in specs.iter().map(Borrow::borrow) {
            for on in &spec.depends_on {
                above.entry(on.clone()).or_default().insert(spec.name.clone());
            }
        }
        let is_tied = |spec: &&ClusterSpec| !spec.depends_on.is_empty() || above.contains_key(&spec.name);
        let tied = specs.iter().map(Borrow::borrow).filter(is_tied);
        let specs = tied.map(|spec| (spec.name.clone(), Arc::new(spec.clone()))).collect();
        Self { specs, above }
    }

    /// Lists the clusters that are tied to one, each with its file where that can be used.
    pub(super) fn of(&self, spec: &ClusterSpec) -> Vec<Tie> {
        let below = spec.depends_on.iter().map(|name| (name, Relation::Below));
        let above = self.above.get(&spec.name).into_iter().flatten().map(|name| (name, Relation::Above));
        let tie = |(name, relation): (&ClusterName, Relation)| (name.clone(), relation, self.specs.get(name).cloned());
        below.chain(above).map(tie).collect()
    }
}

/// A tie to another cluster.
pub(super) type Tie = (ClusterName, Relation, Option<Arc<ClusterSpec>>);

/// Looks at the clusters that are tied to one, each after a moment: what they have, their claims, and their members.
pub(super) async fn look<O: Outside>(
    outside: &O,
    sweeper: &Sweeper,
    ties: Vec<Tie>,
    extent: Extent,
    earliest: Timestamp,
) -> BTreeMap<ClusterName, Related> {
    let look = async |(name, relation, spec): Tie| match spec {
        Some(spec) => (name, look_at(outside, sweeper, &spec, relation, extent, earliest).await),
        None => (name, Related::unknown(relation, "no file that can be used declares it")),
    };
    join_all(ties.into_iter().map(look)).await.into_iter().collect()
}

async fn look_at<O: Outside>(
    outside: &O,
    sweeper: &Sweeper,
    spec: &ClusterSpec,
    relation: Relation,
    extent: Extent,
    earliest: Timestamp,
) -> Related {
    let cloud = match sweeper.look(outside, spec, Asked { extent, earliest, follows_change: false }).await {
        Ok(sweep) => Reading::Seen { begun: sweep.begun, value: sweep.cluster(&spec.name) },
        Err(why) => Reading::Unknown { why },
    };
    let seats = cloud.seen().map(|view| seats(view)).unwrap_or_default();
    let (claim, membership) = ask(outside, spec, &seats).await;
    Related {
        relation,
        slots: spec.slots.iter().map(|slot| slot.name.clone()).collect(),
        is_led: spec.application.rules().leader.is_some(),
        cloud,
        claim,
        membership,
    }
}
