//! The look of an adapter before it sends a call. The same table as the AWS adapter's decides what the look must find.

use super::records::{Disk, Machine};
use super::region::Region;
use crate::action::CloudEffect;
use crate::action::expects::{Difference, Finding, Subject};
use crate::action::facts::{DeviceFacts, Facts, InstanceFacts, SnapshotFacts, VolumeFacts};
use crate::ids::{InstanceId, Owner, SlotName, VolumeId};
use crate::observed::{Snapshot, VolumeState};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::words::{OWNER, Refusal, changed};
use crate::spec::ClusterSpec;

impl Region {
    /// Looks as an adapter does before it sends. Gives the outcome where nothing is left to send.
    pub fn check(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
    ) -> Result<Option<Outcome>, Refusal> {
        let (owner, mut facts) = (Owner::from(OWNER), Facts::default());
        for expectation in effect.expects(spec, &owner, slot) {
            for subject in expectation.condition().subjects() {
                self.learn(subject, &mut facts);
            }
            match expectation.held_against(&facts) {
                Finding::Met => {}
                Finding::AlreadySo => return Ok(Some(Outcome::AlreadySo)),
                Finding::Changed(Difference { expected, found }) => return Ok(Some(changed(expected, found))),
                Finding::Impossible { code, .. } => return Err(Refusal::new(ErrorKind::Invalid, code)),
                Finding::NotShown(id) => return Err(Refusal::new(ErrorKind::NotFound, id)),
            }
        }
        Ok(None)
    }

    /// Adds the facts about a subject. A resource that does not exist adds none.
    fn learn(&self, subject: Subject<'_>, facts: &mut Facts) {
        match subject {
            Subject::Instance(instance) => self.learn_instance(instance, facts),
            Subject::Volume(volume) => self.learn_volume(volume, facts),
            Subject::Volumes(volumes) => volumes.iter().for_each(|volume| self.learn_volume(volume, facts)),
            Subject::Holder(volume) => {
                if let Some(holder) = self.volumes.get(volume).and_then(Disk::holder) {
                    self.learn_instance(holder, facts);
                }
            }
            Subject::VolumesAt(instance) => self.learn_volumes(facts, |disk| disk.holder() == Some(instance)),
            Subject::VolumesNamed { cluster, slot, name } => self.learn_volumes(facts, |disk| {
                disk.cluster == *cluster && disk.seen.slot == *slot && disk.seen.name == *name
            }),
            Subject::SnapshotsOf { volume, .. } => self.learn_snapshots(facts, |snapshot| snapshot.volume == *volume),
            Subject::Snapshot(wanted) => self.learn_snapshots(facts, |snapshot| snapshot.id == *wanted),
            Subject::Group { group, .. } => facts.group = self.groups.get(group).map(|group| group.seen.clone()),
        }
    }

    /// Adds an instance with all of its devices: EC2 lists a volume among them that is still on its way.
    fn learn_instance(&self, id: &InstanceId, facts: &mut Facts) {
        let Some(Machine { cluster, seen, .. }) = self.instances.get(id) else { return };
        let mut instance = InstanceFacts::of(cluster, seen);
        instance.devices = self.volumes.values().filter_map(|disk| disk.as_device_of(id)).collect();
        facts.instances.insert(id.clone(), instance);
    }

    fn learn_volume(&self, id: &VolumeId, facts: &mut Facts) {
        if let Some(Disk { cluster, seen, .. }) = self.volumes.get(id) {
            facts.volumes.insert(id.clone(), VolumeFacts::of(cluster, seen));
        }
    }

    fn learn_volumes(&self, facts: &mut Facts, is_wanted: impl Fn(&Disk) -> bool) {
        let found = self.volumes.iter().filter(|(_, disk)| is_wanted(disk));
        facts.volumes.extend(found.map(|(id, disk)| (id.clone(), VolumeFacts::of(&disk.cluster, &disk.seen))));
    }

    fn learn_snapshots(&self, facts: &mut Facts, is_wanted: impl Fn(&Snapshot) -> bool) {
        for (cluster, holdings) in &self.clusters {
            let found = holdings.snapshots.iter().filter(|snapshot| is_wanted(snapshot));
            facts.snapshots.extend(found.map(|seen| (seen.id.clone(), SnapshotFacts::of(cluster, seen))));
        }
    }
}

impl Disk {
    fn as_device_of(&self, instance: &InstanceId) -> Option<DeviceFacts> {
        let VolumeState::InUse(at) = &self.seen.state else { return None };
        (at.instance == *instance).then(|| DeviceFacts {
            device: at.device.clone(),
            volume: self.seen.id.clone(),
            is_root: false,
            delete_on_termination: self.delete_on_termination,
        })
    }
}
