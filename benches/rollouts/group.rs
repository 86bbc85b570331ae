//! One Auto Scaling group of one a slot, with a volume and a network interface: the usual Terraform module.

use std::time::Duration;

use hermitcrab::observed::InstanceState;

use super::measure::{Run, Scene};
use super::script::{Poll, Script, is, is_free};

/// The script looks at the groups every ten seconds.
const SCRIPT: Poll = Poll::every(10, 10);
/// The group itself acts without being asked.
const AT_ONCE: Poll = Poll::every(0, 1);
/// The guest asks every twenty seconds whether its volume is free.
const USER_DATA: Poll = Poll::every(0, 20);
/// The guest's script asks the members every ten seconds, before it completes the group's lifecycle hook.
const HOOK: Duration = Duration::from_secs(10);
/// A group notices within this many milliseconds that it lacks an instance.
const NOTICES: std::ops::RangeInclusive<u64> = 10_000..=40_000;
/// From a running instance to its user data's first line.
const BOOT: Duration = Duration::from_secs(4);

pub fn roll(scene: &Scene) -> Run {
    let script = Script::new(scene);
    let mut chance = fastrand::Rng::with_seed(scene.seed);
    for slot in script.slots() {
        let old = script.old(slot);
        script.terminate(slot, &old);
        // The network interface is free only once the old instance is gone.
        script.wait(&AT_ONCE, |view| is(view, &old, InstanceState::Terminated));
        script.sleep(Duration::from_millis(chance.u64(NOTICES)));
        let new = script.launch(slot);
        script.wait(&AT_ONCE, |view| is(view, &new, InstanceState::Running));
        script.sleep(BOOT);
        script.wait(&USER_DATA, |view| is_free(view, slot));
        script.attach(slot, &new);
        script.wait_for_members(HOOK);
        script.wait(&SCRIPT, |view| is(view, &new, InstanceState::Running));
    }
    scene.end()
}
