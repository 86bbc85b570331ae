//! `validate`: checks desired-state files without AWS and without a network.

use std::io::Write;

use crate::input::text;
use crate::spec::load::{Loaded, load};
use crate::spec::render;

use super::desired::Paths;
use super::format::{self, Format};
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab validate
      Check every file below desired-state
  hermitcrab validate desired-state/prod/consul.yaml
      Check one file
  hermitcrab validate -o github
      Annotate the changed lines in a GitHub workflow

Exit codes:
  0  every file can be used; there may be warnings
  1  there are errors";

/// Check desired-state files, and report all problems of all files at once
///
/// Reads nothing but the files, so that no credentials and no network are needed.
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
    let loaded = load(&args.paths.paths);
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

/// Writes a line for each file that can be used, in columns.
fn write_good(loaded: &Loaded, out: &mut dyn Write) -> Result<(), Failure> {
    let good: Vec<_> = loaded.specs().map(|(path, spec)| (text::path(path), spec)).collect();
    let width = good.iter().map(|(path, _)| path.chars().count()).max().unwrap_or_default();
    let name_width = good.iter().map(|(_, spec)| spec.name.len()).max().unwrap_or_default();
    for (path, spec) in &good {
        let slots = match spec.slots.len() {
            1 => "1 slot".to_owned(),
            count => format!("{count} slots"),
        };
        writeln!(out, "ok  {path:width$}  {:name_width$}  {slots}", spec.name)?;
    }
    Ok(())
}

/// Counts the files that cannot be used, where there are any.
fn summary(loaded: &Loaded) -> String {
    let broken = loaded.files.values().filter(|file| file.spec.is_none()).count();
    match (broken, loaded.files.len()) {
        (0, _) => String::new(),
        (broken, all) => format!("{broken} of {all} files cannot be used\n"),
    }
}
