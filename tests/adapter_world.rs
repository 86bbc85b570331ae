//! The real adapter and the SDK meet the simulated world, in its own time and in one process.
//!
//! Controllers look and act as they do in an account: through the adapter, whose requests in EC2's own protocol go to the
//! world's wire face and meet the faults of the world there. Whatever the adapter and the world understand differently shows.
#![allow(clippy::unwrap_used)] // a test may panic
// The SDK's futures lie deep within the controller's.
#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::fs;

use hermitcrab::event::Listeners;
use hermitcrab::sim::{FaultLevel, Violation};
use hermitcrab::simulate::script::{Setting, Story};
use hermitcrab::simulate::{Ending, Reach, Scenario};
use hermitcrab::spec::load::load;

#[path = "adapter_world/here.rs"]
mod here;
#[path = "adapter_world/members.rs"]
mod members;
#[path = "adapter_world/sdk.rs"]
mod sdk;

/// Everything that a story came to.
#[derive(Debug, PartialEq)]
struct Came {
    ending: Result<Option<Ending>, String>,
    effects: BTreeMap<String, u64>,
    broken: Vec<Violation>,
}

fn played(name: &str, reach: Reach, shown: &mut String) -> Came {
    let text = fs::read_to_string(format!("tests/rollout/{name}.txt")).unwrap();
    let story = Story::parse(&text).unwrap();
    let setting = Setting { seed: 1, reach, ..Setting::default() };
    match story.play(&setting, &mut |part| shown.push_str(part)) {
        Ok(played) => Came { ending: Ok(played.ending), effects: played.world.calls(), broken: played.world.violations() },
        Err(mistake) => Came { ending: Err(mistake.to_string()), effects: BTreeMap::new(), broken: Vec::new() },
    }
}

#[test]
fn experiment() {
    let all = || {
        let mut names: Vec<_> = fs::read_dir("tests/rollout").unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let names = std::env::var("STORY").map_or_else(|_| all(), |names| names.split(',').map(str::to_owned).collect());
    for name in names {
        let (mut one, mut other) = (String::new(), String::new());
        let expected = played(&name, Reach::default(), &mut one);
        let came = std::panic::catch_unwind(|| played(&name, sdk::adapter(), &mut String::new()));
        if std::env::var("SHOW").is_ok() {
            played(&name, sdk::adapter(), &mut other);
            println!("{other}");
        }
        match came {
            Ok(came) if came == expected => println!("{name}: same"),
            Ok(came) => {
                println!("{name}: DIFFERS");
                if came.ending != expected.ending {
                    println!("    ending {:?} not {:?}", came.ending, expected.ending);
                }
                if came.broken != expected.broken {
                    println!("    broken {:?}", came.broken);
                }
                for (effect, number) in &came.effects {
                    let wanted = expected.effects.get(effect).copied().unwrap_or_default();
                    if wanted != *number {
                        println!("    {effect}: {number} not {wanted}");
                    }
                }
                for (effect, number) in expected.effects.iter().filter(|(effect, _)| !came.effects.contains_key(*effect)) {
                    println!("    {effect}: 0 not {number}");
                }
            }
            Err(panic) => println!("{name}: PANIC {:?}", panic.downcast_ref::<String>()),
        }
    }
}

#[test]
fn swarm() {
    let file = std::env::var("FILE").unwrap_or("desired-state/prod/consul.yaml".into());
    let seeds: Vec<u64> = std::env::var("SEEDS").map_or(vec![1, 2], |seeds| seeds.split(',').map(|seed| seed.parse().unwrap()).collect());
    let from = load(&[file.into()]).specs().next().unwrap().1.clone();
    for faults in [FaultLevel::None, FaultLevel::Some, FaultLevel::Many] {
        for seed in &seeds {
            let scenario = Scenario { from: from.clone(), image: "ami-0bbbbbbbbbbbbbbbb".into(), payload: None, seed: *seed, faults };
            let world = scenario.world();
            let summary = scenario.run_heard(&world, Vec::new(), (&sdk::adapter(), &Listeners::default()), &mut |line| {
                if std::env::var("SHOW").is_ok() { println!("{}", serde_json::to_string(line).unwrap()); }
            });
            println!("{faults:?} {seed}: {:?} {:?} {:?} passes {} faults {}", summary.ending, summary.unlawful, summary.invariant_violations, summary.passes, summary.faults);
        }
    }
}
