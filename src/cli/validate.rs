//! `validate`: checks desired-state files without AWS and without a network.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::input::text;
use crate::spec::load::{Loaded, Severity, check, load};
use crate::spec::{ClusterSpec, render};

use super::desired::Paths;
use super::format::{self, Format};
use super::plan::counted;
use super::{Exit, Failure, Output, file};

const EXAMPLES: &str = "\
Examples:
  hermitcrab validate
      Check every file below desired-state
  hermitcrab validate desired-state/prod/consul.yaml
      Check one file
  git show origin/main:desired-state/prod/consul.yaml | hermitcrab validate -
      Check what comes from somewhere else
  hermitcrab validate -o github
      Annotate the changed lines in a GitHub workflow

Exit codes:
  0  every file can be used; there may be warnings
  1  there are errors, or no file was found";

/// Check desired-state files, and report all problems of all files at once
///
/// Reads nothing but the files, so that no credentials and no network are needed. `-` stands for one file on stdin.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    /// The format of the problems; text goes to stderr, json is shaped like Terraform's
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::PROBLEMS))]
    output: Format,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let loaded = read(&args.paths.paths)?;
    match args.output {
        Format::Json => write!(out.data, "{}", render::json(&loaded))?,
        Format::Github => write!(out.data, "{}", render::github(&loaded))?,
        _ => {
            write_good(&loaded, &mut out.data)?;
            let color = out.colors_notes();
            write!(out.notes, "{}{}", render::text(&loaded, color), summary(&loaded))?;
        }
    }
    Ok(if loaded.has_errors() { Exit::Error } else { Exit::Done })
}

/// Reads the files, or the one on stdin.
fn read(paths: &[PathBuf]) -> Result<Loaded, Failure> {
    let stdin = Path::new("-");
    match paths {
        [only] if only == stdin => Ok(check(stdin, &file::read_text(stdin)?)),
        paths if paths.iter().any(|path| path == stdin) => {
            let failure = Failure::new("`-` stands for stdin, beside other files");
            Err(Failure { exit: Exit::Usage, ..failure.hint("check the files and stdin one after the other") })
        }
        paths => Ok(something_is_checked(load(paths))),
    }
}

/// Makes an error of folders without a file, if no other file was checked either: whoever asks has named the wrong folder.
fn something_is_checked(mut loaded: Loaded) -> Loaded {
    if loaded.files.is_empty() {
        loaded.problems.iter_mut().for_each(|problem| problem.severity = Severity::Error);
    }
    loaded
}

/// Writes a line for each file that can be used, in columns. Of a cluster that is too small to be upgraded it says so.
fn write_good(loaded: &Loaded, out: &mut dyn Write) -> Result<(), Failure> {
    let good: Vec<_> = loaded.specs().map(|(path, spec)| (text::path(path), spec)).collect();
    let width = good.iter().map(|(path, _)| path.chars().count()).max().unwrap_or_default();
    let name_width = good.iter().map(|(_, spec)| spec.name.len()).max().unwrap_or_default();
    for (path, spec) in &good {
        let slots = counted(spec.slots.len(), "slot");
        let note = if can_spare_one(spec) { "" } else { "; too few to be upgraded, because none can be done without" };
        writeln!(out, "ok  {path:width$}  {:name_width$}  {slots}{note}", spec.name)?;
    }
    Ok(())
}

/// Says whether the cluster works while one of its members is down.
pub(super) fn can_spare_one(spec: &ClusterSpec) -> bool {
    spec.slots.len() > spec.needed()
}

/// Counts the files that cannot be used, where there are any.
fn summary(loaded: &Loaded) -> String {
    let broken = loaded.files.values().filter(|file| file.spec.is_none()).count();
    match (broken, loaded.files.len()) {
        (0, _) => String::new(),
        (broken, all) => format!("{broken} of {all} files cannot be used\n"),
    }
}
