//! Where an unclaimed slot stands, classified from the observation and never remembered.

use std::collections::BTreeSet;

use crate::ids::{InstanceId, SlotName, VolumeId, VolumeName};
use crate::observed::{Instance, InstanceState};

use super::answer::Stall;
use super::look::{Look, Place, SlotLook};

/// Where a slot stands while nobody claims it.
#[derive(Debug)]
pub enum Standing<'a> {
    /// It was never initialised, and these volumes are still to be made.
    Blank { lacking: Vec<VolumeName> },
    /// Something is wrong with its volumes that only a person can mend.
    Unsound(Stall),
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
pub enum Unclear<'a> {
    Volume { volume: &'a VolumeId, place: Place<'a> },
    Instance(&'a Instance),
    Views(String),
}

/// Classifies a slot.
pub fn standing<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> Standing<'a> {
    let lacking = slot.lacking();
    if !lacking.is_empty() && !initialised(look, slot) {
        return Standing::Blank { lacking };
    }
    if let Some(stall) = fault(look, slot) {
        return Standing::Unsound(stall);
    }
    for (_, volume) in slot.present() {
        match look.place(volume) {
            Place::Free | Place::On(_) | Place::Unusable(_) => {}
            Place::Unclear(detail) => return Standing::Unclear(Unclear::Views(detail)),
            place @ (Place::Creating | Place::Attaching { .. } | Place::Detaching { .. }) => {
                return Standing::Unclear(Unclear::Volume { volume: &volume.id, place });
            }
        }
    }
    by_instances(look, slot)
}

/// What is wrong with the volumes of a slot that has had them, and that only a person can mend.
pub fn fault<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> Option<Stall> {
    let name = || slot.spec.name.clone();
    let volumes = slot.lacking();
    if !volumes.is_empty() {
        return Some(Stall::VolumeMissing { slot: name(), volumes });
    }
    slot.present().find_map(|(_, volume)| {
        let (slot_name, id) = (name(), volume.id.clone());
        if volume.zone != slot.spec.zone {
            let (zone, declared) = (volume.zone.clone(), slot.spec.zone.clone());
            return Some(Stall::VolumeElsewhere { slot: slot_name, volume: id, zone, declared });
        }
        if let Some(by) = look.taken_by(slot, volume) {
            return Some(Stall::VolumeTaken { slot: slot_name, volume: id, by: by.clone() });
        }
        match look.place(volume) {
            Place::Unusable(why) => Some(Stall::VolumeUnusable { slot: slot_name, volume: id, why: why.to_owned() }),
            _ => None,
        }
    })
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
