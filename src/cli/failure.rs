//! The failure of a command, with its causes and the next step.

use std::error::Error;
use std::io::{self, Write};

use crate::plan::Hazard;

use super::exit::Exit;
use super::output::{BAD, Output, styled};
use crate::input::text::cut_lines;

/// The most characters of an error that are shown, and of each of its causes: some quote what others wrote.
const LONGEST: usize = 10_000;

/// An error with its causes, a hint where there is one, and the code to exit with.
#[derive(Debug)]
pub struct Failure {
    /// The error; its sources are its causes.
    pub error: Box<dyn Error>,
    /// The next step for a person, e.g. "name a file, or a folder with `*.yaml` files".
    pub hint: Option<String>,
    /// The code to exit with.
    pub exit: Exit,
}

impl Failure {
    /// Makes a failure without a hint.
    pub fn new(error: impl Into<Box<dyn Error>>) -> Self {
        Self { error: error.into(), hint: None, exit: Exit::Error }
    }

    /// Sets the hint.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Writes the error, its causes and the hint to stderr, if anything can be written there.
    pub fn print(&self, out: &mut Output) {
        let _ = write!(out.notes, "{}", self.lines());
    }

    /// Renders the error, its causes and the hint, a line each.
    fn lines(&self) -> String {
        let mut lines = format!("{}: {}\n", styled(BAD, "error"), cut_lines(&self.error.to_string(), LONGEST));
        let mut source = self.error.source();
        while let Some(cause) = source {
            lines.push_str(&format!("  caused by: {}\n", cut_lines(&cause.to_string(), LONGEST)));
            source = cause.source();
        }
        lines.extend(self.hint.iter().map(|hint| format!(" hint: {}\n", cut_lines(hint, LONGEST))));
        lines
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

/// A hazard stops a person's command as it stops a controller.
impl From<Hazard> for Failure {
    fn from(hazard: Hazard) -> Self {
        Self { hint: hazard.hint(), ..Self::new(hazard.to_string()) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error)
    }
}
