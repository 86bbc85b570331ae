//! `iam-policy`: the least that the controller must be allowed to do, for the clusters that are declared.

use std::collections::BTreeSet;

use crate::cloud::permissions::{ClaimsBucket, Grant, Task, partition_of, policy};
use crate::coordination::place::Place;
use crate::ids::Owner;
use crate::spec::ClusterSpec;

use super::desired::{Desired, Paths};
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab iam-policy desired-state/prod > policy.json
      The policy for a controller of these clusters; attach it to the role that it runs with
  hermitcrab iam-policy desired-state/prod --kms-key arn:aws:kms:us-east-1:123456789012:key/…
      The same, where volumes are encrypted with a key of your own that no file names as `kmsKey`, such as the default one
  hermitcrab iam-policy desired-state/prod --claims s3://platform-state/hermitcrab
      The same, and what it takes to keep the claims there
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
    /// A customer-managed KMS key that volumes are encrypted with and that no file names as `kmsKey`
    #[arg(long, value_name = "ARN")]
    kms_key: Vec<String>,
    /// A role of a declared instance profile, where it is not called like the profile
    #[arg(long, value_name = "NAME")]
    role: Vec<String>,
    /// The place where the controller keeps its claims, as `run` is told it; only a bucket, `s3://BUCKET/PREFIX`, takes permissions
    #[arg(long, value_name = "PLACE")]
    claims: Option<Place>,
    /// The launch template of an adopted group, where it does not bear the tag `hermitcrab:owner`
    #[arg(long, value_name = "ID")]
    launch_template: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(&args.paths.paths, out)?;
    let task = if args.rehearse { Task::Rehearse } else { Task::Control };
    one_partition(&desired.specs)?;
    let Args { owner, kms_key, role, claims, launch_template, .. } = args;
    let claims = match claims {
        Some(Place::Bucket(bucket)) => Some(ClaimsBucket { name: &bucket.name, prefix: &bucket.prefix }),
        Some(Place::Directory(_) | Place::Consul(_)) | None => None,
    };
    let grant = Grant { task, owner, kms_keys: kms_key, roles: role, claims, launch_templates: launch_template };
    out.json(&policy(&desired.specs, &grant))?;
    Ok(desired.exit())
}

/// Refuses clusters of several partitions of AWS: no role acts in two, and every name in a policy begins with its partition.
fn one_partition(specs: &[ClusterSpec]) -> Result<(), Failure> {
    let names: BTreeSet<_> = specs.iter().map(|spec| partition_of(&spec.region).name).collect();
    if names.len() <= 1 {
        return Ok(());
    }
    let names = names.into_iter().collect::<Vec<_>>().join(" and ");
    let text = format!("these clusters lie in different partitions of AWS, {names}, and no role acts in two");
    Err(Failure::new(text).hint("print a policy for each partition: name its files alone"))
}
