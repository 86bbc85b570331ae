//! Members behave as those of PostgreSQL under Patroni do.

use hermitcrab::ports::Outcome;

use crate::world::{Harness, seconds};

#[test]
fn a_stopped_replica_leaves_the_list_after_the_time_to_live_and_is_back_when_it_starts() {
    let harness = Harness::of_patroni();
    assert!((0..3).all(|number| harness.is_well(number)));
    let number = harness.follower();
    harness.stops(number);
    harness.pass(seconds(40));
    let membership = harness.membership();
    assert_eq!((membership.of_slot(&harness.slot(number)), membership.members.len()), (None, 2));
    harness.starts(number);
    assert!(harness.is_well(number));
    assert_eq!(harness.world.violations(), []);
}

#[test]
fn a_member_with_another_address_is_well_there() {
    let harness = Harness::of_patroni();
    let number = harness.follower();
    harness.moves_to_a_new_instance(number, 4);
    assert!(harness.is_well(number));
}

#[test]
fn one_member_that_is_left_leads_on_and_takes_writes() {
    let harness = Harness::of_patroni();
    harness.write("one", "1").unwrap();
    for number in 0..2 {
        harness.stops(number);
        harness.pass(seconds(60));
    }
    harness.write("two", "2").unwrap();
    assert_eq!(harness.canaries(), "one=1 two=2");
    assert!(harness.is_well(2));
}

#[test]
fn leadership_moves_and_what_was_written_is_there() {
    let harness = Harness::of_patroni();
    harness.write("one", "1").unwrap();
    harness.makes_leader(harness.follower());
    assert_eq!(harness.canaries(), "one=1");
    assert_eq!(harness.set_pruning(3), Outcome::AlreadySo, "nobody is ever pruned");
}
