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

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long to wait at most, whatever the operating system says or does not say.
const POLL: Duration = Duration::from_secs(30);
/// So much quiet ends a burst of events: a `git checkout` or an editor's save is several.
const QUIET: Duration = Duration::from_millis(75);
/// A burst that never ends is cut off here.
const PATIENCE: Duration = Duration::from_millis(500);
/// Linux gives up on a path after as many symlinks (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Watches files and directories that may or may not exist. Uses real time: files change in real time even where
/// the cloud is simulated.
pub struct Watch {
    paths: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    armed: BTreeSet<PathBuf>,
    bell: Arc<Bell>,
    /// When the burst of events began that `changed` is waiting out; kept here so that `changed` may be dropped.
    stirred: Option<Instant>,
    poll_at: Instant,
    warned: bool,
}

/// What notify's thread rings.
#[derive(Default)]
struct Bell {
    rung: Notify,
    ground: Mutex<Ground>,
}

/// What matters of all that is reported.
#[derive(Default)]
struct Ground {
    /// Directories in which every entry matters that is not hidden.
    trees: BTreeSet<PathBuf>,
    /// Single names that matter: each step of the way to a tree or a file, through every symlink.
    steps: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches `paths` from now on. Where the operating system refuses, this says why once and the poll alone serves.
    pub fn new(paths: &[PathBuf]) -> Self {
        let bell = Arc::new(Bell::default());
        let mut watch = Self {
            paths: paths.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).collect(),
            watcher: None,
            armed: BTreeSet::new(),
            bell: Arc::clone(&bell),
            stirred: None,
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
        if self.stirred.is_none() && timeout_at(self.poll_at, self.bell.rung.notified()).await.is_ok() {
            self.stirred = Some(Instant::now());
        }
        if let Some(stirred) = self.stirred {
            self.quiet(stirred + PATIENCE).await;
        }
        self.stirred = None;
        self.poll_at = Instant::now() + POLL;
        self.rearm();
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

    /// Watches what the paths lead to now, and nothing else. `changed` does this before it resolves; to do it once
    /// more after a look does no harm.
    pub fn rearm(&mut self) {
        // Everything is armed again, known or not: whether a directory is still the one that was armed cannot be
        // told from its path, nor from its inode, which is soon used again.
        let mut round = Round { watch: self, armed: BTreeSet::new(), found: Ground::default() };
        for path in round.watch.paths.clone() {
            round.arm_all(&path);
        }
        let Round { armed, found, .. } = round;
        let stale = mem::replace(&mut self.armed, armed);
        if let Some(watcher) = &mut self.watcher {
            for directory in stale.difference(&self.armed) {
                // Fails for a directory that is gone, which is what it is for.
                let _ = watcher.unwatch(directory);
            }
        }
        self.bell.with_ground(|ground| *ground = found);
    }

    fn warn(&mut self, directory: &Path, error: &notify::Error) {
        if !mem::replace(&mut self.warned, true) {
            tracing::warn!(
                directory = %directory.display(),
                %error,
                "cannot watch desired state for changes; it is read every 30 seconds instead"
            );
        }
    }
}

/// One arming of everything.
struct Round<'a> {
    watch: &'a mut Watch,
    armed: BTreeSet<PathBuf>,
    found: Ground,
}

impl Round<'_> {
    /// Arms the way to `path`, and all of it if it is a directory.
    fn arm_all(&mut self, path: &Path) {
        if let Some(end) = self.arm_way(path)
            && end.is_dir()
        {
            self.arm_tree(&end);
        }
    }

    /// Arms every directory on the way to `path`, symlinks followed, as far as it exists; says where it ends.
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
                    self.note(|ground| &mut ground.steps, &next);
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
        if !self.note(|ground| &mut ground.trees, directory) {
            return;
        }
        // Before it is listed: what is made in it afterwards is reported.
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
    fn note(&mut self, part: impl Fn(&mut Ground) -> &mut BTreeSet<PathBuf>, path: &Path) -> bool {
        self.watch.bell.with_ground(|ground| part(ground).insert(path.to_owned()));
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
    /// Called on notify's thread.
    fn hear(&self, event: notify::Result<Event>) {
        let matters = match event {
            Ok(event) => self.with_ground(|ground| ground.concerns(&event)),
            Err(_) => true,
        };
        if matters {
            self.rung.notify_one();
        }
    }

    fn with_ground<T>(&self, f: impl FnOnce(&mut Ground) -> T) -> T {
        f(&mut self.ground.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ground {
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
        self.steps.contains(path) || self.trees.contains(path) || in_tree()
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, DataChange, Flag, ModifyKind};

    use super::*;

    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

    fn bell() -> Bell {
        let bell = Bell::default();
        bell.with_ground(|ground| {
            ground.trees.insert("/desired".into());
            ground.steps.extend(["/desired".into(), "/desired/..data".into(), "/elsewhere/userdata".into()]);
        });
        bell
    }

    /// Whether an event rings.
    async fn rings(event: notify::Result<Event>) -> bool {
        let bell = bell();
        bell.hear(event);
        timeout_at(Instant::now(), bell.rung.notified()).await.is_ok()
    }

    async fn rings_at(path: &str) -> bool {
        rings(Ok(Event::new(WRITE).add_path(path.into()))).await
    }

    #[tokio::test]
    async fn an_overflowed_queue_wakes_although_it_names_no_path() {
        assert!(rings(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))).await);
    }

    #[tokio::test]
    async fn an_error_wakes() {
        assert!(rings(Err(notify::Error::generic("what"))).await);
    }

    #[tokio::test]
    async fn reading_does_not_wake() {
        for kind in [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read), AccessKind::Read] {
            assert!(!rings(Ok(Event::new(EventKind::Access(kind)).add_path("/desired/a.yaml".into()))).await);
        }
    }

    #[tokio::test]
    async fn what_lies_in_a_tree_or_on_the_way_to_it_wakes() {
        for path in ["/desired", "/desired/a.yaml", "/desired/..data", "/elsewhere/userdata"] {
            assert!(rings_at(path).await, "{path}");
        }
    }

    #[tokio::test]
    async fn what_lies_beside_the_way_or_is_hidden_does_not_wake() {
        for path in ["/", "/other", "/elsewhere/other", "/desired/.a.yaml.swp", "/desired/sub/unknown"] {
            assert!(!rings_at(path).await, "{path}");
        }
    }

    #[tokio::test]
    async fn the_poll_alone_serves_where_nothing_can_be_watched() {
        let mut watch = Watch::new(&[]);
        watch.watcher = None;
        watch.poll_at = Instant::now();
        watch.changed().await;
        assert!(watch.poll_at > Instant::now());
    }
}
