//! Members behave as Consul servers do.

use std::collections::BTreeSet;
use std::time::Duration;

use hermitcrab::action::{CloudEffect, CreateVolume};
use hermitcrab::ids::{ImageId, Owner, Token};
use hermitcrab::observed::{Health, InstanceState};
use hermitcrab::ports::{Clock, ErrorKind, Members, Outcome};
use hermitcrab::sim::{FaultLevel, Payload, World, block_on};
use hermitcrab::spec::EbsSettings;
use hermitcrab::time::elapsed;

use crate::world::{Harness, NEW, VERSION, retire, seconds, spec, stop, terminate};

#[test]
fn a_settled_cluster_is_healthy_and_stays_so() {
    let harness = Harness::settled();
    for _ in 0..3 {
        let membership = harness.membership();
        assert!(membership.leader.is_some() && membership.can_transfer);
        assert!((0..3).all(|number| harness.is_well(number)));
        harness.pass(seconds(3_600));
    }
    assert_eq!(harness.view().instances.len(), 3);
    assert_eq!(harness.world.violations(), []);
}

#[test]
fn a_member_comes_back_as_itself_when_its_volume_moves_to_a_new_instance() {
    let harness = Harness::settled();
    let number = harness.follower();
    let before = harness.membership().of_slot(&harness.slot(number)).unwrap().clone();
    let (old, new) = harness.moves_to_a_new_instance(number, 4);
    harness.pass(seconds(60));
    let after = harness.membership().of_slot(&harness.slot(number)).unwrap().clone();
    assert!(harness.is_well(number));
    assert_eq!(after.id, before.id);
    assert_eq!(after.address, harness.instance(&new).address);
    assert_ne!(after.address, before.address);
    harness.act(number, retire(&old));
    harness.view();
    assert_eq!(harness.act(number, terminate(&old)), Outcome::Done);
    harness.pass(seconds(91));
    assert_eq!(harness.instance(&old).state, InstanceState::Terminated);
    assert_eq!(harness.world.violations(), []);
}

#[test]
fn a_stopped_follower_is_pruned_unless_that_is_forbidden() {
    for (down_to, expected) in [(0, 2), (3, 3)] {
        let harness = Harness::settled();
        if down_to > 0 {
            let set = || harness.set_pruning(down_to);
            assert_eq!([set(), set()], [Outcome::Done, Outcome::AlreadySo]);
        }
        let number = harness.follower();
        harness.act(number, stop(&harness.of(number).0));
        harness.pass(seconds(3));
        assert_eq!(harness.membership().members.len(), 3, "it takes gossip 5–7 s to notice");
        harness.pass(seconds(20));
        let membership = harness.membership();
        assert_eq!(membership.members.len(), expected);
        assert!(membership.leader.is_some());
        let stopped = membership.of_slot(&harness.slot(number));
        assert_eq!(stopped.map(|member| member.health.clone()), (expected == 3).then(ill("serf failed")));
    }
}

fn ill(why: &str) -> impl FnOnce() -> Health {
    let why = why.to_owned();
    move || Health::Unhealthy(why)
}

#[test]
fn a_pruned_member_comes_back_as_a_non_voter_and_is_promoted() {
    let harness = Harness::settled();
    let number = harness.follower();
    harness.moves_to_a_new_instance(number, 4);
    harness.pass(seconds(2));
    let came = (0..20).find_map(|_| {
        harness.pass(seconds(1));
        harness.membership().of_slot(&harness.slot(number)).cloned()
    });
    assert!(!came.unwrap().counts);
    harness.pass(seconds(25));
    assert!(harness.is_well(number));
}

#[test]
fn before_1_9_a_new_address_costs_the_vote_for_a_while_and_since_then_it_does_not() {
    for (version, keeps_vote) in [("1.8.7", false), ("1.9.0", true)] {
        let harness = Harness::settled_on(World::new(7, FaultLevel::None), version);
        let number = harness.follower();
        harness.set_pruning(3);
        let (_, new) = harness.moves_to_a_new_instance(number, 4);
        let address = harness.instance(&new).address;
        let voted = (0..60).find_map(|_| {
            harness.pass(Duration::from_millis(300));
            let member = harness.membership().of_slot(&harness.slot(number)).cloned().unwrap();
            (member.address == address).then_some(member.counts)
        });
        assert_eq!(voted, Some(keeps_vote), "{version}");
        harness.pass(seconds(25));
        assert!(harness.is_well(number));
    }
}

#[test]
fn the_same_name_at_a_new_address_waits_until_the_old_one_is_long_gone() {
    let harness = Harness::settled();
    let number = harness.follower();
    let slot = harness.slot(number);
    let (old, volume) = harness.of(number);
    let new = harness.launches(number, 4);
    harness.pass(seconds(60));
    // Somebody pulls the volume over while the old member still runs, so that the new one starts at once.
    harness.world.stop_instance(&old);
    harness.pass(seconds(1));
    harness.force(number, harness.detach(&volume, &old)).unwrap();
    harness.pass(seconds(21));
    harness.act(number, harness.attach(&volume, &new));
    let attached = harness.world.now();
    let address = harness.instance(&new).address;
    while harness.membership().of_slot(&slot).is_none_or(|member| member.address != address) {
        harness.pass(seconds(1));
    }
    let took = elapsed(harness.world.now(), attached);
    assert!(took > seconds(30) && took < seconds(50), "refused, and tried again after 30 s: {took:?}");
}

#[test]
fn without_a_leader_for_three_to_four_seconds_the_members_still_answer() {
    let harness = Harness::settled();
    let leads = harness.membership().leader;
    harness.world.lose_leader(&harness.spec.name);
    let lost = harness.world.now();
    let membership = harness.membership();
    assert_eq!((membership.leader, membership.members.len()), (None, 3));
    assert!(membership.members.iter().all(|member| matches!(member.health, Health::Unknown(_))));
    while harness.membership().leader.is_none() {}
    let took = elapsed(harness.world.now(), lost).as_secs_f64();
    assert!((3.0..6.0).contains(&took), "{took} s");
    assert!(leads.is_some());
}

#[test]
fn a_stopped_leader_is_followed_by_another() {
    let harness = Harness::settled();
    let before = harness.membership();
    let number = (0..3).find(|n| before.of_slot(&harness.slot(*n)).map(|m| &m.id) == before.leader.as_ref()).unwrap();
    harness.act(number, stop(&harness.of(number).0));
    harness.pass(seconds(6));
    let leader = harness.membership().leader;
    assert!(leader.is_some() && leader != before.leader);
}

#[test]
fn leadership_moves_only_from_who_has_it_and_only_where_the_version_offers_it() {
    let transfer = |harness: &Harness, from: usize, to: usize| {
        let membership = harness.membership();
        let id = |number: usize| membership.of_slot(&harness.slot(number)).unwrap().id.clone();
        harness.transfer(id(from), id(to))
    };
    let harness = Harness::settled();
    let to = harness.follower();
    let membership = harness.membership();
    let from = (0..3).find(|n| membership.leader == Some(membership.of_slot(&harness.slot(*n)).unwrap().id.clone()));
    let third = (0..3).find(|number| *number != to && Some(*number) != from).unwrap();
    assert!(matches!(transfer(&harness, third, to).unwrap(), Outcome::Changed { .. }));
    assert_eq!(transfer(&harness, from.unwrap(), to).unwrap(), Outcome::Done);
    harness.pass(seconds(1));
    let membership = harness.membership();
    assert_eq!(membership.leader, membership.of_slot(&harness.slot(to)).map(|member| member.id.clone()));

    let old = Harness::settled_on(World::new(7, FaultLevel::None), "1.14.11");
    assert!(!old.membership().can_transfer);
    assert_eq!(transfer(&old, from.unwrap(), to).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn nobody_answers_while_the_members_are_hidden() {
    let harness = Harness::settled();
    harness.world.hide_members(&harness.spec.name, seconds(30));
    assert_eq!(harness.try_membership().unwrap_err().kind, ErrorKind::Unreachable);
    harness.pass(seconds(31));
    assert!(harness.is_well(0));
    assert_eq!(
        block_on(&harness.world, harness.world.membership(&harness.spec, &[])).unwrap_err().kind,
        ErrorKind::Unreachable
    );
}

/// The leader's slot, and the two others.
fn leader_and_followers(harness: &Harness) -> [usize; 3] {
    let membership = harness.membership();
    let leads = |number: &usize| {
        membership.leader == membership.of_slot(&harness.slot(*number)).map(|member| member.id.clone())
    };
    let leader = (0..3).find(leads).unwrap();
    [leader, (leader + 1) % 3, (leader + 2) % 3]
}

fn leads(harness: &Harness, number: usize) -> bool {
    let membership = harness.membership();
    membership.leader.is_some()
        && membership.leader == membership.of_slot(&harness.slot(number)).map(|member| member.id.clone())
}

#[test]
fn a_member_that_hears_nothing_of_the_leader_is_ill_and_deposes_it_when_it_is_heard_again() {
    let harness = Harness::settled();
    let [leader, deaf, _] = leader_and_followers(&harness);
    harness.world.cut_link(&harness.spec.name, &harness.slot(leader), &harness.slot(deaf), seconds(60));
    harness.pass(seconds(30));
    let membership = harness.membership();
    assert_eq!(membership.of_slot(&harness.slot(deaf)).unwrap().health, ill("no contact")());
    assert_eq!(membership.members.len(), 3, "gossip has others look, so that nobody is pruned");
    assert!(leads(&harness, leader));
    harness.pass(seconds(31));
    assert_eq!(harness.membership().leader, None, "it has called for elections in vain, in ever higher terms");
    harness.pass(seconds(30));
    assert!((0..3).all(|number| harness.is_well(number)));
}

#[test]
fn a_member_that_the_leader_does_not_hear_is_ill_and_deposes_nobody() {
    let harness = Harness::settled();
    let [leader, mute, other] = leader_and_followers(&harness);
    harness.world.cut_link(&harness.spec.name, &harness.slot(mute), &harness.slot(leader), seconds(60));
    harness.pass(seconds(30));
    assert_eq!([mute, other].map(|number| harness.is_well(number)), [false, true]);
    harness.pass(seconds(31));
    assert!(leads(&harness, leader));
    harness.pass(seconds(30));
    assert!(leads(&harness, leader) && harness.is_well(mute));
}

#[test]
fn a_leader_whom_too_few_hear_gives_way_to_one_of_those_who_hear_each_other() {
    let harness = Harness::settled();
    let [leader, one, other] = leader_and_followers(&harness);
    for follower in [one, other] {
        harness.world.cut_link(&harness.spec.name, &harness.slot(leader), &harness.slot(follower), seconds(120));
    }
    harness.pass(seconds(60));
    assert!(leads(&harness, one) || leads(&harness, other));
    assert_eq!([leader, one, other].map(|number| harness.is_well(number)), [false, true, true]);
    harness.pass(seconds(120));
    assert!((0..3).all(|number| harness.is_well(number)));
}

#[test]
fn members_that_hear_of_no_leader_vouch_for_nobody_where_no_other_is_reached() {
    let harness = Harness::settled();
    let [leader, deaf, other] = leader_and_followers(&harness);
    harness.world.hide_member(&harness.spec.name, &harness.slot(leader), seconds(60));
    assert!(leads(&harness, leader), "the others say so");
    harness.world.hide_member(&harness.spec.name, &harness.slot(other), seconds(60));
    assert!(leads(&harness, leader));
    harness.world.cut_link(&harness.spec.name, &harness.slot(leader), &harness.slot(deaf), seconds(30));
    let membership = harness.membership();
    assert_eq!(membership.leader, None);
    assert!(membership.members.iter().all(|member| matches!(member.health, Health::Unknown(_))));
    harness.world.hide_member(&harness.spec.name, &harness.slot(deaf), seconds(10));
    assert_eq!(harness.try_membership().unwrap_err().kind, ErrorKind::Unreachable);
}

/// Somebody has attached a restored copy to another instance of the slot.
#[test]
fn of_two_processes_of_one_member_the_second_is_refused_until_the_first_has_been_gone_for_long_enough() {
    let harness = Harness::settled();
    let number = harness.follower();
    let (first, volume) = harness.of(number);
    let copy = harness.world.copy_volume(&volume).unwrap();
    let mut launch = harness.launch(number, 4);
    launch.volumes = [("data".into(), copy.clone())].into();
    let Outcome::Launched(second) = harness.act(number, CloudEffect::Launch(Box::new(launch))) else { panic!() };
    harness.pass(seconds(60));
    harness.force(number, harness.attach(&copy, &second)).unwrap();
    harness.pass(seconds(120));
    assert_eq!(harness.broken(), ["identity"]);
    let address = |harness: &Harness| harness.membership().of_slot(&harness.slot(number)).unwrap().address;
    assert_eq!(address(&harness), harness.instance(&first).address, "its peers know the first one");
    assert!(harness.is_well(number));
    harness.world.stop_instance(&first);
    harness.pass(seconds(20));
    assert!(!harness.is_well(number));
    harness.pass(seconds(90));
    assert_eq!(address(&harness), harness.instance(&second).address);
    assert!(harness.is_well(number));
}

#[test]
fn a_new_cluster_forms_when_all_its_members_are_there() {
    let world = World::new(3, FaultLevel::None);
    world.register_image(&ImageId::from(NEW), Payload::Good { version: VERSION.to_owned() });
    let harness = Harness { world, spec: spec("fresh", 3) };
    harness.world.declare(&harness.spec);
    for number in 0..3 {
        if number == 2 {
            harness.pass(seconds(60));
            assert_eq!(harness.membership().leader, None);
        }
        let slot = &harness.spec.slots[number];
        let create = CloudEffect::CreateVolume(CreateVolume {
            token: Token::from(format!("blank-{}", slot.name)),
            slot: slot.name.clone(),
            name: "data".into(),
            zone: slot.zone.clone(),
            size_gib: 20,
            ebs: EbsSettings::plain("gp3"),
            tags: std::collections::BTreeMap::new(),
            snapshot: None,
            owner: Owner::from("hermitcrab"),
            slots: BTreeSet::from([slot.name.clone()]),
            number: 0,
        });
        let Outcome::Created(volume) = harness.act(number, create.clone()) else { panic!("nothing was created") };
        let again = harness.force(number, create.clone()).unwrap();
        assert_eq!(again, Outcome::Created(volume.clone()), "the token is good for one volume");
        assert_eq!(harness.act(number, create), Outcome::AlreadySo, "whoever looks first sends nothing");
        harness.pass(seconds(3));
        let instance = harness.launches(number, 1);
        harness.pass(seconds(31));
        assert_eq!(harness.act(number, harness.attach(&volume, &instance)), Outcome::Done);
    }
    harness.pass(seconds(60));
    assert!(harness.membership().leader.is_some());
    assert!((0..3).all(|number| harness.is_well(number)));
    assert_eq!(harness.world.violations(), []);
    assert_eq!(harness.world.times_formatted(&harness.of(0).1), 1);
}

#[test]
fn what_members_do_depends_on_the_image() {
    let seen = |payload: Payload| {
        let harness = Harness::settled();
        harness.world.register_image(&ImageId::from(NEW), payload);
        let number = harness.follower();
        harness.moves_to_a_new_instance(number, 4);
        harness.pass(seconds(70));
        harness.membership().of_slot(&harness.slot(number)).cloned()
    };
    assert_eq!(seen(Payload::NeverJoins), None);
    assert_eq!(seen(Payload::SlowToJoin(seconds(300))), None);
    assert!(matches!(seen(Payload::JoinsUnhealthy).unwrap().health, Health::Unhealthy(_)));
    let wrong = seen(Payload::WrongVersion("1.0.0".to_owned())).unwrap();
    assert_eq!((wrong.version.as_deref(), wrong.health), (Some("1.0.0"), Health::Healthy));
}

#[test]
fn a_flapping_member_is_healthy_and_ill_by_turns() {
    let harness = Harness::settled();
    harness.world.register_image(&ImageId::from(NEW), Payload::Flaps);
    let number = harness.follower();
    harness.moves_to_a_new_instance(number, 4);
    let mut turns: Vec<bool> = Vec::new();
    for _ in 0..300 {
        harness.pass(seconds(1));
        turns.push(harness.is_well(number));
    }
    turns.dedup();
    assert!(turns.len() > 4, "{turns:?}");
}
