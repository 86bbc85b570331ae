//! From paths to specs: every file is read whatever is wrong with the others, and all problems are reported at once.
//!
//! A file passes four stages, each of which reports all that it sees: its bytes (`read`), its syntax (`tree`), its
//! shape (`shape`: which fields, of which type) and its meaning (`meaning`). Only then are files compared.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ids::ClusterName;
use crate::spec::ClusterSpec;

// In the order in which a file passes them.
mod find;
mod read;
mod tree;

mod shape;

pub(in crate::spec) mod meaning;

mod instance;
mod rollout;
mod slots;
mod volumes;

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
    pub spec: Option<ClusterSpec>,
    /// The problems, in the order of the file.
    pub problems: Vec<Problem>,
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
    /// The mistake: lower case, no final stop.
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

/// Reads every desired-state file at or below `paths`.
pub fn load(paths: &[PathBuf]) -> Loaded {
    let mut found = find::Found::default();
    for path in paths {
        found.search(path);
    }
    let mut loaded = Loaded { files: BTreeMap::new(), problems: found.problems };
    let schema = crate::spec::raw::schema();
    for file in found.files {
        loaded.files.insert(file.path.clone(), read::file(file, &schema));
    }
    refuse_shared_names(&mut loaded.files);
    refuse_shared_groups(&mut loaded.files);
    loaded
}

/// Judges a text as if it were the whole content of the file at `path`, which need not exist.
pub fn check(path: &Path, text: &str) -> Loaded {
    let environment = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let found = find::FoundFile { path: path.to_owned(), environment };
    let file = read::content(&found, text.as_bytes(), &crate::spec::raw::schema());
    Loaded { files: [(file.path.clone(), file)].into(), problems: Vec::new() }
}

/// Finds the bytes that the image is written with in a text that can be used, with its quotes if it has any.
pub(super) fn image_in(text: &str) -> Option<Range<usize>> {
    tree::image_in(text)
}

/// Says why a text is no image's id, as a next step; `None` if it is one. EC2 alone knows whether there is such an image.
pub fn why_no_image(text: &str) -> Option<String> {
    names::image_hint(text)
}

impl Loaded {
    /// Lists the files that can be used.
    pub fn specs(&self) -> impl Iterator<Item = (&Path, &ClusterSpec)> {
        self.files.values().filter_map(|file| Some((file.path.as_path(), file.spec.as_ref()?)))
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
        self.problems().any(|problem| problem.severity == Severity::Error)
    }
}

/// Refuses two files that declare one cluster, because nothing says which of them is meant.
fn refuse_shared_names(files: &mut BTreeMap<PathBuf, LoadedFile>) {
    let mut named: BTreeMap<ClusterName, Vec<PathBuf>> = BTreeMap::new();
    for file in files.values() {
        if let Some(name) = &file.name {
            named.entry(name.clone()).or_default().push(file.path.clone());
        }
    }
    for (name, paths) in named.iter().filter(|(_, paths)| paths.len() > 1) {
        for path in paths {
            let others: Vec<_> = paths.iter().filter(|other| *other != path).map(|p| p.display().to_string()).collect();
            if let Some(file) = files.get_mut(path) {
                refuse_shared_name(file, name, &others.join(", "));
            }
        }
    }
}

fn refuse_shared_name(file: &mut LoadedFile, name: &ClusterName, others: &str) {
    let mut report = Report::new(&file.path, &file.text);
    report
        .error(
            tree::name_in(&file.text).map(|(_, bytes)| bytes),
            format!("cluster `{name}` is declared more than once"),
        )
        .label(format!("also declared in {others}"))
        .hint("give one of them another `metadata.name`, or remove one file; until then none of them is used");
    file.problems.append(&mut report.problems);
    file.problems.sort_by_key(Problem::start);
    file.spec = None;
}

/// Refuses two clusters that adopt one Auto Scaling group, because each would undo what the other does to it.
fn refuse_shared_groups(files: &mut BTreeMap<PathBuf, LoadedFile>) {
    let mut adopted: BTreeMap<(String, String), Vec<PathBuf>> = BTreeMap::new();
    for (path, file) in files.iter() {
        let spec = file.spec.as_ref();
        if let Some((region, group)) = spec.and_then(|spec| Some((spec.region.clone(), spec.capacity.group()?))) {
            adopted.entry((region, group.to_owned())).or_default().push(path.clone());
        }
    }
    for ((_, group), paths) in adopted.iter().filter(|(_, paths)| paths.len() > 1) {
        for path in paths {
            let others: Vec<_> = paths.iter().filter(|other| *other != path).map(|p| p.display().to_string()).collect();
            let Some(file) = files.get_mut(path) else { continue };
            let mut report = Report::new(&file.path, &file.text);
            report
                .error(None, format!("Auto Scaling group `{group}` is adopted more than once"))
                .hint(format!("it is adopted in {} too; give each cluster a group of its own", others.join(", ")));
            file.problems.append(&mut report.problems);
            file.problems.sort_by_key(Problem::start);
            file.spec = None;
        }
    }
}

/// The problems of one file, as they are collected.
struct Report<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, problems: Vec::new() }
    }

    fn error(&mut self, bytes: impl Into<Option<Range<usize>>>, message: impl Display) -> &mut Problem {
        self.add(Severity::Error, bytes.into(), message)
    }

    fn warning(&mut self, bytes: impl Into<Option<Range<usize>>>, message: impl Display) -> &mut Problem {
        self.add(Severity::Warning, bytes.into(), message)
    }

    fn add(&mut self, severity: Severity, bytes: Option<Range<usize>>, message: impl Display) -> &mut Problem {
        let place = bytes.map(|bytes| Place::new(self.text, bytes));
        self.problems.push(Problem { place, ..Problem::new(severity, self.path, message) });
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl Problem {
    fn new(severity: Severity, path: &Path, message: impl Display) -> Self {
        let (path, message) = (path.to_owned(), harmless(&message.to_string()));
        Self { severity, path, place: None, message, label: None, hint: None }
    }

    fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(harmless(&label.into()));
        self
    }

    fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(harmless(&hint.into()));
        self
    }

    /// Says where the problem begins; a problem of the whole file comes first.
    fn start(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.bytes.start)
    }
}

/// Takes control characters out of a text: a file must not steer a terminal.
fn harmless(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

impl Place {
    /// Finds the place of `bytes` in `text`, cut to the line that it begins in.
    pub(super) fn new(text: &str, bytes: Range<usize>) -> Self {
        let start = text.floor_char_boundary(bytes.start.min(text.len()));
        let end = text.ceil_char_boundary(bytes.end.clamp(start, text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |newline| start + newline);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            bytes: start..end.min(line_end).max(start),
        }
    }
}
