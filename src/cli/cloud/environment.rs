//! Clusters and the cloud that they are in, as a command sees them that looks, changes something, and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};

use crate::action::{Action, Effect};
use crate::cli::Failure;
use crate::cli::desired::Desired;
use crate::cli::signals::{self, UnderWay};
use crate::cloud::permissions::Asked;
use crate::controller::converge::{Conclusion, Target};
use crate::event::Listeners;
use crate::ids::{ClusterName, InstanceId, SlotName};
use crate::observed::{ClaimRecord, CloudView, EbsDefaults, Observation, Reading, Subnet};
use crate::plan::Hazard;
use crate::ports::{Outcome, PortError};
use crate::rehearsal::{Rehearsal, Report};
use crate::sim::World;
use crate::simulate::Behaviour;
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

use super::simulated::Simulated;

/// Clusters, and the cloud that they are in.
pub struct Environment {
    /// The desired state of the clusters, with the image that was asked about.
    pub specs: Vec<ClusterSpec>,
    backend: Box<dyn Backend>,
}

/// The word to end, and to finish the call in flight before.
pub(super) type Stop = LocalBoxFuture<'static, ()>;

/// A cloud as commands use it: `Simulated` or `Aws`.
pub(super) trait Backend {
    /// Takes note of all clusters that are declared in some file, and of the specs that can be used.
    fn declare(&self, clusters: BTreeSet<ClusterName>, specs: &[ClusterSpec]);
    fn look(&self, spec: &ClusterSpec) -> Observation;
    fn act(&self, spec: &ClusterSpec, action: &Action) -> Result<Outcome, Failure>;
    fn reach(&self, target: Target, listeners: Listeners<'_>, stop: Stop) -> Result<Conclusion, Failure>;
    fn rehearse(&self, rehearsal: &Rehearsal, listeners: Listeners<'_>, stop: Stop) -> Result<Report, Failure>;
    fn forget(&self, spec: &ClusterSpec) -> Result<(), Failure>;
    fn clusters(&self, spec: &ClusterSpec) -> Result<Vec<ClusterName>, Failure>;
    /// Makes a spec known to a simulated world, with the behaviour of members on its image.
    fn announce(&self, spec: &ClusterSpec, behaviour: Behaviour);
    fn now(&self) -> Timestamp;
    fn allowed(&self, spec: &ClusterSpec) -> Vec<Asked>;
    fn protected(&self, spec: &ClusterSpec, ids: &BTreeSet<InstanceId>) -> Vec<(InstanceId, &'static str)>;
    fn subnets(&self, spec: &ClusterSpec) -> Result<BTreeMap<String, Subnet>, PortError>;
    fn vcpus(&self, spec: &ClusterSpec) -> Result<Option<u32>, PortError>;
    fn ebs_defaults(&self, spec: &ClusterSpec) -> Result<EbsDefaults, PortError>;
    fn time(&self, spec: &ClusterSpec) -> Option<Result<Timestamp, PortError>>;
}

impl Environment {
    pub(super) fn new(specs: Vec<ClusterSpec>, backend: impl Backend + 'static) -> Self {
        backend.declare(specs.iter().map(|spec| spec.name.clone()).collect(), &specs);
        Self { specs, backend: Box::new(backend) }
    }

    /// Takes note of all clusters that the files declare which a command was given, those that it does not look at as well.
    pub fn beside(self, desired: &Desired) -> Self {
        self.backend.declare(desired.declared(), &desired.specs);
        self
    }

    /// Puts clusters into a simulated world. After a change the world is saved to `file`, where there is one.
    pub fn simulated(specs: Vec<ClusterSpec>, world: World, file: Option<&Path>) -> Self {
        Self::new(specs, Simulated::new(world, file))
    }

    /// Looks at a cluster once.
    pub fn look(&self, spec: &ClusterSpec) -> Observation {
        self.backend.look(spec)
    }

    /// Looks at a cluster for a command that changes something. Fails if the look is not complete, or if the account is
    /// not the one that the file names.
    pub fn see(&self, spec: &ClusterSpec) -> Result<(Arc<CloudView>, ClaimRecord), Failure> {
        let seen = self.look(spec);
        match (seen.cloud, seen.claim) {
            (Reading::Seen { value: view, .. }, Reading::Seen { value: record, .. }) => {
                match Hazard::of_account(spec, view.catalogue.account.as_ref()) {
                    None => Ok((view, record)),
                    Some(hazard) => Err(hazard.into()),
                }
            }
            (Reading::Unknown { why }, _) | (_, Reading::Unknown { why }) => {
                Err(Failure::new(why).hint("`hermitcrab doctor` shows what can be reached, and what is allowed"))
            }
        }
    }

    /// Makes one change that a person asked for, unless a signal has come before.
    pub fn act(&self, spec: &ClusterSpec, slot: Option<&SlotName>, effect: Effect) -> Result<Outcome, Failure> {
        signals::refuse_further()?;
        let _under_way = UnderWay::begin();
        self.backend.act(spec, &Action { cluster: spec.name.clone(), slot: slot.cloned(), effect })
    }

    /// Brings a cluster to a target, unless a signal comes before.
    pub fn reach(&self, target: Target, listeners: Listeners<'_>) -> Result<Conclusion, Failure> {
        let under_way = UnderWay::begin();
        self.backend.reach(target, listeners, stop(&under_way))
    }

    /// Makes a whole rehearsal; a signal cuts it short.
    pub fn rehearse(&self, rehearsal: &Rehearsal, listeners: Listeners<'_>) -> Result<Report, Failure> {
        let under_way = UnderWay::begin();
        self.backend.rehearse(rehearsal, listeners, stop(&under_way))
    }

    /// Removes the claim record of a cluster of which nothing is left.
    pub fn forget(&self, spec: &ClusterSpec) -> Result<(), Failure> {
        let _under_way = UnderWay::begin();
        self.backend.forget(spec)
    }

    /// Lists every cluster in a spec's region that still owns a resource, declared or not.
    pub fn clusters(&self, spec: &ClusterSpec) -> Result<Vec<ClusterName>, Failure> {
        self.backend.clusters(spec)
    }

    /// Tells a simulated world of a cluster that is to be created, and of the behaviour of members on its image.
    pub fn announce(&self, spec: &ClusterSpec, behaviour: Behaviour) {
        self.backend.announce(spec, behaviour);
    }

    /// Reads the clock that decisions go by.
    pub fn now(&self) -> Timestamp {
        self.backend.now()
    }

    /// Asks what the credentials may do for a cluster. The list is empty in a world without credentials.
    pub fn allowed(&self, spec: &ClusterSpec) -> Vec<Asked> {
        self.backend.allowed(spec)
    }

    /// Names what instances are protected from, e.g. `terminated`.
    pub fn protected(&self, spec: &ClusterSpec, ids: &BTreeSet<InstanceId>) -> Vec<(InstanceId, &'static str)> {
        self.backend.protected(spec, ids)
    }

    /// Describes the subnets of a cluster's slots, each by its id. What does not exist is left out.
    pub fn subnets(&self, spec: &ClusterSpec) -> Result<BTreeMap<String, Subnet>, PortError> {
        self.backend.subnets(spec)
    }

    /// Gives the vCPUs of one instance of the cluster's type; `None` where the cloud counts none.
    pub fn vcpus(&self, spec: &ClusterSpec) -> Result<Option<u32>, PortError> {
        self.backend.vcpus(spec)
    }

    /// Says how EBS encrypts what names no key, in a cluster's account and region.
    pub fn ebs_defaults(&self, spec: &ClusterSpec) -> Result<EbsDefaults, PortError> {
        self.backend.ebs_defaults(spec)
    }

    /// Asks the cloud for the time by its own clock; `None` in a world that has one clock for all.
    pub fn time(&self, spec: &ClusterSpec) -> Option<Result<Timestamp, PortError>> {
        self.backend.time(spec)
    }
}

/// The word to end is the first signal.
fn stop(under_way: &UnderWay) -> Stop {
    under_way.first_signal().map(drop).boxed_local()
}
