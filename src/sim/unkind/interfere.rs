//! Interference by people, AWS and bad luck.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::action::CloudEffect;
use crate::ids::{ClusterName, InstanceId, SlotName, VolumeId, Zone};
use crate::make::UserData;
use crate::observed::{Checks, Instance, InstanceState, Origin, ScheduledEvent};
use crate::ports::Outcome;
use crate::sim::ec2::{Call, Machine};
use crate::sim::time::{Millis, instant};
use crate::sim::words::Refusal;
use crate::sim::world::{Amend, State, Tick, Undo};

/// Maintenance is announced a week ahead.
const NOTICE: Millis = 7 * 86_400_000;

/// The event's code for a host that is retired.
const RETIREMENT: &str = "instance-retirement";

/// Stops an instance.
pub fn stop_instance(state: &mut State, id: &InstanceId) {
    if call(state, id, &CloudEffect::Stop { instance: id.clone() }).is_ok() {
        state.amends.push(Amend::Start(id.clone()));
        fault_of(state, id, "meddler-stop");
    }
}

/// Starts an instance, which is no fault.
pub fn start_instance(state: &mut State, id: &InstanceId) {
    by_hand(state, id, &CloudEffect::Start { instance: id.clone() });
}

/// Terminates an instance.
pub fn terminate_instance(state: &mut State, id: &InstanceId) {
    if let Some(machine) = state.region.instances.get_mut(id) {
        machine.interfered = true;
    }
    if by_hand(state, id, &CloudEffect::Terminate { instance: id.clone() }) {
        fault_of(state, id, "meddler-terminate");
    }
}

/// Takes a secondary address off whatever instance has it.
pub fn unassign_address(state: &mut State, address: Ipv4Addr) {
    let Some(machine) = state.region.holder_of(address) else { return };
    let id = machine.seen.id.clone();
    state.change_region(|region| region.unassign_address(address, &id));
    fault_of(state, &id, "meddler-unassign");
}

/// Gives an address of a subnet to something that is none of the clusters', or takes it off that again. What has it loses it.
pub fn lend_address(state: &mut State, address: Ipv4Addr, subnet: &str, on: bool) {
    unassign_address(state, address);
    state.change_region(|region| region.lend_address(address, on.then_some(subnet)));
    state.fault(None, if on { "address-lent" } else { "address-free" }, address.to_string());
}

/// Takes a declared tag, the generation or for a while the owner from an instance.
pub fn edit_tags(state: &mut State, id: &InstanceId) {
    let Some(machine) = state.region.instances.get(id) else { return };
    let (cluster, owner) = (machine.cluster.clone(), machine.seen.owner.clone());
    let detail = match state.chance.rng.u32(0..3) {
        0 => {
            state.region.edit_instance(id, |seen| drop(seen.tags.pop_first()));
            format!("a tag of {id}")
        }
        1 => {
            let (origin, user_data) = (Box::new(machine.seen.origin.clone()), machine.seen.make.user_data.clone());
            state.amends.push(Amend::Tags(id.clone(), origin, user_data));
            state.region.edit_instance(id, forget_generation);
            format!("the generation of {id}")
        }
        _ if owner.is_none() => return,
        _ => {
            state.region.edit_instance(id, |seen| seen.owner = None);
            let left = state.faults.end.saturating_sub(state.now);
            let span = state.chance.rng.u64(1..=240_000).min(left);
            state.schedule(span, Tick::Undo(id.clone(), Undo::Owner(owner)));
            format!("the owner of {id}")
        }
    };
    state.fault(Some(&cluster), "meddler-untag", detail);
}

/// Takes the tag with its generation from an instance. Nobody can then say which user data it was launched with.
fn forget_generation(seen: &mut Instance) {
    if let Origin::Launched { generation, .. } = &mut seen.origin {
        *generation = None;
    }
    Arc::make_mut(&mut seen.make).user_data = UserData::Unknown;
}

/// Resumes every process of a cluster's Auto Scaling group.
pub fn resume_processes(state: &mut State, name: &ClusterName) {
    let Some(group) = state.clusters.get(name).and_then(|cluster| cluster.declared.group.clone()) else { return };
    state.change_region(|region| region.edit_group(&group, |group| group.seen.suspended.clear()));
    state.fault(Some(name), "meddler-resume", group);
}

/// Undoes what was done to an instance.
pub fn undo(state: &mut State, id: &InstanceId, undo: Undo) {
    match undo {
        Undo::Owner(owner) => state.region.edit_instance(id, |seen| seen.owner = owner),
        Undo::Event => state.region.edit_instance(id, |seen| seen.scheduled_events.clear()),
        Undo::Member => state.guest_looks(id),
        Undo::Checks => state.region.edit_instance(id, |seen| {
            if seen.state == InstanceState::Running {
                seen.checks = Checks::Ok;
            }
        }),
        Undo::Retirement => retire_host(state, id),
    }
}

/// Ends the member's process on an instance. Its guest starts it again after a while, or never.
pub fn crash_member(state: &mut State, id: &InstanceId, back_after: Option<Millis>) {
    let Some(cluster) = cluster_of(state, id) else { return };
    if state.member_on(&cluster, id).is_none() {
        return;
    }
    state.stop_member(id);
    if let Some(span) = back_after {
        state.schedule(span, Tick::Undo(id.clone(), Undo::Member));
    }
    state.fault(Some(&cluster), "member-crash", id.to_string());
}

/// Makes a cluster's leader step down for no good reason.
pub fn lose_leader(state: &mut State, name: &ClusterName) {
    let Some(cluster) = state.clusters.get_mut(name) else { return };
    if cluster.members.lose_leader(state.now, &mut state.chance.rng) {
        state.fault(Some(name), "leader-lost", String::new());
        state.stir(name);
    }
}

/// Keeps controllers from reaching any member. The members reach each other.
pub fn hide_members(state: &mut State, name: &ClusterName, until: Millis) {
    let Some(cluster) = state.clusters.get_mut(name) else { return };
    cluster.hidden_until = until;
    state.fault(Some(name), "members-unreachable", span_until(state, until));
}

/// Cuts the members of some slots off from the others for so long. Controllers reach both sides.
pub fn cut_off(state: &mut State, name: &ClusterName, slots: &BTreeSet<SlotName>, span: Millis) {
    let now = state.now;
    let Some(cluster) = state.clusters.get_mut(name) else { return };
    cluster.members.cut_off(slots, now, &mut state.chance.rng);
    let who: Vec<_> = slots.iter().map(ToString::to_string).collect();
    state.fault(Some(name), "cut-off", format!("{} {}", who.join(", "), span_until(state, now + span)));
    state.schedule(span, Tick::Rejoin(name.clone()));
    state.stir(name);
}

/// Keeps controllers from reaching one slot's member. The members reach each other.
pub fn hide_member(state: &mut State, name: &ClusterName, slot: &SlotName, until: Millis) {
    let Some(cluster) = state.clusters.get_mut(name) else { return };
    cluster.hidden.insert(slot.clone(), until);
    state.fault(Some(name), "member-unreachable", format!("{slot} {}", span_until(state, until)));
}

/// Lets nothing that one slot's member sends reach another's for so long. What the other sends still arrives.
pub fn cut_link(state: &mut State, name: &ClusterName, (from, to): (&SlotName, &SlotName), span: Millis) {
    let Some(cluster) = state.clusters.get_mut(name) else { return };
    cluster.members.cut_link(from, to);
    let until = state.now + span;
    state.fault(Some(name), "link-cut", format!("{from} to {to} {}", span_until(state, until)));
    state.schedule(span, Tick::MendLink(name.clone(), from.clone(), to.clone()));
    state.stir(name);
}

/// Lets what one slot's member sends reach another's again.
pub fn mend_link(state: &mut State, name: &ClusterName, from: &SlotName, to: &SlotName) {
    if let Some(cluster) = state.clusters.get_mut(name) {
        cluster.members.mend_link(from, to);
    }
    state.stir(name);
}

/// Lets the members of a cluster that were cut off reach the others again.
pub fn rejoin(state: &mut State, name: &ClusterName) {
    if let Some(cluster) = state.clusters.get_mut(name) {
        cluster.members.rejoin();
    }
    state.stir(name);
}

/// Leaves a zone without instances to give.
pub fn exhaust_capacity(state: &mut State, zone: &Zone, until: Millis) {
    state.region.exhaust_capacity(zone, until);
    state.fault(None, "capacity-outage", format!("{zone} {}", span_until(state, until)));
}

/// Reports a zone as impaired.
pub fn impair_zone(state: &mut State, zone: &Zone, until: Millis) {
    state.region.impair_zone(zone, until);
    state.fault(None, "zone-impaired", format!("{zone} {}", span_until(state, until)));
}

/// Lets a zone fail: its members do not run, and EC2 has nothing to give in it.
pub fn lose_zone(state: &mut State, zone: &Zone, span: Millis) {
    let until = state.now + span;
    impair_zone(state, zone, until);
    exhaust_capacity(state, zone, until);
    let there = state.region.instances.values().filter(|machine| machine.seen.zone == *zone);
    let there: Vec<_> = there.map(|machine| machine.seen.id.clone()).collect();
    for id in there {
        crash_member(state, &id, Some(span));
    }
}

/// Restores a copy of a volume with all of its tags.
pub fn copy_volume(state: &mut State, id: &VolumeId) -> Option<VolumeId> {
    let chance = &mut state.chance;
    let copy = state.region.copy_volume(id, &mut |prefix| chance.id(prefix))?;
    let cluster = state.region.volumes.get(&copy).map(|disk| disk.cluster.clone());
    state.amends.push(Amend::Delete(copy.clone()));
    state.fault(cluster.as_ref(), "volume-copied", format!("{id} as {copy}"));
    Some(copy)
}

/// Keeps the store of the claims from answering.
pub fn lose_claims(state: &mut State, until: Millis) {
    state.claims.down_until = until;
    state.fault(None, "claim-store-down", span_until(state, until));
}

/// Announces maintenance of an instance.
pub fn announce_event(state: &mut State, id: &InstanceId, called_off_at: Option<Millis>) {
    let event = ScheduledEvent { code: RETIREMENT.to_owned(), not_before: instant(state.now + NOTICE) };
    state.region.edit_instance(id, |seen| seen.scheduled_events = vec![event]);
    if let Some(at) = called_off_at {
        state.schedule(at - state.now, Tick::Undo(id.clone(), Undo::Event));
    }
    fault_of(state, id, "scheduled-event");
}

/// Announces that an instance's host is retired, which then happens.
pub fn announce_retirement(state: &mut State, id: &InstanceId, notice: Millis) {
    let event = ScheduledEvent { code: RETIREMENT.to_owned(), not_before: instant(state.now + notice) };
    state.region.edit_instance(id, |seen| seen.scheduled_events = vec![event]);
    state.schedule(notice, Tick::Undo(id.clone(), Undo::Retirement));
    fault_of(state, id, "scheduled-event");
}

/// Stops an instance whose host is retired. Once it is started again, it runs on another host.
fn retire_host(state: &mut State, id: &InstanceId) {
    let is_due = |machine: &Machine| machine.seen.scheduled_events.iter().any(|event| event.code == RETIREMENT);
    if !state.region.instances.get(id).is_some_and(is_due) {
        return;
    }
    state.region.edit_instance(id, |seen| seen.scheduled_events.clear());
    host_stops(state, id);
}

/// Stops an instance for a reason of EC2's own.
pub fn host_stops(state: &mut State, id: &InstanceId) {
    state.change_region(|region| region.host_stops(id, "Server.ScheduledStop: Stopped due to scheduled retirement"));
    fault_of(state, id, "host-stop");
}

/// Protects an instance from being terminated, as somebody does who wants nothing to happen to it.
pub fn protect(state: &mut State, id: &InstanceId) {
    let Some(machine) = state.region.instances.get_mut(id) else { return };
    machine.protection.termination = true;
    state.amends.push(Amend::Unprotect(id.clone()));
    fault_of(state, id, "protected");
}

/// Lets leadership come back to whoever hands it over, so many times.
pub fn bounce_leadership(state: &mut State, name: &ClusterName, times: u32) {
    let Some(cluster) = state.clusters.get_mut(name) else { return };
    cluster.members.bounce_leadership(times);
    state.fault(Some(name), "leadership-bounces", format!("{times} times"));
}

/// Sets down to how many the members may remove dead ones, as somebody does by hand or with Terraform.
pub fn set_least_members(state: &mut State, name: &ClusterName, least: usize) {
    let Some(cluster) = state.clusters.get_mut(name) else { return };
    cluster.members.set_least(least);
    state.fault(Some(name), "least-members", least.to_string());
}

/// Lets an instance's status checks fail for a while, although nothing else is wrong.
pub fn fail_checks(state: &mut State, id: &InstanceId, span: Millis) {
    let is_running = |machine: &Machine| machine.seen.state == InstanceState::Running;
    if !state.region.instances.get(id).is_some_and(is_running) {
        return;
    }
    let failed = Checks::Impaired("instance reachability failed".to_owned());
    state.region.edit_instance(id, |seen| seen.checks = failed);
    state.schedule(span, Tick::Undo(id.clone(), Undo::Checks));
    fault_of(state, id, "checks-failed");
}

/// Has somebody modify a volume, or its I/O go wrong, for a while.
pub fn trouble_volume(state: &mut State, id: &VolumeId, io: bool, span: Millis) {
    let Some(cluster) = state.region.volumes.get(id).map(|disk| disk.cluster.clone()) else { return };
    state.region.edit_volume(id, |seen| {
        seen.modifying |= !io;
        seen.impaired = io.then(|| "io-enabled failed".to_owned());
    });
    state.schedule(span, Tick::Mend(id.clone()));
    let fault = if io { "volume-impaired" } else { "volume-modifying" };
    state.fault(Some(&cluster), fault, id.to_string());
}

/// Ends what is wrong with a volume.
pub fn mend_volume(state: &mut State, id: &VolumeId) {
    state.region.edit_volume(id, |seen| (seen.modifying, seen.impaired) = (false, None));
}

/// Deletes a data volume, wherever it is.
pub fn delete_volume(state: &mut State, id: &VolumeId) {
    let Some(disk) = state.region.volumes.get(id) else { return };
    let (cluster, slot, name) = (disk.cluster.clone(), disk.seen.slot.clone(), disk.seen.name.clone());
    state.change_region(|region| region.lose_volume(id));
    state.faults.lost.insert((cluster.clone(), slot, name));
    state.fault(Some(&cluster), "volume-deleted", id.to_string());
}

/// Lets a controller stand still.
pub fn pause_controller(state: &mut State, controller: u8, until: Millis) {
    state.controllers.entry(controller).or_default().paused = Some(until);
    state.fault(None, "pause", format!("controller {controller} {}", span_until(state, until)));
}

/// Sends a call that no controller sends.
fn call(state: &mut State, id: &InstanceId, effect: &CloudEffect) -> Result<Outcome, Refusal> {
    let cluster = cluster_of(state, id).unwrap_or_else(|| ClusterName::from(""));
    state.send(Call { cluster: &cluster, slot: None, effect })
}

/// Brings an instance to another state, and notes whose hand it was. Says whether EC2 took the call.
fn by_hand(state: &mut State, id: &InstanceId, effect: &CloudEffect) -> bool {
    let result = call(state, id, effect);
    let now = state.now;
    if let (Ok(Outcome::Done), Some(machine)) = (&result, state.region.instances.get_mut(id)) {
        machine.by_hand = Some(now);
    }
    result.is_ok()
}

fn cluster_of(state: &State, id: &InstanceId) -> Option<ClusterName> {
    state.region.instances.get(id).map(|machine| machine.cluster.clone())
}

/// Tells of a fault of an instance.
fn fault_of(state: &mut State, id: &InstanceId, fault: &str) {
    let cluster = cluster_of(state, id);
    state.fault(cluster.as_ref(), fault, id.to_string());
}

fn span_until(state: &State, until: Millis) -> String {
    format!("for {} s", until.saturating_sub(state.now) / 1_000)
}
