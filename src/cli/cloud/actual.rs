//! EC2, seen from a command that looks and goes.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{self, FutureExt};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::{Nobody, View, names};
use crate::act;
use crate::action::Action;
use crate::cli::Failure;
use crate::cli::real::{Args, Real};
use crate::cli::simulate::Behaviour;
use crate::cloud::permissions::Asked;
use crate::controller::errand::{Errand, Finish};
use crate::controller::{Audience, Controller, Settings};
use crate::ids::{ClusterName, Owner};
use crate::limits::Limits;
use crate::observed::Observation;
use crate::ports::{Clock, Coordination, Outcome, Outside, PortError};
use crate::rehearsal::{Rehearsal, Report};
use crate::simulate;
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// EC2 and what runs there.
pub(super) struct Actual {
    runtime: Runtime,
    controller: Controller<Rc<Real>, Nobody>,
    owner: Owner,
}

impl Actual {
    pub(super) fn open(args: &Args, specs: &[ClusterSpec]) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let outside = runtime.block_on(Real::open(args, specs.first()))?;
        let owner = Owner::from(args.owner.as_str());
        Ok(Self { runtime, controller: Controller::new(outside, Nobody, settings(&owner)), owner })
    }
}

/// Ends with the first signal that asks us to.
fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move { future::select(pin!(terminate.recv()), pin!(interrupt.recv())).map(|_| ()).await })
}

fn settings(owner: &Owner) -> Settings {
    Settings { owner: owner.clone(), ..simulate::settings(u64::from(std::process::id())) }
}

impl View for Actual {
    fn look(&self, spec: &ClusterSpec) -> Observation {
        self.runtime.block_on(self.controller.look(spec))
    }

    fn act(&self, spec: &ClusterSpec, action: &Action) -> Result<Outcome, Failure> {
        let outside = self.controller.outside();
        let acted = act::execute(outside, spec, &[], action, outside.clock().now(), &Limits::DEFAULT);
        self.runtime.block_on(acted).map_err(Failure::new)
    }

    fn bring(&self, errand: Errand, audience: &dyn Audience) -> Result<Finish, Failure> {
        let outside = self.controller.outside().clone();
        self.runtime
            .block_on(async { Ok(Box::pin(errand.run(outside, settings(&self.owner), audience, signalled()?)).await) })
    }

    fn rehearse(&self, rehearsal: &Rehearsal, audience: &dyn Audience) -> Result<Report, Failure> {
        let outside = self.controller.outside().clone();
        let settings = || settings(&self.owner);
        self.runtime.block_on(async { Ok(Box::pin(rehearsal.run(outside, settings, audience, signalled()?)).await) })
    }

    fn forget(&self, spec: &ClusterSpec) -> Result<(), Failure> {
        let claims = self.controller.outside().coordination();
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

    fn time(&self, spec: &ClusterSpec) -> Option<Result<Timestamp, PortError>> {
        Some(self.runtime.block_on(self.controller.outside().aws.time(&spec.region)))
    }
}
