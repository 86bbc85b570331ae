//! `hermitcrab run`: the daemon. It watches desired state and keeps every cluster as it is wanted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{self, FutureExt, LocalBoxFuture};
use tokio::signal::unix::{SignalKind, signal};

use crate::controller::desired::{Changes, Desired, Standing};
use crate::controller::fleet::Fleet;
use crate::controller::verdict::Verdict;
use crate::controller::wake::Watch;
use crate::controller::{Controller, Settings};
use crate::ids::{ClusterName, ImageId, Owner};
use crate::ports::Outside;
use crate::sim::{FaultLevel, Payload, World};
use crate::simulate;
use crate::spec::load::{self, Loaded};
use crate::spec::{ClusterSpec, render};

use super::cloud::Kind;
use super::progress::Progress;
use super::{Exit, Failure, Output, real};

mod narrator;
#[cfg(feature = "aws")]
mod on_aws;

#[cfg(feature = "aws")]
use on_aws::on_aws;

use narrator::Narrator;

const EXAMPLES: &str = "\
Examples:
  hermitcrab run desired-state --cloud simulated
      Keep simulated clusters as the files say; edit a file and watch
  hermitcrab run desired-state --cloud simulated --once --world world.json
      Bring the clusters to what the files say, and exit; the world is kept for the next run
  hermitcrab run desired-state --cloud simulated --bad-image ami-0bad0bad0bad0bad0
      The same, where members on that image never join

Signals:
  SIGTERM, SIGINT   finish the calls in flight, and exit with 0; a second one exits at once

Exit codes:
  0 ended by a signal; with --once: every cluster is settled
  1 error   3 a cluster is stalled (--once)   4 not settled in time (--timeout)   5 a cluster waits for a person (--once)";

/// Run the controller
///
/// Watches the files below DIR, and brings every cluster that they declare to what they say, one change at a time. A
/// file that breaks keeps its last good version; a file that goes away changes nothing in the world.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A folder of desired-state files
    #[arg(value_name = "DIR", default_value = "desired-state")]
    path: PathBuf,
    /// Bring every cluster to what is desired, and exit
    #[arg(long)]
    once: bool,
    /// Plan and report, but never act
    #[arg(long, conflicts_with = "once")]
    observe: bool,
    /// With --once: how long to try, e.g. `45m`
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    timeout: Duration,
    /// Act only while this controller holds the lease, which lies where the claims do; wait as long as another does
    #[arg(long)]
    lease: bool,
    /// Stop every mutation for as long as this file exists
    #[arg(long, value_name = "FILE")]
    kill_switch: Option<PathBuf>,
    #[command(flatten)]
    cloud: Cloud,
    #[command(flatten)]
    real: real::Args,
}

/// Which cloud is acted on.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cloud")]
#[group(skip)]
struct Cloud {
    /// The cloud to act on
    #[arg(long, value_enum, value_name = "CLOUD")]
    cloud: Option<Kind>,
    /// Where the simulated world is kept, after every change; implies `--cloud simulated`
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Simulated seconds in a second
    #[arg(long, value_name = "N", default_value_t = 20.0, value_parser = speed)]
    speed: f64,
    /// Decides all chances of a simulated world
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Begin with nothing, so that the clusters are created, and not with each settled on its file's image
    #[arg(long)]
    empty: bool,
    /// An image whose members never join, in the simulated world
    #[arg(long, value_name = "AMI", value_parser = super::cloud::image)]
    bad_image: Vec<ImageId>,
}

pub(super) fn span(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .map_err(|error| error.to_string())
        .and_then(|span| Duration::try_from(span).map_err(|_| "it must not be negative".to_owned()))
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err("a speed is a number above 0".to_owned()),
    }
}

#[cfg(not(feature = "aws"))]
async fn on_aws(_: &Args, _: &mut Desire, _: &mut Output) -> Result<Exit, Failure> {
    Err(super::cloud::no_aws())
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(daemon(args, out))
}

async fn daemon(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if args.once && !args.path.exists() {
        return Err(Failure::new(format!("{} does not exist", args.path.display()))
            .hint("name a folder with `*.yaml` files; without --once it would be waited for"));
    }
    let mut desire = Desire::watch(&args.path);
    if !args.cloud.is_simulated() {
        return on_aws(args, &mut desire, out).await;
    }
    let world = args.cloud.open(&desire.load())?;
    let outside = world.controller(0);
    let bad_images = args.cloud.bad_image.clone();
    let announce = Box::new(move |spec: &ClusterSpec| declare(&world, spec, &bad_images));
    let ground = Ground { outside, announce, seed: args.cloud.seed, lease: None };
    match attend(args, &mut desire, ground, out).await? {
        Ended::With(exit) => Ok(exit),
        Ended::LeaseLost => unreachable!("there was none"),
    }
}

/// The desired-state files, read and watched.
struct Desire {
    paths: [PathBuf; 1],
    watch: Watch,
}

impl Desire {
    fn watch(path: &Path) -> Self {
        let paths = [path.to_owned()];
        Self { watch: Watch::new(&paths), paths }
    }

    fn load(&self) -> Loaded {
        load::load(&self.paths)
    }
}

/// What clusters are attended to on.
struct Ground<O> {
    outside: O,
    /// Makes a spec known to a simulated world.
    announce: Box<dyn Fn(&ClusterSpec)>,
    /// Decides the jitter.
    seed: u64,
    /// Without one, this controller acts whether or not another does.
    lease: Option<Lease>,
}

/// The lease, as far as the daemon is concerned.
struct Lease {
    /// It is certain that nobody else has it.
    is_held: Box<dyn Fn() -> bool>,
    /// Ends when it is lost.
    lost: LocalBoxFuture<'static, ()>,
}

/// How attending to the clusters ended.
enum Ended {
    With(Exit),
    LeaseLost,
}

/// Attends to the clusters until a signal comes, the lease is lost, or with `--once` they are at their end.
async fn attend<O: Outside + 'static>(
    args: &Args,
    desire: &mut Desire,
    mut ground: Ground<O>,
    out: &mut Output,
) -> Result<Ended, Failure> {
    let progress = Progress::start();
    let (is_held, mut lost) = match ground.lease.take() {
        Some(lease) => (lease.is_held, lease.lost),
        None => (Box::new(|| true) as Box<dyn Fn() -> bool>, future::pending().boxed_local()),
    };
    let mut daemon = Daemon::open(args, &progress, desire.load(), ground, is_held, out)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let timeout = tokio::time::timeout(args.timeout, std::future::pending::<()>());
    let mut timeout = std::pin::pin!(timeout);
    let ended = loop {
        if args.once
            && let Some(exit) = daemon.converged()
        {
            break Ended::With(exit);
        }
        tokio::select! {
            biased;
            _ = terminate.recv() => break Ended::With(Exit::Done),
            _ = interrupt.recv() => break Ended::With(Exit::Done),
            () = &mut lost => {
                tracing::error!("the lease is lost: nothing more is done until it is held again");
                break Ended::LeaseLost;
            }
            () = desire.watch.changed(), if !args.once => {
                desire.watch.rearm();
                daemon.take_over(&desire.load(), out)?;
            }
            cluster = daemon.fleet.run() => {
                tracing::error!(%cluster, "internal assertion broke; the cluster is left alone until its spec changes");
                daemon.verdicts.borrow_mut().insert(cluster, Verdict::Broken);
            }
            () = daemon.changed.notified(), if args.once => {}
            _ = &mut timeout, if args.once => break Ended::With(Exit::TimedOut),
        }
    };
    let ended = tokio::select! {
        biased;
        () = daemon.fleet.stop() => ended,
        _ = terminate.recv() => Ended::With(Exit::Terminated),
        _ = interrupt.recv() => Ended::With(Exit::Interrupted),
    };
    progress.end();
    if args.once && matches!(ended, Ended::With(_)) {
        daemon.conclude(out)?;
    }
    Ok(ended)
}

/// What the daemon has in hand.
struct Daemon<O> {
    /// Makes a spec known to a simulated world.
    announce: Box<dyn Fn(&ClusterSpec)>,
    desired: Desired,
    has_errors: bool,
    fleet: Fleet<O, Narrator>,
    verdicts: Rc<RefCell<BTreeMap<ClusterName, Verdict>>>,
    /// A verdict has changed.
    changed: Rc<tokio::sync::Notify>,
}

impl<O: Outside + 'static> Daemon<O> {
    fn open(
        args: &Args,
        progress: &Progress,
        loaded: Loaded,
        ground: Ground<O>,
        is_held: Box<dyn Fn() -> bool>,
        out: &mut Output,
    ) -> Result<Self, Failure> {
        let (verdicts, changed) = (Rc::default(), Rc::new(tokio::sync::Notify::new()));
        let narrator = Narrator::new(progress.clone(), Rc::clone(&verdicts), changed.clone());
        let switch = args.kill_switch.clone();
        let settings = Settings {
            owner: Owner::from(args.real.owner.as_str()),
            observe_only: args.observe,
            seed: ground.seed,
            kill_switch: Box::new(move || match is_held() {
                true => switch.as_deref().and_then(thrown),
                false => Some("another controller may hold the lease".to_owned()),
            }),
        };
        let fleet = Fleet::new(Controller::new(ground.outside, narrator, settings));
        let (desired, has_errors) = (Desired::default(), false);
        let announce = ground.announce;
        let mut daemon = Self { announce, desired, has_errors, fleet, verdicts, changed };
        tracing::info!(path = %args.path.display(), observe = args.observe, "watching desired state");
        daemon.take_over(&loaded, out)?;
        Ok(daemon)
    }

    /// Attends to what has changed, and reports what cannot be used.
    fn take_over(&mut self, loaded: &Loaded, out: &mut Output) -> Result<(), Failure> {
        self.has_errors = loaded.has_errors();
        let Changes { changed, orphaned, broken, mended } = self.desired.update(loaded);
        for path in &mended {
            tracing::info!(path = %path.display(), "file is usable again");
        }
        if !broken.is_empty() {
            let color = out.colors_notes();
            write!(out.notes, "{}", render::text(loaded, color))?;
            self.report_broken(&broken);
        }
        for name in orphaned {
            self.fleet.leave(&name);
            self.verdicts.borrow_mut().remove(&name);
            tracing::warn!(cluster = %name, "orphaned: no file declares it any more; nothing of it is changed");
        }
        let wanted: Vec<_> = changed.iter().filter_map(|name| self.spec(name)).collect();
        for spec in wanted {
            tracing::info!(cluster = %spec.name, image = %spec.image, "desired state has changed");
            (self.announce)(&spec);
            self.verdicts.borrow_mut().insert(spec.name.clone(), Verdict::UnderWay);
            self.fleet.attend(spec);
        }
        Ok(())
    }

    fn report_broken(&self, broken: &[PathBuf]) {
        for path in broken {
            let kept = self.desired.clusters().find(|(_, desire)| desire.path == *path);
            match kept {
                Some((cluster, desire)) if matches!(desire.standing, Standing::LastGood { .. }) => {
                    tracing::error!(path = %path.display(), %cluster, "broken: the last good version stays in force");
                }
                _ => tracing::error!(path = %path.display(), "broken: there is no good version to go by"),
            }
        }
    }

    fn spec(&self, name: &ClusterName) -> Option<ClusterSpec> {
        self.desired.clusters().find(|(known, _)| *known == name).map(|(_, desire)| desire.spec.clone())
    }

    /// With `--once`: how it ended, once every cluster has come to an end.
    fn converged(&self) -> Option<Exit> {
        let verdicts = self.verdicts.borrow();
        let worst = verdicts.values().max().copied();
        match worst {
            None | Some(Verdict::Settled) => Some(if self.has_errors { Exit::Error } else { Exit::Done }),
            Some(Verdict::UnderWay) => None,
            // What one cluster cannot do does not keep the others from being finished.
            Some(_) if verdicts.values().any(|verdict| *verdict == Verdict::UnderWay) => None,
            Some(Verdict::NeedsPerson) => Some(Exit::NeedsPerson),
            Some(Verdict::Stalled) => Some(Exit::Failed),
            Some(Verdict::Broken) => Some(Exit::Error),
        }
    }

    /// A line for each cluster, once they are all at their end.
    fn conclude(&self, out: &mut Output) -> Result<(), Failure> {
        for (cluster, verdict) in self.verdicts.borrow().iter() {
            writeln!(out.data, "{cluster}: {verdict}")?;
        }
        Ok(())
    }
}

impl Cloud {
    fn is_simulated(&self) -> bool {
        self.cloud == Some(Kind::Simulated) || (self.cloud.is_none() && self.world.is_some())
    }

    fn open(&self, loaded: &Loaded) -> Result<World, Failure> {
        let world = match self.world.as_deref().filter(|path| path.exists()) {
            Some(path) => super::cloud::load(path)?,
            None => self.begin(loaded),
        };
        if let Some(path) = &self.world {
            super::cloud::save(&world, path)?;
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
        world
    }
}

/// Makes a spec known to the simulated world, with the image that it names.
fn declare(world: &World, spec: &ClusterSpec, bad_images: &[ImageId]) {
    let payload = match bad_images.contains(&spec.image) {
        true => Payload::NeverJoins,
        false => Payload::Good { version: simulate::version(spec) },
    };
    world.register_image(&spec.image, payload);
    world.declare(spec);
}

/// What a kill switch says, if it is thrown. One that cannot be looked at is taken for thrown.
fn thrown(path: &Path) -> Option<String> {
    match path.try_exists() {
        Ok(false) => None,
        Ok(true) => Some(format!("{} exists", path.display())),
        Err(error) => Some(format!("{} cannot be looked at: {error}", path.display())),
    }
}
