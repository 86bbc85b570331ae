//! Shows what is wrong with desired-state files, with the lines that are meant.

use std::io::Write;

use crate::cli::logging;
use crate::cli::stderr::Lines;
use crate::event::{Event, EventKind, Listener};
use crate::input::text;
use crate::spec::load::{Problem, Severity};
use crate::spec::render;

/// Writes problems to stderr, beside the log.
pub(super) struct Problems {
    pub(super) is_colored: bool,
}

impl Listener for Problems {
    fn hear(&self, event: &Event) {
        match &event.kind {
            EventKind::ProblemsFound(loaded) if logging::is_json() => loaded.problems().for_each(log),
            EventKind::ProblemsFound(loaded) => {
                // A stderr that is closed does not keep the clusters from being looked after.
                let _ = Lines::default().write_all(render::text(loaded, self.is_colored).as_bytes());
            }
            _ => {}
        }
    }
}

/// Writes a problem as a line of the log, for a program that reads the log.
fn log(problem: &Problem) {
    let (place, severity) = (problem.place.as_ref(), problem.severity);
    let (line, column) = (place.map(|place| place.line), place.map(|place| place.column));
    let (path, problem, label, hint) = (text::path(&problem.path), &problem.message, &problem.label, &problem.hint);
    let (label, hint) = (label.as_deref(), hint.as_deref());
    match severity {
        Severity::Error => tracing::error!(path, line, column, problem, label, hint, "problem in desired state"),
        Severity::Warning => tracing::warn!(path, line, column, problem, label, hint, "problem in desired state"),
    }
}
