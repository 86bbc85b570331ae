//! The simulated world behaves as EC2 and Consul do, and notices when a safety rule is broken.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use hermitcrab::action::{ClaimEffect, CloudEffect, CreateVolume, Launch, MemberEffect};
use hermitcrab::ids::{Attempt, ClusterName, ImageId, InstanceId, Owner, SlotName, Token, VolumeId, Zone};
use hermitcrab::observed::{
    AttachmentPhase, Checks, Claim, CloudView, Health, Instance, InstanceState, Membership, Volume, VolumeState,
};
use hermitcrab::ports::{Application, Clock, Cloud, Coordination, ErrorKind, Outcome, PortError, Seat, Wanted};
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
            windows: Vec::new(),
        },
        suspend: false,
        freeze: false,
        deletion_protection: true,
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
        member.is_some_and(|member| member.voter && member.health == Health::Healthy)
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
        block_on(&self.world, Cloud::change(&self.world, &self.spec.name, Some(&slot), &effect))
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
            image: ImageId::from(NEW),
            instance_type: "m7i.large".to_owned(),
            zone: slot.zone.clone(),
            subnet: slot.subnet.clone(),
            iam_instance_profile: None,
            security_groups: BTreeSet::new(),
            key_name: None,
            user_data: None,
            user_data_digest: None,
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

    fn broken(&self) -> Vec<String> {
        self.world.violations().into_iter().map(|violation| violation.invariant).collect()
    }

    fn since_the_beginning(&self) -> u64 {
        elapsed(self.world.now(), start()).as_secs()
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
    other.instance_type = "m7i.xlarge".to_owned();
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
    launch.image = ImageId::from("ami-unheard-of");
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
