//! A daemon that reads its specs from files, as `run` does, in a simulated world.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use hermitcrab::daemon::Daemon;
use hermitcrab::daemon::lease::Unshared;
use hermitcrab::daemon::source::Source;
use hermitcrab::event::Listeners;
use hermitcrab::ports::Clock;
use hermitcrab::sim::{Executor, World};
use hermitcrab::simulate::settings;
use hermitcrab::spec::load::{Loaded, load};
use hermitcrab::time::after;

/// A folder that is looked at every 30 simulated seconds.
struct Polled {
    folder: [PathBuf; 1],
    world: World,
}

impl Source for Polled {
    fn name(&self) -> String {
        self.folder[0].display().to_string()
    }

    async fn changed(&mut self) {
        self.world.sleep(Duration::from_secs(30)).await;
    }

    fn load(&self) -> LocalBoxFuture<'static, Loaded> {
        let folder = self.folder.clone();
        async move { load(&folder) }.boxed_local()
    }
}

/// Starts a daemon on a folder.
pub fn daemon(world: &World, folder: &Path, listeners: Listeners<'static>) -> Executor {
    let (world, folder) = (world.clone(), folder.to_owned());
    let mut executor = Executor::new(&world.clone(), move |_| {
        let source = Polled { folder: [folder.clone()], world: world.clone() };
        let (outside, listeners) = (world.clone(), listeners.clone());
        let daemon = Daemon { outside, source, lease: Unshared, settings: settings(1), listeners, once: None };
        Box::pin(async move {
            daemon.run(std::future::pending::<()>()).await.unwrap();
        })
    });
    executor.spawn(0);
    executor
}

/// Lets it run for that long.
pub fn run_for(executor: &mut Executor, world: &World, span: Duration) {
    executor.run_until(after(world.now(), span), &mut || false);
}
