//! The exit code, and the words for what could not be seen.

use std::path::PathBuf;

use super::*;
use crate::observed::{Observation, Reading};
use crate::sim::{FaultLevel, World};
use crate::status::{ConditionKind, ConditionStatus};

/// A cluster as it is seen once a test has changed its spec, its world and what was seen.
fn seen(
    edit: impl Fn(&mut ClusterSpec),
    happens: impl Fn(&ClusterSpec, &World),
    look: impl Fn(&mut Observation),
) -> Status {
    let path = PathBuf::from("desired-state/prod/consul.yaml");
    let settled = crate::spec::load::load(&[path]).specs().next().unwrap().1.clone();
    let world = World::new(0, FaultLevel::None);
    world.settle(&settled);
    world.advance_to(crate::time::after(crate::ports::Clock::now(&world), std::time::Duration::from_secs(300)));
    let mut spec = settled;
    edit(&mut spec);
    world.register_image(&spec.image, crate::sim::Payload::Good { version: crate::simulate::version(&spec) });
    happens(&spec, &world);
    let environment = Environment::simulated(vec![spec.clone()], world, None);
    let mut observation = environment.look(&spec);
    look(&mut observation);
    status(&spec, &observation, &plan(&spec, &observation), None)
}

fn blind(seen: &mut Observation) {
    seen.cloud = Reading::Unknown { why: "no credentials were found".to_owned() };
}

fn new_image(spec: &mut ClusterSpec) {
    spec.image = "ami-0bbbbbbbbbbbbbbbb".into();
}

#[test]
fn what_could_not_be_seen_is_an_error_and_no_number_is_made_up() {
    let status = seen(|_| {}, |_, _| {}, blind);
    let text = screen::render(&status, false);
    assert!(text.contains("could not be seen") && !text.contains("0 of 3"), "{text}");
    assert!(!text.contains("SLOT"), "{text}");
    let of = |kind| status.condition(kind).unwrap();
    assert_eq!(of(ConditionKind::Ready).status, ConditionStatus::Unknown);
    assert_eq!(of(ConditionKind::Ready).reason, "NotSeen");
    assert_eq!(exit(&[status.attention], Exit::Done, false), Exit::Error);
    assert!(fleet::render(&[status]).contains("1 could not be seen"));
}

#[test]
fn a_cluster_that_waits_for_a_person_fails_if_that_is_asked_for() {
    let suspended = |spec: &mut ClusterSpec| {
        new_image(spec);
        spec.suspend = true;
    };
    let approval = |spec: &mut ClusterSpec| {
        new_image(spec);
        spec.rollout.approval = crate::spec::Approval::EverySlot;
    };
    let stopped = |spec: &ClusterSpec, world: &World| {
        for slot in &spec.slots[..2] {
            world.stop_instance(&world.instances_of(&spec.name, &slot.name)[0]);
        }
        world.advance_to(crate::time::after(crate::ports::Clock::now(world), std::time::Duration::from_secs(60)));
    };
    let settled = seen(|_| {}, |_, _| {}, |_| {});
    let rolls = seen(new_image, |_, _| {}, |_| {});
    for (status, plain, detailed) in [
        (&settled, Exit::Done, Exit::Done),
        (&rolls, Exit::Done, Exit::Done),
        (&seen(suspended, |_, _| {}, |_| {}), Exit::Done, Exit::NeedsPerson),
        (&seen(approval, |_, _| {}, |_| {}), Exit::Done, Exit::NeedsPerson),
        (&seen(|_| {}, stopped, |_| {}), Exit::Failed, Exit::Failed),
    ] {
        let all = [settled.attention, status.attention];
        assert_eq!(exit(&all, Exit::Done, false), plain, "{}", status.answer);
        assert_eq!(exit(&all, Exit::Done, true), detailed, "{}", status.answer);
        assert_eq!(exit(&all, Exit::Error, true), Exit::Error);
    }
}

#[test]
fn a_refusal_that_comes_after_something_small_is_a_refusal_already() {
    let status = seen(
        |spec| {
            new_image(spec);
            spec.rollout.approval = crate::spec::Approval::EverySlot;
            spec.instance.tags.insert("another".to_owned(), "tag".to_owned());
        },
        |_, _| {},
        |_| {},
    );
    assert_eq!(status.attention, Attention::NeedsPerson, "{}", status.answer);
    assert_eq!(status.refusals[0].gate, "approval-required");
    assert_eq!(status.condition(ConditionKind::AwaitingApproval).unwrap().status, ConditionStatus::True);
    assert_eq!(status.condition(ConditionKind::Drifted).unwrap().reason, "Outdated");
    let text = anstream::adapter::strip_str(&screen::render(&status, false)).to_string();
    assert!(text.contains("  then blocked:\n    ✗ approval-required: "), "{text}");
}

#[test]
fn a_suspended_cluster_says_so_even_where_it_is_settled() {
    let status = seen(|spec| spec.suspend = true, |_, _| {}, |_| {});
    assert!(
        screen::render(&status, false).contains("Suspended: True (Suspended) no upgrade is begun; healing goes on")
    );
    let again = crate::status::status;
    let first = status.condition(ConditionKind::Suspended).unwrap();
    assert_eq!(first.last_transition, None, "nobody saw it change");
    let path = PathBuf::from("desired-state/prod/consul.yaml");
    let spec = crate::spec::load::load(&[path]).specs().next().unwrap().1.clone();
    let world = World::new(0, FaultLevel::None);
    world.settle(&spec);
    let environment = Environment::simulated(vec![spec.clone()], world, None);
    let seen = environment.look(&spec);
    let after = again(&spec, &seen, &plan(&spec, &seen), Some(&status));
    assert_eq!(after.condition(ConditionKind::Suspended).unwrap().last_transition, Some(seen.now));
}

#[test]
fn those_that_need_a_person_stand_first_and_each_has_one_row() {
    let suspended = |spec: &mut ClusterSpec| {
        new_image(spec);
        spec.suspend = true;
    };
    let named = |mut status: Status, name: &str| {
        status.cluster = name.into();
        status
    };
    let mut calm = seen(|_| {}, |_, _| {}, |_| {});
    (calm.phase, calm.attention) = (crate::status::Phase::Settled, Attention::Settled);
    let clusters = [
        named(calm, "calm"),
        named(seen(new_image, |_, _| {}, |_| {}), "rolling"),
        named(seen(suspended, |_, _| {}, |_| {}), "held"),
        named(seen(|_| {}, |_, _| {}, blind), "dark"),
    ];
    let text = fleet::render(&clusters);
    let names: Vec<_> = text.lines().skip(1).map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    assert_eq!(names, ["dark", "held", "rolling", "calm", "4"], "{text}");
    assert!(text.contains("blocked by suspended"), "{text}");
    assert!(text.ends_with("4 clusters: 1 needs a person, 1 could not be seen, 1 under way, 1 settled\n"), "{text}");
}

#[test]
fn nothing_that_others_wrote_begins_a_line() {
    let steers = "x\n::error::y";
    let mut status = seen(new_image, |_, _| {}, |_| {});
    status.slots[0].image = Some(steers.into());
    status.orphans = vec![steers.to_owned()];
    status.notes = vec![steers.to_owned()];
    status.hints = vec![steers.to_owned()];
    status.answer = steers.to_owned();
    status.conditions.iter_mut().for_each(|condition| condition.message = steers.to_owned());
    let refusal =
        crate::status::Refusal { gate: "suspended", message: steers.to_owned(), hint: Some(steers.to_owned()) };
    status.refusals = vec![refusal];
    for is_wide in [false, true] {
        let text = screen::render(&status, is_wide);
        assert!(text.contains("runs x") != is_wide && text.contains("suspended: x"), "{text}");
        assert!(text.lines().all(|line| !line.trim_start().starts_with("::")), "{text}");
    }
    status.seen = false;
    assert!(!fleet::render(&[status]).contains("\n::error"), "in the reason too");
}
