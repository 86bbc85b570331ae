//! The formats in which commands write, and which command offers which.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// The format of a command's data. A format that a command does not offer is refused with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    Text,
    /// For a wide terminal: nothing is cut
    Wide,
    /// For programs: one JSON document
    Json,
    /// For programs: a JSON object a line
    Jsonl,
    /// For whoever knows Kubernetes: a resource for each cluster
    Yaml,
    /// For a comment on a pull request
    Markdown,
    /// For a GitHub workflow: annotations of the lines that are wrong
    Github,
}

/// The formats of a command that says where things stand.
pub const REPORT: [Format; 2] = [Format::Text, Format::Json];
/// The formats of a command whose report is read on pull requests as well.
pub const REVIEW: [Format; 3] = [Format::Text, Format::Json, Format::Markdown];
/// The formats of the status.
pub const STATUS: [Format; 4] = [Format::Text, Format::Wide, Format::Json, Format::Yaml];
/// The formats of problems in files.
pub const PROBLEMS: [Format; 3] = [Format::Text, Format::Json, Format::Github];
/// The formats of a transcript, which is written while it grows.
pub const TRANSCRIPT: [Format; 2] = [Format::Text, Format::Jsonl];

/// The formats of a log, and of what is read off it.
pub const LOG: [Format; 3] = [Format::Text, Format::Json, Format::Jsonl];

/// Parses the word for one of these formats.
pub fn among(formats: &[Format]) -> impl TypedValueParser<Value = Format> + use<> {
    let words = formats.iter().filter_map(ValueEnum::to_possible_value);
    PossibleValuesParser::new(words).try_map(|word| Format::from_str(&word, false))
}
