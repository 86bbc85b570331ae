//! The real adapter and the SDK meet the simulated world, in its own time and in one process.
//!
//! Controllers look and act as they do in an account: through the adapter, whose requests in EC2's own protocol go to the
//! world's wire face, and meet the faults of the world there. Members of Consul are read from the JSON that the world's
//! servers answer. Whatever an adapter and the world understand differently shows: a story goes another way, a rule of safety
//! breaks, or a random world comes to no lawful end.
#![allow(clippy::unwrap_used)] // a test may panic
// The SDK's futures lie deep within the controller's.
#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hermitcrab::event::Listeners;
use hermitcrab::sim::FaultLevel;
use hermitcrab::simulate::script::{Setting, Story};
use hermitcrab::simulate::{Ending, Reach, Scenario, Summary};
use hermitcrab::spec::load::load;

#[path = "chaos/case.rs"]
mod case;
#[path = "adapter_world/here.rs"]
mod here;
#[path = "adapter_world/members.rs"]
mod members;
#[path = "chaos/pairs.rs"]
mod pairs;
#[path = "tools/room.rs"]
mod room;
#[path = "adapter_world/sdk.rs"]
mod sdk;

use case::{Beginning, Case};
use pairs::Part;
use room::with_room;

const STORIES: &str = "tests/rollout";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

/// The stories that are played whenever the tests run: something of each kind of call.
const SAMPLE: [&str; 8] = [
    "surge",
    "recreate",
    "addresses-recreate",
    "group-heals",
    "rollback-no-capacity",
    "stuck-attaching",
    "frozen-controller",
    "crash",
];

/// Stories that are not compared.
const LEFT_OUT: [&str; 2] = [
    "large-region", // the wire face lists no crowd, and has no pages of it
    "group", // whether the group notices a member that rests, or the controller that it may, is a matter of who looks first
];

/// The end of a story, and its effects of each kind.
type Came = (Option<Ending>, BTreeMap<String, u64>);

/// Plays a story. No rule of safety is broken in it.
fn played(name: &str, reach: Reach) -> Came {
    let text = fs::read_to_string(Path::new(STORIES).join(name).with_extension("txt")).unwrap();
    let (mut told, setting) = (String::new(), Setting { seed: 1, reach, ..Setting::default() });
    let ended = Story::parse(&text).unwrap().play(&setting, &mut |part| told.push_str(part));
    let ended = ended.unwrap_or_else(|mistake| panic!("{name}: {mistake}\n{told}"));
    assert_eq!(ended.world.violations(), [], "{name}\n{told}");
    (ended.ending, ended.world.calls())
}

/// The parts of a story that are compared.
#[derive(Clone, Copy, PartialEq)]
enum Compared {
    /// The end. How often something was tried may hang on the pace of the looks: through the adapter a look is many calls.
    End,
    /// The end, and the effects of each kind.
    Effects,
}

/// Plays stories both through the world's own ports and through the adapter, and compares.
fn each_ends_alike(names: impl IntoIterator<Item = String>, compared: Compared) {
    let mut different = Vec::new();
    for name in names {
        let [expected, came] = [Reach::default(), sdk::adapter()].map(|reach| played(&name, reach));
        if came.0 != expected.0 || compared == Compared::Effects && came.1 != expected.1 {
            different.push(format!("{name} came to {came:?}, and without the adapter to {expected:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn stories_end_through_the_adapter_as_they_do_without_it() {
    with_room(|| each_ends_alike(SAMPLE.map(str::to_owned), Compared::Effects));
}

#[test]
#[ignore = "it takes a quarter of an hour"]
fn every_story_ends_through_the_adapter_as_it_does_without_it() {
    let paths = fs::read_dir(STORIES).unwrap().map(|entry| entry.unwrap().path());
    let names = paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let is_left_out = |name: &String| LEFT_OUT.contains(&name.as_str());
    let mut names: Vec<_> = names.filter(|name| !is_left_out(name)).collect();
    names.sort();
    with_room(|| each_ends_alike(names, Compared::End));
}

/// A controller remembers for a minute which volumes are being modified, and does not hear of the other controller's call.
#[test]
fn one_volume_grows_at_a_time_whichever_controller_asks_for_it() {
    with_room(|| {
        let story = "> cluster desired-state/prod/consul.yaml\n> start controller 1\n> commit volumes.data.size 40GiB\n\
                     > run until grow\n> crash controller\n> run for 90s\n";
        let setting = Setting { seed: 1, reach: sdk::adapter(), ..Setting::default() };
        let mut told = String::new();
        let played = Story::parse(story).unwrap().play(&setting, &mut |part| told.push_str(part)).unwrap();
        assert_eq!(played.world.violations(), [], "{told}");
        assert_eq!(played.world.calls().get("grow"), Some(&1), "{told}");
    });
}

#[test]
fn a_refusal_comes_in_the_words_of_the_adapter() {
    with_room(|| {
        let story = format!(
            "> cluster desired-state/prod/consul.yaml\n> payload {NEW} good\n> refuse launch with denied for ever\n\
             > commit image {NEW}\n> run until stalled\n"
        );
        let mut told = String::new();
        let setting = Setting { seed: 1, reach: sdk::adapter(), ..Setting::default() };
        Story::parse(&story).unwrap().play(&setting, &mut |part| told.push_str(part)).map(drop).unwrap();
        assert!(told.contains("RunInstances: UnauthorizedOperation: "), "{told}");
    });
}

/// Lets a random world go on to its end. The file is rolled to another image meanwhile.
fn run(file: &str, faults: FaultLevel, seed: u64) -> (Summary, String) {
    let from = load(&[file.into()]).specs().next().unwrap().1.clone();
    let scenario = Scenario { from, image: NEW.into(), payload: None, seed, faults };
    let (mut told, reach) = (String::new(), sdk::adapter());
    let summary = scenario.run_heard(&scenario.world(), Vec::new(), (&reach, &Listeners::default()), &mut |line| {
        told.push_str(&serde_json::to_string(line).unwrap());
        told.push('\n');
    });
    (summary, told)
}

fn each_comes_to_an_end(files: &'static [&'static str], seeds: impl IntoIterator<Item = u64> + Clone + Send + 'static) {
    with_room(move || {
        let mut failures = Vec::new();
        for (file, faults) in files.iter().flat_map(|file| [(file, FaultLevel::Some), (file, FaultLevel::Many)]) {
            for seed in seeds.clone() {
                let (summary, _) = run(file, faults, seed);
                if summary.must_not_be() {
                    let why = summary.unlawful.as_ref().unwrap_or(&summary.outcome);
                    failures
                        .push(format!("{file}, {faults:?}, seed {seed}: {why}; {:?}", summary.invariant_violations));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

#[test]
fn unkind_worlds_come_to_an_end_through_the_adapter() {
    each_comes_to_an_end(&["desired-state/prod/consul.yaml"], [1, 3]);
}

#[test]
#[ignore = "it takes some minutes"]
fn many_unkind_worlds_come_to_an_end_through_the_adapter() {
    const FILES: [&str; 6] = [
        "desired-state/prod/consul.yaml",
        "tests/fixtures/consul-recreate.yaml",
        "tests/fixtures/consul-volumes.yaml",
        "tests/fixtures/consul-addresses.yaml",
        "tests/fixtures/consul-group.yaml",
        "desired-state/prod/etcd.yaml",
    ];
    each_comes_to_an_end(&FILES, 1..=10);
}

#[test]
#[ignore = "it takes half a minute"]
fn the_same_seed_tells_the_same_story_through_the_adapter() {
    with_room(|| {
        let told = || run("desired-state/prod/consul.yaml", FaultLevel::Many, 1).1;
        let once = told();
        assert!(once.lines().count() > 20);
        assert!(once == told(), "one seed tells two stories");
    });
}

/// Cases whose pairs are tried: an upgrade, a bad one that is taken back, and a lost instance.
const PAIRED: [Case; 3] = [
    Case { file: "desired-state/prod/consul.yaml", beginning: Beginning::Upgrade },
    Case { file: "tests/fixtures/consul-recreate.yaml", beginning: Beginning::BadUpgrade },
    Case { file: "tests/fixtures/consul-addresses.yaml", beginning: Beginning::Loss },
];

#[test]
fn pairs_of_accidents_come_to_a_lawful_end_through_the_adapter() {
    with_room(|| pairs::come_to_a_lawful_end(&PAIRED, Part { number: 5, of: 5_987 }, sdk::adapter));
}

#[test]
#[ignore = "a part of them takes some minutes, HERMITCRAB_PAIRS=3/97"]
fn every_pair_of_accidents_comes_to_a_lawful_end_through_the_adapter() {
    with_room(|| pairs::come_to_a_lawful_end(&PAIRED, Part::wanted(), sdk::adapter));
}
