//! `iam-policy`: the least that the controller must be allowed to do, for the clusters that are declared.

use crate::cloud::permissions::{Grant, Task, policy};
use crate::ids::Owner;

use super::desired::{Desired, Paths};
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab iam-policy desired-state/prod > policy.json
      The policy for a controller of these clusters; attach it to the role that it runs with
  hermitcrab iam-policy desired-state/prod --kms-key arn:aws:kms:us-east-1:123456789012:key/…
      The same, where volumes are encrypted with a key of your own
  hermitcrab iam-policy desired-state/prod --rehearse > rehearse.json
      The policy for whoever rehearses them, for another role: it changes and deletes copies alone
  aws iam put-role-policy --role-name hermitcrab --policy-name hermitcrab --policy-document file://policy.json
      Attach it

docs/running-on-aws.md says what each permission is for. The controller's policy denies deleting volumes and snapshots, and tagging
resources that are not the controller's yet: run `adopt` with a person's credentials.";

/// Print the least IAM policy that the controller needs for the declared clusters
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    /// Print the policy for rehearsals of these clusters instead
    #[arg(long)]
    rehearse: bool,
    /// The value of the `hermitcrab:owner` tag on what the controller may touch
    #[arg(long, value_name = "NAME", default_value = Owner::DEFAULT)]
    owner: String,
    /// A customer-managed KMS key that volumes are encrypted with
    #[arg(long, value_name = "ARN")]
    kms_key: Vec<String>,
    /// A role of a declared instance profile, where it is not called like the profile
    #[arg(long, value_name = "NAME")]
    role: Vec<String>,
    /// The AWS partition
    #[arg(long, value_name = "NAME", default_value = "aws", value_parser = ["aws", "aws-cn", "aws-us-gov"])]
    partition: String,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(&args.paths.paths, out)?;
    let task = if args.rehearse { Task::Rehearse } else { Task::Control };
    let Args { owner, partition, kms_key, role, .. } = args;
    let grant = Grant { task, owner, partition, kms_keys: kms_key, roles: role };
    out.json(&policy(&desired.specs, &grant))?;
    Ok(desired.exit())
}
