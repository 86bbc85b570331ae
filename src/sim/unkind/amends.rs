//! The end of faults: people undo what they did, and EC2 is well again.

use super::interfere;
use crate::ids::VolumeId;
use crate::observed::VolumeState;
use crate::sim::ec2::{Disk, Protection};
use crate::sim::world::{Amend, State};

/// Undoes everything that can be undone.
pub fn undo_all(state: &mut State) {
    state.faults.standing.clear();
    state.region.troubles = Default::default();
    for controller in state.controllers.values_mut() {
        controller.ahead = 0;
    }
    for amend in std::mem::take(&mut state.amends) {
        undo(state, amend);
    }
}

fn undo(state: &mut State, amend: Amend) {
    match amend {
        Amend::Start(id) => interfere::start_instance(state, &id),
        Amend::Delete(id) => delete(state, &id),
        Amend::Unprotect(id) => {
            if let Some(machine) = state.region.instances.get_mut(&id) {
                machine.protection = Protection::default();
            }
        }
    }
}

/// Deletes the copy of a volume, unless it is in use by now.
pub fn delete(state: &mut State, id: &VolumeId) {
    let is_free = |disk: &Disk| disk.seen.state == VolumeState::Available;
    if state.region.volumes.get(id).is_some_and(is_free) {
        state.change_region(|region| region.lose_volume(id));
    }
}
