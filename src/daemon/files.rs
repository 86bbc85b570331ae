//! Desired state from files: a folder is watched, and read again whenever something in it may have changed.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::time::{Instant, timeout_at};

use crate::input::text;
use crate::spec::load::{self, Loaded};

use super::aside::aside;
use super::source::Source;

mod unchanged;
pub mod watch;

use unchanged::Unchanged;
use watch::Watch;

/// Desired-state files, all of those at or below some paths.
pub struct Files {
    paths: Vec<PathBuf>,
    watch: Watch,
    unchanged: Rc<RefCell<Unchanged>>,
}

/// The most looks at the start, while some file is written to again and again. Then the others are gone by.
const MOST_LOOKS: usize = 5;

impl Files {
    /// Watches paths from now on. They need not exist yet. A file that was changed in place counts once it has been seen
    /// unchanged for that long.
    pub fn watch(paths: Vec<PathBuf>, unchanged_for: Duration) -> Self {
        Self { watch: Watch::new(&paths), paths, unchanged: Rc::new(RefCell::new(Unchanged::new(unchanged_for))) }
    }
}

impl Source for Files {
    fn name(&self) -> String {
        self.paths.iter().map(|path| text::path(path)).collect::<Vec<_>>().join(", ")
    }

    async fn changed(&mut self) {
        let look_again = self.unchanged.borrow().look_again();
        match look_again {
            Some(at) => _ = timeout_at(at, self.watch.changed()).await,
            None => self.watch.changed().await,
        }
    }

    fn load(&self) -> LocalBoxFuture<'static, Loaded> {
        let (paths, renamed, unchanged) = (self.paths.clone(), self.watch.renamed(), self.unchanged.clone());
        async move {
            for _ in 0..MOST_LOOKS {
                let paths = paths.clone();
                let Some(loaded) = aside("files", move || load::load(&paths)).await else {
                    return unchanged.borrow().last();
                };
                let settled = unchanged.borrow_mut().settle(loaded, &renamed, Instant::now());
                let waits = unchanged.borrow().is_new();
                let look_again = unchanged.borrow().look_again().filter(|_| waits);
                match look_again {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => return settled,
                }
            }
            unchanged.borrow_mut().begin_without()
        }
        .boxed_local()
    }
}
