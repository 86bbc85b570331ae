//! The passing of time: runs what is due, in order.

use super::time::Millis;
use super::unkind::{amends, befall, inject, interfere};
use super::world::{State, Tick};

/// Runs every event up to `target`, and then it is that time. Time never goes back.
pub fn advance_to(state: &mut State, target: Millis) {
    while let Some((at, tick)) = state.due.pop(target) {
        state.now = state.now.max(at);
        happen(state, tick);
        state.keep_answers();
    }
    state.now = state.now.max(target);
    state.sleepers.wake(state.now);
}

fn happen(state: &mut State, tick: Tick) {
    match tick {
        Tick::Ec2(due) => state.ec2_turns(due),
        Tick::Members(cluster) => state.members_look(&cluster),
        Tick::Inject => inject::inject(state),
        Tick::Undo(id, undo) => interfere::undo(state, &id, undo),
        Tick::Mend(id) => interfere::mend_volume(state, &id),
        Tick::Rejoin(cluster) => interfere::rejoin(state, &cluster),
        Tick::MendLink(cluster, from, to) => interfere::mend_link(state, &cluster, &from, &to),
        Tick::Befall => befall::befall(state),
        Tick::Over(over) => befall::end(state, over),
        Tick::Amend => amends::undo_all(state),
        Tick::Arrive(number) => state.arrive(number),
    }
}
