//! A daemon that reads its specs from files, as `run` does, in a simulated world.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures_util::future;
use hermitcrab::controller::desired::Desired;
use hermitcrab::controller::fleet::Fleet;
use hermitcrab::controller::{Audience, Controller, Report};
use hermitcrab::ports::{Clock, Outcome, PortError};
use hermitcrab::sim::{Executor, World};
use hermitcrab::simulate::settings;
use hermitcrab::spec::load::load;
use hermitcrab::time::after;

/// Nobody listens.
struct Nobody;

impl Audience for Nobody {
    fn planned(&self, _: &Report<'_>) {}
    fn acted(&self, _: &Report<'_>, _: &Result<Outcome, PortError>) {}
}

/// Starts a daemon on a directory.
pub fn daemon(world: &World, dir: &Path) -> Executor {
    let (watched, dir) = (world.clone(), dir.to_owned());
    let mut executor = Executor::new(world, move |_| Box::pin(attend(watched.clone(), dir.clone())));
    executor.spawn(0);
    executor
}

/// Lets it run for so long.
pub fn run_for(executor: &mut Executor, world: &World, span: Duration) {
    executor.run_until(after(world.now(), span), &mut || false);
}

async fn attend(world: World, dir: PathBuf) {
    let mut fleet = Fleet::new(Controller::new(world.clone(), Nobody, settings(1)));
    let mut desired = Desired::default();
    loop {
        let changes = desired.update(&load(std::slice::from_ref(&dir)));
        for (_, desire) in desired.clusters().filter(|(name, _)| changes.changed.contains(name)) {
            fleet.attend(desire.spec.clone());
        }
        changes.orphaned.iter().for_each(|name| fleet.leave(name));
        let poll = pin!(world.sleep(Duration::from_secs(30)));
        future::select(pin!(fleet.run()), poll).await;
    }
}
