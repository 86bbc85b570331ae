//! The end of faults: people undo what they did, and EC2 is well again.

use std::sync::Arc;

use super::interfere;
use crate::ids::{InstanceId, VolumeId};
use crate::observed::{InstanceState, VolumeState};
use crate::sim::ec2::{Disk, Protection};
use crate::sim::time::Millis;
use crate::sim::world::{Amend, State, Tick};

/// The time after which people try again what EC2 has refused to them.
const LATER: Millis = 10_000;

/// Undoes everything that can be undone.
pub fn undo_all(state: &mut State) {
    state.faults.standing.clear();
    state.region.troubles = Default::default();
    for controller in state.controllers.values_mut() {
        controller.clock.set(0);
    }
    // The last one first: what it undoes may have been done to what an earlier one did.
    for amend in std::mem::take(&mut state.amends).into_iter().rev() {
        undo(state, amend);
    }
    if !state.amends.is_empty() {
        state.schedule(LATER, Tick::Amend);
    }
}

fn undo(state: &mut State, amend: Amend) {
    match amend {
        // EC2 refuses to start an instance that is stopping, so whoever wants it back tries again.
        Amend::Start(id) if is_stopping(state, &id) => state.amends.push(Amend::Start(id)),
        Amend::Start(id) => interfere::start_instance(state, &id),
        Amend::Tags(id, origin, user_data) => state.region.edit_instance(&id, |seen| {
            (seen.origin, Arc::make_mut(&mut seen.make).user_data) = (*origin, user_data);
        }),
        Amend::Delete(id) => delete(state, &id),
        Amend::Unprotect(id) => {
            if let Some(machine) = state.region.instances.get_mut(&id) {
                machine.protection = Protection::default();
            }
        }
    }
}

fn is_stopping(state: &State, id: &InstanceId) -> bool {
    state.region.instances.get(id).is_some_and(|machine| machine.seen.state == InstanceState::Stopping)
}

/// Deletes the copy of a volume, unless it is in use by now.
pub fn delete(state: &mut State, id: &VolumeId) {
    let is_free = |disk: &Disk| disk.seen.state == VolumeState::Available;
    if state.region.volumes.get(id).is_some_and(is_free) {
        state.change_region(|region| region.lose_volume(id));
    }
}
