//! Where an unclaimed slot stands, classified from the observation and never remembered.

use std::collections::BTreeSet;

use crate::ids::{InstanceId, SlotName, VolumeId, VolumeName, Zone};
use crate::observed::{Instance, InstanceState};

use super::look::{Look, Place, SlotLook};

/// Where a slot stands while nobody claims it.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Standing<'a> {
    /// It was never initialised, and these volumes are still to be made.
    Blank { lacking: Vec<VolumeName> },
    /// It was initialised, and these volumes are not there.
    VolumeMissing { lacking: Vec<VolumeName> },
    /// A volume lies outside the slot's zone.
    VolumeElsewhere { volume: VolumeId, zone: Zone },
    /// A volume is of no use as it is.
    VolumeUnusable { volume: VolumeId, why: &'static str },
    /// No instance serves it. One that once did may be left, without all of the volumes.
    Vacant { shell: Option<&'a Instance> },
    /// One instance has all its volumes and runs, or is about to.
    Serving(&'a Instance),
    /// One instance has all its volumes and was stopped.
    Down(&'a Instance),
    /// A replacement that nobody claims: its claim was lost, or gave way to a slot that needed it more.
    Interrupted { old: Option<&'a Instance>, new: &'a Instance },
    /// Several live instances, and not all of them ours to sort out.
    Contested(BTreeSet<InstanceId>),
    /// Something is on its way, or the views do not agree.
    Unclear(Unclear<'a>),
}

/// What is on its way.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Unclear<'a> {
    Volume { volume: &'a VolumeId, place: Place<'a> },
    Instance(&'a Instance),
    Views(String),
}

/// Classifies a slot.
pub fn standing<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> Standing<'a> {
    let lacking: Vec<_> =
        slot.volumes.iter().filter(|(_, there)| there.is_none()).map(|(spec, _)| spec.name.clone()).collect();
    if !lacking.is_empty() {
        return match initialised(look, slot) {
            true => Standing::VolumeMissing { lacking },
            false => Standing::Blank { lacking },
        };
    }
    for (_, volume) in slot.present() {
        if volume.zone != slot.spec.zone {
            return Standing::VolumeElsewhere { volume: volume.id.clone(), zone: volume.zone.clone() };
        }
        match look.place(volume) {
            Place::Free | Place::On(_) => {}
            Place::Unusable(why) => return Standing::VolumeUnusable { volume: volume.id.clone(), why },
            Place::Unclear(detail) => return Standing::Unclear(Unclear::Views(detail)),
            place @ (Place::Creating | Place::Attaching { .. } | Place::Detaching { .. }) => {
                return Standing::Unclear(Unclear::Volume { volume: &volume.id, place });
            }
        }
    }
    by_instances(look, slot)
}

/// The second half: every volume is there, in its zone, and either free or attached.
fn by_instances<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> Standing<'a> {
    let mut live: Vec<_> = slot.live().collect();
    live.sort_by_key(|instance| instance.attempt);
    let free = slot.present().all(|(_, volume)| look.place(volume) == Place::Free);
    match live.as_slice() {
        [] if free => Standing::Vacant { shell: None },
        [] => Standing::Unclear(Unclear::Views(format!(
            "the volumes of {} are attached to something that is not one of its live instances",
            slot.spec.name
        ))),
        [instance] if slot.all_on(look, &instance.id) => match instance.state {
            InstanceState::Pending | InstanceState::Stopping => Standing::Unclear(Unclear::Instance(instance)),
            InstanceState::Stopped => Standing::Down(instance),
            InstanceState::Running | InstanceState::ShuttingDown | InstanceState::Terminated => {
                Standing::Serving(instance)
            }
        },
        [new] if launched_by_us(look, new) && is_newer(slot, new) => Standing::Interrupted { old: None, new },
        [shell] if is_ours(look, shell) => Standing::Vacant { shell: Some(shell) },
        [old, new] if launched_by_us(look, new) && is_ours(look, old) && old.attempt < new.attempt => {
            Standing::Interrupted { old: Some(old), new }
        }
        _ => Standing::Contested(live.iter().map(|instance| instance.id.clone()).collect()),
    }
}

/// Launched after whatever settled or failed last on the slot's volumes.
fn is_newer(slot: &SlotLook<'_>, instance: &Instance) -> bool {
    slot.present().all(|(_, volume)| volume.attempt < instance.attempt)
}

fn is_ours(look: &Look<'_>, instance: &Instance) -> bool {
    instance.owner.as_ref() == Some(&look.seen.owner)
}

fn launched_by_us(look: &Look<'_>, instance: &Instance) -> bool {
    is_ours(look, instance) && instance.generation.is_some()
}

/// Whether a slot has ever been initialised. Any memory of it counts: the claim record, the volumes of other slots,
/// its own volumes' proof, an instance that was launched for it. Its own volumes' `:slots` alone do not: they are
/// written before the slot is complete.
pub fn initialised(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    let name: &SlotName = &slot.spec.name;
    look.record.initialised.contains(name)
        || look.cloud.volumes.iter().any(|volume| {
            (volume.slot != *name && volume.slots.contains(name))
                || (volume.slot == *name && volume.generation.is_some())
        })
        || !slot.instances.is_empty()
}
