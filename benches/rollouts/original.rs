//! The script that this controller succeeds: a fixed order, one server after the other, Terraform for each part of it.

use std::time::Duration;

use hermitcrab::observed::InstanceState;

use super::measure::{Run, Scene};
use super::script::{Poll, Script, is, is_attached, is_free};

/// `aws ec2 wait` asks every fifteen seconds, from the beginning on.
const AWS_WAIT: Poll = Poll::every(0, 15);
/// Terraform's provider waits ten seconds after a change, and then asks every three.
const TERRAFORM: Poll = Poll::every(10, 3);
/// The pause between two counts of the servers that are alive.
const COUNT: Duration = Duration::from_secs(10);

pub fn roll(scene: &Scene) -> Run {
    let script = Script::new(scene);
    script.wait_for_members(COUNT);
    for slot in script.slots() {
        let old = script.old(slot);
        script.stop(slot, &old);
        script.wait(&AWS_WAIT, |view| is(view, &old, InstanceState::Stopped));
        script.detach(slot);
        script.wait(&TERRAFORM, |view| is_free(view, slot));
        script.terminate(slot, &old);
        script.wait(&TERRAFORM, |view| is(view, &old, InstanceState::Terminated));
        let new = script.launch(slot);
        script.wait(&TERRAFORM, |view| is(view, &new, InstanceState::Running));
        script.attach(slot, &new);
        script.wait(&TERRAFORM, |view| is_attached(view, slot));
        script.wait_for_members(COUNT);
    }
    scene.end()
}
