//! EC2 at its worst: one kind of trouble at a time, and all of them together.

use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{LIMIT, settles_on_v2, wanting_one_more_on_v2, wanting_v2};
use crate::Harness;
use crate::clients::Clients;
use crate::cluster::Rig;
use crate::process::Signal;
use crate::proxy::faults::{Fault, Faults, Often, On, Rule};
use crate::report::Before;

/// Enough to strike often in a replacement, which makes some hundred calls.
const SOMETIMES: Often = Often::OneIn(25);

const OFTEN: Often = Often::OneIn(8);

pub fn all(harness: &Harness) -> Vec<Trial> {
    let kinds = [
        ("throttled", throttled()),
        ("no_capacity_at_first", vec![Rule::new(no_capacity(), On::Action("RunInstances"), Often::Next(2))]),
        ("a_server_error_before_the_effect", vec![Rule::new(Fault::FailsBefore, On::Everything, SOMETIMES)]),
        ("a_server_error_after_the_effect", vec![Rule::new(Fault::FailsAfter, On::Changes, Often::OneIn(2))]),
        ("answers_are_lost", vec![Rule::new(Fault::LosesAnswer, On::Changes, Often::OneIn(2))]),
        ("answers_are_slow", vec![Rule::new(Fault::Slow(Duration::from_secs(3)), On::Everything, OFTEN)]),
        ("answers_are_stale", vec![Rule::new(Fault::Stale(Duration::from_secs(4)), On::Looks, OFTEN)]),
        ("answers_are_partial", vec![Rule::new(Fault::Partial, On::Looks, OFTEN)]),
    ];
    let single = kinds.into_iter().map(|(name, rules)| {
        harness.scenario(&format!("faults::{name}"), 3, async move |rig: Rc<Rig>| {
            let start = wanting_one_more_on_v2(&rig).await;
            rolls_in_spite_of(rig, start, 1, rules).await;
        })
    });
    let mixed = (1..=3).map(|seed| {
        let name = format!("faults::mixture_{seed}");
        harness.scenario(&name, 3, async move |rig: Rc<Rig>| {
            let start = wanting_v2(&rig).await;
            rolls_in_spite_of(rig, start, seed, mixture()).await;
        })
    });
    mixed.chain(single).collect()
}

fn no_capacity() -> Fault {
    Fault::Refused("InsufficientInstanceCapacity")
}

fn throttled() -> Vec<Rule> {
    vec![Rule::new(Fault::Refused("RequestLimitExceeded"), On::Everything, SOMETIMES)]
}

fn mixture() -> Vec<Rule> {
    let rare = Often::OneIn(150);
    vec![
        Rule::new(Fault::Refused("RequestLimitExceeded"), On::Everything, rare.clone()),
        Rule::new(no_capacity(), On::Action("RunInstances"), Often::OneIn(4)),
        Rule::new(Fault::FailsBefore, On::Everything, rare.clone()),
        Rule::new(Fault::FailsAfter, On::Everything, rare.clone()),
        Rule::new(Fault::LosesAnswer, On::Everything, rare.clone()),
        Rule::new(Fault::Slow(Duration::from_secs(2)), On::Everything, rare.clone()),
        Rule::new(Fault::Stale(Duration::from_secs(5)), On::Looks, rare.clone()),
        Rule::new(Fault::Partial, On::Looks, rare),
    ]
}

async fn rolls_in_spite_of(rig: Rc<Rig>, start: (Before, Rc<Clients>), seed: u64, rules: Vec<Rule>) {
    let (before, clients) = start;
    // Trouble with EC2 takes time too, and is no fault of the image.
    rig.desire(&rig.v2, &[("joinDeadline: 3m", "joinDeadline: 10m")]);
    *rig.proxy.faults.borrow_mut() = Faults { rules, chance: fastrand::Rng::with_seed(seed) };
    // As a service: with `--once`, one answer without a volume in it is an end, since only a person can bring one back.
    let controller = rig.daemon("rig");
    controller.settles(LIMIT).await;
    controller.signal(Signal::Term);
    settles_on_v2(&rig, &controller, &before, &clients).await;
}
