//! EC2 itself: instances and volumes move from one state to the next as EC2 has them do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::latency;
use super::truth::{Disk, Millis, Shell, Spent, Tick, Truth};
use crate::action::{CreateVolume, Launch};
use crate::ids::{ClusterName, InstanceId, SlotName, SnapshotId, VolumeId};
use crate::observed::{
    Attachment, AttachmentPhase, Checks, Device, Instance, InstanceState, Snapshot, Volume, VolumeState,
};
use crate::ports::{ErrorKind, Outcome};

use super::calls::{Refusal, changed};

/// Terminated instances are shown for about an hour.
const SHOWN_TERMINATED: Millis = 3_600_000;
/// A client token is remembered for so long.
const TOKEN_LIFE: Millis = 24 * 3_600_000;
/// Data volumes an instance can have (Nitro: 28 shared with network interfaces and the root volume).
const ATTACHMENT_LIMIT: usize = 26;

impl Truth {
    /// An instance comes to its next state.
    pub(super) fn instance_turns(&mut self, id: &InstanceId, turn: u32) {
        let Some(shell) = self.instances.get_mut(id).filter(|shell| shell.turn == turn) else { return };
        match shell.seen.state {
            InstanceState::Pending if shell.doomed.is_some() => {
                let reason = shell.doomed.take();
                shell.seen.state_reason = reason;
                self.become_terminated(id);
            }
            InstanceState::Pending => self.become_running(id),
            InstanceState::Stopping => {
                self.comes_to(id, InstanceState::Stopped);
            }
            InstanceState::ShuttingDown => self.become_terminated(id),
            InstanceState::Terminated => self.forget(id),
            InstanceState::Running | InstanceState::Stopped => {}
        }
    }

    pub(super) fn instance_checked(&mut self, id: &InstanceId, turn: u32) {
        let Some(shell) = self.instances.get_mut(id).filter(|shell| shell.turn == turn) else { return };
        shell.seen.checks = Checks::Ok;
        let cluster = shell.cluster.clone();
        self.changed(&cluster);
    }

    /// Moves an instance to a state that lasts until somebody or something changes it.
    fn comes_to(&mut self, id: &InstanceId, state: InstanceState) -> u32 {
        let since = self.timestamp(self.now);
        let Some(shell) = self.instances.get_mut(id) else { return 0 };
        shell.turn += 1;
        shell.booted = false;
        shell.seen.state = state;
        shell.seen.state_since = since;
        shell.seen.checks = if state == InstanceState::Running { Checks::Initializing } else { Checks::Unknown };
        let (turn, cluster) = (shell.turn, shell.cluster.clone());
        self.changed(&cluster);
        turn
    }

    fn become_running(&mut self, id: &InstanceId) {
        let turn = self.comes_to(id, InstanceState::Running);
        let boot = latency::BOOT.draw(&mut self.rng);
        let checks = latency::CHECKS.draw(&mut self.rng);
        self.schedule(boot, Tick::Booted(id.clone(), turn));
        self.schedule(checks, Tick::Checked(id.clone(), turn));
    }

    /// Its volumes are free again, or gone with it where they were marked so.
    fn become_terminated(&mut self, id: &InstanceId) {
        let turn = self.comes_to(id, InstanceState::Terminated);
        self.schedule(SHOWN_TERMINATED, Tick::Instance(id.clone(), turn));
        let Some(shell) = self.instances.get_mut(id) else { return };
        shell.seen.address = None;
        let subnet = shell.seen.subnet.clone();
        self.subnet(&subnet).free += 1;
        let attached: Vec<VolumeId> =
            self.volumes.values().filter(|disk| disk.holder() == Some(id)).map(|disk| disk.seen.id.clone()).collect();
        for volume in attached {
            self.release(&volume);
        }
    }

    fn forget(&mut self, id: &InstanceId) {
        let Some(shell) = self.instances.remove(id) else { return };
        if let Some(cluster) = self.clusters.get_mut(&shell.cluster) {
            cluster.instances.remove(id);
        }
        self.changed(&shell.cluster);
    }

    /// A volume's instance is gone.
    fn release(&mut self, id: &VolumeId) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        disk.turn += 1;
        let deleted = disk.delete_on_termination;
        disk.seen.state = if deleted { VolumeState::Deleted } else { VolumeState::Available };
        let cluster = disk.cluster.clone();
        self.drop_device(id);
        if deleted {
            self.violate(&cluster, "S3", format!("{id} was deleted with its instance"));
        }
        self.changed(&cluster);
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
            _ => {}
        }
        self.changed(&cluster);
    }

    fn attached(&mut self, id: &InstanceId, device: Device) {
        let Some(shell) = self.instances.get_mut(id) else { return };
        shell.seen.devices.push(device);
        shell.held = true;
        shell.proven = false;
        self.guest_looks(id);
    }

    /// `RunInstances`.
    pub(super) fn run_instances(
        &mut self,
        cluster: &ClusterName,
        slot: &SlotName,
        launch: &Launch,
    ) -> Result<Outcome, Refusal> {
        let key = format!("{}/{}", launch.zone, launch.token);
        if let Some(spent) = self.launched.get(&key).filter(|spent| self.now - spent.at < TOKEN_LIFE) {
            if spent.request != *launch {
                return Err(Refusal::new(ErrorKind::TokenSpent, "IdempotentParameterMismatch"));
            }
            return match self.instances.get(&spent.made).map(|shell| shell.seen.state) {
                Some(state) if state.is_live() => Ok(Outcome::Launched(spent.made.clone())),
                _ => Err(Refusal::new(ErrorKind::TokenSpent, "IdempotentInstanceTerminated")),
            };
        }
        self.can_launch(launch)?;
        let id = InstanceId::from(self.new_id("i"));
        self.launched.insert(key, Spent { request: launch.clone(), made: id.clone(), at: self.now });
        let address = self.give_address(&launch.subnet);
        let doomed = self.draw_launch_failure(cluster);
        let shell = self.new_shell(cluster, slot, launch, id.clone(), address, doomed);
        self.instances.insert(id.clone(), shell);
        if let Some(known) = self.clusters.get_mut(cluster) {
            known.instances.insert(id.clone());
        }
        let pending = latency::PENDING.draw(&mut self.rng);
        self.schedule(pending, Tick::Instance(id.clone(), 0));
        self.changed(cluster);
        Ok(Outcome::Launched(id))
    }

    fn can_launch(&mut self, launch: &Launch) -> Result<(), Refusal> {
        if !self.images.contains_key(&launch.image) {
            return Err(Refusal::new(ErrorKind::NotFound, "InvalidAMIID.NotFound"));
        }
        if self.zones.get(&launch.zone).is_some_and(|zone| zone.no_capacity_until > self.now) {
            return Err(Refusal::new(ErrorKind::NoCapacity, "InsufficientInstanceCapacity"));
        }
        if self.subnet(&launch.subnet).free == 0 {
            return Err(Refusal::new(ErrorKind::NoCapacity, "InsufficientFreeAddressesInSubnet"));
        }
        Ok(())
    }

    pub(super) fn give_address(&mut self, subnet: &str) -> IpAddr {
        let subnet = self.subnet(subnet);
        subnet.given = subnet.given.wrapping_add(1).max(10);
        subnet.free = subnet.free.saturating_sub(1);
        let [high, low] = subnet.given.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, subnet.number, high, low))
    }

    pub(super) fn new_shell(
        &self,
        cluster: &ClusterName,
        slot: &SlotName,
        launch: &Launch,
        id: InstanceId,
        address: IpAddr,
        doomed: Option<String>,
    ) -> Shell {
        let now = self.timestamp(self.now);
        let seen = Instance {
            id,
            slot: slot.clone(),
            owner: Some(launch.owner.clone()),
            generation: Some(launch.generation.clone()),
            attempt: launch.attempt,
            retired: false,
            state: InstanceState::Pending,
            state_reason: None,
            state_since: now,
            launched_at: now,
            checks: Checks::Unknown,
            image: launch.image.clone(),
            instance_type: launch.instance_type.clone(),
            zone: launch.zone.clone(),
            subnet: launch.subnet.clone(),
            address: Some(address),
            iam_instance_profile: launch.iam_instance_profile.clone(),
            security_groups: launch.security_groups.clone(),
            key_name: launch.key_name.clone(),
            user_data: launch.user_data_digest.clone(),
            tags: launch.tags.clone(),
            devices: Vec::new(),
            auto_scaling_group: None,
            scheduled_events: Vec::new(),
        };
        Shell::new(seen, cluster.clone(), launch.volumes.clone(), doomed)
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
        self.created.insert(key, Spent { request: wanted.clone(), made: id.clone(), at: self.now });
        self.volumes.insert(id.clone(), Disk::blank(cluster, slot, wanted, id.clone()));
        if let Some(known) = self.clusters.get_mut(cluster) {
            known.volumes.insert(id.clone());
        }
        let creating = latency::CREATE.draw(&mut self.rng);
        self.schedule(creating, Tick::Volume(id.clone(), 0));
        self.changed(cluster);
        Ok(Outcome::Created(id))
    }

    /// `StopInstances`: the guest gets a SIGTERM at once.
    pub(super) fn stop_instance(&mut self, id: &InstanceId) -> Result<Outcome, Refusal> {
        match self.shell(id)?.seen.state {
            InstanceState::Running => {}
            InstanceState::Stopping | InstanceState::Stopped => return Ok(Outcome::AlreadySo),
            other => return Ok(changed("running", format!("{other:?}"))),
        }
        self.stop_member(id);
        let turn = self.comes_to(id, InstanceState::Stopping);
        let span = latency::STOP.draw(&mut self.rng) + self.draw_stuck("stuck-stopping", id);
        self.schedule(span, Tick::Instance(id.clone(), turn));
        Ok(Outcome::Done)
    }

    /// `StartInstances`.
    pub(super) fn start_instance(&mut self, id: &InstanceId) -> Result<Outcome, Refusal> {
        let shell = self.shell(id)?;
        match shell.seen.state {
            InstanceState::Stopped => {}
            InstanceState::Pending | InstanceState::Running => return Ok(Outcome::AlreadySo),
            other => return Ok(changed("stopped", format!("{other:?}"))),
        }
        if self.zones.get(&shell.seen.zone).is_some_and(|zone| zone.no_capacity_until > self.now) {
            return Err(Refusal::new(ErrorKind::NoCapacity, "InsufficientInstanceCapacity"));
        }
        let turn = self.comes_to(id, InstanceState::Pending);
        let now = self.timestamp(self.now);
        if let Some(shell) = self.instances.get_mut(id) {
            shell.seen.launched_at = now;
        }
        let pending = latency::PENDING.draw(&mut self.rng);
        self.schedule(pending, Tick::Instance(id.clone(), turn));
        Ok(Outcome::Done)
    }

    /// `TerminateInstances`.
    pub(super) fn terminate_instance(&mut self, id: &InstanceId) -> Result<Outcome, Refusal> {
        if !self.shell(id)?.seen.state.is_live() {
            return Ok(Outcome::AlreadySo);
        }
        self.stop_member(id);
        let turn = self.comes_to(id, InstanceState::ShuttingDown);
        let span = latency::SHUT_DOWN.draw(&mut self.rng);
        self.schedule(span, Tick::Instance(id.clone(), turn));
        Ok(Outcome::Done)
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

    /// `CreateSnapshot`; EC2 has no token for it.
    pub(super) fn create_snapshot(&mut self, volume: &VolumeId, attempt: crate::ids::Attempt) -> Outcome {
        let id = SnapshotId::from(self.new_id("snap"));
        let Some(name) = self.volumes.get(volume).map(|disk| disk.cluster.clone()) else { return Outcome::AlreadySo };
        if let Some(cluster) = self.clusters.get_mut(&name) {
            cluster.snapshots.push(Snapshot { id: id.clone(), volume: volume.clone(), attempt, failed: false });
        }
        self.changed(&name);
        Outcome::Snapshotted(id)
    }

    pub(super) fn shell(&self, id: &InstanceId) -> Result<&Shell, Refusal> {
        self.instances.get(id).ok_or_else(|| Refusal::new(ErrorKind::NotFound, "InvalidInstanceID.NotFound"))
    }

    pub(super) fn disk(&self, id: &VolumeId) -> Result<&Disk, Refusal> {
        let found = self.volumes.get(id).filter(|disk| disk.seen.state != VolumeState::Deleted);
        found.ok_or_else(|| Refusal::new(ErrorKind::NotFound, "InvalidVolume.NotFound"))
    }
}

impl Shell {
    pub(super) fn new(
        seen: Instance,
        cluster: ClusterName,
        volumes: BTreeMap<crate::ids::VolumeName, VolumeId>,
        doomed: Option<String>,
    ) -> Self {
        let (held, proven, meddled) = (false, false, false);
        Self { seen, cluster, volumes, turn: 0, booted: false, held, proven, meddled, doomed }
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

    pub(super) fn blank(cluster: &ClusterName, slot: &SlotName, wanted: &CreateVolume, id: VolumeId) -> Self {
        let seen = Volume {
            id,
            slot: slot.clone(),
            name: wanted.name.clone(),
            owner: Some(wanted.owner.clone()),
            slots: wanted.slots.clone(),
            generation: None,
            image: None,
            attempt: crate::ids::Attempt(0),
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
            formatted: 0,
            key_revoked: false,
        }
    }
}
