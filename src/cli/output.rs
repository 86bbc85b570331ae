//! Where a command writes: data to stdout, everything else to stderr, coloured where that is wanted.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// The two streams. What is written with colours arrives without them where they are not wanted.
pub struct Output {
    /// What was asked for.
    pub data: Box<dyn Write>,
    /// What else a person should know.
    pub notes: Box<dyn Write>,
}

impl Output {
    /// The process's own.
    pub fn standard() -> Self {
        Self { data: Box::new(AutoStream::auto(io::stdout())), notes: Box::new(AutoStream::auto(io::stderr())) }
    }

    /// Whether notes are coloured, for those who colour by other means.
    pub fn colors_notes(&self) -> bool {
        AutoStream::choice(&io::stderr()) != ColorChoice::Never
    }

    /// Writes a value as indented JSON.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<(), super::Failure> {
        writeln!(self.data, "{}", serde_json::to_string_pretty(value)?)?;
        Ok(())
    }
}

/// For the name of a thing.
pub const NAME: Style = Style::new().bold();
/// As it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Under way, or not allowed now.
pub const SO_SO: Style = AnsiColor::Yellow.on_default();
/// A person must look.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Of lesser interest.
pub const DIM: Style = Style::new().dimmed();

/// Text in a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
