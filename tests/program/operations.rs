//! The outputs in `docs/operations.md` are those of the commands, each chapter in a world with the chapter's problem.
//! `UPDATE_EXPECT=1` writes it into the document.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect_file;
use hermitcrab::action::ClaimEffect;
use hermitcrab::ids::{Attempt, InstanceId};
use hermitcrab::observed::{Ending, Remains};
use hermitcrab::ports::{Clock, Coordination};
use hermitcrab::sim::{FaultLevel, Payload, What, World, block_on};
use hermitcrab::simulate::{Line, Simulation, version};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;
use hermitcrab::time::after;

use crate::blocks;

const DOCUMENT: &str = "docs/operations.md";
const FILE: &str = "desired-state/prod/consul.yaml";
const NEW_IMAGE: &str = "ami-0bbbbbbbbbbbbbbbb";

/// A chapter, and what has happened in it.
type Story = (&'static str, fn(&ClusterSpec) -> World);

const STORIES: [Story; 8] = [
    ("A bad image", bad_image),
    ("A stuck volume", stuck_volume),
    ("A volume that is gone", volume_gone),
    ("A lost quorum", lost_quorum),
    ("A lost zone", lost_zone),
    ("A dead controller", dead_controller),
    ("Members that cannot be reached", unreachable),
    ("Destroyed by mistake", destroyed),
];

#[test]
fn operations_shows_what_the_commands_print() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let mut told = BTreeSet::new();
    let mut desk: Option<(String, Desk)> = None;
    let now = blocks::rewritten(&document, |place, command| {
        let (chapter, story) = STORIES.iter().find(|(chapter, _)| *chapter == place.chapter)?;
        told.insert(*chapter);
        if desk.as_ref().is_none_or(|(at, _)| at != chapter) {
            desk = Some(((*chapter).to_owned(), Desk::with(*story)));
        }
        desk.as_ref().map(|(_, desk)| blocks::printed(command, desk.folder.path(), &desk.programs()))
    });
    assert_eq!(told.len(), STORIES.len(), "only these chapters have commands: {told:?}");
    expect_file!["../../docs/operations.md"].assert_eq(&now);
}

/// Problems that no simulated world has are shown as in the planner's own cases.
#[test]
fn what_cannot_be_simulated_is_shown_as_the_planner_words_it() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    for (case, words) in [("gate-wrong-account", "wrong-account: "), ("gate-stale-observation", "could not be read: ")]
    {
        let said = fs::read_to_string(format!("tests/plan/{case}.txt")).unwrap();
        let line = said.lines().find(|line| line.contains(words)).unwrap();
        assert!(document.contains(line), "{DOCUMENT} does not say, as tests/plan/{case}.txt does: {line}");
    }
}

/// The chapters about what no story has: accounts, and a command that ends a cluster.
const UNTOLD: [&str; 2] = ["The wrong account", "Destroyed by mistake"];

#[test]
fn each_chapter_names_the_stories_that_play_it() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    for chapter in document.split("\n## ").skip(1) {
        let title = chapter.lines().next().unwrap();
        let named: Vec<_> =
            chapter.split("](../tests/rollout/").skip(1).filter_map(|rest| rest.split_once(')')).collect();
        assert_eq!(named.is_empty(), UNTOLD.contains(&title), "the stories of {title}");
        for (story, _) in named {
            assert!(Path::new("tests/rollout").join(story).is_file(), "{title} names {story}");
        }
    }
}

/// The place of a person with the problem: the desired state with the new image, and the world.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn with(story: fn(&ClusterSpec) -> World) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        let file = desk.folder.path().join(FILE);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = fs::read_to_string(FILE).unwrap();
        fs::write(&file, text.replace("ami-0aaaaaaaaaaaaaaaa", NEW_IMAGE)).unwrap();
        let spec = load(&[PathBuf::from(FILE)]).specs().next().unwrap().1.clone();
        story(&spec).save(&desk.folder.path().join("world.json")).unwrap();
        desk.install();
        desk
    }

    /// A `hermitcrab` that looks at the world, as the one on AWS looks at AWS.
    fn install(&self) {
        let built = env!("CARGO_BIN_EXE_hermitcrab");
        let script = format!(
            "#!/bin/sh\ncase $1 in\npromote) exec {built} \"$@\" ;;\nrun) set -- \"$@\" --speed 100 --log-level error ;;\n\
             esac\nexec {built} \"$@\" --world world.json\n"
        );
        fs::create_dir(self.programs()).unwrap();
        let program = self.programs().join("hermitcrab");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn programs(&self) -> PathBuf {
        Path::join(self.folder.path(), "programs")
    }
}

/// Settled on the file's own image, with the new one there to go to.
fn settled(spec: &ClusterSpec) -> World {
    with_payload(spec, Payload::Good { version: version(spec) })
}

fn with_payload(spec: &ClusterSpec, payload: Payload) -> World {
    let world = World::new(1, FaultLevel::None);
    world.register_image(&spec.image, Payload::Good { version: version(spec) });
    world.register_image(&NEW_IMAGE.into(), payload);
    world.settle(spec);
    world
}

fn upgrade(spec: &ClusterSpec) -> ClusterSpec {
    ClusterSpec { image: NEW_IMAGE.into(), ..spec.clone() }
}

fn instance(world: &World, spec: &ClusterSpec, slot: &str) -> InstanceId {
    world.instances_of(&spec.name, &slot.into()).remove(0)
}

fn run_for(world: &World, spec: ClusterSpec, minutes: u64) {
    let until = after(world.now(), Duration::from_secs(60 * minutes));
    Simulation::new(world, spec, 1).run_until(until, &mut |_| {}, &mut || false);
}

/// Runs the rollout until an action has been sent, and no further.
fn run_until(world: &World, spec: ClusterSpec, wanted: &str) {
    let done = Cell::new(false);
    let mut hear = |line: &Line| {
        let Line::World { event, .. } = line else { return };
        done.set(done.get() || matches!(&event.what, What::Action { action, .. } if action == wanted));
    };
    let limit = after(world.now(), Duration::from_secs(3_600));
    assert!(Simulation::new(world, spec, 1).run_until(limit, &mut hear, &mut || done.get()), "{wanted} is never sent");
}

fn bad_image(spec: &ClusterSpec) -> World {
    let world = with_payload(spec, Payload::NeverJoins);
    Simulation::new(&world, upgrade(spec), 1).run_to_end(&mut |_| {});
    world
}

/// The moment in which EC2 has been asked to detach it: one that is stuck looks the same for longer.
fn stuck_volume(spec: &ClusterSpec) -> World {
    let world = settled(spec);
    run_until(&world, upgrade(spec), "detach");
    world.advance_to(after(world.now(), Duration::from_secs(3)));
    world
}

fn volume_gone(spec: &ClusterSpec) -> World {
    let world = settled(spec);
    world.delete_volume(&world.volumes_of(&spec.name, &"consul-b".into())[0]);
    run_for(&world, upgrade(spec), 5);
    world
}

fn lost_quorum(spec: &ClusterSpec) -> World {
    let world = settled(spec);
    for slot in ["consul-a", "consul-b"] {
        world.crash_member(&instance(&world, spec, slot), None);
    }
    run_for(&world, upgrade(spec), 5);
    world
}

fn lost_zone(spec: &ClusterSpec) -> World {
    let (world, zone, day) = (settled(spec), "us-east-1b".into(), Duration::from_secs(86_400));
    world.impair_zone(&zone, day);
    world.exhaust_capacity(&zone, day);
    world.terminate_instance(&instance(&world, spec, "consul-b"));
    run_for(&world, upgrade(spec), 30);
    world
}

fn dead_controller(spec: &ClusterSpec) -> World {
    let world = settled(spec);
    run_until(&world, upgrade(spec), "detach");
    world.advance_to(after(world.now(), Duration::from_secs(2 * 60)));
    world
}

fn unreachable(spec: &ClusterSpec) -> World {
    let world = settled(spec);
    world.hide_members(&spec.name, Duration::from_secs(86_400));
    run_for(&world, upgrade(spec), 5);
    world
}

/// The first step of a destruction, which no other step has to follow for the controllers to leave the cluster alone.
fn destroyed(spec: &ClusterSpec) -> World {
    let world = settled(spec);
    run_for(&world, spec.clone(), 5);
    let record = block_on(&world, Coordination::read(&world, &spec.name)).unwrap();
    let ending = Ending { since: world.now(), attempt: Attempt(1), remains: Remains::Volumes };
    let effect = ClaimEffect::End { ending, expects: record.revision };
    block_on(&world, Coordination::write(&world, &spec.name, &effect)).unwrap();
    world
}
