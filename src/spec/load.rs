//! From paths to specs: every file is read whatever is wrong with the others, and all problems are reported at once.
//!
//! A file passes four stages, each of which reports all that it sees: its bytes (`read`), its syntax (`tree`), its
//! shape (`shape`: which fields, of which type) and its meaning (`meaning`). Only then are files compared (`compare`).
//!
//! Everything has a limit, because whoever may write one file must not stop the clusters of all others: the work on a
//! file grows with its size, the work on a folder with the number of its entries, and both end.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use crate::ids::ClusterName;
use crate::spec::ClusterSpec;

// In the order in which a file passes them.
mod find;
mod read;
mod report;
mod tree;

mod shape;
mod unseen;

mod fields;
pub(in crate::spec) mod meaning;

mod compare;
pub mod edit;

mod addresses;
mod ebs;
mod instance;
mod program;
mod rollout;
mod slots;
mod tags;
mod user_data;
mod volumes;
mod windows;

mod names;
mod quantity;

/// The files that were found below some paths.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Every desired-state file, readable or not, by its path.
    pub files: BTreeMap<PathBuf, LoadedFile>,
    /// Problems that belong to no file: an unreadable folder, a loop of symbolic links, a path that does not exist.
    pub problems: Vec<Problem>,
}

/// One file as it was read.
#[derive(Clone, Debug)]
pub struct LoadedFile {
    /// The path at which it was found.
    pub path: PathBuf,
    /// A digest of all bytes that matter: those of the file and of its user data.
    pub digest: String,
    /// The text; bytes that are no UTF-8 are replaced. Places of problems are places in it.
    pub text: Arc<str>,
    /// The cluster's name, where it could be read although the file may be broken.
    pub name: Option<ClusterName>,
    /// The meaning of the file; `None` exactly if one of its problems is an error.
    pub spec: Option<Arc<ClusterSpec>>,
    /// The problems, in the order of the file.
    pub problems: Vec<Problem>,
    /// Units of work that the checks took: characters, nodes and fields that were looked at. Grows with the file's size,
    /// and with nothing else.
    pub work: u64,
}

/// Something wrong with a file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The severity: whether the file can be used all the same.
    pub severity: Severity,
    /// The file or folder.
    pub path: PathBuf,
    /// The place in the file, if there is one.
    pub place: Option<Place>,
    /// The mistake: lower case, no final stop. Clean text, cut short, as are the label and the hint.
    pub message: String,
    /// A remark on the place.
    pub label: Option<String>,
    /// The next step.
    pub hint: Option<String>,
}

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but somebody should look.
    Warning,
}

/// A place in a file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The range in bytes; never more than the rest of the line.
    pub bytes: Range<usize>,
}

/// The most bytes that the files of one look may have together, before the last batch of them.
const LARGEST_TREE: usize = 256 << 20;
/// The most problems that are kept of one file. A person mends the first few and looks again.
const MOST_PROBLEMS: usize = 100;
/// The most problems that are kept of all files. Once there are more, one is kept of each file in a further batch.
const MOST_PROBLEMS_IN_ALL: usize = 10_000;
/// The schema by which files are judged.
static SCHEMA: LazyLock<serde_json::Value> = LazyLock::new(crate::spec::raw::schema);

/// Reads every desired-state file at or below `paths`.
pub fn load(paths: &[PathBuf]) -> Loaded {
    let mut found = find::Found::default();
    for path in paths {
        found.search(path);
    }
    let mut loaded = Loaded { files: BTreeMap::new(), problems: found.problems };
    let (mut bytes, mut problems) = (0, 0);
    for batch in found.files.chunks(read::BATCH) {
        let most = if problems < MOST_PROBLEMS_IN_ALL { MOST_PROBLEMS } else { 1 };
        let is_too_much = bytes >= LARGEST_TREE;
        let read = |file: &_| if is_too_much { read::too_much(file) } else { read::file(file, &SCHEMA, most) };
        for file in read::side_by_side(batch, read) {
            bytes += file.text.len();
            problems += file.problems.len();
            loaded.files.insert(file.path.clone(), file);
        }
    }
    compare::refuse_shared_names(&mut loaded.files);
    compare::refuse_shared_groups(&mut loaded.files);
    compare::refuse_shared_addresses(&mut loaded.files);
    compare::refuse_unknown_dependencies(&mut loaded.files, paths);
    compare::refuse_circular_dependencies(&mut loaded.files);
    loaded
}

/// Judges a text as if it were the whole content of the file at `path`, which need not exist.
pub fn check(path: &Path, text: &str) -> Loaded {
    let found = find::FoundFile::named(path);
    let file = read::content(&found, text.as_bytes(), &SCHEMA, MOST_PROBLEMS);
    Loaded { files: [(file.path.clone(), file)].into(), problems: Vec::new() }
}

/// Finds the bytes that the image is written with in a text that can be used, with its quotes if it has any.
pub(super) fn image_in(text: &str) -> Option<Range<usize>> {
    tree::image_in(text)
}

/// Finds how a field is written in a text that can be used.
pub(super) fn field_in(text: &str, path: &[&str]) -> Option<tree::Written> {
    tree::field_in(text, path)
}

/// Says why a text is no image's id, as a next step; `None` if it is one. EC2 alone knows whether there is such an image.
pub fn why_no_image(text: &str) -> Option<String> {
    names::image_hint(text)
}

impl Loaded {
    /// Lists the files that can be used.
    pub fn specs(&self) -> impl Iterator<Item = (&Path, &ClusterSpec)> {
        self.files.values().filter_map(|file| Some((file.path.as_path(), file.spec.as_deref()?)))
    }

    /// Lists all problems, ordered by path and line.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let mut problems: Vec<_> =
            self.problems.iter().chain(self.files.values().flat_map(|file| &file.problems)).collect();
        problems.sort_by(|a, b| (&a.path, a.start()).cmp(&(&b.path, b.start())));
        problems.into_iter()
    }

    /// Says whether any file, or any path, cannot be used.
    pub fn has_errors(&self) -> bool {
        let all = self.problems.iter().chain(self.files.values().flat_map(|file| &file.problems));
        all.into_iter().any(|problem| problem.severity == Severity::Error)
    }
}
