//! A cluster comes to its end in the simulated world: in one go, broken off after every step, and in unkind worlds.
#![allow(clippy::unwrap_used)] // what the tests call is a test too

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use hermitcrab::controller::errand::{Errand, Finish};
use hermitcrab::controller::{Audience, Report};
use hermitcrab::observed::{CloudView, Remains};
use hermitcrab::plan::{Goal, Plan, Stall};
use hermitcrab::ports::{Cloud, Outcome, PortError, Wanted};
use hermitcrab::sim::executor::block_on;
use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate::{settings, version};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;
use tokio::sync::Notify;

/// Tells after how many steps to stop.
struct Patience {
    steps: Cell<u32>,
    over: Notify,
}

impl Audience for Patience {
    fn planned(&self, _: &Report<'_>) {}

    fn acted(&self, _: &Report<'_>, outcome: &Result<Outcome, PortError>) {
        if outcome.is_ok() {
            self.steps.set(self.steps.get().saturating_sub(1));
            if self.steps.get() == 0 {
                self.over.notify_one();
            }
        }
    }
}

fn spec() -> ClusterSpec {
    let loaded = load(&["desired-state/prod/consul.yaml".into()]);
    ClusterSpec { deletion_protection: false, ..loaded.specs().next().unwrap().1.clone() }
}

fn settled(seed: u64, faults: FaultLevel) -> (World, ClusterSpec) {
    let (world, spec) = (World::new(seed, faults), spec());
    world.register_image(&spec.image, Payload::Good { version: version(&spec) });
    world.settle(&spec);
    (world, spec)
}

/// Works towards a goal for so many steps at most.
fn bring(world: &World, spec: &ClusterSpec, goal: Goal, steps: u32) -> Finish {
    let patience = Patience { steps: Cell::new(steps), over: Notify::new() };
    let errand = Errand { spec: spec.clone(), goal, limit: Duration::from_secs(12 * 3_600) };
    block_on(world, errand.run(world.controller(0), settings(1), &patience, patience.over.notified()))
}

fn view(world: &World, spec: &ClusterSpec) -> CloudView {
    let wanted = Wanted { region: spec.region.clone(), ..Wanted::default() };
    let sweep = block_on(world, async {
        loop {
            if let Ok(sweep) = world.sweep(&wanted).await {
                break sweep;
            }
        }
    });
    (*sweep.cluster(&spec.name)).clone()
}

/// Live instances, volumes, and snapshots that are complete.
fn what_is_left(world: &World, spec: &ClusterSpec) -> (usize, usize, usize) {
    let view = view(world, spec);
    (view.live_instances().count(), view.present_volumes().count(), view.snapshots.iter().filter(|snapshot| snapshot.completed).count())
}

#[test]
fn just_what_is_wanted_remains() {
    for (remains, left) in
        [(Remains::Volumes, (0, 3, 3)), (Remains::Snapshots, (0, 0, 3)), (Remains::Nothing, (0, 0, 0))]
    {
        let (world, spec) = settled(1, FaultLevel::None);
        assert_eq!(bring(&world, &spec, Goal::Gone(remains), u32::MAX), Finish::Reached);
        block_on(&world, hermitcrab::ports::Clock::sleep(&world, Duration::from_secs(300)));
        assert_eq!(what_is_left(&world, &spec), left, "{remains:?}");
        assert_eq!(world.violations(), []);
    }
}

#[test]
fn broken_off_after_any_step_it_goes_on() {
    let (world, spec) = settled(1, FaultLevel::None);
    bring(&world, &spec, Goal::Gone(Remains::Snapshots), u32::MAX);
    let in_one_go: BTreeMap<String, u64> = world.calls();
    let steps: u64 = in_one_go.values().sum();
    assert!(steps > 15, "{in_one_go:?}");
    for step in 1..steps {
        let (world, spec) = settled(1, FaultLevel::None);
        let goal = Goal::Gone(Remains::Snapshots);
        assert_eq!(bring(&world, &spec, goal, u32::try_from(step).unwrap()), Finish::BrokenOff, "step {step}");
        assert_eq!(bring(&world, &spec, goal, u32::MAX), Finish::Reached, "after step {step}");
        assert_eq!(world.calls(), in_one_go, "after step {step}");
        assert_eq!(world.violations(), [], "after step {step}");
    }
}

#[test]
fn a_replacement_under_way_falls() {
    for step in 1..12 {
        let (world, mut spec) = settled(1, FaultLevel::None);
        spec.image = "ami-0bbbbbbbbbbbbbbbb".into();
        world.register_image(&spec.image, Payload::Good { version: version(&spec) });
        world.declare(&spec);
        assert_eq!(bring(&world, &spec, Goal::AsDeclared, step), Finish::BrokenOff);
        assert_eq!(bring(&world, &spec, Goal::Gone(Remains::Volumes), u32::MAX), Finish::Reached, "step {step}");
        assert_eq!(what_is_left(&world, &spec).0, 0, "step {step}");
        assert_eq!(world.violations(), [], "step {step}");
    }
}

#[test]
fn every_controller_leaves_it_alone_from_its_first_step() {
    let (world, spec) = settled(1, FaultLevel::None);
    assert_eq!(bring(&world, &spec, Goal::Gone(Remains::Volumes), 4), Finish::BrokenOff);
    let sent = world.calls();
    let finish = bring(&world, &spec, Goal::AsDeclared, u32::MAX);
    assert!(matches!(finish, Finish::Stuck(Plan::Stalled(Stall::Ended { .. }))), "{finish:?}");
    assert_eq!(world.calls(), sent);
}

/// What went wrong by itself is mended by a further try; what takes a person is named.
#[test]
fn in_unkind_worlds_no_data_goes_that_was_not_saved() {
    let mut reached = 0;
    for seed in 1..=60 {
        for remains in [Remains::Volumes, Remains::Snapshots] {
            let (world, spec) = settled(seed, FaultLevel::Many);
            let finish = (0..5).fold(Finish::BrokenOff, |_, _| bring(&world, &spec, Goal::Gone(remains), u32::MAX));
            assert_eq!(world.violations(), [], "seed {seed}");
            match finish {
                Finish::Reached => {
                    reached += 1;
                    assert_eq!(what_is_left(&world, &spec).0, 0, "seed {seed}");
                }
                Finish::Stuck(_) => {}
                Finish::OutOfTime(plan) => panic!("seed {seed}: {plan}"),
                Finish::BrokenOff => panic!("seed {seed}: nobody broke it off"),
            }
        }
    }
    assert!(reached > 100, "only {reached} of 120 came to their end");
}
