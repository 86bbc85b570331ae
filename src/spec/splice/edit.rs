//! Fields of a file's text set to other values, added or taken away, with every other byte as it was.
//!
//! A scalar that is there is replaced within its quotes. A field that is not there becomes a line of its own below its parent's, or
//! the first field of a mapping in braces. The result is read again, and means just what was asked for; what cannot be written
//! so is refused.

use std::ops::Range;
use std::path::Path;

use crate::ids::{ImageId, PlanId};
use crate::spec::ClusterSpec;
use crate::spec::load::{Place, check, field_in};

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// `spec.image`.
    Image(ImageId),
    /// `version` of the application; none takes it away.
    Version(Option<String>),
    /// `spec.suspend`.
    Suspend(bool),
    /// `spec.freeze`.
    Freeze(bool),
    /// `spec.reason`; none takes it away.
    Reason(Option<String>),
    /// `spec.rollout.approved`.
    Approved(PlanId),
}

/// A reason for which a field cannot be changed in a text.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// An alias, an anchor, an escape or a folded block: nothing there could be replaced without writing something else anew.
    #[error("`{field}` in line {line} is not written out in one line")]
    NotLiteral {
        /// The field, e.g. `rollout.approved`.
        field: String,
        /// Counted from 1.
        line: usize,
    },
    /// The mapping is written in a way that no line can be added to.
    #[error("there is no safe place for `{field}` below line {line}")]
    NoPlace {
        /// The field, e.g. `rollout.approved`.
        field: String,
        /// The line of its parent, counted from 1.
        line: usize,
    },
    /// The parent is not in the file.
    #[error("there is no `{parent}` in the file, below which `{field}` could stand")]
    NoParent {
        /// The field, e.g. `rollout.approved`.
        field: String,
        /// The field above it, e.g. `rollout`.
        parent: String,
    },
    /// An anchor that is used elsewhere: something else would change too.
    #[error("another field would change with it")]
    Shared,
    /// The text would be no valid file.
    #[error("the file could not be used then: {problem}")]
    Invalid {
        /// The first thing that is wrong then.
        problem: String,
    },
}

/// Changes some fields of a file that means `spec`. The result is read again, and differs from `spec` in nothing else.
pub fn fields(path: &Path, text: &str, spec: &ClusterSpec, edits: &[Edit]) -> Result<String, EditError> {
    let (mut changed, mut wanted) = (text.to_owned(), spec.clone());
    for edit in edits {
        let field = edit.path(spec);
        changed = match edit.written() {
            Some(value) => set(&changed, &field, &value, edit),
            None => remove(&changed, &field),
        }
        .map_err(|refusal| refusal.error(text, &field))?;
        edit.apply(&mut wanted);
    }
    let loaded = check(path, &changed);
    match (loaded.specs().next(), loaded.problems().next()) {
        // The environment is the folder in which the file was found, and nothing that is written in it.
        (Some((_, meant)), _) if (ClusterSpec { environment: spec.environment.clone(), ..meant.clone() }) == wanted => {
            Ok(changed)
        }
        (None, Some(problem)) => Err(EditError::Invalid { problem: problem.message.clone() }),
        _ => Err(EditError::Shared),
    }
}

impl Edit {
    fn path(&self, spec: &ClusterSpec) -> Vec<&'static str> {
        match self {
            Self::Image(_) => vec!["spec", "image"],
            Self::Version(_) => vec!["spec", "application", spec.application.kind(), "version"],
            Self::Suspend(_) => vec!["spec", "suspend"],
            Self::Freeze(_) => vec!["spec", "freeze"],
            Self::Reason(_) => vec!["spec", "reason"],
            Self::Approved(_) => vec!["spec", "rollout", "approved"],
        }
    }

    /// The value as it is written where nothing has quotes yet.
    fn written(&self) -> Option<String> {
        match self {
            Self::Image(image) => Some(image.to_string()),
            Self::Version(version) => version.clone(),
            Self::Suspend(is_so) | Self::Freeze(is_so) => Some(is_so.to_string()),
            // JSON's quotes and escapes are YAML's as well.
            Self::Reason(reason) => reason.as_ref().map(|reason| serde_json::Value::from(reason.as_str()).to_string()),
            Self::Approved(plan) => Some(plan.to_string()),
        }
    }

    fn apply(&self, spec: &mut ClusterSpec) {
        match self {
            Self::Image(image) => spec.image = image.clone(),
            Self::Version(version) => spec.application = spec.application.of_version(version.clone()),
            Self::Suspend(is_so) => spec.suspend = *is_so,
            Self::Freeze(is_so) => spec.freeze = *is_so,
            Self::Reason(reason) => spec.reason.clone_from(reason),
            Self::Approved(plan) => spec.rollout.approved = Some(plan.clone()),
        }
    }
}

/// A reason for which one edit cannot be made; the lines of an error are those of the file as it is.
enum Refusal {
    NotLiteral,
    NoPlace,
    NoParent,
}

impl Refusal {
    fn error(self, text: &str, path: &[&str]) -> EditError {
        let above = &path[..path.len().saturating_sub(1)];
        let line = |path: &[&str]| field_in(text, path).map_or(1, |written| Place::new(text, written.key).line);
        match self {
            Self::NotLiteral => EditError::NotLiteral { field: name(path), line: line(path) },
            Self::NoPlace => EditError::NoPlace { field: name(path), line: line(above) },
            Self::NoParent => EditError::NoParent { field: name(path), parent: name(above) },
        }
    }
}

fn set(text: &str, path: &[&str], value: &str, edit: &Edit) -> Result<String, Refusal> {
    let Some(written) = field_in(text, path) else { return add(text, path, value) };
    let shown = text.get(written.value.clone()).unwrap_or_default();
    let is_one = !shown.contains('\n') && !shown.starts_with(['*', '&', '|', '>']);
    let old = written.scalar.filter(|_| is_one).ok_or(Refusal::NotLiteral)?;
    let bytes = match edit {
        Edit::Reason(_) => Some(written.value.clone()).filter(|_| !shown.is_empty()),
        _ if old.is_empty() => None,
        _ => shown.find(&old).map(|at| written.value.start + at..written.value.start + at + old.len()),
    };
    let bytes = bytes.ok_or(Refusal::NotLiteral)?;
    Ok(replaced(text, bytes, value))
}

/// Adds a field to its parent: as the parent's first.
fn add(text: &str, path: &[&str], value: &str) -> Result<String, Refusal> {
    let (last, above) = path.split_last().unwrap_or((&"", &[]));
    let parent = field_in(text, above).ok_or(Refusal::NoParent)?;
    let start = parent.value.start;
    if text[start..].starts_with('{') {
        let (at, rest) = (start + 1, &text[start + 1..]);
        let added = match (&parent.first, rest.starts_with(' ')) {
            (None, _) => format!("{last}: {value}"),
            (Some(_), true) => format!(" {last}: {value},"),
            (Some(_), false) => format!("{last}: {value}, "),
        };
        return Ok(replaced(text, at..at, &added));
    }
    let first = parent.first.as_ref().ok_or(Refusal::NoPlace)?;
    let end = text[parent.key.end..].find('\n').map(|at| parent.key.end + at + 1).ok_or(Refusal::NoPlace)?;
    let behind = text[parent.key.end..end].trim_start_matches(['"', '\'']).trim_start().strip_prefix(':');
    let is_alone = behind.is_some_and(|behind| matches!(behind.trim_start().chars().next(), None | Some('#')));
    let margin = &text[line_start(text, first.start)..first.start];
    if !is_alone || first.start < end || !margin.bytes().all(|byte| byte == b' ') {
        return Err(Refusal::NoPlace);
    }
    let ending = if text[..end].ends_with("\r\n") { "\r\n" } else { "\n" };
    Ok(replaced(text, end..end, &format!("{margin}{last}: {value}{ending}")))
}

/// Takes a field away that has a line of its own. One that is not there is away already.
fn remove(text: &str, path: &[&str]) -> Result<String, Refusal> {
    let Some(written) = field_in(text, path) else { return Ok(text.to_owned()) };
    let start = line_start(text, written.key.start);
    let end = text[written.value.end..].find('\n').map_or(text.len(), |at| written.value.end + at + 1);
    let margin = text[start..written.key.start].trim_end_matches(['"', '\'']);
    let is_alone = margin.bytes().all(|byte| byte == b' ') && text[written.value.end..end].trim().is_empty();
    let is_one_line = !text[start..written.value.end].contains('\n');
    if !is_alone || !is_one_line {
        return Err(Refusal::NotLiteral);
    }
    Ok(replaced(text, start..end, ""))
}

fn replaced(text: &str, bytes: Range<usize>, by: &str) -> String {
    [&text[..bytes.start], by, &text[bytes.end..]].concat()
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |before| before + 1)
}

/// The field as a person calls it, e.g. `rollout.approved`.
fn name(path: &[&str]) -> String {
    match path.split_first() {
        Some((&"spec", below)) if !below.is_empty() => below.join("."),
        _ => path.join("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "desired-state/prod/consul.yaml";

    fn prod() -> String {
        std::fs::read_to_string(FILE).unwrap()
    }

    fn edited(text: &str, edits: &[Edit]) -> Result<String, EditError> {
        let loaded = check(Path::new(FILE), text);
        let problems: Vec<_> = loaded.problems().map(|problem| problem.message.clone()).collect();
        let (_, spec) = loaded.specs().next().unwrap_or_else(|| panic!("{problems:#?}\n{text}"));
        fields(Path::new(FILE), text, spec, edits)
    }

    fn without(text: &str, field: &str) -> String {
        let lines = text.split_inclusive('\n').filter(|line| !line.trim_start().starts_with(field));
        lines.collect()
    }

    #[test]
    fn a_word_is_replaced_within_its_quotes_and_spaces() {
        let bare = without(&prod(), "suspend:");
        for written in
            ["suspend: false", "suspend:   false   # until Monday", "\"suspend\" : false", "'suspend': false"]
        {
            let text = bare.replacen("spec:\n", &format!("spec:\n  {written}\n"), 1);
            let expected = text.replacen(written, &written.replace("false", "true"), 1);
            assert_eq!(edited(&text, &[Edit::Suspend(true)]).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn a_field_that_is_not_there_becomes_a_line_below_its_parent() {
        let bare = without(&without(&prod(), "suspend:"), "freeze:");
        for (parent, line) in [
            ("spec:\n", "  suspend: true\n"),
            ("spec:   # the whole cluster\n  # three servers\n\n", "  suspend: true\n"),
            ("\"spec\":\n", "  suspend: true\n"),
        ] {
            let text = bare.replacen("spec:\n", parent, 1);
            let at = text.find(parent).unwrap() + parent.find('\n').unwrap() + 1;
            let expected = format!("{}{line}{}", &text[..at], &text[at..]);
            assert_eq!(edited(&text, &[Edit::Suspend(true)]).unwrap(), expected, "{parent}");
        }
        let crlf = bare.replace('\n', "\r\n");
        let expected = crlf.replacen("spec:\r\n", "spec:\r\n  freeze: true\r\n", 1);
        assert_eq!(edited(&crlf, &[Edit::Freeze(true)]).unwrap(), expected);
    }

    #[test]
    fn a_mapping_in_braces_is_given_its_field_in_the_same_line() {
        let bare: String = without(&prod(), "version:");
        for (rollout, expected) in [
            ("rollout: { approval: canary }", "rollout: { approved: plan-1, approval: canary }"),
            ("rollout: {approval: canary}", "rollout: {approved: plan-1, approval: canary}"),
            (
                "rollout:\n      approval:   canary  # Monday",
                "rollout:\n      approved: plan-1\n      approval:   canary  # Monday",
            ),
        ] {
            let text = with_rollout(&bare, rollout);
            assert_eq!(edited(&text, &[Edit::Approved("plan-1".into())]).unwrap(), with_rollout(&bare, expected));
        }
        let text = with_rollout(&bare, "rollout:\n    approval: canary\n    approved: 'plan-0' # Ann");
        let expected = text.replace("'plan-0' # Ann", "'plan-1' # Ann");
        assert_eq!(edited(&text, &[Edit::Approved("plan-1".into())]).unwrap(), expected);
    }

    /// The file with its rollout written in another way.
    fn with_rollout(text: &str, rollout: &str) -> String {
        let is_top =
            |line: &str| line.starts_with("  ") && !line.starts_with("   ") && !line.trim_start().starts_with('#');
        let mut within = false;
        let mut kept = String::new();
        for line in text.split_inclusive('\n') {
            within = if is_top(line) { line.starts_with("  rollout:") } else { within && line.starts_with("   ") };
            if !within {
                kept.push_str(line);
            }
        }
        kept.replacen("spec:\n", &format!("spec:\n  {rollout}\n"), 1)
    }

    #[test]
    fn a_reason_is_set_whatever_is_in_it_and_taken_away_with_its_line() {
        let reason = "quota: \"#7\" \\ it's *not* & {ours}, 東京";
        let bare = without(&prod(), "suspend:");
        let edits = [Edit::Suspend(true), Edit::Reason(Some(reason.to_owned()))];
        let text = edited(&bare, &edits).unwrap();
        assert_eq!(check(Path::new(FILE), &text).specs().next().unwrap().1.reason.as_deref(), Some(reason));
        assert_eq!(text.lines().count(), bare.lines().count() + 2);
        let back = edited(&text, &[Edit::Suspend(false), Edit::Reason(None)]).unwrap();
        assert_eq!(back, bare.replacen("spec:\n", "spec:\n  suspend: false\n", 1));
        let text = text.replace("  reason: ", "  # Why?\n  reason: ");
        assert!(
            edited(&text, &[Edit::Reason(Some("other".to_owned()))])
                .unwrap()
                .contains("  # Why?\n  reason: \"other\"\n")
        );
    }

    #[test]
    fn image_and_version_are_changed_together() {
        let text = prod();
        let new: ImageId = "ami-0bbbbbbbbbbbbbbbb".into();
        let edits = [Edit::Image(new.clone()), Edit::Version(Some("1.20.2".to_owned()))];
        let expected = text.replacen("ami-0aaaaaaaaaaaaaaaa", &new, 1).replacen("1.20.1", "1.20.2", 1);
        assert_eq!(edited(&text, &edits).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_edited_safely_is_refused_with_its_line() {
        let bare = without(&without(&prod(), "suspend:"), "freeze:");
        let with = |line: &str| bare.replacen("spec:\n", &format!("spec:\n{line}\n"), 1);
        let said = |text: &str, edit: Edit| edited(text, &[edit]).unwrap_err().to_string();
        let line = bare.lines().position(|line| line == "spec:").unwrap() + 1;
        let anchored = with("  freeze: &off false\n  suspend: *off");
        assert_eq!(
            said(&anchored, Edit::Suspend(true)),
            format!("`suspend` in line {} is not written out in one line", line + 2)
        );
        let freeze = said(&anchored, Edit::Freeze(true));
        assert!(freeze == "another field would change with it" || freeze.contains("is not written out"), "{freeze}");
        let folded = with("  reason: >-\n    the first\n    and the second");
        assert_eq!(
            said(&folded, Edit::Reason(Some("x".to_owned()))),
            format!("`reason` in line {} is not written out in one line", line + 1)
        );
        assert!(said(&folded, Edit::Reason(None)).starts_with("`reason` in line "));
        let shared = bare.replacen("spec:\n", "spec: &all\n", 1);
        assert_eq!(
            said(&shared, Edit::Suspend(true)),
            format!("there is no safe place for `suspend` below line {line}")
        );
        assert!(said(&prod(), Edit::Image("latest".into())).starts_with("the file could not be used then: "));
        let none = with_rollout(&bare, "leftBehind: []");
        assert_eq!(
            said(&none, Edit::Approved("plan-1".into())),
            "there is no `rollout` in the file, below which `rollout.approved` could stand"
        );
    }
}
