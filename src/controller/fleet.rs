//! Many clusters at once, on one thread: each is attended to by a future of its own, so none waits for another.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::ids::ClusterName;
use crate::ports::Outside;
use crate::spec::ClusterSpec;

use super::{Attended, Audience, Controller};

/// The clusters that one controller attends to.
pub struct Fleet<O, A> {
    controller: Rc<Controller<O, A>>,
    attended: BTreeMap<ClusterName, Rc<Attended>>,
    passes: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
}

/// A cluster that is no longer attended to.
struct Ended {
    cluster: ClusterName,
    /// An internal assertion broke. Nothing more is done to that cluster before it gets a new spec.
    broken: bool,
}

impl<O: Outside + 'static, A: Audience + 'static> Fleet<O, A> {
    /// Makes a fleet without a cluster.
    pub fn new(controller: Controller<O, A>) -> Self {
        Self { controller: Rc::new(controller), attended: BTreeMap::new(), passes: FuturesUnordered::new() }
    }

    /// Attends to a cluster from now on, or gives it a new spec if it is attended to already.
    pub fn attend(&mut self, spec: ClusterSpec) {
        let name = spec.name.clone();
        if let Some(attended) = self.attended.get(&name) {
            attended.respec(spec);
            return;
        }
        let attended = Rc::new(Attended::new(spec));
        self.attended.insert(name.clone(), attended.clone());
        let controller = self.controller.clone();
        let attention = async move { controller.attend(&attended).await };
        let ended =
            AssertUnwindSafe(attention).catch_unwind().map(|result| Ended { cluster: name, broken: result.is_err() });
        self.passes.push(ended.boxed_local());
    }

    /// Leaves a cluster alone, once the pass that is under way has ended. Nothing of it is changed by this.
    pub fn leave(&mut self, cluster: &ClusterName) {
        if let Some(attended) = self.attended.remove(cluster) {
            attended.stop();
        }
    }

    /// Makes passes for ever. Answers when an internal assertion has broken for a cluster, which is then left alone.
    pub async fn run(&mut self) -> ClusterName {
        loop {
            match self.passes.next().await {
                Some(Ended { cluster, broken: true }) => {
                    self.attended.remove(&cluster);
                    return cluster;
                }
                Some(Ended { .. }) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Leaves every cluster alone. Calls in flight are finished first.
    pub async fn stop(&mut self) {
        for attended in self.attended.values() {
            attended.stop();
        }
        while self.passes.next().await.is_some() {}
    }
}
