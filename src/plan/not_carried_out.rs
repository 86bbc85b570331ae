//! Edits of the file that no controller carries out: a volume that exists stays as it was made, but for growing, and at its
//! device; an instance stays where its capacity came from; and no member runs another version than its image has.

use crate::make::CapacityReservation;
use crate::observed::{Health, Instance, Volume, is_version};
use crate::spec::VolumeSpec;

use super::drift::drifts;
use super::look::{Look, Place, SlotLook};
use super::slot_state::{SlotState, slot_state};

/// Names everything that is not as it would be made today and stays so, one sentence each.
pub fn notes(look: &Look<'_>) -> Vec<String> {
    let reservations = look.slots.iter().flat_map(|slot| slot.live().filter_map(|it| reservation(look, slot, it)));
    let current = || look.slots.iter().filter(|slot| is_current(look, slot));
    let (devices, versions) = (current().flat_map(|slot| devices(look, slot)), current());
    let versions = versions.filter_map(|slot| version(look, slot));
    look.slots.iter().flat_map(of_slot).chain(reservations).chain(devices).chain(versions).collect()
}

/// Says whether nothing is going to replace the slot's instance. A replacement is attached and started as the file says.
fn is_current(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    let is_claimed = look.record.held.as_ref().is_some_and(|claim| claim.slot == slot.spec.name);
    match slot_state(look, slot) {
        SlotState::Serving(instance) if !is_claimed => drifts(&look.make, slot.spec, instance).is_empty(),
        _ => false,
    }
}

/// Names the volumes that are attached as another device than declared.
fn devices(look: &Look<'_>, slot: &SlotLook<'_>) -> Vec<String> {
    let attached = slot.present().filter_map(|(declared, volume)| match look.place(volume) {
        Place::On { instance, device } if device != declared.device => Some((declared, volume, instance, device)),
        _ => None,
    });
    let note = |(declared, volume, instance, device): (&VolumeSpec, &Volume, _, _)| {
        let (id, name, slot, wanted) = (&volume.id, &volume.name, &slot.spec.name, &declared.device);
        format!(
            "{id}, {name} of {slot}, stays at {device} of {instance}; {wanted} counts from the slot's next launch on"
        )
    };
    attached.map(note).collect()
}

/// Names a member that runs another version than the file says although its instance is as the file wants it.
fn version(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<String> {
    let wanted = look.rules.version.as_deref()?;
    let member = slot.member.filter(|member| member.health == Health::Healthy)?;
    let found = member.version.as_deref().filter(|found| !is_version(wanted, found))?;
    let (slot, image) = (&slot.spec.name, &look.make.image);
    Some(format!(
        "{slot} stays at version {found}, and the file says {wanted}: {image} has {found}, so commit an image with {wanted}"
    ))
}

/// Names an instance that was launched into other capacity than it would be today.
fn reservation(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance) -> Option<String> {
    let wanted = look.make.capacity_reservation.as_ref()?;
    let is = instance.make.capacity_reservation.as_ref().unwrap_or(&CapacityReservation::Open);
    (is != wanted).then(|| {
        format!(
            "{} of {} was launched with capacity reservation {is}; {wanted} counts from the slot's next launch on",
            instance.id, slot.spec.name
        )
    })
}

fn of_slot<'l>(slot: &'l SlotLook<'_>) -> impl Iterator<Item = String> + 'l {
    let volumes = slot.volumes.iter().filter_map(|(declared, volume)| Some((declared, (*volume)?)));
    volumes.filter_map(|(declared, volume)| {
        let differences = declared.differences_from(volume.size_gib, volume.ebs.as_ref(), &volume.tags);
        let (id, name, slot, differences) = (&volume.id, &volume.name, &slot.spec.name, differences.join(", "));
        (!differences.is_empty()).then(|| {
            format!(
                "{id}, {name} of {slot}, stays as it was made; not carried out: {differences}; modify the volume in EC2, or correct the file"
            )
        })
    })
}
