//! A world with one cluster, and hands to work on it.
#![allow(clippy::unwrap_used)] // the hands of a test, too, may panic

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use hermitcrab::action::{ClaimEffect, CloudEffect, Launch, MemberEffect};
use hermitcrab::ids::{Attempt, ClusterName, ImageId, InstanceId, MemberId, Owner, SlotName, Token, VolumeId};
use hermitcrab::observed::{
    Ahead, Claim, CloudView, Health, Instance, InstanceState, Membership, Purpose, Volume, Way,
};
use hermitcrab::ports::{Canaries, Clock, Cloud, Coordination, Decision, Members, Outcome, PortError, Seat, Wanted};
use hermitcrab::sim::{FaultLevel, Payload, World, block_on};
use hermitcrab::spec::load::load;
use hermitcrab::spec::{ClusterSpec, CommandSpec};
use hermitcrab::time::Timestamp;

/// A decision that is not looked at for its age.
pub const AT_ANY_TIME: Decision = Decision { at: Timestamp::MIN, life: Duration::MAX, claim: None, revision: None };

/// The image that clusters are settled on, and a new one.
pub const OLD: &str = "ami-0aa11bb22cc33dd44";
pub const NEW: &str = "ami-0ee55ff66aa77bb88";
pub const VERSION: &str = "1.20.1";

/// Reads the cluster in `consul.yaml`, under another name and with this many of its slots.
pub fn spec(name: &str, slots: usize) -> ClusterSpec {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/consul.yaml"));
    let mut spec = load(&[file]).specs().next().unwrap().1.clone();
    spec.name = ClusterName::from(name);
    spec.slots.truncate(slots);
    for slot in &mut spec.slots {
        slot.name = SlotName::from(slot.name.replace("consul", name));
    }
    spec
}

pub fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// A world with one cluster, and hands to work on it.
pub struct Harness {
    pub world: World,
    pub spec: ClusterSpec,
}

impl Harness {
    /// `consul` with three settled members, and a new image beside the old one.
    pub fn settled() -> Self {
        Self::settled_on(World::new(7, FaultLevel::None), VERSION)
    }

    /// The same with a fixed address for each slot: `10.0.1.10`, `10.0.2.10` and `10.0.3.10`.
    pub fn with_addresses() -> Self {
        let mut spec = spec("consul", 3);
        for (slot, net) in spec.slots.iter_mut().zip(1..) {
            slot.address = Some(Ipv4Addr::new(10, 0, net, 10));
        }
        Self::settle(World::new(7, FaultLevel::None), VERSION, spec)
    }

    pub fn settled_on(world: World, version: &str) -> Self {
        Self::settle(world, version, spec("consul", 3))
    }

    /// Three settled members of etcd, without fixed addresses.
    pub fn of_etcd(version: &str) -> Self {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/desired-state/prod/etcd.yaml"));
        let mut spec = load(&[file]).specs().next().unwrap().1.clone();
        spec.image = ImageId::from(OLD);
        spec.slots.iter_mut().for_each(|slot| slot.address = None);
        Self::settle(World::new(7, FaultLevel::None), version, spec)
    }

    /// Three settled members of PostgreSQL under Patroni.
    pub fn of_patroni() -> Self {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/desired-state/prod/postgresql.yaml"));
        let mut spec = load(&[file]).specs().next().unwrap().1.clone();
        spec.image = ImageId::from(OLD);
        Self::settle(World::new(7, FaultLevel::None), "15.18", spec)
    }

    /// Three settled ZooKeeper servers, without fixed addresses.
    pub fn of_zookeeper() -> Self {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/desired-state/prod/zookeeper.yaml"));
        let mut spec = load(&[file]).specs().next().unwrap().1.clone();
        spec.image = ImageId::from(OLD);
        spec.slots.iter_mut().for_each(|slot| slot.address = None);
        Self::settle(World::new(7, FaultLevel::None), "3.8.4", spec)
    }

    /// Settled members that a program speaks to, by changed rules.
    pub fn of_command(slots: usize, change: impl FnOnce(&mut CommandSpec)) -> Self {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/command.yaml"));
        let mut spec = load(&[file]).specs().next().unwrap().1.clone();
        spec.image = ImageId::from(OLD);
        spec.slots.truncate(slots);
        change(spec.application.command_mut().unwrap());
        Self::settle(World::new(7, FaultLevel::None), "7.0.5", spec)
    }

    fn settle(world: World, version: &str, spec: ClusterSpec) -> Self {
        world.register_image(&ImageId::from(OLD), Payload::Good { version: version.to_owned() });
        world.register_image(&ImageId::from(NEW), Payload::Good { version: version.to_owned() });
        world.settle(&spec);
        Self { world, spec }
    }

    pub fn slot(&self, number: usize) -> SlotName {
        self.spec.slots[number].name.clone()
    }

    pub fn pass(&self, span: Duration) {
        block_on(&self.world, self.world.sleep(span));
    }

    pub fn view(&self) -> std::sync::Arc<CloudView> {
        let sweep = block_on(&self.world, self.world.sweep(&Wanted::default())).unwrap();
        sweep.cluster(&self.spec.name)
    }

    pub fn instance(&self, id: &InstanceId) -> Instance {
        self.view().instance(id).unwrap().clone()
    }

    pub fn volume(&self, id: &VolumeId) -> Volume {
        self.view().volumes().find(|volume| volume.id == *id).unwrap().clone()
    }

    /// The oldest live instance of a slot, and its volume.
    pub fn of(&self, number: usize) -> (InstanceId, VolumeId) {
        let slot = self.slot(number);
        let instance = self.world.instances_of(&self.spec.name, &slot)[0].clone();
        (instance, self.world.volumes_of(&self.spec.name, &slot)[0].clone())
    }

    pub fn seats(&self) -> Vec<Seat> {
        let running = |instance: &&Instance| instance.state == InstanceState::Running;
        let seat = |instance: &Instance| {
            let address = instance.asked_at()?;
            Some(Seat { slot: instance.slot.clone(), instance: instance.id.clone(), address })
        };
        self.view().instances().filter(running).filter_map(seat).collect()
    }

    pub fn try_membership(&self) -> Result<Membership, PortError> {
        let seats = self.seats();
        block_on(&self.world, self.world.membership(&self.spec, &seats))
    }

    pub fn membership(&self) -> Membership {
        self.try_membership().unwrap()
    }

    pub fn is_well(&self, number: usize) -> bool {
        let member = self.membership().of_slot(&self.slot(number)).cloned();
        member.is_some_and(|member| member.counts && member.health == Health::Healthy)
    }

    /// The number of a slot whose member does not lead.
    pub fn follower(&self) -> usize {
        let membership = self.membership();
        let leads = |number: &usize| {
            let member = membership.of_slot(&self.slot(*number)).unwrap();
            Some(&member.id) == membership.leader.as_ref()
        };
        (0..3).find(|number| !leads(number)).unwrap()
    }

    /// Has the claim name a slot, and say that its instance is to be stopped, as it does before a controller stops anything there.
    pub fn claim(&self, number: usize) {
        let claim = self.claim_of(number, Purpose::Fill, Way::Forward, false);
        self.world.put_claim(&self.spec.name, Claim { stops: [self.of(number).0].into(), ..claim });
    }

    /// Has the claim name a slot, to that end and on that way, or while it turns to it.
    pub fn claim_for(&self, number: usize, purpose: Purpose, way: Way, turning: bool) {
        self.world.put_claim(&self.spec.name, self.claim_of(number, purpose, way, turning));
    }

    fn claim_of(&self, number: usize, purpose: Purpose, way: Way, turning: bool) -> Claim {
        Claim {
            slot: self.slot(number),
            attempt: Attempt(4),
            tries: 0,
            purpose,
            member: None,
            generation: self.spec.generation(),
            image: ImageId::from(NEW),
            version: None,
            recruit: None,
            stops: Default::default(),
            stuck: None,
            stranded: false,
            way,
            turning,
            request: None,
            since: self.world.now(),
        }
    }

    /// Writes to the claim record that a slot's replacement is launched ahead, under that attempt.
    pub fn announce(&self, number: usize, attempt: u32) {
        let (generation, request) = (self.spec.generation(), String::new());
        let (attempt, image) = (Attempt(attempt), ImageId::from(NEW));
        let ahead = Ahead { slot: self.slot(number), attempt, generation, image, request, let_go: false };
        self.write_claim(|expects| ClaimEffect::Announce { ahead, expects });
    }

    /// Claims a slot with a compare-and-set, under attempt 4.
    pub fn claims(&self, number: usize, purpose: Purpose) {
        let claim = self.claim_of(number, purpose, Way::Forward, false);
        self.write_claim(|expects| ClaimEffect::Claim { claim, expects });
    }

    fn write_claim(&self, effect: impl FnOnce(u64) -> ClaimEffect) {
        let revision = block_on(&self.world, Coordination::read(&self.world, &self.spec.name)).unwrap().revision;
        let effect = effect(revision);
        let write = Coordination::write(&self.world, &self.spec.name, &effect);
        assert_eq!(block_on(&self.world, write).unwrap(), Outcome::Done);
    }

    pub fn try_do(&self, number: usize, effect: CloudEffect) -> Result<Outcome, PortError> {
        if matches!(effect, CloudEffect::Stop { .. }) {
            self.claim(number);
        }
        let slot = self.slot(number);
        block_on(&self.world, Cloud::change(&self.world, &self.spec, Some(&slot), &effect, &AT_ANY_TIME))
    }

    pub fn act(&self, number: usize, effect: CloudEffect) -> Outcome {
        self.try_do(number, effect).unwrap()
    }

    pub fn force(&self, number: usize, effect: CloudEffect) -> Result<Outcome, PortError> {
        if matches!(effect, CloudEffect::Stop { .. }) {
            self.claim(number);
        }
        self.view(); // a controller that looks, and then does not check
        self.world.send_unchecked(&self.spec.name, Some(&self.slot(number)), &effect)
    }

    pub fn launch(&self, number: usize, attempt: u32) -> Launch {
        let slot = &self.spec.slots[number];
        let volumes = self.world.volumes_of(&self.spec.name, &slot.name);
        let token = Token::from(format!("{}-{attempt}", slot.name));
        Launch {
            make: self.spec.make_on(&ImageId::from(NEW)),
            generation: self.spec.generation_on(&ImageId::from(NEW)),
            attempt: Attempt(attempt),
            volumes: volumes.into_iter().map(|id| ("data".into(), id)).collect(),
            ..Launch::declared(&self.spec, slot, Owner::from("hermitcrab"), token)
        }
    }

    pub fn launches(&self, number: usize, attempt: u32) -> InstanceId {
        let launch = CloudEffect::Launch(Box::new(self.launch(number, attempt)));
        let Outcome::Launched(id) = self.act(number, launch) else { panic!("nothing was launched") };
        id
    }

    /// Moves a slot's fixed address to an instance.
    pub fn assign(&self, number: usize, instance: &InstanceId) -> CloudEffect {
        let (seen, slot) = (self.instance(instance), &self.spec.slots[number]);
        let (address, interface) = (slot.address.unwrap(), seen.interface.unwrap().id);
        CloudEffect::AssignAddress { address, interface, instance: instance.clone(), subnet: seen.subnet }
    }

    pub fn attach(&self, volume: &VolumeId, instance: &InstanceId) -> CloudEffect {
        CloudEffect::Attach { volume: volume.clone(), instance: instance.clone(), device: "/dev/sdf".to_owned() }
    }

    pub fn detach(&self, volume: &VolumeId, instance: &InstanceId) -> CloudEffect {
        CloudEffect::Detach { volume: volume.clone(), instance: instance.clone(), device: "/dev/sdf".to_owned() }
    }

    /// Stops the old instance and moves its volume to a new one, and waits until it is there.
    pub fn moves_to_a_new_instance(&self, number: usize, attempt: u32) -> (InstanceId, InstanceId) {
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
    pub fn rolls(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.makes_leader((number + 1) % 3);
            let (old, _) = self.moves_to_a_new_instance(number, 4 + number as u32);
            self.write(&format!("roll/{number}"), "meanwhile").unwrap();
            self.pass(seconds(60));
            assert!(self.is_well(number), "slot {number}");
            self.act(number, retire(&old));
            self.view();
            assert_eq!(self.act(number, terminate(&old)), Outcome::Done);
            self.pass(seconds(91));
        }
    }

    pub fn write(&self, key: &str, value: &str) -> Result<(), PortError> {
        let seats = self.seats();
        block_on(&self.world, self.world.write_canary(&self.spec, &seats, key, value))
    }

    /// Reads the canaries of the cluster, as `key=value` in one line.
    pub fn try_canaries(&self) -> Result<String, PortError> {
        let seats = self.seats();
        let found = block_on(&self.world, self.world.canaries(&self.spec, &seats))?;
        Ok(found.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "))
    }

    pub fn canaries(&self) -> String {
        self.try_canaries().unwrap()
    }

    /// Sends a request to the members.
    pub fn ask(&self, effect: &MemberEffect) -> Result<Outcome, PortError> {
        let seats = self.seats();
        block_on(&self.world, Members::change(&self.world, &self.spec, &seats, effect))
    }

    /// Keeps the members from pruning each other below this number.
    pub fn set_pruning(&self, down_to: usize) -> Outcome {
        self.ask(&MemberEffect::SetPruning { down_to }).unwrap()
    }

    /// Asks one member to hand leadership to another.
    pub fn transfer(&self, from: MemberId, to: MemberId) -> Result<Outcome, PortError> {
        self.ask(&MemberEffect::TransferLeadership { from, to })
    }

    /// Has a slot's member lead.
    pub fn makes_leader(&self, number: usize) {
        let membership = self.membership();
        let to = membership.of_slot(&self.slot(number)).unwrap().id.clone();
        self.transfer(membership.leader.unwrap(), to.clone()).unwrap();
        self.pass(seconds(1));
        assert_eq!(self.membership().leader, Some(to));
    }

    pub fn stops(&self, number: usize) {
        self.world.stop_instance(&self.of(number).0);
        self.pass(seconds(61));
    }

    pub fn starts(&self, number: usize) {
        self.world.start_instance(&self.of(number).0);
        self.pass(seconds(90));
    }

    pub fn broken(&self) -> Vec<String> {
        self.world.violations().into_iter().map(|violation| violation.rule.name().to_owned()).collect()
    }
}

pub fn start() -> Timestamp {
    "2026-01-05T09:00:00Z".parse().unwrap()
}

pub fn stop(instance: &InstanceId) -> CloudEffect {
    CloudEffect::Stop { instance: instance.clone() }
}

pub fn terminate(instance: &InstanceId) -> CloudEffect {
    CloudEffect::Terminate { instance: instance.clone() }
}

pub fn retire(instance: &InstanceId) -> CloudEffect {
    CloudEffect::Retire { instance: instance.clone() }
}
