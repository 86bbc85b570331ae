//! The files that have been seen unchanged for a moment: one that is being written is neither the old nor the new version.
//!
//! The first half of a file may be a good file, without the `suspend` or the window that stands in the second. So a file
//! that differs counts once a second look has found it the same; until then its last version does. A file that was renamed
//! into its place is whole, and counts at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::spec::load::{Loaded, LoadedFile};

/// The versions of the files that count, and those that may come to count.
#[derive(Debug)]
pub(super) struct Unchanged {
    /// The time for which a file must be seen unchanged.
    span: Duration,
    /// The last state that counted; none before the first.
    counted: Option<Loaded>,
    /// The files that stayed the same while others did not, before anything has counted.
    stayed: Loaded,
    /// The files that differ from it, each with what it was and since when.
    differing: BTreeMap<PathBuf, (Version, Instant)>,
}

/// A file's content, and its user data's, and whether they can be used together.
type Version = (String, Vec<String>);

/// The files that were renamed into their places since the last look.
#[derive(Clone, Debug, Default)]
pub(super) struct Renamed {
    /// Files by their canonical folder and name.
    pub files: BTreeSet<PathBuf>,
    /// A folder or a link on the way was exchanged, and with it everything below.
    pub all: bool,
}

impl Unchanged {
    pub(super) fn new(span: Duration) -> Self {
        Self { span, counted: None, stayed: Loaded::default(), differing: BTreeMap::new() }
    }

    /// Says whether nothing has counted yet.
    pub(super) fn is_new(&self) -> bool {
        self.counted.is_none()
    }

    /// Gives the last state that counted.
    pub(super) fn last(&self) -> Loaded {
        self.counted.clone().unwrap_or_default()
    }

    /// Begins without the files that would not stay the same, and gives the others.
    pub(super) fn begin_without(&mut self) -> Loaded {
        let stayed = std::mem::take(&mut self.stayed);
        self.counted.get_or_insert(stayed).clone()
    }

    /// Says when to look again at files that differ.
    pub(super) fn look_again(&self) -> Option<Instant> {
        self.differing.values().map(|(_, since)| *since + self.span).max()
    }

    /// Takes what was loaded, with the last version in place of each file that may be half written. A file that is gone is
    /// gone.
    pub(super) fn settle(&mut self, loaded: Loaded, renamed: &Renamed, now: Instant) -> Loaded {
        let before = std::mem::take(&mut self.differing);
        let counted = self.counted.take();
        let last = |path: &Path| counted.as_ref().and_then(|counted| counted.files.get(path));
        let mut settled = Loaded { files: BTreeMap::new(), problems: loaded.problems };
        for (path, file) in loaded.files {
            let (old, new) = (last(&path), version(&file));
            let since = before.get(&path).filter(|(seen, _)| *seen == new).map_or(now, |(_, since)| *since);
            // A version that is known is not kept a second time: a fleet's files are read again whenever one of them changes.
            let same = old.filter(|old| version(old) == new);
            let counts = same.is_some()
                || is_renamed(&path, renamed)
                || now.duration_since(since) >= self.span
                || old.is_none() && is_old(&path, self.span);
            let kept = if counts { Some(same.cloned().unwrap_or(file)) } else { old.cloned() };
            if !counts {
                self.differing.insert(path.clone(), (new, since));
            }
            settled.files.extend(kept.map(|file| (path, file)));
        }
        // At the start nothing counts before everything does: there is no version to keep meanwhile.
        if counted.is_some() || self.differing.is_empty() {
            self.counted = Some(settled.clone());
        } else {
            self.stayed = settled.clone();
        }
        settled
    }
}

fn version(file: &LoadedFile) -> Version {
    (file.digest.clone(), file.problems.iter().map(|problem| problem.message.clone()).collect())
}

fn is_renamed(path: &Path, renamed: &Renamed) -> bool {
    renamed.all || canonical(path).is_some_and(|path| renamed.files.contains(&path))
}

/// The path with its folder made canonical, as events name files.
fn canonical(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(parent.canonicalize().ok()?.join(path.file_name()?))
}

/// Says whether a file that was not known was written a while ago. One of the future, or of no time at all, is looked at
/// once more.
fn is_old(path: &Path, span: Duration) -> bool {
    let written = path.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age >= span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::load::check;

    const SPAN: Duration = Duration::from_secs(1);
    const PATH: &str = "no/such/consul.yaml";

    fn loaded(image: &str) -> Loaded {
        let text = std::str::from_utf8(include_bytes!("../../../desired-state/prod/consul.yaml")).unwrap();
        check(Path::new(PATH), &text.replace("ami-0aaaaaaaaaaaaaaaa", image))
    }

    fn image(loaded: &Loaded) -> Option<String> {
        loaded.specs().next().map(|(_, spec)| spec.image.to_string())
    }

    const OLD: &str = "ami-0bbbbbbbbbbbbbbbb";
    const HALF: &str = "ami-0cccccccccccccccc";
    const NEW: &str = "ami-0dddddddddddddddd";

    fn known() -> (Unchanged, Instant) {
        let (mut unchanged, now) = (Unchanged::new(SPAN), tokio::time::Instant::now());
        let everything = Renamed { all: true, ..Renamed::default() };
        assert_eq!(image(&unchanged.settle(loaded(OLD), &everything, now)).as_deref(), Some(OLD));
        (unchanged, now)
    }

    #[test]
    fn a_file_that_is_changed_in_place_counts_when_it_has_stayed_the_same() {
        let (mut unchanged, began) = known();
        let mut seen = |name, after: u64| {
            let now = began + Duration::from_millis(after);
            image(&unchanged.settle(loaded(name), &Renamed::default(), now)).unwrap()
        };
        assert_eq!(seen(HALF, 100), OLD);
        assert_eq!(seen(HALF, 1_000), OLD, "not yet for long enough");
        assert_eq!(seen(NEW, 1_050), OLD, "changed again");
        assert_eq!(seen(NEW, 1_900), OLD);
        assert_eq!(seen(NEW, 2_050), NEW);
        assert_eq!(unchanged.look_again(), None);
    }

    #[test]
    fn a_file_that_is_renamed_into_its_place_counts_at_once() {
        let (mut unchanged, now) = known();
        let everything = Renamed { all: true, ..Renamed::default() };
        assert_eq!(image(&unchanged.settle(loaded(NEW), &everything, now)).as_deref(), Some(NEW));
    }

    #[test]
    fn a_change_that_is_taken_back_was_none() {
        let (mut unchanged, now) = known();
        unchanged.settle(loaded(HALF), &Renamed::default(), now);
        assert_eq!(unchanged.look_again(), Some(now + SPAN));
        assert_eq!(image(&unchanged.settle(loaded(OLD), &Renamed::default(), now)).as_deref(), Some(OLD));
        assert_eq!(unchanged.look_again(), None);
    }

    #[test]
    fn a_new_file_counts_when_it_has_stayed_the_same() {
        let (mut unchanged, now) = (Unchanged::new(SPAN), tokio::time::Instant::now());
        assert_eq!(image(&unchanged.settle(loaded(HALF), &Renamed::default(), now)), None);
        assert!(unchanged.is_new());
        assert_eq!(image(&unchanged.settle(loaded(NEW), &Renamed::default(), now + SPAN)), None);
        assert_eq!(image(&unchanged.settle(loaded(NEW), &Renamed::default(), now + 2 * SPAN)).as_deref(), Some(NEW));
    }
}
