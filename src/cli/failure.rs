//! Why a command could not do what it was asked to, and what to do about it.

use std::error::Error;
use std::io;

use crate::plan::Hazard;

use super::exit::Exit;
use super::output::{BAD, styled};

/// An error with its causes, a hint where there is one, and the code to exit with.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong; its sources are its causes.
    pub error: Box<dyn Error>,
    /// The next step.
    pub hint: Option<String>,
    /// The code to exit with.
    pub exit: Exit,
}

impl Failure {
    /// An error that no hint belongs to yet.
    pub fn new(error: impl Into<Box<dyn Error>>) -> Self {
        Self { error: error.into(), hint: None, exit: Exit::Error }
    }

    /// The same with a hint.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Whoever read our output has seen enough, e.g. `hermitcrab plan | head`. That is no error.
    pub fn is_closed_pipe(&self) -> bool {
        self.error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Writes the error, its causes and the hint to stderr.
    pub fn print(&self) {
        anstream::eprint!("{}", self.lines());
    }

    /// The error, its causes and the hint, a line each.
    fn lines(&self) -> String {
        let mut lines = format!("{}: {}\n", styled(BAD, "error"), self.error);
        let mut source = self.error.source();
        while let Some(cause) = source {
            lines.push_str(&format!("  caused by: {cause}\n"));
            source = cause.source();
        }
        lines.extend(self.hint.iter().map(|hint| format!(" hint: {hint}\n")));
        lines
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

/// What keeps a controller from acting keeps a person's command from it too.
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
