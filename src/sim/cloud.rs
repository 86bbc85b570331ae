//! EC2 itself: instances move from one state to the next as EC2 has them do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::latency;
use super::records::{Shell, Spent};
use super::truth::{Millis, Tick, Truth};
use crate::action::Launch;
use crate::ids::{ClusterName, InstanceId, SlotName, VolumeId, VolumeName};
use crate::observed::{Checks, Instance, InstanceState};
use crate::ports::{ErrorKind, Outcome};

use super::calls::{Refusal, changed};

/// Terminated instances are shown for about an hour.
const SHOWN_TERMINATED: Millis = 3_600_000;
/// A client token is remembered for so long.
pub(super) const TOKEN_LIFE: Millis = 24 * 3_600_000;

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
                let group = shell.seen.auto_scaling_group.clone();
                self.comes_to(id, InstanceState::Stopped);
                if group.is_some_and(|group| !self.groups.contains_key(&group)) {
                    self.terminate_instance(id).ok(); // an Auto Scaling group takes what is not running for broken
                }
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
        self.stir_group_of(id);
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

    pub(super) fn can_launch(&mut self, launch: &Launch) -> Result<(), Refusal> {
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

    pub(super) fn shell(&self, id: &InstanceId) -> Result<&Shell, Refusal> {
        self.instances.get(id).ok_or_else(|| Refusal::new(ErrorKind::NotFound, "InvalidInstanceID.NotFound"))
    }
}

impl Shell {
    pub(super) fn new(
        seen: Instance,
        cluster: ClusterName,
        volumes: BTreeMap<VolumeName, VolumeId>,
        doomed: Option<String>,
    ) -> Self {
        let (settled, proven, meddled) = (false, false, false);
        Self { seen, cluster, volumes, turn: 0, booted: false, settled, proven, meddled, doomed }
    }
}
