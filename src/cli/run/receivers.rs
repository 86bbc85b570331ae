//! `--notify`: news of clusters for receivers elsewhere, beside the daemon.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::cli::Failure;
use crate::cli::file::FileError;
use crate::cli::receivers::receivers;
use crate::clock::SystemClock;
use crate::event::Listeners;
use crate::notifications::Notifier;
use crate::notifications::post::{Counts, Post};
use crate::notifications::watch::Watch;

/// The argument for notifications.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// A file of receivers that are told when a rollout begins or ends and when a person is needed; what was told is kept in the
    /// folder of --state
    #[arg(long, value_name = "FILE", requires = "state")]
    notify: Option<PathBuf>,
}

/// The notifier of those who are told elsewhere, if anybody is.
pub(super) struct Told(Option<(Rc<Notifier>, Counts)>);

impl Args {
    /// Starts the post, if that was asked for. `state` is the folder of the log, which this process alone writes.
    pub(super) fn open(&self, state: Option<&Path>) -> Result<Told, Failure> {
        let (Some(file), Some(folder)) = (&self.notify, state) else { return Ok(Told(None)) };
        let started = Post::start(receivers(file)?, folder, SystemClock::start);
        let (post, memory) = started.map_err(|error| {
            Failure::new(FileError::new(&folder.join("notifications.json"), "used", error))
                .hint("remove it to begin anew: whatever holds now is told again then")
        })?;
        let counts = post.counts();
        Ok(Told(Some((Rc::new(Notifier::new(Watch::resume(memory), post)), counts))))
    }
}

impl Told {
    /// Counts of what became of news, for the metrics; none without receivers.
    pub(super) fn counts(&self) -> Option<Counts> {
        self.0.as_ref().map(|(_, counts)| counts.clone())
    }

    /// Adds the notifier to those who hear, and ends with them.
    pub(super) fn listeners(self, listeners: Listeners<'static>) -> Listeners<'static> {
        match self.0 {
            Some((notifier, _)) => listeners.with(notifier),
            None => listeners,
        }
    }
}
