//! `schema`: prints the JSON schema of desired-state files.

use crate::spec::raw;

use super::{Exit, Failure, Output};

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

/// Runs the command.
pub fn run(_: &Args, out: &mut Output) -> Result<Exit, Failure> {
    writeln!(out.data, "{:#}", raw::schema())?;
    Ok(Exit::Done)
}
