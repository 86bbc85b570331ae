//! Desired state from files: a folder is watched, and read again whenever something in it may have changed.

use std::path::PathBuf;

use crate::spec::load::{self, Loaded};

use super::source::Source;

pub mod watch;

use watch::Watch;

/// Desired-state files, all of those at or below one path.
pub struct Files {
    paths: [PathBuf; 1],
    watch: Watch,
}

impl Files {
    /// Watches a path from now on. It need not exist yet.
    pub fn watch(path: PathBuf) -> Self {
        let paths = [path];
        Self { watch: Watch::new(&paths), paths }
    }
}

impl Source for Files {
    fn name(&self) -> String {
        self.paths[0].display().to_string()
    }

    async fn changed(&mut self) {
        self.watch.changed().await;
    }

    fn load(&self) -> Loaded {
        load::load(&self.paths)
    }
}
