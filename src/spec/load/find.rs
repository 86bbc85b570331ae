//! The files that lie at or below a path.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Problem, Severity};

/// A desired-state file to read.
#[derive(Debug)]
pub struct FoundFile {
    pub path: PathBuf,
    /// The folder directly above it; empty if that is the folder that was asked for.
    pub environment: String,
}

/// The files that have been found so far.
#[derive(Debug, Default)]
pub struct Found {
    pub files: Vec<FoundFile>,
    pub problems: Vec<Problem>,
    /// The paths of files, with their folders made canonical: a file that one search finds is not found by another.
    seen: BTreeSet<PathBuf>,
}

impl Found {
    /// Finds the files at or below `path`, which a person named: so it must exist.
    pub fn search(&mut self, path: &Path) {
        match fs::metadata(path) {
            Err(error) => {
                let hint = (error.kind() == io::ErrorKind::NotFound)
                    .then_some("give the path of a file or a folder, or create the folder");
                self.problem(path, cause(&error), hint);
            }
            Ok(metadata) if metadata.is_dir() => {
                let before = (self.files.len(), self.problems.len());
                self.folder(path, "", &mut Vec::new());
                if before == (self.files.len(), self.problems.len()) {
                    self.problems.push(Problem::new(Severity::Warning, path, "no desired-state file in this folder"));
                    self.hint(
                        "a desired-state file ends in `.yaml` or `.yml`, and neither it nor a folder above is hidden",
                    );
                }
            }
            Ok(_) => {
                let parent = path.parent().and_then(Path::file_name).unwrap_or_default();
                self.file(path.to_owned(), &parent.to_string_lossy());
            }
        }
    }

    /// Looks into a folder and those below it. `above` are the folders that lead to it, made canonical.
    fn folder(&mut self, folder: &Path, environment: &str, above: &mut Vec<PathBuf>) {
        let entries = match fs::canonicalize(folder).and_then(|canonical| Ok((canonical, sorted_entries(folder)?))) {
            Err(error) => return self.problem(folder, format!("cannot read the folder: {}", cause(&error)), None),
            Ok((canonical, _)) if above.contains(&canonical) => {
                let hint = "remove the link, or let it point to a folder that is not above it";
                return self.problem(folder, "a symbolic link leads back to a folder above it", Some(hint));
            }
            Ok((canonical, entries)) => {
                above.push(canonical);
                entries
            }
        };
        for path in entries {
            self.entry(&path, environment, above);
        }
        above.pop();
    }

    fn entry(&mut self, path: &Path, environment: &str, above: &mut Vec<PathBuf>) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            return;
        }
        if !path.is_dir() {
            if is_yaml(path) {
                self.file(path.to_owned(), environment);
            }
            return;
        }
        if is_yaml(path) {
            let hint = "rename the folder; what lies in it was read all the same";
            self.problem(path, "a folder has the name of a desired-state file", Some(hint));
        }
        self.folder(path, &name, above);
    }

    fn file(&mut self, path: PathBuf, environment: &str) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let identity = fs::canonicalize(parent).unwrap_or(parent.to_owned()).join(path.file_name().unwrap_or_default());
        if self.seen.insert(identity) {
            self.files.push(FoundFile { path, environment: environment.to_owned() });
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

/// Lists a folder's entries, sorted, because the order of a folder is chance.
fn sorted_entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
