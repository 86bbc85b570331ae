//! The files that lie at or below a path.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Problem, Severity};
use crate::input::text;

/// A desired-state file to read.
#[derive(Debug)]
pub struct FoundFile {
    /// The path as a person knows it, e.g. `desired-state/prod/consul.yaml`.
    pub path: PathBuf,
    /// The same with the folder made canonical: a folder that is swapped meanwhile, as git-sync does, is read as it was.
    pub at: PathBuf,
    /// The canonical folder that the file lies in, where relative paths begin.
    pub folder: PathBuf,
    /// The canonical folder that no link and no path leads out of.
    pub root: PathBuf,
    /// The name of the folder that the file really lies in, as clean text. The same however a person spells the path.
    pub environment: String,
}

impl FoundFile {
    /// A file that a person named, which need not exist. It lies in the folder of an environment, so the folder above
    /// that is the one that nothing leads out of; never the root of all files.
    pub fn named(path: &Path) -> Self {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::canonicalize(parent).unwrap_or(parent.to_owned());
        let above = folder.parent().filter(|above| above.parent().is_some());
        let root = above.unwrap_or(&folder).to_owned();
        let at = folder.join(path.file_name().unwrap_or_default());
        Self { path: path.to_owned(), environment: environment(&at), at, folder, root }
    }
}

/// Names the folder that a file really lies in, behind all links, e.g. `prod`. Hidden folders are passed over: a ConfigMap's
/// files lie in one whose name is the time of its last change.
fn environment(at: &Path) -> String {
    // Only a link leads elsewhere than into the canonical folder.
    let target = at.is_symlink().then(|| fs::canonicalize(at).ok()).flatten();
    let folders = target.as_deref().unwrap_or(at).ancestors().skip(1).filter_map(Path::file_name);
    let mut names = folders.map(|folder| folder.to_string_lossy());
    let name = names.find(|name| !name.starts_with('.')).unwrap_or_default();
    text::clean(&name).into_owned()
}

/// The most that is searched. More is put below a folder by mistake, or in order to stop whoever reads it.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Folders within each other, below the one that was named.
    depth: usize,
    /// Desired-state files in all.
    files: usize,
    /// Entries of folders in all, whatever they are.
    entries: usize,
}

const LIMITS: Limits = Limits { depth: 32, files: 20_000, entries: 200_000 };

/// The files and problems that have been found so far.
#[derive(Debug)]
pub struct Found {
    pub files: Vec<FoundFile>,
    pub problems: Vec<Problem>,
    limits: Limits,
    /// Entries that were looked at.
    entries: usize,
    /// Canonical folders with file names: a file that one search finds, another does not find again.
    seen: BTreeSet<PathBuf>,
    /// Canonical folders that were looked into. However many links lead to one, it is looked into once.
    visited: BTreeSet<PathBuf>,
}

impl Default for Found {
    fn default() -> Self {
        let (files, problems) = (Vec::new(), Vec::new());
        Self { files, problems, limits: LIMITS, entries: 0, seen: BTreeSet::new(), visited: BTreeSet::new() }
    }
}

/// A folder on the way, and those that lead to it.
struct Way<'a> {
    /// The path that a person named, and its canonical form.
    named: &'a Path,
    root: &'a Path,
    /// The canonical folders from the root to this one.
    above: Vec<PathBuf>,
}

impl Found {
    /// Finds the files at or below `path`, which a person named: so it must exist.
    pub fn search(&mut self, path: &Path) {
        match fs::metadata(path).and_then(|metadata| Ok((metadata.is_dir(), fs::canonicalize(path)?))) {
            Err(error) => {
                let hint = (error.kind() == io::ErrorKind::NotFound)
                    .then_some("give the path of a file or a folder, or create the folder");
                self.problem(path, cause(&error), hint);
            }
            Ok((true, root)) if self.visited.contains(&root) => {}
            Ok((true, root)) => {
                let before = (self.files.len(), self.problems.len());
                self.folder(path, &mut Way { named: path, root: &root, above: Vec::new() });
                if before == (self.files.len(), self.problems.len()) {
                    self.problems.push(Problem::new(Severity::Warning, path, "no desired-state file in this folder"));
                    self.hint(
                        "a desired-state file ends in `.yaml` or `.yml`, and neither it nor a folder above is hidden",
                    );
                }
            }
            Ok((false, _)) => self.file(FoundFile::named(path)),
        }
    }

    /// Looks into a folder and those below it.
    fn folder(&mut self, folder: &Path, way: &mut Way) {
        let canonical = match fs::canonicalize(folder) {
            Ok(canonical) => canonical,
            Err(error) => return self.problem(folder, format!("cannot read the folder: {}", cause(&error)), None),
        };
        if way.above.contains(&canonical) {
            let hint = "remove the link, or let it point to a folder that is not above it";
            return self.problem(folder, "a symbolic link leads back to a folder above it", Some(hint));
        }
        if !canonical.starts_with(way.root) {
            let hint = "a link must stay within the folder that was named; copy the files, or name their folder too";
            let out = format!("a symbolic link leads out of {}", text::path(way.named));
            return self.problem(folder, out, Some(hint));
        }
        if way.above.len() > self.limits.depth {
            let deep = format!("more than {} folders within each other", self.limits.depth);
            return self.problem(folder, deep, Some("desired state lies one or two folders deep; move this one up"));
        }
        if !self.visited.insert(canonical.clone()) {
            return;
        }
        match self.sorted_entries(folder) {
            Err(error) => self.problem(folder, format!("cannot read the folder: {}", cause(&error)), None),
            Ok(entries) => {
                way.above.push(canonical);
                for path in entries {
                    self.entry(&path, way);
                }
                way.above.pop();
            }
        }
    }

    fn entry(&mut self, path: &Path, way: &mut Way) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            return;
        }
        if path.is_dir() {
            if is_yaml(path) {
                let hint = "rename the folder; what lies in it was read all the same";
                self.problem(path, "a folder has the name of a desired-state file", Some(hint));
            }
            return self.folder(path, way);
        }
        let Some(folder) = way.above.last().filter(|_| is_yaml(path)) else { return };
        if self.files.len() == self.limits.files {
            return self.give_up(way.named, format!("more than {} desired-state files", self.limits.files));
        }
        let at = folder.join(path.file_name().unwrap_or_default());
        let (folder, root) = (folder.clone(), way.root.to_owned());
        self.file(FoundFile { path: path.to_owned(), environment: environment(&at), at, folder, root });
    }

    fn file(&mut self, found: FoundFile) {
        if self.seen.insert(found.at.clone()) {
            self.files.push(found);
        }
    }

    /// The entries of a folder, sorted, because their order is chance. Once there were too many, none.
    fn sorted_entries(&mut self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let left = self.limits.entries - self.entries;
        let entries = fs::read_dir(folder)?.take(left + 1).map(|entry| entry.map(|entry| entry.path()));
        let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
        if paths.len() > left {
            return Err(io::Error::other(format!("more than {} entries were found", self.limits.entries)));
        }
        self.entries += paths.len();
        paths.sort();
        Ok(paths)
    }

    /// Reports once that no more is searched below a path that was named. All below it keeps its last good version.
    fn give_up(&mut self, named: &Path, message: String) {
        if !self.problems.iter().any(|problem| problem.path == named && problem.message == message) {
            self.problem(named, message, Some("the others are not read; are these desired-state files?"));
        }
    }

    fn problem(&mut self, path: &Path, message: impl Into<String>, hint: Option<&str>) {
        self.problems.push(Problem::new(Severity::Error, path, message.into()));
        if let Some(hint) = hint {
            self.hint(hint);
        }
    }

    fn hint(&mut self, hint: &str) {
        if let Some(last) = self.problems.last_mut() {
            last.hint(hint);
        }
    }
}

/// Words an error of the operating system's in our style.
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn search(limits: Limits, path: &Path) -> (Found, Vec<String>) {
        let mut found = Found { limits, ..Found::default() };
        found.search(path);
        let told = found.problems.iter().map(|problem| problem.message.clone()).collect();
        (found, told)
    }

    #[test]
    fn a_folder_is_looked_into_once_however_many_links_lead_to_it() {
        let dir = tempfile::tempdir().unwrap();
        for folder in 0..24 {
            let at = dir.path().join(format!("d{folder}"));
            fs::create_dir(&at).unwrap();
            fs::write(at.join("x.yaml"), "").unwrap();
            for other in (0..24).filter(|other| *other != folder) {
                symlink(format!("../d{other}"), at.join(format!("to-{other}"))).unwrap();
            }
        }
        let (found, told) = search(LIMITS, dir.path());
        assert_eq!((found.files.len(), found.visited.len()), (24, 25));
        assert_eq!(found.entries, 24 + 24 * 24);
        assert!(told.iter().all(|told| told == "a symbolic link leads back to a folder above it"), "{told:?}");
    }

    #[test]
    fn more_folders_within_each_other_than_anybody_needs_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/".repeat(3));
        fs::create_dir_all(&deep).unwrap();
        for folder in [&deep, dir.path()] {
            fs::write(folder.join("x.yaml"), "").unwrap();
        }
        let (found, told) = search(Limits { depth: 2, ..LIMITS }, dir.path());
        assert_eq!((found.files.len(), told), (1, vec!["more than 2 folders within each other".to_owned()]));
        assert_eq!(search(Limits { depth: 3, ..LIMITS }, dir.path()).0.files.len(), 2);
    }

    #[test]
    fn more_files_or_entries_than_a_search_takes_are_left_out_and_said_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yaml", "c.yaml", "d.yaml"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let (found, told) = search(Limits { files: 2, ..LIMITS }, dir.path());
        assert_eq!((found.files.len(), told), (2, vec!["more than 2 desired-state files".to_owned()]));
        let (found, told) = search(Limits { entries: 3, ..LIMITS }, dir.path());
        assert_eq!(found.files.len(), 0);
        assert_eq!(told, ["cannot read the folder: more than 3 entries were found"]);
    }

    #[test]
    fn a_link_to_a_folder_elsewhere_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("named")).unwrap();
        fs::create_dir_all(dir.path().join("elsewhere")).unwrap();
        fs::write(dir.path().join("elsewhere/x.yaml"), "").unwrap();
        symlink("../elsewhere", dir.path().join("named/link")).unwrap();
        let (found, told) = search(LIMITS, &dir.path().join("named"));
        assert!(found.files.is_empty());
        assert!(told[0].starts_with("a symbolic link leads out of "), "{told:?}");
    }
}
