//! Random worlds: every run comes to an end, and the same seed tells the same story.

use hermitcrab::sim::FaultLevel;
use hermitcrab::simulate::{Scenario, copies};

use super::case::{Beginning, Case, NEW};
use super::{ADDRESSES, COMMAND, ETCD, ETCD_MOVING, FIVE, GROUP, PATRONI, RECREATE, THREE, VOLUMES, ZOOKEEPER};

/// Seeds for each fixture and each level. The command line is for thousands: `simulate … --seeds 1..2000 --faults many`.
const SEEDS: u64 = 40;

/// Seeds with `many` faults that once came to an end that is none. A seed draws another world when the world learns something new;
/// the kinds that these showed are cases of `tests/plan`.
const ONCE_UNLAWFUL: [(&str, &[u64]); 8] = [
    (THREE, &[237, 367, 411, 424, 488, 641, 654, 1481, 1765, 1830, 1895, 1996]),
    (ADDRESSES, &[126, 371, 1011, 1237, 1244]),
    (RECREATE, &[71, 808, 857, 1170, 1671, 1839]),
    (VOLUMES, &[107, 413, 487, 2270, 2574, 3433]),
    (ETCD, &[281, 550]),
    (ETCD_MOVING, &[439, 598, 666, 694]),
    (PATRONI, &[244, 339, 636, 2376]),
    (ZOOKEEPER, &[201, 416]),
];

fn every_world_comes_to_an_end(file: &'static str) {
    come_to_an_end(file, (FaultLevel::Some, "some"), 1..=SEEDS);
    come_to_an_end(file, (FaultLevel::Many, "many"), 1..=SEEDS);
}

fn come_to_an_end(file: &'static str, (level, name): (FaultLevel, &str), seeds: impl IntoIterator<Item = u64>) {
    let mut failures = Vec::new();
    for seed in seeds {
        let summary = scenario(file, seed, level).run(&mut |_| {});
        if summary.must_not_be() {
            let replay = format!("hermitcrab simulate {file} --image {NEW} --faults {name} --seed {seed}");
            let why = summary.unlawful.as_ref().unwrap_or(&summary.outcome);
            failures.push(format!("seed {seed}: {why}; replay it with `{replay}`"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn worlds_that_once_came_to_no_lawful_end_come_to_one() {
    for (file, seeds) in ONCE_UNLAWFUL {
        come_to_an_end(file, (FaultLevel::Many, "many"), seeds.iter().copied());
    }
}

/// Two clusters at once, of which the second stands on the first.
#[test]
fn clusters_that_stand_on_each_other_come_to_an_end_in_every_unkind_world() {
    let mut failures = Vec::new();
    for (level, seed) in
        [FaultLevel::Some, FaultLevel::Many].into_iter().flat_map(|level| (1..=SEEDS).map(move |seed| (level, seed)))
    {
        let scenario = scenario(THREE, seed, level);
        let mut above = copies(&scenario.from, 1);
        above[0].depends_on = [scenario.from.name.clone()].into();
        let summary = scenario.run_beside(&scenario.world(), above, &mut |_| {});
        if summary.must_not_be() {
            let why = summary.unlawful.as_ref().unwrap_or(&summary.outcome);
            failures.push(format!("{level:?}, seed {seed}: {why}; {:?}", summary.invariant_violations));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn scenario(file: &'static str, seed: u64, faults: FaultLevel) -> Scenario {
    let from = Case { file, beginning: Beginning::Upgrade }.spec();
    Scenario { from, image: NEW.into(), payload: None, seed, faults }
}

#[test]
fn three_slots_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(THREE);
}

#[test]
fn five_slots_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(FIVE);
}

#[test]
fn recreated_slots_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(RECREATE);
}

#[test]
fn slots_with_several_volumes_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(VOLUMES);
}

#[test]
fn slots_with_addresses_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(ADDRESSES);
}

#[test]
fn members_of_etcd_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(ETCD);
}

#[test]
fn members_of_etcd_without_fixed_addresses_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(ETCD_MOVING);
}

#[test]
fn members_of_patroni_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(PATRONI);
}

#[test]
fn members_of_zookeeper_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(ZOOKEEPER);
}

#[test]
fn members_that_go_by_the_rules_of_a_file_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(COMMAND);
}

#[test]
fn slots_in_a_group_come_to_an_end_in_every_unkind_world() {
    every_world_comes_to_an_end(GROUP);
}

#[test]
fn the_same_seed_tells_the_same_story_to_the_byte() {
    let told = |seed| {
        let mut lines = String::new();
        scenario(THREE, seed, FaultLevel::Many).run(&mut |line| {
            lines.push_str(&serde_json::to_string(line).unwrap());
            lines.push('\n');
        });
        lines
    };
    for seed in 1..=6 {
        let once = told(seed);
        assert!(once.lines().count() > 20);
        assert!(once == told(seed), "seed {seed} tells two stories");
    }
    assert_ne!(told(1), told(2));
}
