//! `suspend`: says in a cluster's file that no upgrades are made.

use crate::spec::splice::edit::Edit;

use super::edit::Held;
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab suspend desired-state/prod/consul.yaml --reason 'quota is used up, until Monday (Ann)'
      Write `suspend: true` and the reason into the file; once it is committed, no upgrade begins
  hermitcrab suspend desired-state --cluster consul-prod --reason 'incident 4711' --commit
      Find the file by its cluster, and commit it

To stop everything, healing too: `hermitcrab freeze`. To stop all clusters at once: `hermitcrab run --kill-switch FILE`.";

/// Pause a cluster: write into its file that no upgrades are made, while healing goes on
///
/// Nothing else in the file changes. A replacement whose old instance was stopped already is finished.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, visible_alias = "pause")]
pub struct Args {
    #[command(flatten)]
    held: Held,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    args.held.write(Edit::Suspend(true), "suspended", out)
}
