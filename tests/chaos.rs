//! Whatever happens at whichever call, a rollout ends as it would have ended, and no safety rule is broken.
//!
//! The oracle is a run in which nothing goes wrong: the same end in each slot, and as many effects of each kind. A run
//! that differs is printed whole. Random worlds are replayed with `hermitcrab simulate`, as their failure says.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::time::Duration;

use hermitcrab::controller::{Controller, ManagedCluster};
use hermitcrab::event::{Event, EventKind};
use hermitcrab::ids::ImageId;
use hermitcrab::observed::Reading;
use hermitcrab::ports::{Clock, ErrorKind};
use hermitcrab::sim::{Accident, CrashPoint, Executor, World};
use hermitcrab::simulate::{AnswerKind, Ending, Reach, Simulation, settings};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::after;

#[path = "chaos/case.rs"]
mod case;
#[path = "chaos/files.rs"]
mod files;
#[path = "chaos/once.rs"]
mod once;
#[path = "chaos/pairs.rs"]
mod pairs;
#[path = "tools/recorder.rs"]
mod recorder;
#[path = "chaos/swarm.rs"]
mod swarm;
#[path = "chaos/ways.rs"]
mod ways;

use case::{Beginning, Case, NEW, Run, THIRD, Transcript};
use pairs::Part;
use recorder::Recorder;

const THREE: &str = "desired-state/prod/consul.yaml";
const FIVE: &str = "tests/fixtures/consul-5.yaml";
const RECREATE: &str = "tests/fixtures/consul-recreate.yaml";
const VOLUMES: &str = "tests/fixtures/consul-volumes.yaml";
const ADDRESSES: &str = "tests/fixtures/consul-addresses.yaml";
const ETCD: &str = "desired-state/prod/etcd.yaml";
const ETCD_MOVING: &str = "tests/fixtures/etcd-moving.yaml";
const PATRONI: &str = "desired-state/prod/postgresql.yaml";
const ZOOKEEPER: &str = "desired-state/prod/zookeeper.yaml";
const COMMAND: &str = "tests/fixtures/command.yaml";
const GROUP: &str = "tests/fixtures/consul-group.yaml";

const SURGE: Case = Case { file: THREE, beginning: Beginning::Upgrade };
const RECREATED: Case = Case { file: RECREATE, beginning: Beginning::Upgrade };
const SEVERAL_VOLUMES: Case = Case { file: VOLUMES, beginning: Beginning::Upgrade };
const ROLLED_BACK: Case = Case { file: THREE, beginning: Beginning::BadUpgrade };
const WITH_ADDRESSES: Case = Case { file: ADDRESSES, beginning: Beginning::Upgrade };
const ADDRESSES_ROLLED_BACK: Case = Case { file: ADDRESSES, beginning: Beginning::BadUpgrade };
const ADDRESSES_FROM_NOTHING: Case = Case { file: ADDRESSES, beginning: Beginning::Nothing };
const FROM_NOTHING: Case = Case { file: THREE, beginning: Beginning::Nothing };
const HEALED: Case = Case { file: THREE, beginning: Beginning::Loss };

const GROUPED: Case = Case { file: GROUP, beginning: Beginning::Upgrade };
const GROUP_ROLLED_BACK: Case = Case { file: GROUP, beginning: Beginning::BadUpgrade };
const GROUP_FROM_NOTHING: Case = Case { file: GROUP, beginning: Beginning::Nothing };
const GROUP_HEALED: Case = Case { file: GROUP, beginning: Beginning::Loss };

const EVERY_CASE: [Case; 13] = [
    SURGE,
    RECREATED,
    SEVERAL_VOLUMES,
    ROLLED_BACK,
    WITH_ADDRESSES,
    ADDRESSES_ROLLED_BACK,
    ADDRESSES_FROM_NOTHING,
    FROM_NOTHING,
    HEALED,
    GROUPED,
    GROUP_ROLLED_BACK,
    GROUP_FROM_NOTHING,
    GROUP_HEALED,
];

const CRASHES: [Accident; 3] = [
    Accident::Crash(CrashPoint::BeforeSend),
    Accident::Crash(CrashPoint::AfterEffect),
    Accident::Crash(CrashPoint::AfterAnswer),
];
const API_FAULTS: [Accident; 3] =
    [Accident::Refused(ErrorKind::Throttled), Accident::Refused(ErrorKind::Unreachable), Accident::AnswerLost];

impl Case {
    fn begin(&self) -> (World, Simulation) {
        self.begin_by(&Reach::default())
    }

    fn run(&self, arrange: impl FnOnce(&World, &mut Simulation)) -> Run {
        self.run_by(&Reach::default(), arrange)
    }

    /// Runs until `call` mutating calls were sent, commits `image`, and runs to the end.
    fn run_with_another_commit(&self, call: u64, image: &ImageId) -> Run {
        let (world, mut simulation) = self.begin();
        let mut transcript = Transcript::default();
        let limit = after(world.now(), Duration::from_secs(24 * 3_600));
        simulation.run_until(limit, &mut |line| transcript.hear(line), &mut || world.sent() >= call);
        simulation.commit(ClusterSpec { image: image.clone(), ..simulation.committed() });
        self.finish(&world, &mut simulation, transcript)
    }
}

/// Every run that did not come to what it should have; the first is told whole.
#[derive(Default)]
struct Deviations(Vec<(String, String)>);

impl Deviations {
    fn note(&mut self, what: String, run: &Run, expected: &impl std::fmt::Debug) {
        let (came, transcript) = (&run.came, &run.transcript);
        self.0.push((what, format!("{transcript}\nexpected {expected:#?}\nand it came to {came:#?}")));
    }

    fn none(self) {
        let names: Vec<_> = self.0.iter().map(|(what, _)| what.as_str()).collect();
        if let Some((what, told)) = self.0.first() {
            panic!("{what}\n{told}\n\n{} runs deviate:\n{}", names.len(), names.join("\n"));
        }
    }
}

/// Lets each call of a case in turn meet with each of these accidents.
fn each_call_meets(case: &Case, accidents: &[Accident]) {
    let reference = case.run(|_, _| {});
    let mut deviations = Deviations::default();
    for call in 1..=reference.sent {
        for accident in accidents {
            let run = case.run(|world, _| world.arrange(call, *accident));
            let what = format!("{case:?}, call {call}: {accident:?}");
            assert!(run.accidents > reference.accidents, "{what}: it did not happen");
            if run.came != reference.came {
                deviations.note(what, &run, &reference.came);
            }
        }
    }
    deviations.none();
}

#[test]
fn stories_without_accidents_come_to_different_ends() {
    let endings: Vec<_> = EVERY_CASE.iter().map(|case| case.run(|_, _| {}).came.ending).collect();
    let rejected = Ending::Blocked(vec!["generation-rejected"]);
    let settled = Ending::Settled;
    let expected = |case: &Case| match case.beginning {
        Beginning::BadUpgrade => rejected.clone(),
        Beginning::Upgrade | Beginning::Nothing | Beginning::Loss => settled.clone(),
    };
    assert_eq!(endings, EVERY_CASE.iter().map(expected).collect::<Vec<_>>());
}

#[test]
fn a_crash_at_any_point_of_any_call_of_a_surge_changes_nothing() {
    each_call_meets(&SURGE, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_of_a_recreation_changes_nothing() {
    each_call_meets(&RECREATED, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_with_several_volumes_changes_nothing() {
    each_call_meets(&SEVERAL_VOLUMES, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_with_addresses_changes_nothing() {
    each_call_meets(&WITH_ADDRESSES, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_of_a_rollback_with_addresses_changes_nothing() {
    each_call_meets(&ADDRESSES_ROLLED_BACK, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_of_a_creation_with_addresses_changes_nothing() {
    each_call_meets(&ADDRESSES_FROM_NOTHING, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_of_a_rollback_changes_nothing() {
    each_call_meets(&ROLLED_BACK, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_of_a_creation_changes_nothing() {
    each_call_meets(&FROM_NOTHING, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_of_healing_changes_nothing() {
    each_call_meets(&HEALED, &CRASHES);
}

#[test]
fn a_crash_at_any_point_of_any_call_about_a_group_changes_nothing() {
    [GROUPED, GROUP_ROLLED_BACK, GROUP_FROM_NOTHING, GROUP_HEALED].iter().for_each(|it| each_call_meets(it, &CRASHES));
}

#[test]
fn a_call_that_is_refused_or_whose_answer_is_lost_changes_nothing() {
    EVERY_CASE.iter().for_each(|case| each_call_meets(case, &API_FAULTS));
}

#[test]
fn a_crash_at_every_call_still_comes_to_the_same_end() {
    let mut deviations = Deviations::default();
    for case in EVERY_CASE {
        let reference = case.run(|_, _| {});
        for accident in [Accident::Crash(CrashPoint::AfterEffect), Accident::Crash(CrashPoint::AfterAnswer)] {
            let run = case.run(|world, _| world.arrange_always(accident));
            if (&run.came.ending, &run.came.slots) != (&reference.came.ending, &reference.came.slots) {
                deviations.note(format!("{case:?}, every call: {accident:?}"), &run, &reference.came);
            }
        }
    }
    deviations.none();
}

/// A second controller works on the same cluster while the first stands still in the middle of a call.
fn two_controllers(span: Duration) {
    let mut deviations = Deviations::default();
    for case in [SURGE, ROLLED_BACK, HEALED, GROUPED, GROUP_ROLLED_BACK] {
        let reference = case.run(|_, _| {});
        for call in 1..=reference.sent {
            let run = case.run(|world, simulation| {
                simulation.join(1);
                world.arrange(call, Accident::Pause(span));
            });
            let what = format!("{case:?}, call {call}: paused for {span:?} while another controller goes on");
            assert!(run.accidents > reference.accidents, "{what}: it did not happen");
            if (&run.came.ending, &run.came.slots) != (&reference.came.ending, &reference.came.slots) {
                deviations.note(what, &run, &reference.came);
            }
        }
    }
    deviations.none();
}

#[test]
fn two_controllers_of_which_one_stands_still_for_20_s_do_no_harm() {
    two_controllers(Duration::from_secs(20));
}

#[test]
fn two_controllers_of_which_one_stands_still_for_6_min_do_no_harm() {
    two_controllers(Duration::from_secs(360));
}

#[test]
fn a_third_image_committed_at_any_call_is_where_it_ends() {
    let mut deviations = Deviations::default();
    for case in [SURGE, RECREATED, ROLLED_BACK, GROUPED] {
        let calls = case.run(|_, _| {}).sent;
        for call in 1..=calls {
            let run = case.run_with_another_commit(call, &THIRD.into());
            if run.came.ending != Ending::Settled || !run.is_served_by(THIRD) {
                deviations.note(format!("{case:?}, call {call}: a third image is committed"), &run, &"settled on it");
            }
        }
    }
    deviations.none();
}

#[test]
fn the_first_image_committed_again_at_any_call_is_where_it_ends() {
    let mut deviations = Deviations::default();
    for case in [SURGE, RECREATED, ROLLED_BACK, GROUPED] {
        let first = case.spec().image;
        let calls = case.run(|_, _| {}).sent;
        for call in 1..=calls {
            let run = case.run_with_another_commit(call, &first);
            if run.came.ending != Ending::Settled || !run.is_served_by(&first) {
                deviations.note(format!("{case:?}, call {call}: the first image is committed"), &run, &"settled on it");
            }
        }
    }
    deviations.none();
}

impl Run {
    /// Every slot has one live instance, of that image, with its volumes, formatted once, and a member that is well.
    fn is_served_by(&self, image: &str) -> bool {
        self.came.slots.values().all(|slot| {
            let one = slot.images.iter().map(|id| &**id).eq([image]);
            let volumes = slot.volumes.values().all(|volume| volume.on_live_instance && volume.formatted <= 1);
            one && volumes && slot.member.as_ref().is_some_and(|member| member.well)
        })
    }
}

#[test]
fn after_the_end_a_thousand_further_passes_change_nothing() {
    for case in EVERY_CASE {
        let (world, mut simulation) = case.begin();
        stays_at_its_end(&world, &mut simulation);
    }
}

#[test]
fn a_cluster_that_waits_for_a_person_changes_nothing_meanwhile() {
    let (world, mut simulation) = SURGE.begin();
    let spec = simulation.committed();
    world.delete_volume(&world.volumes_of(&spec.name, &spec.slots[0].name)[0]);
    assert_eq!(stays_at_its_end(&world, &mut simulation), Ending::Stalled(vec!["VolumeMissing"]));

    let (world, mut simulation) = SURGE.begin();
    world.stop_instance(&world.instances_of(&spec.name, &spec.slots[0].name)[0]);
    assert_eq!(stays_at_its_end(&world, &mut simulation), Ending::Stalled(vec!["InstanceStopped"]));

    let (world, mut simulation) = SURGE.begin();
    simulation.commit(hermitcrab::spec::ClusterSpec { suspend: true, ..simulation.committed() });
    assert_eq!(stays_at_its_end(&world, &mut simulation), Ending::Blocked(vec!["suspended"]));
}

fn stays_at_its_end(world: &World, simulation: &mut hermitcrab::simulate::Simulation) -> Ending {
    simulation.run_to_end(&mut |_| {});
    let (ending, sent, passes) = (simulation.ending(), world.sent(), simulation.passes());
    let limit = after(world.now(), Duration::from_secs(24 * 3_600));
    let mut transcript = Transcript::default();
    simulation.run_until(limit, &mut |line| transcript.hear(line), &mut || false);
    assert!(simulation.passes() >= passes + 1_000, "only {} passes", simulation.passes() - passes);
    assert_eq!(world.sent(), sent, "after {ending}:\n{}", transcript.text);
    let same = simulation.latest().is_none_or(|answer| answer.kind != AnswerKind::Wait);
    assert!(same, "after {ending}:\n{}", transcript.text);
    ending
}

#[test]
fn a_spec_that_is_broken_empty_or_vanished_changes_nothing() {
    let hour = Duration::from_secs(3_600);
    let good = std::fs::read_to_string(THREE).unwrap();
    let upgrade = good.replace(&*SURGE.spec().image, NEW);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("consul.yaml");
    let (world, _) = SURGE.begin();
    let (recorder, listeners) = Recorder::alone();
    let mut daemon = files::daemon(&world, dir.path(), listeners);
    std::fs::write(&file, &good).unwrap();
    files::run_for(&mut daemon, &world, hour);
    let sent = world.sent();
    let broken = [upgrade.replace("slots:", "slotz:"), upgrade.replace(NEW, "latest"), "{".to_owned(), String::new()];
    for text in broken {
        std::fs::write(&file, &text).unwrap();
        files::run_for(&mut daemon, &world, hour);
        assert_eq!(world.sent(), sent, "after the file became:\n{text}");
    }
    std::fs::remove_file(&file).unwrap();
    files::run_for(&mut daemon, &world, hour);
    assert_eq!(world.sent(), sent, "after the file was gone");
    std::fs::write(&file, &upgrade).unwrap();
    files::run_for(&mut daemon, &world, hour);
    assert!(world.sent() > sent + 20, "a good file is acted on");
    let told = ["changed", "broken", "broken", "broken", "broken", "usable", "orphaned", "changed"];
    assert_eq!(
        told_of_files(&recorder),
        told,
        "each text breaks it in its own way, and its deletion orphans the cluster"
    );
    assert_eq!(world.violations(), []);
}

/// The events about desired state, in words.
fn told_of_files(recorder: &Recorder) -> Vec<&'static str> {
    let word = |event: Event| match event.kind {
        EventKind::DesiredChanged(_) => Some("changed"),
        EventKind::FileBroken(_) => Some("broken"),
        EventKind::FileUsable(_) => Some("usable"),
        EventKind::Orphaned => Some("orphaned"),
        _ => None,
    };
    recorder.events().into_iter().filter_map(word).collect()
}

#[test]
fn no_plan_rests_on_a_look_begun_before_the_last_write() {
    let (world, _) = SURGE.begin();
    let spec = hermitcrab::spec::ClusterSpec { image: NEW.into(), ..SURGE.spec() };
    let (recorder, listeners) = Recorder::alone();
    let watched = world.clone();
    let mut executor = Executor::new(&world, move |_| {
        let controller = Controller::new(watched.clone(), listeners.clone(), settings(1));
        let cluster = ManagedCluster::new(spec.clone());
        Box::pin(async move { controller.attend(&cluster).await })
    });
    executor.spawn(0);
    files::run_for(&mut executor, &world, Duration::from_secs(3_600));
    let mut wrote = None;
    for event in recorder.events() {
        match &event.kind {
            EventKind::Acted(_) => wrote = Some(event.at),
            EventKind::Planned(pass) => {
                if let (Reading::Seen { begun, .. }, Some(wrote)) = (&pass.seen.cloud, wrote) {
                    assert!(*begun >= wrote, "a look begun at {begun}, and a write at {wrote}");
                }
            }
            _ => {}
        }
    }
    assert!(recorder.actions().len() > 30, "only {} actions", recorder.actions().len());
}

/// The cases whose pairs are tried.
const PAIRED: [Case; 6] = [SURGE, RECREATED, ROLLED_BACK, HEALED, FROM_NOTHING, GROUPED];

#[test]
fn pairs_of_accidents_come_to_a_lawful_end() {
    pairs::come_to_a_lawful_end(&PAIRED, Part { number: 198, of: 499 }, Reach::default);
}

#[test]
#[ignore = "every call × accident × second event: an hour of CPU time, and less for a part, HERMITCRAB_PAIRS=3/19"]
fn every_pair_of_accidents_comes_to_a_lawful_end() {
    pairs::come_to_a_lawful_end(&PAIRED, Part::wanted(), Reach::default);
}
