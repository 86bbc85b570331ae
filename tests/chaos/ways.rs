//! Two controllers that have read different files: one takes a replacement back, and the other would go on with it.

use std::time::Duration;

use hermitcrab::sim::Look;
use hermitcrab::simulate::Ending;
use hermitcrab::time::after;

use super::case::{Case, Transcript};
use super::{Deviations, RECREATED, SURGE, WITH_ADDRESSES};

/// The age of what an adapter sees just before it sends: EC2 seldom shows anything so late.
const OLD: Duration = Duration::from_secs(9);
/// The time for which each call is on its way meanwhile: decided at once and sent after five seconds, it arrives just before
/// whoever has turned the claim goes on.
const ON_THE_WIRE: Duration = Duration::from_secs(9);
/// The time for which EC2 is so late.
const LATE: Duration = Duration::from_secs(180);
/// The time for which the second controller does not hear of the commit.
const BEHIND: Duration = Duration::from_secs(20 * 60);
/// The distance from one call that is tried to the next.
const STRIDE: usize = 3;

/// At every third call the first image is committed again, and the second controller does not hear of it for twenty minutes.
fn pull_both_ways(case: &Case) {
    let mut deviations = Deviations::default();
    let (from, calls) = (case.spec(), case.run(|_, _| {}).sent);
    for call in (1..=calls).step_by(STRIDE) {
        let (world, mut simulation) = case.begin();
        simulation.join(1);
        let mut transcript = Transcript::default();
        let limit = after(world.time(), Duration::from_secs(4 * 3_600));
        simulation.run_until(limit, &mut |line| transcript.hear(line), &mut || world.sent() >= call);
        world.make_old(Look::Last, OLD, LATE);
        world.hold_up(ON_THE_WIRE, LATE);
        simulation.hold(1);
        simulation.commit(from.clone());
        let limit = after(world.time(), BEHIND);
        simulation.run_until(limit, &mut |line| transcript.hear(line), &mut || false);
        simulation.crash(1, Duration::from_secs(5));
        let run = case.finish(&world, &mut simulation, transcript);
        if run.came.ending != Ending::Settled || !run.is_served_by(&from.image) {
            deviations.note(
                format!("{case:?}, call {call}: only one hears of the first image"),
                &run,
                &"settled on it",
            );
        }
    }
    deviations.none();
}

#[test]
fn two_controllers_that_pull_a_replacement_both_ways_do_no_harm() {
    [SURGE, RECREATED, WITH_ADDRESSES].iter().for_each(pull_both_ways);
}
