//! What others do to a cluster: people, AWS and bad luck. Faults draw from it, and tests and scripts use it directly.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::World;
use super::truth::{Millis, Tick, Truth};
use crate::ids::{ClusterName, InstanceId, Owner, SlotName, VolumeId, Zone};
use crate::observed::{Group, Instance, ScheduledEvent, Volume, VolumeState};

/// What is put back later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Amends {
    /// The owner tag.
    Owner(Option<Owner>),
    /// The announced maintenance is called off.
    Event,
    /// The crashed member is started again by its guest.
    Member,
}

impl World {
    /// Somebody stops an instance by hand.
    pub fn stop_instance(&self, id: &InstanceId) {
        self.with(|truth| truth.meddler_stops(id));
    }

    /// Somebody starts an instance by hand.
    pub fn start_instance(&self, id: &InstanceId) {
        self.with(|truth| truth.start_instance(id).ok());
    }

    /// Somebody terminates an instance by hand.
    pub fn terminate_instance(&self, id: &InstanceId) {
        self.with(|truth| truth.meddler_terminates(id));
    }

    /// Somebody deletes a data volume, wherever it is.
    pub fn delete_volume(&self, id: &VolumeId) {
        self.with(|truth| truth.volume_deleted(id));
    }

    /// The member's process on an instance dies, and its guest starts it again after a while, or never.
    pub fn crash_member(&self, id: &InstanceId, back_after: Option<Duration>) {
        self.with(|truth| truth.member_crashes(id, back_after.map(|span| span.as_millis() as Millis)));
    }

    /// The cluster's leader steps down for no good reason.
    pub fn lose_leader(&self, cluster: &ClusterName) {
        self.with(|truth| truth.leader_lost(cluster));
    }

    /// No controller reaches any member of the cluster for so long. The members reach each other.
    pub fn hide_members(&self, cluster: &ClusterName, span: Duration) {
        self.with(|truth| truth.members_hidden(cluster, truth.now + span.as_millis() as Millis));
    }

    /// Autopilot's `CleanupDeadServers` is turned on or off.
    pub fn set_cleanup(&self, cluster: &ClusterName, on: bool) {
        self.with(|truth| {
            if let Some(cluster) = truth.clusters.get_mut(cluster) {
                cluster.consul.cleanup_off = !on;
            }
        });
    }

    /// A zone has no instances to give for so long.
    pub fn exhaust_capacity(&self, zone: &Zone, span: Duration) {
        self.with(|truth| truth.capacity_exhausted(zone, truth.now + span.as_millis() as Millis));
    }

    /// AWS reports a zone as impaired for so long.
    pub fn impair_zone(&self, zone: &Zone, span: Duration) {
        self.with(|truth| truth.zone_impaired(zone, truth.now + span.as_millis() as Millis));
    }

    /// A subnet has so many addresses left.
    pub fn set_free_addresses(&self, subnet: &str, free: u32) {
        self.with(|truth| truth.subnet(subnet).free = free);
    }

    /// AWS announces maintenance of an instance.
    pub fn announce_event(&self, id: &InstanceId) {
        self.with(|truth| truth.event_announced(id, None));
    }

    /// A volume's KMS key may no longer be used; that shows only when it is attached.
    pub fn revoke_key(&self, id: &VolumeId) {
        self.with(|truth| {
            if let Some(disk) = truth.volumes.get_mut(id) {
                disk.key_revoked = true;
            }
        });
    }

    /// Edits what EC2 says of an instance, e.g. its tags.
    pub fn edit_instance(&self, id: &InstanceId, edit: impl FnOnce(&mut Instance)) {
        self.with(|truth| truth.edit(id, edit));
    }

    /// Edits an Auto Scaling group, e.g. resumes its processes.
    pub fn edit_group(&self, name: &str, edit: impl FnOnce(&mut Group)) {
        self.with(|truth| truth.edit_group(name, |group| edit(&mut group.seen)));
    }

    /// Edits what EC2 says of a volume, e.g. its tags.
    pub fn edit_volume(&self, id: &VolumeId, edit: impl FnOnce(&mut Volume)) {
        self.with(|truth| {
            let Some(disk) = truth.volumes.get_mut(id) else { return };
            edit(&mut disk.seen);
            let cluster = disk.cluster.clone();
            truth.changed(&cluster);
        });
    }

    /// A data volume would be deleted with its instance.
    pub fn set_delete_on_termination(&self, id: &VolumeId, delete: bool) {
        self.with(|truth| {
            let Some(disk) = truth.volumes.get_mut(id) else { return };
            disk.delete_on_termination = delete;
            let Some(holder) = disk.holder().cloned() else { return };
            truth.edit(&holder, |seen| {
                for device in seen.devices.iter_mut().filter(|device| device.volume == *id) {
                    device.delete_on_termination = delete;
                }
            });
        });
    }

    /// What is on a volume is lost, as if somebody had formatted it.
    pub fn wipe_volume(&self, id: &VolumeId) {
        self.with(|truth| {
            if let Some(disk) = truth.volumes.get_mut(id) {
                (disk.stamp, disk.member, disk.applied) = (None, None, 0);
                disk.canaries = Default::default();
            }
        });
    }

    /// How often a guest has formatted a volume: once is right.
    pub fn times_formatted(&self, id: &VolumeId) -> u32 {
        self.truth.borrow().volumes.get(id).map_or(0, |disk| disk.formatted)
    }

    /// The instances of a slot that are not terminated, oldest first.
    pub fn instances_of(&self, cluster: &ClusterName, slot: &SlotName) -> Vec<InstanceId> {
        let truth = self.truth.borrow();
        let of_slot = |id: &InstanceId| truth.instances.get(id).is_some_and(|shell| shell.seen.slot == *slot);
        truth.live_instances(cluster).into_iter().filter(of_slot).collect()
    }

    /// The volumes of a slot that are not deleted.
    pub fn volumes_of(&self, cluster: &ClusterName, slot: &SlotName) -> Vec<VolumeId> {
        let truth = self.truth.borrow();
        let Some(known) = truth.clusters.get(cluster) else { return Vec::new() };
        let disks = known.volumes.iter().filter_map(|id| truth.disk(id).ok());
        disks.filter(|disk| disk.seen.slot == *slot).map(|disk| disk.seen.id.clone()).collect()
    }
}

impl Truth {
    pub(super) fn live_instances(&self, cluster: &ClusterName) -> Vec<InstanceId> {
        let Some(known) = self.clusters.get(cluster) else { return Vec::new() };
        let shells = known.instances.iter().filter_map(|id| self.instances.get(id));
        let mut live: Vec<_> = shells.filter(|shell| shell.seen.state.is_live()).collect();
        live.sort_by_key(|shell| (shell.seen.launched_at, shell.seen.id.clone()));
        live.into_iter().map(|shell| shell.seen.id.clone()).collect()
    }

    fn cluster_of(&self, id: &InstanceId) -> Option<ClusterName> {
        self.instances.get(id).map(|shell| shell.cluster.clone())
    }

    fn edit(&mut self, id: &InstanceId, edit: impl FnOnce(&mut Instance)) {
        let Some(shell) = self.instances.get_mut(id) else { return };
        edit(&mut shell.seen);
        let cluster = shell.cluster.clone();
        self.changed(&cluster);
    }

    pub(super) fn meddler_stops(&mut self, id: &InstanceId) {
        let cluster = self.cluster_of(id);
        if self.stop_instance(id).is_ok() {
            self.fault(cluster.as_ref(), "meddler-stop", id.to_string());
        }
    }

    pub(super) fn meddler_terminates(&mut self, id: &InstanceId) {
        let cluster = self.cluster_of(id);
        if let Some(shell) = self.instances.get_mut(id) {
            shell.meddled = true;
        }
        if self.terminate_instance(id).is_ok() {
            self.fault(cluster.as_ref(), "meddler-terminate", id.to_string());
        }
    }

    /// Takes a declared tag, the generation or for a while the owner from an instance.
    pub(super) fn meddler_edits_tags(&mut self, id: &InstanceId) {
        let Some(shell) = self.instances.get(id) else { return };
        let (cluster, owner) = (shell.cluster.clone(), shell.seen.owner.clone());
        let detail = match self.rng.u32(0..3) {
            0 => {
                self.edit(id, |seen| drop(seen.tags.pop_first()));
                format!("a tag of {id}")
            }
            1 => {
                self.edit(id, |seen| seen.generation = None);
                format!("the generation of {id}")
            }
            _ => {
                self.edit(id, |seen| seen.owner = None);
                let span = self.rng.u64(1..=240_000).min(self.faults.end.saturating_sub(self.now));
                self.schedule(span, Tick::Amends(id.clone(), Amends::Owner(owner)));
                format!("the owner of {id}")
            }
        };
        self.fault(Some(&cluster), "meddler-untag", detail);
    }

    /// Somebody resumes every process of a cluster's Auto Scaling group.
    pub(super) fn meddler_resumes(&mut self, name: &ClusterName) {
        let Some(group) = self.clusters.get(name).and_then(|cluster| cluster.declared.group.clone()) else { return };
        self.edit_group(&group, |group| group.seen.suspended.clear());
        self.fault(Some(name), "meddler-resume", group);
    }

    pub(super) fn make_amends(&mut self, id: &InstanceId, amends: Amends) {
        match amends {
            Amends::Owner(owner) => self.edit(id, |seen| seen.owner = owner),
            Amends::Event => self.edit(id, |seen| seen.scheduled_events.clear()),
            Amends::Member => self.guest_looks(id),
        }
    }

    pub(super) fn member_crashes(&mut self, id: &InstanceId, back_after: Option<Millis>) {
        let Some(cluster) = self.cluster_of(id) else { return };
        if self.member_on(&cluster, id).is_none() {
            return;
        }
        self.stop_member(id);
        if let Some(span) = back_after {
            self.schedule(span, Tick::Amends(id.clone(), Amends::Member));
        }
        self.fault(Some(&cluster), "member-crash", id.to_string());
    }

    pub(super) fn leader_lost(&mut self, name: &ClusterName) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(name).filter(|cluster| cluster.consul.leader.is_some()) else {
            return;
        };
        cluster.consul.lose_leader(now, &mut self.rng);
        self.fault(Some(name), "leader-lost", String::new());
        self.stir(name);
    }

    pub(super) fn members_hidden(&mut self, name: &ClusterName, until: Millis) {
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        cluster.unreachable_until = until;
        self.fault(Some(name), "members-unreachable", self.span_until(until));
    }

    pub(super) fn capacity_exhausted(&mut self, zone: &Zone, until: Millis) {
        self.zones.entry(zone.clone()).or_default().no_capacity_until = until;
        self.fault(None, "capacity-outage", format!("{zone} {}", self.span_until(until)));
    }

    pub(super) fn zone_impaired(&mut self, zone: &Zone, until: Millis) {
        self.zones.entry(zone.clone()).or_default().impaired_until = until;
        self.fault(None, "zone-impaired", format!("{zone} {}", self.span_until(until)));
    }

    fn span_until(&self, until: Millis) -> String {
        format!("for {} s", until.saturating_sub(self.now) / 1_000)
    }

    pub(super) fn event_announced(&mut self, id: &InstanceId, called_off_at: Option<Millis>) {
        let not_before = self.timestamp(self.now + 7 * 86_400_000);
        let event = ScheduledEvent { code: "instance-retirement".to_owned(), not_before };
        self.edit(id, |seen| seen.scheduled_events = vec![event]);
        if let Some(at) = called_off_at {
            self.schedule(at - self.now, Tick::Amends(id.clone(), Amends::Event));
        }
        let cluster = self.cluster_of(id);
        self.fault(cluster.as_ref(), "scheduled-event", id.to_string());
    }

    pub(super) fn meddler_deletes_a_volume(&mut self, name: &ClusterName) {
        let volumes: Vec<VolumeId> = self.clusters[name].volumes.iter().cloned().collect();
        if let Some(id) = self.rng.choice(volumes) {
            self.volume_deleted(&id);
        }
    }

    /// EC2 deletes only what is not attached; this is the accident that it does not prevent.
    pub(super) fn volume_deleted(&mut self, id: &VolumeId) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        let (holder, cluster) = (disk.holder().cloned(), disk.cluster.clone());
        disk.turn += 1;
        disk.seen.state = VolumeState::Deleted;
        self.volume_vanishes(id);
        self.drop_device(id);
        if let Some(holder) = holder {
            self.stop_member(&holder);
            if let Some(shell) = self.instances.get_mut(&holder) {
                shell.meddled = true;
            }
        }
        self.fault(Some(&cluster), "volume-deleted", id.to_string());
    }

    pub(super) fn pause_controller(&mut self, controller: u8, until: Millis) {
        self.controllers.entry(controller).or_default().paused = Some(until);
        self.fault(None, "pause", format!("controller {controller} {}", self.span_until(until)));
    }
}
