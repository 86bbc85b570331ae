//! The simulated world as a command uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::environment::{Backend, Stop};
use crate::act;
use crate::action::Action;
use crate::cli::Failure;
use crate::cli::world::{self, save};
use crate::cloud::permissions::Asked;
use crate::controller::Controller;
use crate::controller::converge::{Conclusion, Target};
use crate::event::Listeners;
use crate::ids::{ClusterName, InstanceId};
use crate::limits::Limits;
use crate::observed::{EbsDefaults, Observation, Subnet};
use crate::ports::{Clock, Cloud, Coordination, Decision, Outcome, PortError, Wanted};
use crate::rehearsal::{self, Rehearsal};
use crate::sim::World;
use crate::sim::executor::block_on;
use crate::simulate::{self, Behaviour};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// A simulated world, and the file that it is kept in.
pub(super) struct Simulated {
    world: World,
    controller: Controller<'static, World>,
    file: Option<PathBuf>,
}

impl Simulated {
    pub(super) fn new(world: World, file: Option<&Path>) -> Self {
        let controller = Controller::new(world.controller(0), Listeners::default(), simulate::settings(0));
        Self { world, controller, file: file.map(Path::to_owned) }
    }

    fn lock(&self) -> Result<Option<world::Lock>, Failure> {
        self.file.as_deref().map(world::lock).transpose()
    }

    fn keep(&self) -> Result<(), Failure> {
        self.file.as_deref().map_or(Ok(()), |path| save(&self.world, path))
    }
}

impl Backend for Simulated {
    fn declare(&self, clusters: BTreeSet<ClusterName>, specs: &[ClusterSpec]) {
        self.controller.declare(clusters, specs);
    }

    fn look(&self, spec: &ClusterSpec) -> Observation {
        block_on(&self.world, self.controller.look(spec))
    }

    fn act(&self, spec: &ClusterSpec, action: &Action) -> Result<Outcome, Failure> {
        let _lock = self.lock()?;
        let decision = Decision::made(self.world.now(), Limits::DEFAULT.decision);
        let outcome = block_on(&self.world, act::execute(&self.world, spec, &[], action, &decision));
        self.keep()?;
        outcome.map_err(Failure::new)
    }

    fn reach(&self, target: Target, listeners: Listeners<'_>, stop: Stop) -> Result<Conclusion, Failure> {
        let _lock = self.lock()?;
        let outside = self.world.controller(0);
        let reached = target.reach(outside, simulate::settings(0), listeners, stop);
        let conclusion = block_on(&self.world, reached);
        self.keep()?;
        Ok(conclusion)
    }

    fn rehearse(
        &self,
        rehearsal: &Rehearsal,
        listeners: Listeners<'_>,
        stop: Stop,
    ) -> Result<rehearsal::Report, Failure> {
        let _lock = self.lock()?;
        let (outside, settings) = (self.world.controller(0), simulate::settings(0));
        let report = block_on(&self.world, rehearsal.run(outside, &settings, listeners, stop));
        self.keep()?;
        Ok(report)
    }

    fn forget(&self, spec: &ClusterSpec) -> Result<(), Failure> {
        let _lock = self.lock()?;
        block_on(&self.world, Coordination::forget(&self.world, &spec.name)).map_err(Failure::new)?;
        self.keep()
    }

    fn clusters(&self, spec: &ClusterSpec) -> Result<Vec<ClusterName>, Failure> {
        block_on(&self.world, names(&self.world, spec)).map_err(Failure::new)
    }

    fn announce(&self, spec: &ClusterSpec, behaviour: Behaviour) {
        self.world.register_image(&spec.image, behaviour.payload(&simulate::version(spec)));
        self.world.declare(spec);
    }

    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn allowed(&self, _: &ClusterSpec) -> Vec<Asked> {
        Vec::new()
    }

    fn protected(&self, _: &ClusterSpec, _: &BTreeSet<InstanceId>) -> Vec<(InstanceId, &'static str)> {
        Vec::new()
    }

    fn subnets(&self, spec: &ClusterSpec) -> Result<BTreeMap<String, Subnet>, PortError> {
        // A world has whatever subnets are named in it, and keeps their fixed addresses free.
        self.world.declare(spec);
        let described = |id: &String| Some((id.clone(), self.world.subnet(id)?));
        Ok(spec.slots.iter().filter_map(|slot| described(&slot.subnet)).collect())
    }

    fn vcpus(&self, _: &ClusterSpec) -> Result<Option<u32>, PortError> {
        // A world has no quotas.
        Ok(None)
    }

    fn ebs_defaults(&self, _: &ClusterSpec) -> Result<EbsDefaults, PortError> {
        Ok(self.world.ebs_defaults())
    }

    fn time(&self, _: &ClusterSpec) -> Option<Result<Timestamp, PortError>> {
        None
    }
}

/// Lists the clusters in a spec's region that still own a resource; the snapshots that copies began with count.
pub(super) async fn names(cloud: &impl Cloud, spec: &ClusterSpec) -> Result<Vec<ClusterName>, PortError> {
    let wanted = Wanted { region: spec.region.clone(), copies: true, ..Wanted::default() };
    let clusters = cloud.sweep(&wanted).await?.clusters;
    Ok(clusters.into_iter().filter(|(_, view)| view.owns_anything()).map(|(name, _)| name).collect())
}
