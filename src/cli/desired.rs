//! Desired state for commands that look at clusters: what can be used is used, what cannot is reported.

use std::io::Write;
use std::path::PathBuf;

use crate::input::text;
use crate::spec::ClusterSpec;
use crate::spec::load;
use crate::spec::render;

use super::{Exit, Failure, Output};

/// The clusters that some paths declare.
pub struct Desired {
    /// In the order of their files.
    pub specs: Vec<ClusterSpec>,
    /// Some file, or some path, cannot be used.
    pub has_errors: bool,
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
            (true, true) => Err(Failure::new(format!("there is nothing to look at: no file of {shown} can be used"))
                .hint("mend the problems above; `hermitcrab validate` checks files alone")),
            (true, false) => Err(Failure::new(format!("no cluster is declared below {shown}"))
                .hint("name a file, or a folder with `*.yaml` files")),
            (false, has_errors) => Ok(Self { specs, has_errors }),
        }
    }

    /// The cluster of that name.
    pub fn named(&self, name: &str) -> Result<&ClusterSpec, Failure> {
        let names = || self.specs.iter().map(|spec| &*spec.name);
        self.specs.iter().find(|spec| &*spec.name == name).ok_or_else(|| unknown("cluster", name, names()))
    }

    /// What a command ends with that otherwise went well.
    pub fn exit(&self) -> Exit {
        if self.has_errors { Exit::Error } else { Exit::Done }
    }
}

/// There is nothing of that name; perhaps another was meant.
pub fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Failure {
    let alike = known.clone().map(|known| (strsim::jaro_winkler(name, known), known));
    let meant = alike.filter(|(likeness, _)| *likeness > 0.8).max_by(|(a, _), (b, _)| a.total_cmp(b));
    let hint = match meant {
        Some((_, meant)) => format!("did you mean `{meant}`?"),
        None => format!("there is {}", known.collect::<Vec<_>>().join(", ")),
    };
    Failure::new(format!("there is no {what} `{name}`")).hint(hint)
}
