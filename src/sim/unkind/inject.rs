//! Injection of faults that do not hang on a call: chance picks one, and what it hits.

use super::faults::Injection;
use super::interfere;
use crate::ids::{ClusterName, InstanceId, Zone};
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
    }
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
