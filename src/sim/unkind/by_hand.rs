//! Interference by hand: what tests and scripts do to a world, and ask of it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::accident::Accident;
use super::standing::{Look, Refused};
use super::{amends, interfere};
use crate::ids::{ClusterName, ImageId, InstanceId, SlotName, VolumeId, VolumeName, Zone};
use crate::observed::{Claim, ClaimRecord, Group, Instance, Volume};
use crate::ports::ErrorKind;
use crate::sim::chance::Chance;
use crate::sim::content::Content;
use crate::sim::ec2::{Move, Protection};
use crate::sim::handle::World;
use crate::sim::share::Share;
use crate::sim::time::Millis;
use crate::sim::words::Payload;
use crate::spec::ClusterSpec;

// Accidents.
impl World {
    /// Lets the `call`-th mutating call that is sent from the beginning meet with an accident. The first is number 1;
    /// a call that its sender found to be unnecessary is not sent.
    pub fn arrange(&self, call: u64, accident: Accident) {
        self.state.borrow_mut().faults.arranged.at.insert(call, accident);
    }

    /// Lets every mutating call meet with this accident.
    pub fn arrange_always(&self, accident: Accident) {
        self.state.borrow_mut().faults.arranged.always = Some(accident);
    }

    /// Refuses a call by its name, e.g. `stop` or `look`, or every call: for a span, for a number of times, or for ever.
    pub fn refuse(&self, call: Option<&str>, kind: ErrorKind, span: Option<Duration>, times: Option<u32>) {
        self.with(|state| {
            let until = span.map(|span| state.now + whole(span));
            state.faults.standing.add(Refused { call: call.map(str::to_owned), kind, until, times });
        });
    }

    /// Keeps what EC2 says from now on, so that old answers can be had later.
    pub fn remember_answers(&self) {
        self.with(|state| state.faults.remembers = true);
    }

    /// Has sweeps, or adapters' last looks, show for a span what was so `age` ago.
    pub fn make_old(&self, look: Look, age: Duration, span: Duration) {
        self.with(|state| state.faults.standing.make_old(look, whole(age), state.now + whole(span)));
    }

    /// Has each call to EC2 be on its way for so long after its sender's last check, for a span. The sender hears of it then, if
    /// it is still there.
    pub fn hold_up(&self, each: Duration, span: Duration) {
        self.with(|state| state.faults.standing.hold_up(whole(each), state.now + whole(span)));
    }

    /// Ends everything that is refused.
    pub fn allow_everything(&self) {
        self.with(|state| state.faults.standing.clear());
    }

    /// Counts the mutating calls that have been sent, whatever came of them.
    pub fn sent(&self) -> u64 {
        self.state.borrow().faults.arranged.sent
    }
}

// Interference with EC2.
impl World {
    /// Stops an instance, as somebody does by hand.
    pub fn stop_instance(&self, id: &InstanceId) {
        self.with(|state| interfere::stop_instance(state, id));
    }

    /// Starts an instance, as somebody does by hand.
    pub fn start_instance(&self, id: &InstanceId) {
        self.with(|state| interfere::start_instance(state, id));
    }

    /// Terminates an instance, as somebody does by hand.
    pub fn terminate_instance(&self, id: &InstanceId) {
        self.with(|state| interfere::terminate_instance(state, id));
    }

    /// Deletes a data volume, wherever it is.
    pub fn delete_volume(&self, id: &VolumeId) {
        self.with(|state| interfere::delete_volume(state, id));
    }

    /// Leaves a zone for this long without instances to give.
    pub fn exhaust_capacity(&self, zone: &Zone, span: Duration) {
        self.with(|state| interfere::exhaust_capacity(state, zone, state.now + whole(span)));
    }

    /// Reports a zone as impaired for this long.
    pub fn impair_zone(&self, zone: &Zone, span: Duration) {
        self.with(|state| interfere::impair_zone(state, zone, state.now + whole(span)));
    }

    /// Leaves a subnet this many addresses.
    pub fn set_free_addresses(&self, subnet: &str, free: u32) {
        self.with(|state| state.region.set_free_addresses(subnet, free));
    }

    /// Announces maintenance of an instance.
    pub fn announce_event(&self, id: &InstanceId) {
        self.with(|state| interfere::announce_event(state, id, None));
    }

    /// Takes a secondary address off whatever instance has it.
    pub fn unassign_address(&self, address: Ipv4Addr) {
        self.with(|state| interfere::unassign_address(state, address));
    }

    /// Gives an address of a subnet to something that is none of the clusters', or takes it off that again.
    pub fn lend_address(&self, address: Ipv4Addr, subnet: &str, on: bool) {
        self.with(|state| interfere::lend_address(state, address, subnet, on));
    }

    /// Revokes the use of a volume's KMS key, which shows only when the volume is attached.
    pub fn revoke_key(&self, id: &VolumeId) {
        self.with(|state| {
            if let Some(disk) = state.region.volumes.get_mut(id) {
                disk.key_revoked = true;
            }
        });
    }

    /// Lets a zone fail for this long: its members do not run, and EC2 has nothing to give in it.
    pub fn lose_zone(&self, zone: &Zone, span: Duration) {
        self.with(|state| interfere::lose_zone(state, zone, whole(span)));
    }

    /// Restores a copy of a volume with all of its tags, as somebody does who tries a backup. Names the copy.
    pub fn copy_volume(&self, id: &VolumeId) -> Option<VolumeId> {
        self.with(|state| interfere::copy_volume(state, id))
    }

    /// Deletes the copy of a volume, as whoever made it does, unless it is in use.
    pub fn discard_copy(&self, id: &VolumeId) {
        self.with(|state| amends::delete(state, id));
    }

    /// Edits what EC2 says of an instance, e.g. its tags.
    pub fn edit_instance(&self, id: &InstanceId, edit: impl FnOnce(&mut Instance)) {
        self.with(|state| state.region.edit_instance(id, edit));
    }

    /// Edits an Auto Scaling group, e.g. resumes its processes.
    pub fn edit_group(&self, name: &str, edit: impl FnOnce(&mut Group)) {
        self.with(|state| state.change_region(|region| region.edit_group(name, |group| edit(&mut group.seen))));
    }

    /// Edits what EC2 says of a volume, e.g. its tags.
    pub fn edit_volume(&self, id: &VolumeId, edit: impl FnOnce(&mut Volume)) {
        self.with(|state| state.region.edit_volume(id, edit));
    }

    /// Sets an instance aside in its Auto Scaling group, or back into service.
    pub fn set_standby(&self, id: &InstanceId, on: bool) {
        self.with(|state| state.change_region(|region| region.set_standby(id, on)));
    }

    /// Has a lifecycle hook keep whatever joins a group waiting for this long.
    pub fn hook_joins(&self, span: Duration) {
        self.with(|state| {
            let until = state.now + whole(span);
            state.change_region(|region| region.hook_joins(until));
        });
    }

    /// Sets whether a data volume would be deleted with its instance.
    pub fn set_delete_on_termination(&self, id: &VolumeId, delete: bool) {
        self.with(|state| state.region.set_delete_on_termination(id, delete));
    }

    /// Loses the content of a volume, as if somebody had formatted it.
    pub fn wipe_volume(&self, id: &VolumeId) {
        self.with(|state| {
            if let Some(disk) = state.region.volumes.get_mut(id) {
                let (alone, formatted) = (disk.content.alone, disk.content.formatted);
                disk.content = Content { alone, formatted, ..Content::default() };
            }
        });
    }
}

// Troubles that last.
impl World {
    /// Lets each volume that is created be gone a moment later, as one whose KMS key may not be used.
    pub fn lose_new_volumes(&self, on: bool) {
        self.with(|state| state.region.troubles.volumes_vanish = on);
    }

    /// Has an image fill a device by itself at every instance; without a device, has its root volume stay behind.
    pub fn map_device(&self, image: &ImageId, device: Option<&str>) {
        self.with(|state| state.region.map_device(image, device));
    }

    /// Lets each snapshot be given up by EBS.
    pub fn fail_snapshots(&self, on: bool) {
        self.with(|state| state.region.troubles.snapshots_fail = on);
    }

    /// Lets each instance that is launched end at once, for a reason of EC2's.
    pub fn end_launches(&self, reason: Option<&str>) {
        self.with(|state| state.region.troubles.launches_end = reason.map(str::to_owned));
    }

    /// Lets each change of a kind that begins within this span last until its end.
    pub fn stick(&self, which: Move, span: Duration) {
        self.with(|state| state.region.troubles.stick(which, state.now + whole(span)));
    }

    /// Protects an instance against being stopped, or against being terminated, or no longer.
    pub fn protect(&self, id: &InstanceId, protection: Protection) {
        self.with(|state| {
            if let Some(machine) = state.region.instances.get_mut(id) {
                machine.protection = protection;
            }
        });
    }

    /// Lets EC2 stop an instance by itself.
    pub fn host_stops(&self, id: &InstanceId) {
        self.with(|state| interfere::host_stops(state, id));
    }

    /// Announces that an instance's host is retired after this long, which then happens.
    pub fn announce_retirement(&self, id: &InstanceId, notice: Duration) {
        self.with(|state| interfere::announce_retirement(state, id, whole(notice)));
    }

    /// Lets an instance's status checks fail for this long, although nothing else is wrong.
    pub fn fail_checks(&self, id: &InstanceId, span: Duration) {
        self.with(|state| interfere::fail_checks(state, id, whole(span)));
    }

    /// Has somebody modify a volume, or its I/O go wrong, for this long.
    pub fn trouble_volume(&self, id: &VolumeId, io: bool, span: Duration) {
        self.with(|state| interfere::trouble_volume(state, id, io, whole(span)));
    }

    /// Has EC2 describe a resource of a cluster in a word that nobody knows, until none is given.
    pub fn describe_oddly(&self, cluster: &ClusterName, id: &str, word: Option<&str>) {
        self.with(|state| {
            let odd = state.region.troubles.not_understood.entry(cluster.clone()).or_default();
            match word {
                Some(word) => drop(odd.insert(id.to_owned(), word.to_owned())),
                None => drop(odd.remove(id)),
            }
            state.region.changed(cluster);
        });
    }
}

// Interference with controllers and their claims.
impl World {
    /// Has a controller keep to a tenth of what EC2 allows, as the adapter does, so that its looks take time.
    pub fn keep_to_share(&self, controller: u8) {
        self.with(|state| state.controllers.entry(controller).or_default().share = Some(Share::tenth()));
    }

    /// Tells how a controller has looked so far, if it keeps to a share.
    pub fn looks(&self, controller: u8) -> Option<Share> {
        self.state.borrow().controllers.get(&controller).and_then(|known| known.share.clone())
    }

    /// Fills the region with instances of clusters that are not simulated.
    pub fn crowd(&self, instances: u64) {
        self.with(|state| state.crowd = instances);
    }

    /// Has the claim name a slot, whatever it named before.
    pub fn put_claim(&self, cluster: &ClusterName, claim: Claim) {
        self.with(|state| {
            let record = state.claims.get(cluster).cloned().unwrap_or_default();
            let now = state.now;
            state.claims.put(now, cluster, ClaimRecord { held: Some(claim), ..record });
        });
    }

    /// Has the members of a cluster keep the claims, its own among them.
    pub fn keep_claims_in(&self, cluster: &ClusterName) {
        self.with(|state| state.claims.kept_by = Some(cluster.clone()));
    }

    /// Has the claims be kept outside of every cluster again.
    pub fn keep_claims_elsewhere(&self) {
        self.with(|state| state.claims.kept_by = None);
    }

    /// Lets a controller stand still for this long.
    pub fn pause_controller(&self, controller: u8, span: Duration) {
        self.with(|state| interfere::pause_controller(state, controller, state.now + whole(span)));
    }

    /// Sets the clock of a controller's machine ahead of the world's by so many milliseconds, or behind, where only a process that
    /// starts afterwards is shown it.
    pub fn set_clock(&self, controller: u8, ahead: i64) {
        self.with(|state| state.controllers.entry(controller).or_default().clock.set(ahead));
    }

    /// Keeps the store of the claims from answering for this long.
    pub fn lose_claims(&self, span: Duration) {
        self.with(|state| interfere::lose_claims(state, state.now + whole(span)));
    }
}

// Interference with the members.
impl World {
    /// Ends the member's process on an instance. Its guest starts it again after a while, or never.
    pub fn crash_member(&self, id: &InstanceId, back_after: Option<Duration>) {
        self.with(|state| interfere::crash_member(state, id, back_after.map(whole)));
    }

    /// Makes the cluster's leader step down for no good reason.
    pub fn lose_leader(&self, cluster: &ClusterName) {
        self.with(|state| interfere::lose_leader(state, cluster));
    }

    /// Keeps controllers for this long from reaching any member. The members reach each other.
    pub fn hide_members(&self, cluster: &ClusterName, span: Duration) {
        self.with(|state| interfere::hide_members(state, cluster, state.now + whole(span)));
    }

    /// Cuts the members of some slots off from the others for this long. Controllers reach both sides.
    pub fn cut_off(&self, cluster: &ClusterName, slots: &BTreeSet<SlotName>, span: Duration) {
        self.with(|state| interfere::cut_off(state, cluster, slots, whole(span)));
    }

    /// Keeps controllers for this long from reaching one slot's member. The members reach each other.
    pub fn hide_member(&self, cluster: &ClusterName, slot: &SlotName, span: Duration) {
        self.with(|state| interfere::hide_member(state, cluster, slot, state.now + whole(span)));
    }

    /// Lets nothing that one slot's member sends reach another's for this long. What the other sends still arrives.
    pub fn cut_link(&self, cluster: &ClusterName, from: &SlotName, to: &SlotName, span: Duration) {
        self.with(|state| interfere::cut_link(state, cluster, (from, to), whole(span)));
    }

    /// Lets leadership come back to whoever hands it over, so many times.
    pub fn bounce_leadership(&self, cluster: &ClusterName, times: u32) {
        self.with(|state| {
            if let Some(cluster) = state.clusters.get_mut(cluster) {
                cluster.members.bounce_leadership(times);
            }
        });
    }

    /// Sets down to how many the members may remove dead ones, e.g. autopilot's `MinQuorum`.
    pub fn set_least_members(&self, cluster: &ClusterName, least: usize) {
        self.with(|state| {
            if let Some(cluster) = state.clusters.get_mut(cluster) {
                cluster.members.set_least(least);
            }
        });
    }

    /// Turns the removal of dead members on or off, e.g. autopilot's `CleanupDeadServers`.
    pub fn set_cleanup(&self, cluster: &ClusterName, on: bool) {
        self.with(|state| {
            if let Some(cluster) = state.clusters.get_mut(cluster) {
                cluster.members.set_pruning(on);
            }
        });
    }
}

// Questions.
impl World {
    /// Tells of something that a person did to the desired state.
    pub fn note(&self, cluster: &ClusterName, deed: &str, detail: String) {
        self.with(|state| state.fault(Some(cluster), deed, detail));
    }

    /// Says whether members on that image report another version than they should.
    pub fn reports_another_version(&self, image: &ImageId) -> bool {
        matches!(self.state.borrow().region.images.get(image), Some(Payload::WrongVersion(_)))
    }

    /// Says whether the members of a cluster run and can elect nobody any more.
    pub fn quorum_is_lost(&self, cluster: &ClusterName) -> bool {
        let state = self.state.borrow();
        let known = state.clusters.get(cluster);
        known.is_some_and(|known| known.members.have_lost_their_quorum(known.declared.slots.keys()))
    }

    /// Says whether somebody has deleted a data volume.
    pub fn lost_a_volume(&self) -> bool {
        !self.state.borrow().faults.lost.is_empty()
    }

    /// Lists the declared slots of which a volume was deleted and nothing is there in its place.
    pub fn slots_without_volumes(&self, spec: &ClusterSpec) -> BTreeSet<SlotName> {
        let state = self.state.borrow();
        let is_there = |slot: &SlotName, name: &VolumeName| {
            let mut disks =
                self.volumes_of(&spec.name, slot).into_iter().filter_map(|id| state.region.volumes.get(&id));
            disks.any(|disk| disk.seen.name == *name)
        };
        let lost =
            state.faults.lost.iter().filter(|(cluster, slot, _)| *cluster == spec.name && spec.slot(slot).is_some());
        lost.filter(|(_, slot, name)| !is_there(slot, name)).map(|(_, slot, _)| slot.clone()).collect()
    }

    /// Lists the declared slots whose member is no healthy voter.
    pub fn slots_down(&self, cluster: &ClusterName) -> Vec<SlotName> {
        let state = self.state.borrow();
        let Some(known) = state.clusters.get(cluster) else { return Vec::new() };
        let is_down = |slot: &&SlotName| known.slots.get(*slot).is_none_or(|record| !record.up);
        known.declared.slots.keys().filter(is_down).cloned().collect()
    }

    /// Counts how often a guest has formatted a volume. Once is right.
    pub fn times_formatted(&self, id: &VolumeId) -> u32 {
        self.state.borrow().region.volumes.get(id).map_or(0, |disk| disk.content.formatted)
    }

    /// Lists the instances of a slot that are not terminated, oldest first.
    pub fn instances_of(&self, cluster: &ClusterName, slot: &SlotName) -> Vec<InstanceId> {
        let region = &self.state.borrow().region;
        let of_slot = |id: &InstanceId| region.instances.get(id).is_some_and(|machine| machine.seen.slot == *slot);
        region.live_instances(cluster).into_iter().filter(of_slot).collect()
    }

    /// Lists the volumes of a slot that are not deleted, oldest first.
    pub fn volumes_of(&self, cluster: &ClusterName, slot: &SlotName) -> Vec<VolumeId> {
        let region = &self.state.borrow().region;
        let Some(holdings) = region.clusters.get(cluster) else { return Vec::new() };
        let disks = holdings.volumes.iter().filter_map(|id| region.disk(id).ok());
        let mut ids: Vec<_> = disks.filter(|disk| disk.seen.slot == *slot).map(|disk| disk.seen.id.clone()).collect();
        ids.sort_by_key(|id| Chance::number_of(id).to_owned());
        ids
    }
}

/// Whole milliseconds, rounded down.
fn whole(span: Duration) -> Millis {
    span.as_millis() as Millis
}
