//! The daemon on a simulated world, which is kept in a file if one is named.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture, ready};

use super::{Args, Backend};
use crate::cli::Failure;
use crate::cli::{image, world};
use crate::daemon::source::{Source, Wish};
use crate::ids::ImageId;
use crate::revision::Standing;
use crate::sim::{FaultLevel, Payload, World};
use crate::simulate;
use crate::spec::ClusterSpec;
use crate::spec::load::Loaded;

/// The arguments that only a simulated world needs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cloud")]
#[group(skip)]
pub(super) struct Simulated {
    /// The file that the simulated world is saved to after every change; implies `--cloud simulated`
    #[arg(long, value_name = "FILE")]
    pub(super) world: Option<PathBuf>,
    /// The number of simulated seconds in a second, at the most
    #[arg(long, value_name = "N", default_value_t = 20.0, value_parser = speed)]
    speed: f64,
    /// The seed of all chance in a simulated world
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Begin with nothing, so that the clusters are created, and not with each settled on its file's image
    #[arg(long)]
    empty: bool,
    /// An image whose members never join, in the simulated world
    #[arg(long, value_name = "AMI", value_parser = image::id)]
    bad_image: Vec<ImageId>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.001..=100_000.0).contains(&speed) => Ok(speed),
        _ => Err("a speed is a number from 0.001 to 100000".to_owned()),
    }
}

/// Opens the world, and makes known to it what the files declare.
pub(super) async fn backend<S: Source>(args: &Args, source: S) -> Result<Backend<World, Announced<S>>, Failure> {
    let simulated = &args.simulated;
    let lock = simulated.world.as_deref().map(world::lock).transpose()?;
    let loaded = source.load().await;
    let world = simulated.open(&loaded)?;
    let (first, bad_images) = (Cell::new(Some(loaded)), simulated.bad_image.clone());
    let source = Announced { source, first, world: world.clone(), bad_images, _lock: lock };
    Ok(Backend { outside: world.controller(0), source, seed: simulated.seed })
}

impl Simulated {
    fn open(&self, loaded: &Loaded) -> Result<World, Failure> {
        let world = match self.world.as_deref().filter(|path| path.exists()) {
            Some(path) => world::load(path)?,
            None => self.begin(loaded),
        };
        world.tell_nobody();
        if let Some(path) = &self.world {
            world::save(&world, path)?;
            world.autosave(path);
        }
        world.paced(self.speed);
        Ok(world)
    }

    /// A new world, in which each cluster is settled on its file's image unless it shall be empty.
    fn begin(&self, loaded: &Loaded) -> World {
        let world = World::new(self.seed, FaultLevel::None);
        for (_, spec) in loaded.specs().filter(|_| !self.empty) {
            declare(&world, spec, &self.bad_image);
            world.settle(spec);
        }
        world.pack();
        world
    }
}

/// A source whose clusters and images a simulated world has to know of.
pub(super) struct Announced<S> {
    source: S,
    /// The files as they were loaded to open the world. Whatever has changed since is told by the source.
    first: Cell<Option<Loaded>>,
    world: World,
    bad_images: Vec<ImageId>,
    /// The right to change the saved world.
    _lock: Option<world::Lock>,
}

impl<S: Source> Source for Announced<S> {
    fn name(&self) -> String {
        self.source.name()
    }

    async fn changed(&mut self) {
        self.source.changed().await;
    }

    fn standing(&self) -> Option<Arc<Standing>> {
        self.source.standing()
    }

    fn is_outdated(&mut self) -> bool {
        self.source.is_outdated()
    }

    fn wish(&self) -> Option<Rc<Wish>> {
        self.source.wish()
    }

    fn load(&self) -> LocalBoxFuture<'static, Loaded> {
        let first = self.first.take().map(|loaded| ready(loaded).boxed_local());
        let loading = first.unwrap_or_else(|| self.source.load());
        let (world, bad_images) = (self.world.clone(), self.bad_images.clone());
        async move {
            let loaded = loading.await;
            for (_, spec) in loaded.specs() {
                declare(&world, spec, &bad_images);
            }
            loaded
        }
        .boxed_local()
    }
}

/// Makes a spec known to the simulated world, with the image that it names.
fn declare(world: &World, spec: &ClusterSpec, bad_images: &[ImageId]) {
    let payload = if bad_images.contains(&spec.image) {
        Payload::NeverJoins
    } else {
        Payload::Good { version: simulate::version(spec) }
    };
    world.register_image(&spec.image, payload);
    world.declare(spec);
}
