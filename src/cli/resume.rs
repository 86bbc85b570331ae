//! `resume`: takes back in a cluster's file what `suspend` and `freeze` have written.

use crate::spec::splice::edit::Edit;

use super::edit::Edited;
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab resume desired-state/prod/consul.yaml
      Write `suspend: false` and `freeze: false` where they are true, and take their reason away
  hermitcrab resume desired-state/prod/consul.yaml --commit --message 'consul-prod: the quota is raised'
      Say in the commit why";

/// Go on with a cluster that was suspended or frozen
///
/// Nothing else in the file changes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    edited: Edited,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = args.edited.read(out)?;
    let spec = args.edited.cluster(&desired)?;
    let set = [(spec.suspend, Edit::Suspend(false)), (spec.freeze, Edit::Freeze(false))];
    let set = set.into_iter().filter(|(is_set, _)| *is_set).map(|(_, edit)| edit);
    let reason = spec.reason.is_some().then_some(Edit::Reason(None));
    args.edited.write(&desired, spec, &set.chain(reason).collect::<Vec<_>>(), "resumed", out)
}
