//! Things that are there although the file does not mention them: volumes at an instance, addresses, settings of a template.
//!
//! A replacement has none of them. So a person is told, and where data could be lost a gate asks here.

use crate::make::left_to_ec2;
use crate::observed::{Device, Instance, Launches, Volume, VolumeState};

use super::look::{Look, SlotLook};

/// A volume at one of a slot's instances that the file does not declare.
pub struct Undeclared<'a> {
    pub instance: &'a Instance,
    pub device: &'a Device,
    /// The volume, where it bears the cluster's tags.
    pub ours: Option<&'a Volume>,
}

impl Undeclared<'_> {
    /// Says whether data could be lost with the instance. What an image brought goes with each instance that is launched from
    /// it, and nothing of a member's is on it; of an instance that somebody else launched nobody knows.
    fn may_hold_data(&self) -> bool {
        let came_with_image = self.instance.generation().is_some() && self.device.delete_on_termination;
        self.ours.is_some() || !came_with_image
    }
}

/// Lists the volumes at an instance that are none of its slot's declared ones, but for the root volume.
pub fn at<'a>(look: &Look<'a>, slot: &SlotLook<'a>, instance: &'a Instance) -> Vec<Undeclared<'a>> {
    let is_declared = |device: &Device| slot.present().any(|(_, volume)| volume.id == device.volume);
    let others = instance.devices.iter().filter(|device| !is_declared(device));
    let cloud = look.cloud;
    let ours = |device: &Device| cloud.volumes().find(|volume| volume.id == device.volume);
    others.map(|device| Undeclared { instance, device, ours: ours(device) }).collect()
}

/// Lists the volumes that a replacement would leave behind, perhaps with data. The new instance stays, with what it has.
pub fn left_behind<'a>(look: &Look<'a>, slot: &SlotLook<'a>) -> Vec<Undeclared<'a>> {
    let claim = look.record.held.as_ref().filter(|claim| claim.slot == slot.spec.name);
    let goes = slot.live().filter(|instance| !claim.is_some_and(|claim| claim.launched(instance)));
    goes.flat_map(|instance| at(look, slot, instance)).filter(Undeclared::may_hold_data).collect()
}

/// Says everything of a cluster that its file does not mention, one sentence each.
pub fn notes(look: &Look<'_>) -> Vec<String> {
    let mut notes: Vec<_> = look.slots.iter().flat_map(|slot| notes_of(look, slot)).collect();
    if let Some(Launches::Template(template)) = look.cloud.group.as_ref().map(|group| &group.launches) {
        let group = look.spec.capacity.group().unwrap_or_default();
        notes.extend(template.beyond.iter().map(|beyond| {
            format!(
                "the launch template of {group} has {beyond}, which no file declares and the next version will not have"
            )
        }));
        notes.extend(left_to_ec2(&template.version.make, &look.make).into_iter().map(|chosen| {
            format!(
                "the launch template of {group} has {chosen}, which the file does not declare and the next version will not have"
            )
        }));
    }
    notes.extend(
        look.cloud
            .left_out
            .iter()
            .map(|(id, why)| format!("{id} bears the tag of {}, and is left out: {why}", look.spec.name)),
    );
    notes
}

fn notes_of(look: &Look<'_>, slot: &SlotLook<'_>) -> Vec<String> {
    let name = &slot.spec.name;
    let mut notes = Vec::new();
    for instance in slot.live() {
        notes.extend(at(look, slot, instance).iter().map(|found| {
            let (volume, device) = (&found.device.volume, &found.device.device);
            match found.ours {
                Some(ours) => format!(
                    "{} of {name} has {volume} at {device}, tagged as {} of {}, which the file does not declare",
                    instance.id, ours.name, ours.slot
                ),
                None => {
                    format!("{} of {name} has {volume} at {device}, which bears no tag of the cluster", instance.id)
                }
            }
        }));
        notes.extend(left_to_ec2(&instance.make, &look.make).into_iter().map(|chosen| {
            format!(
                "{} of {name} has {chosen}, which the file does not declare: for a replacement EC2 chooses",
                instance.id
            )
        }));
        let others = instance.secondary_beside_fixed().map(|address| format!("secondary private address {address}"));
        notes.extend(instance.beyond.iter().cloned().chain(others).map(|beyond| {
            format!("{} of {name} has {beyond}, which no file declares and a replacement will not have", instance.id)
        }));
    }
    let is_free = |volume: &&Volume| !matches!(volume.state, VolumeState::InUse(_) | VolumeState::Shared(_));
    let forgotten =
        look.cloud.present_volumes().filter(is_free).filter(|volume| {
            volume.slot == *name && look.spec.volumes.iter().all(|declared| declared.name != volume.name)
        });
    notes.extend(forgotten.map(|volume| {
        format!(
            "{}, tagged as {} of {name}, is {}, and the file does not declare it",
            volume.id, volume.name, volume.state
        )
    }));
    notes
}
