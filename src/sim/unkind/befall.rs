//! Accidents that worlds learned of later befall what chance picks.

use std::collections::BTreeSet;

use super::further::{Accident, Further, Over};
use super::interfere;
use crate::ids::{ClusterName, SlotName};
use crate::sim::time::Millis;
use crate::sim::world::{State, Tick};

/// The longest that a part of the network fails.
const CUT: Millis = 240_000;
/// The longest that somebody leaves alone what somebody else has done.
const LEFT: Millis = 400_000;

/// Lets one accident happen, and puts the next one on the calendar.
pub fn befall(state: &mut State) {
    let Some(mut further) = state.faults.further.take() else { return };
    let names: Vec<ClusterName> = state.clusters.keys().cloned().collect();
    if let (Some(accident), Some(cluster)) = (further.next(), further.chance.rng.choice(names)) {
        happen(state, &mut further, accident, &cluster);
    }
    state.faults.further = Some(further);
    state.schedule_further();
}

fn happen(state: &mut State, further: &mut Further, accident: Accident, cluster: &ClusterName) {
    let slots: Vec<SlotName> = state.clusters[cluster].declared.slots.keys().cloned().collect();
    let (now, end) = (state.now, state.faults.end);
    let mut span = |longest| further.span(now, end, longest);
    let (cut, left) = (span(CUT), span(LEFT));
    let Some(slot) = further.chance.rng.choice(slots.clone()) else { return };
    match accident {
        Accident::CutOff => interfere::cut_off(state, cluster, &BTreeSet::from([slot]), cut),
        Accident::CutLink => {
            let others = slots.into_iter().filter(|other| *other != slot).collect::<Vec<_>>();
            if let Some(other) = further.chance.rng.choice(others) {
                interfere::cut_link(state, cluster, (&slot, &other), cut);
            }
        }
        Accident::HideMember => interfere::hide_member(state, cluster, &slot, now + cut),
        Accident::VolumesVanish => {
            state.region.troubles.volumes_vanish = true;
            state.fault(None, "volumes-vanish", String::new());
        }
        Accident::ClaimsInside => {
            state.claims.kept_by = Some(cluster.clone());
            state.fault(Some(cluster), "claims-inside", String::new());
            state.schedule(left, Tick::Over(Over::ClaimsInside));
        }
        Accident::Unassign | Accident::Lend => take_address(state, further, accident, cluster, left),
        Accident::Standby => set_aside(state, further, cluster, left),
        Accident::Hook if state.clusters[cluster].declared.group.is_some() => {
            state.change_region(|region| region.hook_joins(now + left));
            state.fault(Some(cluster), "joins-hooked", String::new());
        }
        Accident::Hook => {}
    }
}

/// Takes a fixed address off the instance that has it, and may give it to a stranger.
fn take_address(state: &mut State, further: &mut Further, accident: Accident, cluster: &ClusterName, span: Millis) {
    let live = state.region.live_instances(cluster).into_iter();
    let machines = live.filter_map(|id| state.region.instances.get(&id));
    let addresses = machines.filter_map(|it| Some((it.seen.fixed_address?, it.seen.subnet.clone())));
    let addresses: Vec<_> = addresses.collect();
    let Some((address, subnet)) = further.chance.rng.choice(addresses) else { return };
    if accident == Accident::Unassign {
        return interfere::unassign_address(state, address);
    }
    interfere::lend_address(state, address, &subnet, true);
    state.schedule(span, Tick::Over(Over::Lent(address, subnet)));
}

fn set_aside(state: &mut State, further: &mut Further, cluster: &ClusterName, span: Millis) {
    let live = state.region.live_instances(cluster);
    let Some(id) = further.chance.rng.choice(live) else { return };
    if state.region.group_with(&id).is_none() {
        return;
    }
    state.change_region(|region| region.set_standby(&id, true));
    state.fault(Some(cluster), "meddler-standby", id.to_string());
    state.schedule(span, Tick::Over(Over::Standby(id)));
}

/// Ends such an accident.
pub fn end(state: &mut State, over: Over) {
    match over {
        Over::ClaimsInside => state.claims.kept_by = None,
        Over::Lent(address, subnet) => interfere::lend_address(state, address, &subnet, false),
        Over::Standby(id) => state.change_region(|region| region.set_standby(&id, false)),
    }
}
