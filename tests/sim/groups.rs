//! Rules about Auto Scaling groups: each one fires when it is broken on purpose.

use std::collections::BTreeSet;

use hermitcrab::action::{ClaimEffect, CloudEffect, GroupEffect};
use hermitcrab::ids::{Attempt, ImageId};
use hermitcrab::observed::{Ending, Process, Remains};
use hermitcrab::ports::{Clock, Coordination};
use hermitcrab::sim::{FaultLevel, Payload, World, block_on};
use hermitcrab::spec::{Capacity, ClusterSpec};

use crate::world::{Harness, OLD, VERSION, seconds, spec};

/// `consul` in an Auto Scaling group that it adopts; or its end.
fn grouped(ended: bool) -> Harness {
    let capacity = Capacity::AutoScalingGroup("servers".to_owned());
    let (world, spec) = (World::new(7, FaultLevel::None), ClusterSpec { capacity, ..spec("consul", 3) });
    world.register_image(&ImageId::from(OLD), Payload::Good { version: VERSION.to_owned() });
    world.settle(&spec);
    if ended {
        let revision = block_on(&world, Coordination::read(&world, &spec.name)).unwrap().revision;
        let ending = Ending { since: world.now(), attempt: Attempt(4), remains: Remains::Volumes };
        let end = ClaimEffect::End { ending, expects: revision };
        block_on(&world, Coordination::write(&world, &spec.name, &end)).unwrap();
    }
    let harness = Harness { world, spec };
    harness.pass(seconds(20));
    harness
}

fn about_group(effect: GroupEffect) -> CloudEffect {
    CloudEffect::Group { group: "servers".to_owned(), effect }
}

fn all_processes() -> BTreeSet<Process> {
    Process::ALL.into()
}

#[test]
fn writing_down_other_processes_than_run_breaks_a_rule_about_groups() {
    for (processes, broken) in [(all_processes(), None), ([Process::Launch].into(), Some("group"))] {
        let harness = grouped(false);
        harness.force(0, about_group(GroupEffect::RecordResume { processes })).unwrap();
        assert_eq!(harness.broken(), Vec::from_iter(broken));
    }
}

#[test]
fn lowering_the_minimum_of_a_group_breaks_a_rule_unless_its_cluster_ends() {
    for (ended, broken) in [(true, None), (false, Some("group"))] {
        let harness = grouped(ended);
        harness.force(0, about_group(GroupEffect::LowerMinimum { from: 3 })).unwrap();
        assert_eq!(harness.broken(), Vec::from_iter(broken));
        assert_eq!(harness.world.group("servers").unwrap().min, 0);
    }
}

#[test]
fn letting_a_group_go_that_launches_an_ended_cluster_back_breaks_a_rule() {
    for (wants, broken) in [(2, None), (3, Some("group"))] {
        let harness = grouped(true);
        harness.world.edit_group("servers", |group| (group.suspended, group.desired) = (all_processes(), wants));
        harness.world.terminate_instance(&harness.of(0).0);
        harness.force(0, about_group(GroupEffect::Resume { processes: all_processes() })).unwrap();
        assert_eq!(harness.broken(), Vec::from_iter(broken));
    }
}
