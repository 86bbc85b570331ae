//! Many clusters at once, on one thread: each is attended to by a future of its own, so none waits for another.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::ids::ClusterName;
use crate::ports::Outside;
use crate::spec::ClusterSpec;

use super::{Controller, ManagedCluster};

/// The clusters that one controller attends to.
pub struct Fleet<O> {
    controller: Rc<Controller<'static, O>>,
    clusters: BTreeMap<ClusterName, Rc<ManagedCluster>>,
    loops: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
}

/// The end of the attention to one cluster.
struct Ended {
    cluster: ClusterName,
    /// Whether an internal assertion broke. Nothing more is done to that cluster before it gets a new spec.
    is_broken: bool,
}

impl<O: Outside + 'static> Fleet<O> {
    /// Makes a fleet without clusters.
    pub fn new(controller: Controller<'static, O>) -> Self {
        Self { controller: Rc::new(controller), clusters: BTreeMap::new(), loops: FuturesUnordered::new() }
    }

    /// Takes note of all clusters that are declared in some file, and of the specs that can be used.
    pub fn declare<S: Borrow<ClusterSpec>>(&self, clusters: BTreeSet<ClusterName>, specs: &[S]) {
        self.controller.declare(clusters, specs);
    }

    /// Attends to a cluster from now on, or gives it a new spec if it is attended to already.
    pub fn attend(&mut self, spec: impl Into<Arc<ClusterSpec>>) {
        let spec = spec.into();
        let name = spec.name.clone();
        if let Some(cluster) = self.clusters.get(&name) {
            cluster.respec(spec);
            return;
        }
        let cluster = Rc::new(ManagedCluster::new(spec));
        self.clusters.insert(name.clone(), cluster.clone());
        let controller = self.controller.clone();
        let attention = AssertUnwindSafe(async move { controller.attend(&cluster).await });
        let ended = attention.catch_unwind().map(|result| Ended { cluster: name, is_broken: result.is_err() });
        self.loops.push(ended.boxed_local());
    }

    /// Leaves a cluster alone, once the pass that is under way has ended. Nothing of it is changed by this.
    pub fn leave(&mut self, cluster: &ClusterName) {
        if let Some(cluster) = self.clusters.remove(cluster) {
            cluster.stop();
        }
    }

    /// Makes passes for ever. Answers when an internal assertion has broken for a cluster, which is then left alone.
    pub async fn run(&mut self) -> ClusterName {
        loop {
            match self.loops.next().await {
                Some(Ended { cluster, is_broken: true }) => {
                    self.clusters.remove(&cluster);
                    return cluster;
                }
                Some(Ended { .. }) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Leaves every cluster alone. Calls in flight are finished first.
    pub async fn stop(&mut self) {
        for cluster in self.clusters.values() {
            cluster.stop();
        }
        while self.loops.next().await.is_some() {}
    }
}
