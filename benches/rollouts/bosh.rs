//! BOSH's two strategies, one instance at a time.

use std::time::Duration;

use hermitcrab::ids::InstanceId;
use hermitcrab::observed::InstanceState;
use hermitcrab::spec::SlotSpec;

use super::measure::{Run, Scene};
use super::script::{Poll, Script, is, is_attached, is_free};

/// The plug-in for AWS waits for a state with pauses that double up to 32 seconds.
const STATE: Poll = Poll::doubling(32);
/// An agent in the guest answers so long after the instance runs; the director asks it every second.
const AGENT: Duration = Duration::from_secs(5);
/// The pause between two questions whether a job is well, a release's own script among them.
const WATCH: Duration = Duration::from_secs(3);

/// Stops the job, deletes the machine and makes another.
pub fn delete_create(scene: &Scene) -> Run {
    let script = Script::new(scene);
    for slot in script.slots() {
        let old = script.old(slot);
        give_up_disk(&script, slot, &old);
        script.terminate(slot, &old);
        script.wait(&STATE, |view| is(view, &old, InstanceState::Terminated));
        let new = script.launch(slot);
        script.wait(&STATE, |view| is(view, &new, InstanceState::Running));
        script.sleep(AGENT);
        take_disk(&script, slot, &new);
    }
    scene.end()
}

/// Makes all new machines first. The old ones are left, and cleaned up within five minutes.
pub fn create_swap_delete(scene: &Scene) -> Run {
    let script = Script::new(scene);
    let launched: Vec<_> = script.slots().iter().map(|slot| script.launch(slot)).collect();
    script.wait(&STATE, |view| launched.iter().all(|new| is(view, new, InstanceState::Running)));
    script.sleep(AGENT);
    let old: Vec<_> = script.slots().iter().map(|slot| script.old(slot)).collect();
    for ((slot, old), new) in script.slots().iter().zip(&old).zip(&launched) {
        give_up_disk(&script, slot, old);
        take_disk(&script, slot, new);
    }
    for (slot, old) in script.slots().iter().zip(&old) {
        script.terminate(slot, old);
    }
    scene.end()
}

fn give_up_disk(script: &Script, slot: &SlotSpec, old: &InstanceId) {
    script.end_process(old);
    script.detach(slot);
    script.wait(&STATE, |view| is_free(view, slot));
}

fn take_disk(script: &Script, slot: &SlotSpec, new: &InstanceId) {
    script.attach(slot, new);
    script.wait(&STATE, |view| is_attached(view, slot));
    script.wait_for_members(WATCH);
}
