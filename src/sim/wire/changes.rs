//! Calls that stop, start and end instances, and set what protects them.

use super::asked::Asked;
use super::instances;
use super::listing::Ids;
use super::problem::Problem;
use super::xml::Xml;
use crate::action::CloudEffect;
use crate::ids::{ClusterName, InstanceId, InterfaceId, SlotName};
use crate::observed::InstanceState;
use crate::ports::Outcome;
use crate::sim::ec2::Bucket;

/// `StopInstances`.
pub fn stop(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    asked.params().flag("Force")?;
    turn(asked, Bucket::Change, "stop", |instance| CloudEffect::Stop { instance })
}

/// `StartInstances`.
pub fn start(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    turn(asked, Bucket::RunInstances, "start", |instance| CloudEffect::Start { instance })
}

/// `TerminateInstances`.
pub fn terminate(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    turn(asked, Bucket::TerminateInstances, "terminate", |instance| CloudEffect::Terminate { instance })
}

/// Brings all the named instances to another state, or none.
fn turn(
    asked: &mut Asked,
    bucket: Bucket,
    call: &str,
    effect: impl Fn(InstanceId) -> CloudEffect,
) -> Result<Vec<Xml>, Problem> {
    let ids = named(asked)?;
    asked.begin(bucket, call, true)?;
    for id in &ids {
        asked.state.region.machine(id)?;
    }
    let mut turned = Vec::new();
    for id in ids {
        let (before, place) = (state_of(asked, &id)?, place_of(asked, &id)?);
        let effect = effect(id.clone());
        if !asked.is_by_controller() && matches!(effect, CloudEffect::Terminate { .. }) {
            interfere(asked, &id);
        }
        if let Outcome::Changed { expected, .. } = asked.change(&place.0, Some(&place.1), &effect)? {
            let text = format!("The instance '{id}' is not in a state of '{expected}' but '{before}'");
            return Err(Problem::new("IncorrectInstanceState", text));
        }
        let now = state_of(asked, &id)?;
        turned.push(vec![
            Xml::text("instanceId", &id),
            instances::state("currentState", now),
            instances::state("previousState", before),
        ]);
    }
    Ok(vec![Xml::set("instancesSet", turned)])
}

fn named(asked: &Asked) -> Result<Vec<InstanceId>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "InstanceId", "i", "InvalidInstanceID.Malformed")?;
    if ids.is_empty() {
        params.required("InstanceId")?;
    }
    Ok(params.list("InstanceId").into_iter().map(InstanceId::from).collect())
}

fn state_of(asked: &Asked, id: &InstanceId) -> Result<InstanceState, Problem> {
    Ok(asked.state.region.machine(id)?.seen.state)
}

/// Names the cluster and the slot of an instance.
pub fn place_of(asked: &Asked, id: &InstanceId) -> Result<(ClusterName, SlotName), Problem> {
    let machine = asked.state.region.machine(id)?;
    Ok((machine.cluster.clone(), machine.seen.slot.clone()))
}

/// Notes that a person has a hand in what becomes of an instance.
fn interfere(asked: &mut Asked, id: &InstanceId) {
    if let Some(machine) = asked.state.region.instances.get_mut(id) {
        machine.interfered = true;
    }
}

/// `AssignPrivateIpAddresses`, of one address, which may be taken from another interface.
pub fn assign(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let interface = InterfaceId::from(params.required("NetworkInterfaceId")?);
    let Some(address) = params.parsed("PrivateIpAddress.1")? else {
        return params.required("PrivateIpAddress.1").map(|_| Vec::new());
    };
    if params.flag("AllowReassignment")? != Some(true) {
        return Err(Problem::new(
            "UnsupportedOperation",
            "The simulated world assigns addresses with reassignment only",
        ));
    }
    asked.begin(Bucket::Change, "assign-address", true)?;
    let missing = || Problem::new("InvalidNetworkInterfaceID.NotFound", format!("{interface} does not exist"));
    let seen = asked.state.region.machine_at(&interface).ok_or_else(missing)?.seen.clone();
    let (cluster, slot) = place_of(asked, &seen.id)?;
    let (instance, subnet) = (seen.id.clone(), seen.subnet.clone());
    let effect = CloudEffect::AssignAddress { address, instance, interface: interface.clone(), subnet };
    asked.change(&cluster, Some(&slot), &effect)?;
    let assigned = vec![Xml::text("privateIpAddress", address)];
    Ok(vec![Xml::text("networkInterfaceId", interface), Xml::set("assignedPrivateIpAddressesSet", [assigned])])
}

/// `ModifyInstanceAttribute`: protection, and what becomes of a volume when its instance ends.
pub fn modify(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let id = InstanceId::from(params.required("InstanceId")?);
    let stop = params.below("DisableApiStop").flag("Value")?;
    let termination = params.below("DisableApiTermination").flag("Value")?;
    let mut kept = Vec::new();
    for mapping in params.entries("BlockDeviceMapping") {
        kept.push((
            mapping.required("DeviceName")?,
            mapping.below("Ebs").flag("DeleteOnTermination")?.unwrap_or(false),
        ));
    }
    asked.begin(Bucket::Change, "modify-attribute", true)?;
    let devices = asked.state.region.machine(&id)?.seen.devices.clone();
    for (device, ends_with_it) in kept {
        let Some(found) = devices.iter().find(|found| found.device == device) else {
            let text = format!("No device is currently mapped at {device}");
            return Err(Problem::new("InvalidInstanceAttributeValue", text));
        };
        asked.state.region.set_delete_on_termination(&found.volume, ends_with_it);
    }
    if let Some(machine) = asked.state.region.instances.get_mut(&id) {
        machine.protection.stop = stop.unwrap_or(machine.protection.stop);
        machine.protection.termination = termination.unwrap_or(machine.protection.termination);
    }
    Ok(vec![Xml::text("return", true)])
}
