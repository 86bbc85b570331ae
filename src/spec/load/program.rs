//! The meaning of `application.command`: a program with its arguments and files, and numbers within bounds.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::meaning::{Meaning, bytes};
use super::quantity;
use crate::spec::raw::{Spanned, Text};
use crate::spec::words::Word;
use crate::time::Human;

/// The most arguments of a program, and the most files.
const MOST: usize = 100;

impl Meaning<'_, '_> {
    /// Gives the path of a program as seen from where the controller runs.
    pub(in crate::spec) fn program(&mut self, text: &Text) -> Option<String> {
        let written = text.as_ref()?;
        if written.value.ends_with('/') {
            self.report
                .error(bytes(written), format!("`{}` is no path of a program", written.value.escape_debug()))
                .hint("name the file itself, relative to this one, e.g. `../../adapters/mongodb`");
            return None;
        }
        self.beside(text).filter(|_| !written.value.trim().is_empty())
    }

    /// Reads the arguments of a program.
    pub(in crate::spec) fn arguments(&mut self, written: &[Spanned]) -> Option<Vec<String>> {
        if let Some(first_too_many) = written.get(MOST) {
            self.report
                .error(bytes(first_too_many), format!("{} arguments", written.len()))
                .hint(format!("a program has at most {MOST}; put the rest in a file"));
            return None;
        }
        Some(written.iter().map(|argument| argument.value.clone()).collect())
    }

    /// Reads the files that a program is told the paths of.
    pub(in crate::spec) fn named_files(
        &mut self,
        written: Option<&BTreeMap<String, Spanned>>,
    ) -> Option<BTreeMap<String, String>> {
        let mut files = Some(BTreeMap::new());
        for (name, path) in written.into_iter().flatten() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !(1..=64).contains(&name.len()) || !name.chars().all(plain) {
                self.report
                    .error(bytes(path), format!("`{}` is no name of a file", name.escape_debug()))
                    .hint("use letters, digits, `-` and `_`, at most 64 of them");
                files = None;
            }
            let path = self.beside(&Some(path.clone())).filter(|_| !path.value.trim().is_empty());
            files = files.zip(path).map(|(mut files, path)| {
                files.insert(name.clone(), path);
                files
            });
        }
        files
    }

    /// Gives the value of a word. One that is not known was reported for its shape.
    pub(in crate::spec) fn word<T: Word>(&self, written: &Spanned) -> Option<T> {
        T::meant(&written.value)
    }

    /// Reads a whole number.
    pub(in crate::spec) fn count(&mut self, written: &Spanned) -> Option<u64> {
        let count = written.value.parse().ok();
        if count.is_none() {
            self.report
                .error(bytes(written), format!("`{}` is no number of entries or bytes", written.value))
                .hint("write a whole number without a unit, e.g. `1000`");
        }
        count
    }

    /// Reads a span of time that lies within bounds, in seconds.
    pub(in crate::spec) fn span(
        &mut self,
        text: &Text,
        default: u64,
        within: RangeInclusive<u64>,
        field: &str,
    ) -> Option<Duration> {
        let Some(written) = text else { return Some(Duration::from_secs(default)) };
        let span = self.quantity(text, quantity::duration, "duration")?;
        if within.contains(&span.as_secs()) {
            return Some(span);
        }
        let [least, most] = [*within.start(), *within.end()].map(|bound| Human(Duration::from_secs(bound)));
        self.report
            .error(bytes(written), format!("`{}` is out of bounds for `{field}`", written.value))
            .hint(format!("write one from {least} to {most}"));
        None
    }
}
