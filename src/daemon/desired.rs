//! Remembers the last good version of every desired-state file.
//!
//! A bad file must never replace a good one, must not stop the other clusters, and a file that goes away must not
//! take anything with it (design, section 3). So clusters are only ever added or replaced here, never removed, and
//! each declaration says how it relates to the files as they are now. Nothing here reads a file or looks at a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ids::ClusterName;
use crate::spec::ClusterSpec;
use crate::spec::load::{Loaded, LoadedFile, Problem, Severity};

/// The clusters that are desired now.
#[derive(Debug, Default)]
pub struct Desired {
    clusters: BTreeMap<ClusterName, Declaration>,
    broken: BTreeMap<PathBuf, Fault>,
}

/// One cluster as it was declared last.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// The last good version.
    pub spec: Arc<ClusterSpec>,
    /// The file that it was read from, or that names the cluster now.
    pub path: PathBuf,
    /// The state of the file that the spec was read from.
    pub file: FileState,
}

/// The relation of a spec to the files as they are now.
#[derive(Clone, Debug)]
pub enum FileState {
    /// The file says the same.
    Current,
    /// The file is broken: the spec is what it said before.
    LastGood {
        /// Everything that is wrong with the file.
        problems: Vec<Problem>,
    },
    /// No file names the cluster any more. Nothing in the world is changed because of that.
    Orphaned,
}

/// The differences that a look at the files brought; everything in order, nothing twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Clusters with a new or a different spec, or one that was orphaned before.
    pub changed: Vec<ClusterName>,
    /// Clusters that no file names any more, since this look.
    pub orphaned: Vec<ClusterName>,
    /// Files, or directories that could not be read, that are broken since this look, or in another way than before.
    pub broken: Vec<PathBuf>,
    /// Files that are no longer broken: corrected, emptied or deleted.
    pub mended: Vec<PathBuf>,
}

/// A way of being broken: each problem and its place. The digest is no part of it, because a file becomes broken without
/// having changed when another file names its cluster also.
type Fault = Vec<String>;

impl Desired {
    /// Takes over everything that was loaded, and says what that changed.
    pub fn update(&mut self, loaded: &Loaded) -> Changes {
        let (broken, mended) = self.note_faults(loaded);
        let changed = self.take_good(loaded);
        let orphaned = self.keep_rest(loaded);
        Changes { changed, orphaned, broken, mended }
    }

    /// All clusters that were ever read, by name.
    pub fn clusters(&self) -> impl Iterator<Item = (&ClusterName, &Declaration)> {
        self.clusters.iter()
    }

    /// The cluster of that name, if it was ever read.
    pub fn get(&self, name: &ClusterName) -> Option<&Declaration> {
        self.clusters.get(name)
    }

    /// All clusters that some file declares now, be it broken.
    pub fn declared(&self, loaded: &Loaded) -> BTreeSet<ClusterName> {
        let kept = self.clusters.iter().filter(|(_, declared)| !declared.is_orphaned()).map(|(name, _)| name);
        kept.chain(loaded.files.values().filter_map(|file| file.name.as_ref())).cloned().collect()
    }

    fn note_faults(&mut self, loaded: &Loaded) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let faults = faults(loaded);
        let before = std::mem::replace(&mut self.broken, faults);
        let broken = self.broken.iter().filter(|(path, fault)| before.get(*path) != Some(*fault));
        let mended = before.keys().filter(|path| !self.broken.contains_key(*path));
        (broken.map(|(path, _)| path.clone()).collect(), mended.cloned().collect())
    }

    fn take_good(&mut self, loaded: &Loaded) -> Vec<ClusterName> {
        let mut changed = Vec::new();
        for (file, spec) in loaded.files.values().filter_map(|file| Some((file, file.spec.as_ref()?))) {
            let before = self.clusters.get(&spec.name);
            let same = before.filter(|before| *before.spec == **spec);
            if same.is_none_or(Declaration::is_orphaned) {
                changed.push(spec.name.clone());
            }
            let spec = same.map_or_else(|| spec.clone(), |same| same.spec.clone());
            let declaration = Declaration { spec, path: file.path.clone(), file: FileState::Current };
            self.clusters.insert(declaration.spec.name.clone(), declaration);
        }
        changed.sort();
        changed.dedup();
        changed
    }

    /// Says of each cluster that no good file names how it relates to the files. Answers the clusters that this look orphaned.
    fn keep_rest(&mut self, loaded: &Loaded) -> Vec<ClusterName> {
        let named = names_in(loaded, |file| file.spec.is_some());
        let named_by_broken = names_in(loaded, is_broken);
        let mut orphaned = Vec::new();
        for (name, declared) in self.clusters.iter_mut().filter(|(name, _)| !named.contains_key(*name)) {
            let own = loaded.files.get(&declared.path).filter(|file| is_broken(file) && !declared.is_orphaned());
            if let Some(file) = own.or(named_by_broken.get(name).copied()) {
                declared.path = file.path.clone();
                declared.file = FileState::LastGood { problems: file.problems.clone() };
            } else if let Some(problems) = unseen(loaded, &declared.path).filter(|_| !declared.is_orphaned()) {
                declared.file = FileState::LastGood { problems };
            } else if !declared.is_orphaned() {
                declared.file = FileState::Orphaned;
                orphaned.push(name.clone());
            }
        }
        orphaned
    }
}

impl Declaration {
    fn is_orphaned(&self) -> bool {
        matches!(self.file, FileState::Orphaned)
    }
}

/// Whether a file cannot be used. A file without a spec that has nothing wrong with it is an empty one: it names no cluster.
fn is_broken(file: &LoadedFile) -> bool {
    file.spec.is_none() && file.problems.iter().any(is_error)
}

fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}

/// The files of one sort by the cluster that each names; of two, the first by path.
fn names_in(loaded: &Loaded, sort: impl Fn(&LoadedFile) -> bool) -> BTreeMap<&ClusterName, &LoadedFile> {
    let mut names = BTreeMap::new();
    for file in loaded.files.values().filter(|file| sort(file)) {
        let name = file.spec.as_ref().map(|spec| &spec.name).or(file.name.as_ref());
        if let Some(name) = name {
            names.entry(name).or_insert(file);
        }
    }
    names
}

/// Says why a file could not be seen although it may be there: a directory above it could not be read. Not knowing is
/// no reason to orphan.
fn unseen(loaded: &Loaded, path: &Path) -> Option<Vec<Problem>> {
    if loaded.files.contains_key(path) {
        return None;
    }
    let above = |problem: &&Problem| is_error(problem) && path.starts_with(&problem.path);
    let problems: Vec<_> = loaded.problems.iter().filter(above).cloned().collect();
    (!problems.is_empty()).then_some(problems)
}

/// Everything broken, by path: files, and directories that could not be read.
fn faults(loaded: &Loaded) -> BTreeMap<PathBuf, Fault> {
    let words = |problem: &Problem| match &problem.place {
        Some(place) => format!("{}:{}: {}", place.line, place.column, problem.message),
        None => problem.message.clone(),
    };
    let mut faults = BTreeMap::<PathBuf, Fault>::new();
    for file in loaded.files.values().filter(|file| is_broken(file)) {
        faults.insert(file.path.clone(), file.problems.iter().map(words).collect());
    }
    for problem in loaded.problems.iter().filter(|problem| is_error(problem)) {
        if !loaded.files.contains_key(&problem.path) {
            faults.entry(problem.path.clone()).or_default().push(words(problem));
        }
    }
    faults
}

#[cfg(test)]
mod tests;
