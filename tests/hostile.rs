//! Mutations of what others write: whatever it is, the work on it ends, nothing panics, and what is accepted makes sense.
//!
//! The mutations come from a seed, so a failure can be replayed: it names the target, the input of the corpus and the seed.
//! `HERMITCRAB_HOSTILE=1000` tries as many mutations of each input. The work is bounded by their number and by what the readers
//! count, not by a clock.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hermitcrab::cli::image::manifest;
use hermitcrab::cli::init::terraform;
use hermitcrab::controller::Controller;
use hermitcrab::event::Listeners;
use hermitcrab::limits::Limits;
use hermitcrab::observed::{CloudView, Membership, Observation, Reading};
use hermitcrab::plan::{Goal, Plan, towards};
use hermitcrab::sim::executor::block_on;
use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate;
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::{check, load};
use hermitcrab::spec::render;

#[path = "hostile/mutator.rs"]
mod mutator;

use mutator::Mutator;

/// Mutations of each input, unless the environment says otherwise.
const MUTATIONS: u64 = 60;
/// The most units of work for each byte of a desired-state file, so that the work grows with the file and with nothing else.
const WORK_A_BYTE: u64 = 400;

fn mutations() -> u64 {
    std::env::var("HERMITCRAB_HOSTILE").ok().and_then(|count| count.parse().ok()).unwrap_or(MUTATIONS)
}

/// Lists the files of a folder with that ending, in order.
fn inputs(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

/// Tries mutations of every input, and names those on which a property breaks.
fn hold(target: &str, inputs: &[PathBuf], property: impl Fn(&[u8])) {
    assert!(!inputs.is_empty(), "{target}: there is no corpus");
    for path in inputs {
        let bytes = fs::read(path).unwrap();
        for seed in 0..mutations() {
            let mutated = Mutator::new(seed).mutated(&bytes);
            let held = catch_unwind(AssertUnwindSafe(|| property(&mutated)));
            assert!(
                held.is_ok(),
                "{target}: {} with seed {seed}:\n{}",
                path.display(),
                String::from_utf8_lossy(&mutated)
            );
        }
    }
}

/// Says whether something steers a terminal, or a runner of workflows, instead of being read.
fn steers(text: &str) -> bool {
    let is_odd =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    text.contains(is_odd)
}

#[test]
fn a_mutated_desired_state_is_read_to_an_end_and_shown_harmlessly() {
    let mut corpus = inputs("tests/hostile/desired-state", "yaml");
    corpus.extend(inputs("desired-state/prod", "yaml"));
    hold("desired state", &corpus, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let loaded = check(Path::new("prod/consul.yaml"), &text);
        let file = loaded.files.values().next().unwrap();
        assert!(file.work <= WORK_A_BYTE * (bytes.len() as u64 + 100), "{} units of work", file.work);
        assert_eq!(file.spec.is_some(), !loaded.has_errors());
        assert!(!steers(&render::text(&loaded, false)), "the report steers a terminal");
        let stray = render::github(&loaded).lines().find(|line| !line.starts_with("::")).map(str::to_owned);
        assert_eq!(stray, None, "a line that is no command");
        serde_json::from_str::<serde_json::Value>(&render::json(&loaded)).unwrap();
        if let Some(spec) = &file.spec {
            let again = check(Path::new("prod/consul.yaml"), &text);
            assert_eq!(again.specs().next().unwrap().1.generation(), spec.generation());
            assert!(!spec.slots.is_empty() && !spec.volumes.is_empty());
        }
    });
}

#[test]
fn a_mutated_manifest_is_read_or_refused() {
    hold("manifest", &["tests/fixtures/packer-manifest.json".into()], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(image) = manifest::image(&text, "us-east-1", None) {
            assert_eq!(hermitcrab::spec::load::why_no_image(&image), None, "{image} is no image");
        }
    });
}

#[test]
fn mutated_outputs_of_terraform_are_read_or_refused() {
    hold("outputs", &["tests/fixtures/terraform-outputs.json".into()], |bytes| {
        let _ = terraform::read(&String::from_utf8_lossy(bytes));
    });
}

/// A settled world of the declared cluster, with another image committed.
fn outdated() -> (ClusterSpec, World) {
    let loaded = load(&["desired-state/prod/consul.yaml".into()]);
    let mut spec = loaded.specs().next().unwrap().1.clone();
    let world = World::new(7, FaultLevel::None);
    world.register_image(&spec.image, Payload::Good { version: simulate::version(&spec) });
    world.settle(&spec);
    spec.image = "ami-0bbbbbbbbbbbbbbbb".into();
    world.register_image(&spec.image, Payload::Good { version: simulate::version(&spec) });
    (spec, world)
}

#[test]
fn a_mutated_world_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (saved, mutated) = (folder.path().join("world.json"), folder.path().join("mutated.json"));
    outdated().1.save(&saved).unwrap();
    hold("world", &[saved], |bytes| {
        fs::write(&mutated, bytes).unwrap();
        let _ = World::load(&mutated).map(|_| ());
    });
}

/// Whatever was seen, there is an answer: the same for the same facts, and none that changes anything while the cluster is frozen.
#[test]
fn a_mutated_observation_gets_one_answer_and_none_that_acts_on_a_frozen_cluster() {
    let (spec, world) = outdated();
    let controller = Controller::new(world.controller(0), Listeners::default(), simulate::settings(0));
    let seen = block_on(&world, controller.look(&spec));
    let (Reading::Seen { begun, value: cloud }, Reading::Seen { value: membership, .. }) =
        (seen.cloud.clone(), seen.membership.clone())
    else {
        panic!("the world was not seen")
    };
    let folder = tempfile::tempdir().unwrap();
    let facts = folder.path().join("facts.json");
    fs::write(&facts, serde_json::to_vec(&(&*cloud, &membership)).unwrap()).unwrap();
    let frozen = ClusterSpec { freeze: true, ..spec.clone() };
    hold("observation", &[facts], |bytes| {
        let Ok((cloud, membership)) = serde_json::from_slice::<(CloudView, Membership)>(bytes) else { return };
        let seen = Observation {
            cloud: Reading::Seen { begun, value: cloud.into() },
            membership: Reading::Seen { begun, value: membership },
            ..seen.clone()
        };
        let answer = |spec| towards(Goal::AsDeclared, spec, &seen, &Limits::DEFAULT);
        assert_eq!(answer(&spec), answer(&spec));
        assert!(!matches!(answer(&frozen), Plan::Act(..)), "{:?}", answer(&frozen));
    });
}
