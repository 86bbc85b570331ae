//! `adopt`: takes over an existing cluster by tagging the instances and volumes of its slots.

use std::collections::BTreeMap;

use crate::ids::{InstanceId, SlotName};
use crate::spec::ClusterSpec;

use super::desired::{Named, unknown};
use super::{Exit, Failure, Output, aws};

#[cfg(feature = "aws")]
mod on_aws;
#[cfg(any(feature = "aws", test))]
mod proposal;

#[cfg(feature = "aws")]
use on_aws::adopt;

const EXAMPLES: &str = "\
Examples:
  hermitcrab adopt consul-prod --slot consul-a=i-0aaa… --slot consul-b=i-0bbb… --slot consul-c=i-0ccc…
      Show what would be tagged, what differs from the file, and what makes adoption impossible
  hermitcrab adopt consul-prod --slot … --yes
      Tag the instances and volumes. Nothing is stopped, started or moved; the command may be run again

The command needs ec2:CreateTags and ec2:ModifyInstanceAttribute on resources that the controller does not own yet. The
controller's own policy denies both, so run the command with a person's credentials.

Exit codes:
  0  shown, or tagged
  1  the cluster cannot be adopted as it is; nothing was tagged";

/// Take over an existing cluster: show its instances and volumes, then tag them
///
/// Instances are named by id, one for every declared slot, and never found by a name.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// The instance that serves a slot; given once for every declared slot
    #[arg(long = "slot", value_name = "SLOT=INSTANCE", value_parser = seat, required = true)]
    slots: Vec<(SlotName, InstanceId)>,
    /// Write the tags
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    aws: aws::Args,
}

fn seat(text: &str) -> Result<(SlotName, InstanceId), String> {
    let (slot, instance) = text.split_once('=').ok_or("write it as SLOT=INSTANCE")?;
    match instance.strip_prefix("i-") {
        Some(rest) if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok((slot.into(), instance.into()))
        }
        _ => Err(format!("`{instance}` is no instance id: an id is `i-` and hexadecimal digits")),
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let spec = args.named.read(out)?;
    let seats = seats(&spec, &args.slots)?;
    adopt(args, &spec, &seats, out)
}

#[cfg(not(feature = "aws"))]
fn adopt(_: &Args, _: &ClusterSpec, _: &BTreeMap<SlotName, InstanceId>, _: &mut Output) -> Result<Exit, Failure> {
    Err(super::cloud::no_aws())
}

/// Checks that every declared slot has one instance, and that no instance is named twice.
fn seats(spec: &ClusterSpec, named: &[(SlotName, InstanceId)]) -> Result<BTreeMap<SlotName, InstanceId>, Failure> {
    let mut seats = BTreeMap::new();
    for (slot, instance) in named {
        if spec.slot(slot).is_none() {
            return Err(unknown("slot", slot, spec.slots.iter().map(|slot| &*slot.name)));
        }
        if let Some((other, _)) = seats.iter().find(|(_, taken)| *taken == instance) {
            return Err(Failure::new(format!("{instance} is named for {other} and for {slot}"))
                .hint("an instance serves one slot"));
        }
        if let Some(first) = seats.insert(slot.clone(), instance.clone()) {
            return Err(Failure::new(format!("{slot} is named twice, with {first} and with {instance}"))
                .hint("one instance serves a slot"));
        }
    }
    match spec.slots.iter().find(|slot| !seats.contains_key(&slot.name)) {
        None => Ok(seats),
        Some(missing) => Err(Failure::new(format!("no instance is named for {}", missing.name)).hint(format!(
            "add --slot {}=i-…: a slot without an instance would count as new, and would be given blank volumes",
            missing.name
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ClusterSpec {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        loaded.specs().next().unwrap().1.clone()
    }

    fn refusal(named: &[&str]) -> String {
        let named: Vec<_> = named.iter().map(|text| seat(text).unwrap()).collect();
        seats(&spec(), &named).unwrap_err().error.to_string()
    }

    #[test]
    fn every_slot_is_named_once_with_an_instance_of_its_own() {
        assert_eq!(refusal(&["consul-a=i-1", "consul-b=i-2"]), "no instance is named for consul-c");
        assert_eq!(refusal(&["consul-a=i-1", "consul-a=i-2"]), "consul-a is named twice, with i-1 and with i-2");
        assert_eq!(refusal(&["consul-a=i-1", "consul-b=i-1"]), "i-1 is named for consul-a and for consul-b");
        assert_eq!(refusal(&["consul-x=i-1"]), "there is no slot `consul-x`");
    }

    #[test]
    fn an_instance_is_named_by_its_id() {
        assert!(seat("consul-a=web-1").unwrap_err().contains("no instance id"));
        assert!(seat("consul-a").is_err());
    }
}
