//! Holds the floors inside one module of the crate: which of its files may import which other ones.
//!
//! A row may name only files that stand above it in the table, so a table cannot describe a circle, and files that keep to
//! their rows cannot form one.

use std::collections::BTreeSet;

use super::source::{Part, paths, without, without_tests};

/// The floors of one module, from the lowest to the highest.
pub struct Floors {
    /// The module, e.g. `plan`. Its own file, `src/plan.rs`, stands above all files of its folder and has no row.
    pub module: &'static str,
    /// A row for each file below the module, e.g. `gates/cloud`, with the files that it may import.
    pub rows: &'static [(&'static str, &'static [&'static str])],
}

impl Floors {
    /// Lists the rows that cannot stand: a file named twice, or allowed to import a file that does not stand above it.
    pub fn faults(&self) -> Vec<String> {
        let mut above = BTreeSet::new();
        let mut faults = Vec::new();
        for (file, allowed) in self.rows {
            for import in allowed.iter().filter(|import| !above.contains(*import)) {
                faults.push(format!("{}: {file} may not import {import}, which does not stand above it", self.module));
            }
            if !above.insert(*file) {
                faults.push(format!("{}: {file} has two rows", self.module));
            }
        }
        faults
    }

    /// Lists the ways in which one file of the module leaves its floor.
    pub fn check(&self, file: &str, text: &str) -> Vec<String> {
        let name = self.name(file);
        let Some((_, allowed)) = self.rows.iter().find(|(row, _)| *row == name) else {
            return vec![format!("{file}: is on no floor of {}: add it to the table in tests/layers.rs", self.module)];
        };
        let forbidden = self.imports(file, text).into_iter().filter(|import| !allowed.contains(&import.as_str()));
        forbidden.map(|import| format!("{file}: imports {import}, which floor {name} may not")).collect()
    }

    /// The files of the module that one of its files names, without itself.
    pub fn imports(&self, file: &str, text: &str) -> BTreeSet<String> {
        let code = without_tests(&without(text, &[Part::Comment, Part::Literal]));
        let module: Vec<_> = file.trim_start_matches("src/").trim_end_matches(".rs").split('/').collect();
        let named = paths(&code, &module).into_iter().filter_map(|path| self.found(&path));
        named.filter(|import| *import != self.name(file)).collect()
    }

    /// The file that a path leads into: `plan::look::Look` into `look`, and `plan::Look` into the module's own file.
    fn found(&self, path: &[&str]) -> Option<String> {
        let below = path.strip_prefix(&[self.module])?;
        let longest = (1..=below.len()).rev().map(|length| below[..length].join("/"));
        let file = longest.into_iter().find(|name| self.rows.iter().any(|(row, _)| row == name));
        Some(file.unwrap_or_else(|| self.module.to_owned()))
    }

    fn name(&self, file: &str) -> String {
        let below = file.trim_start_matches("src/").trim_end_matches(".rs").strip_prefix(self.module);
        below.unwrap_or_default().trim_start_matches('/').to_owned()
    }
}
