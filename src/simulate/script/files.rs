//! The file of a story's cluster: what is committed, and what was committed before.

use std::path::{Path, PathBuf};

use crate::input::file;
use crate::spec::ClusterSpec;
use crate::spec::load::{check, edit, load};

use super::command::Change;

/// Every text that was committed, the last one last.
pub(super) struct Files {
    commits: Vec<Commit>,
}

#[derive(Clone)]
struct Commit {
    path: PathBuf,
    text: String,
}

/// A reason for which nothing can be committed, or a file be used.
pub(super) struct Unusable {
    pub message: String,
    pub hint: Option<String>,
}

impl From<edit::EditError> for Unusable {
    fn from(error: edit::EditError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl Files {
    /// Reads the file of a cluster, or of the only one below a path.
    pub(super) fn read(path: &Path, cluster: Option<&str>) -> Result<(Self, ClusterSpec), Unusable> {
        let loaded = load(&[path.to_owned()]);
        let is_meant = |spec: &ClusterSpec| cluster.is_none_or(|name| *spec.name == *name);
        let mut meant = loaded.files.values().filter(|file| file.spec.as_deref().is_some_and(is_meant));
        let Some((file, spec)) = meant.next().and_then(|file| Some((file, file.spec.as_deref()?.clone()))) else {
            let problem = loaded.problems().next();
            let message =
                problem.map_or_else(|| "it declares no such cluster".to_owned(), |problem| problem.message.clone());
            return Err(Unusable { message, hint: problem.and_then(|problem| problem.hint.clone()) });
        };
        let commits = vec![Commit { path: file.path.clone(), text: file.text.to_string() }];
        Ok((Self { commits }, spec))
    }

    /// Commits a change, whatever becomes of the file by it.
    pub(super) fn commit(&mut self, change: &Change) -> Result<(), Unusable> {
        let Some(Commit { path, text }) = self.commits.last().cloned() else { return Ok(()) };
        let (path, text) = match change {
            Change::Set { field, value } => (path, edit::set(&text, field, value)?),
            Change::Without { field } => (path, edit::remove(&text, field)?),
            Change::File(other) => {
                let read = file::read_text(Path::new(other), file::DESIRED_STATE);
                let text = read.map_err(|error| Unusable { message: format!("{other}: {error}"), hint: None })?;
                (PathBuf::from(other), text)
            }
        };
        self.commits.push(Commit { path, text });
        Ok(())
    }

    /// Commits what was committed before the last commit.
    pub(super) fn revert(&mut self) -> Result<(), Unusable> {
        let Some(before) = self.commits.iter().rev().nth(1).cloned() else {
            return Err(Unusable { message: "nothing was committed yet".to_owned(), hint: None });
        };
        self.commits.push(before);
        Ok(())
    }

    /// The meaning of what was committed last, if it can be used.
    pub(super) fn spec(&self) -> Result<ClusterSpec, Unusable> {
        let unusable = |message: &str| Unusable { message: message.to_owned(), hint: None };
        let Some(Commit { path, text }) = self.commits.last() else { return Err(unusable("there is no file")) };
        let loaded = check(path, text);
        if let Some((_, spec)) = loaded.specs().next() {
            return Ok(spec.clone());
        }
        let problem = loaded.problems().next();
        Err(problem.map_or_else(
            || unusable("it cannot be read"),
            |problem| Unusable { message: problem.message.clone(), hint: problem.hint.clone() },
        ))
    }
}
