//! The world's side of guests: what they mount in EC2, and which member they start or lose.

use std::collections::BTreeMap;

use super::state::State;
use crate::ids::{ClusterName, InstanceId, MemberId, VolumeName};
use crate::sim::content::{Content, Stamp};
use crate::sim::ec2::{Due, Machine};
use crate::sim::guest::{Guest, Starts, home};
use crate::sim::judge::Rule;
use crate::sim::latency;
use crate::sim::members::Process;
use crate::sim::words::{DEFAULT_VERSION, Payload};

use super::state::Tick;

impl State {
    /// Lets a guest mount in a moment, if all its volumes are there.
    pub fn guest_looks(&mut self, id: &InstanceId) {
        let whole = |machine: &&Machine| self.region.has_all_volumes(machine);
        let Some(machine) = self.region.instances.get(id).filter(whole) else { return };
        let turn = machine.turn;
        let patience = match self.region.images.get(&machine.seen.make.image) {
            Some(Payload::SlowToJoin(span)) => span.as_millis() as u64,
            _ => 0,
        };
        let mounting = latency::MOUNT.draw(&mut self.chance.rng);
        self.schedule(mounting + patience, Tick::Ec2(Due::Mounts(id.clone(), turn)));
    }

    /// Lets a guest mount its volumes, and its member start if every stamp is its own.
    pub(super) fn guest_mounts(&mut self, id: &InstanceId) {
        let Some(machine) = self.region.instances.get(id).cloned() else { return };
        if self.member_on(&machine.cluster, id).is_some() {
            return;
        }
        let payload = self.region.images.get(&machine.seen.make.image);
        let guest = Guest { cluster: &machine.cluster, slot: &machine.seen.slot, tags: &machine.seen.tags, payload };
        let mounted = guest.mount(self.contents(&machine));
        self.write_contents(&machine, mounted.contents);
        for (name, stamp) in mounted.foreign {
            self.met_a_foreign_volume(&machine, &name, &stamp);
        }
        if let Some(starts) = mounted.starts {
            self.start_member(&machine, starts);
        }
    }

    fn contents(&self, machine: &Machine) -> BTreeMap<VolumeName, Content> {
        let disks = machine.volumes.iter().filter_map(|(name, id)| Some((name, self.region.volumes.get(id)?)));
        disks.map(|(name, disk)| (name.clone(), disk.content.clone())).collect()
    }

    fn write_contents(&mut self, machine: &Machine, contents: BTreeMap<VolumeName, Content>) {
        for (name, content) in contents {
            self.edit_content(machine, &name, |found| *found = content);
        }
    }

    fn edit_content(&mut self, machine: &Machine, name: &VolumeName, edit: impl FnOnce(&mut Content)) {
        let disk = machine.volumes.get(name).and_then(|id| self.region.volumes.get_mut(id));
        if let Some(disk) = disk {
            edit(&mut disk.content);
        }
    }

    fn met_a_foreign_volume(&mut self, machine: &Machine, name: &VolumeName, found: &Stamp) {
        let Some(id) = machine.volumes.get(name) else { return };
        let whose = format!("{}/{}/{}", found.cluster, found.slot, found.volume);
        let met = format!("{} of {} met {id}, which is {whose}", machine.seen.id, machine.seen.slot);
        self.violate(&machine.cluster, Rule::OwnVolumes, met);
    }

    /// Starts the member whose node id lies on its home. Where there is none, a new one is made.
    fn start_member(&mut self, machine: &Machine, starts: Starts) {
        let Some(address) = machine.seen.asked_at() else { return };
        let fresh = MemberId::from(self.chance.id("node"));
        let member = starts.member.unwrap_or(fresh);
        self.edit_content(machine, &starts.home, |content| content.member = Some(member.clone()));
        self.recognise(machine, &member, starts.log.entries);
        self.keep_apart(machine, &member);
        self.keep_single(machine, &member);
        let process = Process {
            name: machine.seen.slot.clone(),
            instance: machine.seen.id.clone(),
            address,
            version: self.version_on(machine),
            payload: self.region.images.get(&machine.seen.make.image).cloned().unwrap_or_default(),
            started: self.now,
            joined: None,
            cut_off: false,
            deaf: false,
            unlinked: false,
            from: starts.log.entries,
            canaries: starts.log.canaries,
        };
        if let Some(cluster) = self.clusters.get_mut(&machine.cluster) {
            cluster.members.start(member.clone(), process);
            if starts.alone {
                cluster.members.begin_alone(&member, self.now, &mut self.chance.rng);
            }
        }
        self.stir(&machine.cluster);
    }

    /// Judges that a member which comes back is who it was and knows what it knew. Where a person has deleted a volume, what
    /// is left may be an older copy that a person has made.
    fn recognise(&mut self, machine: &Machine, member: &MemberId, from: u64) {
        let (cluster, slot) = (&machine.cluster, &machine.seen.slot);
        let Some(record) = self.clusters.get_mut(cluster).and_then(|cluster| cluster.slots.get_mut(slot)) else {
            return;
        };
        let was = record.member.replace(member.clone());
        let knew = record.applied;
        if was.as_ref().is_some_and(|was| was != member) {
            self.violate(cluster, Rule::SameMember, format!("{slot} came back as another member"));
        } else if from < knew && self.faults.lost.is_empty() {
            self.violate(cluster, Rule::SameData, format!("{slot} came back with {from} of {knew} entries"));
        }
    }

    /// Judges that no member of one cluster calls those of another.
    fn keep_apart(&mut self, machine: &Machine, member: &MemberId) {
        let mut others = self.clusters.iter().filter(|(name, _)| **name != machine.cluster);
        if let Some((other, _)) = others.find(|(_, cluster)| cluster.members.know(member)) {
            let detail = format!("{} started as a member of {other}", machine.seen.slot);
            self.violate(&machine.cluster, Rule::OwnVolumes, detail);
        }
    }

    /// Judges that no member runs twice: two processes of one identity tear a cluster apart.
    fn keep_single(&mut self, machine: &Machine, member: &MemberId) {
        let cluster = self.clusters.get(&machine.cluster);
        let other =
            cluster.and_then(|cluster| cluster.members.instance_of(member)).filter(|id| **id != machine.seen.id);
        if let Some(other) = other.cloned() {
            let detail = format!("{} runs on {other} and on {} at once", machine.seen.slot, machine.seen.id);
            self.violate(&machine.cluster, Rule::SameMember, detail);
        }
    }

    pub(super) fn version_on(&self, machine: &Machine) -> String {
        let declared = || self.clusters.get(&machine.cluster).and_then(|cluster| cluster.declared.version.clone());
        match self.region.images.get(&machine.seen.make.image) {
            Some(Payload::Good { version } | Payload::WrongVersion(version)) => version.clone(),
            _ => declared().unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
        }
    }

    /// Finds the member whose process runs on an instance.
    pub fn member_on(&self, cluster: &ClusterName, id: &InstanceId) -> Option<&MemberId> {
        self.clusters.get(cluster)?.members.member_on(id)
    }

    /// Ends the member's process on an instance, without a leave.
    pub fn stop_member(&mut self, id: &InstanceId) {
        let Some(machine) = self.region.instances.get(id).cloned() else { return };
        let home = home(&self.contents(&machine));
        let Some(cluster) = self.clusters.get_mut(&machine.cluster) else { return };
        let Some(left) = cluster.members.stop(id, self.now, &mut self.chance.rng) else { return };
        if let Some(record) = cluster.slots.get_mut(&machine.seen.slot) {
            record.applied = left.entries;
        }
        if let Some(home) = home {
            self.edit_content(&machine, &home, |content| content.log = left);
        }
        self.stir(&machine.cluster);
    }
}
