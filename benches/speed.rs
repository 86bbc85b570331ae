//! How long things take: one plan, a fleet's plans, loading a fleet's files, a simulated rollout.
//!
//! `cargo bench --no-default-features --bench speed`. What the numbers should be is in `docs/performance.md`.

use std::path::PathBuf;
use std::sync::LazyLock;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use hermitcrab::action::{ClaimEffect, Effect};
use hermitcrab::observed::Observation;
use hermitcrab::plan::{Awaited, Plan, plan};
use hermitcrab::sim::FaultLevel;
use hermitcrab::simulate::Scenario;
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;

mod scene;

use scene::{Fleet, Pass, Rollout, spec};

const FIVE_SLOTS: &str = "tests/fixtures/consul-5.yaml";
const THREE_SLOTS: &str = "desired-state/prod/consul.yaml";
const MANY: usize = 10_000;

fn main() {
    divan::main();
}

/// A point of a rollout, by what the planner answers there.
#[derive(Clone, Copy, Debug)]
enum Point {
    Settled,
    Begin,
    MidReplacement,
    Blocked,
}

impl Point {
    fn is_at(self, plan: &Plan) -> bool {
        match (self, plan) {
            (Self::Settled, Plan::Settled) => true,
            (Self::Begin, Plan::Act(action, _)) => matches!(action.effect, Effect::Claim(ClaimEffect::Claim { .. })),
            (Self::MidReplacement, Plan::Wait(waiting)) => matches!(waiting.what, Awaited::MemberBack { .. }),
            (Self::Blocked, Plan::Blocked(_)) => true,
            _ => false,
        }
    }

    fn of(self, rollout: &Rollout) -> &Pass {
        rollout.first(|plan| self.is_at(plan))
    }
}

const POINTS: [Point; 4] = [Point::Settled, Point::Begin, Point::MidReplacement, Point::Blocked];

fn five_slots(point: Point) -> (ClusterSpec, Observation) {
    let rollout = Rollout::of(FIVE_SLOTS, 1);
    (rollout.spec.clone(), point.of(&rollout).seen.clone())
}

/// One plan for a cluster of five slots.
#[divan::bench(args = POINTS)]
fn plan_one_cluster(bencher: Bencher<'_, '_>, point: Point) {
    let (spec, seen) = five_slots(point);
    bencher.bench_local(|| plan(black_box(&spec), black_box(&seen)));
}

/// From a parsed sweep to a plan for each of 10,000 clusters of five slots.
#[divan::bench(args = [Point::Settled, Point::Begin], sample_count = 10, sample_size = 1)]
fn plan_ten_thousand_clusters(bencher: Bencher<'_, '_>, point: Point) {
    let rollout = Rollout::of(FIVE_SLOTS, 1);
    let fleet = Fleet::of(MANY, &rollout.spec, point.of(&rollout));
    bencher.bench_local(|| {
        for (index, spec) in fleet.specs.iter().enumerate() {
            let plan = plan(spec, &fleet.observe(index));
            assert!(point.is_at(&plan));
        }
    });
}

/// Reading and checking 10,000 desired-state files of five slots each.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn load_ten_thousand_files(bencher: Bencher<'_, '_>) {
    static FILES: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let text = std::fs::read_to_string(FIVE_SLOTS).expect("a file of the repository");
        let name = spec(FIVE_SLOTS).name;
        let dir = tempfile::tempdir().expect("a place for temporary files");
        for n in 0..MANY {
            let text = text.replacen(&format!("name: {name}"), &format!("name: cluster-{n}"), 1);
            std::fs::write(dir.path().join(format!("{n}.yaml")), text).expect("a temporary file");
        }
        dir
    });
    let paths = [PathBuf::from(FILES.path())];
    bencher.bench_local(|| assert_eq!(load(&paths).specs().count(), MANY));
}

/// A whole simulated rollout of three slots: items a second are rollouts a second.
#[divan::bench(args = [FaultLevel::None, FaultLevel::Many])]
fn simulate_a_rollout(bencher: Bencher<'_, '_>, faults: FaultLevel) {
    let from = spec(THREE_SLOTS);
    let mut seed = 0;
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        seed += 1;
        let image = "ami-0bbbbbbbbbbbbbbbb".into();
        Scenario { from: from.clone(), image, payload: None, seed, faults }.run(&mut |_| {})
    });
}
