//! The state of a slot that nobody claims, classified from the observation and never remembered.

use std::collections::BTreeSet;

use crate::ids::{InstanceId, SlotName, VolumeId, VolumeName};
use crate::observed::{Instance, InstanceState};
use crate::time::Timestamp;

use super::answer::Stall;
use super::look::{Look, Place, SlotLook};

/// The state of a slot while nobody claims it.
#[derive(Debug)]
pub enum SlotState<'a> {
    /// Never initialised; these volumes are still to be made.
    Blank { lacking: Vec<VolumeName> },
    /// Something is wrong with the volumes that only a person can mend.
    Unsound(Stall),
    /// Served by no instance. One that once served it may be left, without all of the volumes.
    Vacant { left: Option<&'a Instance> },
    /// Served by one instance, which has all volumes and runs.
    Serving(&'a Instance),
    /// One instance has all volumes and was stopped.
    Down(&'a Instance),
    /// A replacement that nobody claims: its claim was lost, or gave way to a slot that needed it more.
    Interrupted { old: Option<&'a Instance>, new: &'a Instance },
    /// Several live instances, and not all of them ours to sort out.
    Contested(BTreeSet<InstanceId>),
    /// Between two states, and getting there by itself.
    Moving(Moving<'a>),
}

/// The part of a slot that is on its way.
#[derive(Debug)]
pub enum Moving<'a> {
    /// A volume on its way to an instance.
    Attaching { volume: &'a VolumeId, to: &'a InstanceId, since: Timestamp },
    /// A volume on its way off an instance.
    Detaching { volume: &'a VolumeId, since: Timestamp },
    /// A volume being made.
    Creating { volume: &'a VolumeId },
    /// An instance that has all volumes and is about to run.
    Starting(&'a Instance),
    /// An instance that has all volumes and is about to stop.
    Stopping(&'a Instance),
    /// EC2's views that do not agree yet; in words.
    Views(String),
}

/// Classifies a slot.
pub fn slot_state<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> SlotState<'a> {
    let lacking = slot.lacking();
    if slot.contested.is_none() && !lacking.is_empty() && !initialised(look, slot) {
        return SlotState::Blank { lacking };
    }
    if let Some(stall) = fault(look, slot) {
        return SlotState::Unsound(stall);
    }
    let moving = slot.present().find_map(|(_, volume)| match look.place(volume) {
        Place::Free | Place::On { .. } | Place::Unusable(_) => None,
        Place::Attaching { to, since } => Some(Moving::Attaching { volume: &volume.id, to, since }),
        Place::Detaching { since, .. } => Some(Moving::Detaching { volume: &volume.id, since }),
        Place::Creating => Some(Moving::Creating { volume: &volume.id }),
        Place::Unclear { detail, .. } => Some(Moving::Views(detail)),
    });
    moving.map_or_else(|| by_instances(look, slot), SlotState::Moving)
}

/// Finds what is wrong with the volumes of a slot that has had them, and that only a person can mend.
pub fn fault<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> Option<Stall> {
    if let Some(stall) = contested(slot) {
        return Some(stall);
    }
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

/// Refuses to choose between volumes that say they are the same one. The copy may be the older, and a member that comes
/// back with an older log can lose what it has acknowledged.
pub fn contested(slot: &SlotLook<'_>) -> Option<Stall> {
    let (name, volumes) = slot.contested.clone()?;
    Some(Stall::VolumeContested { slot: slot.spec.name.clone(), name, volumes })
}

/// Classifies a slot whose volumes are all there, in its zone, and either free or attached.
fn by_instances<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> SlotState<'a> {
    let mut live: Vec<_> = slot.live().collect();
    if live.len() > 1
        && let Some(left) = slot.left_over(look)
    {
        live.retain(|instance| instance.id != left.id);
    }
    live.sort_by_key(|instance| instance.attempt());
    let free = slot.present().all(|(_, volume)| look.place(volume) == Place::Free);
    match live.as_slice() {
        [] if free => SlotState::Vacant { left: None },
        [] => SlotState::Moving(Moving::Views(format!(
            "the volumes of {} are attached to something that is not one of its live instances",
            slot.spec.name
        ))),
        [new] if slot.all_on(look, &new.id) && is_unproven(look, slot, new) => {
            SlotState::Interrupted { old: None, new }
        }
        [instance] if slot.all_on(look, &instance.id) => match instance.state {
            InstanceState::Running => SlotState::Serving(instance),
            InstanceState::Stopped => SlotState::Down(instance),
            InstanceState::Pending => SlotState::Moving(Moving::Starting(instance)),
            InstanceState::Stopping | InstanceState::ShuttingDown | InstanceState::Terminated => {
                SlotState::Moving(Moving::Stopping(instance))
            }
        },
        [new] if launched_by_us(look, new) && is_newer(slot, new) && !look.waits_in_vain(new) => {
            SlotState::Interrupted { old: None, new }
        }
        [left] if look.is_ours(&left.owner) => SlotState::Vacant { left: Some(left) },
        [old, new] if launched_by_us(look, new) && look.is_ours(&old.owner) && old.attempt() < new.attempt() => {
            SlotState::Interrupted { old: Some(old), new }
        }
        _ => SlotState::Contested(live.iter().map(|instance| instance.id.clone()).collect()),
    }
}

/// Says whether an instance was launched after whatever settled or failed last on the slot's volumes.
pub(super) fn is_newer(slot: &SlotLook<'_>, instance: &Instance) -> bool {
    slot.present().all(|(_, volume)| Some(volume.attempt) < instance.attempt())
}

/// Says whether an instance that runs alone in its slot was launched as another generation than the one that settled there,
/// and has not proved itself, or has failed: its claim gave way, and the instance that it was to replace is gone since.
fn is_unproven(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance) -> bool {
    let settled = slot.present().find_map(|(_, volume)| volume.settled.as_ref());
    let differs = settled.is_some_and(|settled| Some(&settled.generation) != instance.generation());
    let runs = instance.state == InstanceState::Running;
    let has_failed = instance.generation().is_some_and(|generation| slot.rejected_here(generation));
    differs && runs && launched_by_us(look, instance) && (is_newer(slot, instance) || has_failed)
}

fn launched_by_us(look: &Look<'_>, instance: &Instance) -> bool {
    look.is_ours(&instance.owner) && instance.generation().is_some()
}

/// Says whether a slot has ever been initialised. Any memory of it counts: the claim record, the volumes of other
/// slots, its own volumes' proof, an instance that was launched for it. Its own volumes' `:slots` alone do not: they
/// are written before the slot is complete.
pub fn initialised(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    let name: &SlotName = &slot.spec.name;
    look.record.initialised.contains(name)
        || look.cloud.volumes.iter().any(|volume| {
            (volume.slot != *name && volume.slots.contains(name)) || (volume.slot == *name && volume.settled.is_some())
        })
        || !slot.instances.is_empty()
}
