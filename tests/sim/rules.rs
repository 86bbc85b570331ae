//! The safety rules: each one fires when it is broken on purpose.

use std::collections::BTreeMap;

use hermitcrab::action::{CloudEffect, Launch};
use hermitcrab::ids::{Attempt, ImageId, InstanceId, Token, VolumeId, Zone};
use hermitcrab::observed::{InstanceState, Purpose, Settled, Taken, VolumeState, Way};
use hermitcrab::ports::{ErrorKind, Outcome};
use hermitcrab::sim::{AnswerFacts, Payload};
use hermitcrab::spec::ClusterSpec;

use crate::world::{Harness, NEW, retire, seconds, spec, stop, terminate};

#[test]
fn stopping_a_voter_that_the_quorum_needs_breaks_s1() {
    let harness = Harness::settled();
    harness.world.stop_instance(&harness.of(0).0);
    harness.pass(seconds(30));
    let follower = (1..3).find(|number| follows(&harness, *number)).unwrap();
    harness.force(follower, stop(&harness.of(follower).0)).unwrap();
    assert_eq!(harness.broken(), ["S1"]);
}

#[test]
fn stopping_a_voter_just_after_another_was_lost_is_nobodys_fault() {
    let harness = Harness::settled();
    harness.world.stop_instance(&harness.of(0).0);
    harness.pass(seconds(5));
    harness.force(1, stop(&harness.of(1).0)).unwrap();
    assert_eq!(harness.broken(), [""; 0]);
}

#[test]
fn stopping_a_voter_just_after_another_slot_was_taken_off_is_nobodys_fault() {
    for (after, broken) in [(5, ""), (30, "S1")] {
        let harness = Harness::settled();
        let slots = harness.spec.slots[..2].to_vec();
        harness.world.declare(&ClusterSpec { slots, ..harness.spec.clone() });
        harness.pass(seconds(after));
        let follower = (0..2).find(|number| follows(&harness, *number)).unwrap();
        harness.force(follower, stop(&harness.of(follower).0)).unwrap();
        assert_eq!(harness.broken().concat(), broken);
    }
}

#[test]
fn stopping_in_a_slot_that_is_not_claimed_breaks_s15() {
    let harness = Harness::settled();
    let follower = harness.follower();
    let (instance, _) = harness.of(follower);
    harness.claim((follower + 1) % 3);
    harness.view();
    harness.world.send_unchecked(&harness.spec.name, Some(&harness.slot(follower)), &stop(&instance)).unwrap();
    assert_eq!(harness.broken(), ["S15"]);
}

#[test]
fn stopping_before_the_claim_says_so_breaks_s15() {
    let harness = Harness::settled();
    let follower = harness.follower();
    let (instance, _) = harness.of(follower);
    harness.claim_for(follower, Purpose::Replace { old: instance.clone() }, Way::Forward, false);
    harness.view();
    harness.world.send_unchecked(&harness.spec.name, Some(&harness.slot(follower)), &stop(&instance)).unwrap();
    assert_eq!(harness.broken(), ["S15"]);
}

/// The rules that are broken by such a call about a stopped instance, while the claim says that its replacement goes that way,
/// or turns to it, for so many seconds.
fn broken_on_the_way(
    (way, turning): (Way, bool),
    after: u64,
    call: impl FnOnce(InstanceId, VolumeId) -> CloudEffect,
) -> String {
    let harness = Harness::settled();
    let follower = harness.follower();
    let (instance, volume) = harness.of(follower);
    harness.world.stop_instance(&instance);
    harness.pass(seconds(61));
    harness.claim_for(follower, Purpose::Replace { old: instance.clone() }, way, turning);
    harness.pass(seconds(after));
    harness.force(follower, call(instance, volume)).unwrap();
    harness.broken().concat()
}

#[test]
fn going_another_way_than_the_claim_says_breaks_a_rule() {
    let start = |instance, _| CloudEffect::Start { instance };
    let detach = |instance, volume| CloudEffect::Detach { volume, instance, device: "/dev/sdf".to_owned() };
    for (way, started, detached) in [(Way::Forward, "way", ""), (Way::Back, "", "way"), (Way::ForwardAgain, "way", "")]
    {
        assert_eq!(broken_on_the_way((way, false), 61, start), started, "{way:?}");
        assert_eq!(broken_on_the_way((way, false), 61, detach), detached, "{way:?}");
        assert_eq!(broken_on_the_way((way, true), 61, start), "way", "turning {way:?}");
        assert_eq!(broken_on_the_way((way, true), 61, detach), "way", "turning {way:?}");
    }
}

#[test]
fn a_call_that_was_sent_before_a_turn_may_arrive_while_it_lasts_and_not_after_it() {
    let detach = |instance, volume| CloudEffect::Detach { volume, instance, device: "/dev/sdf".to_owned() };
    assert_eq!(broken_on_the_way((Way::Back, true), 9, detach), "", "its sender may not have known");
    assert_eq!(broken_on_the_way((Way::Back, false), 9, detach), "way", "all that was sent before has arrived by then");
}

#[test]
fn stopping_a_member_that_leads_breaks_s11() {
    let harness = Harness::settled();
    harness.pass(seconds(60));
    let follower = harness.follower();
    let leader = (0..3).find(|number| *number != follower && !follows(&harness, *number)).unwrap();
    let (instance, _) = harness.of(leader);
    harness.force(leader, stop(&instance)).unwrap();
    assert_eq!(harness.broken(), ["S11"]);
}

/// Says whether the member of a slot does not lead.
fn follows(harness: &Harness, number: usize) -> bool {
    let membership = harness.membership();
    membership.of_slot(&harness.slot(number)).map(|member| &member.id) != membership.leader.as_ref()
}

#[test]
fn the_same_call_again_and_again_breaks_s17() {
    let harness = Harness::settled();
    let (instance, _) = harness.of(0);
    for _ in 0..40 {
        harness.world.start_instance(&instance);
        harness.world.stop_instance(&instance);
        harness.pass(seconds(65));
        harness.force(0, CloudEffect::Start { instance: instance.clone() }).unwrap();
        harness.pass(seconds(20));
    }
    assert_eq!(harness.broken(), ["S17"]);
}

#[test]
fn two_members_down_by_our_hand_break_s1() {
    let harness = Harness::settled();
    harness.force(0, stop(&harness.of(0).0)).unwrap();
    harness.pass(seconds(2));
    harness.force(1, stop(&harness.of(1).0)).unwrap();
    assert_eq!(harness.broken(), ["S1"]);
}

#[test]
fn taking_an_address_from_an_instance_that_runs_breaks_s19() {
    let harness = Harness::with_addresses();
    let follower = harness.follower();
    let new = harness.launches(follower, 4);
    harness.pass(seconds(60));
    harness.force(follower, harness.assign(follower, &new)).unwrap();
    assert_eq!(harness.broken(), ["S19"]);
}

#[test]
fn taking_the_address_of_another_slot_breaks_s19() {
    let harness = Harness::with_addresses();
    let (old, _) = harness.of(1);
    harness.world.stop_instance(&old);
    harness.pass(seconds(61));
    let CloudEffect::AssignAddress { address, .. } = harness.assign(1, &old) else { panic!("no address") };
    let CloudEffect::AssignAddress { instance, interface, subnet, .. } = harness.assign(0, &harness.of(0).0) else {
        panic!("no address")
    };
    let theft = CloudEffect::AssignAddress { address, instance, interface, subnet };
    harness.force(0, theft).unwrap();
    assert_eq!(harness.broken(), ["S19"]);
}

#[test]
fn stopping_without_looking_again_breaks_s2() {
    let harness = Harness::settled();
    harness.view();
    harness.launches(0, 4);
    harness.claim(0);
    harness.world.send_unchecked(&harness.spec.name, Some(&harness.slot(0)), &stop(&harness.of(0).0)).unwrap();
    assert_eq!(harness.broken(), ["S2"]);
}

#[test]
fn terminating_with_a_volume_attached_breaks_s3_and_s7() {
    let harness = Harness::settled();
    let (instance, _) = harness.of(0);
    harness.act(0, retire(&instance));
    harness.force(0, terminate(&instance)).unwrap();
    assert_eq!(harness.broken(), ["S3", "S7"]);
}

#[test]
fn a_volume_deleted_with_its_instance_breaks_s3() {
    let harness = Harness::settled();
    let (instance, volume) = harness.of(0);
    harness.world.set_delete_on_termination(&volume, true);
    harness.world.terminate_instance(&instance);
    while harness.instance(&instance).state != InstanceState::Terminated {}
    assert_eq!(harness.volume(&volume).state, VolumeState::Deleted);
    assert_eq!(harness.broken(), ["S3"]);
    harness.pass(seconds(61));
    assert!(harness.view().volumes.iter().all(|other| other.id != volume));
}

#[test]
fn detaching_from_a_running_instance_breaks_s4() {
    let harness = Harness::settled();
    let (instance, volume) = harness.of(0);
    harness.force(0, harness.detach(&volume, &instance)).unwrap();
    assert_eq!(harness.broken(), ["S4"]);
}

#[test]
fn a_volume_that_shrinks_or_grows_where_nobody_serves_or_beside_another_breaks_the_rule_of_growth() {
    let grow = |harness: &Harness, number: usize, to_gib: u32| {
        let (instance, volume) = harness.of(number);
        let from_gib = harness.volume(&volume).size_gib;
        harness.force(number, CloudEffect::Grow { volume, instance, from_gib, to_gib })
    };
    let harness = Harness::settled();
    grow(&harness, 0, 100).unwrap();
    assert_eq!(harness.broken(), [""; 0]);
    grow(&harness, 1, 100).unwrap();
    assert_eq!(harness.broken(), [""; 0], "another controller may have been about to");
    harness.pass(seconds(20));
    grow(&harness, 2, 100).unwrap();
    assert_eq!(harness.broken(), ["growth"], "it has been known that others grow");

    let harness = Harness::settled();
    assert!(grow(&harness, 0, 1).is_err(), "EC2 refuses it as well");
    harness.world.stop_instance(&harness.of(0).0);
    harness.pass(seconds(90));
    grow(&harness, 0, 100).unwrap();
    assert_eq!(harness.broken(), ["growth"], "the instance is stopped");
}

#[test]
fn a_volume_in_the_wrong_slot_breaks_s5_and_the_guest_refuses_it() {
    let mut harness = Harness::settled();
    for slot in &mut harness.spec.slots {
        slot.zone = Zone::from("us-east-1a");
    }
    let number = harness.follower();
    let other = (number + 1) % 3;
    let (_, volume) = harness.of(number);
    let mut launch = harness.launch(other, 4);
    launch.zone = harness.volume(&volume).zone;
    launch.volumes = BTreeMap::from([("data".into(), volume.clone())]);
    let Outcome::Launched(foreign) = harness.act(other, CloudEffect::Launch(Box::new(launch))) else { panic!() };
    harness.world.stop_instance(&harness.of(number).0);
    harness.pass(seconds(90));
    harness.view();
    harness.act(number, harness.detach(&volume, &harness.of(number).0));
    harness.pass(seconds(21));
    harness.force(other, harness.attach(&volume, &foreign)).unwrap();
    harness.pass(seconds(30));
    assert_eq!(harness.broken(), ["S5", "S5"], "once for the call, once for the guest");
    let address = harness.instance(&foreign).address;
    assert!(harness.membership().members.iter().all(|member| member.address != address));
}

/// The claim of its slot takes the launch over, and then the instance is given what is the slot's.
#[test]
fn giving_a_volume_to_an_instance_that_was_launched_ahead_breaks_a_rule() {
    for (taken_over, broken) in [(false, "ahead"), (true, "")] {
        let harness = Harness::settled();
        let follower = harness.follower();
        let (old, volume) = harness.of(follower);
        harness.announce(follower, 4);
        let new = harness.launches(follower, 4);
        harness.world.stop_instance(&old);
        harness.pass(seconds(61));
        if taken_over {
            harness.claims(follower, Purpose::Replace { old: old.clone() });
        }
        harness.force(follower, harness.detach(&volume, &old)).unwrap();
        harness.pass(seconds(21));
        harness.force(follower, harness.attach(&volume, &new)).unwrap();
        assert_eq!(harness.broken().concat(), broken);
    }
}

/// A replacement in the first slot, and its old instance, which rests.
fn with_the_old_at_rest() -> (Harness, InstanceId) {
    let harness = Harness::settled();
    let (old, _) = harness.of(0);
    harness.claim(0);
    harness.launches(0, 4);
    harness.world.stop_instance(&old);
    harness.pass(seconds(61));
    (harness, old)
}

#[test]
fn one_more_than_declared_may_run_and_another_rest_only_where_one_was_launched_ahead() {
    for (announced, broken) in [(true, ""), (false, "S6")] {
        let (harness, _) = with_the_old_at_rest();
        if announced {
            harness.announce(1, 5);
        }
        harness.launches(1, 5);
        assert_eq!(harness.broken().concat(), broken);
        harness.launches(2, 6);
        assert!(harness.broken().concat().ends_with("S6"), "two more than declared run");
    }
}

#[test]
fn one_that_was_launched_ahead_breaks_s6_while_the_old_instance_before_it_runs() {
    let harness = Harness::settled();
    harness.claim(0);
    harness.launches(0, 4);
    harness.announce(1, 5);
    harness.launches(1, 5);
    assert_eq!(harness.broken(), ["S6"]);
}

/// The same beside an instance that was launched ahead for the second slot, which comes last.
fn with_one_ahead() -> (Harness, InstanceId, InstanceId) {
    let (harness, old) = with_the_old_at_rest();
    harness.announce(1, 5);
    let ahead = harness.launches(1, 5);
    (harness, old, ahead)
}

#[test]
fn starting_the_old_instance_beside_one_that_was_launched_ahead_breaks_s6() {
    let (harness, old, _) = with_one_ahead();
    harness.force(0, CloudEffect::Start { instance: old.clone() }).unwrap();
    assert!(harness.broken().contains(&"S6".to_owned()));
}

#[test]
fn what_somebody_else_starts_is_none_too_many() {
    let (harness, old, _) = with_one_ahead();
    harness.world.start_instance(&old);
    harness.launches(0, 4);
    assert_eq!(harness.broken(), [""; 0]);
}

#[test]
fn an_instance_whose_end_is_refused_keeps_no_other_from_coming_back() {
    let (harness, old, ahead) = with_one_ahead();
    harness.world.refuse(Some("retire"), ErrorKind::Denied, None, Some(1));
    harness.try_do(1, retire(&ahead)).unwrap_err();
    harness.force(0, CloudEffect::Start { instance: old.clone() }).unwrap();
    assert!(!harness.broken().contains(&"S6".to_owned()));
}

#[test]
fn taking_a_volume_from_what_somebody_has_just_started_is_nobodys_fault() {
    for (after, broken) in [(1, ""), (30, "S4")] {
        let harness = Harness::settled();
        let (old, volume) = harness.of(0);
        harness.claim(0);
        harness.world.stop_instance(&old);
        harness.pass(seconds(61));
        harness.world.start_instance(&old);
        harness.pass(seconds(after));
        harness.force(0, harness.detach(&volume, &old)).unwrap();
        assert_eq!(harness.broken().concat(), broken);
    }
}

#[test]
fn three_instances_in_a_slot_or_two_too_many_in_a_cluster_break_s6() {
    let harness = Harness::settled();
    harness.launches(0, 4);
    harness.launches(1, 5);
    assert_eq!(harness.broken(), ["S6"]);
    let harness = Harness::settled();
    harness.launches(0, 4);
    assert_eq!(harness.broken(), [""; 0]);
    harness.launches(0, 5);
    assert_eq!(harness.broken(), ["S6"]);
}

#[test]
fn terminating_the_old_instance_before_the_new_one_is_proven_breaks_s7() {
    let harness = Harness::settled();
    harness.world.register_image(&ImageId::from(NEW), Payload::JoinsUnhealthy);
    let number = harness.follower();
    let (old, _) = harness.moves_to_a_new_instance(number, 4);
    harness.pass(seconds(60));
    harness.act(number, retire(&old));
    harness.force(number, terminate(&old)).unwrap();
    assert_eq!(harness.broken(), ["S7"]);
}

/// Neither what was saved before a replacement, nor what a copy begins with while it is wanted.
#[test]
fn a_snapshot_deleted_out_of_turn_breaks_the_end() {
    let harness = Harness::settled();
    let volume = harness.of(0).1;
    let slot = harness.slot(0);
    let saved =
        CloudEffect::Snapshot { volume: volume.clone(), slot: slot.clone(), attempt: Attempt(7), taken: Taken::AtRest };
    let copied = CloudEffect::CopyVolume { volume, of: "prod".into(), slot, name: "data".into() };
    for taken in [saved, copied] {
        let Ok(Outcome::Snapshotted(snapshot)) = harness.force(0, taken) else { panic!("no snapshot was taken") };
        harness.force(0, CloudEffect::DeleteSnapshot { snapshot }).unwrap();
    }
    assert_eq!(harness.broken(), ["end", "end"]);
}

#[test]
fn a_call_for_another_clusters_instance_breaks_s8() {
    let harness = Harness::settled();
    harness.world.settle(&spec("other", 1));
    let other = harness.world.instances_of(&"other".into(), &"other-a".into())[0].clone();
    harness.force(0, retire(&other)).unwrap();
    assert_eq!(harness.broken(), ["S8"]);
}

#[test]
fn a_member_that_lost_its_disk_comes_back_as_a_stranger_and_that_shows() {
    let harness = Harness::settled();
    let number = harness.follower();
    let (old, volume) = harness.of(number);
    harness.act(number, stop(&old));
    harness.pass(seconds(61));
    harness.world.wipe_volume(&volume);
    harness.act(number, CloudEffect::Start { instance: old });
    harness.pass(seconds(60));
    assert_eq!(harness.broken(), ["identity"]);
}

#[test]
fn two_instances_of_one_launch_break_s9() {
    let harness = Harness::settled();
    let first = harness.launches(0, 4);
    harness.act(0, retire(&first));
    let again = Launch { token: Token::from("another"), ..harness.launch(0, 4) };
    harness.force(0, CloudEffect::Launch(Box::new(again))).unwrap();
    assert_eq!(harness.broken(), ["S9"]);
}

/// A request that was on its way already may make a second one.
#[test]
fn two_snapshots_of_one_replacement_break_s9() {
    let harness = Harness::settled();
    let (volume, slot) = (harness.of(0).1, harness.slot(0));
    let snapshot = || CloudEffect::Snapshot {
        volume: volume.clone(),
        slot: slot.clone(),
        attempt: Attempt(7),
        taken: Taken::AtRest,
    };
    harness.force(0, snapshot()).unwrap();
    harness.pass(seconds(20));
    harness.force(0, snapshot()).unwrap();
    assert_eq!(harness.broken(), [""; 0]);
    harness.pass(seconds(6 * 60));
    harness.force(0, snapshot()).unwrap();
    assert_eq!(harness.broken(), ["S9"]);
}

/// A launch for a slot that has lost its instance so many seconds ago, on that image, after another slot has settled on it or
/// not: the rules that it breaks.
fn broken_by_healing_with(image: &str, after: u64, has_settled_beside: bool) -> String {
    let harness = Harness::settled();
    if has_settled_beside {
        let volume = harness.of(1).1;
        let settled = Some(Settled { generation: harness.spec.generation_on(&NEW.into()), image: Some(NEW.into()) });
        harness.world.edit_volume(&volume, |volume| volume.settled = settled);
    }
    harness.world.terminate_instance(&harness.of(0).0);
    harness.pass(seconds(after));
    let make = harness.spec.make_on(&ImageId::from(image));
    let launch = Launch { generation: make.generation(), make, ..harness.launch(0, 4) };
    harness.force(0, CloudEffect::Launch(Box::new(launch))).unwrap();
    harness.broken().concat()
}

#[test]
fn giving_a_lost_slot_another_image_than_settled_there_breaks_the_rule_of_healing() {
    let settled = Harness::settled().spec.image;
    assert_eq!(broken_by_healing_with(&settled, 120, false), "");
    assert_eq!(broken_by_healing_with(NEW, 120, false), "heal");
    assert_eq!(broken_by_healing_with(NEW, 120, true), "", "it has settled in another slot");
    assert_eq!(broken_by_healing_with(NEW, 5, false), "", "its sender may not have known of the loss");
}

#[test]
fn touching_a_slot_that_is_not_declared_breaks_s12() {
    let harness = Harness::settled();
    let slots = harness.spec.slots[..2].to_vec();
    harness.world.declare(&ClusterSpec { slots, ..harness.spec.clone() });
    harness.pass(seconds(5));
    harness.force(2, retire(&harness.of(2).0)).unwrap();
    assert_eq!(harness.broken(), [""; 0], "a moment after the commit, nobody can be blamed");
    harness.pass(seconds(30));
    harness.force(2, CloudEffect::Start { instance: harness.of(2).0 }).ok();
    assert_eq!(harness.broken(), ["S12"]);
}

/// An instance that was launched ahead has no part in its slot, so that it may go with no word about the slot itself.
#[test]
fn only_what_was_launched_ahead_may_go_from_a_slot_that_is_not_declared() {
    for (announced, broken) in [(true, ""), (false, "S12 S12")] {
        let harness = Harness::settled();
        if announced {
            harness.announce(2, 4);
        }
        let launched = harness.launches(2, 4);
        let slots = harness.spec.slots[..2].to_vec();
        harness.world.declare(&ClusterSpec { slots, ..harness.spec.clone() });
        harness.pass(seconds(35));
        harness.force(2, retire(&launched)).unwrap();
        harness.force(2, terminate(&launched)).unwrap();
        assert_eq!(harness.broken().join(" "), broken);
    }
}

#[test]
fn whoever_has_not_heard_of_a_slots_end_is_judged_by_the_list_that_it_knows() {
    let harness = Harness::settled();
    let (name, slots) = (&harness.spec.name, harness.spec.slots[..2].to_vec());
    harness.world.leave_behind(name, 0);
    harness.world.declare(&ClusterSpec { slots, ..harness.spec.clone() });
    harness.pass(seconds(240));
    let (instance, _) = harness.of(2);
    harness.force(2, retire(&instance)).unwrap();
    assert_eq!(harness.broken(), [""; 0], "its file declares the slot");
    harness.world.catch_up(name, 0);
    harness.pass(seconds(5));
    harness.force(2, CloudEffect::Start { instance: instance.clone() }).ok();
    assert_eq!(harness.broken(), [""; 0], "it has only just heard");
    harness.pass(seconds(30));
    harness.force(2, CloudEffect::Start { instance }).ok();
    assert_eq!(harness.broken(), ["S12"]);
}

#[test]
fn a_token_that_comes_with_another_request_breaks_s16() {
    let harness = Harness::settled();
    harness.launches(0, 4);
    let other = Launch { subnet: "subnet-other".to_owned(), ..harness.launch(0, 4) };
    assert!(harness.force(0, CloudEffect::Launch(Box::new(other))).is_err());
    assert_eq!(harness.broken(), ["S16"]);
}

#[test]
fn a_token_of_another_cluster_breaks_s21() {
    let harness = Harness::settled();
    harness.world.settle(&spec("other", 1));
    harness.launches(0, 4);
    let launch = CloudEffect::Launch(Box::new(harness.launch(0, 4)));
    harness.world.send_unchecked(&"other".into(), Some(&"other-a".into()), &launch).unwrap();
    assert_eq!(harness.broken(), ["S21"]);
}

#[test]
fn a_wait_that_is_never_named_breaks_s17_and_what_is_not_mended_s18() {
    let harness = Harness::settled();
    let judge = |minutes: u64, patience: Option<u64>, mendable: &[&'static str]| {
        let lasts = seconds(minutes * 60);
        let (patience, mendable) = (patience.map(|minutes| seconds(minutes * 60)), mendable.to_vec());
        let answer = format!("the answer for {minutes} minutes");
        let facts = AnswerFacts { answer, lasts, patience, left: None, mendable };
        harness.world.judge_answer(&harness.spec.name, &facts);
    };
    judge(19, Some(20), &[]);
    judge(600, None, &[]);
    judge(4, None, &["would-be-pruned"]);
    assert_eq!(harness.broken(), [""; 0]);
    judge(26, Some(20), &[]);
    assert_eq!(harness.broken(), ["S17"]);
    judge(6, None, &["would-be-pruned"]);
    assert_eq!(harness.broken(), ["S17", "S18"]);
}

#[test]
fn a_wait_that_is_longer_than_any_own_reading_makes_it_breaks_s20() {
    let harness = Harness::settled();
    let judge = |left: u64| {
        let (answer, lasts, left) = ("a wait".to_owned(), seconds(0), Some((seconds(left), seconds(300))));
        let facts = AnswerFacts { answer, lasts, patience: None, left, mendable: Vec::new() };
        harness.world.judge_answer(&harness.spec.name, &facts);
    };
    judge(300);
    assert_eq!(harness.broken(), [""; 0]);
    judge(20 * 3_600);
    assert_eq!(harness.broken(), ["S20"]);
}
