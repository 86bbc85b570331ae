//! The same simulated clusters, latencies and seeds, rolled by this controller and as other tools do it, side by side.
//!
//! `cargo bench --no-default-features --bench rollouts`. How each tool is modelled is said in `docs/performance.md`.

mod bosh;
mod controller;
mod group;
mod measure;
mod original;
mod script;

use hermitcrab::spec::ClusterSpec;
use measure::{Run, Scene, Summary};

/// A way to roll a cluster.
struct Way {
    name: &'static str,
    /// Whether each slot has a fixed private address.
    addresses: bool,
    roll: fn(&Scene) -> Run,
}

/// The ways that are compared. The first is what the others are held against.
const WAYS: [Way; 8] = [
    Way { name: "hermitcrab, addresses", addresses: true, roll: |scene| controller::roll(scene, |_| {}) },
    Way { name: "hermitcrab, no addresses", addresses: false, roll: |scene| controller::roll(scene, |_| {}) },
    Way { name: "addresses, not ahead", addresses: true, roll: |scene| controller::roll(scene, not_ahead) },
    Way { name: "no addresses, not ahead", addresses: false, roll: |scene| controller::roll(scene, not_ahead) },
    Way { name: "the original's order", addresses: true, roll: original::roll },
    Way { name: "BOSH delete-create", addresses: true, roll: bosh::delete_create },
    Way { name: "BOSH create-swap-delete", addresses: false, roll: bosh::create_swap_delete },
    Way { name: "a group a slot", addresses: true, roll: group::roll },
];

/// Has each replacement launched when its slot's turn has come.
fn not_ahead(spec: &mut ClusterSpec) {
    spec.rollout.launch_ahead = false;
}

const SEEDS: std::ops::RangeInclusive<u64> = 1..=100;

fn main() {
    let seeds = SEEDS.count();
    println!("rollouts of three Consul servers, {seeds} seeds, times in simulated seconds, `down` of each member:\n");
    println!("  {:<26}{}", "", Summary::HEADING);
    let mut first = None;
    for Way { name, addresses, roll } in &WAYS {
        let runs = SEEDS.map(|seed| roll(&Scene::new(*addresses, seed))).collect();
        let summary = Summary::of(runs);
        let against = first.get_or_insert_with(|| summary.clone());
        println!("  {name:<26}{}", summary.beside(against));
    }
}
