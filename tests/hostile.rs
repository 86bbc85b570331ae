//! Mutations of what others write: whatever it is, the work on it ends, nothing panics, and what is accepted makes sense.
//!
//! The mutations come from a seed, so a failure can be replayed: it names the target, the input of the corpus and the seed.
//! `HERMITCRAB_HOSTILE=1000` tries as many mutations of each input. The work is bounded by their number and by what the readers
//! count, not by a clock. The corpora are those of `fuzz/`, and grow with what is found there.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "hostile/members.rs"]
mod members;
#[path = "hostile/mutator.rs"]
mod mutator;
#[path = "hostile/properties.rs"]
mod properties;

use mutator::Mutator;

/// Mutations of each input, unless the environment says otherwise.
const MUTATIONS: u64 = 60;
/// The most mutations of one corpus, however many inputs it has.
const MOST: u64 = 3_000;

/// Reads the files of some folders, in order. One that a fuzzer has still to fill need not be there.
fn corpus(folders: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let found = folders.iter().filter_map(|folder| fs::read_dir(folder).ok());
    let entries = found.flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Tries every input as it is and mutations of it, and names those on which a property breaks.
fn hold(target: &str, inputs: &[(PathBuf, Vec<u8>)], property: impl Fn(&[u8])) {
    assert!(!inputs.is_empty(), "{target}: there is no corpus");
    let given = std::env::var("HERMITCRAB_HOSTILE").ok().and_then(|count| count.parse().ok());
    let mutations: u64 = given.unwrap_or_else(|| MUTATIONS.min(MOST / inputs.len() as u64).max(1));
    for (path, bytes) in inputs {
        for seed in 0..=mutations {
            let mutated = if seed == 0 { bytes.clone() } else { Mutator::new(seed).mutated(bytes) };
            let held = catch_unwind(AssertUnwindSafe(|| property(&mutated)));
            let text = String::from_utf8_lossy(&mutated);
            assert!(held.is_ok(), "{target}: {} with seed {seed}:\n{text}", path.display());
        }
    }
}

/// Keeps an input that is made of the program's own types for the fuzzer to begin with, where `UPDATE_EXPECT` is set.
fn keep(input: &str, bytes: &[u8]) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(Path::new("fuzz/corpus").join(input).parent().unwrap()).unwrap();
        fs::write(Path::new("fuzz/corpus").join(input), bytes).unwrap();
    }
}

#[test]
fn a_mutated_desired_state_is_read_to_an_end_and_shown_harmlessly() {
    let inputs = corpus(&["fuzz/corpus/desired_state", "desired-state/prod"]);
    hold("desired state", &inputs, properties::desired_state);
}

#[test]
fn a_mutated_manifest_is_read_or_refused() {
    hold("manifest", &corpus(&["fuzz/corpus/manifest"]), properties::manifest_of_packer);
}

#[test]
fn mutated_outputs_of_terraform_are_read_or_refused() {
    hold("outputs", &corpus(&["fuzz/corpus/outputs"]), properties::outputs_of_terraform);
}

#[test]
fn a_mutated_story_is_read_or_refused_with_its_place() {
    hold("story", &corpus(&["fuzz/corpus/story", "tests/rollout"]), properties::story);
}

#[test]
fn mutated_answers_of_consul_make_a_membership_or_are_refused() {
    hold("consul", &corpus(&["fuzz/corpus/consul", "tests/applications/consul"]), properties::consul);
}

#[test]
fn mutated_answers_of_other_members_make_a_membership_or_are_refused() {
    let inputs = corpus(&[
        "fuzz/corpus/members",
        "tests/applications/etcd",
        "tests/applications/patroni",
        "tests/applications/zookeeper",
    ]);
    let inputs: Vec<_> =
        inputs.into_iter().filter(|(path, _)| path.extension().is_none_or(|kind| kind == "json")).collect();
    hold("members", &inputs, members::members);
}

#[test]
fn mutated_answers_of_a_program_are_read_or_refused_in_a_few_words() {
    hold("adapter", &corpus(&["fuzz/corpus/adapter"]), properties::adapter);
}

#[test]
fn a_mutated_listing_of_git_leads_nowhere_else() {
    hold("tree", &corpus(&["fuzz/corpus/tree"]), properties::tree);
}

#[test]
fn a_mutated_log_of_events_is_read_line_by_line_and_shown_harmlessly() {
    hold("events", &corpus(&["fuzz/corpus/events"]), properties::events);
}

#[test]
fn a_mutated_claim_is_read_or_refused_and_gets_one_answer() {
    hold("claim", &corpus(&["fuzz/corpus/claim"]), properties::claim);
}

#[test]
fn a_mutated_lease_names_its_holder_harmlessly_or_is_refused() {
    hold("lease", &corpus(&["fuzz/corpus/lease"]), properties::lease);
}

#[test]
fn a_mutated_world_is_read_or_refused() {
    let saved = tempfile::tempdir().unwrap().path().join("world.json");
    fs::create_dir_all(saved.parent().unwrap()).unwrap();
    properties::outdated().1.save(&saved).unwrap();
    let mut inputs = corpus(&["fuzz/corpus/world"]);
    inputs.push((saved.clone(), fs::read(&saved).unwrap()));
    keep("world/outdated.json", &inputs.last().unwrap().1);
    fs::remove_dir_all(saved.parent().unwrap()).unwrap();
    hold("world", &inputs, properties::world);
}

#[test]
fn a_mutated_observation_gets_one_answer_and_none_that_acts_on_a_frozen_cluster() {
    let mut inputs = corpus(&["fuzz/corpus/observation"]);
    inputs.push(("what is seen".into(), properties::facts()));
    keep("observation/outdated.json", &inputs.last().unwrap().1);
    hold("observation", &inputs, properties::observation);
}
