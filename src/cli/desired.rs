//! Desired state for commands that look at clusters: what can be used is used, what cannot is reported.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::ids::ClusterName;
use crate::input::text;
use crate::spec::load::{self, Loaded};
use crate::spec::{ClusterSpec, render};

use super::{Exit, Failure, Output};

/// The argument of every command that looks at all clusters of some files.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)] // clap would give it the name of every command's own arguments
pub struct Paths {
    /// Desired-state files, or folders of them
    #[arg(value_name = "PATH", default_value = "desired-state")]
    pub paths: Vec<PathBuf>,
}

impl Paths {
    /// Says whether a folder is named, and with it all that lies in it.
    pub fn name_folder(&self) -> bool {
        self.paths.iter().any(|path| path.is_dir())
    }
}

/// The argument of every command that shows many clusters, or only some.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Only {
    /// Show this cluster alone; may be given several times
    #[arg(long = "cluster", value_name = "NAME")]
    pub clusters: Vec<String>,
}

impl Only {
    /// Says whether every cluster is to be shown.
    pub fn is_all(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Says whether a cluster is to be shown.
    pub fn shows(&self, name: &str) -> bool {
        self.is_all() || self.clusters.iter().any(|shown| shown == name)
    }

    /// Refuses names that are not among these.
    pub fn check<'a>(&self, known: impl Iterator<Item = &'a str> + Clone) -> Result<(), Failure> {
        let missing = self.clusters.iter().find(|name| known.clone().all(|known| known != name.as_str()));
        missing.map_or(Ok(()), |name| Err(unknown("cluster", name, known)))
    }
}

/// The arguments of every command that is about one cluster, which they name.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Named {
    /// The cluster's name
    pub cluster: String,
    /// The cluster's desired-state file, or a folder that it lies in
    #[arg(id = "paths", value_name = "PATH", default_value = "desired-state")]
    pub path: PathBuf,
}

impl Named {
    /// Reads the cluster's file.
    pub fn read(&self, out: &mut Output) -> Result<ClusterSpec, Failure> {
        self.desired(out)?.named(&self.cluster).cloned()
    }

    /// Reads the cluster's file, and those beside it.
    pub fn desired(&self, out: &mut Output) -> Result<Desired, Failure> {
        Desired::read(std::slice::from_ref(&self.path), out)
    }
}

/// The clusters that some paths declare.
pub struct Desired {
    /// All that can be used, in the order of the files.
    pub specs: Vec<ClusterSpec>,
    /// The paths, as they were given.
    shown: String,
    loaded: Loaded,
}

impl Desired {
    /// Reads the files and reports what is wrong with them. A broken file does not keep the others from being used.
    pub fn read(paths: &[PathBuf], out: &mut Output) -> Result<Self, Failure> {
        let loaded = load::load(paths);
        let color = out.colors_notes();
        write!(out.notes, "{}", render::text(&loaded, color))?;
        let specs: Vec<_> = loaded.specs().map(|(_, spec)| spec.clone()).collect();
        let shown = paths.iter().map(|path| text::path(path)).collect::<Vec<_>>().join(", ");
        match (specs.is_empty(), loaded.has_errors()) {
            (true, true) => Err(Failure::new(format!("no file of {shown} can be used"))
                .hint("correct the problems above; `hermitcrab validate` checks files alone")),
            (true, false) => Err(Failure::new(format!("no cluster is declared below {shown}"))
                .hint("name a file, or a folder with `*.yaml` files")),
            (false, _) => Ok(Self { specs, shown, loaded }),
        }
    }

    /// Keeps the clusters that are to be shown. One whose file is broken, or that there is not, is an error.
    pub fn keep(&mut self, only: &Only) -> Result<(), Failure> {
        only.clusters.iter().try_for_each(|name| self.named(name).map(drop))?;
        self.specs.retain(|spec| only.shows(&spec.name));
        Ok(())
    }

    /// Finds the cluster of that name.
    pub fn named(&self, name: &str) -> Result<&ClusterSpec, Failure> {
        if let Some((_, path)) = self.broken().find(|(broken, _)| &***broken == name) {
            return Err(Failure::new(format!("the file of {name} is broken: {}", text::path(path))).hint(
                "correct it; until then a controller goes on with the last good version, which is not known from here",
            ));
        }
        let names = || self.specs.iter().map(|spec| &*spec.name);
        self.specs.iter().find(|spec| &*spec.name == name).ok_or_else(|| unknown("cluster", name, names()))
    }

    /// Lists all clusters that the files declare, those of broken files as well.
    pub fn declared(&self) -> BTreeSet<ClusterName> {
        self.loaded.files.values().filter_map(|file| file.name.clone()).collect()
    }

    /// Lists the clusters whose files cannot be used, as far as those say which cluster they are about.
    pub fn broken(&self) -> impl Iterator<Item = (&ClusterName, &Path)> {
        let files = self.loaded.files.values().filter(|file| file.spec.is_none());
        files.filter_map(|file| Some((file.name.as_ref()?, file.path.as_path())))
    }

    /// Finds the cluster, where only one is declared.
    pub fn only(&self) -> Result<&ClusterSpec, Failure> {
        match self.specs.as_slice() {
            [only] => Ok(only),
            _ => Err(Failure::new(format!("{} declares several clusters", self.shown))
                .hint(format!("name the file of one of them: {}", self.names()))),
        }
    }

    /// Finds the cluster that `--cluster` names; without the flag, the only one.
    pub fn chosen(&self, name: Option<&str>) -> Result<&ClusterSpec, Failure> {
        match name {
            Some(name) => self.named(name),
            None => self.only().map_err(|several| {
                several.hint(format!("name a file, or one of them with --cluster: {}", self.names()))
            }),
        }
    }

    /// Returns the path and the text of the file that declares a cluster.
    pub fn file(&self, spec: &ClusterSpec) -> (&Path, &str) {
        let declares = |(_, declared): &(&Path, &ClusterSpec)| declared.name == spec.name;
        let path = self.loaded.specs().find(declares).map_or(Path::new(""), |(path, _)| path);
        (path, self.loaded.files.get(path).map_or("", |file| &file.text))
    }

    /// Returns the exit code of a command that succeeded with the clusters that can be used.
    pub fn exit(&self) -> Exit {
        if self.loaded.has_errors() { Exit::Error } else { Exit::Done }
    }

    /// Returns that of a command that shows only some clusters: files of others do not count, and a broken one of theirs has ended it.
    pub fn exit_of(&self, only: &Only) -> Exit {
        if only.is_all() { self.exit() } else { Exit::Done }
    }

    fn names(&self) -> String {
        self.specs.iter().map(|spec| spec.name.to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// Reports a name that does not exist, with the existing one that is most like it.
pub fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Failure {
    let alike = known.clone().map(|known| (strsim::jaro_winkler(name, known), known));
    let meant = alike.filter(|(likeness, _)| *likeness > 0.8).max_by(|(a, _), (b, _)| a.total_cmp(b));
    let hint = match meant {
        Some((_, meant)) => format!("did you mean `{meant}`?"),
        None => format!("there is {}", known.collect::<Vec<_>>().join(", ")),
    };
    Failure::new(format!("there is no {what} `{name}`")).hint(hint)
}
