//! The cloud that a command looks at: the simulated one, or AWS.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::ids::ImageId;
use crate::ports::Clock;
use crate::sim::{FaultLevel, Payload, World};
use crate::simulate;
use crate::spec::ClusterSpec;
use crate::time::after;

use super::{Failure, aws, image, world};

pub mod environment;

mod simulated;

#[cfg(feature = "aws")]
mod on_aws;

pub use environment::Environment;

/// The time for which a new world has been settled: longer than any gate wants its members to be steady.
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
    #[arg(long, value_name = "AMI", value_parser = image::id)]
    pub image: Option<ImageId>,
    /// The seed of all chance in a simulated world
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The way to AWS.
    #[command(flatten)]
    pub aws: aws::Args,
}

/// A cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A world in memory: no account, no network, and nothing is changed
    Simulated,
    /// EC2, with the usual credentials (the default)
    Aws,
}

impl Args {
    /// Opens the cloud for some clusters.
    pub fn open(&self, declared: &[ClusterSpec]) -> Result<Environment, Failure> {
        match (self.cloud, &self.world) {
            (Some(Kind::Simulated), _) | (None, Some(_)) => self.simulated(declared),
            (Some(Kind::Aws), Some(_)) => Err(Failure::new("`--cloud aws` was given with a saved simulated world")
                .hint("leave out one of `--cloud aws` and `--world`")),
            (None | Some(Kind::Aws), None) => self.real(declared),
        }
    }

    /// Opens the cloud for one cluster, and returns what is desired of the cluster there.
    pub fn open_for(&self, declared: &ClusterSpec) -> Result<(ClusterSpec, Environment), Failure> {
        let environment = self.open(std::slice::from_ref(declared))?;
        Ok((self.desired(declared), environment))
    }

    #[cfg(feature = "aws")]
    fn real(&self, declared: &[ClusterSpec]) -> Result<Environment, Failure> {
        let specs = declared.iter().map(|spec| self.desired(spec)).collect();
        Ok(Environment::new(specs, on_aws::Aws::open(&self.aws, declared)?))
    }

    #[cfg(not(feature = "aws"))]
    fn real(&self, _: &[ClusterSpec]) -> Result<Environment, Failure> {
        Err(no_aws())
    }

    fn simulated(&self, declared: &[ClusterSpec]) -> Result<Environment, Failure> {
        let world = match &self.world {
            Some(path) => world::load(path)?,
            None => self.settled(declared),
        };
        let specs: Vec<_> = declared.iter().map(|spec| self.desired(spec)).collect();
        for spec in &specs {
            // `run` makes every image known that a file names, so whatever looks before it does too.
            world.announce_image(&spec.image, Payload::Good { version: simulate::version(spec) });
            world.declare(spec);
        }
        Ok(Environment::simulated(specs, world, self.world.as_deref()))
    }

    /// Makes a world in which each cluster is settled on its file's own image.
    fn settled(&self, declared: &[ClusterSpec]) -> World {
        let world = World::new(self.seed, FaultLevel::None);
        for spec in declared {
            world.register_image(&spec.image, Payload::Good { version: simulate::version(spec) });
            world.settle(spec);
        }
        world.advance_to(after(world.now(), SETTLED_FOR));
        world
    }

    /// Returns what is declared, with the image that was asked about.
    fn desired(&self, declared: &ClusterSpec) -> ClusterSpec {
        let image = self.image.clone().unwrap_or_else(|| declared.image.clone());
        ClusterSpec { image, ..declared.clone() }
    }
}

/// Says that this build cannot reach AWS.
#[cfg(not(feature = "aws"))]
pub fn no_aws() -> Failure {
    Failure::new("this build cannot reach AWS: it was built without the feature `aws`")
        .hint("use `--cloud simulated` for a simulated world, or build without `--no-default-features`")
}
