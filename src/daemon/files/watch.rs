//! Says when it is worth reading the desired-state files again.
//!
//! An event never says what changed, only "look now": the content decides, and a poll every 30 seconds catches
//! whatever the operating system did not tell. So this file may be wrong in one direction only, by waking in vain.
//!
//! Directories are watched, never files: an editor that saves by renaming, a git-sync worktree flip and the
//! `..data` swap of a Kubernetes ConfigMap all put a *new* file under an old name, and a watch on the old file
//! would stay with the dead one. Paths are followed a name at a time, because any name on the way may be a symlink
//! that is swapped, or may not exist yet. Everything is armed before each look, not after it: what is written
//! before the arming is seen by the look, and what is written after it wakes again.
//!
//! Hidden directories and files are not watched for their own sake: `.git` and editors' swap files are busy and
//! say nothing. `..data` counts because visible files point through it.

use std::collections::BTreeSet;
use std::fs;
use std::mem;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::input::text;

use super::unchanged::Renamed;

/// The longest wait, whatever the operating system says or does not say.
const POLL: Duration = Duration::from_secs(30);
/// The silence that ends a burst of events: a `git checkout` or an editor's save is several.
const QUIET: Duration = Duration::from_millis(75);
/// The time after which a burst that never ends is cut off.
const PATIENCE: Duration = Duration::from_millis(500);
/// The number of symlinks after which Linux gives up on a path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Watches files and directories that may or may not exist. Uses real time: files change in real time even where
/// the cloud is simulated.
pub struct Watch {
    paths: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    armed: BTreeSet<PathBuf>,
    bell: Arc<Bell>,
    /// The beginning of the burst of events that `changed` is waiting out; kept here so that `changed` may be dropped.
    burst_began: Option<Instant>,
    poll_at: Instant,
    warned: bool,
}

/// The bell that notify's thread rings.
#[derive(Default)]
struct Bell {
    rung: Notify,
    watched: Mutex<Watched>,
    /// The names that something was renamed to since they were asked for last.
    renamed: Mutex<BTreeSet<PathBuf>>,
}

/// The places of which an event matters.
#[derive(Default)]
struct Watched {
    /// Directories in which every entry matters that is not hidden.
    trees: BTreeSet<PathBuf>,
    /// Single names that matter: each part of the way to a tree or a file, through every symlink.
    waypoints: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches `paths` from now on. Where the operating system refuses, the log says why once, and the poll alone serves.
    pub fn new(paths: &[PathBuf]) -> Self {
        let bell = Arc::new(Bell::default());
        let mut watch = Self {
            paths: paths.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).collect(),
            watcher: None,
            armed: BTreeSet::new(),
            bell: Arc::clone(&bell),
            burst_began: None,
            poll_at: Instant::now() + POLL,
            warned: false,
        };
        match notify::recommended_watcher(move |event| bell.hear(event)) {
            Ok(watcher) => watch.watcher = Some(watcher),
            Err(error) => watch.warn(Path::new("/"), &error),
        }
        watch.rearm();
        watch
    }

    /// Resolves when something may have changed, or 30 seconds after it last did. Everything is armed anew by then.
    /// May be dropped while it waits: what it had noticed is not lost.
    pub async fn changed(&mut self) {
        if self.burst_began.is_none() && timeout_at(self.poll_at, self.bell.rung.notified()).await.is_ok() {
            self.burst_began = Some(Instant::now());
        }
        if let Some(burst_began) = self.burst_began {
            self.quiet(burst_began + PATIENCE).await;
        }
        self.burst_began = None;
        self.poll_at = Instant::now() + POLL;
        self.rearm();
    }

    /// Takes the names that something was renamed to: a file that is put in its place in this way is whole.
    pub(super) fn renamed(&self) -> Renamed {
        let names = mem::take(&mut *self.bell.renamed.lock().unwrap_or_else(PoisonError::into_inner));
        let is_file = |name: &PathBuf| name.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        let all = names.iter().any(|name| !is_file(name));
        Renamed { files: names, all }
    }

    /// Waits until events pause, or until `latest`.
    async fn quiet(&self, latest: Instant) {
        loop {
            let until = latest.min(Instant::now() + QUIET);
            if timeout_at(until, self.bell.rung.notified()).await.is_err() || Instant::now() >= latest {
                return;
            }
        }
    }

    /// Watches the places that the paths lead to now, and nothing else.
    fn rearm(&mut self) {
        // Everything is armed again, known or not: whether a directory is still the one that was armed cannot be
        // told from its path, nor from its inode, which is soon used again.
        let mut arming = Arming { watch: self, armed: BTreeSet::new(), found: Watched::default() };
        for path in arming.watch.paths.clone() {
            arming.arm_all(&path);
        }
        let Arming { armed, found, .. } = arming;
        let stale = mem::replace(&mut self.armed, armed);
        if let Some(watcher) = &mut self.watcher {
            for directory in stale.difference(&self.armed) {
                // Fails for a directory that is gone, which does no harm.
                let _ = watcher.unwatch(directory);
            }
        }
        self.bell.with_watched(|watched| *watched = found);
    }

    fn warn(&mut self, directory: &Path, error: &notify::Error) {
        if !mem::replace(&mut self.warned, true) {
            tracing::warn!(
                directory = text::path(directory),
                %error,
                "cannot watch desired state for changes; it is read every 30 seconds instead"
            );
        }
    }
}

/// One arming of everything.
struct Arming<'a> {
    watch: &'a mut Watch,
    armed: BTreeSet<PathBuf>,
    found: Watched,
}

impl Arming<'_> {
    /// Arms the way to `path`, and all of it if it is a directory.
    fn arm_all(&mut self, path: &Path) {
        if let Some(end) = self.arm_way(path)
            && end.is_dir()
        {
            self.arm_tree(&end);
        }
    }

    /// Arms every directory on the way to `path`, symlinks followed, as far as it exists. Says where the way ends.
    fn arm_way(&mut self, path: &Path) -> Option<PathBuf> {
        let mut at = PathBuf::new();
        let mut ahead = path.to_owned();
        let mut links = 0;
        loop {
            let mut steps = ahead.components();
            let Some(step) = steps.next() else { return Some(at) };
            let rest = steps.as_path().to_owned();
            match step {
                Component::Prefix(_) | Component::RootDir => at.push(step),
                Component::CurDir => {}
                Component::ParentDir => _ = at.pop(),
                Component::Normal(name) => {
                    let next = at.join(name);
                    self.note(|watched| &mut watched.waypoints, &next);
                    self.arm(&at);
                    if let Ok(target) = fs::read_link(&next) {
                        links += 1;
                        if links > MAX_LINKS {
                            return None;
                        }
                        ahead = target.join(rest);
                        continue;
                    }
                    fs::symlink_metadata(&next).ok()?;
                    at = next;
                }
            }
            ahead = rest;
        }
    }

    /// Arms a directory, those in it, and those that its symlinks lead through.
    fn arm_tree(&mut self, directory: &Path) {
        if !self.note(|watched| &mut watched.trees, directory) {
            return;
        }
        // Armed before it is listed, so that everything that is made in it afterwards is reported.
        self.arm(directory);
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten().filter(|entry| !is_hidden(&entry.path())) {
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => self.arm_all(&entry.path()),
                Ok(kind) if kind.is_dir() => self.arm_tree(&entry.path()),
                _ => {}
            }
        }
    }

    /// Notes what matters from now on; false if it was noted before.
    fn note(&mut self, part: impl Fn(&mut Watched) -> &mut BTreeSet<PathBuf>, path: &Path) -> bool {
        self.watch.bell.with_watched(|watched| part(watched).insert(path.to_owned()));
        part(&mut self.found).insert(path.to_owned())
    }

    fn arm(&mut self, directory: &Path) {
        if !self.armed.insert(directory.to_owned()) {
            return;
        }
        let Some(watcher) = &mut self.watch.watcher else { return };
        match watcher.watch(directory, RecursiveMode::NonRecursive) {
            Err(error) if !is_harmless(&error) => self.watch.warn(directory, &error),
            _ => {}
        }
    }
}

/// Whether nothing is lost by not watching: the directory went away, which its parent reports, or it may be passed
/// through but not listed, as `/var/lib/private` may.
fn is_harmless(error: &notify::Error) -> bool {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => matches!(error.kind(), NotFound | PermissionDenied),
        _ => false,
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

impl Bell {
    /// Rings if an event matters. Called on notify's thread.
    fn hear(&self, event: notify::Result<Event>) {
        if let Ok(event) = &event
            && let EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) = event.kind
        {
            let mut renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
            renamed
                .extend(event.paths.last().filter(|path| self.with_watched(|watched| watched.includes(path))).cloned());
        }
        let matters = match event {
            Ok(event) => self.with_watched(|watched| watched.concerns(&event)),
            Err(_) => true,
        };
        if matters {
            self.rung.notify_one();
        }
    }

    fn with_watched<T>(&self, f: impl FnOnce(&mut Watched) -> T) -> T {
        f(&mut self.watched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watched {
    /// Whether an event is a reason to look.
    fn concerns(&self, event: &Event) -> bool {
        // An overflowed queue is reported without a path: anything may have changed.
        if event.need_rescan() || event.paths.is_empty() {
            return true;
        }
        // notify 8.2 reports opening and closing too, so our own reading would wake us for ever. Nothing is lost:
        // a write is reported as a modification before it is reported as a close.
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        event.paths.iter().any(|path| self.includes(path))
    }

    fn includes(&self, path: &Path) -> bool {
        let in_tree = || path.parent().is_some_and(|parent| self.trees.contains(parent)) && !is_hidden(path);
        self.waypoints.contains(path) || self.trees.contains(path) || in_tree()
    }
}

#[cfg(test)]
mod tests;
