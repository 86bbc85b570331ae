//! The world is never kinder than EC2: what is accepted may come to nothing, and what is shown may be old.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use hermitcrab::action::{CloudEffect, CreateVolume};
use hermitcrab::controller::Controller;
use hermitcrab::event::Listeners;
use hermitcrab::ids::{Attempt, Owner, SnapshotId, Token, VolumeName};
use hermitcrab::observed::{Checks, InstanceState, SnapshotState, Taken, VolumeState};
use hermitcrab::ports::{Clock, ErrorKind, Outcome, chain};
use hermitcrab::sim::{Accident, Executor, Look, Move, OWNER, Protection, block_on};
use hermitcrab::simulate;
use hermitcrab::time::after;

use crate::world::{Harness, retire, seconds, stop, terminate};

#[test]
fn the_last_look_before_a_call_may_be_as_old_as_any_other() {
    let harness = Harness::settled();
    harness.world.remember_answers();
    let instance = harness.view().instances[0].id.clone();
    harness.pass(seconds(5));
    harness.world.stop_instance(&instance);
    harness.pass(seconds(5));
    harness.world.arrange(harness.world.sent() + 1, Accident::StaleLook(seconds(8)));
    assert_eq!(harness.act(0, stop(&instance)), Outcome::AlreadySo, "EC2 itself knows better than the old look");
    assert_eq!(harness.world.sent(), 1, "the look saw a running instance, so that the call was sent");
    assert_eq!(harness.act(0, stop(&instance)), Outcome::AlreadySo);
    assert_eq!(harness.world.sent(), 1, "an exact look leaves nothing to send");
}

#[test]
fn sweeps_show_what_was_so_for_as_long_as_they_are_old() {
    let harness = Harness::settled();
    harness.world.remember_answers();
    let instance = harness.view().instances[0].id.clone();
    harness.pass(seconds(30));
    harness.world.make_old(Look::Sweep, seconds(60), seconds(50));
    harness.world.stop_instance(&instance);
    harness.pass(seconds(20));
    assert_eq!(harness.instance(&instance).state, InstanceState::Running);
    harness.pass(seconds(61));
    assert_eq!(harness.instance(&instance).state, InstanceState::Stopped);
}

/// The creation of a volume that the first slot does not have yet.
fn creation(harness: &Harness) -> CloudEffect {
    let (slot, volume) = (&harness.spec.slots[0], &harness.spec.volumes[0]);
    CloudEffect::CreateVolume(CreateVolume {
        token: Token::from("first".to_owned()),
        slot: slot.name.clone(),
        name: VolumeName::from("extra"),
        zone: slot.zone.clone(),
        size_gib: volume.size_gib,
        ebs: volume.ebs.clone(),
        tags: volume.tags.clone(),
        snapshot: None,
        owner: Owner::from(OWNER),
        slots: BTreeSet::from([slot.name.clone()]),
        number: 0,
    })
}

#[test]
fn a_volume_that_vanishes_spends_its_token() {
    let harness = Harness::settled();
    let create = creation(&harness);
    harness.world.lose_new_volumes(true);
    let Ok(Outcome::Created(id)) = harness.try_do(0, create.clone()) else { panic!("not created") };
    harness.pass(seconds(10));
    assert_eq!(harness.view().volumes.iter().find(|volume| volume.id == id).unwrap().state, VolumeState::Deleted);
    harness.world.lose_new_volumes(false);
    assert_eq!(harness.try_do(0, create).unwrap_err().kind, ErrorKind::TokenSpent);
    let CloudEffect::CreateVolume(mut wanted) = creation(&harness) else { panic!("no creation") };
    wanted.token = Token::from("another".to_owned());
    assert!(matches!(harness.try_do(0, CloudEffect::CreateVolume(wanted)), Ok(Outcome::Created(_))));
}

#[test]
fn a_snapshot_may_be_given_up() {
    let harness = Harness::settled();
    harness.world.fail_snapshots(true);
    let (instance, volume) = harness.of(0);
    let volume = harness.volume(&volume);
    harness.act(0, stop(&instance));
    harness.pass(seconds(61));
    harness.view();
    let (slot, attempt) = (volume.slot.clone(), volume.attempt);
    let snapshot = CloudEffect::Snapshot { volume: volume.id, slot, attempt, taken: Taken::AtRest };
    let Ok(Outcome::Snapshotted(id)) = harness.try_do(0, snapshot) else { panic!("no snapshot") };
    harness.pass(seconds(100));
    let state = |id: &SnapshotId| harness.view().snapshots.iter().find(|taken| taken.id == *id).unwrap().state;
    assert_eq!(state(&id), SnapshotState::Failed);
}

/// EBS takes five snapshots of a gp3 volume at once, of which each wants fifteen seconds for itself.
#[test]
fn snapshots_of_one_volume_have_their_limits() {
    let harness = Harness::settled();
    let (volume, slot) = (harness.of(0).1, harness.slot(0));
    let save = |number| {
        let effect = CloudEffect::Snapshot {
            volume: volume.clone(),
            slot: slot.clone(),
            attempt: Attempt(number),
            taken: Taken::Running,
        };
        harness.force(0, effect).map_err(|error| chain(&error))
    };
    assert!(save(0).is_ok());
    let refused = save(1).unwrap_err();
    assert!(refused.contains("SnapshotCreationPerVolumeRateExceeded"), "{refused}");
    harness.pass(seconds(16));
    for number in 1..5 {
        assert!(save(number).is_ok(), "{number}");
        harness.pass(seconds(16));
    }
    let refused = save(5).unwrap_err();
    assert!(refused.contains("ConcurrentSnapshotLimitExceeded"), "{refused}");
    harness.pass(seconds(16));
    assert!(save(5).is_ok(), "the first one is complete");
}

#[test]
fn a_launch_may_end_at_once_for_as_long_as_the_reason_stands() {
    let harness = Harness::settled();
    harness.world.end_launches(Some("Client.InternalError"));
    let new = harness.launches(0, 4);
    harness.pass(seconds(40));
    let seen = harness.instance(&new);
    assert_eq!((seen.state, seen.state_reason.as_deref()), (InstanceState::Terminated, Some("Client.InternalError")));
}

#[test]
fn a_stop_that_is_stuck_stays_so() {
    let harness = Harness::settled();
    harness.world.stick(Move::Stop, seconds(48 * 3_600));
    let instance = harness.view().instances[0].id.clone();
    harness.act(0, stop(&instance));
    harness.pass(seconds(47 * 3_600));
    assert_eq!(harness.instance(&instance).state, InstanceState::Stopping);
    harness.pass(seconds(2 * 3_600));
    assert_eq!(harness.instance(&instance).state, InstanceState::Stopped);
}

#[test]
fn a_protected_instance_is_neither_stopped_nor_terminated() {
    let harness = Harness::settled();
    let new = harness.launches(0, 4);
    harness.pass(seconds(60));
    harness.world.protect(&new, Protection { stop: true, termination: false });
    assert_eq!(harness.try_do(0, stop(&new)).unwrap_err().kind, ErrorKind::Denied);
    harness.world.protect(&new, Protection { stop: false, termination: true });
    let early = harness.try_do(0, stop(&new)).unwrap_err();
    assert_eq!(early.kind, ErrorKind::Invalid, "what cannot be terminated in its turn is not stopped");
    harness.act(0, retire(&new));
    harness.view();
    assert_eq!(harness.try_do(0, terminate(&new)).unwrap_err().kind, ErrorKind::Denied);
    harness.world.protect(&new, Protection::default());
    harness.act(0, terminate(&new));
}

#[test]
fn a_retirement_that_was_announced_happens() {
    let harness = Harness::settled();
    let instance = harness.view().instances[0].id.clone();
    harness.world.announce_retirement(&instance, seconds(3_600));
    harness.pass(seconds(3_599));
    assert_eq!(harness.instance(&instance).scheduled_events.len(), 1);
    harness.pass(seconds(62));
    let seen = harness.instance(&instance);
    assert_eq!((seen.state, seen.scheduled_events.len()), (InstanceState::Stopped, 0));
    assert!(seen.state_reason.unwrap().contains("retirement"));
}

#[test]
fn status_checks_may_fail_for_a_while() {
    let harness = Harness::settled();
    let instance = harness.view().instances[0].id.clone();
    harness.world.fail_checks(&instance, seconds(120));
    assert!(matches!(harness.instance(&instance).checks, Checks::Impaired(_)));
    harness.pass(seconds(121));
    assert_eq!(harness.instance(&instance).checks, Checks::Ok);
}

#[test]
fn calls_are_refused_once_for_a_while_or_for_ever() {
    let harness = Harness::settled();
    let instance = harness.view().instances[0].id.clone();
    let kind = || harness.try_do(0, stop(&instance)).map_err(|error| error.kind);
    harness.world.refuse(Some("stop"), ErrorKind::Denied, None, Some(1));
    assert_eq!(kind(), Err(ErrorKind::Denied));
    harness.world.refuse(Some("stop"), ErrorKind::NoCapacity, Some(seconds(60)), None);
    assert_eq!(kind(), Err(ErrorKind::NoCapacity));
    harness.pass(seconds(61));
    harness.world.refuse(None, ErrorKind::Unknown, None, None);
    harness.pass(seconds(86_400));
    assert_eq!(kind(), Err(ErrorKind::Unknown));
    harness.world.allow_everything();
    harness.view();
    assert_eq!(kind(), Ok(Outcome::Done));
}

#[test]
fn each_controller_has_a_clock_of_its_own() {
    let harness = Harness::settled();
    let (first, second) = (harness.world.controller(0), harness.world.controller(1));
    harness.world.set_clock(1, 90_000);
    assert_eq!(second.now().duration_since(first.now()).as_secs(), 90);
    assert_eq!(first.now(), harness.world.time());
    harness.world.set_clock(1, -90_000);
    assert_eq!(second.now().duration_since(first.now()).as_secs(), 90, "what a process is shown never goes back");
}

#[test]
fn a_process_whose_clock_was_set_back_changes_nothing_and_begins_anew() {
    let harness = Harness::settled();
    let clock = harness.world.controller(0);
    harness.world.set_clock(0, 90_000);
    harness.world.set_clock(0, 40_000);
    assert_eq!(clock.set_back(), None, "no limit is shorter than a minute");
    harness.world.set_clock(0, 0);
    assert_eq!(clock.set_back(), Some(seconds(90)));
    let controller = Controller::new(clock.clone(), Listeners::default(), simulate::settings(1));
    let seen = block_on(&harness.world, controller.look(&harness.spec));
    assert!(seen.kill_switch.is_some_and(|why| why.contains("set back by 1m 30s")));

    let starts = Rc::new(Cell::new(0));
    let (counted, waits) = (starts.clone(), clock.clone());
    let mut executor = Executor::new(&harness.world, move |_| {
        counted.set(counted.get() + 1);
        let clock = waits.clone();
        Box::pin(async move {
            loop {
                clock.sleep(seconds(1)).await;
            }
        })
    });
    let pass = |executor: &mut Executor| executor.run_until(after(harness.world.time(), seconds(20)), &mut || false);
    executor.spawn(0);
    pass(&mut executor);
    assert_eq!((starts.get(), clock.set_back()), (1, None), "a new process goes by the machine's clock");
    harness.world.set_clock(0, 90_000);
    harness.world.set_clock(0, 0);
    pass(&mut executor);
    assert_eq!((starts.get(), clock.set_back()), (2, None));
}
