//! `freeze`: says in a cluster's file that nothing at all is done to it.

use crate::spec::splice::edit::Edit;

use super::edit::Held;
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab freeze desired-state/prod/consul.yaml --reason 'being mended by hand (Ann)'
      Write `freeze: true` and the reason into the file; once it is committed, nothing is done to the cluster

Upgrades alone are stopped by `hermitcrab suspend`. To stop all clusters at once: `hermitcrab run --kill-switch FILE`.";

/// Stop everything for a cluster: write into its file that nothing is done, not even to heal it or to finish a replacement
///
/// Nothing else in the file changes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    held: Held,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    args.held.write(Edit::Freeze(true), "frozen", out)
}
