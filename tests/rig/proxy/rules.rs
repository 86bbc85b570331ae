//! Refusals of EC2 that moto does not make.

use crate::ec2::Refused;
use crate::query::Request;
use crate::world::{Life, Standing, World};

/// Why EC2 would refuse this call, if it would.
pub fn refusal(request: &Request, world: &World) -> Option<Refused> {
    match request.action.as_str() {
        "AttachVolume" => attach(request, world).err(),
        "DetachVolume" => detach(request, world).err(),
        "StartInstances" => each_instance(request, world, |life| life == Life::Stopped || is_up(life), "started"),
        "StopInstances" => each_instance(
            request,
            world,
            |life| is_up(life) || matches!(life, Life::Stopping | Life::Stopped),
            "stopped",
        ),
        "CreateSnapshot" => volume(request, world).err(),
        "AssignPrivateIpAddresses" => assign(request, world),
        _ => None,
    }
}

fn is_up(life: Life) -> bool {
    matches!(life, Life::Pending | Life::Running)
}

fn attach(request: &Request, world: &World) -> Result<(), Refused> {
    let (id, disk) = volume(request, world)?;
    let instance = request.param("InstanceId");
    let Some(machine) = world.machines.get(instance) else {
        return refused("InvalidInstanceID.NotFound", format!("The instance ID '{instance}' does not exist"));
    };
    match (disk.standing, &disk.attachment) {
        (Standing::Available, _) => {}
        (Standing::Creating, _) => return refused("IncorrectState", format!("{id} is not 'available'.")),
        (_, owner) => {
            let owner = owner.as_ref().map(|(owner, _)| owner.as_str()).unwrap_or_default();
            return refused("VolumeInUse", format!("{id} is already attached to an instance ({owner})"));
        }
    }
    if !matches!(machine.life, Life::Running | Life::Stopped) {
        return refused("IncorrectState", format!("Instance '{instance}' is not 'running'."));
    }
    if disk.zone != machine.zone {
        let message = format!("The volume '{id}' is not in the same availability zone as instance '{instance}'");
        return refused("InvalidVolume.ZoneMismatch", message);
    }
    let device = request.param("Device");
    let taken = |(_, other): (_, &crate::world::Disk)| {
        other.attachment.as_ref().is_some_and(|(owner, name)| owner == instance && name == device)
    };
    if world.disks.iter().any(taken) {
        let message = format!("Invalid value '{device}' for unixDevice. Attachment point {device} is already in use");
        return refused("InvalidParameterValue", message);
    }
    Ok(())
}

fn detach(request: &Request, world: &World) -> Result<(), Refused> {
    let (id, disk) = volume(request, world)?;
    let Some((owner, _)) = &disk.attachment else {
        return refused("IncorrectState", format!("Volume '{id}' is in the 'available' state."));
    };
    let instance = request.param("InstanceId");
    if !instance.is_empty() && instance != owner {
        return refused("InvalidAttachment.NotFound", format!("The volume '{id}' is not attached to '{instance}'."));
    }
    let life = world.machines.get(owner).map(|machine| machine.life);
    if !disk.is_data() && life != Some(Life::Stopped) {
        let message = format!("Unable to detach root volume '{id}' from instance '{owner}'");
        return refused("OperationNotPermitted", message);
    }
    if life == Some(Life::ShuttingDown) {
        return refused("IncorrectState", format!("Instance '{owner}' is shutting down."));
    }
    if disk.standing == Standing::Detaching {
        return refused("IncorrectState", format!("Volume '{id}' is in the 'detaching' state."));
    }
    Ok(())
}

fn assign(request: &Request, world: &World) -> Option<Refused> {
    let address = request.list("PrivateIpAddress").next()?;
    world.others_at(address, request.param("NetworkInterfaceId")).next()?;
    let message = format!("[{address}] is already assigned to another interface");
    let may_move = request.param("AllowReassignment") == "true";
    (!may_move).then(|| Refused { code: "InvalidParameterValue".into(), message })
}

fn volume<'w>(request: &Request, world: &'w World) -> Result<(String, &'w crate::world::Disk), Refused> {
    let id = request.param("VolumeId");
    match world.disks.get(id) {
        Some(disk) => Ok((id.to_owned(), disk)),
        None => refused("InvalidVolume.NotFound", format!("The volume '{id}' does not exist.")),
    }
}

fn each_instance(request: &Request, world: &World, may: fn(Life) -> bool, done: &str) -> Option<Refused> {
    request.list("InstanceId").find_map(|id| {
        let machine = world.machines.get(id)?;
        let message = format!("The instance '{id}' is not in a state from which it can be {done}.");
        (!may(machine.life)).then(|| Refused { code: "IncorrectInstanceState".into(), message })
    })
}

fn refused<T>(code: &str, message: String) -> Result<T, Refused> {
    Err(Refused { code: code.into(), message })
}
