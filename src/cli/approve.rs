//! `approve`: writes the id of the plan that waits for an approval into its cluster's file.

use std::io::Write;

use crate::ids::PlanId;
use crate::spec::Approval;
use crate::spec::splice::edit::Edit;

use super::edit::Edited;
use super::plan::json::{ClusterPlan, Document};
use super::{Exit, Failure, Output, cloud, plan};

const EXAMPLES: &str = "\
Examples:
  hermitcrab approve desired-state/prod/consul.yaml
      Show the plan, and write its id into the file; once it is committed, the rollout goes on
  hermitcrab approve desired-state/prod/consul.yaml --plan plan-e289ea3ec058a6fb
      Do so only if that is the plan, e.g. the one in a comment that was reviewed
  hermitcrab approve desired-state/prod/consul.yaml --dry-run
      Only show the plan, and the line that would change

Exit codes:
  0  written, or approved already
  1  nothing waits for an approval, another plan does, or the cloud could not be read";

/// Agree to the rest of a rollout: write the id of its plan into the cluster's file, as `rollout.approved`
///
/// The plan is made from a fresh look at the cluster, as `plan` makes it, and shown. Nothing else in the file changes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    edited: Edited,
    /// Approve this plan and no other
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = args.edited.read(out)?;
    let declared = args.edited.cluster(&desired)?;
    let name = &declared.name;
    if args.cloud.image.as_ref().is_some_and(|image| *image != declared.image) {
        let failure = Failure::new("`--image` has no effect on what the file says, and that is what is approved");
        return Err(Failure { exit: Exit::Usage, ..failure.hint("leave it out") });
    }
    let (spec, environment) = args.cloud.open_for(declared)?;
    let document = Document::new(vec![ClusterPlan::new(&spec, &environment.look(&spec))]);
    write!(out.data, "{}", plan::shown(&document))?;
    let Some(shown) = document.plans.first().filter(|plan| plan.seen) else {
        return Err(Failure::new(format!("{name} could not be seen, so there is no plan to approve")));
    };
    if let Some(wanted) = &args.plan
        && shown.plan_id.as_ref() != Some(wanted)
    {
        let is = shown.plan_id.as_deref().unwrap_or("none");
        return Err(Failure::new(format!("the plan of {name} is {is}, and not {wanted}"))
            .hint("look at the plan above: its file, or what it finds, has changed since"));
    }
    match (&shown.approval_needed, &shown.plan_id) {
        (Some(id), _) => {
            let edit = Edit::Approved(PlanId::from(id.as_str()));
            args.edited.write(&desired, declared, &[edit], &format!("{id} approved"), out)
        }
        (None, Some(id)) if declared.rollout.approved.as_deref() == Some(id) => {
            writeln!(out.data, "{name}: {id} is approved already")?;
            Ok(Exit::Done)
        }
        (None, _) => Err(Failure::new(format!("nothing of {name} waits for an approval now")).hint(
            match declared.rollout.approval {
                Approval::Never => "its file does not ask for one: `approval: never` under `rollout`",
                Approval::Canary => "the first slot needs none; approve the rest once it has settled",
                Approval::EverySlot => "approve when the next slot is to be replaced",
            },
        )),
    }
}
