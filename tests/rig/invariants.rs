//! The safety rules that a single call can break, judged from the truth just before it takes effect.

use crate::ec2::PERSON;
use crate::query::Request;
use crate::world::{Life, World, tag};

/// Lists the rules that a controller's call would break.
pub fn broken(request: &Request, world: &World) -> Vec<String> {
    if request.who == PERSON || !request.is_mutating() || request.is_dry_run() {
        return Vec::new();
    }
    let mut broken = foreign(request, world);
    let instances: Vec<&str> = request.list("InstanceId").collect();
    match request.action.as_str() {
        "TerminateInstances" => {
            let with_data = instances.iter().filter(|id| world.data_of(id).next().is_some());
            broken.extend(with_data.map(|id| format!("{id} was terminated with a data volume attached")));
        }
        "StopInstances" if instances.len() > 1 => broken.push("several instances in one StopInstances".to_owned()),
        "DetachVolume" => broken.extend(detached_too_early(request, world)),
        "AttachVolume" => broken.extend(in_another_slot(request, world)),
        "AssignPrivateIpAddresses" => broken.extend(misplaced(request, world)),
        "DeleteVolume" if !is_a_copys(request.param("VolumeId"), world) => {
            broken.push(format!("{} was to be deleted", request.param("VolumeId")));
        }
        "RunInstances" | "CreateVolume" if request.param("ClientToken").is_empty() => {
            broken.push(format!("{} without a token", request.action));
        }
        "RunInstances" => broken.extend(too_many(request, world)),
        _ => {}
    }
    if request.param("Force") == "true" {
        broken.push(format!("{} with Force", request.action));
    }
    broken
}

/// Calls may only go to what bears our tags.
fn foreign(request: &Request, world: &World) -> Vec<String> {
    let named = request.list("InstanceId").chain([request.param("InstanceId")]);
    let foreign = named.filter(|id| world.machines.get(*id).is_some_and(|found| tag(&found.tags, "owner").is_empty()));
    foreign.map(|id| format!("{} went to {id}, which is not ours", request.action)).collect()
}

/// A rehearsal deletes the volumes of its own copy.
fn is_a_copys(volume: &str, world: &World) -> bool {
    world.disks.get(volume).is_some_and(|disk| tag(&disk.tags, "cluster").contains("-rehearsal-"))
}

fn detached_too_early(request: &Request, world: &World) -> Option<String> {
    let disk = world.disks.get(request.param("VolumeId"))?;
    let (owner, _) = disk.attachment.as_ref()?;
    let machine = world.machines.get(owner)?;
    let stands = matches!(machine.life, Life::Stopped | Life::Terminated);
    (!stands).then(|| format!("{} was detached from {owner}, which is {:?}", request.param("VolumeId"), machine.life))
}

/// An address is taken only from an instance that has stopped, and given only to one that was launched for it.
fn misplaced(request: &Request, world: &World) -> Vec<String> {
    let to = request.param("NetworkInterfaceId");
    let takers: Vec<_> = world.machines.iter().filter(|(_, machine)| machine.interface.id == to).collect();
    let of = |address: &str| -> Vec<String> {
        let runs = world.others_at(address, to).filter(|(_, holder)| !matches!(holder.life, Life::Stopped));
        let runs = runs.map(|(id, holder)| format!("{address} was taken from {id}, which is {:?}", holder.life));
        let foreign = takers.iter().filter(|(_, taker)| tag(&taker.tags, "address") != address);
        runs.chain(foreign.map(|(id, _)| format!("{address} was given to {id}, which is not to have it"))).collect()
    };
    request.list("PrivateIpAddress").flat_map(of).collect()
}

fn in_another_slot(request: &Request, world: &World) -> Option<String> {
    let disk = world.disks.get(request.param("VolumeId"))?;
    let machine = world.machines.get(request.param("InstanceId"))?;
    let (theirs, its) = (tag(&machine.tags, "slot"), tag(&disk.tags, "slot"));
    (theirs != its).then(|| format!("the volume of {its} was attached to an instance of {theirs}"))
}

/// At most one live replacement in a slot.
fn too_many(request: &Request, world: &World) -> Option<String> {
    let slot = request.params.iter().find_map(|(key, value)| {
        let tag = key.strip_suffix(".Key").filter(|_| value == "hermitcrab:slot")?;
        request.params.get(&format!("{tag}.Value"))
    })?;
    let live = world.live_in(slot).count();
    (live > 1).then(|| format!("a third live instance was launched in {slot}"))
}
