//! The look of an adapter before it sends a call. The same table as the AWS adapter's decides what the look must find.

use std::net::{IpAddr, Ipv4Addr};

use super::records::{Disk, Stranger};
use super::region::Region;
use super::shown::Moments;
use crate::action::CloudEffect;
use crate::action::expects::{Difference, Finding, Subject};
use crate::action::facts::{AddressFacts, DeviceFacts, Facts, InstanceFacts, SnapshotFacts, VolumeFacts};
use crate::ids::{ClusterName, InstanceId, Owner, SlotName, VolumeId};
use crate::observed::{CloudView, Instance, Snapshot, Volume, VolumeState};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::words::{OWNER, Refusal, changed};
use crate::spec::ClusterSpec;

/// A region as an adapter's last look shows it: as it is, or for one cluster as it was a while ago.
struct Look<'r> {
    region: &'r Region,
    stale: Option<(&'r ClusterName, CloudView)>,
}

impl Region {
    /// Looks as an adapter does before it sends. Gives the outcome where nothing is left to send. A look may be as stale as
    /// any other.
    pub fn check(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
        moments: Option<Moments>,
    ) -> Result<Option<Outcome>, Refusal> {
        let exact = CloudView::default();
        let stale = moments.and_then(|moments| self.stale_view(&spec.name, &exact, moments));
        let look = Look { region: self, stale: stale.map(|view| (&spec.name, view)) };
        let (owner, mut facts) = (Owner::from(OWNER), Facts::default());
        for expectation in effect.expects(spec, &owner, slot) {
            for subject in expectation.condition().subjects() {
                look.learn(subject, &mut facts);
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
}

impl Look<'_> {
    /// Adds the facts about a subject. A resource that does not exist adds none.
    fn learn(&self, subject: Subject<'_>, facts: &mut Facts) {
        match subject {
            Subject::Instance(instance) => self.learn_instance(instance, facts),
            Subject::Volume(volume) => self.learn_volume(volume, facts),
            Subject::ModificationOf(_) => {} // known with the volume
            Subject::Volumes(volumes) => volumes.iter().for_each(|volume| self.learn_volume(volume, facts)),
            Subject::Holder(volume) => {
                if let Some(holder) = self.volume(volume).and_then(|(_, seen)| holder(seen).cloned()) {
                    self.learn_instance(&holder, facts);
                }
            }
            Subject::VolumesAt(instance) => self.learn_volumes(facts, |_, seen| holder(seen) == Some(instance)),
            Subject::VolumesNamed { cluster, slot, name } => {
                self.learn_volumes(facts, |of, seen| of == cluster && seen.slot == *slot && seen.name == *name)
            }
            Subject::SnapshotsOf { volume, .. } => self.learn_snapshots(facts, |snapshot| snapshot.volume == *volume),
            Subject::Snapshot(wanted) => self.learn_snapshots(facts, |snapshot| snapshot.id == *wanted),
            Subject::ProtectionOf(id) => {
                let is_protected = self.region.instances.get(id).is_some_and(|machine| machine.protection.termination);
                facts.instances.entry(id.clone()).and_modify(|facts| facts.is_protected = is_protected);
            }
            Subject::UseOf { address, subnet } => {
                facts.addresses.extend(self.used(address, subnet).map(|used| (address, used)));
            }
            Subject::UserOf(address) => {
                let user = facts.addresses.get(&address).and_then(|used| used.instance.clone());
                user.into_iter().for_each(|id| self.learn_instance(&id, facts));
            }
            Subject::Group { group, .. } => facts.group = self.region.groups.get(group).map(|group| group.seen.clone()),
        }
    }

    /// The instance as this look shows it.
    fn instance(&self, id: &InstanceId) -> Option<(&ClusterName, &Instance)> {
        let machine = self.region.instances.get(id)?;
        match &self.stale {
            Some((cluster, view)) if machine.cluster == **cluster => Some((*cluster, view.instance(id)?)),
            _ => Some((&machine.cluster, &machine.seen)),
        }
    }

    /// Finds the network interface that has an address, as this look shows it.
    fn used(&self, address: Ipv4Addr, subnet: &str) -> Option<AddressFacts> {
        let stranger = self.region.strangers.get(&address).filter(|stranger| stranger.subnet == subnet);
        if let Some(Stranger { interface, instance, .. }) = stranger {
            let (interface, instance) = (interface.clone(), Some(instance.clone()));
            return Some(AddressFacts { interface, instance, is_primary: false });
        }
        let mut all = self.region.instances.keys().filter_map(|id| self.instance(id)).map(|(_, seen)| seen);
        let is_primary = |seen: &Instance| seen.address == Some(IpAddr::V4(address));
        let seen = all.find(|seen| seen.subnet == subnet && (seen.has(address) || is_primary(seen)))?;
        let interface = seen.interface.as_ref()?.id.clone();
        Some(AddressFacts { interface, instance: Some(seen.id.clone()), is_primary: is_primary(seen) })
    }

    /// Every volume as this look shows it.
    fn volumes(&self) -> impl Iterator<Item = (&ClusterName, &Volume)> {
        let stale = self.stale.iter().flat_map(|(cluster, view)| view.volumes().map(|seen| (*cluster, seen)));
        let is_shown = |disk: &&Disk| self.stale.as_ref().is_none_or(|(cluster, _)| disk.cluster != **cluster);
        let exact = self.region.volumes.values().filter(is_shown).map(|disk| (&disk.cluster, &*disk.seen));
        stale.chain(exact)
    }

    fn volume(&self, id: &VolumeId) -> Option<(&ClusterName, &Volume)> {
        self.volumes().find(|(_, seen)| seen.id == *id)
    }

    /// Adds an instance with all of its devices: EC2 lists a volume among them that is still on its way.
    fn learn_instance(&self, id: &InstanceId, facts: &mut Facts) {
        let Some((cluster, seen)) = self.instance(id) else { return };
        let mut instance = InstanceFacts::of(cluster, seen);
        // A volume that an image brought is none of those that are known here.
        instance.devices.retain(|device| !self.region.volumes.contains_key(&device.volume));
        instance.devices.extend(self.volumes().filter_map(|(_, volume)| self.device(volume, id)));
        facts.instances.insert(id.clone(), instance);
    }

    fn device(&self, volume: &Volume, instance: &InstanceId) -> Option<DeviceFacts> {
        let VolumeState::InUse(at) = &volume.state else { return None };
        (at.instance == *instance).then(|| DeviceFacts {
            device: at.device.clone(),
            volume: volume.id.clone(),
            is_root: false,
            delete_on_termination: self.region.volumes.get(&volume.id).is_some_and(|disk| disk.delete_on_termination),
        })
    }

    fn learn_volume(&self, id: &VolumeId, facts: &mut Facts) {
        if let Some((cluster, seen)) = self.volume(id) {
            facts.volumes.insert(id.clone(), VolumeFacts::of(cluster, seen));
        }
    }

    fn learn_volumes(&self, facts: &mut Facts, is_wanted: impl Fn(&ClusterName, &Volume) -> bool) {
        let found = self.volumes().filter(|(cluster, seen)| is_wanted(cluster, seen));
        facts.volumes.extend(found.map(|(cluster, seen)| (seen.id.clone(), VolumeFacts::of(cluster, seen))));
    }

    fn learn_snapshots(&self, facts: &mut Facts, is_wanted: impl Fn(&Snapshot) -> bool) {
        for (cluster, holdings) in &self.region.clusters {
            let found = holdings.snapshots.iter().filter(|snapshot| is_wanted(snapshot));
            facts.snapshots.extend(found.map(|seen| (seen.id.clone(), SnapshotFacts::of(cluster, seen))));
        }
    }
}

/// Names the instance that has a volume, in whatever phase.
fn holder(volume: &Volume) -> Option<&InstanceId> {
    match &volume.state {
        VolumeState::InUse(at) => Some(&at.instance),
        _ => None,
    }
}
