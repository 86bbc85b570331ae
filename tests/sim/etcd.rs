//! Members behave as those of etcd do.

use hermitcrab::action::MemberEffect;
use hermitcrab::ids::{ImageId, InstanceId};
use hermitcrab::observed::{Health, Pruning};
use hermitcrab::ports::Outcome;
use hermitcrab::sim::Payload;

use crate::world::{Harness, OLD, seconds};

fn health(harness: &Harness, number: usize) -> Health {
    harness.membership().of_slot(&harness.slot(number)).unwrap().health.clone()
}

/// Restarts a slot's member, after its image was given this version.
fn restarts(harness: &Harness, number: usize, version: &str) {
    harness.world.register_image(&ImageId::from(OLD), Payload::Good { version: version.to_owned() });
    harness.stops(number);
    harness.starts(number);
}

fn agreed(harness: &Harness) -> String {
    harness.membership().agreed_version.unwrap()
}

#[test]
fn a_stopped_member_stays_in_the_list_and_is_well_again_at_its_address() {
    let harness = Harness::of_etcd("3.5.16");
    assert!((0..3).all(|number| harness.is_well(number)));
    let number = harness.follower();
    harness.stops(number);
    harness.pass(seconds(3_600));
    let membership = harness.membership();
    assert_eq!((membership.members.len(), membership.pruning), (3, Pruning::Never));
    let why = "it does not answer, and the leader does not reach it".to_owned();
    assert_eq!(health(&harness, number), Health::Unhealthy(why));
    harness.starts(number);
    assert!(harness.is_well(number));
    assert_eq!(harness.world.violations(), []);
}

/// Tells the others that a slot's member is on an instance.
fn moves(harness: &Harness, number: usize, instance: &InstanceId) -> Outcome {
    let member = harness.membership().of_slot(&harness.slot(number)).unwrap().id.clone();
    let address = harness.instance(instance).address.unwrap();
    harness.ask(&MemberEffect::MoveMember { member, instance: instance.clone(), address }).unwrap()
}

#[test]
fn a_member_with_another_address_is_looked_for_at_the_old_one_until_the_others_are_told() {
    let harness = Harness::of_etcd("3.5.16");
    let number = harness.follower();
    let (_, new) = harness.moves_to_a_new_instance(number, 4);
    harness.pass(seconds(3_600));
    let found = health(&harness, number);
    assert!(matches!(&found, Health::Unknown(why) if why.starts_with("its peers have it at")), "{found:?}");
    assert_eq!(harness.broken(), ["told"]);
    assert_eq!([moves(&harness, number, &new), moves(&harness, number, &new)], [Outcome::Done, Outcome::AlreadySo]);
    assert!(harness.is_well(number));
}

#[test]
fn a_member_that_answers_elsewhere_is_not_moved() {
    let harness = Harness::of_etcd("3.5.16");
    let number = harness.follower();
    let (member, instance) =
        (harness.membership().of_slot(&harness.slot(number)).unwrap().id.clone(), harness.of(number).0);
    let there = MemberEffect::MoveMember { member, instance, address: [10, 9, 9, 9].into() };
    assert!(matches!(harness.ask(&there).unwrap(), Outcome::Changed { .. }));
    harness.stops(number);
    assert_eq!(harness.ask(&there).unwrap(), Outcome::Done);
}

#[test]
fn members_agree_on_a_newer_version_once_all_run_it_and_then_start_no_older_one() {
    let harness = Harness::of_etcd("3.4.23");
    for number in 0..3 {
        assert_eq!(agreed(&harness), "3.4.0");
        restarts(&harness, number, "3.5.16");
        assert!(harness.is_well(number));
    }
    assert_eq!(agreed(&harness), "3.5.0");
    restarts(&harness, 1, "3.4.23");
    assert!(matches!(health(&harness, 1), Health::Unhealthy(_)));
    assert_eq!(agreed(&harness), "3.5.0");
    restarts(&harness, 1, "3.5.16");
    assert!(harness.is_well(1));
}

#[test]
fn leadership_moves_and_what_was_written_is_there() {
    let harness = Harness::of_etcd("3.5.16");
    harness.write("one", "1").unwrap();
    harness.makes_leader(harness.follower());
    assert_eq!(harness.canaries(), "one=1");
    assert_eq!(harness.set_pruning(3), Outcome::AlreadySo, "nobody is ever pruned");
}
