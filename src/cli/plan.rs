//! `plan`: shows the changes to come, their order and reasons, what they cost, and whether they may begin now.

use super::cloud;
use super::desired::{Desired, Paths};
use super::format::{self, Format};
use super::{Exit, Failure, Output};

pub mod json;

mod headline;
mod markdown;
mod text;

pub use headline::counted;

use json::{Answer, Document};

const EXAMPLES: &str = "\
Examples:
  hermitcrab plan desired-state/prod
      Show what differs between the files and the cloud, and what will be changed
  hermitcrab plan desired-state/prod/consul.yaml --cloud simulated --image ami-0bbbbbbbbbbbbbbbb
      Show what committing another image would do, without an AWS account
  hermitcrab plan desired-state -o markdown > comment.md
      Write a comment for a pull request; the hidden marker in its first line says which comment to replace
  hermitcrab plan desired-state -o json --detailed-exitcode
      For a script: 2 means that there are changes to make

Exit codes:
  0  there is nothing to do, or --detailed-exitcode was not given
  1  a file cannot be used, or the cloud could not be read
  2  there are changes to make (with --detailed-exitcode)
  3  there are none, and a cluster is stalled: a person must act (with --detailed-exitcode)";

/// Show what will be changed, in which order and why, and whether it may begin now
///
/// Nothing is changed. Times are medians of published figures, and say `about`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    /// The format of the plan; schema/plan.v1.json is the schema of its JSON
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REVIEW))]
    output: Format,
    /// Exit with 2 if there are changes to make, and with 3 if there are none because a person must act first
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(&args.paths.paths, out)?;
    let environment = args.cloud.open(&desired.specs)?.beside(&desired);
    let plans = environment.specs.iter().map(|spec| json::ClusterPlan::new(spec, &environment.look(spec)));
    let document = Document::new(plans.collect());
    match args.output {
        Format::Json => out.json(&document)?,
        Format::Markdown => out.data.write_all(markdown::render(&document).as_bytes())?,
        _ => out.text(&text::render(&document))?,
    }
    Ok(match desired.exit() {
        Exit::Done => exit(&document, args.detailed_exitcode),
        other => other,
    })
}

/// Renders a document as `plan` shows it to a person.
pub fn shown(document: &Document) -> String {
    text::render(document)
}

/// Returns the exit code of the document, so that code and text never differ.
fn exit(document: &Document, detailed: bool) -> Exit {
    let is_seen = document.plans.iter().all(|plan| plan.seen);
    let is_stalled = document.plans.iter().any(|plan| plan.next.answer == Answer::Stalled);
    match (is_seen, detailed) {
        (false, _) => Exit::Error,
        (true, false) => Exit::Done,
        (true, true) if document.has_changes() => Exit::ChangesPending,
        (true, true) if is_stalled => Exit::Failed,
        (true, true) => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::sim::{FaultLevel, World};

    /// Plans for a settled cluster whose first slots are outdated, `count` of them.
    fn outdated(count: usize) -> Document {
        let path = PathBuf::from("desired-state/prod/consul.yaml");
        let spec = crate::spec::load::load(&[path]).specs().next().unwrap().1.clone();
        let world = World::new(0, FaultLevel::None);
        world.settle(&spec);
        for slot in spec.slots.iter().take(count) {
            let instance = world.instances_of(&spec.name, &slot.name).remove(0);
            world.edit_instance(&instance, |instance| {
                std::sync::Arc::make_mut(&mut instance.make).instance_type = "m6i.large".to_owned()
            });
        }
        let environment = cloud::Environment::simulated(vec![spec.clone()], world, None);
        Document::new(vec![json::ClusterPlan::new(&spec, &environment.look(&spec))])
    }

    #[test]
    fn the_exit_code_is_two_exactly_if_a_slot_is_to_be_changed() {
        for count in 0..=3 {
            let document = outdated(count);
            assert_eq!(document.plans[0].slots.len(), count);
            assert_eq!(exit(&document, true) == Exit::ChangesPending, count > 0);
            assert_eq!(exit(&document, false), Exit::Done);
        }
    }

    #[test]
    fn a_world_that_cannot_be_seen_is_an_error_and_not_a_plan_without_changes() {
        let mut document = outdated(0);
        document.plans[0].seen = false;
        assert_eq!(exit(&document, true), Exit::Error);
    }
}
