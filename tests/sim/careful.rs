//! The real controller breaks no rule: the rules fire for nothing that it does.

use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate::{Ending, Scenario, Summary};

use crate::world::{NEW, VERSION, spec};

/// Rolls three members to a good image.
fn rollout(seed: u64, faults: FaultLevel) -> (World, Summary) {
    let payload = Some(Payload::Good { version: VERSION.to_owned() });
    let scenario = Scenario { from: spec("consul", 3), image: NEW.into(), payload, seed, faults };
    let world = scenario.world();
    let summary = scenario.run_in(&world, &mut |_| {});
    (world, summary)
}

#[test]
fn a_rollout_settles_without_breaking_a_rule() {
    for seed in 0..20 {
        let (world, summary) = rollout(seed, FaultLevel::None);
        assert_eq!(summary.ending, Ending::Settled, "seed {seed}");
        assert_eq!(world.violations(), [], "seed {seed}");
        assert_eq!(world.calls()["terminate"], 3, "seed {seed}");
    }
}

#[test]
fn no_rule_is_broken_whatever_goes_wrong() {
    for seed in 0..40 {
        for level in [FaultLevel::Some, FaultLevel::Many] {
            let (world, _) = rollout(seed, level);
            assert_eq!(world.violations(), [], "seed {seed} {level:?}");
        }
    }
}
