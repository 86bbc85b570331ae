//! Characters that nobody sees: in a name or a tag they make another one that looks the same.

use super::report::Report;
use super::tree::{Node, Value};
use crate::input::text::{self, Unseen};

/// Reports every key and value with a character that is not what is seen, with its code point.
pub fn check(node: &Node, report: &mut Report) {
    if report.is_full() {
        return;
    }
    match &*node.value {
        Value::Scalar { text, plain } => {
            scalar(text, node.bytes.clone(), report);
            if !plain && text.trim_matches(' ') != text {
                report
                    .warning(node.bytes.clone(), "text that begins or ends with a space")
                    .hint("remove it, unless it is meant: nobody sees it");
            }
        }
        Value::List(nodes) => nodes.iter().for_each(|node| check(node, report)),
        Value::Map(entries) => {
            for entry in entries {
                scalar(&entry.key, entry.key_bytes.clone(), report);
                check(&entry.node, report);
            }
        }
    }
}

/// Warns where characters outside of keys and values turn the direction of writing: a comment could then look like a field.
pub fn check_comments(report: &mut Report) {
    let is_turning = |c: char| text::unseen(c) == Some(Unseen::Direction);
    // No character of ASCII does.
    if report.has_errors() || report.text.is_ascii() {
        return;
    }
    if let Some((start, mark)) = report.text.match_indices(is_turning).next() {
        let code = code_point(mark.chars().next().unwrap_or_default());
        report
            .warning(start..start + mark.len(), format!("character {code} turns the direction of writing"))
            .hint("remove it: what follows may be shown in another order than it is read");
    }
}

fn scalar(value: &str, bytes: std::ops::Range<usize>, report: &mut Report) {
    report.spend(value.len());
    let Some((c, kind)) = value.chars().find_map(|c| Some((c, text::unseen(c)?))) else { return };
    // Where the character is written as an escape, the whole text is its place.
    let written = report.text.get(bytes.clone()).and_then(|written| written.find(c));
    let place = written.map_or(bytes.clone(), |at| bytes.start + at..bytes.start + at + c.len_utf8());
    let (what, hint) = words(kind);
    let code = code_point(c);
    report.error(place, format!("character {code} {what}")).label(format!("in `{value}`")).hint(hint);
}

/// Words what a character is, and what to do about it.
fn words(kind: Unseen) -> (&'static str, &'static str) {
    match kind {
        Unseen::Control => ("is a control character", "remove it: no value of ours has one"),
        Unseen::Width => ("cannot be seen", "remove it; it came along when the text was pasted"),
        Unseen::Direction => ("turns the direction of writing", "remove it: what is read is not what is shown"),
        Unseen::Blank => ("looks like a space and is none", "remove it, or write a space"),
    }
}

/// Names the first character of a line that is not what is seen: where the line is no YAML, that is why.
pub fn first_of(line: &str) -> Option<String> {
    let (c, kind) = line.chars().filter(|c| *c != '\t').find_map(|c| Some((c, text::unseen(c)?)))?;
    let (what, hint) = words(kind);
    Some(format!("character {} {what}: {hint}", code_point(c)))
}

/// A character by its number, e.g. `U+200B`.
fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}
