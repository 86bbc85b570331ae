//! Injection of faults that do not hang on a call: chance picks one, and what it hits.

use super::faults::Injection;
use super::interfere;
use super::standing::{Look, Refused};
use crate::ids::{ClusterName, InstanceId, Zone};
use crate::sim::ec2::Move;
use crate::sim::world::State;

/// Injects a fault, and puts the next one on the calendar.
pub fn inject(state: &mut State) {
    let kinds = state.faults.swarm.injections.clone();
    if let Some(kind) = state.chance.rng.choice(kinds) {
        inject_one(state, kind);
    }
    state.schedule_injection();
}

fn inject_one(state: &mut State, kind: Injection) {
    let names: Vec<ClusterName> = state.clusters.keys().cloned().collect();
    let Some(cluster) = state.chance.rng.choice(names) else { return };
    let live: Vec<_> = state.region.live_instances(&cluster);
    let instance = state.chance.rng.choice(live);
    let zones: Vec<_> = state.clusters[&cluster].declared.slots.values().cloned().collect();
    let zone = state.chance.rng.choice(zones);
    match kind {
        Injection::StopInstance
        | Injection::TerminateInstance
        | Injection::EditTags
        | Injection::CrashMember
        | Injection::AnnounceEvent => inject_into_instance(state, kind, &cluster, instance),
        Injection::ExhaustCapacity | Injection::ImpairZone => inject_into_zone(state, kind, zone),
        Injection::LoseLeader => interfere::lose_leader(state, &cluster),
        Injection::HideMembers => {
            let until = spell(state, 180_000);
            interfere::hide_members(state, &cluster, until);
        }
        Injection::NoisyNeighbour => {
            state.region.buckets.noisy_until = spell(state, 120_000);
            state.fault(None, "noisy-neighbour", String::new());
        }
        Injection::LoseClaimStore => {
            let until = spell(state, 120_000);
            interfere::lose_claims(state, until);
        }
        Injection::Pause => pause_a_controller(state),
        Injection::DeleteVolume => delete_a_volume(state, &cluster),
        Injection::FailChecks | Injection::HostStops | Injection::Protect => unsettle(state, kind, instance),
        Injection::TroubleVolume | Injection::CopyVolume => inject_into_volume(state, kind, &cluster),
        _ => inject_trouble(state, kind, &cluster),
    }
}

fn unsettle(state: &mut State, kind: Injection, instance: Option<InstanceId>) {
    let Some(id) = instance else { return };
    match kind {
        Injection::FailChecks => {
            let span = spell(state, 300_000) - state.now;
            interfere::fail_checks(state, &id, span);
        }
        Injection::HostStops => interfere::host_stops(state, &id),
        _ => interfere::protect(state, &id),
    }
}

fn inject_into_volume(state: &mut State, kind: Injection, cluster: &ClusterName) {
    let holdings = state.region.clusters.get(cluster);
    let volumes: Vec<_> = holdings.into_iter().flat_map(|holdings| holdings.volumes.iter().cloned()).collect();
    let Some(id) = state.chance.rng.choice(volumes) else { return };
    if kind == Injection::CopyVolume {
        interfere::copy_volume(state, &id);
        return;
    }
    let (span, io) = (spell(state, 300_000) - state.now, state.chance.rng.bool());
    interfere::trouble_volume(state, &id, io, span);
}

/// Injects a trouble that lasts for a while, and at most until the faults end.
fn inject_trouble(state: &mut State, kind: Injection, cluster: &ClusterName) {
    let until = spell(state, 900_000);
    match kind {
        Injection::Stick => {
            let which = state.chance.rng.choice([Move::Attach, Move::Detach, Move::Stop]).unwrap_or(Move::Stop);
            state.region.troubles.stick(which, until);
            state.fault(None, "stuck", format!("each {which:?} until {} s", until / 1_000));
        }
        Injection::Refuse => {
            let (call, kind) = state.faults.draw_refusal(&mut state.chance);
            let refused = Refused { call: call.map(str::to_owned), kind, until: Some(until), times: None };
            state.faults.standing.add(refused);
            state.fault(None, "refusing", format!("{}: {kind}", call.unwrap_or_default()));
        }
        Injection::BounceLeadership => {
            let times = state.chance.rng.u32(1..5);
            interfere::bounce_leadership(state, cluster, times);
        }
        Injection::LeastMembers => interfere::set_least_members(state, cluster, 0),
        Injection::OldLooks => {
            let age = state.chance.rng.u64(1_000..=20_000);
            let look = if state.chance.rng.bool() { Look::Sweep } else { Look::Last };
            state.faults.standing.make_old(look, age, until.min(state.now + 120_000));
            state.fault(None, "old-looks", format!("{look:?}: {age} ms"));
        }
        Injection::FailSnapshots => {
            state.region.troubles.snapshots_fail = true;
            state.fault(None, "snapshots-fail", String::new());
        }
        Injection::EndLaunches => {
            state.region.troubles.launches_end = Some("Client.InternalError".to_owned());
            state.fault(None, "launches-end", String::new());
        }
        _ => skew(state),
    }
}

/// Sets a controller's clock a little wrong, as clocks of machines are.
fn skew(state: &mut State) {
    let known: Vec<u8> = state.controllers.keys().copied().collect();
    let Some(controller) = state.chance.rng.choice(known) else { return };
    let ahead = state.chance.rng.i64(-2_000..=2_000);
    state.controllers.entry(controller).or_default().clock.set(ahead);
    state.fault(None, "clock-skew", format!("controller {controller} by {ahead} ms"));
}

fn inject_into_instance(state: &mut State, kind: Injection, cluster: &ClusterName, instance: Option<InstanceId>) {
    if kind == Injection::EditTags && state.clusters[cluster].declared.group.is_some() && state.chance.rng.bool() {
        return interfere::resume_processes(state, cluster);
    }
    let Some(id) = instance else { return };
    match kind {
        Injection::StopInstance => interfere::stop_instance(state, &id),
        Injection::TerminateInstance => interfere::terminate_instance(state, &id),
        Injection::EditTags => interfere::edit_tags(state, &id),
        Injection::CrashMember => {
            let back_after = state.chance.rng.u64(5_000..=60_000);
            interfere::crash_member(state, &id, Some(back_after));
        }
        _ => {
            let until = spell(state, 300_000);
            interfere::announce_event(state, &id, Some(until));
        }
    }
}

fn inject_into_zone(state: &mut State, kind: Injection, zone: Option<Zone>) {
    let Some(zone) = zone else { return };
    if kind == Injection::ExhaustCapacity {
        let until = spell(state, 600_000);
        interfere::exhaust_capacity(state, &zone, until);
    } else {
        let until = spell(state, 300_000);
        interfere::impair_zone(state, &zone, until);
    }
}

fn pause_a_controller(state: &mut State) {
    if !state.faults.crashable {
        return;
    }
    let until = spell(state, 400_000);
    let known: Vec<u8> = state.controllers.keys().copied().collect();
    if let Some(controller) = state.chance.rng.choice(known) {
        interfere::pause_controller(state, controller, until);
    }
}

fn delete_a_volume(state: &mut State, cluster: &ClusterName) {
    let holdings = state.region.clusters.get(cluster);
    let volumes: Vec<_> = holdings.into_iter().flat_map(|holdings| holdings.volumes.iter().cloned()).collect();
    if let Some(id) = state.chance.rng.choice(volumes) {
        interfere::delete_volume(state, &id);
    }
}

/// Draws the end of something that is injected now.
fn spell(state: &mut State, longest: u64) -> u64 {
    state.faults.draw_spell(state.now, &mut state.chance, longest)
}
