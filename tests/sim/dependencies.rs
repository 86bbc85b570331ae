//! Two clusters of which one stands on the other: one at a time, and each comes to its end.

use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate::{self, Ending, Scenario};
use hermitcrab::spec::ClusterSpec;

use crate::world::{NEW, VERSION, spec};

/// Rolls two clusters at once. The world knows that the second stands on the first, and the files say so or not.
fn rolled(files_say_so: bool) -> (World, Ending, Vec<String>) {
    let payload = Some(Payload::Good { version: VERSION.to_owned() });
    let from = spec("consul", 3);
    let scenario = Scenario { from: from.clone(), image: NEW.into(), payload, seed: 1, faults: FaultLevel::None };
    let world = scenario.world();
    let stands_on = |spec: ClusterSpec| ClusterSpec { depends_on: [from.name.clone()].into(), ..spec };
    let other = simulate::copies(&from, 1).remove(0);
    let declared = if files_say_so { stands_on(other.clone()) } else { other.clone() };
    let mut told = false;
    let summary = scenario.run_beside(&world, vec![declared], &mut |_| {
        if !std::mem::replace(&mut told, true) {
            world.declare(&stands_on(ClusterSpec { image: NEW.into(), ..other.clone() }));
        }
    });
    let beside = summary.beside.into_values().collect();
    (world, summary.ending, beside)
}

fn broken(world: &World) -> Vec<String> {
    world.violations().iter().map(|violation| violation.rule.name().to_owned()).collect()
}

#[test]
fn two_clusters_of_which_one_stands_on_the_other_are_rolled_one_after_the_other() {
    let (world, ending, beside) = rolled(true);
    assert_eq!((ending, beside, broken(&world)), (Ending::Settled, vec!["settled".to_owned()], vec![]));
}

#[test]
fn two_that_are_rolled_at_once_although_one_stands_on_the_other_break_the_rule() {
    let (world, ..) = rolled(false);
    assert_eq!(broken(&world).first().map(String::as_str), Some("apart"));
}
