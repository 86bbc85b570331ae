//! The daemon: keeps every cluster that a source declares as it is declared, for as long as it holds the lease.
//!
//! The daemon decides nothing about clusters. It hands what the [`Source`] declares to a
//! [`Fleet`](crate::controller::fleet::Fleet), and tells its [`Listeners`] what happens. `run --once` is the same loop, which
//! ends when the [`Convergences`] of all clusters are final.

use std::cell::RefCell;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{self, Either, LocalBoxFuture};

use crate::controller::fleet::Fleet;
use crate::controller::{Controller, Settings};
use crate::event::{Asked, EventKind, Listeners, is_same_news};
use crate::ids::ClusterName;
use crate::ports::{Clock, Outside, PortError};
use crate::revision::Standing;
use crate::spec::load::Loaded;

mod aside;
pub mod convergences;
pub mod desired;
pub mod files;
pub mod git;
pub mod lease;
pub mod listeners;
pub mod source;

use convergences::Convergences;
use desired::{Changes, Desired, FileState};
use lease::{Held, Lease};
use source::Source;

/// A daemon that is ready to run.
pub struct Daemon<O, S, L> {
    /// The world that is looked at and acted on.
    pub outside: O,
    /// The place where desired state comes from.
    pub source: S,
    /// The lease that lets one of several controllers act.
    pub lease: L,
    pub settings: Settings,
    /// Everybody who is told what happens.
    pub listeners: Listeners<'static>,
    /// For a daemon that ends when every cluster has come to an end: how far each has come. None runs for ever.
    pub once: Option<Rc<Convergences>>,
}

/// The reason why a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<W> {
    /// Every cluster has come to an end. Only with `once`.
    Converged,
    /// The daemon was told to stop, for this reason.
    Stopped(W),
}

impl<O: Outside + Clone + 'static, S: Source, L: Lease> Daemon<O, S, L> {
    /// Runs until `stop` comes, or with `once` until every cluster has come to an end. Calls in flight are finished first.
    /// The lease is waited for, and waited for again whenever it is lost.
    pub async fn run<W>(mut self, stop: impl Future<Output = W>) -> Result<Ended<W>, PortError> {
        if let Some(once) = &self.once {
            self.listeners = self.listeners.clone().with(once.clone());
        }
        let mut stop = pin!(stop);
        loop {
            let held = match future::select(pin!(self.lease.acquire()), stop.as_mut()).await {
                Either::Left((held, _)) => Rc::new(held?),
                Either::Right((why, _)) => return Ok(Ended::Stopped(why)),
            };
            let ended = self.run_while_held(&held, stop.as_mut()).await;
            if let Some(held) = Rc::into_inner(held) {
                held.release().await;
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// Runs for as long as the lease is held. Answers why the daemon ended; none if the lease was lost.
    async fn run_while_held<W>(
        &mut self,
        held: &Rc<L::Held>,
        mut stop: Pin<&mut impl Future<Output = W>>,
    ) -> Option<Ended<W>> {
        let standing = Rc::new(RefCell::new(None));
        let settings = told_of(&standing, only_while_held(&self.settings, held));
        let mut fleet = Fleet::new(Controller::new(self.outside.clone(), self.listeners.clone(), settings));
        let mut desired = Desired::default();
        self.tell(None, EventKind::Started { source: self.source.name(), observe_only: self.settings.observe_only });
        self.tell_source(&standing);
        let mut awaits_source = self.source.is_outdated();
        let mut loading = (!awaits_source).then(|| self.source.load());
        let mut is_outdated = false;
        let mut lost = pin!(held.lost());
        let ended = loop {
            if loading.is_none() && !awaits_source && self.once.as_ref().is_some_and(|once| once.are_final()) {
                break Some(Ended::Converged);
            }
            tokio::select! {
                biased;
                why = &mut stop => break Some(Ended::Stopped(why)),
                () = &mut lost => {
                    self.tell(None, EventKind::LeaseLost);
                    break None;
                }
                loaded = loaded(&mut loading) => {
                    loading = std::mem::take(&mut is_outdated).then(|| self.source.load());
                    self.take_over(loaded, &mut desired, &mut fleet);
                }
                () = self.source.changed(), if awaits_source || self.once.is_none() => {
                    awaits_source = false;
                    self.tell_source(&standing);
                    match loading {
                        Some(_) => is_outdated = true,
                        None => loading = Some(self.source.load()),
                    }
                }
                cluster = fleet.run() => self.tell(Some(&cluster), EventKind::Broken),
                () = changed(self.once.as_deref()) => {}
            }
        };
        fleet.stop().await;
        self.tell(None, EventKind::Stopped);
        ended
    }

    /// Hands the clusters that differ to the fleet, and tells what cannot be used.
    fn take_over(&self, loaded: Loaded, desired: &mut Desired, fleet: &mut Fleet<O>) {
        let loaded = Rc::new(loaded);
        let Changes { changed, orphaned, broken, mended } = desired.update(&loaded);
        let specs: Vec<_> = desired.clusters().map(|(_, declared)| declared.spec.clone()).collect();
        fleet.declare(desired.declared(&loaded), &specs);
        self.tell(None, EventKind::DesiredRead(loaded.clone()));
        for path in mended {
            self.tell(None, EventKind::FileUsable(path));
        }
        if !broken.is_empty() {
            self.tell(None, EventKind::ProblemsFound(loaded));
        }
        for path in broken {
            self.tell(kept_from(desired, &path), EventKind::FileBroken(path));
        }
        for name in orphaned {
            fleet.leave(&name);
            self.tell(Some(&name), EventKind::Orphaned);
        }
        for name in changed {
            let Some(declared) = desired.get(&name) else { continue };
            self.tell(Some(&name), EventKind::DesiredChanged(declared.spec.clone()));
            fleet.attend(declared.spec.clone());
        }
    }

    /// Tells how the source stands, where it has revisions.
    fn tell_source(&self, told: &RefCell<Option<Arc<Standing>>>) {
        let Some(standing) = self.source.standing() else { return };
        let before = told.replace(Some(standing.clone()));
        let is_new = before.is_none_or(|before| !is_same_standing(&before, &standing));
        self.tell(None, EventKind::SourceAsked(Rc::new(Asked { standing, is_new })));
    }

    fn tell(&self, cluster: Option<&ClusterName>, kind: EventKind) {
        self.listeners.tell(self.outside.clock().now(), cluster, kind);
    }
}

/// The settings, with every change stopped as soon as it is not certain that the lease is held.
fn only_while_held<H: Held + 'static>(settings: &Settings, held: &Rc<H>) -> Settings {
    let (held, switch) = (held.clone(), settings.kill_switch.clone());
    let stopped = move || {
        if held.is_held() { switch() } else { Some("another controller may hold the lease".to_owned()) }
    };
    Settings { kill_switch: Rc::new(stopped), ..settings.clone() }
}

/// The settings, with every cluster told how the source stands.
fn told_of(standing: &Rc<RefCell<Option<Arc<Standing>>>>, settings: Settings) -> Settings {
    let standing = standing.clone();
    Settings { source: Rc::new(move || standing.borrow().clone()), ..settings }
}

/// Says whether two standings are the same news.
fn is_same_standing(one: &Standing, other: &Standing) -> bool {
    let is_same_trouble = match (&one.trouble, &other.trouble) {
        (None, None) => true,
        (Some(one), Some(other)) => one.reason == other.reason && is_same_news(&one.message, &other.message),
        (Some(_), None) | (None, Some(_)) => false,
    };
    is_same_trouble && one.revision == other.revision && one.rewritten_from == other.rewritten_from
}

/// The cluster whose last good version stays in force although this file is broken.
fn kept_from<'d>(desired: &'d Desired, path: &PathBuf) -> Option<&'d ClusterName> {
    let (name, declared) = desired.clusters().find(|(_, declared)| declared.path == *path)?;
    matches!(declared.file, FileState::LastGood { .. }).then_some(name)
}

/// Waits until desired state is read, if it is being read.
async fn loaded(loading: &mut Option<LocalBoxFuture<'static, Loaded>>) -> Loaded {
    match loading {
        Some(reading) => reading.await,
        None => future::pending().await,
    }
}

/// Waits until the convergence of some cluster has changed.
async fn changed(once: Option<&Convergences>) {
    match once {
        Some(once) => once.changed().await,
        None => future::pending().await,
    }
}
