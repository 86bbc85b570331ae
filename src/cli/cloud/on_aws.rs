//! AWS as a command uses it.

use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Runtime};

use super::environment::Backend;
use super::simulated::names;
use crate::act;
use crate::action::Action;
use crate::cli::Failure;
use crate::cli::aws::{Args, Ports};
use crate::cli::signals::Signals;
use crate::cloud::permissions::Asked;
use crate::controller::converge::{Conclusion, Target};
use crate::controller::{Controller, Settings};
use crate::event::Listeners;
use crate::ids::{ClusterName, InstanceId, Owner, SlotName};
use crate::limits::Limits;
use crate::observed::Observation;
use crate::ports::{Clock, Coordination, Decision, Outcome, Outside, PortError};
use crate::rehearsal::{Rehearsal, Report};
use crate::simulate::{self, Behaviour};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// EC2, the applications that run there, and the place of the claims.
pub(super) struct Aws {
    runtime: Runtime,
    controller: Controller<'static, Rc<Ports>>,
    owner: Owner,
}

impl Aws {
    pub(super) fn open(args: &Args, specs: &[ClusterSpec]) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let outside = runtime.block_on(Ports::open(args, specs.first()))?;
        let owner = Owner::from(args.owner.as_str());
        Ok(Self { runtime, controller: Controller::new(outside, Listeners::default(), settings(&owner)), owner })
    }
}

/// Waits for the first signal that asks the process to end.
fn signalled() -> io::Result<impl Future<Output = ()>> {
    Ok(Signals::listen()?.first().map(drop))
}

fn settings(owner: &Owner) -> Settings {
    Settings { owner: owner.clone(), ..simulate::settings(u64::from(std::process::id())) }
}

impl Backend for Aws {
    fn declare(&self, clusters: BTreeSet<ClusterName>) {
        self.controller.declare(clusters);
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

    fn reach(&self, target: Target, listeners: Listeners<'_>) -> Result<Conclusion, Failure> {
        let (outside, settings) = (self.controller.outside().clone(), settings(&self.owner));
        self.runtime.block_on(async { Ok(Box::pin(target.reach(outside, settings, listeners, signalled()?)).await) })
    }

    fn rehearse(&self, rehearsal: &Rehearsal, listeners: Listeners<'_>) -> Result<Report, Failure> {
        let (outside, settings) = (self.controller.outside().clone(), settings(&self.owner));
        self.runtime.block_on(async { Ok(Box::pin(rehearsal.run(outside, &settings, listeners, signalled()?)).await) })
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

    fn addresses(&self, spec: &ClusterSpec) -> Vec<(SlotName, Result<String, String>)> {
        self.runtime.block_on(self.controller.outside().aws.addresses(spec))
    }

    fn time(&self, spec: &ClusterSpec) -> Option<Result<Timestamp, PortError>> {
        Some(self.runtime.block_on(self.controller.outside().aws.time(&spec.region)))
    }
}
