//! Rehearsals in the simulated world: what is found, and that nothing is left behind whatever comes of them.
#![allow(clippy::unwrap_used)] // what the tests call is a test too

use std::time::Duration;

use hermitcrab::controller::{Audience, Report as Told};
use hermitcrab::ids::{ClusterName, ImageId};
use hermitcrab::observed::{ClaimRecord, VolumeState};
use hermitcrab::ports::{Clock, Cloud, Coordination, Outcome, PortError, Wanted};
use hermitcrab::rehearsal::{Budget, Rehearsal, Report, copy, name};
use hermitcrab::sim::executor::block_on;
use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate::{settings, version};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;

const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

struct Nobody;

impl Audience for Nobody {
    fn planned(&self, _: &Told<'_>) {}
    fn acted(&self, _: &Told<'_>, _: &Result<Outcome, PortError>) {}
}

fn spec() -> ClusterSpec {
    let loaded = load(&["desired-state/prod/consul.yaml".into()]);
    loaded.specs().next().unwrap().1.clone()
}

const GENEROUS: Budget = Budget { member_down: None, write_stall: None, part: Duration::from_secs(3_600) };

/// Rehearses an image of which members do that, in a world where the cluster itself runs; stops after so long.
fn rehearse(payload: Payload, budget: Budget, stop_after: Duration) -> (Report, World) {
    let (world, spec) = (World::new(1, FaultLevel::None), spec());
    world.register_image(&spec.image, Payload::Good { version: version(&spec) });
    world.settle(&spec);
    let to = ClusterSpec { image: ImageId::from(NEW), ..spec.clone() };
    let copy = copy(&to, name(&spec.name, world.now()));
    world.register_image(&copy.image, payload);
    world.declare(&copy);
    let rehearsal = Rehearsal { original: spec.name.clone(), copy, from: spec.image.clone(), budget };
    let stop = Clock::sleep(&world, stop_after);
    let report = block_on(&world, rehearsal.run(world.controller(0), || settings(1), &Nobody, stop));
    (report, world)
}

/// Nothing of the copy is there, and the cluster itself is as it was.
fn nothing_is_left(report: &Report, world: &World) {
    let seen = |name: &ClusterName| {
        let wanted = Wanted { region: spec().region, ..Wanted::default() };
        let view = block_on(world, world.sweep(&wanted)).unwrap().cluster(name);
        let instances = view.instances.iter().filter(|instance| instance.state.is_live()).count();
        let volumes = view.volumes.iter().filter(|volume| volume.state != VolumeState::Deleted).count();
        (instances, volumes, view.snapshots.len())
    };
    assert_eq!(seen(&report.copy), (0, 0, 0));
    assert_eq!(seen(&report.cluster), (3, 3, 0));
    assert_eq!(block_on(world, Coordination::read(world, &report.copy)).unwrap(), ClaimRecord::default());
    assert_eq!(world.violations(), []);
}

const NEVER: Duration = Duration::from_secs(30 * 24 * 3_600);

fn good() -> Payload {
    Payload::Good { version: version(&spec()) }
}

#[test]
fn a_good_image_passes() {
    let (report, world) = rehearse(good(), GENEROUS, NEVER);
    assert!(report.passed && report.findings.is_empty(), "{report:?}");
    assert!(report.writes_acknowledged > 1_000 && report.writes_lost == 0, "{report:?}");
    assert!(report.member_down_seconds.values().all(|down| (10.0..120.0).contains(down)), "{report:?}");
    nothing_is_left(&report, &world);
}

#[test]
fn an_image_that_loses_data_fails() {
    let (report, world) = rehearse(Payload::LosesData, GENEROUS, NEVER);
    assert!(!report.passed && report.writes_lost >= 20, "{report:?}");
    assert!(report.findings[0].contains("acknowledged writes were missing"), "{report:?}");
    nothing_is_left(&report, &world);
}

#[test]
fn an_image_that_never_joins_fails() {
    let (report, world) = rehearse(Payload::NeverJoins, GENEROUS, NEVER);
    assert!(!report.passed && report.findings[0].contains("has failed in rehearsal-consul-"), "{report:?}");
    nothing_is_left(&report, &world);
}

#[test]
fn one_that_costs_more_than_it_may_fails() {
    let second = Some(Duration::from_secs(1));
    let budget = Budget { member_down: second, ..GENEROUS };
    let (report, world) = rehearse(good(), budget, NEVER);
    assert_eq!(report.findings.len(), 3, "{report:?}");
    assert!(report.findings.iter().all(|finding| finding.ends_with("and may be for 1s")), "{report:?}");
    nothing_is_left(&report, &world);
    let budget = Budget { write_stall: Some(Duration::from_millis(1)), ..GENEROUS };
    let (report, _) = rehearse(good(), budget, NEVER);
    assert!(report.findings[0].starts_with("nothing could be written for"), "{report:?}");
}

#[test]
fn one_that_is_broken_off_leaves_nothing_either() {
    for after in [0, 5, 60, 200, 400, 500, 800] {
        let (report, world) = rehearse(good(), GENEROUS, Duration::from_secs(after));
        assert!(report.broken_off && !report.passed, "{after}: {report:?}");
        nothing_is_left(&report, &world);
    }
}
