//! Canary data lies where a member has written it, and nowhere else.

use hermitcrab::ids::ImageId;
use hermitcrab::ports::ErrorKind;
use hermitcrab::sim::{FaultLevel, Payload, World};

use crate::world::{Harness, NEW, VERSION, seconds};

#[test]
fn acknowledged_canaries_are_there_after_a_whole_roll() {
    let harness = Harness::settled();
    assert_eq!(harness.canaries(), "");
    harness.write("before", "one").unwrap();
    harness.write("before", "two").unwrap();
    assert_eq!(harness.canaries(), "before=two");
    harness.rolls(0..3);
    let everything = "before=two roll/0=meanwhile roll/1=meanwhile roll/2=meanwhile";
    for number in 0..3 {
        harness.makes_leader(number);
        assert_eq!(harness.canaries(), everything, "every member has it");
    }
    assert_eq!(harness.world.violations(), []);
}

#[test]
fn canaries_lie_on_the_volumes_and_outlive_a_stop_of_all_members() {
    let harness = Harness::settled();
    harness.write("key", "value").unwrap();
    (0..3).for_each(|number| harness.stops(number));
    assert_eq!(harness.try_canaries().unwrap_err().kind, ErrorKind::Unreachable);
    (0..3).for_each(|number| harness.starts(number));
    assert_eq!(harness.canaries(), "key=value");
}

#[test]
fn without_a_leader_or_a_quorum_no_canary_is_acknowledged() {
    let harness = Harness::settled();
    harness.write("first", "1").unwrap();
    harness.world.lose_leader(&harness.spec.name);
    assert_eq!(harness.write("leaderless", "").unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(harness.try_canaries().unwrap_err().kind, ErrorKind::Unreachable, "an old answer is none");
    harness.pass(seconds(30));
    harness.world.hide_members(&harness.spec.name, seconds(10));
    assert_eq!(harness.write("hidden", "").unwrap_err().kind, ErrorKind::Unreachable);
    harness.pass(seconds(11));
    harness.set_pruning(3);
    let number = harness.follower();
    harness.stops(number);
    harness.write("two-of-three", "2").unwrap();
    harness.world.stop_instance(&harness.of((number + 1) % 3).0);
    assert_eq!(harness.write("one-of-three", "").unwrap_err().kind, ErrorKind::Unreachable);
    harness.starts(number);
    assert_eq!(harness.canaries(), "first=1 two-of-three=2");
}

#[test]
fn members_that_are_ill_do_not_count_for_a_canary() {
    let harness = Harness::settled();
    harness.world.register_image(&ImageId::from(NEW), Payload::JoinsUnhealthy);
    harness.set_pruning(3);
    let leader = harness.membership().leader;
    let leads = |number: &usize| harness.membership().of_slot(&harness.slot(*number)).map(|m| m.id.clone()) == leader;
    let followers: Vec<usize> = (0..3).filter(|number| !leads(number)).collect();
    harness.moves_to_a_new_instance(followers[0], 4);
    harness.pass(seconds(60));
    harness.write("leader-and-one", "1").unwrap();
    harness.stops(followers[1]);
    assert_eq!(harness.membership().leader, leader);
    assert_eq!(harness.write("leader-alone", "2").unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(harness.canaries(), "leader-and-one=1");
}

#[test]
fn a_member_that_was_away_or_lost_its_disk_is_sent_what_it_lacks() {
    for wiped in [false, true] {
        let harness = Harness::settled();
        let number = harness.follower();
        harness.write("before", "1").unwrap();
        harness.stops(number);
        harness.write("meanwhile", "2").unwrap();
        if wiped {
            harness.world.wipe_volume(&harness.of(number).1);
        }
        harness.starts(number);
        harness.makes_leader(number);
        assert_eq!(harness.canaries(), "before=1 meanwhile=2", "wiped: {wiped}");
    }
}

#[test]
fn whoever_lacks_an_acknowledged_canary_is_not_elected() {
    for seed in 0..20 {
        let harness = Harness::settled_on(World::new(seed, FaultLevel::None), VERSION);
        harness.set_pruning(3);
        let number = harness.follower();
        harness.stops(number);
        harness.write("meanwhile", "1").unwrap();
        harness.world.start_instance(&harness.of(number).0);
        // The member comes back in the midst of elections, and has a whole log before anybody can send it the write.
        for _ in 0..15 {
            harness.world.lose_leader(&harness.spec.name);
            harness.pass(seconds(5));
            assert_eq!(harness.canaries(), "meanwhile=1", "seed {seed}");
        }
    }
}

#[test]
fn what_only_one_volume_has_is_lost_with_it() {
    for (wiped, left) in [(false, "before=1 roll/0=meanwhile roll/1=meanwhile"), (true, "roll/1=meanwhile")] {
        let harness = Harness::settled();
        harness.world.register_image(&ImageId::from(NEW), Payload::LosesData);
        harness.write("before", "1").unwrap();
        harness.rolls(0..2);
        harness.makes_leader(1);
        harness.stops(2);
        if wiped {
            harness.world.wipe_volume(&harness.of(2).1);
        }
        harness.starts(2);
        harness.makes_leader(2);
        assert_eq!(harness.canaries(), left);
    }
}

#[test]
fn an_image_that_loses_data_is_healthy_and_the_canaries_are_gone_in_the_end() {
    let harness = Harness::settled();
    harness.world.register_image(&ImageId::from(NEW), Payload::LosesData);
    harness.write("before", "1").unwrap();
    harness.rolls(0..3);
    assert!((0..3).all(|number| harness.is_well(number)));
    // Each member has what was written after it had started.
    let left =
        ["roll/0=meanwhile roll/1=meanwhile roll/2=meanwhile", "roll/1=meanwhile roll/2=meanwhile", "roll/2=meanwhile"];
    for (number, left) in left.into_iter().enumerate() {
        harness.makes_leader(number);
        assert_eq!(harness.canaries(), left);
    }
    assert_eq!(harness.world.violations(), [], "no rule of ours is broken by it");
}

#[test]
fn a_canary_has_a_plain_key() {
    let harness = Harness::settled();
    harness.write("step-3/12:00.5_b", "").unwrap();
    for key in ["", "a b", "../vault", "a//b"] {
        assert_eq!(harness.write(key, "").unwrap_err().kind, ErrorKind::Invalid, "{key}");
    }
    assert_eq!(harness.canaries(), "step-3/12:00.5_b=");
}
