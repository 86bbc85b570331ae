//! EBS: volumes move from one state to the next as EC2 has them do.

use super::calls::{Refusal, changed};
use super::canaries::Canaries;
use super::cloud::TOKEN_LIFE;
use super::latency;
use super::records::{Cluster, Disk, Spent};
use super::truth::{Millis, Tick, Truth};
use crate::action::CreateVolume;
use crate::ids::{Attempt, ClusterName, InstanceId, SlotName, SnapshotId, VolumeId};
use crate::observed::{Attachment, AttachmentPhase, Device, InstanceState, Snapshot, Volume, VolumeState};
use crate::ports::{ErrorKind, Outcome};

/// Deleted volumes are shown for about a minute.
const SHOWN_DELETED: Millis = 60_000;
/// A snapshot of a small volume is completed after so long.
const SNAPSHOT_TAKES: Millis = 90_000;
/// Data volumes an instance can have (Nitro: 28 shared with network interfaces and the root volume).
const ATTACHMENT_LIMIT: usize = 26;

impl Truth {
    /// A volume's instance is gone.
    pub(super) fn release(&mut self, id: &VolumeId) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        disk.turn += 1;
        let deleted = disk.delete_on_termination;
        disk.seen.state = if deleted { VolumeState::Deleted } else { VolumeState::Available };
        let cluster = disk.cluster.clone();
        self.drop_device(id);
        if deleted {
            self.volume_vanishes(id);
            self.violate(&cluster, "S3", format!("{id} was deleted with its instance"));
        }
        self.changed(&cluster);
    }

    /// A deleted volume is shown for a minute longer.
    pub(super) fn volume_vanishes(&mut self, id: &VolumeId) {
        let turn = self.volumes.get(id).map_or(0, |disk| disk.turn);
        self.schedule(SHOWN_DELETED, Tick::Volume(id.clone(), turn));
    }

    pub(super) fn drop_device(&mut self, volume: &VolumeId) {
        let Some(cluster) = self.volumes.get(volume).map(|disk| disk.cluster.clone()) else { return };
        for shell in self.instances.values_mut() {
            if shell.seen.devices.iter().any(|device| device.volume == *volume) {
                shell.seen.devices.retain(|device| device.volume != *volume);
                shell.proven = false;
            }
        }
        self.changed(&cluster);
    }

    /// A volume comes to its next state.
    pub(super) fn volume_turns(&mut self, id: &VolumeId, turn: u32) {
        let Some(disk) = self.volumes.get_mut(id).filter(|disk| disk.turn == turn) else { return };
        let cluster = disk.cluster.clone();
        match &mut disk.seen.state {
            VolumeState::Creating => disk.seen.state = VolumeState::Available,
            VolumeState::InUse(at) if at.phase == AttachmentPhase::Attaching => {
                at.phase = AttachmentPhase::Attached;
                let (instance, device) = (at.instance.clone(), at.device.clone());
                let device = Device { volume: id.clone(), device, delete_on_termination: disk.delete_on_termination };
                self.attached(&instance, device);
            }
            VolumeState::InUse(_) => {
                disk.seen.state = VolumeState::Available;
                self.drop_device(id);
            }
            VolumeState::Deleted => {
                if let Some(known) = self.clusters.get_mut(&cluster) {
                    known.volumes.remove(id);
                }
                self.volumes.remove(id);
            }
            _ => {}
        }
        self.changed(&cluster);
    }

    /// `CreateVolume`.
    pub(super) fn create_volume(
        &mut self,
        cluster: &ClusterName,
        slot: &SlotName,
        wanted: &CreateVolume,
    ) -> Result<Outcome, Refusal> {
        let key = format!("{}/{}", wanted.zone, wanted.token);
        if let Some(spent) = self.created.get(&key).filter(|spent| self.now - spent.at < TOKEN_LIFE) {
            if spent.request != *wanted {
                return Err(Refusal::new(ErrorKind::TokenSpent, "IdempotentParameterMismatch"));
            }
            return Ok(Outcome::Created(spent.made.clone()));
        }
        let id = VolumeId::from(self.new_id("vol"));
        let blank = Disk::blank(cluster, slot, wanted, id.clone());
        let disk = match wanted.snapshot.as_ref().map(|snapshot| self.saved.get(snapshot)) {
            None => blank,
            Some(Some(saved)) => blank.with(saved),
            Some(None) => return Err(Refusal::new(ErrorKind::NotFound, "InvalidSnapshot.NotFound")),
        };
        self.created.insert(key, Spent { request: wanted.clone(), made: id.clone(), at: self.now });
        self.volumes.insert(id.clone(), disk);
        if let Some(known) = self.clusters.get_mut(cluster) {
            known.volumes.insert(id.clone());
        }
        let creating = latency::CREATE.draw(&mut self.rng);
        self.schedule(creating, Tick::Volume(id.clone(), 0));
        self.changed(cluster);
        Ok(Outcome::Created(id))
    }

    /// `AttachVolume`.
    pub(super) fn attach_volume(&mut self, id: &VolumeId, to: &InstanceId, device: &str) -> Result<Outcome, Refusal> {
        let shell = self.shell(to)?;
        let disk = self.disk(id)?;
        if disk.holder() == Some(to) {
            return Ok(Outcome::AlreadySo);
        }
        if disk.seen.state != VolumeState::Available {
            return Ok(changed("available", format!("{:?}", disk.seen.state)));
        }
        if disk.seen.zone != shell.seen.zone {
            return Err(Refusal::new(ErrorKind::Invalid, "InvalidVolume.ZoneMismatch"));
        }
        if !matches!(shell.seen.state, InstanceState::Running | InstanceState::Stopped) {
            return Ok(changed("running or stopped", format!("{:?}", shell.seen.state)));
        }
        if disk.key_revoked {
            return Err(Refusal::new(ErrorKind::Denied, "CustomerKeyHasBeenRevoked"));
        }
        if shell.seen.devices.iter().any(|taken| taken.device == device) {
            return Err(Refusal::new(ErrorKind::Invalid, "Attachment point is already in use"));
        }
        if shell.seen.devices.len() >= ATTACHMENT_LIMIT {
            return Err(Refusal::new(ErrorKind::Invalid, "AttachmentLimitExceeded"));
        }
        let since = self.timestamp(self.now);
        let (instance, device) = (to.clone(), device.to_owned());
        let attachment = Attachment { instance, device, phase: AttachmentPhase::Attaching, since };
        let span = latency::ATTACH.draw(&mut self.rng) + self.draw_stuck("stuck-attaching", id);
        self.volume_moves(id, VolumeState::InUse(attachment), span);
        Ok(Outcome::Done)
    }

    /// `DetachVolume`, without force.
    pub(super) fn detach_volume(&mut self, id: &VolumeId, from: &InstanceId) -> Result<Outcome, Refusal> {
        let mut attachment = match &self.disk(id)?.seen.state {
            VolumeState::Available => return Ok(Outcome::AlreadySo),
            VolumeState::InUse(at) if at.instance == *from => at.clone(),
            other => return Ok(changed(format!("attached to {from}"), format!("{other:?}"))),
        };
        if attachment.phase == AttachmentPhase::Detaching {
            return Ok(Outcome::AlreadySo);
        }
        if self.shell(from).is_ok_and(|shell| shell.seen.state == InstanceState::ShuttingDown) {
            return Ok(changed("stopped or terminated", "shutting-down".to_owned()));
        }
        attachment.phase = AttachmentPhase::Detaching;
        let span = latency::DETACH.draw(&mut self.rng) + self.draw_stuck("stuck-detaching", id);
        self.volume_moves(id, VolumeState::InUse(attachment), span);
        Ok(Outcome::Done)
    }

    fn volume_moves(&mut self, id: &VolumeId, to: VolumeState, span: Millis) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        disk.turn += 1;
        disk.seen.state = to;
        let (turn, cluster) = (disk.turn, disk.cluster.clone());
        self.schedule(span, Tick::Volume(id.clone(), turn));
        self.changed(&cluster);
    }

    /// `DeleteVolume`.
    pub(super) fn delete_volume(&mut self, id: &VolumeId) -> Result<Outcome, Refusal> {
        let found = &self.disk(id)?.seen.state;
        if *found != VolumeState::Available {
            return Ok(changed("available", format!("{found:?}")));
        }
        self.volume_moves(id, VolumeState::Deleted, SHOWN_DELETED);
        self.begin_anew(id);
        Ok(Outcome::Done)
    }

    /// With its last volume a cluster is gone: servers that begin in its place found another.
    fn begin_anew(&mut self, last: &VolumeId) {
        let Some(name) = self.volumes.get(last).map(|disk| disk.cluster.clone()) else { return };
        let bare = |cluster: &Cluster| {
            cluster.consul.processes.is_empty() && cluster.volumes.iter().all(|id| self.disk(id).is_err())
        };
        let is_gone = self.clusters.get(&name).is_some_and(bare);
        if let Some(cluster) = self.clusters.get_mut(&name).filter(|_| is_gone) {
            cluster.consul = cluster.consul.anew();
            cluster.slots.values_mut().for_each(|slot| (slot.member, slot.applied) = (None, 0));
        }
    }

    /// A snapshot has everything that it was taken for.
    pub(super) fn snapshot_completes(&mut self, name: &ClusterName, id: &SnapshotId) {
        let snapshots = self.clusters.get_mut(name).into_iter().flat_map(|cluster| &mut cluster.snapshots);
        snapshots.filter(|snapshot| snapshot.id == *id).for_each(|snapshot| snapshot.completed = true);
        self.changed(name);
    }

    /// `CreateSnapshot`; EC2 has no token for it. It holds what the volume holds at this moment, though that is in use.
    pub(super) fn create_snapshot(
        &mut self,
        cluster: &ClusterName,
        volume: &VolumeId,
        attempt: Attempt,
        copy_of: Option<ClusterName>,
    ) -> Result<Outcome, Refusal> {
        let saved = self.content(volume)?;
        let id = SnapshotId::from(self.new_id("snap"));
        let snapshot = Snapshot {
            id: id.clone(),
            volume: volume.clone(),
            attempt,
            owner: saved.seen.owner.clone(),
            copy_of,
            begun: Some(self.timestamp(self.now)),
            size_gib: saved.seen.size_gib,
            failed: false,
            completed: false,
        };
        self.saved.insert(id.clone(), saved);
        if let Some(cluster) = self.clusters.get_mut(cluster) {
            cluster.snapshots.push(snapshot);
        }
        self.schedule(SNAPSHOT_TAKES, Tick::Snapshot(cluster.clone(), id.clone()));
        self.changed(cluster);
        Ok(Outcome::Snapshotted(id))
    }

    /// A volume, with what the member that runs on it has written there so far.
    fn content(&self, id: &VolumeId) -> Result<Disk, Refusal> {
        let mut disk = self.disk(id)?.clone();
        let consul = self.clusters.get(&disk.cluster).map(|cluster| &cluster.consul);
        let process = consul.zip(disk.member.as_ref()).and_then(|(consul, member)| consul.processes.get(member));
        if let Some((consul, process)) = consul.zip(process) {
            (disk.applied, disk.canaries) = (consul.applied(process, self.now), process.canaries.clone());
        }
        Ok(disk)
    }

    /// `DeleteSnapshot`.
    pub(super) fn delete_snapshot(&mut self, id: &SnapshotId) -> Result<Outcome, Refusal> {
        let (name, cluster) = self
            .clusters
            .iter_mut()
            .find(|(_, cluster)| cluster.snapshots.iter().any(|snapshot| snapshot.id == *id))
            .ok_or_else(|| Refusal::new(ErrorKind::NotFound, "InvalidSnapshot.NotFound"))?;
        cluster.snapshots.retain(|snapshot| snapshot.id != *id);
        self.saved.remove(id);
        let name = name.clone();
        self.changed(&name);
        Ok(Outcome::Done)
    }

    pub(super) fn disk(&self, id: &VolumeId) -> Result<&Disk, Refusal> {
        let found = self.volumes.get(id).filter(|disk| disk.seen.state != VolumeState::Deleted);
        found.ok_or_else(|| Refusal::new(ErrorKind::NotFound, "InvalidVolume.NotFound"))
    }

    fn attached(&mut self, id: &InstanceId, device: Device) {
        let Some(shell) = self.instances.get_mut(id) else { return };
        shell.seen.devices.push(device);
        shell.proven = false;
        self.guest_looks(id);
    }
}

impl Disk {
    /// The instance that has it, in whatever phase.
    pub(super) fn holder(&self) -> Option<&InstanceId> {
        match &self.seen.state {
            VolumeState::InUse(at) => Some(&at.instance),
            _ => None,
        }
    }

    /// The same, with what a snapshot holds.
    fn with(self, saved: &Self) -> Self {
        let Self { stamp, member, applied, canaries, formatted, .. } = saved.clone();
        Self { stamp, member, applied, canaries, formatted, ..self }
    }

    pub(super) fn blank(cluster: &ClusterName, slot: &SlotName, wanted: &CreateVolume, id: VolumeId) -> Self {
        let seen = Volume {
            id,
            slot: slot.clone(),
            name: wanted.name.clone(),
            owner: Some(wanted.owner.clone()),
            slots: wanted.slots.clone(),
            generation: None,
            image: None,
            attempt: Attempt(0),
            rejected: None,
            state: VolumeState::Creating,
            zone: wanted.zone.clone(),
            size_gib: wanted.size_gib,
            impaired: None,
            modifying: false,
        };
        Self {
            seen,
            cluster: cluster.clone(),
            turn: 0,
            delete_on_termination: false,
            stamp: None,
            member: None,
            applied: 0,
            canaries: Canaries::default(),
            alone: false,
            formatted: 0,
            key_revoked: false,
        }
    }
}
