//! Members behave as ZooKeeper servers do.

use hermitcrab::observed::{Health, Pruning};
use hermitcrab::ports::Outcome;

use crate::world::{Harness, seconds};

fn health(harness: &Harness, number: usize) -> Health {
    harness.membership().of_slot(&harness.slot(number)).unwrap().health.clone()
}

#[test]
fn a_stopped_server_stays_in_the_list_and_is_well_again_at_its_address() {
    let harness = Harness::of_zookeeper();
    assert!((0..3).all(|number| harness.is_well(number)));
    let number = harness.follower();
    harness.stops(number);
    harness.pass(seconds(3_600));
    let membership = harness.membership();
    assert_eq!((membership.members.len(), membership.pruning), (3, Pruning::Never));
    let why = "it does not answer, and the leader does not count it".to_owned();
    assert_eq!(health(&harness, number), Health::Unhealthy(why));
    harness.starts(number);
    assert!(harness.is_well(number));
    assert_eq!(harness.set_pruning(3), Outcome::AlreadySo, "nobody is ever pruned");
    assert_eq!(harness.world.violations(), []);
}

#[test]
fn a_server_with_another_address_is_looked_for_at_the_old_one_for_ever() {
    let harness = Harness::of_zookeeper();
    let number = harness.follower();
    harness.moves_to_a_new_instance(number, 4);
    harness.pass(seconds(3_600));
    let found = health(&harness, number);
    assert!(matches!(&found, Health::Unknown(why) if why.starts_with("the others have it at")), "{found:?}");
}

#[test]
fn without_a_quorum_servers_are_known_by_their_addresses_alone() {
    let harness = Harness::of_zookeeper();
    harness.write("one", "1").unwrap();
    harness.stops(0);
    harness.stops(1);
    harness.pass(seconds(60));
    let membership = harness.membership();
    assert_eq!((membership.members.len(), membership.leader), (1, None));
    let only = &membership.members[0];
    assert!(only.id.starts_with("at ") && only.slot == Some(harness.slot(2)), "{only:?}");
    assert!(matches!(only.health, Health::Unknown(_)));
    harness.starts(0);
    assert!(harness.is_well(0));
    assert_eq!(harness.canaries(), "one=1");
}

#[test]
fn leadership_moves_by_the_leaders_end_alone() {
    let harness = Harness::of_zookeeper();
    let membership = harness.membership();
    assert!(!membership.can_transfer);
    let leader = membership.leader.unwrap();
    let slot = membership.members.iter().find(|member| member.id == leader).unwrap().slot.clone().unwrap();
    let number = (0..3).find(|number| harness.slot(*number) == slot).unwrap();
    harness.stops(number);
    harness.pass(seconds(10));
    let next = harness.membership().leader.unwrap();
    assert_ne!(next, leader);
    harness.starts(number);
    assert_eq!(harness.membership().leader, Some(next), "whoever comes back does not take over");
}
