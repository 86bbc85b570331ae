//! Instances: they move from one state to the next as EC2 has them do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use litemap::LiteMap;

use super::happened::{Due, Happened, Span};
use super::records::{Machine, Protection};
use super::records::{Spent, Subnet, TOKEN_LIFE};
use super::region::{Fresh, Region, token_key};
use crate::action::Launch;
use crate::ids::{ClusterName, InstanceId, VolumeId, VolumeName, Zone};
use crate::observed::{Checks, Instance, InstanceState, Origin};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::time::Millis;
use crate::sim::words::{Refusal, changed};
use crate::time::Timestamp;

/// Terminated instances are shown for about an hour.
const SHOWN_TERMINATED: Millis = 3_600_000;

impl Region {
    /// Brings an instance to its next state.
    pub(super) fn instance_turns(&mut self, id: &InstanceId, turn: u32) {
        let Some(machine) = self.instances.get_mut(id).filter(|machine| machine.turn == turn) else { return };
        match machine.seen.state {
            InstanceState::Pending if machine.doomed.is_some() => {
                let reason = machine.doomed.take();
                machine.seen.state_reason = reason;
                self.become_terminated(id);
            }
            InstanceState::Pending => self.become_running(id),
            InstanceState::Stopping => {
                let group = machine.seen.auto_scaling_group.clone();
                self.come_to(id, InstanceState::Stopped);
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
        let Some(machine) = self.instances.get_mut(id).filter(|machine| machine.turn == turn) else { return };
        machine.seen.checks = Checks::Ok;
        let cluster = machine.cluster.clone();
        self.changed(&cluster);
    }

    /// The guest is up, and looks for its volumes.
    pub(super) fn instance_booted(&mut self, id: &InstanceId, turn: u32) {
        let Some(machine) = self.instances.get_mut(id).filter(|machine| machine.turn == turn) else { return };
        machine.booted = true;
        self.happens(Happened::GuestLooks(id.clone()));
    }

    /// The guest has had the time to mount its volumes, if all of them are still there.
    pub(super) fn guest_mounts(&mut self, id: InstanceId, turn: u32) {
        let is_same = |machine: &&Machine| machine.turn == turn && self.has_all_volumes(machine);
        if self.instances.get(&id).is_some_and(|machine| is_same(&machine)) {
            self.happens(Happened::GuestMounts(id));
        }
    }

    /// Says whether a guest is up, and all that it waits for is there.
    pub fn has_all_volumes(&self, machine: &Machine) -> bool {
        machine.booted
            && machine.seen.state == InstanceState::Running
            && !machine.volumes.is_empty()
            && machine.has_its_address()
            && machine.volumes.values().all(|volume| self.is_attached(volume, &machine.seen.id))
    }

    /// Moves an instance to a state that lasts until somebody or something changes it.
    fn come_to(&mut self, id: &InstanceId, state: InstanceState) -> u32 {
        let since = self.timestamp();
        let Some(machine) = self.instances.get_mut(id) else { return 0 };
        machine.turn += 1;
        machine.booted = false;
        machine.seen.state = state;
        machine.seen.state_since = since;
        machine.by_hand = machine.by_hand.filter(|_| state == InstanceState::Running);
        machine.seen.checks = if state == InstanceState::Running { Checks::Initializing } else { Checks::Unknown };
        let (turn, cluster) = (machine.turn, machine.cluster.clone());
        self.changed(&cluster);
        self.stir_group_of(id);
        turn
    }

    fn become_running(&mut self, id: &InstanceId) {
        let turn = self.come_to(id, InstanceState::Running);
        self.begins(Due::Booted(id.clone(), turn), Span::Boot);
        self.begins(Due::Checked(id.clone(), turn), Span::Checks);
    }

    /// Frees the instance's volumes, or deletes them with it where they were marked so.
    fn become_terminated(&mut self, id: &InstanceId) {
        let turn = self.come_to(id, InstanceState::Terminated);
        self.begins(Due::Instance(id.clone(), turn), Span::Exactly(SHOWN_TERMINATED));
        let Some(machine) = self.instances.get_mut(id) else { return };
        machine.seen.address = None;
        machine.seen.interface = None;
        machine.shown_addresses.clear();
        let subnet = machine.seen.subnet.clone();
        self.subnet(&subnet).free += 1;
        let attached: Vec<VolumeId> =
            self.volumes.values().filter(|disk| disk.holder() == Some(id)).map(|disk| disk.seen.id.clone()).collect();
        for volume in attached {
            self.release(&volume);
        }
    }

    fn forget(&mut self, id: &InstanceId) {
        let Some(machine) = self.instances.remove(id) else { return };
        if let Some(holdings) = self.clusters.get_mut(&machine.cluster) {
            holdings.instances.remove(id);
        }
        self.changed(&machine.cluster);
    }

    /// `RunInstances`.
    pub(super) fn run_instances(
        &mut self,
        cluster: &ClusterName,
        launch: &Launch,
        fresh: Fresh,
    ) -> Result<Outcome, Refusal> {
        let key = token_key(&launch.zone, &launch.token);
        if let Some(spent) = self.launched.get(&key).filter(|spent| self.now.saturating_sub(spent.at) < TOKEN_LIFE) {
            return self.launched_before(spent, launch);
        }
        self.can_launch(launch)?;
        let id = InstanceId::from(fresh("i"));
        self.launched
            .insert(key, Spent { cluster: cluster.clone(), request: launch.clone(), made: id.clone(), at: self.now });
        let address = self.give_address(&launch.subnet);
        let machine = Machine::launched(launch, cluster, id.clone(), address, self.timestamp());
        self.instances.insert(id.clone(), machine);
        self.fill_devices(&id, fresh);
        if let Some(known) = self.clusters.get_mut(cluster) {
            known.instances.insert(id.clone());
        }
        if let (Some(reason), Some(machine)) = (self.troubles.launches_end.clone(), self.instances.get_mut(&id)) {
            machine.doomed = Some(reason);
        }
        self.happens(Happened::Launched(cluster.clone(), id.clone()));
        self.begins(Due::Instance(id.clone(), 0), Span::Pending);
        self.changed(cluster);
        Ok(Outcome::Launched(id))
    }

    /// Answers a launch whose token was used before.
    fn launched_before(&self, spent: &Spent<Launch, InstanceId>, launch: &Launch) -> Result<Outcome, Refusal> {
        if spent.request != *launch {
            return Err(Refusal::new(ErrorKind::TokenSpent, "IdempotentParameterMismatch"));
        }
        match self.instances.get(&spent.made).map(|machine| machine.seen.state) {
            Some(state) if state.is_live() => Ok(Outcome::Launched(spent.made.clone())),
            _ => Err(Refusal::new(ErrorKind::TokenSpent, "IdempotentInstanceTerminated")),
        }
    }

    pub(super) fn can_launch(&mut self, launch: &Launch) -> Result<(), Refusal> {
        if !self.images.contains_key(&launch.make.image) {
            return Err(Refusal::new(ErrorKind::NotFound, "InvalidAMIID.NotFound"));
        }
        launch.root_volume.iter().try_for_each(|root| self.can_have_root(root))?;
        self.has_capacity(&launch.zone)?;
        if self.subnet(&launch.subnet).free == 0 {
            return Err(Refusal::new(ErrorKind::NoCapacity, "InsufficientFreeAddressesInSubnet"));
        }
        Ok(())
    }

    fn has_capacity(&self, zone: &Zone) -> Result<(), Refusal> {
        match self.zones.get(zone) {
            Some(state) if state.no_capacity_until > self.now => {
                Err(Refusal::new(ErrorKind::NoCapacity, "InsufficientInstanceCapacity"))
            }
            _ => Ok(()),
        }
    }

    /// Gives a zone no instances to launch until then.
    pub fn exhaust_capacity(&mut self, zone: &Zone, until: Millis) {
        self.zones.entry(zone.clone()).or_default().no_capacity_until = until;
    }

    /// Reports a zone as impaired until then.
    pub fn impair_zone(&mut self, zone: &Zone, until: Millis) {
        self.zones.entry(zone.clone()).or_default().impaired_until = until;
    }

    /// Finds a subnet; one that was never named before is made.
    pub(super) fn subnet(&mut self, name: &str) -> &mut Subnet {
        let number = self.subnets.len() as u8;
        self.subnets.entry(name.to_owned()).or_insert(Subnet {
            number,
            given: 9,
            free: 250,
            zone: None,
            range: None,
            fixed: BTreeSet::new(),
        })
    }

    /// Leaves a subnet this many addresses.
    pub fn set_free_addresses(&mut self, subnet: &str, free: u32) {
        self.subnet(subnet).free = free;
    }

    /// Gives the next address of a subnet.
    pub fn give_address(&mut self, name: &str) -> IpAddr {
        let network = if self.is_on_loopback { 127 } else { 10 };
        loop {
            let subnet = self.subnet(name);
            subnet.given = subnet.given.wrapping_add(1).max(10);
            let [high, low] = subnet.given.to_be_bytes();
            let address = Ipv4Addr::new(network, subnet.number, high, low);
            if !self.reserved.contains(&address) {
                let subnet = self.subnet(name);
                subnet.free = subnet.free.saturating_sub(1);
                return IpAddr::V4(address);
            }
        }
    }

    /// `StopInstances`: the guest gets a SIGTERM at once.
    pub(super) fn stop_instance(&mut self, id: &InstanceId) -> Result<Outcome, Refusal> {
        let machine = self.machine(id)?;
        match machine.seen.state {
            InstanceState::Running if machine.protection.stop => return Err(protected()),
            InstanceState::Running => {}
            InstanceState::Stopping | InstanceState::Stopped => return Ok(Outcome::AlreadySo),
            other => return Ok(changed("running", other.to_string())),
        }
        self.begin_to_stop(id);
        Ok(Outcome::Done)
    }

    /// Stops an instance for a reason of EC2's own, whatever protects it.
    pub fn host_stops(&mut self, id: &InstanceId, reason: &str) {
        let Some(machine) = self.instances.get_mut(id) else { return };
        if machine.seen.state == InstanceState::Running {
            machine.seen.state_reason = Some(reason.to_owned());
            self.begin_to_stop(id);
        }
    }

    fn begin_to_stop(&mut self, id: &InstanceId) {
        self.happens(Happened::GuestDown(id.clone()));
        let turn = self.come_to(id, InstanceState::Stopping);
        self.begins(Due::Instance(id.clone(), turn), Span::Stop);
    }

    /// `StartInstances`.
    pub(super) fn start_instance(&mut self, id: &InstanceId) -> Result<Outcome, Refusal> {
        let machine = self.machine(id)?;
        match machine.seen.state {
            InstanceState::Stopped => {}
            InstanceState::Pending | InstanceState::Running => return Ok(Outcome::AlreadySo),
            other => return Ok(changed("stopped", other.to_string())),
        }
        self.has_capacity(&machine.seen.zone)?;
        let turn = self.come_to(id, InstanceState::Pending);
        let now = self.timestamp();
        if let Some(machine) = self.instances.get_mut(id) {
            machine.seen.launched_at = now;
        }
        self.begins(Due::Instance(id.clone(), turn), Span::Pending);
        Ok(Outcome::Done)
    }

    /// `TerminateInstances`.
    pub(super) fn terminate_instance(&mut self, id: &InstanceId) -> Result<Outcome, Refusal> {
        let machine = self.machine(id)?;
        if !machine.seen.state.is_live() {
            return Ok(Outcome::AlreadySo);
        }
        if machine.protection.termination {
            return Err(protected());
        }
        self.happens(Happened::GuestDown(id.clone()));
        let turn = self.come_to(id, InstanceState::ShuttingDown);
        self.begins(Due::Instance(id.clone(), turn), Span::ShutDown);
        Ok(Outcome::Done)
    }

    /// Notes that a controller has asked for an instance's end, and was refused.
    pub fn end_was_refused(&mut self, id: &InstanceId) {
        if let Some(machine) = self.instances.get_mut(id) {
            machine.end_refused = true;
        }
    }

    /// Finds an instance.
    pub fn machine(&self, id: &InstanceId) -> Result<&Machine, Refusal> {
        self.instances.get(id).ok_or_else(|| Refusal::new(ErrorKind::NotFound, "InvalidInstanceID.NotFound"))
    }

    /// Lists a cluster's instances that are not terminated, oldest first.
    pub fn live_instances(&self, cluster: &ClusterName) -> Vec<InstanceId> {
        let Some(holdings) = self.clusters.get(cluster) else { return Vec::new() };
        let machines = holdings.instances.iter().filter_map(|id| self.instances.get(id));
        let mut live: Vec<_> = machines.filter(|machine| machine.seen.state.is_live()).collect();
        live.sort_by_key(|machine| (machine.seen.launched_at, machine.seen.id.clone()));
        live.into_iter().map(|machine| machine.seen.id.clone()).collect()
    }
}

impl Machine {
    /// Makes the instance that a launch asks for.
    pub fn launched(launch: &Launch, cluster: &ClusterName, id: InstanceId, address: IpAddr, now: Timestamp) -> Self {
        let seen = Instance {
            id: id.clone(),
            slot: launch.slot.clone(),
            owner: Some(launch.owner.clone()),
            origin: Origin::Launched { attempt: launch.attempt, generation: Some(launch.generation.clone()) },
            retired: false,
            state: InstanceState::Pending,
            state_reason: None,
            state_since: now,
            launched_at: now,
            checks: Checks::Unknown,
            make: Arc::new(launch.make.clone()),
            zone: launch.zone.clone(),
            subnet: launch.subnet.clone(),
            address: Some(address),
            interface: Some(Self::interface_of(&id)),
            fixed_address: launch.address,
            awaits: Vec::new(),
            tags: launch.tags.clone(),
            devices: Vec::new(),
            auto_scaling_group: None,
            scheduled_events: Vec::new(),
            beyond: Vec::new(),
        };
        let mut machine = Self {
            seen: seen.into(),
            cluster: cluster.clone(),
            volumes: LiteMap::new(),
            turn: 0,
            booted: false,
            settled: false,
            proven: false,
            interfered: false,
            by_hand: None,
            end_refused: false,
            doomed: None,
            protection: Protection::default(),
            shown_addresses: BTreeSet::new(),
        };
        machine.is_told_of(launch.volumes.clone());
        machine
    }

    /// Tells the guest, by tags, which volumes are its own.
    pub fn is_told_of(&mut self, volumes: BTreeMap<VolumeName, VolumeId>) {
        self.seen.awaits = volumes.values().cloned().collect();
        self.volumes = volumes.into_iter().collect();
    }
}

fn protected() -> Refusal {
    Refusal::new(ErrorKind::Denied, "OperationNotPermitted")
}
