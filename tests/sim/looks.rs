//! Several clusters in one world: one controller attends to all of them, and keeps to its share of what EC2 allows for looking.

use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate::{self, AnswerKind, Ending, Line, Scenario, Summary};

use crate::world::{NEW, VERSION, spec};

/// Rolls several clusters at once, in a region with so many other instances.
fn rollout(others: usize, crowd: u64) -> (World, Summary, Vec<String>) {
    let payload = Some(Payload::Good { version: VERSION.to_owned() });
    let from = spec("consul", 3);
    let others = simulate::copies(&from, others);
    let scenario = Scenario { from, image: NEW.into(), payload, seed: 1, faults: FaultLevel::None };
    let world = scenario.world();
    world.crowd(crowd);
    let mut blocked = Vec::new();
    let summary = scenario.run_beside(&world, others, &mut |line| match line {
        Line::Answer(answer) if answer.kind == AnswerKind::Blocked => blocked.push(answer.answer.clone()),
        _ => {}
    });
    (world, summary, blocked)
}

#[test]
fn a_busy_cluster_is_looked_at_with_three_calls_whatever_else_is_in_the_region() {
    for (others, crowd) in [(1, 0), (1, 50_000), (9, 50_000)] {
        let (world, summary, blocked) = rollout(others, crowd);
        let share = world.looks(0).unwrap();
        assert_eq!(summary.ending, Ending::Settled, "{others} others, {crowd} instances");
        assert!(summary.beside.values().all(|ending| ending == "settled"), "{:?}", summary.beside);
        assert_eq!(share.busy.most, 3, "{others} others, {crowd} instances");
        let stale: Vec<_> = blocked.iter().filter(|answer| answer.contains("no ground for a decision")).collect();
        assert!(stale.is_empty(), "{others} others, {crowd} instances: {stale:?}");
    }
}

#[test]
fn clusters_that_are_rolled_at_once_share_their_looks() {
    let (alone, _, _) = rollout(1, 0);
    let (together, _, _) = rollout(9, 0);
    let calls = |world: &World| world.looks(0).unwrap().busy.calls;
    assert!(calls(&together) < 3 * calls(&alone), "{} and {}", calls(&alone), calls(&together));
}

#[test]
fn what_ec2_says_of_one_cluster_and_nobody_understands_holds_that_one_alone() {
    let payload = Some(Payload::Good { version: VERSION.to_owned() });
    let from = spec("consul", 3);
    let others = simulate::copies(&from, 2);
    let scenario = Scenario { from: from.clone(), image: NEW.into(), payload, seed: 1, faults: FaultLevel::None };
    let world = scenario.world();
    world.describe_oddly(&from.name, &world.volumes_of(&from.name, &"consul-b".into())[0], Some("hibernating"));
    let summary = scenario.run_beside(&world, others, &mut |_| {});
    assert_eq!(summary.ending, Ending::Blocked(vec!["not-understood"]));
    assert!(summary.beside.values().all(|ending| ending == "settled"), "{:?}", summary.beside);
}
