//! AWS as a command uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tokio::runtime::Runtime;

use super::environment::{Backend, Stop};
use super::simulated::names;
use crate::act;
use crate::action::Action;
use crate::cli::Failure;
use crate::cli::aws::{Args, Ports};
use crate::cli::runtime;
use crate::cloud::permissions::Asked;
use crate::controller::converge::{Conclusion, Target};
use crate::controller::{Controller, Settings};
use crate::event::Listeners;
use crate::ids::{ClusterName, InstanceId, Owner};
use crate::limits::Limits;
use crate::observed::{EbsDefaults, Observation, Subnet};
use crate::ports::{Clock, Coordination, Decision, Outcome, Outside, PortError};
use crate::rehearsal::{Rehearsal, Report};
use crate::simulate::{self, Behaviour};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// EC2, the applications that run there, and the place of the claims.
pub(super) struct Aws {
    runtime: &'static Runtime,
    controller: Controller<'static, Rc<Ports>>,
    owner: Owner,
}

impl Aws {
    pub(super) fn open(args: &Args, specs: &[ClusterSpec]) -> Result<Self, Failure> {
        let runtime = runtime::start()?;
        let outside = runtime.block_on(Ports::open(args, specs.first()))?;
        let owner = Owner::from(args.owner.as_str());
        Ok(Self { runtime, controller: Controller::new(outside, Listeners::default(), settings(&owner)), owner })
    }
}

fn settings(owner: &Owner) -> Settings {
    Settings { owner: owner.clone(), ..simulate::settings(u64::from(std::process::id())) }
}

impl Backend for Aws {
    fn declare(&self, clusters: BTreeSet<ClusterName>, specs: &[ClusterSpec]) {
        self.controller.declare(clusters, specs);
    }

    fn look(&self, spec: &ClusterSpec) -> Observation {
        self.runtime.block_on(self.controller.look(spec))
    }

    fn act(&self, spec: &ClusterSpec, action: &Action) -> Result<Outcome, Failure> {
        let outside = self.controller.outside();
        let decision = Decision::made(outside.clock().now(), Limits::DEFAULT.decision);
        let acted = act::execute(outside, spec, &[], action, &decision);
        self.runtime.block_on(acted).map_err(Failure::new)
    }

    fn reach(&self, target: Target, listeners: Listeners<'_>, stop: Stop) -> Result<Conclusion, Failure> {
        let (outside, settings) = (self.controller.outside().clone(), settings(&self.owner));
        Ok(self.runtime.block_on(Box::pin(target.reach(outside, settings, listeners, stop))))
    }

    fn rehearse(&self, rehearsal: &Rehearsal, listeners: Listeners<'_>, stop: Stop) -> Result<Report, Failure> {
        let (outside, settings) = (self.controller.outside().clone(), settings(&self.owner));
        Ok(self.runtime.block_on(Box::pin(rehearsal.run(outside, &settings, listeners, stop))))
    }

    fn forget(&self, spec: &ClusterSpec) -> Result<(), Failure> {
        let claims = self.controller.outside().coordination();
        claims.is_about(spec);
        self.runtime.block_on(claims.forget(&spec.name)).map_err(Failure::new)
    }

    fn clusters(&self, spec: &ClusterSpec) -> Result<Vec<ClusterName>, Failure> {
        self.runtime.block_on(names(self.controller.outside().cloud(), spec)).map_err(Failure::new)
    }

    fn announce(&self, _: &ClusterSpec, _: Behaviour) {}

    fn now(&self) -> Timestamp {
        self.controller.outside().clock().now()
    }

    fn allowed(&self, spec: &ClusterSpec) -> Vec<Asked> {
        self.runtime.block_on(self.controller.outside().aws.allowed(spec))
    }

    fn protected(&self, spec: &ClusterSpec, ids: &BTreeSet<InstanceId>) -> Vec<(InstanceId, &'static str)> {
        self.runtime.block_on(self.controller.outside().aws.protected(&spec.region, ids))
    }

    fn subnets(&self, spec: &ClusterSpec) -> Result<BTreeMap<String, Subnet>, PortError> {
        self.runtime.block_on(self.controller.outside().aws.subnets(spec))
    }

    fn vcpus(&self, spec: &ClusterSpec) -> Result<Option<u32>, PortError> {
        self.runtime.block_on(self.controller.outside().aws.vcpus(spec))
    }

    fn ebs_defaults(&self, spec: &ClusterSpec) -> Result<EbsDefaults, PortError> {
        self.runtime.block_on(self.controller.outside().aws.ebs_defaults(&spec.region))
    }

    fn time(&self, spec: &ClusterSpec) -> Option<Result<Timestamp, PortError>> {
        Some(self.runtime.block_on(self.controller.outside().aws.time(&spec.region)))
    }
}
