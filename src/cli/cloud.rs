//! Which cloud a command looks at: the simulated one, or AWS.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use crate::act;
use crate::action::{Action, Effect};
use crate::cloud::permissions::Asked;
use crate::controller::Controller;
use crate::controller::converge::{Conclusion, Target};
use crate::event::Listeners;
use crate::ids::{ClusterName, ImageId, SlotName};
use crate::input::text;
use crate::limits::Limits;
use crate::observed::{ClaimRecord, CloudView, Observation, Reading};
use crate::plan::Hazard;
use crate::ports::{Clock, Cloud, Coordination, Outcome, PortError, Wanted};
use crate::rehearsal::{self, Rehearsal};
use crate::sim::executor::block_on;
use crate::sim::{FaultLevel, Payload, World};
use crate::simulate;
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

use super::simulate::Behaviour;
use super::{Failure, real};

#[cfg(feature = "aws")]
mod actual;

/// A world that is made for a look has been settled for so long: longer than any gate wants its members to be steady.
const SETTLED_FOR: Duration = Duration::from_secs(5 * 60);

/// The arguments of every command that looks at a cloud.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cloud")]
#[group(skip)] // clap would give it the name of every command's own arguments
pub struct Args {
    /// The cloud to look at
    #[arg(long, value_enum, value_name = "CLOUD")]
    pub cloud: Option<Kind>,
    /// A saved simulated world to look at; implies `--cloud simulated`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed"])]
    pub world: Option<PathBuf>,
    /// Look as if the desired image were this one. Without `--world` the clusters are settled on their files' own
    #[arg(long, value_name = "AMI", value_parser = image)]
    pub image: Option<ImageId>,
    /// Decides all chances of a simulated world
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// How the real world is reached.
    #[command(flatten)]
    pub real: real::Args,
}

/// A cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A world in memory: no account, no network, and nothing is changed
    Simulated,
    /// EC2, with the usual credentials (the default)
    Aws,
}

/// An image's id. Whether there is such an image is the cloud's to say.
pub fn image(text: &str) -> Result<ImageId, String> {
    match text.strip_prefix("ami-") {
        Some(rest) if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(text.into()),
        _ => Err("an image id is `ami-` and hexadecimal digits".to_owned()),
    }
}

/// The clusters, and the cloud that they are in.
pub struct Scene {
    /// What is desired, with the image that was asked about.
    pub specs: Vec<ClusterSpec>,
    cloud: Box<dyn View>,
}

/// What a command that is no controller does with a cloud.
trait View {
    fn look(&self, spec: &ClusterSpec) -> Observation;
    fn act(&self, spec: &ClusterSpec, action: &Action) -> Result<Outcome, Failure>;
    fn reach(&self, target: Target, listeners: Listeners<'_>) -> Result<Conclusion, Failure>;
    fn rehearse(&self, rehearsal: &Rehearsal, listeners: Listeners<'_>) -> Result<rehearsal::Report, Failure>;
    fn forget(&self, spec: &ClusterSpec) -> Result<(), Failure>;
    fn clusters(&self, spec: &ClusterSpec) -> Result<Vec<ClusterName>, Failure>;
    /// Makes a spec known to a simulated world, with what members on its image do.
    fn announce(&self, spec: &ClusterSpec, behaviour: Behaviour);
    fn now(&self) -> Timestamp;
    fn allowed(&self, spec: &ClusterSpec) -> Vec<Asked>;
    fn time(&self, spec: &ClusterSpec) -> Option<Result<Timestamp, PortError>>;
}

impl Args {
    /// Opens the cloud for some clusters.
    pub fn open(&self, specs: &[ClusterSpec]) -> Result<Scene, Failure> {
        match (self.cloud, &self.world) {
            (Some(Kind::Simulated), _) | (None, Some(_)) => self.simulated(specs),
            (Some(Kind::Aws), Some(_)) => {
                Err(Failure::new("a saved world is a simulated one, and `--cloud aws` was asked for")
                    .hint("leave out one of `--cloud aws` and `--world`"))
            }
            (None | Some(Kind::Aws), None) => self.real(specs),
        }
    }

    #[cfg(feature = "aws")]
    fn real(&self, specs: &[ClusterSpec]) -> Result<Scene, Failure> {
        let with_image = |spec: &ClusterSpec| {
            let image = self.image.clone().unwrap_or_else(|| spec.image.clone());
            ClusterSpec { image, ..spec.clone() }
        };
        let cloud = actual::Actual::open(&self.real, specs)?;
        Ok(Scene { specs: specs.iter().map(with_image).collect(), cloud: Box::new(cloud) })
    }

    #[cfg(not(feature = "aws"))]
    fn real(&self, _: &[ClusterSpec]) -> Result<Scene, Failure> {
        Err(no_aws())
    }

    fn simulated(&self, specs: &[ClusterSpec]) -> Result<Scene, Failure> {
        let world = match &self.world {
            Some(path) => load(path)?,
            None => World::new(self.seed, FaultLevel::None),
        };
        if self.world.is_none() {
            for spec in specs {
                let version = simulate::version(spec);
                world.register_image(&spec.image, Payload::Good { version });
                world.settle(spec);
            }
            world.advance_to(after(world.now(), SETTLED_FOR));
        }
        let specs = specs.iter().map(|spec| self.desired(spec, &world)).collect();
        Ok(Scene::simulated(specs, world, self.world.as_deref()))
    }

    /// The spec with the image that was asked about, declared in the world.
    fn desired(&self, spec: &ClusterSpec, world: &World) -> ClusterSpec {
        let mut spec = spec.clone();
        if let Some(image) = &self.image {
            world.register_image(image, Payload::Good { version: simulate::version(&spec) });
            spec.image = image.clone();
        }
        world.declare(&spec);
        spec
    }
}

/// A world as it was saved.
pub fn load(path: &Path) -> Result<World, Failure> {
    World::load(path).map_err(|source| {
        let error = Unusable { path: path.to_owned(), verb: "read", source };
        Failure::new(error)
            .hint("a world is saved by `run --cloud simulated --world FILE`, or by `simulate --world FILE`")
    })
}

/// Saves a world.
pub fn save(world: &World, path: &Path) -> Result<(), Failure> {
    world.save(path).map_err(|source| {
        let error = Unusable { path: path.to_owned(), verb: "written", source };
        Failure::new(error).hint("check that the folder exists and may be written to")
    })
}

/// This build cannot reach AWS.
#[cfg(not(feature = "aws"))]
pub fn no_aws() -> Failure {
    Failure::new("this build cannot reach AWS: it was built without the feature `aws`")
        .hint("use `--cloud simulated` for a simulated world, or build without `--no-default-features`")
}

#[derive(Debug, thiserror::Error)]
#[error("the world {} cannot be {verb}", text::path(path))]
struct Unusable {
    path: PathBuf,
    verb: &'static str,
    source: std::io::Error,
}

impl Scene {
    /// Clusters in a simulated world, which is saved to a file after a change if there is one.
    pub fn simulated(specs: Vec<ClusterSpec>, world: World, saved: Option<&Path>) -> Self {
        let controller = Controller::new(world.controller(0), Listeners::default(), simulate::settings(0));
        Self { specs, cloud: Box::new(Simulated { world, controller, saved: saved.map(Path::to_owned) }) }
    }

    /// One look at a cluster.
    pub fn look(&self, spec: &ClusterSpec) -> Observation {
        self.cloud.look(spec)
    }

    /// What a command that changes something needs to have seen, in the account that the file is for; or why not.
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

    /// One change that a person asked for.
    pub fn act(&self, spec: &ClusterSpec, slot: Option<&SlotName>, effect: Effect) -> Result<Outcome, Failure> {
        self.cloud.act(spec, &Action { cluster: spec.name.clone(), slot: slot.cloned(), effect })
    }

    /// Brings a cluster to a target, unless a signal comes before.
    pub fn reach(&self, target: Target, listeners: Listeners<'_>) -> Result<Conclusion, Failure> {
        self.cloud.reach(target, listeners)
    }

    /// Makes a rehearsal, whole; a signal cuts it short.
    pub fn rehearse(&self, rehearsal: &Rehearsal, listeners: Listeners<'_>) -> Result<rehearsal::Report, Failure> {
        self.cloud.rehearse(rehearsal, listeners)
    }

    /// Removes the claim record of a cluster that is gone for good.
    pub fn forget(&self, spec: &ClusterSpec) -> Result<(), Failure> {
        self.cloud.forget(spec)
    }

    /// Every cluster in a spec's region that there is anything of, declared or not.
    pub fn clusters(&self, spec: &ClusterSpec) -> Result<Vec<ClusterName>, Failure> {
        self.cloud.clusters(spec)
    }

    /// Tells a simulated world of a cluster that is to be, and what members on its image do.
    pub fn announce(&self, spec: &ClusterSpec, behaviour: Behaviour) {
        self.cloud.announce(spec, behaviour);
    }

    /// The time there.
    pub fn now(&self) -> Timestamp {
        self.cloud.now()
    }

    /// What the credentials may do for a cluster; nothing to say in a world without credentials.
    pub fn allowed(&self, spec: &ClusterSpec) -> Vec<Asked> {
        self.cloud.allowed(spec)
    }

    /// The time by the cloud's own clock; none in a world that has but one.
    pub fn time(&self, spec: &ClusterSpec) -> Option<Result<Timestamp, PortError>> {
        self.cloud.time(spec)
    }
}

struct Simulated {
    world: World,
    controller: Controller<'static, World>,
    saved: Option<PathBuf>,
}

impl Simulated {
    fn keep(&self) -> Result<(), Failure> {
        self.saved.as_deref().map_or(Ok(()), |path| save(&self.world, path))
    }
}

impl View for Simulated {
    fn look(&self, spec: &ClusterSpec) -> Observation {
        block_on(&self.world, self.controller.look(spec))
    }

    fn act(&self, spec: &ClusterSpec, action: &Action) -> Result<Outcome, Failure> {
        let outcome =
            block_on(&self.world, act::execute(&self.world, spec, &[], action, self.world.now(), &Limits::DEFAULT));
        self.keep()?;
        outcome.map_err(Failure::new)
    }

    fn reach(&self, target: Target, listeners: Listeners<'_>) -> Result<Conclusion, Failure> {
        let outside = self.world.controller(0);
        let reached = target.reach(outside, simulate::settings(0), listeners, std::future::pending());
        let conclusion = block_on(&self.world, reached);
        self.keep()?;
        Ok(conclusion)
    }

    fn rehearse(&self, rehearsal: &Rehearsal, listeners: Listeners<'_>) -> Result<rehearsal::Report, Failure> {
        let (outside, settings) = (self.world.controller(0), simulate::settings(0));
        let rehearsed = rehearsal.run(outside, &settings, listeners, std::future::pending());
        let report = block_on(&self.world, rehearsed);
        self.keep()?;
        Ok(report)
    }

    fn forget(&self, spec: &ClusterSpec) -> Result<(), Failure> {
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

    fn time(&self, _: &ClusterSpec) -> Option<Result<Timestamp, PortError>> {
        None
    }
}

/// The clusters in a spec's region that there is anything of, a snapshot that a copy began with included.
async fn names(cloud: &impl Cloud, spec: &ClusterSpec) -> Result<Vec<ClusterName>, PortError> {
    let wanted = Wanted { region: spec.region.clone(), copies: true, ..Wanted::default() };
    Ok(cloud.sweep(&wanted).await?.clusters.into_keys().collect())
}
