//! `CreateTags` and `DeleteTags`: memory that lies on instances and volumes.

use std::collections::BTreeSet;

use super::records::Disk;
use super::region::Region;
use crate::ids::{Attempt, Generation, ImageId, InstanceId, VolumeId};
use crate::observed::{Instance, Settled, Volume};
use crate::ports::Outcome;
use crate::sim::words::Refusal;

impl Region {
    /// Tags volumes with a generation that failed there.
    pub(super) fn reject(
        &mut self,
        volumes: &BTreeSet<VolumeId>,
        generation: &Generation,
        attempt: Attempt,
    ) -> Result<Outcome, Refusal> {
        self.tag_volumes(volumes, |disk| {
            disk.seen.rejected = Some(generation.clone());
            disk.seen.attempt = attempt;
        })
    }

    /// Takes the tag of a generation that failed from volumes.
    pub(super) fn forgive(
        &mut self,
        volumes: &BTreeSet<VolumeId>,
        generation: &Generation,
    ) -> Result<Outcome, Refusal> {
        self.tag_volumes(volumes, |disk| {
            disk.seen.rejected.take_if(|rejected| rejected == generation);
        })
    }

    /// Tags volumes with the generation that has proved itself there.
    pub(super) fn settle(
        &mut self,
        volumes: &BTreeSet<VolumeId>,
        generation: &Generation,
        image: &ImageId,
        attempt: Attempt,
    ) -> Result<Outcome, Refusal> {
        for machine in self.instances.values_mut() {
            machine.settled |= machine.seen.devices.iter().any(|device| volumes.contains(&device.volume));
        }
        self.tag_volumes(volumes, |disk| {
            disk.seen.settled = Some(Settled { generation: generation.clone(), image: Some(image.clone()) });
            disk.seen.attempt = attempt;
        })
    }

    pub(super) fn tag_instance(
        &mut self,
        id: &InstanceId,
        edit: impl FnOnce(&mut Instance),
    ) -> Result<Outcome, Refusal> {
        let mut seen = self.machine(id)?.seen.clone();
        edit(&mut seen);
        let Some(machine) = self.instances.get_mut(id).filter(|machine| machine.seen != seen) else {
            return Ok(Outcome::AlreadySo);
        };
        machine.seen = seen;
        let cluster = machine.cluster.clone();
        self.changed(&cluster);
        Ok(Outcome::Done)
    }

    pub(super) fn tag_volumes(
        &mut self,
        ids: &BTreeSet<VolumeId>,
        edit: impl Fn(&mut Disk),
    ) -> Result<Outcome, Refusal> {
        for id in ids {
            self.disk(id)?;
        }
        let mut outcome = Outcome::AlreadySo;
        for id in ids {
            let Some(disk) = self.volumes.get_mut(id) else { continue };
            let before = disk.seen.clone();
            edit(disk);
            if disk.seen != before {
                outcome = Outcome::Done;
                let cluster = disk.cluster.clone();
                self.changed(&cluster);
            }
        }
        Ok(outcome)
    }

    /// Edits what EC2 says of an instance, whoever does it.
    pub fn edit_instance(&mut self, id: &InstanceId, edit: impl FnOnce(&mut Instance)) {
        let Some(machine) = self.instances.get_mut(id) else { return };
        edit(&mut machine.seen);
        let cluster = machine.cluster.clone();
        self.changed(&cluster);
    }

    /// Edits what EC2 says of a volume, whoever does it.
    pub fn edit_volume(&mut self, id: &VolumeId, edit: impl FnOnce(&mut Volume)) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        edit(&mut disk.seen);
        let cluster = disk.cluster.clone();
        self.changed(&cluster);
    }

    /// Sets whether a data volume is deleted with its instance.
    pub fn set_delete_on_termination(&mut self, id: &VolumeId, delete: bool) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        disk.delete_on_termination = delete;
        let Some(holder) = disk.holder().cloned() else { return };
        self.edit_instance(&holder, |seen| {
            for device in seen.devices.iter_mut().filter(|device| device.volume == *id) {
                device.delete_on_termination = delete;
            }
        });
    }
}
