//! The part that all commands share which edit a desired-state file: the change is shown, written, and committed on request.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;

use crate::input::text;
use crate::spec::ClusterSpec;
use crate::spec::splice::edit::{Edit, EditError, fields};

use super::desired::Desired;
use super::file::{self, FileError};
use super::{Exit, Failure, Output, git};

/// The file that is edited, and what becomes of the change.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Edited {
    /// The file, or a folder with `--cluster`
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The cluster, where the path declares several
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

/// The way in which an edited text becomes a file.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Writing {
    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Commit the file with git, and nothing else
    #[arg(long, conflicts_with = "dry_run")]
    commit: bool,
    /// The message of the commit
    #[arg(short, long, value_name = "TEXT", requires = "commit")]
    message: Option<String>,
}

/// The file of a cluster that is held back, and why.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Held {
    #[command(flatten)]
    edited: Edited,
    /// The reason, for whoever looks at the cluster
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
}

impl Held {
    /// Writes what holds the cluster back, with the reason.
    pub fn write(&self, edit: Edit, done: &str, out: &mut Output) -> Result<Exit, Failure> {
        let desired = self.edited.read(out)?;
        let spec = self.edited.cluster(&desired)?;
        self.edited.write(&desired, spec, &[Edit::Reason(Some(self.reason.clone())), edit], done, out)
    }
}

impl Edited {
    /// Reads the file, and those beside it if a folder is named.
    pub fn read(&self, out: &mut Output) -> Result<Desired, Failure> {
        Desired::read(std::slice::from_ref(&self.path), out)
    }

    /// Finds the cluster whose file is edited.
    pub fn cluster<'d>(&self, desired: &'d Desired) -> Result<&'d ClusterSpec, Failure> {
        desired.chosen(self.cluster.as_deref())
    }

    /// Makes the edits, and shows the lines that change. `done` says in a few words what that does, e.g. `suspended`.
    pub fn write(
        &self,
        desired: &Desired,
        spec: &ClusterSpec,
        edits: &[Edit],
        done: &str,
        out: &mut Output,
    ) -> Result<Exit, Failure> {
        let (path, before) = desired.file(spec);
        let after = fields(path, before, spec, edits).map_err(|error| refused(path, error))?;
        let (name, shown) = (&spec.name, text::path(path));
        if after == before {
            writeln!(out.data, "{name}: {done} already ({shown})")?;
            return Ok(Exit::Done);
        }
        self.writing.write(path, before, &after)?;
        let would = if self.writing.dry_run { ", if it were written" } else { "" };
        writeln!(out.data, "{name}: {done}{would} ({shown})")?;
        for line in diff(before, &after) {
            writeln!(out.data, "{line}")?;
        }
        if let Some(id) = self.writing.commit(path, || format!("{name}: {done}"))? {
            writeln!(out.data, "committed as {id}")?;
        }
        Ok(Exit::Done)
    }
}

impl Writing {
    /// Writes the text, unless it is only shown. A file that is to be committed must have no other changes.
    pub fn write(&self, path: &Path, before: &str, after: &str) -> Result<(), Failure> {
        if self.commit {
            git::refuse_unless_committed(path)?;
        }
        if self.dry_run { Ok(()) } else { file::replace(path, before, after) }
    }

    /// Commits the file that was written, where that is asked for, and answers with the commit's short id. `usual` is the
    /// message where none is given.
    pub fn commit(&self, path: &Path, usual: impl FnOnce() -> String) -> Result<Option<String>, Failure> {
        if !self.commit {
            return Ok(None);
        }
        git::commit(path, &self.message.clone().unwrap_or_else(usual)).map(Some)
    }
}

/// Words what keeps an edit from being made, with what to do.
pub fn refused(path: &Path, error: EditError) -> Failure {
    let hint = match &error {
        EditError::NotLiteral { field, .. } => {
            format!(
                "nothing was changed; write `{field}` out in one line without `&`, `*`, `|` and `>`, or edit the file by hand"
            )
        }
        EditError::NoPlace { field, .. } => {
            format!("nothing was changed; add `{field}` by hand, or write its parent as `parent:` alone in a line")
        }
        EditError::NoParent { parent, .. } => format!("nothing was changed; add `{parent}` by hand first"),
        EditError::Shared => {
            "nothing was changed; write the values out instead of `&` and `*`, and run the command again".to_owned()
        }
        EditError::Invalid { .. } => "nothing was changed; edit the file by hand".to_owned(),
    };
    Failure::new(FileError::new(path, "changed", error)).hint(hint)
}

/// Lists the lines that differ, each with its number: those that go with `-`, those that come with `+`.
pub fn diff(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let most = before.len().min(after.len());
    let same = (0..most).take_while(|at| before[*at] == after[*at]).count();
    let is_same_from_end = |at: &usize| before[before.len() - 1 - at] == after[after.len() - 1 - at];
    let same_at_end = (0..most - same).take_while(is_same_from_end).count();
    let (old, new) = (&before[same..before.len() - same_at_end], &after[same..after.len() - same_at_end]);
    // The number of lines that are kept of two tails, at best.
    let mut kept = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for one in (0..old.len()).rev() {
        for two in (0..new.len()).rev() {
            let skipped = kept[one + 1][two].max(kept[one][two + 1]);
            kept[one][two] = if old[one] == new[two] { kept[one + 1][two + 1] + 1 } else { skipped };
        }
    }
    let (mut one, mut two, mut changed) = (0, 0, Vec::new());
    while one < old.len() || two < new.len() {
        if one < old.len() && two < new.len() && old[one] == new[two] {
            (one, two) = (one + 1, two + 1);
        } else if two == new.len() || one < old.len() && kept[one + 1][two] >= kept[one][two + 1] {
            changed.push(format!("  {:>4} - {}", same + one + 1, old[one]));
            one += 1;
        } else {
            changed.push(format!("  {:>4} + {}", same + two + 1, new[two]));
            two += 1;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn lines_that_are_added_removed_and_replaced_are_told_apart() {
        let before = "a\nb\nc\nd\n";
        for (after, expected) in [
            ("a\nb\nc\nd\n", &[][..]),
            ("a\nx\nb\nc\nd\n", &["     2 + x"]),
            ("a\nc\nd\n", &["     2 - b"]),
            ("a\nb\nx\nd\n", &["     3 - c", "     3 + x"]),
            ("a\nb\nc\nd\nx\n", &["     5 + x"]),
            ("a\nb\nc\n", &["     4 - d"]),
            ("x\na\nb\ny\nd\n", &["     1 + x", "     3 - c", "     4 + y"]),
            ("a\nx\ny\nb\nc\nd\n", &["     2 + x", "     3 + y"]),
            ("a\nd\n", &["     2 - b", "     3 - c"]),
        ] {
            assert_eq!(diff(before, after), expected, "{after}");
        }
    }
}
