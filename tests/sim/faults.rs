//! Faults, replay, storage and the executor.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use hermitcrab::action::CloudEffect;
use hermitcrab::observed::InstanceState;
use hermitcrab::ports::{Clock, Cloud, ErrorKind, Wanted};
use hermitcrab::sim::{Executor, FaultLevel, What, World, block_on};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::{after, elapsed};

use crate::world::{AT_ANY_TIME, Harness, VERSION, retire, seconds, spec, start, stop, terminate};

/// A controller that only looks, and tells what was out of date.
fn stale_reads(level: FaultLevel, seed: u64) -> usize {
    let harness = Harness::settled_on(World::new(seed, level), VERSION);
    for round in 0..30 {
        harness.world.edit_instance(&harness.of(0).0, |seen| {
            seen.tags.insert("round".to_owned(), round.to_string());
        });
        let _ = block_on(&harness.world, harness.world.sweep(&Wanted::default()));
    }
    let told = harness.world.drain_events();
    told.iter().filter(|event| matches!(&event.what, What::Fault { fault, .. } if fault == "stale-read")).count()
}

#[test]
fn reads_are_stale_only_with_faults() {
    assert_eq!((0..20).map(|seed| stale_reads(FaultLevel::None, seed)).sum::<usize>(), 0);
    assert!((0..20).map(|seed| stale_reads(FaultLevel::Many, seed)).sum::<usize>() > 0);
}

/// A controller without a plan: it looks, and launches, stops and moves what it finds, for as long as it lives.
async fn fumbles(world: World, spec: ClusterSpec, turns: Rc<RefCell<u32>>) {
    loop {
        let turn = *turns.borrow();
        *turns.borrow_mut() += 1;
        world.sleep(seconds(7)).await;
        let Ok(sweep) = world.sweep(&Wanted::default()).await else { continue };
        let view = sweep.cluster(&spec.name);
        let Some(instance) = view.instances.get(turn as usize % view.instances.len().max(1)) else { continue };
        let effect = match turn % 4 {
            0 => stop(&instance.id),
            1 => CloudEffect::Start { instance: instance.id.clone() },
            2 => retire(&instance.id),
            _ => terminate(&instance.id),
        };
        let _ = Cloud::change(&world, &spec, Some(&instance.slot), &effect, &AT_ANY_TIME).await;
    }
}

fn transcript(seed: u64, level: FaultLevel) -> String {
    let world = World::new(seed, level);
    let harness = Harness::settled_on(world.clone(), VERSION);
    let (spec, turns) = (harness.spec.clone(), Rc::new(RefCell::new(0)));
    let factory = {
        let world = world.clone();
        move |index| -> hermitcrab::sim::executor::Task {
            Box::pin(fumbles(world.controller(index), spec.clone(), turns.clone()))
        }
    };
    let mut executor = Executor::new(&world, factory);
    executor.spawn(0);
    executor.spawn(1);
    assert!(!executor.run_until(after(start(), seconds(1_800)), &mut || false));
    let lines = world.drain_events();
    lines.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect()
}

#[test]
fn the_same_seed_gives_the_same_transcript_to_the_byte() {
    for seed in 0..10 {
        for level in [FaultLevel::None, FaultLevel::Some, FaultLevel::Many] {
            assert_eq!(transcript(seed, level), transcript(seed, level));
        }
        assert_ne!(transcript(seed, FaultLevel::Many), transcript(seed + 1, FaultLevel::Many));
    }
}

#[test]
fn controllers_crash_pause_and_suffer_every_kind_of_fault_but_not_after_the_end() {
    let mut kinds = BTreeSet::new();
    for seed in 0..60 {
        for line in transcript(seed, FaultLevel::Many).lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let kind = event["kind"].as_str().unwrap();
            kinds.insert(event["fault"].as_str().or(event["at"].as_str()).unwrap_or(kind).to_owned());
            assert!(!matches!(kind, "fault" | "crash") || event["t"].as_f64().unwrap() < 1_500.0, "{line}");
        }
    }
    let expected = [
        "after-answer",
        "after-effect",
        "answer-lost",
        "before-send",
        "capacity-outage",
        "claim-store-down",
        "leader-lost",
        "member-crash",
        "meddler-stop",
        "meddler-terminate",
        "meddler-untag",
        "members-unreachable",
        "noisy-neighbour",
        "pause",
        "refused",
        "scheduled-event",
        "stale-read",
        "stuck-stopping",
        "throttled",
        "while-waiting",
        "zone-impaired",
    ];
    for kind in expected {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
}

#[test]
fn a_world_without_faults_is_kind() {
    assert!(
        !transcript(1, FaultLevel::None).lines().any(|line| line.contains("\"fault\"") || line.contains("\"crash\""))
    );
}

#[test]
fn a_saved_world_goes_on_as_if_it_had_never_been_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    for level in [FaultLevel::None, FaultLevel::Many] {
        let harness = Harness::settled_on(World::new(11, level), VERSION);
        harness.world.stop_instance(&harness.of(1).0);
        harness.pass(seconds(5));
        harness.world.drain_events();
        harness.world.save(&path).unwrap();
        let goes_on = |world: World| {
            let harness = Harness { world, spec: harness.spec.clone() };
            harness.pass(seconds(400));
            let seen = block_on(&harness.world, harness.world.sweep(&Wanted::default())).map(|sweep| sweep.clusters);
            let told = serde_json::to_string(&harness.world.drain_events()).unwrap();
            (told, seen.map_err(|error| error.to_string()), harness.world.now())
        };
        let loaded = goes_on(World::load(&path).unwrap());
        assert_eq!(goes_on(harness.world.clone()), loaded);
    }
}

#[test]
fn canaries_are_saved_with_their_world() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let harness = Harness::settled();
    harness.write("key", "value").unwrap();
    harness.stops(harness.follower());
    harness.world.save(&path).unwrap();
    let loaded = Harness { world: World::load(&path).unwrap(), spec: harness.spec.clone() };
    assert_eq!(loaded.canaries(), "key=value");
}

#[test]
fn a_world_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    Harness::settled().world.save(&path).unwrap();
    let mut saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let refused = |saved: &serde_json::Value| {
        std::fs::write(&path, saved.to_string()).unwrap();
        World::load(&path).map(drop).unwrap_err().to_string()
    };
    let text =
        |version: u32| format!("its format is version {version}, and this hermitcrab reads version 3: make it anew");
    saved["version"] = 4.into();
    assert_eq!(refused(&saved), text(4));
    saved.as_object_mut().unwrap().remove("version");
    assert_eq!(refused(&saved), text(1), "the first version did not say");
}

#[test]
fn an_autosaved_world_is_on_disk_after_each_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let harness = Harness::settled();
    harness.world.autosave(&path);
    let new = harness.launches(0, 4);
    let loaded = World::load(&path).unwrap();
    assert!(loaded.instances_of(&harness.spec.name, &harness.slot(0)).contains(&new));
}

#[test]
fn an_autosaved_world_is_written_when_something_happens_and_not_whenever_somebody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let harness = Harness::settled();
    harness.world.autosave(&path);
    harness.launches(0, 4);
    // Each save makes a new file.
    let file = || std::fs::metadata(&path).unwrap().ino();
    let before = file();
    harness.world.seconds();
    harness.world.declare(&harness.spec);
    assert_eq!(file(), before);
    harness.pass(seconds(10));
    harness.world.seconds();
    assert_ne!(file(), before);
    assert!(!std::fs::read_to_string(&path).unwrap().contains("\"events\""), "what was told makes a saved world grow");
}

#[test]
fn a_late_request_is_refused_as_expired() {
    let harness = Harness::settled();
    let world = harness.world.clone();
    let (spec, instance) = (harness.spec.clone(), harness.of(0).0);
    let heard: Rc<RefCell<Option<ErrorKind>>> = Rc::default();
    let factory = {
        let (world, heard) = (world.clone(), heard.clone());
        move |index| -> hermitcrab::sim::executor::Task {
            let (world, spec, instance) = (world.controller(index), spec.clone(), instance.clone());
            let heard = heard.clone();
            Box::pin(async move {
                let slot = spec.slots[0].name.clone();
                let answer = Cloud::change(&world, &spec, Some(&slot), &stop(&instance), &AT_ANY_TIME).await;
                *heard.borrow_mut() = answer.err().map(|error| error.kind);
            })
        }
    };
    let mut executor = Executor::new(&world, factory);
    executor.spawn(0);
    executor.run_until(world.now(), &mut || false);
    executor.pause(0, seconds(301));
    executor.run_until(after(world.now(), seconds(400)), &mut || heard.borrow().is_some());
    assert_eq!(*heard.borrow(), Some(ErrorKind::Unreachable));
    assert_eq!(harness.instance(&harness.of(0).0).state, InstanceState::Running);
}

#[test]
fn a_crashed_controller_starts_anew_and_remembers_nothing() {
    let world = World::new(1, FaultLevel::None);
    let starts: Rc<RefCell<u32>> = Rc::default();
    let factory = {
        let (world, starts) = (world.clone(), starts.clone());
        move |index| -> hermitcrab::sim::executor::Task {
            let (world, starts) = (world.controller(index), starts.clone());
            Box::pin(async move {
                *starts.borrow_mut() += 1;
                world.sleep(seconds(1_000)).await;
            })
        }
    };
    let mut executor = Executor::new(&world, factory);
    executor.spawn(0);
    executor.run_until(after(start(), seconds(100)), &mut || false);
    executor.crash(0, seconds(10));
    executor.run_until(after(start(), seconds(200)), &mut || false);
    assert_eq!((*starts.borrow(), world.now()), (2, after(start(), seconds(200))));
}

#[test]
fn the_transcript_counts_members_down_and_calls() {
    let harness = Harness::settled();
    let number = harness.follower();
    harness.moves_to_a_new_instance(number, 4);
    harness.pass(seconds(60));
    let calls = harness.world.calls();
    assert_eq!([calls["launch"], calls["stop"], calls["detach"], calls["attach"]], [1, 1, 1, 1]);
    let down = harness.world.member_down_seconds(&harness.spec.name);
    assert!((85.0..140.0).contains(&down[&harness.slot(number)]), "{down:?}");
    let lines: Vec<_> = harness.world.drain_events().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!((lines[0]["kind"].as_str(), lines[0]["t"].as_f64()), (Some("world"), Some(0.0)));
    let members: Vec<_> = lines.iter().filter(|line| line["kind"] == "member").map(|line| &line["state"]).collect();
    assert_eq!(members, ["down", "up"]);
}

#[tokio::test]
async fn a_paced_world_follows_the_real_clock() {
    let world = World::new(1, FaultLevel::None);
    world.settle(&spec("consul", 3));
    world.paced(10_000.0);
    let before = world.now();
    world.sleep(seconds(60)).await;
    assert!(elapsed(world.now(), before) >= seconds(60));
    assert!(world.sweep(&Wanted::default()).await.is_ok());
}
