//! Problems of desired-state files as text, as JSON and as annotations of a GitHub workflow.

use std::fmt::Write;
use std::ops::Range;

use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::input::{secret, text};
use crate::spec::load::{Loaded, Place, Problem, Severity};

/// Writes all problems as a person reads them, an empty line after each.
pub fn text(loaded: &Loaded, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(DEFAULT_TERM_WIDTH);
    loaded.problems().map(|problem| renderer.render(&[group(loaded, problem)]) + "\n\n").collect()
}

/// Writes all problems in the shape of Terraform's `validate -json`.
pub fn json(loaded: &Loaded) -> String {
    let count = |severity| loaded.problems().filter(|problem| problem.severity == severity).count();
    let report = Report {
        format_version: "1.0",
        valid: !loaded.has_errors(),
        error_count: count(Severity::Error),
        warning_count: count(Severity::Warning),
        diagnostics: loaded.problems().map(|problem| diagnostic(loaded, problem)).collect(),
    };
    text::clean_json(&serde_json::to_string_pretty(&report).unwrap_or_default()) + "\n"
}

/// Writes all problems as GitHub workflow commands, one a line; GitHub shows them beside the changed lines.
pub fn github(loaded: &Loaded) -> String {
    let mut out = String::new();
    for problem in loaded.problems() {
        let mut properties = format!("file={}", property(&text::path(&problem.path)));
        if let Some(place) = &problem.place {
            let end = place.column + columns(loaded, problem, place);
            let _ = write!(properties, ",line={},endLine={0},col={},endColumn={end}", place.line, place.column);
        }
        let extra = [("", &problem.label), ("hint: ", &problem.hint)];
        let extra = extra.iter().filter_map(|(prefix, text)| Some(format!("\n{prefix}{}", text.as_ref()?)));
        let message = problem.message.clone() + &extra.collect::<String>();
        let _ = writeln!(out, "::{} {properties}::{}", word(problem.severity), data(&message));
    }
    out
}

/// A longer line is not shown: nobody reads it, and each problem in it would repeat it.
const LONGEST_LINE: usize = 2_000;

fn group<'a>(loaded: &'a Loaded, problem: &'a Problem) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let path = text::path(&problem.path);
    let title = level.primary_title(problem.message.as_str());
    let group = match (&problem.place, line(loaded, problem)) {
        (Some(place), Some(line)) => {
            let (shown, span) = shown(&line, place.bytes.start - line.start..place.bytes.end - line.start);
            title.element(
                Snippet::source(shown)
                    .path(path)
                    .line_start(place.line)
                    .annotation(AnnotationKind::Primary.span(span).label(problem.label.as_deref())),
            )
        }
        (Some(place), None) => title.element(Origin::path(path).line(place.line).char_column(place.column)),
        (None, _) => title.element(Origin::path(path)),
    };
    match &problem.hint {
        Some(hint) => group.element(Level::HELP.with_name("hint").message(hint.as_str())),
        None => group,
    }
}

/// A line of a file, its secrets covered, and where it begins there.
struct Line {
    text: String,
    start: usize,
}

/// The line that a problem lies in, unless it is too long to be shown.
fn line(loaded: &Loaded, problem: &Problem) -> Option<Line> {
    const ENDS: [char; 2] = ['\n', '\r'];
    let (place, file) = (problem.place.as_ref()?, loaded.files.get(&problem.path)?);
    let (before, rest) = (file.text.get(..place.bytes.start)?, file.text.get(place.bytes.start..)?);
    // No more is looked at than could be shown.
    let near = before.as_bytes().iter().rev().take(LONGEST_LINE).position(|byte| b"\n\r".contains(byte));
    let start = near.map_or(0, |near| before.len() - near);
    let end = rest.find(ENDS).map_or(file.text.len(), |end| place.bytes.start + end);
    let text = file.text.get(start..end).filter(|text| text.len() <= LONGEST_LINE)?;
    Some(Line { text: secret::covered(text), start })
}

/// A line as clean text, and where a part of it is found there.
fn shown(line: &Line, part: Range<usize>) -> (String, Range<usize>) {
    // A tab is shown as spaces.
    let clean = |text: &str| text.split('\t').map(text::clean).collect::<Vec<_>>().join("\t");
    let before = clean(&line.text[..part.start]);
    let within = clean(&line.text[part.clone()]);
    let after = clean(&line.text[part.end..]);
    let start = before.len();
    (format!("{before}{within}{after}"), start..start + within.len())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    format_version: &'a str,
    valid: bool,
    error_count: usize,
    warning_count: usize,
    diagnostics: Vec<Diagnostic<'a>>,
}

#[derive(Serialize)]
struct Diagnostic<'a> {
    severity: &'a str,
    summary: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    range: Extent,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Code<'a>>,
}

#[derive(Serialize)]
struct Extent {
    filename: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Position>,
}

/// A place as a program reads it: line and column count from 1, bytes from 0.
#[derive(Serialize)]
struct Position {
    line: usize,
    column: usize,
    byte: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Code<'a> {
    /// The line.
    code: String,
    start_line: usize,
    /// In bytes, from the beginning of the line.
    highlight_start_offset: usize,
    highlight_end_offset: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
}

fn diagnostic<'a>(loaded: &'a Loaded, problem: &'a Problem) -> Diagnostic<'a> {
    let place = problem.place.as_ref();
    let start = place.map(|place| Position { line: place.line, column: place.column, byte: place.bytes.start });
    let end = place.map(|place| Position {
        line: place.line,
        column: place.column + columns(loaded, problem, place),
        byte: place.bytes.end,
    });
    Diagnostic {
        severity: word(problem.severity),
        summary: &problem.message,
        detail: problem.hint.as_deref(),
        range: Extent { filename: problem.path.to_string_lossy().into_owned(), start, end },
        snippet: place.and_then(|place| code(loaded, problem, place)),
    }
}

fn code<'a>(loaded: &'a Loaded, problem: &'a Problem, place: &Place) -> Option<Code<'a>> {
    let line = line(loaded, problem)?;
    Some(Code {
        code: line.text,
        start_line: place.line,
        highlight_start_offset: place.bytes.start - line.start,
        highlight_end_offset: place.bytes.end - line.start,
        label: problem.label.as_deref(),
    })
}

/// Counts the characters of a place.
fn columns(loaded: &Loaded, problem: &Problem, place: &Place) -> usize {
    let text = loaded.files.get(&problem.path).and_then(|file| file.text.get(place.bytes.clone()));
    text.map_or(0, |text| text.chars().count())
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Escapes the message of a workflow command, which is one line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command, which colons and commas end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
