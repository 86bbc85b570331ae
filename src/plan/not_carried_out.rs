//! Edits of the file that no controller carries out: a volume that exists stays as it was made, but for growing, and an instance
//! where its capacity came from.

use crate::make::CapacityReservation;
use crate::observed::Instance;

use super::look::{Look, SlotLook};

/// Names every volume and instance that is not as it would be made today, one sentence each.
pub fn notes(look: &Look<'_>) -> Vec<String> {
    let reservations = look.slots.iter().flat_map(|slot| slot.live().filter_map(|it| reservation(look, slot, it)));
    look.slots.iter().flat_map(of_slot).chain(reservations).collect()
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
