//! A forecast is kept: the steps that a plan announces are those of the rollout, in that order.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::path::PathBuf;

use hermitcrab::cli::cloud::Environment;
use hermitcrab::plan::Look;
use hermitcrab::plan::forecast::forecast;
use hermitcrab::plan::gates::GATES;
use hermitcrab::sim::FaultLevel;
use hermitcrab::simulate::{Ending, Line, Scenario};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;

/// The actions that are done once, and for no slot.
const FOR_THE_CLUSTER: [&str; 2] = ["set-pruning", "record-slots"];

#[test]
fn the_announced_steps_are_those_of_the_rollout() {
    for file in [
        "desired-state/prod/consul.yaml",
        "tests/fixtures/consul-5.yaml",
        "tests/fixtures/consul-9.yaml",
        "tests/fixtures/consul-recreate.yaml",
        "tests/fixtures/consul-addresses.yaml",
        "tests/fixtures/consul-volumes.yaml",
        "tests/fixtures/consul-saved.yaml",
        "tests/fixtures/consul-group.yaml",
    ] {
        let spec = load(&[PathBuf::from(file)]).specs().next().unwrap().1.clone();
        let scenario = Scenario {
            from: spec,
            image: "ami-0bbbbbbbbbbbbbbbb".into(),
            payload: None,
            seed: 7,
            faults: FaultLevel::None,
        };
        assert_eq!(by_slot(announced(&scenario)), by_slot(done(&scenario)), "{file}");
    }
}

#[test]
fn the_documentation_has_a_row_for_each_gate_under_what_it_guards() {
    let text = std::fs::read_to_string("docs/gates.md").unwrap();
    let documented = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut documented: Vec<_> = documented.collect();
    let mut gates: Vec<_> = GATES.iter().map(|gate| gate.name.as_str()).collect();
    documented.sort_unstable();
    gates.sort_unstable();
    assert_eq!(documented, gates);
}

/// Slot and action of each step of the forecast. What is done once for the cluster is no step of a slot.
fn announced(scenario: &Scenario) -> Vec<(String, String)> {
    let spec: ClusterSpec = scenario.to();
    let world = scenario.world();
    world.declare(&spec);
    let scene = Environment::simulated(vec![spec.clone()], world, None);
    let seen = scene.look(&spec);
    let look = Look::at(&spec, &seen).look().unwrap();
    let slots = forecast(&look).slots;
    let steps =
        slots.iter().flat_map(|slot| slot.steps.iter().map(|step| (slot.slot.to_string(), step.step.to_string())));
    steps.collect()
}

/// Slot and action of each action of the simulated rollout. Where the status checks of what was launched ahead outlast the wait before,
/// which nobody can foresee, the claim says only after them what is about to be stopped.
fn done(scenario: &Scenario) -> Vec<(String, String)> {
    let mut actions: Vec<(String, String)> = Vec::new();
    let summary = scenario.run(&mut |line: &Line| {
        let line = serde_json::to_value(line).unwrap();
        let Some(action) = line["action"].as_str().filter(|action| !FOR_THE_CLUSTER.contains(action)) else { return };
        // A line that names no slot is about the one that is claimed.
        let claimed = || actions.last().unwrap().0.clone();
        let slot = line["slot"].as_str().map_or_else(claimed, str::to_owned);
        let is_late = action == "mark-stop"
            && actions.iter().rev().find(|(of, _)| *of == slot).is_some_and(|(_, before)| before == "move-claim");
        if !is_late {
            actions.push((slot, action.to_owned()));
        }
    });
    assert_eq!(summary.ending, Ending::Settled);
    actions
}

/// The actions of each slot in their order. Which of two followers goes first may change when leadership does.
fn by_slot(steps: Vec<(String, String)>) -> Vec<(String, Vec<String>)> {
    let mut slots: std::collections::BTreeMap<String, Vec<String>> = Default::default();
    for (slot, action) in steps {
        slots.entry(slot).or_default().push(action);
    }
    slots.into_iter().collect()
}
