//! EC2 behaves as EC2 does, and the claim store as a claim store.

use hermitcrab::action::{ClaimEffect, CloudEffect, Launch};
use hermitcrab::ids::{Attempt, ImageId};
use hermitcrab::observed::{AttachmentPhase, Checks, Claim, InstanceState, Purpose, VolumeState, Way};
use hermitcrab::ports::{Clock, Cloud, Coordination, ErrorKind, Outcome, Wanted};
use hermitcrab::sim::block_on;

use crate::world::{Harness, NEW, retire, seconds, stop, terminate};

#[test]
fn an_instance_shows_for_an_hour_after_it_was_terminated() {
    let harness = Harness::settled();
    let new = harness.launches(0, 4);
    harness.pass(seconds(60));
    harness.act(0, retire(&new));
    harness.view();
    harness.act(0, terminate(&new));
    harness.pass(seconds(91));
    assert_eq!(harness.instance(&new).state, InstanceState::Terminated);
    harness.pass(seconds(3_600));
    assert!(harness.view().instance(&new).is_none());
}

#[test]
fn checks_pass_some_time_after_the_instance_runs() {
    let harness = Harness::settled();
    let new = harness.launches(0, 4);
    assert_eq!(harness.instance(&new).state, InstanceState::Pending);
    harness.pass(seconds(31));
    assert_eq!(harness.instance(&new).state, InstanceState::Running);
    harness.pass(seconds(90));
    assert_eq!(harness.instance(&new).checks, Checks::Ok);
}

#[test]
fn launching_twice_with_one_token_gives_one_instance() {
    let harness = Harness::settled();
    let first = harness.launches(0, 4);
    assert_eq!(harness.launches(0, 4), first);
    assert_eq!(harness.view().instances.len(), 4);
}

#[test]
fn a_token_is_spent_when_its_instance_is_gone_or_it_was_used_for_something_else() {
    let harness = Harness::settled();
    let first = harness.launches(0, 4);
    let mut other = harness.launch(0, 4);
    other.make.instance_type = "m7i.xlarge".to_owned();
    let refused = harness.try_do(0, CloudEffect::Launch(Box::new(other))).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TokenSpent);
    harness.world.terminate_instance(&first);
    let refused = harness.try_do(0, CloudEffect::Launch(Box::new(harness.launch(0, 4)))).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TokenSpent);
}

#[test]
fn an_unknown_image_an_empty_zone_and_a_full_subnet_refuse_a_launch() {
    let harness = Harness::settled();
    let mut launch = harness.launch(0, 4);
    launch.make.image = ImageId::from("ami-unheard-of");
    let kind = |launch: Launch| harness.try_do(0, CloudEffect::Launch(Box::new(launch))).unwrap_err().kind;
    assert_eq!(kind(launch), ErrorKind::NotFound);
    harness.world.exhaust_capacity(&harness.spec.slots[0].zone, seconds(60));
    assert_eq!(kind(harness.launch(0, 4)), ErrorKind::NoCapacity);
    harness.pass(seconds(61));
    harness.world.set_free_addresses("subnet-a", 0);
    assert_eq!(kind(harness.launch(0, 4)), ErrorKind::NoCapacity);
    harness.world.set_free_addresses("subnet-a", 9);
    harness.launches(0, 4);
}

#[test]
fn an_adapter_refuses_to_detach_from_a_running_instance() {
    let harness = Harness::settled();
    let (instance, volume) = harness.of(0);
    let found = harness.act(0, harness.detach(&volume, &instance));
    assert!(matches!(found, Outcome::Changed { .. }), "{found:?}");
    assert_eq!(harness.world.violations(), []);
}

#[test]
fn an_adapter_refuses_to_terminate_what_is_not_retired_or_has_a_volume() {
    let harness = Harness::settled();
    let (instance, _) = harness.of(0);
    assert!(matches!(harness.act(0, terminate(&instance)), Outcome::Changed { .. }));
    harness.act(0, retire(&instance));
    assert!(matches!(harness.act(0, terminate(&instance)), Outcome::Changed { .. }));
    assert_eq!(harness.instance(&instance).state, InstanceState::Running);
}

#[test]
fn a_volume_goes_only_where_it_can() {
    let harness = Harness::settled();
    let (old, volume) = harness.of(0);
    let new = harness.launches(0, 4);
    assert!(matches!(harness.act(0, harness.attach(&volume, &new)), Outcome::Changed { .. }), "it is in use");
    assert_eq!(harness.act(0, harness.attach(&volume, &old)), Outcome::AlreadySo);
    harness.view();
    harness.act(0, stop(&old));
    harness.pass(seconds(61));
    harness.view();
    harness.act(0, harness.detach(&volume, &old));
    let VolumeState::InUse(at) = harness.volume(&volume).state else { panic!("it is still in use") };
    assert_eq!(at.phase, AttachmentPhase::Detaching);
    harness.pass(seconds(21));
    assert_eq!(harness.act(0, harness.detach(&volume, &old)), Outcome::AlreadySo);
    let (elsewhere, _) = harness.of(1);
    assert!(matches!(harness.act(1, harness.attach(&volume, &elsewhere)), Outcome::Changed { .. }), "another slot's");
    assert_eq!(harness.force(1, harness.attach(&volume, &elsewhere)).unwrap_err().kind, ErrorKind::Invalid);
    harness.world.revoke_key(&volume);
    assert_eq!(harness.try_do(0, harness.attach(&volume, &new)).unwrap_err().kind, ErrorKind::Denied);
}

#[test]
fn an_auto_scaling_group_destroys_what_is_stopped() {
    let harness = Harness::settled();
    let (instance, _) = harness.of(0);
    harness.world.edit_instance(&instance, |seen| seen.auto_scaling_group = Some("servers".to_owned()));
    harness.act(0, stop(&instance));
    harness.pass(seconds(151));
    assert_eq!(harness.instance(&instance).state, InstanceState::Terminated);
}

#[test]
fn only_a_blank_volume_is_formatted() {
    let harness = Harness::settled();
    let number = harness.follower();
    let (_, volume) = harness.of(number);
    harness.moves_to_a_new_instance(number, 4);
    harness.pass(seconds(60));
    assert_eq!(harness.world.times_formatted(&volume), 1, "once, long ago");
}

#[test]
fn too_many_calls_are_throttled_and_forgiven() {
    let harness = Harness::settled();
    let world = &harness.world;
    let sweep = || async { world.sweep(&Wanted::default()).await.err().map(|error| error.kind) };
    let all: Vec<_> = (0..60).map(|_| sweep()).collect();
    let answers = block_on(world, futures_util::future::join_all(all));
    assert!(answers.contains(&Some(ErrorKind::Throttled)) && answers.contains(&None));
    harness.pass(seconds(10));
    assert_eq!(block_on(world, sweep()), None);
}

#[test]
fn a_claim_is_written_only_over_the_revision_that_was_read() {
    let harness = Harness::settled();
    let world = &harness.world;
    let read = || block_on(world, Coordination::read(world, &harness.spec.name)).unwrap();
    let claim = Claim {
        slot: harness.slot(0),
        attempt: Attempt(4),
        tries: 0,
        purpose: Purpose::Fill,
        member: None,
        generation: harness.spec.generation(),
        image: ImageId::from(NEW),
        version: None,
        recruit: None,
        request: None,
        stops: Default::default(),
        stuck: None,
        stranded: false,
        way: Way::default(),
        turning: false,
        since: world.now(),
    };
    let write = |expects| {
        let effect = ClaimEffect::Claim { claim: claim.clone(), expects };
        block_on(world, Coordination::write(world, &harness.spec.name, &effect)).unwrap()
    };
    let revision = read().revision;
    assert_eq!(write(revision), Outcome::Done);
    assert!(matches!(write(revision), Outcome::Changed { .. }));
    assert_eq!((read().held, read().last_attempt), (Some(claim.clone()), Attempt(4)));
}
