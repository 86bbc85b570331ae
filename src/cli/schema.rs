//! `schema`: prints the JSON schema of desired-state files.

use std::io::{self, Write};

use crate::spec::raw;

const EXAMPLES: &str = "\
Examples:
  hermitcrab schema > schema/cluster.v1.json
      Write the schema to a file
  # yaml-language-server: $schema=../../schema/cluster.v1.json
      As the first line of a desired-state file: an editor then completes, explains and checks its fields";

/// Print the JSON schema (draft 7) of desired-state files
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Runs the command; returns its exit code.
pub fn run(_args: &Args, stdout: &mut dyn Write, _stderr: &mut dyn Write, _color: bool) -> io::Result<u8> {
    writeln!(stdout, "{:#}", raw::schema())?;
    Ok(0)
}
