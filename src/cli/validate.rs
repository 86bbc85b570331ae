//! `validate`: checks desired-state files without AWS and without a network.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::ValueEnum;

use crate::input::text;
use crate::spec::load::{Loaded, load};
use crate::spec::render;

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
/// Nothing but the files is looked at: no credentials and no network are needed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files, or folders that are searched for `*.yaml` and `*.yml`
    #[arg(value_name = "PATH", default_value = "desired-state")]
    paths: Vec<PathBuf>,
    /// How problems are written: text for people, json for programs, github for annotations
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// Problems on stderr, a line for each good file on stdout
    #[default]
    Text,
    /// One JSON document on stdout, shaped like Terraform's
    Json,
    /// GitHub workflow commands on stdout
    Github,
}

/// Runs the command; returns its exit code.
pub fn run(args: &Args, stdout: &mut dyn Write, stderr: &mut dyn Write, color: bool) -> io::Result<u8> {
    let loaded = load(&args.paths);
    match args.output {
        Format::Text => {
            write_good(&loaded, stdout)?;
            write!(stderr, "{}{}", render::text(&loaded, color), summary(&loaded))?;
        }
        Format::Json => write!(stdout, "{}", render::json(&loaded))?,
        Format::Github => write!(stdout, "{}", render::github(&loaded))?,
    }
    Ok(u8::from(loaded.has_errors()))
}

/// A line for each file that can be used, in columns.
fn write_good(loaded: &Loaded, stdout: &mut dyn Write) -> io::Result<()> {
    let good: Vec<_> = loaded.specs().map(|(path, spec)| (text::path(path), spec)).collect();
    let width = good.iter().map(|(path, _)| path.chars().count()).max().unwrap_or_default();
    let name_width = good.iter().map(|(_, spec)| spec.name.len()).max().unwrap_or_default();
    for (path, spec) in &good {
        let slots = match spec.slots.len() {
            1 => "1 slot".to_owned(),
            count => format!("{count} slots"),
        };
        writeln!(stdout, "ok  {path:width$}  {:name_width$}  {slots}", spec.name)?;
    }
    Ok(())
}

/// A last line, if there is anything to sum up.
fn summary(loaded: &Loaded) -> String {
    let broken = loaded.files.values().filter(|file| file.spec.is_none()).count();
    match (broken, loaded.files.len()) {
        (0, _) => String::new(),
        (broken, all) => format!("{broken} of {all} files cannot be used\n"),
    }
}
