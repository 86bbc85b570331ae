//! Gates about what would go wrong only when the member is down, and can be known before.

use crate::observed::Instance;
use crate::plan::address;
use crate::plan::answer::Hazard;
use crate::plan::undeclared;
use crate::spec::same_device;

use super::question::{Finding, Question, finding, listed};

/// Refuses while the instance has a volume that the file does not declare, and that may hold data: the replacement would
/// begin without it.
pub(super) fn undeclared_volume(q: &Question<'_, '_>) -> Finding {
    let found = undeclared::left_behind(q.look, q.slot);
    let volumes: Vec<_> = found
        .iter()
        .map(|found| (found.device.volume.clone(), found.instance.id.clone(), found.device.device.clone()))
        .collect();
    let value = listed(volumes.iter().map(|(volume, instance, device)| format!("{volume} at {device} of {instance}")));
    let hazard = (!volumes.is_empty()).then_some(Hazard::UndeclaredVolume { volumes });
    finding(value, "no volume that the file does not declare", hazard)
}

/// Refuses where something else is at the device of a declared volume: in the image, or at an instance that is to have the
/// volume, be it the new one or, should the replacement be taken back, the old one.
pub(super) fn device_taken(q: &Question<'_, '_>) -> Finding {
    let image = q.look.cloud.catalogue.images.get(q.image);
    let in_image = image.and_then(|image| {
        let device = image.devices.keys().find(|device| is_declared(q, device))?;
        Some((device.clone(), format!("{} brings a volume of its own there", q.image)))
    });
    let at_instance = || {
        q.slot.live().find_map(|instance: &Instance| {
            let others = undeclared::at(q.look, q.slot, instance);
            let other = others.iter().find(|other| is_declared(q, &other.device.device))?;
            Some((other.device.device.clone(), format!("{} has {} there", instance.id, other.device.volume)))
        })
    };
    let taken = in_image.or_else(at_instance);
    let value = taken.as_ref().map_or_else(|| "all free".to_owned(), |(device, why)| format!("{device}: {why}"));
    let hazard = taken.map(|(device, why)| Hazard::DeviceTaken { device, why });
    finding(value, "nothing else at the devices of declared volumes", hazard)
}

/// Refuses while something else has the slot's fixed address: the replacement would stand there without it, its member down.
pub(super) fn address_taken(q: &Question<'_, '_>) -> Finding {
    let wants = "the slot's fixed address free, or at an instance of the slot";
    let Some(declared) = q.slot.spec.address else { return finding("none declared", wants, None) };
    let by = address::taken_by(q.look, q.slot, declared);
    let value = by.as_ref().map_or_else(|| format!("{declared}: not elsewhere"), |by| format!("{declared} at {by}"));
    finding(value, wants, by.map(|by| Hazard::AddressTaken { address: declared, by }))
}

/// Says whether a device is a declared one, by whatever name. Some images leave out `/dev/`.
fn is_declared(q: &Question<'_, '_>, device: &str) -> bool {
    let device = format!("/dev/{}", device.trim_start_matches("/dev/"));
    q.look.spec.volumes.iter().any(|volume| same_device(&volume.device, &device))
}

/// Refuses an instance type that the region does not have, or on which the guest could not find its volumes.
pub(super) fn type_unsuitable(q: &Question<'_, '_>) -> Finding {
    let (catalogue, wanted) = (&q.look.cloud.catalogue, &q.look.spec.instance.instance_type);
    let image = catalogue.images.get(q.image);
    // An image that says nothing of its guest may find volumes in another way.
    let by_serial = catalogue.xen_types.contains(wanted) && image.is_some_and(|image| image.isolates_copies);
    let why = match catalogue.instance_types.contains_key(wanted) {
        false => Some(format!("there is no such type in {}", q.look.spec.region)),
        true => by_serial.then(|| {
            format!("it runs on Xen, where the guest of {} cannot find volumes by their NVMe serial", q.image)
        }),
    };
    let value = why.clone().unwrap_or_else(|| wanted.clone());
    let hazard = why.map(|why| Hazard::TypeUnsuitable { instance_type: wanted.clone(), why });
    finding(value, "a type of this region that the guest can work with", hazard)
}
