//! Brings one cluster to a goal, or finds out that it does not get there by itself.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, Either};

use crate::event::{Listeners, Pass};
use crate::plan::{Goal, Plan};
use crate::ports::{Clock, Outside};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

use super::convergence::{Confirmation, Convergence};
use super::{Controller, ManagedCluster, Settings};

/// The goal of one cluster, and the time that it has to get there.
pub struct Target {
    /// The cluster as it is declared.
    pub spec: ClusterSpec,
    pub goal: Goal,
    /// The time after which the controller gives up. Nothing is undone then.
    pub limit: Duration,
}

/// The end of the way to a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Conclusion {
    /// The cluster is where it is wanted.
    Reached,
    /// The cluster does not get there by itself, for the reasons in this plan.
    Stuck(Plan),
    /// The cluster was not there in time; this plan was the last.
    OutOfTime(Plan),
    /// The controller was told to stop. The calls that were in flight have been finished.
    Interrupted,
}

impl Target {
    /// Makes passes over the cluster until they come to a conclusion, or until `stop` comes.
    pub async fn reach<O: Outside>(
        self,
        outside: O,
        settings: Settings,
        listeners: Listeners<'_>,
        stop: impl Future<Output = ()>,
    ) -> Conclusion {
        let until = after(outside.clock().now(), self.limit);
        let cluster = ManagedCluster::towards(self.goal, self.spec);
        let controller = Controller::new(outside, listeners, settings);
        let mut confirmation = Confirmation::default();
        let conclude = |pass: &Pass| conclusion(pass, confirmation.after(&pass.plan, pass.seen.now), until);
        // On the heap: with a whole SDK below it, it is large.
        let attention = Box::pin(controller.attend_until(&cluster, conclude));
        let concluded = match future::select(attention, pin!(stop)).await {
            Either::Left((concluded, _)) => concluded,
            Either::Right(((), attention)) => {
                cluster.stop();
                attention.await
            }
        };
        concluded.unwrap_or(Conclusion::Interrupted)
    }
}

/// The conclusion that a pass allows, if it allows one.
fn conclusion(pass: &Pass, convergence: Convergence, until: Timestamp) -> Option<Conclusion> {
    match convergence {
        Convergence::Settled => Some(Conclusion::Reached),
        Convergence::NeedsPerson | Convergence::Stalled | Convergence::Broken => {
            Some(Conclusion::Stuck(pass.plan.clone()))
        }
        Convergence::UnderWay if pass.seen.now >= until => Some(Conclusion::OutOfTime(pass.plan.clone())),
        Convergence::UnderWay => None,
    }
}
