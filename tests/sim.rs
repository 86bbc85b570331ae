//! The simulated world behaves as EC2 and Consul do, and notices when a safety rule is broken.
#![allow(clippy::unwrap_used)] // the hands of a test, too, may panic

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use hermitcrab::action::{ClaimEffect, CloudEffect, CreateVolume, GroupEffect, Launch, MemberEffect};
use hermitcrab::ids::{Attempt, ClusterName, ImageId, InstanceId, Owner, SlotName, Token, VolumeId, Zone};
use hermitcrab::observed::{
    AttachmentPhase, Checks, Claim, CloudView, Ending, Health, Instance, InstanceState, Membership, Process, Purpose,
    Remains, Volume, VolumeState,
};
use hermitcrab::ports::{Canaries, Clock, Cloud, Coordination, ErrorKind, Members, Outcome, PortError, Seat, Wanted};
use hermitcrab::sim::{Executor, FaultLevel, Payload, What, World, block_on};
use hermitcrab::spec::*;
use hermitcrab::time::{Timestamp, after, elapsed};

const OLD: &str = "ami-0aa11bb22cc33dd44";
const NEW: &str = "ami-0ee55ff66aa77bb88";
const VERSION: &str = "1.20.1";

fn spec(name: &str, slots: usize) -> ClusterSpec {
    let slot = |number: usize| {
        let letter = char::from(b'a' + number as u8);
        SlotSpec {
            name: SlotName::from(format!("{name}-{letter}")),
            zone: Zone::from(format!("us-east-1{letter}")),
            subnet: format!("subnet-{letter}"),
        }
    };
    ClusterSpec {
        name: ClusterName::from(name),
        environment: "test".to_owned(),
        region: "us-east-1".to_owned(),
        account: None,
        image: ImageId::from(OLD),
        application: ApplicationSpec::Consul(ConsulSpec {
            datacenter: "dc1".to_owned(),
            scheme: Scheme::Http,
            port: 8500,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            token_file: None,
            version: Some(VERSION.to_owned()),
            manage_autopilot: true,
        }),
        instance: InstanceSpec {
            instance_type: "m7i.large".to_owned(),
            iam_instance_profile: None,
            security_groups: BTreeSet::from(["sg-1".to_owned()]),
            key_name: None,
            user_data: None,
            tags: BTreeMap::from([("team".to_owned(), "storage".to_owned())]),
        },
        capacity: Default::default(),
        volumes: vec![VolumeSpec {
            name: "data".into(),
            device: "/dev/sdf".to_owned(),
            size_gib: 20,
            volume_type: "gp3".to_owned(),
            encrypted: true,
            snapshot_before_replace: false,
        }],
        slots: (0..slots).map(slot).collect(),
        rollout: Rollout {
            strategy: Strategy::Surge,
            bake_time: Duration::from_secs(60),
            join_deadline: Duration::from_secs(600),
            on_failure: OnFailure::Rollback,
            approval: Approval::Never,
            approved: None,
            rehearsal: Default::default(),
            windows: Vec::new(),
        },
        suspend: false,
        freeze: false,
        deletion_protection: true,
        origin: None,
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// A world with one cluster, and hands to work on it.
struct Stage {
    world: World,
    spec: ClusterSpec,
}

impl Stage {
    /// `consul` with three settled members, and a new image beside the old one.
    fn settled() -> Self {
        Self::settled_on(World::new(7, FaultLevel::None), VERSION)
    }

    fn settled_on(world: World, version: &str) -> Self {
        let spec = spec("consul", 3);
        world.register_image(&ImageId::from(OLD), Payload::Good { version: version.to_owned() });
        world.register_image(&ImageId::from(NEW), Payload::Good { version: version.to_owned() });
        world.settle(&spec);
        Self { world, spec }
    }

    fn slot(&self, number: usize) -> SlotName {
        self.spec.slots[number].name.clone()
    }

    fn pass(&self, span: Duration) {
        block_on(&self.world, self.world.sleep(span));
    }

    fn view(&self) -> std::sync::Arc<CloudView> {
        let sweep = block_on(&self.world, self.world.sweep(&Wanted::default())).unwrap();
        sweep.cluster(&self.spec.name)
    }

    fn instance(&self, id: &InstanceId) -> Instance {
        self.view().instance(id).unwrap().clone()
    }

    fn volume(&self, id: &VolumeId) -> Volume {
        self.view().volumes.iter().find(|volume| volume.id == *id).unwrap().clone()
    }

    /// The oldest live instance of a slot, and its volume.
    fn of(&self, number: usize) -> (InstanceId, VolumeId) {
        let slot = self.slot(number);
        let instance = self.world.instances_of(&self.spec.name, &slot)[0].clone();
        (instance, self.world.volumes_of(&self.spec.name, &slot)[0].clone())
    }

    fn seats(&self) -> Vec<Seat> {
        let running = |instance: &&Instance| instance.state == InstanceState::Running;
        let seat = |instance: &Instance| Seat {
            slot: instance.slot.clone(),
            instance: instance.id.clone(),
            address: instance.address.unwrap(),
        };
        self.view().instances.iter().filter(running).map(seat).collect()
    }

    fn try_membership(&self) -> Result<Membership, PortError> {
        let seats = self.seats();
        block_on(&self.world, self.world.membership(&self.spec, &seats))
    }

    fn membership(&self) -> Membership {
        self.try_membership().unwrap()
    }

    fn is_well(&self, number: usize) -> bool {
        let member = self.membership().of_slot(&self.slot(number)).cloned();
        member.is_some_and(|member| member.counts && member.health == Health::Healthy)
    }

    /// The number of a slot whose member does not lead.
    fn follower(&self) -> usize {
        let membership = self.membership();
        let leads = |number: &usize| {
            let member = membership.of_slot(&self.slot(*number)).unwrap();
            Some(&member.id) == membership.leader.as_ref()
        };
        (0..3).find(|number| !leads(number)).unwrap()
    }

    fn try_do(&self, number: usize, effect: CloudEffect) -> Result<Outcome, PortError> {
        let slot = self.slot(number);
        block_on(&self.world, Cloud::change(&self.world, &self.spec, Some(&slot), &effect))
    }

    fn act(&self, number: usize, effect: CloudEffect) -> Outcome {
        self.try_do(number, effect).unwrap()
    }

    fn force(&self, number: usize, effect: CloudEffect) -> Result<Outcome, PortError> {
        self.view(); // a controller that looks, and then does not check
        self.world.send_unchecked(&self.spec.name, Some(&self.slot(number)), &effect)
    }

    fn launch(&self, number: usize, attempt: u32) -> Launch {
        let slot = &self.spec.slots[number];
        let volumes = self.world.volumes_of(&self.spec.name, &slot.name);
        Launch {
            token: Token::from(format!("{}-{attempt}", slot.name)),
            make: self.spec.make_on(&ImageId::from(NEW)),
            user_data_text: None,
            zone: slot.zone.clone(),
            subnet: slot.subnet.clone(),
            tags: BTreeMap::new(),
            owner: Owner::from("hermitcrab"),
            generation: self.spec.generation_on(&ImageId::from(NEW)),
            attempt: Attempt(attempt),
            volumes: volumes.into_iter().map(|id| ("data".into(), id)).collect(),
        }
    }

    fn launches(&self, number: usize, attempt: u32) -> InstanceId {
        let launch = CloudEffect::Launch(Box::new(self.launch(number, attempt)));
        let Outcome::Launched(id) = self.act(number, launch) else { panic!("nothing was launched") };
        id
    }

    fn attach(&self, volume: &VolumeId, instance: &InstanceId) -> CloudEffect {
        CloudEffect::Attach { volume: volume.clone(), instance: instance.clone(), device: "/dev/sdf".to_owned() }
    }

    fn detach(&self, volume: &VolumeId, instance: &InstanceId) -> CloudEffect {
        CloudEffect::Detach { volume: volume.clone(), instance: instance.clone(), device: "/dev/sdf".to_owned() }
    }

    /// Stops the old instance and moves its volume to a new one, and waits until it is there.
    fn moves_to_a_new_shell(&self, number: usize, attempt: u32) -> (InstanceId, InstanceId) {
        let (old, volume) = self.of(number);
        let new = self.launches(number, attempt);
        self.pass(seconds(60));
        self.view();
        self.act(number, stop(&old));
        self.pass(seconds(61));
        self.view();
        assert_eq!(self.act(number, self.detach(&volume, &old)), Outcome::Done);
        self.pass(seconds(21));
        assert_eq!(self.act(number, self.attach(&volume, &new)), Outcome::Done);
        self.pass(seconds(6));
        (old, new)
    }

    /// Brings slots to the new image, one after the other, and writes a canary before each new member is back.
    fn rolls(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let (old, _) = self.moves_to_a_new_shell(number, 4 + number as u32);
            self.write(&format!("roll/{number}"), "meanwhile").unwrap();
            self.pass(seconds(60));
            assert!(self.is_well(number), "slot {number}");
            self.act(number, retire(&old));
            self.view();
            assert_eq!(self.act(number, terminate(&old)), Outcome::Done);
            self.pass(seconds(91));
        }
    }

    fn write(&self, key: &str, value: &str) -> Result<(), PortError> {
        let seats = self.seats();
        block_on(&self.world, self.world.write_canary(&self.spec, &seats, key, value))
    }

    /// What the cluster has, as `key=value` in one line.
    fn try_canaries(&self) -> Result<String, PortError> {
        let seats = self.seats();
        let found = block_on(&self.world, self.world.canaries(&self.spec, &seats))?;
        Ok(found.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "))
    }

    fn canaries(&self) -> String {
        self.try_canaries().unwrap()
    }

    /// No member is pruned.
    fn keeps_members(&self) {
        let (seats, effect) = (self.seats(), MemberEffect::SetPruning { down_to: 3 });
        block_on(&self.world, Members::change(&self.world, &self.spec, &seats, &effect)).unwrap();
    }

    /// Has a slot's member lead.
    fn enthrones(&self, number: usize) {
        let (membership, seats) = (self.membership(), self.seats());
        let to = membership.of_slot(&self.slot(number)).unwrap().id.clone();
        let effect = MemberEffect::TransferLeadership { from: membership.leader.unwrap(), to: to.clone() };
        block_on(&self.world, Members::change(&self.world, &self.spec, &seats, &effect)).unwrap();
        self.pass(seconds(1));
        assert_eq!(self.membership().leader, Some(to));
    }

    fn stops(&self, number: usize) {
        self.world.stop_instance(&self.of(number).0);
        self.pass(seconds(61));
    }

    fn starts(&self, number: usize) {
        self.world.start_instance(&self.of(number).0);
        self.pass(seconds(90));
    }

    fn broken(&self) -> Vec<String> {
        self.world.violations().into_iter().map(|violation| violation.rule.name().to_owned()).collect()
    }
}

fn start() -> Timestamp {
    "2026-01-05T09:00:00Z".parse().unwrap()
}

fn stop(instance: &InstanceId) -> CloudEffect {
    CloudEffect::Stop { instance: instance.clone() }
}

fn terminate(instance: &InstanceId) -> CloudEffect {
    CloudEffect::Terminate { instance: instance.clone() }
}

fn retire(instance: &InstanceId) -> CloudEffect {
    CloudEffect::Retire { instance: instance.clone() }
}

#[test]
fn a_settled_cluster_is_healthy_and_stays_so() {
    let stage = Stage::settled();
    for _ in 0..3 {
        let membership = stage.membership();
        assert!(membership.leader.is_some() && membership.can_transfer);
        assert!((0..3).all(|number| stage.is_well(number)));
        stage.pass(seconds(3_600));
    }
    assert_eq!(stage.view().instances.len(), 3);
    assert_eq!(stage.world.violations(), []);
}

#[test]
fn a_member_comes_back_as_itself_when_its_volume_moves_to_a_new_shell() {
    let stage = Stage::settled();
    let number = stage.follower();
    let before = stage.membership().of_slot(&stage.slot(number)).unwrap().clone();
    let (old, new) = stage.moves_to_a_new_shell(number, 4);
    stage.pass(seconds(60));
    let after = stage.membership().of_slot(&stage.slot(number)).unwrap().clone();
    assert!(stage.is_well(number));
    assert_eq!(after.id, before.id);
    assert_eq!(after.address, stage.instance(&new).address);
    assert_ne!(after.address, before.address);
    stage.act(number, retire(&old));
    stage.view();
    assert_eq!(stage.act(number, terminate(&old)), Outcome::Done);
    stage.pass(seconds(91));
    assert_eq!(stage.instance(&old).state, InstanceState::Terminated);
    assert_eq!(stage.world.violations(), []);
}

#[test]
fn an_instance_shows_for_an_hour_after_it_was_terminated() {
    let stage = Stage::settled();
    let new = stage.launches(0, 4);
    stage.pass(seconds(60));
    stage.act(0, retire(&new));
    stage.view();
    stage.act(0, terminate(&new));
    stage.pass(seconds(91));
    assert_eq!(stage.instance(&new).state, InstanceState::Terminated);
    stage.pass(seconds(3_600));
    assert!(stage.view().instance(&new).is_none());
}

#[test]
fn checks_pass_some_time_after_the_instance_runs() {
    let stage = Stage::settled();
    let new = stage.launches(0, 4);
    assert_eq!(stage.instance(&new).state, InstanceState::Pending);
    stage.pass(seconds(31));
    assert_eq!(stage.instance(&new).state, InstanceState::Running);
    stage.pass(seconds(90));
    assert_eq!(stage.instance(&new).checks, Checks::Ok);
}

#[test]
fn launching_twice_with_one_token_gives_one_instance() {
    let stage = Stage::settled();
    let first = stage.launches(0, 4);
    assert_eq!(stage.launches(0, 4), first);
    assert_eq!(stage.view().instances.len(), 4);
}

#[test]
fn a_token_is_spent_when_its_instance_is_gone_or_it_was_used_for_something_else() {
    let stage = Stage::settled();
    let first = stage.launches(0, 4);
    let mut other = stage.launch(0, 4);
    other.make.instance_type = "m7i.xlarge".to_owned();
    let refused = stage.try_do(0, CloudEffect::Launch(Box::new(other))).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TokenSpent);
    stage.world.terminate_instance(&first);
    let refused = stage.try_do(0, CloudEffect::Launch(Box::new(stage.launch(0, 4)))).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TokenSpent);
}

#[test]
fn an_unknown_image_an_empty_zone_and_a_full_subnet_refuse_a_launch() {
    let stage = Stage::settled();
    let mut launch = stage.launch(0, 4);
    launch.make.image = ImageId::from("ami-unheard-of");
    let kind = |launch: Launch| stage.try_do(0, CloudEffect::Launch(Box::new(launch))).unwrap_err().kind;
    assert_eq!(kind(launch), ErrorKind::NotFound);
    stage.world.exhaust_capacity(&stage.spec.slots[0].zone, seconds(60));
    assert_eq!(kind(stage.launch(0, 4)), ErrorKind::NoCapacity);
    stage.pass(seconds(61));
    stage.world.set_free_addresses("subnet-a", 0);
    assert_eq!(kind(stage.launch(0, 4)), ErrorKind::NoCapacity);
    stage.world.set_free_addresses("subnet-a", 9);
    stage.launches(0, 4);
}

#[test]
fn an_adapter_refuses_to_detach_from_a_running_instance() {
    let stage = Stage::settled();
    let (instance, volume) = stage.of(0);
    let found = stage.act(0, stage.detach(&volume, &instance));
    assert!(matches!(found, Outcome::Changed { .. }), "{found:?}");
    assert_eq!(stage.world.violations(), []);
}

#[test]
fn an_adapter_refuses_to_terminate_what_is_not_retired_or_has_a_volume() {
    let stage = Stage::settled();
    let (instance, _) = stage.of(0);
    assert!(matches!(stage.act(0, terminate(&instance)), Outcome::Changed { .. }));
    stage.act(0, retire(&instance));
    assert!(matches!(stage.act(0, terminate(&instance)), Outcome::Changed { .. }));
    assert_eq!(stage.instance(&instance).state, InstanceState::Running);
}

#[test]
fn a_volume_goes_only_where_it_can() {
    let stage = Stage::settled();
    let (old, volume) = stage.of(0);
    let new = stage.launches(0, 4);
    assert!(matches!(stage.act(0, stage.attach(&volume, &new)), Outcome::Changed { .. }), "it is in use");
    assert_eq!(stage.act(0, stage.attach(&volume, &old)), Outcome::AlreadySo);
    stage.view();
    stage.act(0, stop(&old));
    stage.pass(seconds(61));
    stage.view();
    stage.act(0, stage.detach(&volume, &old));
    let VolumeState::InUse(at) = stage.volume(&volume).state else { panic!("it is still in use") };
    assert_eq!(at.phase, AttachmentPhase::Detaching);
    stage.pass(seconds(21));
    assert_eq!(stage.act(0, stage.detach(&volume, &old)), Outcome::AlreadySo);
    let (elsewhere, _) = stage.of(1);
    assert_eq!(stage.try_do(1, stage.attach(&volume, &elsewhere)).unwrap_err().kind, ErrorKind::Invalid);
    stage.world.revoke_key(&volume);
    assert_eq!(stage.try_do(0, stage.attach(&volume, &new)).unwrap_err().kind, ErrorKind::Denied);
}

#[test]
fn a_stopped_follower_is_pruned_unless_that_is_forbidden() {
    for (down_to, expected) in [(0, 2), (3, 3)] {
        let stage = Stage::settled();
        let seats = stage.seats();
        if down_to > 0 {
            let effect = MemberEffect::SetPruning { down_to };
            let set = || block_on(&stage.world, Members::change(&stage.world, &stage.spec, &seats, &effect));
            assert_eq!([set().unwrap(), set().unwrap()], [Outcome::Done, Outcome::AlreadySo]);
        }
        let number = stage.follower();
        stage.act(number, stop(&stage.of(number).0));
        stage.pass(seconds(3));
        assert_eq!(stage.membership().members.len(), 3, "it takes gossip 5–7 s to notice");
        stage.pass(seconds(20));
        let membership = stage.membership();
        assert_eq!(membership.members.len(), expected);
        assert!(membership.leader.is_some());
        let stopped = membership.of_slot(&stage.slot(number));
        assert_eq!(stopped.map(|member| member.health.clone()), (expected == 3).then(ill("serf failed")));
    }
}

fn ill(why: &str) -> impl FnOnce() -> Health {
    let why = why.to_owned();
    move || Health::Unhealthy(why)
}

#[test]
fn a_pruned_member_comes_back_as_a_non_voter_and_is_promoted() {
    let stage = Stage::settled();
    let number = stage.follower();
    stage.moves_to_a_new_shell(number, 4);
    stage.pass(seconds(2));
    let came = (0..20).find_map(|_| {
        stage.pass(seconds(1));
        stage.membership().of_slot(&stage.slot(number)).cloned()
    });
    assert!(!came.unwrap().counts);
    stage.pass(seconds(25));
    assert!(stage.is_well(number));
}

#[test]
fn before_1_9_a_new_address_costs_the_vote_for_a_while_and_since_then_it_does_not() {
    for (version, keeps_vote) in [("1.8.7", false), ("1.9.0", true)] {
        let stage = Stage::settled_on(World::new(7, FaultLevel::None), version);
        let (number, seats) = (stage.follower(), stage.seats());
        let effect = MemberEffect::SetPruning { down_to: 3 };
        block_on(&stage.world, Members::change(&stage.world, &stage.spec, &seats, &effect)).unwrap();
        let (_, new) = stage.moves_to_a_new_shell(number, 4);
        let address = stage.instance(&new).address;
        let voted = (0..60).find_map(|_| {
            stage.pass(Duration::from_millis(300));
            let member = stage.membership().of_slot(&stage.slot(number)).cloned().unwrap();
            (member.address == address).then_some(member.counts)
        });
        assert_eq!(voted, Some(keeps_vote), "{version}");
        stage.pass(seconds(25));
        assert!(stage.is_well(number));
    }
}

#[test]
fn an_auto_scaling_group_destroys_what_is_stopped() {
    let stage = Stage::settled();
    let (instance, _) = stage.of(0);
    stage.world.edit_instance(&instance, |seen| seen.auto_scaling_group = Some("servers".to_owned()));
    stage.act(0, stop(&instance));
    stage.pass(seconds(151));
    assert_eq!(stage.instance(&instance).state, InstanceState::Terminated);
}

#[test]
fn the_same_name_at_a_new_address_waits_until_the_old_one_is_long_gone() {
    let stage = Stage::settled();
    let number = stage.follower();
    let slot = stage.slot(number);
    let (old, volume) = stage.of(number);
    let new = stage.launches(number, 4);
    stage.pass(seconds(60));
    // Somebody pulls the volume over while the old member still runs, so that the new one starts at once.
    stage.world.stop_instance(&old);
    stage.pass(seconds(1));
    stage.force(number, stage.detach(&volume, &old)).unwrap();
    stage.pass(seconds(21));
    stage.act(number, stage.attach(&volume, &new));
    let attached = stage.world.now();
    let address = stage.instance(&new).address;
    while stage.membership().of_slot(&slot).is_none_or(|member| member.address != address) {
        stage.pass(seconds(1));
    }
    let took = elapsed(stage.world.now(), attached);
    assert!(took > seconds(30) && took < seconds(50), "refused, and tried again after 30 s: {took:?}");
}

#[test]
fn without_a_leader_for_three_to_four_seconds_the_members_still_answer() {
    let stage = Stage::settled();
    let leads = stage.membership().leader;
    stage.world.lose_leader(&stage.spec.name);
    let lost = stage.world.now();
    let membership = stage.membership();
    assert_eq!((membership.leader, membership.members.len()), (None, 3));
    assert!(membership.members.iter().all(|member| matches!(member.health, Health::Unknown(_))));
    while stage.membership().leader.is_none() {}
    let took = elapsed(stage.world.now(), lost).as_secs_f64();
    assert!((3.0..6.0).contains(&took), "{took} s");
    assert!(leads.is_some());
}

#[test]
fn a_stopped_leader_is_followed_by_another() {
    let stage = Stage::settled();
    let before = stage.membership();
    let number = (0..3).find(|n| before.of_slot(&stage.slot(*n)).map(|m| &m.id) == before.leader.as_ref()).unwrap();
    stage.act(number, stop(&stage.of(number).0));
    stage.pass(seconds(6));
    let leader = stage.membership().leader;
    assert!(leader.is_some() && leader != before.leader);
}

#[test]
fn leadership_moves_only_from_who_has_it_and_only_where_the_version_offers_it() {
    let transfer = |stage: &Stage, from: usize, to: usize| {
        let membership = stage.membership();
        let id = |number: usize| membership.of_slot(&stage.slot(number)).unwrap().id.clone();
        let effect = MemberEffect::TransferLeadership { from: id(from), to: id(to) };
        let seats = stage.seats();
        block_on(&stage.world, Members::change(&stage.world, &stage.spec, &seats, &effect))
    };
    let stage = Stage::settled();
    let to = stage.follower();
    let membership = stage.membership();
    let from = (0..3).find(|n| membership.leader == Some(membership.of_slot(&stage.slot(*n)).unwrap().id.clone()));
    let third = (0..3).find(|number| *number != to && Some(*number) != from).unwrap();
    assert!(matches!(transfer(&stage, third, to).unwrap(), Outcome::Changed { .. }));
    assert_eq!(transfer(&stage, from.unwrap(), to).unwrap(), Outcome::Done);
    stage.pass(seconds(1));
    let membership = stage.membership();
    assert_eq!(membership.leader, membership.of_slot(&stage.slot(to)).map(|member| member.id.clone()));

    let old = Stage::settled_on(World::new(7, FaultLevel::None), "1.14.11");
    assert!(!old.membership().can_transfer);
    assert_eq!(transfer(&old, from.unwrap(), to).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn nobody_answers_while_the_members_are_hidden() {
    let stage = Stage::settled();
    stage.world.hide_members(&stage.spec.name, seconds(30));
    assert_eq!(stage.try_membership().unwrap_err().kind, ErrorKind::Unreachable);
    stage.pass(seconds(31));
    assert!(stage.is_well(0));
    assert_eq!(
        block_on(&stage.world, stage.world.membership(&stage.spec, &[])).unwrap_err().kind,
        ErrorKind::Unreachable
    );
}

#[test]
fn a_new_cluster_forms_when_all_its_members_are_there() {
    let world = World::new(3, FaultLevel::None);
    world.register_image(&ImageId::from(NEW), Payload::Good { version: VERSION.to_owned() });
    let stage = Stage { world, spec: spec("fresh", 3) };
    stage.world.declare(&stage.spec);
    for number in 0..3 {
        if number == 2 {
            stage.pass(seconds(60));
            assert_eq!(stage.membership().leader, None);
        }
        let slot = &stage.spec.slots[number];
        let create = CloudEffect::CreateVolume(CreateVolume {
            token: Token::from(format!("blank-{}", slot.name)),
            name: "data".into(),
            zone: slot.zone.clone(),
            size_gib: 20,
            volume_type: "gp3".to_owned(),
            encrypted: true,
            snapshot: None,
            owner: Owner::from("hermitcrab"),
            slots: BTreeSet::from([slot.name.clone()]),
        });
        let Outcome::Created(volume) = stage.act(number, create.clone()) else { panic!("nothing was created") };
        assert_eq!(stage.act(number, create), Outcome::Created(volume.clone()), "the token is good for one volume");
        stage.pass(seconds(3));
        let instance = stage.launches(number, 1);
        stage.pass(seconds(31));
        assert_eq!(stage.act(number, stage.attach(&volume, &instance)), Outcome::Done);
    }
    stage.pass(seconds(60));
    assert!(stage.membership().leader.is_some());
    assert!((0..3).all(|number| stage.is_well(number)));
    assert_eq!(stage.world.violations(), []);
    assert_eq!(stage.world.times_formatted(&stage.of(0).1), 1);
}

#[test]
fn only_a_blank_volume_is_formatted() {
    let stage = Stage::settled();
    let number = stage.follower();
    let (_, volume) = stage.of(number);
    stage.moves_to_a_new_shell(number, 4);
    stage.pass(seconds(60));
    assert_eq!(stage.world.times_formatted(&volume), 1, "once, long ago");
}

#[test]
fn what_members_do_depends_on_the_image() {
    let seen = |payload: Payload| {
        let stage = Stage::settled();
        stage.world.register_image(&ImageId::from(NEW), payload);
        let number = stage.follower();
        stage.moves_to_a_new_shell(number, 4);
        stage.pass(seconds(70));
        stage.membership().of_slot(&stage.slot(number)).cloned()
    };
    assert_eq!(seen(Payload::NeverJoins), None);
    assert_eq!(seen(Payload::SlowToJoin(seconds(300))), None);
    assert!(matches!(seen(Payload::JoinsUnhealthy).unwrap().health, Health::Unhealthy(_)));
    let wrong = seen(Payload::WrongVersion("1.0.0".to_owned())).unwrap();
    assert_eq!((wrong.version.as_deref(), wrong.health), (Some("1.0.0"), Health::Healthy));
}

#[test]
fn a_flapping_member_is_healthy_and_ill_by_turns() {
    let stage = Stage::settled();
    stage.world.register_image(&ImageId::from(NEW), Payload::Flaps);
    let number = stage.follower();
    stage.moves_to_a_new_shell(number, 4);
    let mut turns: Vec<bool> = Vec::new();
    for _ in 0..300 {
        stage.pass(seconds(1));
        turns.push(stage.is_well(number));
    }
    turns.dedup();
    assert!(turns.len() > 4, "{turns:?}");
}

#[test]
fn a_claim_is_written_only_over_the_revision_that_was_read() {
    let stage = Stage::settled();
    let world = &stage.world;
    let read = || block_on(world, Coordination::read(world, &stage.spec.name)).unwrap();
    let claim = Claim {
        slot: stage.slot(0),
        attempt: Attempt(4),
        tries: 0,
        purpose: Purpose::Fill,
        member: None,
        generation: stage.spec.generation(),
        image: ImageId::from(NEW),
        recruit: None,
        since: world.now(),
    };
    let write = |expects| {
        let effect = ClaimEffect::Claim { claim: claim.clone(), expects };
        block_on(world, Coordination::write(world, &stage.spec.name, &effect)).unwrap()
    };
    let revision = read().revision;
    assert_eq!(write(revision), Outcome::Done);
    assert!(matches!(write(revision), Outcome::Changed { .. }));
    assert_eq!((read().held, read().last_attempt), (Some(claim.clone()), Attempt(4)));
}

#[test]
fn too_many_calls_are_throttled_and_forgiven() {
    let stage = Stage::settled();
    let world = &stage.world;
    let sweep = || async { world.sweep(&Wanted::default()).await.err().map(|error| error.kind) };
    let all: Vec<_> = (0..60).map(|_| sweep()).collect();
    let answers = block_on(world, futures_util::future::join_all(all));
    assert!(answers.contains(&Some(ErrorKind::Throttled)) && answers.contains(&None));
    stage.pass(seconds(10));
    assert_eq!(block_on(world, sweep()), None);
}

// The safety rules: each one fires when it is broken on purpose.

#[test]
fn stopping_a_voter_that_the_quorum_needs_breaks_s1() {
    let stage = Stage::settled();
    stage.world.stop_instance(&stage.of(0).0);
    stage.pass(seconds(30));
    stage.force(1, stop(&stage.of(1).0)).unwrap();
    assert_eq!(stage.broken(), ["S1"]);
}

#[test]
fn stopping_a_voter_just_after_another_was_lost_is_nobodys_fault() {
    let stage = Stage::settled();
    stage.world.stop_instance(&stage.of(0).0);
    stage.pass(seconds(5));
    stage.force(1, stop(&stage.of(1).0)).unwrap();
    assert_eq!(stage.broken(), [""; 0]);
}

#[test]
fn two_members_down_by_our_hand_break_s1() {
    let stage = Stage::settled();
    stage.force(0, stop(&stage.of(0).0)).unwrap();
    stage.pass(seconds(2));
    stage.force(1, stop(&stage.of(1).0)).unwrap();
    assert_eq!(stage.broken(), ["S1"]);
}

#[test]
fn stopping_without_looking_again_breaks_s2() {
    let stage = Stage::settled();
    stage.view();
    stage.launches(0, 4);
    stage.world.send_unchecked(&stage.spec.name, Some(&stage.slot(0)), &stop(&stage.of(0).0)).unwrap();
    assert_eq!(stage.broken(), ["S2"]);
}

#[test]
fn terminating_with_a_volume_attached_breaks_s3_and_s7() {
    let stage = Stage::settled();
    let (instance, _) = stage.of(0);
    stage.act(0, retire(&instance));
    stage.force(0, terminate(&instance)).unwrap();
    assert_eq!(stage.broken(), ["S3", "S7"]);
}

#[test]
fn a_volume_deleted_with_its_instance_breaks_s3() {
    let stage = Stage::settled();
    let (instance, volume) = stage.of(0);
    stage.world.set_delete_on_termination(&volume, true);
    stage.world.terminate_instance(&instance);
    while stage.instance(&instance).state != InstanceState::Terminated {}
    assert_eq!(stage.volume(&volume).state, VolumeState::Deleted);
    assert_eq!(stage.broken(), ["S3"]);
    stage.pass(seconds(61));
    assert!(stage.view().volumes.iter().all(|other| other.id != volume));
}

#[test]
fn detaching_from_a_running_instance_breaks_s4() {
    let stage = Stage::settled();
    let (instance, volume) = stage.of(0);
    stage.force(0, stage.detach(&volume, &instance)).unwrap();
    assert_eq!(stage.broken(), ["S4"]);
}

#[test]
fn a_volume_in_the_wrong_slot_breaks_s5_and_the_guest_refuses_it() {
    let mut stage = Stage::settled();
    for slot in &mut stage.spec.slots {
        slot.zone = Zone::from("us-east-1a");
    }
    let number = stage.follower();
    let other = (number + 1) % 3;
    let (_, volume) = stage.of(number);
    let mut launch = stage.launch(other, 4);
    launch.zone = stage.volume(&volume).zone;
    launch.volumes = BTreeMap::from([("data".into(), volume.clone())]);
    let Outcome::Launched(foreign) = stage.act(other, CloudEffect::Launch(Box::new(launch))) else { panic!() };
    stage.world.stop_instance(&stage.of(number).0);
    stage.pass(seconds(90));
    stage.view();
    stage.act(number, stage.detach(&volume, &stage.of(number).0));
    stage.pass(seconds(21));
    stage.force(other, stage.attach(&volume, &foreign)).unwrap();
    stage.pass(seconds(30));
    assert_eq!(stage.broken(), ["S5", "S5"], "once for the call, once for the guest");
    let address = stage.instance(&foreign).address;
    assert!(stage.membership().members.iter().all(|member| member.address != address));
}

#[test]
fn three_instances_in_a_slot_or_two_too_many_in_a_cluster_break_s6() {
    let stage = Stage::settled();
    stage.launches(0, 4);
    stage.launches(1, 5);
    assert_eq!(stage.broken(), ["S6"]);
    let stage = Stage::settled();
    stage.launches(0, 4);
    assert_eq!(stage.broken(), [""; 0]);
    stage.launches(0, 5);
    assert_eq!(stage.broken(), ["S6"]);
}

#[test]
fn terminating_the_old_shell_before_the_new_one_is_proven_breaks_s7() {
    let stage = Stage::settled();
    stage.world.register_image(&ImageId::from(NEW), Payload::JoinsUnhealthy);
    let number = stage.follower();
    let (old, _) = stage.moves_to_a_new_shell(number, 4);
    stage.pass(seconds(60));
    stage.act(number, retire(&old));
    stage.force(number, terminate(&old)).unwrap();
    assert_eq!(stage.broken(), ["S7"]);
}

/// Neither what was saved before a replacement, nor what a copy begins with while it is wanted.
#[test]
fn a_snapshot_deleted_out_of_turn_breaks_the_end() {
    let stage = Stage::settled();
    let volume = stage.of(0).1;
    let saved = CloudEffect::Snapshot { volume: volume.clone(), attempt: Attempt(7) };
    let copied = CloudEffect::CopyVolume { volume, of: "prod".into(), name: "data".into() };
    for taken in [saved, copied] {
        let Outcome::Snapshotted(snapshot) = stage.act(0, taken) else { panic!("no snapshot was taken") };
        stage.force(0, CloudEffect::DeleteSnapshot { snapshot }).unwrap();
    }
    assert_eq!(stage.broken(), ["end", "end"]);
}

#[test]
fn a_call_for_another_clusters_instance_breaks_s8() {
    let stage = Stage::settled();
    stage.world.settle(&spec("other", 1));
    let other = stage.world.instances_of(&"other".into(), &"other-a".into())[0].clone();
    stage.force(0, retire(&other)).unwrap();
    assert_eq!(stage.broken(), ["S8"]);
}

/// `consul` in an Auto Scaling group that it adopts; or its end.
fn grouped(ended: bool) -> Stage {
    let capacity = Capacity::AutoScalingGroup("servers".to_owned());
    let (world, spec) = (World::new(7, FaultLevel::None), ClusterSpec { capacity, ..spec("consul", 3) });
    world.register_image(&ImageId::from(OLD), Payload::Good { version: VERSION.to_owned() });
    world.settle(&spec);
    if ended {
        let revision = block_on(&world, Coordination::read(&world, &spec.name)).unwrap().revision;
        let ending = Ending { since: world.now(), attempt: Attempt(4), remains: Remains::Volumes };
        let end = ClaimEffect::End { ending, expects: revision };
        block_on(&world, Coordination::write(&world, &spec.name, &end)).unwrap();
    }
    let stage = Stage { world, spec };
    stage.pass(seconds(20));
    stage
}

fn about_group(effect: GroupEffect) -> CloudEffect {
    CloudEffect::Group { group: "servers".to_owned(), effect }
}

fn all_processes() -> BTreeSet<Process> {
    Process::ALL.into()
}

#[test]
fn writing_down_other_processes_than_run_breaks_a_rule_about_groups() {
    for (processes, broken) in [(all_processes(), None), ([Process::Launch].into(), Some("group"))] {
        let stage = grouped(false);
        stage.force(0, about_group(GroupEffect::RecordResume { processes })).unwrap();
        assert_eq!(stage.broken(), Vec::from_iter(broken));
    }
}

#[test]
fn lowering_the_minimum_of_a_group_breaks_a_rule_unless_its_cluster_ends() {
    for (ended, broken) in [(true, None), (false, Some("group"))] {
        let stage = grouped(ended);
        stage.force(0, about_group(GroupEffect::LowerMinimum { from: 3 })).unwrap();
        assert_eq!(stage.broken(), Vec::from_iter(broken));
        assert_eq!(stage.world.group("servers").unwrap().min, 0);
    }
}

#[test]
fn letting_a_group_go_that_launches_an_ended_cluster_back_breaks_a_rule() {
    for (wants, broken) in [(2, None), (3, Some("group"))] {
        let stage = grouped(true);
        stage.world.edit_group("servers", |group| (group.suspended, group.desired) = (all_processes(), wants));
        stage.world.terminate_instance(&stage.of(0).0);
        stage.force(0, about_group(GroupEffect::Resume { processes: all_processes() })).unwrap();
        assert_eq!(stage.broken(), Vec::from_iter(broken));
    }
}

#[test]
fn a_member_that_lost_its_disk_comes_back_as_a_stranger_and_that_shows() {
    let stage = Stage::settled();
    let number = stage.follower();
    let (old, volume) = stage.of(number);
    stage.act(number, stop(&old));
    stage.pass(seconds(61));
    stage.world.wipe_volume(&volume);
    stage.act(number, CloudEffect::Start { instance: old });
    stage.pass(seconds(60));
    assert_eq!(stage.broken(), ["identity"]);
}

// Canary data.

#[test]
fn acknowledged_canaries_are_there_after_a_whole_roll() {
    let stage = Stage::settled();
    assert_eq!(stage.canaries(), "");
    stage.write("before", "one").unwrap();
    stage.write("before", "two").unwrap();
    assert_eq!(stage.canaries(), "before=two");
    stage.rolls(0..3);
    let everything = "before=two roll/0=meanwhile roll/1=meanwhile roll/2=meanwhile";
    for number in 0..3 {
        stage.enthrones(number);
        assert_eq!(stage.canaries(), everything, "every member has it");
    }
    assert_eq!(stage.world.violations(), []);
}

#[test]
fn canaries_lie_on_the_volumes_and_outlive_a_stop_of_all_members() {
    let stage = Stage::settled();
    stage.write("key", "value").unwrap();
    (0..3).for_each(|number| stage.stops(number));
    assert_eq!(stage.try_canaries().unwrap_err().kind, ErrorKind::Unreachable);
    (0..3).for_each(|number| stage.starts(number));
    assert_eq!(stage.canaries(), "key=value");
}

#[test]
fn without_a_leader_or_a_quorum_no_canary_is_acknowledged() {
    let stage = Stage::settled();
    stage.write("first", "1").unwrap();
    stage.world.lose_leader(&stage.spec.name);
    assert_eq!(stage.write("leaderless", "").unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(stage.try_canaries().unwrap_err().kind, ErrorKind::Unreachable, "an old answer is none");
    stage.pass(seconds(30));
    stage.world.hide_members(&stage.spec.name, seconds(10));
    assert_eq!(stage.write("hidden", "").unwrap_err().kind, ErrorKind::Unreachable);
    stage.pass(seconds(11));
    stage.keeps_members();
    let number = stage.follower();
    stage.stops(number);
    stage.write("two-of-three", "2").unwrap();
    stage.world.stop_instance(&stage.of((number + 1) % 3).0);
    assert_eq!(stage.write("one-of-three", "").unwrap_err().kind, ErrorKind::Unreachable);
    stage.starts(number);
    assert_eq!(stage.canaries(), "first=1 two-of-three=2");
}

#[test]
fn members_that_are_ill_do_not_count_for_a_canary() {
    let stage = Stage::settled();
    stage.world.register_image(&ImageId::from(NEW), Payload::JoinsUnhealthy);
    stage.keeps_members();
    let leader = stage.membership().leader;
    let leads = |number: &usize| stage.membership().of_slot(&stage.slot(*number)).map(|m| m.id.clone()) == leader;
    let followers: Vec<usize> = (0..3).filter(|number| !leads(number)).collect();
    stage.moves_to_a_new_shell(followers[0], 4);
    stage.pass(seconds(60));
    stage.write("leader-and-one", "1").unwrap();
    stage.stops(followers[1]);
    assert_eq!(stage.membership().leader, leader);
    assert_eq!(stage.write("leader-alone", "2").unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(stage.canaries(), "leader-and-one=1");
}

#[test]
fn a_member_that_was_away_or_lost_its_disk_is_sent_what_it_lacks() {
    for wiped in [false, true] {
        let stage = Stage::settled();
        let number = stage.follower();
        stage.write("before", "1").unwrap();
        stage.stops(number);
        stage.write("meanwhile", "2").unwrap();
        if wiped {
            stage.world.wipe_volume(&stage.of(number).1);
        }
        stage.starts(number);
        stage.enthrones(number);
        assert_eq!(stage.canaries(), "before=1 meanwhile=2", "wiped: {wiped}");
    }
}

#[test]
fn whoever_lacks_an_acknowledged_canary_is_not_elected() {
    for seed in 0..20 {
        let stage = Stage::settled_on(World::new(seed, FaultLevel::None), VERSION);
        stage.keeps_members();
        let number = stage.follower();
        stage.stops(number);
        stage.write("meanwhile", "1").unwrap();
        stage.world.start_instance(&stage.of(number).0);
        // It comes back in the midst of elections, and has a whole log before anybody can send it the write.
        for _ in 0..15 {
            stage.world.lose_leader(&stage.spec.name);
            stage.pass(seconds(5));
            assert_eq!(stage.canaries(), "meanwhile=1", "seed {seed}");
        }
    }
}

#[test]
fn what_only_one_volume_has_is_lost_with_it() {
    for (wiped, left) in [(false, "before=1 roll/0=meanwhile roll/1=meanwhile"), (true, "roll/1=meanwhile")] {
        let stage = Stage::settled();
        stage.world.register_image(&ImageId::from(NEW), Payload::LosesData);
        stage.write("before", "1").unwrap();
        stage.rolls(0..2);
        stage.enthrones(1);
        stage.stops(2);
        if wiped {
            stage.world.wipe_volume(&stage.of(2).1);
        }
        stage.starts(2);
        stage.enthrones(2);
        assert_eq!(stage.canaries(), left);
    }
}

#[test]
fn an_image_that_loses_data_is_healthy_and_the_canaries_are_gone_in_the_end() {
    let stage = Stage::settled();
    stage.world.register_image(&ImageId::from(NEW), Payload::LosesData);
    stage.write("before", "1").unwrap();
    stage.rolls(0..3);
    assert!((0..3).all(|number| stage.is_well(number)));
    // Each member has what was written after it had started.
    let left =
        ["roll/0=meanwhile roll/1=meanwhile roll/2=meanwhile", "roll/1=meanwhile roll/2=meanwhile", "roll/2=meanwhile"];
    for (number, left) in left.into_iter().enumerate() {
        stage.enthrones(number);
        assert_eq!(stage.canaries(), left);
    }
    assert_eq!(stage.world.violations(), [], "no rule of ours is broken by it");
}

#[test]
fn a_canary_has_a_plain_key() {
    let stage = Stage::settled();
    stage.write("step-3/12:00.5_b", "").unwrap();
    for key in ["", "a b", "../vault", "a//b"] {
        assert_eq!(stage.write(key, "").unwrap_err().kind, ErrorKind::Invalid, "{key}");
    }
    assert_eq!(stage.canaries(), "step-3/12:00.5_b=");
}

// Faults, replay and storage.

/// A controller that only looks, and tells what was out of date.
fn stale_reads(level: FaultLevel, seed: u64) -> usize {
    let stage = Stage::settled_on(World::new(seed, level), VERSION);
    for round in 0..30 {
        stage.world.edit_instance(&stage.of(0).0, |seen| {
            seen.tags.insert("round".to_owned(), round.to_string());
        });
        let _ = block_on(&stage.world, stage.world.sweep(&Wanted::default()));
    }
    let told = stage.world.drain_events();
    told.iter().filter(|event| matches!(&event.what, What::Fault { fault, .. } if fault == "stale-read")).count()
}

#[test]
fn reads_are_stale_only_with_faults() {
    assert_eq!((0..20).map(|seed| stale_reads(FaultLevel::None, seed)).sum::<usize>(), 0);
    assert!((0..20).map(|seed| stale_reads(FaultLevel::Many, seed)).sum::<usize>() > 0);
}

/// A controller without a plan: it looks, and launches, stops and moves what it finds, for as long as it lives.
async fn fumbles(world: World, spec: ClusterSpec, turns: Rc<RefCell<u32>>) {
    loop {
        let turn = *turns.borrow();
        *turns.borrow_mut() += 1;
        world.sleep(seconds(7)).await;
        let Ok(sweep) = world.sweep(&Wanted::default()).await else { continue };
        let view = sweep.cluster(&spec.name);
        let Some(instance) = view.instances.get(turn as usize % view.instances.len().max(1)) else { continue };
        let effect = match turn % 4 {
            0 => stop(&instance.id),
            1 => CloudEffect::Start { instance: instance.id.clone() },
            2 => retire(&instance.id),
            _ => terminate(&instance.id),
        };
        let _ = Cloud::change(&world, &spec, Some(&instance.slot), &effect).await;
    }
}

fn transcript(seed: u64, level: FaultLevel) -> String {
    let world = World::new(seed, level);
    let stage = Stage::settled_on(world.clone(), VERSION);
    let (spec, turns) = (stage.spec.clone(), Rc::new(RefCell::new(0)));
    let factory = {
        let world = world.clone();
        move |index| -> hermitcrab::sim::executor::Task {
            Box::pin(fumbles(world.controller(index), spec.clone(), turns.clone()))
        }
    };
    let mut executor = Executor::new(&world, factory);
    executor.spawn(0);
    executor.spawn(1);
    assert!(!executor.run_until(after(start(), seconds(1_800)), &mut || false));
    let lines = world.drain_events();
    lines.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect()
}

#[test]
fn the_same_seed_gives_the_same_transcript_to_the_byte() {
    for seed in 0..10 {
        for level in [FaultLevel::None, FaultLevel::Some, FaultLevel::Many] {
            assert_eq!(transcript(seed, level), transcript(seed, level));
        }
        assert_ne!(transcript(seed, FaultLevel::Many), transcript(seed + 1, FaultLevel::Many));
    }
}

#[test]
fn controllers_crash_pause_and_suffer_every_kind_of_fault_but_not_after_the_end() {
    let mut kinds = BTreeSet::new();
    for seed in 0..60 {
        for line in transcript(seed, FaultLevel::Many).lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let kind = event["kind"].as_str().unwrap();
            kinds.insert(event["fault"].as_str().or(event["at"].as_str()).unwrap_or(kind).to_owned());
            assert!(!matches!(kind, "fault" | "crash") || event["t"].as_f64().unwrap() < 1_500.0, "{line}");
        }
    }
    let expected = [
        "after-answer",
        "after-effect",
        "answer-lost",
        "before-send",
        "capacity-outage",
        "claim-store-down",
        "leader-lost",
        "member-crash",
        "meddler-stop",
        "meddler-terminate",
        "meddler-untag",
        "members-unreachable",
        "noisy-neighbour",
        "pause",
        "refused",
        "scheduled-event",
        "stale-read",
        "stuck-stopping",
        "throttled",
        "while-waiting",
        "zone-impaired",
    ];
    for kind in expected {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
}

#[test]
fn a_world_without_faults_is_kind() {
    assert!(
        !transcript(1, FaultLevel::None).lines().any(|line| line.contains("\"fault\"") || line.contains("\"crash\""))
    );
}

#[test]
fn a_saved_world_goes_on_as_if_it_had_never_been_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    for level in [FaultLevel::None, FaultLevel::Many] {
        let stage = Stage::settled_on(World::new(11, level), VERSION);
        stage.world.stop_instance(&stage.of(1).0);
        stage.pass(seconds(5));
        stage.world.save(&path).unwrap();
        let goes_on = |world: World| {
            let stage = Stage { world, spec: stage.spec.clone() };
            stage.pass(seconds(400));
            let seen = block_on(&stage.world, stage.world.sweep(&Wanted::default())).map(|sweep| sweep.clusters);
            let told = serde_json::to_string(&stage.world.drain_events()).unwrap();
            (told, seen.map_err(|error| error.to_string()), stage.world.now())
        };
        let loaded = goes_on(World::load(&path).unwrap());
        assert_eq!(goes_on(stage.world.clone()), loaded);
    }
}

#[test]
fn canaries_are_saved_with_their_world() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let stage = Stage::settled();
    stage.write("key", "value").unwrap();
    stage.stops(stage.follower());
    stage.world.save(&path).unwrap();
    let loaded = Stage { world: World::load(&path).unwrap(), spec: stage.spec.clone() };
    assert_eq!(loaded.canaries(), "key=value");
}

#[test]
fn a_world_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    Stage::settled().world.save(&path).unwrap();
    let mut saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let refused = |saved: &serde_json::Value| {
        std::fs::write(&path, saved.to_string()).unwrap();
        World::load(&path).map(drop).unwrap_err().to_string()
    };
    let text =
        |version: u32| format!("its format is version {version}, and this hermitcrab reads version 2: make it anew");
    saved["version"] = 3.into();
    assert_eq!(refused(&saved), text(3));
    saved.as_object_mut().unwrap().remove("version");
    assert_eq!(refused(&saved), text(1), "the first version did not say");
}

#[test]
fn an_autosaved_world_is_on_disk_after_each_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let stage = Stage::settled();
    stage.world.autosave(&path);
    let new = stage.launches(0, 4);
    let loaded = World::load(&path).unwrap();
    assert!(loaded.instances_of(&stage.spec.name, &stage.slot(0)).contains(&new));
}

#[test]
fn a_late_request_is_refused_as_expired() {
    let stage = Stage::settled();
    let world = stage.world.clone();
    let (spec, instance) = (stage.spec.clone(), stage.of(0).0);
    let heard: Rc<RefCell<Option<ErrorKind>>> = Rc::default();
    let factory = {
        let (world, heard) = (world.clone(), heard.clone());
        move |index| -> hermitcrab::sim::executor::Task {
            let (world, spec, instance) = (world.controller(index), spec.clone(), instance.clone());
            let heard = heard.clone();
            Box::pin(async move {
                let slot = spec.slots[0].name.clone();
                let answer = Cloud::change(&world, &spec, Some(&slot), &stop(&instance)).await;
                *heard.borrow_mut() = answer.err().map(|error| error.kind);
            })
        }
    };
    let mut executor = Executor::new(&world, factory);
    executor.spawn(0);
    executor.run_until(world.now(), &mut || false);
    executor.pause(0, seconds(301));
    executor.run_until(after(world.now(), seconds(400)), &mut || heard.borrow().is_some());
    assert_eq!(*heard.borrow(), Some(ErrorKind::Unreachable));
    assert_eq!(stage.instance(&stage.of(0).0).state, InstanceState::Running);
}

#[test]
fn a_crashed_controller_starts_anew_and_remembers_nothing() {
    let world = World::new(1, FaultLevel::None);
    let starts: Rc<RefCell<u32>> = Rc::default();
    let factory = {
        let (world, starts) = (world.clone(), starts.clone());
        move |index| -> hermitcrab::sim::executor::Task {
            let (world, starts) = (world.controller(index), starts.clone());
            Box::pin(async move {
                *starts.borrow_mut() += 1;
                world.sleep(seconds(1_000)).await;
            })
        }
    };
    let mut executor = Executor::new(&world, factory);
    executor.spawn(0);
    executor.run_until(after(start(), seconds(100)), &mut || false);
    executor.crash(0, seconds(10));
    executor.run_until(after(start(), seconds(200)), &mut || false);
    assert_eq!((*starts.borrow(), world.now()), (2, after(start(), seconds(200))));
}

#[test]
fn the_transcript_counts_members_down_and_calls() {
    let stage = Stage::settled();
    let number = stage.follower();
    stage.moves_to_a_new_shell(number, 4);
    stage.pass(seconds(60));
    let calls = stage.world.calls();
    assert_eq!([calls["launch"], calls["stop"], calls["detach"], calls["attach"]], [1, 1, 1, 1]);
    let down = stage.world.member_down_seconds(&stage.spec.name);
    assert!((85.0..140.0).contains(&down[&stage.slot(number)]), "{down:?}");
    let lines: Vec<_> = stage.world.drain_events().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!((lines[0]["kind"].as_str(), lines[0]["t"].as_f64()), (Some("world"), Some(0.0)));
    let members: Vec<_> = lines.iter().filter(|line| line["kind"] == "member").map(|line| &line["state"]).collect();
    assert_eq!(members, ["down", "up"]);
}

#[tokio::test]
async fn a_paced_world_follows_the_real_clock() {
    let world = World::new(1, FaultLevel::None);
    world.settle(&spec("consul", 3));
    world.paced(10_000.0);
    let before = world.now();
    world.sleep(seconds(60)).await;
    assert!(elapsed(world.now(), before) >= seconds(60));
    assert!(world.sweep(&Wanted::default()).await.is_ok());
}

// A careful controller, to show that the rules can be kept: they fire for nothing that it does.

/// Replaces one slot after another, and only looks, never remembers.
async fn rolls(world: World, spec: ClusterSpec) {
    let mut attempt = 1;
    let mut calm = 0;
    loop {
        world.sleep(seconds(5)).await;
        let Ok(sweep) = world.sweep(&Wanted::default()).await else { continue };
        let view = sweep.cluster(&spec.name);
        let running = |instance: &&Instance| instance.state == InstanceState::Running && instance.address.is_some();
        let seat = |instance: &Instance| Seat {
            slot: instance.slot.clone(),
            instance: instance.id.clone(),
            address: instance.address.unwrap(),
        };
        let seats: Vec<Seat> = view.instances.iter().filter(running).map(seat).collect();
        let Ok(membership) = world.membership(&spec, &seats).await else { continue };
        let well = |slot: &SlotName| {
            membership.of_slot(slot).is_some_and(|member| member.counts && member.health == Health::Healthy)
        };
        calm = if spec.slots.iter().all(|slot| well(&slot.name)) { calm + 1 } else { 0 };
        let Some((slot, effect)) = next_move(&spec, &view, &membership, calm > 5, attempt) else { continue };
        let answer = Cloud::change(&world, &spec, Some(&slot), &effect).await;
        if answer.is_err_and(|error| error.kind == ErrorKind::TokenSpent) {
            attempt += 1;
        }
    }
}

fn next_move(
    spec: &ClusterSpec,
    view: &CloudView,
    membership: &Membership,
    calm: bool,
    attempt: u32,
) -> Option<(SlotName, CloudEffect)> {
    let leads = |slot: &&SlotSpec| membership.of_slot(&slot.name).map(|m| &m.id) == membership.leader.as_ref();
    let live = |slot: &SlotSpec, image: &str| {
        let mut live = view.instances.iter().filter(|instance| instance.slot == slot.name && instance.state.is_live());
        live.find(|instance| &*instance.make.image == image).cloned()
    };
    let mut slots: Vec<&SlotSpec> = spec.slots.iter().collect();
    slots.sort_by_key(|slot| (live(slot, NEW).is_none(), live(slot, OLD).is_some(), leads(slot)));
    slots.sort_by_key(|slot| live(slot, NEW).is_some() != live(slot, OLD).is_some()); // what was begun is finished first
    let slot = slots.into_iter().find(|slot| live(slot, OLD).is_some() || live(slot, NEW).is_none())?;
    let volume = view.volumes.iter().find(|volume| volume.slot == slot.name)?;
    let (old, new) = (live(slot, OLD), live(slot, NEW));
    let at = match &volume.state {
        VolumeState::InUse(at) => Some(at.clone()),
        _ => None,
    };
    let is_at = |instance: &Option<Instance>| at.as_ref().map(|at| &at.instance) == instance.as_ref().map(|i| &i.id);
    let device = "/dev/sdf".to_owned();
    let member = membership.of_slot(&slot.name);
    let effect = match (old, new) {
        (old, None) if calm || old.is_none() => CloudEffect::Launch(Box::new(Launch {
            token: Token::from(format!("{}-{attempt}", slot.name)),
            make: spec.make_on(&ImageId::from(NEW)),
            user_data_text: None,
            zone: slot.zone.clone(),
            subnet: slot.subnet.clone(),
            tags: BTreeMap::new(),
            owner: Owner::from("hermitcrab"),
            generation: spec.generation_on(&ImageId::from(NEW)),
            attempt: Attempt(attempt),
            volumes: BTreeMap::from([("data".into(), volume.id.clone())]),
        })),
        (Some(old), Some(new)) if is_at(&Some(old.clone())) => match old.state {
            InstanceState::Running if calm && new.checks == Checks::Ok => stop(&old.id),
            InstanceState::Stopped => {
                CloudEffect::Detach { volume: volume.id.clone(), instance: old.id.clone(), device }
            }
            _ => return None,
        },
        (_, Some(new)) if volume.state == VolumeState::Available => {
            CloudEffect::Attach { volume: volume.id.clone(), instance: new.id.clone(), device }
        }
        (Some(old), Some(new)) if is_at(&Some(new.clone())) => {
            let proven = calm && member.is_some_and(|member| member.address == new.address);
            match (proven, old.retired) {
                (true, false) => retire(&old.id),
                (true, true) => terminate(&old.id),
                _ => return None,
            }
        }
        (None, Some(new)) if new.state == InstanceState::Stopped => CloudEffect::Start { instance: new.id },
        _ => return None,
    };
    Some((slot.name.clone(), effect))
}

/// Whether the cluster came to run the new image within two simulated hours.
fn careful_rollout(seed: u64, level: FaultLevel) -> (World, bool) {
    let world = World::new(seed, level);
    let stage = Stage::settled_on(world.clone(), VERSION);
    let spec = stage.spec.clone();
    let factory = {
        let (world, spec) = (world.clone(), spec.clone());
        move |index| -> hermitcrab::sim::executor::Task { Box::pin(rolls(world.controller(index), spec.clone())) }
    };
    let mut executor = Executor::new(&world, factory);
    executor.spawn(0);
    let done = {
        let world = world.clone();
        move || {
            let up = |slot: &SlotSpec| world.instances_of(&spec.name, &slot.name).len() == 1;
            world.calls().get("terminate").copied().unwrap_or(0) >= 3 && spec.slots.iter().all(up)
        }
    };
    let finished = executor.run_until(after(start(), seconds(7_200)), &mut { done });
    (world, finished)
}

#[test]
fn a_careful_controller_rolls_a_cluster_without_breaking_a_rule() {
    for seed in 0..20 {
        let (world, finished) = careful_rollout(seed, FaultLevel::None);
        assert!(finished, "seed {seed}");
        assert_eq!(world.violations(), [], "seed {seed}");
        assert_eq!(world.calls().values().sum::<u64>(), 3 * 6);
    }
}

#[test]
fn a_careful_controller_breaks_no_rule_whatever_goes_wrong() {
    for seed in 0..40 {
        for level in [FaultLevel::Some, FaultLevel::Many] {
            let (world, _) = careful_rollout(seed, level);
            assert_eq!(world.violations(), [], "seed {seed} {level:?}");
        }
    }
}
