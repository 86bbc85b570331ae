//! Rehearsals in the simulated world: what is found, and that nothing is left behind whatever comes of them.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::sync::Arc;
use std::time::Duration;

use hermitcrab::action::CloudEffect;
use hermitcrab::controller::converge::{Conclusion, Target};
use hermitcrab::controller::seats;
use hermitcrab::event::Listeners;
use hermitcrab::ids::{ClusterName, ImageId};
use hermitcrab::observed::{ClaimRecord, CloudView, Health, Membership, Remains};
use hermitcrab::plan::Goal;
use hermitcrab::ports::{
    Canaries, Clock, Cloud, Coordination, Decision, Members, Outside, OutsideWithCanaries, Wanted,
};
use hermitcrab::rehearsal::{Budget, Changes, Judgement, NoSource, Rehearsal, Report, Source, UnknownZone, copy, name};
use hermitcrab::sim::executor::block_on;
use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate::{settings, version};
use hermitcrab::spec::load::load;
use hermitcrab::spec::{ApplicationSpec, ClusterSpec, SlotSpec};
use hermitcrab::time::{Timestamp, after};

/// A decision that is not looked at for its age.
const AT_ANY_TIME: Decision = Decision { at: Timestamp::MIN, life: Duration::MAX, claim: None, revision: None };

#[path = "rehearse/required.rs"]
mod required;

const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

fn spec() -> ClusterSpec {
    let loaded = load(&["desired-state/prod/consul.yaml".into()]);
    loaded.specs().next().unwrap().1.clone()
}

const GENEROUS: Budget = Budget { member_down: None, write_stall: None, part: Duration::from_secs(3_600) };

/// Rehearses an image of which members do that, in a world where the cluster itself runs; stops after so long.
fn rehearse(payload: Payload, budget: Budget, stop_after: Duration) -> (Report, World) {
    rehearse_changed(payload, budget, stop_after, |_, _| Changes::default())
}

/// The same, of a copy in which something is otherwise.
fn rehearse_changed(
    payload: Payload,
    budget: Budget,
    stop_after: Duration,
    changes: impl FnOnce(&World, &ClusterSpec) -> Changes,
) -> (Report, World) {
    rehearse_in(|world| world, payload, budget, stop_after, changes)
}

/// The same, with ports that `outside` makes of the world's.
fn rehearse_in<O: OutsideWithCanaries + Clone>(
    outside: impl FnOnce(World) -> O,
    payload: Payload,
    budget: Budget,
    stop_after: Duration,
    changes: impl FnOnce(&World, &ClusterSpec) -> Changes,
) -> (Report, World) {
    let (world, spec) = (World::new(1, FaultLevel::None), spec());
    world.register_image(&spec.image, Payload::Good { version: version(&spec) });
    world.settle(&spec);
    world.advance_to(after(world.now(), Duration::from_secs(60)));
    let to = ClusterSpec { image: ImageId::from(NEW), ..spec.clone() };
    let mut copy = copy(&to, name(&spec.name, world.now()));
    world.register_image(&copy.image, payload);
    let changed = changes(&world, &spec).make(&mut copy).unwrap();
    world.declare(&copy);
    let rehearsal = Rehearsal { original: spec.name.clone(), copy, changed, from: spec.image.clone(), budget };
    let stop = Clock::sleep(&world, stop_after);
    let settings = settings(1);
    let rehearsed = rehearsal.run(outside(world.controller(0)), &settings, Listeners::default(), stop);
    let report = block_on(&world, rehearsed);
    (report, world)
}

/// Brings a cluster to a goal.
fn reach(world: &World, spec: &ClusterSpec, goal: Goal) -> Conclusion {
    let target = Target { spec: spec.clone(), goal, limit: Duration::from_secs(3_600) };
    block_on(world, target.reach(world.controller(0), settings(1), Listeners::default(), std::future::pending()))
}

fn view(world: &World, name: &ClusterName) -> Arc<CloudView> {
    let wanted = Wanted { region: spec().region, copies: true, ..Wanted::default() };
    block_on(world, world.sweep(&wanted)).unwrap().cluster(name)
}

fn members(world: &World, spec: &ClusterSpec) -> Membership {
    let seats = seats(&view(world, &spec.name));
    block_on(world, world.membership(spec, &seats)).unwrap()
}

/// The data of one of its followers.
fn with_data(world: &World, spec: &ClusterSpec) -> Changes {
    let data = Source::find(spec, &view(world, &spec.name), &members(world, spec)).unwrap();
    Changes { data: Some(data), ..Changes::default() }
}

/// Nothing of the copy is there, and the cluster itself is as it was.
fn nothing_is_left(report: &Report, world: &World) {
    let seen = |name: &ClusterName| {
        let view = view(world, name);
        let instances = view.live_instances().count();
        let volumes = view.present_volumes().count();
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
    assert!(report.judgement == Judgement::Passed && report.findings.is_empty(), "{report:?}");
    assert!(report.writes_acknowledged > 1_000 && report.writes_lost == 0, "{report:?}");
    assert!(report.member_down_seconds.values().all(|down| (10.0..120.0).contains(down)), "{report:?}");
    nothing_is_left(&report, &world);
}

/// A world whose application keeps no canaries.
#[derive(Clone)]
struct WithoutCanaries(World);

impl Outside for WithoutCanaries {
    type Cloud = World;
    type Members = World;
    type Coordination = World;
    type Clock = World;

    fn cloud(&self) -> &World {
        &self.0
    }

    fn members(&self) -> &World {
        &self.0
    }

    fn coordination(&self) -> &World {
        &self.0
    }

    fn clock(&self) -> &World {
        &self.0
    }
}

impl OutsideWithCanaries for WithoutCanaries {
    type Canaries = World;

    fn canaries_of(&self, _: &ApplicationSpec) -> Option<&World> {
        None
    }
}

#[test]
fn an_application_without_canaries_is_rehearsed_and_the_report_says_so() {
    let rehearse = |budget| rehearse_in(WithoutCanaries, good(), budget, NEVER, |_, _| Changes::default());
    let (report, world) = rehearse(GENEROUS);
    assert!(report.judgement == Judgement::Passed && report.writes_acknowledged == 0, "{report:?}");
    assert!(report.text().contains("none, because this application keeps no canaries"), "{}", report.text());
    assert_eq!(report.member_down_seconds.len(), 3, "members are watched all the same");
    nothing_is_left(&report, &world);
    let (report, _) = rehearse(Budget { write_stall: Some(Duration::from_secs(1)), ..GENEROUS });
    assert!(report.judgement == Judgement::Failed && report.findings[0].contains("is not known"), "{report:?}");
}

#[test]
fn an_image_that_loses_data_fails() {
    let (report, world) = rehearse(Payload::LosesData, GENEROUS, NEVER);
    assert!(report.judgement == Judgement::Failed && report.writes_lost >= 20, "{report:?}");
    assert!(report.findings[0].contains("acknowledged writes were missing"), "{report:?}");
    nothing_is_left(&report, &world);
}

#[test]
fn an_image_that_never_joins_fails() {
    let (report, world) = rehearse(Payload::NeverJoins, GENEROUS, NEVER);
    assert!(
        report.judgement == Judgement::Failed && report.findings[0].contains("has failed in rehearsal-consul-"),
        "{report:?}"
    );
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
    for after in [0, 5, 60, 200, 400, 500, 700] {
        let (report, world) = rehearse(good(), GENEROUS, Duration::from_secs(after));
        assert!(report.judgement == Judgement::Interrupted, "{after}: {report:?}");
        nothing_is_left(&report, &world);
    }
}

/// The group stays as it is, and has no copy.
#[test]
fn a_copy_is_in_no_group() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.args(["rehearse", "tests/fixtures/consul-group.yaml", "--image", NEW, "--cloud", "simulated"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("changed      instances of its own, not of consul-servers\n"), "{said}");
}

/// The cluster serves at its addresses all the while. The copy has others, which EC2 chooses.
#[test]
fn a_copy_takes_no_address_of_its_cluster() {
    const FILE: &str = "tests/fixtures/consul-addresses.yaml";
    let loaded = load(&[FILE.into()]);
    let spec = loaded.specs().next().unwrap().1.clone();
    let world = World::new(1, FaultLevel::None);
    world.settle(&spec);
    world.advance_to(after(world.now(), Duration::from_secs(60)));
    let to = ClusterSpec { image: ImageId::from(NEW), ..spec.clone() };
    let copy = copy(&to, name(&spec.name, world.now()));
    assert!(!copy.has_addresses());
    world.register_image(&copy.image, Payload::Good { version: version(&spec) });
    world.declare(&copy);
    let (original, from) = (spec.name.clone(), spec.image.clone());
    let rehearsal = Rehearsal { original, copy, changed: Vec::new(), from, budget: GENEROUS };
    let report = block_on(
        &world,
        rehearsal.run(world.controller(0), &settings(1), Listeners::default(), std::future::pending()),
    );
    assert!(report.judgement == Judgement::Passed && report.member_down_seconds.len() == 3, "{report:?}");
    let after = view(&world, &spec.name);
    let serves = |slot: &SlotSpec| {
        let instance = after.live_instances().find(|one| one.slot == slot.name).unwrap();
        instance.has(slot.address.unwrap())
    };
    assert!(spec.slots.iter().all(serves), "{after:?}");
    assert_eq!(world.calls().get("assign-address"), None);
    assert_eq!(world.violations(), []);

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    let output = command.args(["rehearse", FILE, "--image", NEW, "--cloud", "simulated"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("changed      addresses that EC2 chooses, not the fixed ones\n"), "{said}");
}

#[test]
fn one_with_data_passes_and_fails_as_one_without() {
    let (report, world) = rehearse_changed(good(), GENEROUS, NEVER, with_data);
    assert!(report.judgement == Judgement::Passed && report.writes_lost == 0, "{report:?}");
    assert_eq!(report.changed, ["data of consul-b"]);
    nothing_is_left(&report, &world);
    let (report, world) = rehearse_changed(Payload::LosesData, GENEROUS, NEVER, with_data);
    assert!(report.judgement == Judgement::Failed && report.writes_lost >= 20, "{report:?}");
    nothing_is_left(&report, &world);
    let (report, world) = rehearse_changed(Payload::NeverJoins, GENEROUS, NEVER, with_data);
    assert!(
        report.judgement == Judgement::Failed && report.findings[0].contains("has failed in rehearsal-consul-"),
        "{report:?}"
    );
    nothing_is_left(&report, &world);
}

#[test]
fn one_with_data_that_is_broken_off_leaves_no_snapshot() {
    for after in [0, 2, 5, 20, 60, 90, 95, 100, 110, 200, 400, 800] {
        let (report, world) = rehearse_changed(good(), GENEROUS, Duration::from_secs(after), with_data);
        assert!(report.judgement == Judgement::Interrupted, "{after}: {report:?}");
        nothing_is_left(&report, &world);
    }
}

#[test]
fn a_copy_with_data_has_the_clusters_data_and_nothing_to_do_with_the_cluster() {
    let (world, spec) = (World::new(3, FaultLevel::None), spec());
    world.register_image(&spec.image, good());
    world.settle(&spec);
    world.advance_to(after(world.now(), Duration::from_secs(60)));
    let own = seats(&view(&world, &spec.name));
    block_on(&world, world.write_canary(&spec, &own, "of-the-cluster", "data")).unwrap();
    let before = members(&world, &spec);
    let mut copy = copy(&spec, name(&spec.name, world.now()));
    with_data(&world, &spec).make(&mut copy).unwrap();
    world.declare(&copy);
    let reach = |goal| reach(&world, &copy, goal);
    assert_eq!(reach(Goal::AsDeclared), Conclusion::Reached);
    let theirs = seats(&view(&world, &copy.name));
    let found = block_on(&world, world.canaries(&copy, &theirs)).unwrap();
    assert_eq!(found.get("of-the-cluster").map(String::as_str), Some("data"));
    let (original, copied) = (members(&world, &spec), members(&world, &copy));
    assert_eq!((original.leader, original.members.len()), (before.leader, 3));
    assert_eq!(copied.members.len(), 3);
    let ids = |members: Vec<hermitcrab::observed::Member>| members.into_iter().map(|member| member.id);
    assert!(ids(copied.members).all(|id| !ids(original.members.clone()).any(|other| other == id)), "a member of both");
    assert_eq!(reach(Goal::Gone(Remains::Nothing)), Conclusion::Reached);
    assert_eq!(view(&world, &copy.name).snapshots, []);
    assert_eq!(world.violations(), []);
}

/// A crash before the first volume is made leaves a snapshot alone.
#[test]
fn a_snapshot_that_is_left_alone_is_found_and_swept() {
    let (world, spec) = (World::new(1, FaultLevel::None), spec());
    world.register_image(&spec.image, good());
    world.settle(&spec);
    let copy = copy(&spec, name(&spec.name, world.now()));
    world.declare(&copy);
    let volume = view(&world, &spec.name).volumes[0].id.clone();
    let slot = copy.slots[0].name.clone();
    let effect = CloudEffect::CopyVolume { volume, of: spec.name.clone(), slot: slot.clone(), name: "data".into() };
    block_on(&world, Cloud::change(&world, &copy, Some(&slot), &effect, &AT_ANY_TIME)).unwrap();
    let found = |copies| {
        let wanted = Wanted { region: spec.region.clone(), copies, ..Wanted::default() };
        block_on(&world, world.sweep(&wanted)).unwrap().clusters.contains_key(&copy.name)
    };
    assert_eq!((found(true), found(false)), (true, false));
    let conclusion = reach(&world, &copy, Goal::Gone(Remains::Nothing));
    assert_eq!((conclusion, found(true)), (Conclusion::Reached, false));
    assert_eq!(world.violations(), []);
}

#[test]
fn data_is_taken_of_a_healthy_follower_alone() {
    let (world, spec) = (World::new(1, FaultLevel::None), spec());
    world.register_image(&spec.image, good());
    world.settle(&spec);
    world.advance_to(after(world.now(), Duration::from_secs(60)));
    let (view, members) = (view(&world, &spec.name), members(&world, &spec));
    let leader = members.leader.clone().unwrap();
    let found = Source::find(&spec, &view, &members).unwrap();
    assert_ne!(members.of_slot(&found.slot).unwrap().id, leader);
    let mut ill = members.clone();
    for member in ill.members.iter_mut().filter(|member| member.slot.as_ref() == Some(&found.slot)) {
        member.health = Health::Unhealthy("serf failed".to_owned());
    }
    let other = Source::find(&spec, &view, &ill).unwrap();
    assert!(other.slot != found.slot && ill.of_slot(&other.slot).unwrap().id != leader, "{other:?}");
    ill.members.iter_mut().for_each(|member| member.counts = member.id == leader);
    assert_eq!(Source::find(&spec, &view, &ill), Err(NoSource::NoFollower(spec.name.clone())));
    let without = CloudView { volumes: Vec::new(), ..CloudView::clone(&view) };
    let missing = NoSource::NoVolume { slot: found.slot, volume: "data".into() };
    assert_eq!(Source::find(&spec, &without, &members), Err(missing));
}

#[test]
fn a_copy_may_be_put_elsewhere_and_says_so() {
    let spec = spec();
    let mut copy = copy(&spec, name(&spec.name, "2026-01-05T09:00:00Z".parse().unwrap()));
    let subnets = [("us-east-1b".into(), "subnet-0elsewhere".to_owned())].into();
    let (instance_type, security_groups) = (Some("t3.small".to_owned()), ["sg-0other".to_owned()].into());
    let changes = Changes { instance_type, subnets, security_groups, data: None };
    let told = changes.make(&mut copy).unwrap();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("instance type ") && told[0].ends_with(" → t3.small"), "{told:?}");
    assert!(told[1].starts_with("subnet in us-east-1b subnet-") && told[1].ends_with(" → subnet-0elsewhere"));
    assert!(told[2].starts_with("security groups sg-") && told[2].ends_with(" → sg-0other"), "{told:?}");
    assert_eq!(changes.make(&mut copy).unwrap(), [""; 0], "nothing is otherwise any more");
    let moved: Vec<_> = copy.slots.iter().filter(|slot| slot.subnet == "subnet-0elsewhere").collect();
    assert!(moved.len() == 1 && &*moved[0].zone == "us-east-1b", "{moved:?}");
    let nowhere = Changes { subnets: [("us-east-1f".into(), "subnet-1".to_owned())].into(), ..Changes::default() };
    let unknown: UnknownZone = nowhere.make(&mut copy).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "consul-prod has no slot in us-east-1f; its zones are us-east-1a, us-east-1b, us-east-1c"
    );
}

#[test]
fn the_command_says_what_is_otherwise_in_the_copy() {
    let rehearse = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.args(["rehearse", "desired-state/prod/consul.yaml", "--image", NEW, "--cloud", "simulated"]).args(more);
        let output = command.output().unwrap();
        let said = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), said(output.stdout), said(output.stderr))
    };
    let (code, report, notes) = rehearse(&["--with-data", "--subnet", "us-east-1b=subnet-0e15e"]);
    let changed = |line: &&str| line.trim_start().starts_with("changed");
    let (in_report, in_notes) = (report.lines().find(changed).unwrap(), notes.lines().find(changed).unwrap());
    for line in [in_report, in_notes] {
        let words = ["subnet in us-east-1b subnet-", " → subnet-0e15e; data of consul-"];
        assert!(words.iter().all(|words| line.contains(words)), "{line}");
    }
    assert_eq!(code, Some(0), "{report}{notes}");
    for (more, words) in [
        (["--subnet", "us-east-1f=subnet-1"], "consul-prod has no slot in us-east-1f; its zones are us-east-1a, "),
        (["--subnet", "subnet-1"], "write the zone and the subnet, as in"),
        (["--security-group", "default"], "the id of a security group begins with `sg-`"),
    ] {
        let (code, _, said) = rehearse(&more);
        assert!(code != Some(0) && said.contains(words), "{said}");
    }
}
