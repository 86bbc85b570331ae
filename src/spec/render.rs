//! Problems of desired-state files as text, as JSON and as annotations of a GitHub workflow.

use std::fmt::Write;

use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

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
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

/// Writes all problems as GitHub workflow commands, one a line; GitHub shows them beside the changed lines.
pub fn github(loaded: &Loaded) -> String {
    let mut out = String::new();
    for problem in loaded.problems() {
        let mut properties = format!("file={}", property(&problem.path.display().to_string()));
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

fn group<'a>(loaded: &'a Loaded, problem: &'a Problem) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let path = problem.path.to_string_lossy();
    let title = level.primary_title(problem.message.as_str());
    let group = match (&problem.place, loaded.files.get(&problem.path)) {
        (Some(place), Some(file)) => title.element(
            Snippet::source(&*file.text)
                .path(path)
                .annotation(AnnotationKind::Primary.span(place.bytes.clone()).label(problem.label.as_deref())),
        ),
        _ => title.element(Origin::path(path)),
    };
    match &problem.hint {
        Some(hint) => group.element(Level::HELP.with_name("hint").message(hint.as_str())),
        None => group,
    }
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
    range: Range,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Code<'a>>,
}

#[derive(Serialize)]
struct Range {
    filename: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Position>,
}

/// Line and column count from 1, bytes from 0.
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
    code: &'a str,
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
        range: Range { filename: problem.path.display().to_string(), start, end },
        snippet: place.and_then(|place| code(loaded, problem, place)),
    }
}

fn code<'a>(loaded: &'a Loaded, problem: &'a Problem, place: &Place) -> Option<Code<'a>> {
    let text = &loaded.files.get(&problem.path)?.text;
    let line_start = text.get(..place.bytes.start)?.rfind('\n').map_or(0, |newline| newline + 1);
    Some(Code {
        code: text.get(line_start..)?.lines().next().unwrap_or_default(),
        start_line: place.line,
        highlight_start_offset: place.bytes.start - line_start,
        highlight_end_offset: place.bytes.end - line_start,
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
