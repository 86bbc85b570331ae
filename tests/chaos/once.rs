//! Calls that are sent twice have the effect of one, and the clock of another machine is nothing to go by.

use std::time::Duration;

use hermitcrab::sim::{Accident, World};
use hermitcrab::simulate::Simulation;
use hermitcrab::time::after;

use super::case::Case;
use super::{Deviations, EVERY_CASE, HEALED, RECREATED, ROLLED_BACK, SURGE};

/// Four minutes in milliseconds: EC2 accepts what a clock has signed that is wrong by five.
const WRONG: i64 = 240_000;

/// Wants a run to come to the same end in each slot as one in which nothing goes wrong.
fn comes_to_the_same_end(case: &Case, what: &str, arrange: impl FnOnce(&World, &mut Simulation)) {
    let reference = case.run(|_, _| {});
    let run = case.run(arrange);
    let mut deviations = Deviations::default();
    if (&run.came.ending, &run.came.slots) != (&reference.came.ending, &reference.came.slots) {
        deviations.note(format!("{case:?}, {what}"), &run, &reference.came);
    }
    deviations.none();
}

#[test]
fn a_call_that_takes_effect_twice_has_the_effect_of_one() {
    for case in EVERY_CASE {
        comes_to_the_same_end(&case, "every call twice", |world, _| world.arrange_always(Accident::Twice));
    }
}

#[test]
fn a_second_controller_whose_clock_is_wrong_changes_nothing() {
    for case in [SURGE, RECREATED, ROLLED_BACK, HEALED] {
        for ahead in [WRONG, -WRONG] {
            comes_to_the_same_end(&case, &format!("a second controller, ahead by {ahead} ms"), |world, simulation| {
                simulation.join(1);
                world.set_clock(1, ahead);
            });
        }
    }
}

/// The first controller dies with the claim that it has dated, and the second goes on.
#[test]
fn a_claim_that_is_dated_ahead_holds_nothing_up() {
    for case in [SURGE, ROLLED_BACK, HEALED] {
        comes_to_the_same_end(
            &case,
            "the clock is set right after the first launch, and its controller started again",
            |world, simulation| {
                world.set_clock(0, WRONG);
                let limit = after(world.time(), Duration::from_secs(3_600));
                simulation.run_until(limit, &mut |_| {}, &mut || world.calls().contains_key("launch"));
                world.set_clock(0, 0);
                simulation.crash(0, Duration::from_secs(10));
            },
        );
    }
}
