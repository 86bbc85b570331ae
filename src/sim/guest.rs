//! What happens inside an instance: it waits for its volumes, checks their stamps and starts the member.

use super::Payload;
use super::consul::Process;
use super::latency;
use super::records::{Cluster, Shell, Stamp};
use super::truth::{Tick, Truth};
use crate::ids::{ClusterName, InstanceId, MemberId, VolumeId, VolumeName};
use crate::observed::{AttachmentPhase, InstanceState, VolumeState};
use crate::spec::COPY_OF;

impl Truth {
    /// The guest is up, and looks for its volumes.
    pub(super) fn guest_booted(&mut self, id: &InstanceId, turn: u32) {
        let Some(shell) = self.instances.get_mut(id).filter(|shell| shell.turn == turn) else { return };
        shell.booted = true;
        self.guest_looks(id);
    }

    /// Mounts in a moment if all its volumes are there. Called when the guest is up and at each attachment.
    pub(super) fn guest_looks(&mut self, id: &InstanceId) {
        let Some(shell) = self.instances.get(id).filter(|shell| self.has_all_volumes(shell)) else { return };
        let turn = shell.turn;
        let patience = match self.images.get(&shell.seen.image) {
            Some(Payload::SlowToJoin(span)) => span.as_millis() as u64,
            _ => 0,
        };
        let mounting = latency::MOUNT.draw(&mut self.rng);
        self.schedule(mounting + patience, Tick::Mounted(id.clone(), turn));
    }

    fn has_all_volumes(&self, shell: &Shell) -> bool {
        shell.booted
            && shell.seen.state == InstanceState::Running
            && !shell.volumes.is_empty()
            && shell.volumes.values().all(|volume| self.is_attached(volume, &shell.seen.id))
    }

    pub(super) fn is_attached(&self, volume: &VolumeId, to: &InstanceId) -> bool {
        self.volumes.get(volume).is_some_and(|disk| match &disk.seen.state {
            VolumeState::InUse(at) => at.instance == *to && at.phase == AttachmentPhase::Attached,
            _ => false,
        })
    }

    /// The guest mounts, and the member starts if every stamp is its own.
    pub(super) fn guest_mounts(&mut self, id: &InstanceId, turn: u32) {
        let Some(shell) = self.instances.get(id).filter(|shell| shell.turn == turn && self.has_all_volumes(shell))
        else {
            return;
        };
        let shell = shell.clone();
        if self.member_on(&shell.cluster, id).is_some() {
            return;
        }
        self.isolate_copies(&shell);
        if !self.stamps_fit(&shell) {
            return;
        }
        self.format_blanks(&shell);
        if self.images.get(&shell.seen.image) != Some(&Payload::NeverJoins) {
            self.start_member(&shell);
        }
    }

    /// The member whose process runs on an instance.
    pub(super) fn member_on(&self, cluster: &ClusterName, id: &InstanceId) -> Option<MemberId> {
        let processes = &self.clusters.get(cluster)?.consul.processes;
        processes.iter().find(|(_, process)| process.instance == *id).map(|(member, _)| member.clone())
    }

    /// A copy of another cluster's volume is cut off from that cluster, and stamped anew, if the instance says so.
    fn isolate_copies(&mut self, shell: &Shell) {
        let Some(of) = shell.seen.tags.get(COPY_OF) else { return };
        for (name, id) in &shell.volumes {
            let is_copy = |stamp: &Stamp| *of == *stamp.cluster && stamp.volume == *name;
            let Some(disk) = self.volumes.get_mut(id).filter(|disk| disk.stamp.as_ref().is_some_and(is_copy)) else {
                continue;
            };
            (disk.stamp, disk.member, disk.alone) = (Some(Stamp::new(shell, name)), None, true);
        }
    }

    fn stamps_fit(&mut self, shell: &Shell) -> bool {
        let mut fit = true;
        for (name, id) in &shell.volumes {
            let Some(found) = self.volumes.get(id).and_then(|disk| disk.stamp.clone()) else { continue };
            if found == Stamp::new(shell, name) {
                continue;
            }
            fit = false;
            let (cluster, slot) = (&shell.cluster, &shell.seen.slot);
            let whose = format!("{}/{}/{}", found.cluster, found.slot, found.volume);
            self.violate(cluster, "S5", format!("{} of {slot} met {id}, which is {whose}", shell.seen.id));
        }
        fit
    }

    fn format_blanks(&mut self, shell: &Shell) {
        for (name, id) in &shell.volumes {
            let Some(disk) = self.volumes.get_mut(id).filter(|disk| disk.stamp.is_none()) else { continue };
            disk.stamp = Some(Stamp::new(shell, name));
            disk.formatted += 1;
        }
    }

    /// The volume that a member's node id lies on: the one that has one, or else the first.
    fn home(&self, shell: &Shell) -> Option<VolumeId> {
        let has_one = |id: &&VolumeId| self.volumes.get(*id).is_some_and(|disk| disk.member.is_some());
        shell.volumes.values().find(has_one).or_else(|| shell.volumes.values().next()).cloned()
    }

    /// The node id lies on the volume; a new one is made where there is none.
    fn start_member(&mut self, shell: &Shell) {
        let Some(home) = self.home(shell) else { return };
        let Some(address) = shell.seen.address else { return };
        let fresh = MemberId::from(self.new_id("node"));
        let Some(disk) = self.volumes.get_mut(&home) else { return };
        let member = disk.member.get_or_insert(fresh).clone();
        let (from, payload) = (disk.applied, self.images.get(&shell.seen.image).cloned().unwrap_or_default());
        let (canaries, alone) = (disk.canaries.at_start(&payload), std::mem::take(&mut disk.alone));
        self.recognise(shell, &member, from);
        self.keep_apart(shell, &member);
        let process = Process {
            name: shell.seen.slot.clone(),
            instance: shell.seen.id.clone(),
            address,
            version: self.version_on(shell),
            payload,
            started: self.now,
            joined: None,
            joins_at: self.now,
            from,
            canaries,
        };
        if let Some(cluster) = self.clusters.get_mut(&shell.cluster) {
            cluster.consul.start(member.clone(), process);
            if alone {
                cluster.consul.begin_alone(&member, self.now, &mut self.rng);
            }
        }
        self.stir(&shell.cluster);
    }

    /// A member that comes back must be who it was and know what it knew.
    fn recognise(&mut self, shell: &Shell, member: &MemberId, from: u64) {
        let (cluster, slot) = (&shell.cluster, &shell.seen.slot);
        let Some(truth) = self.clusters.get_mut(cluster).and_then(|cluster| cluster.slots.get_mut(slot)) else {
            return;
        };
        let was = truth.member.replace(member.clone());
        let knew = truth.applied;
        if was.as_ref().is_some_and(|was| was != member) {
            self.violate(cluster, "identity", format!("{slot} came back as another member"));
        } else if from < knew {
            self.violate(cluster, "data", format!("{slot} came back with {from} of {knew} entries"));
        }
    }

    /// No member of one cluster ever calls those of another.
    fn keep_apart(&mut self, shell: &Shell, member: &MemberId) {
        let other = |(name, cluster): &(&ClusterName, &Cluster)| {
            **name != shell.cluster && cluster.consul.servers.contains_key(member)
        };
        if let Some((other, _)) = self.clusters.iter().find(other) {
            let other = other.clone();
            let slot = &shell.seen.slot;
            self.violate(&shell.cluster, "S5", format!("{slot} started as a member of {other}"));
        }
    }

    pub(super) fn version_on(&self, shell: &Shell) -> String {
        let declared = || self.clusters.get(&shell.cluster).and_then(|cluster| cluster.declared.version.clone());
        match self.images.get(&shell.seen.image) {
            Some(Payload::Good { version } | Payload::WrongVersion(version)) => version.clone(),
            _ => declared().unwrap_or_else(|| super::DEFAULT_VERSION.to_owned()),
        }
    }

    /// The member's process on an instance is gone, without a leave.
    pub(super) fn stop_member(&mut self, id: &InstanceId) {
        let Some(shell) = self.instances.get(id) else { return };
        let (name, home) = (shell.cluster.clone(), self.home(shell));
        let slot = shell.seen.slot.clone();
        let Some(member) = self.member_on(&name, id) else { return };
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(&name) else { return };
        let Some(left) = cluster.consul.stop(&member, now, &mut self.rng) else { return };
        if let Some(truth) = cluster.slots.get_mut(&slot) {
            truth.applied = left.applied;
        }
        if let Some(disk) = home.and_then(|home| self.volumes.get_mut(&home)) {
            (disk.applied, disk.canaries) = (left.applied, left.canaries);
        }
        self.stir(&name);
    }
}

impl Stamp {
    pub(super) fn new(shell: &Shell, volume: &VolumeName) -> Self {
        Self { cluster: shell.cluster.clone(), slot: shell.seen.slot.clone(), volume: volume.clone() }
    }
}
