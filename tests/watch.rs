//! Real files and real inotify: every way in which desired state changes on disk wakes the controller.
//!
//! The bound on each wait is far below the poll's 30 seconds, so that the poll cannot hide a missed event.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hermitcrab::daemon::files::watch::Watch;
use tempfile::TempDir;
use tokio::time::timeout;

/// No wake within this is a failure.
const LONG: Duration = Duration::from_secs(10);
/// Many times the 75 milliseconds that end a burst.
const UNDISTURBED: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_file_written_in_place() {
    let mut place = Place::new();
    write(&place.root.join("a.yaml"), "one");
    place.watch();
    append(&place.root.join("a.yaml"), "two");
    place.wakes().await;
}

#[tokio::test]
async fn a_file_saved_by_renaming_again_and_again() {
    let mut place = Place::new();
    let file = place.root.join("a.yaml");
    write(&file, "one");
    place.watch();
    for text in ["two", "three", "four"] {
        write(&place.root.join(".a.yaml.tmp"), text);
        fs::rename(place.root.join(".a.yaml.tmp"), &file).unwrap();
        place.wakes().await;
    }
}

#[tokio::test]
async fn a_single_file_is_watched_through_its_directory() {
    let mut place = Place::new();
    place.root = place.root.join("a.yaml");
    write(&place.root, "one");
    place.watch();
    for text in ["two", "three"] {
        let new = place.path("new");
        write(&new, text);
        fs::rename(&new, &place.root).unwrap();
        place.wakes().await;
    }
    fs::remove_file(&place.root).unwrap();
    place.wakes().await;
}

#[tokio::test]
async fn a_config_map_swapped_through_its_data_link() {
    let mut place = Place::new();
    let publish = |version: &str| {
        fs::create_dir(place.root.join(version)).unwrap();
        write(&place.root.join(version).join("a.yaml"), version);
    };
    publish("..1");
    swap(Path::new("..1"), &place.root.join("..data"));
    symlink("..data/a.yaml", place.root.join("a.yaml")).unwrap();
    place.watch();
    for (old, new) in [("..1", "..2"), ("..2", "..3")] {
        fs::create_dir(place.root.join(new)).unwrap();
        write(&place.root.join(new).join("a.yaml"), new);
        swap(Path::new(new), &place.root.join("..data"));
        place.wakes().await;
        assert_eq!(fs::read_to_string(place.root.join("a.yaml")).unwrap(), new);
        fs::remove_dir_all(place.root.join(old)).unwrap();
    }
    append(&place.root.join("..3/a.yaml"), "in place");
    place.wakes().await;
}

#[tokio::test]
async fn a_worktree_flipped_under_a_root_that_is_a_symlink() {
    let mut place = Place::new();
    for version in ["1", "2", "3"] {
        fs::create_dir_all(place.path("worktrees").join(version).join("desired/prod")).unwrap();
        write(&place.path("worktrees").join(version).join("desired/prod/a.yaml"), version);
    }
    swap(Path::new("worktrees/1"), &place.path("current"));
    place.root = place.path("current").join("desired");
    place.watch();
    for (old, new) in [("1", "2"), ("2", "3")] {
        swap(&Path::new("worktrees").join(new), &place.path("current"));
        place.wakes().await;
        fs::remove_dir_all(place.path("worktrees").join(old)).unwrap();
    }
    append(&place.path("worktrees/3/desired/prod/a.yaml"), "in place");
    place.wakes().await;
}

#[tokio::test]
async fn a_file_behind_a_symlink_is_watched_where_it_lies() {
    let mut place = Place::new();
    for shared in ["shared", "other"] {
        fs::create_dir(place.path(shared)).unwrap();
        write(&place.path(shared).join("a.yaml"), "one");
    }
    swap(&place.path("shared/a.yaml"), &place.root.join("a.yaml"));
    place.watch();
    append(&place.path("shared/a.yaml"), "two");
    place.wakes().await;
    swap(&place.path("other/a.yaml"), &place.root.join("a.yaml"));
    place.wakes().await;
    append(&place.path("other/a.yaml"), "two");
    place.wakes().await;
    append(&place.path("shared/a.yaml"), "nobody looks here now");
    place.stays_asleep().await;
}

#[tokio::test]
async fn a_directory_deleted_and_made_again() {
    let mut place = Place::new();
    write(&place.root.join("a.yaml"), "one");
    place.watch();
    for text in ["two", "three"] {
        fs::remove_dir_all(&place.root).unwrap();
        place.wakes().await;
        fs::create_dir(&place.root).unwrap();
        place.wakes().await;
        write(&place.root.join("a.yaml"), text);
        place.wakes().await;
    }
}

#[tokio::test]
async fn a_directory_deleted_and_made_again_in_one_go() {
    let mut place = Place::new();
    write(&place.root.join("a.yaml"), "one");
    place.watch();
    for text in ["two", "three"] {
        fs::remove_dir_all(&place.root).unwrap();
        fs::create_dir(&place.root).unwrap();
        place.wakes().await;
        write(&place.root.join("a.yaml"), text);
        place.wakes().await;
    }
}

#[tokio::test]
async fn a_directory_moved_away_and_replaced() {
    let mut place = Place::new();
    write(&place.root.join("a.yaml"), "one");
    fs::create_dir(place.path("next")).unwrap();
    place.watch();
    fs::rename(&place.root, place.path("before")).unwrap();
    fs::rename(place.path("next"), &place.root).unwrap();
    place.wakes().await;
    write(&place.root.join("a.yaml"), "two");
    place.wakes().await;
    append(&place.path("before/a.yaml"), "nobody looks here now");
    place.stays_asleep().await;
}

#[tokio::test]
async fn a_directory_that_does_not_exist_at_the_start_nor_does_its_parent() {
    let mut place = Place::new();
    place.root = place.path("not/there/yet");
    place.watch();
    fs::create_dir(place.path("not")).unwrap();
    place.wakes().await;
    fs::create_dir_all(&place.root).unwrap();
    place.wakes().await;
    write(&place.root.join("a.yaml"), "one");
    place.wakes().await;
}

#[tokio::test]
async fn a_new_directory_with_a_file_that_is_then_edited() {
    let mut place = Place::new();
    place.watch();
    let deep = place.root.join("prod/east");
    fs::create_dir_all(&deep).unwrap();
    write(&deep.join("a.yaml"), "one");
    place.wakes().await;
    append(&deep.join("a.yaml"), "two");
    place.wakes().await;
    write(&deep.join("b.yaml"), "one");
    place.wakes().await;
}

#[tokio::test]
async fn symlinks_in_a_circle_are_survived() {
    let mut place = Place::new();
    symlink("loop", place.root.join("loop")).unwrap();
    symlink(".", place.root.join("self")).unwrap();
    place.watch();
    write(&place.root.join("a.yaml"), "one");
    place.wakes().await;
}

#[tokio::test]
async fn reading_wakes_nobody_and_one_change_wakes_once() {
    let mut place = Place::new();
    write(&place.root.join("a.yaml"), "one");
    place.watch();
    place.read();
    append(&place.root.join("a.yaml"), "two");
    place.wakes().await;
    place.read();
    place.stays_asleep().await;
}

#[tokio::test]
async fn many_changes_in_a_row_wake_once() {
    let mut place = Place::new();
    place.watch();
    for number in 0..200 {
        write(&place.root.join(format!("{number}.yaml")), "one");
    }
    place.wakes().await;
    place.stays_asleep().await;
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_nothing() {
    let mut place = Place::new();
    place.watch();
    write(&place.root.join("a.yaml"), "one");
    let watch = place.watch.as_mut().unwrap();
    let again_and_again = async { while timeout(Duration::from_millis(10), watch.changed()).await.is_err() {} };
    timeout(LONG, again_and_again).await.expect("no wake although a file changed");
}

/// A temporary directory with a root in it, watched or not yet.
struct Place {
    directory: TempDir,
    root: PathBuf,
    watch: Option<Watch>,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        Self { directory, root, watch: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn watch(&mut self) {
        self.watch = Some(Watch::new(std::slice::from_ref(&self.root)));
    }

    async fn wakes(&mut self) {
        timeout(LONG, self.watch.as_mut().unwrap().changed()).await.expect("no wake although something changed");
        self.read();
    }

    async fn stays_asleep(&mut self) {
        let woke = timeout(UNDISTURBED, self.watch.as_mut().unwrap().changed()).await;
        assert!(woke.is_err(), "a wake although nothing changed");
    }

    /// Looks, as the controller does after each wake.
    fn read(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten() {
            let _ = fs::read(entry.unwrap().path());
        }
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn append(path: &Path, text: &str) {
    File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Points a symlink elsewhere in one step, as git-sync and the kubelet do.
fn swap(target: &Path, link: &Path) {
    let new = link.with_file_name("..new");
    symlink(target, &new).unwrap();
    fs::rename(&new, link).unwrap();
}
