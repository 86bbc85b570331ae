//! Desired state from git: a branch is asked for again and again, and a newer commit of it comes into force whole or not at all.
//!
//! Whatever goes wrong on the way, the revision in force stays so, and the trouble has a name. Nothing that git or a server says
//! decides anything but whether a newer revision is there.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::revision::{Reason, Revision, SourceTrouble, Standing};
use crate::spec::load::{self, Loaded, Problem, Severity};

use super::aside::aside;
use super::source::{Source, Wish};

pub mod address;
pub mod ask;
pub mod entries;
mod fetch;
mod kept;
mod openpgp;
mod pace;

use address::Address;
use ask::{Access, Git};
use fetch::{Attempt, Newer};
use kept::Kept;

/// Everything that a source in git needs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub address: Address,
    /// The folder that it is kept in, which is its own.
    pub folder: PathBuf,
    pub access: Access,
    /// The file of those whose signatures count, in the form of ssh's allowed signers. None takes commits without signatures.
    pub allowed_signers: Option<PathBuf>,
    /// The file of the OpenPGP keys whose signatures count as well.
    pub keyring: Option<PathBuf>,
    /// The time between two looks.
    pub interval: Duration,
    /// The longest time of one run of git.
    pub timeout: Duration,
    /// Decides the jitter.
    pub seed: u64,
}

/// Desired state in a repository.
pub struct Repository {
    git: Rc<Git>,
    kept: Arc<Kept>,
    interval: Duration,
    chance: fastrand::Rng,
    standing: Arc<Standing>,
    reading: Rc<Mutex<()>>,
    attempt: Option<LocalBoxFuture<'static, Result<Option<Newer>, SourceTrouble>>>,
    /// The number of attempts in a row that failed.
    failures: u32,
    /// The end of the latest attempt.
    ended: Instant,
    next: Instant,
    wish: Rc<Wish>,
}

impl Repository {
    /// Opens the source with the revision that was in force before, and makes the first attempt to get a newer one: what was in force
    /// when the last process ended may be long out of date. Whether it went well is told by [`Source::standing`].
    pub async fn open(settings: Settings) -> io::Result<Self> {
        let Settings { address, folder, access, allowed_signers, keyring, interval, timeout, seed } = settings;
        let kept = Kept::open(&folder, &address)?;
        let git = Rc::new(Git { address, access, allowed_signers, keyring, timeout });
        let verifies = git.verifies();
        let now = Instant::now();
        let standing = Standing { revision: None, trouble: None, verifies, rewritten_from: None };
        let mut repository = Self {
            git,
            kept: Arc::new(kept),
            interval,
            chance: fastrand::Rng::with_seed(seed),
            standing: Arc::new(standing),
            reading: Rc::default(),
            attempt: None,
            failures: 0,
            ended: now,
            next: now,
            wish: Rc::default(),
        };
        repository.resume().await?;
        repository.changed().await;
        Ok(repository)
    }

    /// Goes on with the revision that was in force when the last process ended, if its signature still counts.
    async fn resume(&mut self) -> io::Result<()> {
        let Some(before) = self.kept.in_force() else { return Ok(()) };
        let unverified = Revision { verified_by: None, ..before };
        match self.attempt(None).verified(unverified).await {
            Ok(revision) => self.stand(|standing| standing.revision = Some(revision)),
            Err(trouble) if trouble.reason == Reason::NotVerified => {
                self.kept.withdraw()?;
                self.stand(|standing| standing.trouble = Some(trouble));
            }
            Err(trouble) => return Err(io::Error::other(trouble.to_string())),
        }
        Ok(())
    }

    fn attempt(&self, before: Option<Revision>) -> Attempt {
        Attempt { git: self.git.clone(), kept: self.kept.clone(), before, reading: self.reading.clone() }
    }

    fn stand(&mut self, change: impl FnOnce(&mut Standing)) {
        change(Arc::make_mut(&mut self.standing));
    }

    /// Waits until the next attempt is due. Whoever wishes for one gets it, a moment after the last one at the earliest.
    async fn due(&self) {
        loop {
            let soonest = self.ended + pace::AFTER_WISH;
            let at = if self.wish.is_made() { soonest.min(self.next) } else { self.next };
            if timeout_at(at, self.wish.heard()).await.is_err() {
                return;
            }
        }
    }

    fn take(&mut self, outcome: Result<Option<Newer>, SourceTrouble>) {
        self.failures = if outcome.is_ok() { 0 } else { self.failures.saturating_add(1) };
        self.ended = Instant::now();
        self.next = self.ended + pace::pause(self.interval, self.failures, self.chance.f64());
        self.stand(|standing| match outcome {
            Ok(newer) => {
                standing.trouble = None;
                if let Some(Newer { revision, is_rewritten }) = newer {
                    let before = standing.revision.replace(revision);
                    standing.rewritten_from = before.filter(|_| is_rewritten).map(|before| before.id);
                }
            }
            Err(trouble) => {
                let before = standing.trouble.take().filter(|before| before.reason == trouble.reason);
                let times = before.map_or(1, |before| before.times.saturating_add(1));
                standing.trouble = Some(SourceTrouble { times, ..trouble });
            }
        });
    }
}

impl Source for Repository {
    fn name(&self) -> String {
        self.git.address.to_string()
    }

    async fn changed(&mut self) {
        if self.attempt.is_none() {
            self.due().await;
            self.wish.fulfil();
            self.kept.unlock();
            let attempt = self.attempt(self.standing.revision.clone());
            self.attempt = Some(attempt.make().boxed_local());
        }
        if let Some(attempt) = &mut self.attempt {
            let outcome = attempt.await;
            self.attempt = None;
            self.take(outcome);
        }
    }

    fn load(&self) -> LocalBoxFuture<'static, Loaded> {
        let (path, reading) = (self.kept.current(&self.git.address.folder), self.reading.clone());
        let has_revision = self.standing.revision.is_some();
        async move {
            let _alone = reading.lock().await;
            let paths = vec![path.clone()];
            let loaded = if has_revision { aside("files", move || load::load(&paths)).await } else { None };
            loaded.unwrap_or_else(|| unread(path))
        }
        .boxed_local()
    }

    fn standing(&self) -> Option<Arc<Standing>> {
        Some(self.standing.clone())
    }

    fn is_outdated(&mut self) -> bool {
        let is_outdated = self.ended.elapsed() > pace::AFTER_WISH;
        if is_outdated {
            self.next = Instant::now();
        }
        is_outdated
    }

    fn wish(&self) -> Option<Rc<Wish>> {
        Some(self.wish.clone())
    }
}

/// Says that nothing could be read. What was read before stays as it was.
fn unread(path: PathBuf) -> Loaded {
    let problem = Problem {
        severity: Severity::Error,
        path,
        place: None,
        message: "nothing could be read of the source".to_owned(),
        label: None,
        hint: Some("the log says what the trouble with the source is".to_owned()),
    };
    Loaded { problems: vec![problem], ..Loaded::default() }
}
