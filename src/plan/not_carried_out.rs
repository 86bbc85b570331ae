//! Edits of the file that no controller carries out: a volume that exists stays as it was made.

use super::look::{Look, SlotLook};

/// Names every volume that is not as it would be made today, one sentence each.
pub fn notes(look: &Look<'_>) -> Vec<String> {
    look.slots.iter().flat_map(of_slot).collect()
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
