//! EC2, seen from a command that looks and goes.

use std::rc::Rc;

use tokio::runtime::{Builder, Runtime};

use super::{Nobody, View};
use crate::action::CloudEffect;
use crate::cli::Failure;
use crate::cli::real::{Args, Real};
use crate::cloud::permissions::Asked;
use crate::controller::{Controller, Settings};
use crate::ids::{Owner, SlotName};
use crate::observed::Observation;
use crate::ports::{Cloud, Outcome, Outside};
use crate::simulate;
use crate::spec::ClusterSpec;

/// EC2 and what runs there.
pub(super) struct Actual {
    runtime: Runtime,
    controller: Controller<Rc<Real>, Nobody>,
}

impl Actual {
    pub(super) fn open(args: &Args, specs: &[ClusterSpec]) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let outside = runtime.block_on(Real::open(args, specs.first()))?;
        let settings = Settings { owner: Owner::from(args.owner.as_str()), ..simulate::settings(0) };
        Ok(Self { runtime, controller: Controller::new(outside, Nobody, settings) })
    }
}

impl View for Actual {
    fn look(&self, spec: &ClusterSpec) -> Observation {
        self.runtime.block_on(self.controller.look(spec))
    }

    fn change(&self, spec: &ClusterSpec, slot: &SlotName, effect: &CloudEffect) -> Result<Outcome, Failure> {
        let cloud = self.controller.outside().cloud();
        self.runtime.block_on(cloud.change(spec, Some(slot), effect)).map_err(Failure::new)
    }

    fn allowed(&self, spec: &ClusterSpec) -> Vec<Asked> {
        self.runtime.block_on(self.controller.outside().aws.allowed(spec))
    }
}
