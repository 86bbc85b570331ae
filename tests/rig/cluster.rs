//! One rig: a loopback network with moto, proxy and hypervisor, and a cluster in it that has been running for a while.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load;
use hermitcrab::spec::render;

use crate::boot::Image;
use crate::ec2::{Ec2, Inventory, PERSON};
use crate::hypervisor::{Hypervisor, Payload};
use crate::kind::{Kind, Server};
use crate::metadata;
use crate::moto;
use crate::motos::Moto;
use crate::network::Network;
use crate::proxy::Proxy;
use crate::servers::{Program, Servers};
use crate::truth::Truth;
use crate::world::{Delays, Life, Standing, World, tag};
use crate::{AT_MOST, until};

pub const OWNER: &str = "hermitcrab";
/// The factor for all times of EC2. With it a rollout takes about as long as Consul itself needs.
const SCALE: f64 = 0.1;
/// The last number of the first slot's fixed address. moto gives out the lowest numbers of a subnet.
const FIRST_FIXED: usize = 200;
/// The last number of the address of what the members stand on, which is no instance.
const STORE: usize = 150;
const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

/// Everything that one scenario needs.
pub struct Rig {
    pub title: String,
    pub kind: Kind,
    pub dir: PathBuf,
    pub truth: Rc<Truth>,
    pub proxy: Rc<Proxy>,
    pub hypervisor: Rc<Hypervisor>,
    /// Somebody at a console, whose calls go through the proxy too.
    pub person: Ec2,
    pub slots: Vec<Slot>,
    pub v1: String,
    pub v2: String,
    /// An image whose server never starts.
    pub bad: String,
    /// The servers of v1 and v2.
    pub programs: [Program; 2],
    security_group: String,
    moto: Moto,
    pub network: Network,
}

/// The slots that a rig is to have.
#[derive(Clone, Copy, Debug)]
pub struct Seats {
    pub slots: usize,
    /// Whether each has a fixed address.
    pub fixed: bool,
}

/// A seat.
#[derive(Clone, Debug)]
pub struct Slot {
    pub name: String,
    pub zone: &'static str,
    pub subnet: String,
    /// The fixed address of its member, if the slots have one.
    pub address: Option<String>,
}

impl Rig {
    /// Starts everything, with these slots and nothing in them yet.
    pub async fn start(title: &str, servers: &Servers, seats: Seats, dir: &Path, truth: Rc<Truth>) -> Rc<Self> {
        let kind = servers.kind;
        let network = Network::take();
        let moto = moto::start(servers, dir, seats.slots == 0);
        let scale = std::env::var("HERMITCRAB_RIG_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(SCALE);
        let proxy = Proxy::start(&moto.url, World::new(Delays::scaled(scale)), truth.clone()).await;
        let image = Image::install(servers, metadata::start(proxy.clone()).await, dir).await;
        let hypervisor = Hypervisor::start(kind, proxy.clone(), truth.clone(), dir, image);
        let person = Ec2::new(&proxy.endpoint, PERSON);

        let vpc = person.make("CreateVpc", &[("CidrBlock", &network.cidr())], "vpcId").await;
        let mut subnets = Vec::new();
        for (number, zone) in ZONES.iter().enumerate() {
            let cidr = network.subnet(number + 1);
            let params = [("VpcId", &*vpc), ("CidrBlock", &*cidr), ("AvailabilityZone", *zone)];
            subnets.push(person.make("CreateSubnet", &params, "subnetId").await);
        }
        let params = [("GroupName", kind.name()), ("GroupDescription", kind.name()), ("VpcId", &*vpc)];
        let security_group = person.make("CreateSecurityGroup", &params, "groupId").await;
        let [old, new] = servers.programs.clone();
        let payloads = [("v1", Payload::Server(old)), ("v2", Payload::Server(new)), ("bad", Payload::Nothing)];
        let mut images = Vec::new();
        for (name, payload) in payloads {
            let name = format!("{}-{name}", kind.name());
            let image = person.make("RegisterImage", &[("Name", &*name)], "imageId").await;
            hypervisor.image(&image, payload);
            let tag =
                [("ResourceId.1", &*image), ("Tag.1.Key", "hermitcrab-guest"), ("Tag.1.Value", "isolates-copies")];
            person.call("CreateTags", &tag).await.unwrap();
            images.push(image);
        }
        let seat = |number: usize| {
            let name = format!("{}-{}", kind.name(), char::from(b'a' + number as u8));
            let address = seats.fixed.then(|| network.address(number % 3 + 1, FIRST_FIXED + number));
            Slot { name, zone: ZONES[number % 3], subnet: subnets[number % 3].clone(), address }
        };
        let slots = (0..seats.slots).map(seat).collect();
        let [v1, v2, bad] = <[String; 3]>::try_from(images).unwrap();
        let (title, dir) = (title.to_owned(), dir.to_owned());
        Rc::new(Self {
            title,
            kind,
            dir,
            truth,
            proxy,
            hypervisor,
            person,
            slots,
            v1,
            v2,
            bad,
            programs: servers.programs.clone(),
            security_group,
            moto,
            network,
        })
    }

    /// Writes the desired state, with each change made to its text.
    pub fn desire(&self, image: &str, changes: &[(&str, &str)]) -> PathBuf {
        let slots: String = self.slots.iter().map(Slot::declared).collect();
        let member = |slot: &Slot| Some(format!("{}={}", slot.name, slot.address.as_ref()?));
        let members: Vec<String> = self.slots.iter().filter_map(member).collect();
        let mut text = self.kind.desired_state().replace("SLOTS\n", &slots);
        text = text.replace("IMAGE", image).replace("VERSION", &self.version_of(image));
        text = text.replace("SECURITY_GROUP", &self.security_group).replace("TREE", env!("CARGO_MANIFEST_DIR"));
        text = text.replace("STORE", &self.store());
        let addresses = self.slots.iter().filter_map(|slot| slot.address.as_ref()).zip(1..);
        let numbered: Vec<String> = addresses.map(|(address, number)| format!("{number}={address}")).collect();
        text = text.replace("NUMBERED", &numbered.join(" "));
        text = text.replace("COUNT", &self.slots.len().to_string()).replace("MEMBERS", &members.join(" "));
        if members.is_empty() {
            // Nobody knows an address that is not fixed beforehand.
            text = text.replace("      etcd-members: \"\"\n", "");
        }
        for (from, to) in changes {
            assert!(text.contains(from), "the desired state has no `{from}`");
            text = text.replace(from, to);
        }
        let folder = self.dir.join("desired-state");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{}.yaml", self.kind.name())), text).unwrap();
        folder
    }

    /// The address of what the members stand on, where that is something of its own.
    pub fn store(&self) -> String {
        self.network.address(1, STORE)
    }

    /// The version that a member on an image reports, or would if its server started.
    fn version_of(&self, image: &str) -> String {
        let [old, new] = &self.programs;
        if image == self.v1 { old.version.clone() } else { new.version.clone() }
    }

    /// The cluster as it is after a rollout of an image: every slot settled on it.
    pub async fn settled_on(&self, image: &str) {
        self.settled(&vec![image; self.slots.len()]).await;
    }

    /// The cluster with each slot settled on an image of its own.
    pub async fn settled(&self, images: &[&str]) {
        for (number, (slot, image)) in self.slots.iter().zip(images).enumerate() {
            let loaded = load::load(&[self.desire(image, &[])]);
            let (_, spec) = loaded.specs().next().unwrap_or_else(|| panic!("{}", render::text(&loaded, false)));
            self.launch_settled(spec, slot, number + 1).await;
        }
        self.desire(images[0], &[]);
        if self.kind == Kind::Etcd && !self.has_addresses() {
            self.tell_first_members().await;
        }
        self.attach_all().await;
        self.all_are_well(AT_MOST).await;
    }

    async fn launch_settled(&self, spec: &ClusterSpec, slot: &Slot, attempt: usize) {
        let (generation, attempt) = (spec.generation().to_string(), attempt.to_string());
        let names: Vec<&str> = self.slots.iter().map(|slot| slot.name.as_str()).collect();
        let of_both = [
            ("hermitcrab:cluster", self.kind.cluster()),
            ("hermitcrab:slot", &slot.name),
            ("hermitcrab:owner", OWNER),
            ("hermitcrab:generation", &generation),
            ("hermitcrab:attempt", &attempt),
        ];
        let slots = names.join(" ");
        let of_volume =
            [("hermitcrab:volume", "data"), ("hermitcrab:slots", &slots), ("hermitcrab:image", &*spec.image)];
        let volume_tags = tagged("volume", of_both.iter().chain(&of_volume));
        let mut volume =
            vec![("AvailabilityZone", slot.zone), ("Size", "1"), ("VolumeType", "gp3"), ("Encrypted", "true")];
        volume.extend(volume_tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let volume = self.person.make("CreateVolume", &volume, "volumeId").await;
        let mut of_instance = vec![("hermitcrab:volume:data", &*volume)];
        of_instance.extend(slot.address.iter().map(|address| ("hermitcrab:address", address.as_str())));
        of_instance.extend(spec.instance.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let mut instance_tags = tagged("instance", of_both.iter().chain(&of_instance));
        instance_tags.extend(tagged_as("2", "network-interface", of_both[..3].iter()));
        let mut instance = vec![
            ("ImageId", &*spec.image),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("InstanceType", "m7i.large"),
            ("SubnetId", &*slot.subnet),
            ("SecurityGroupId.1", &*self.security_group),
            ("MetadataOptions.InstanceMetadataTags", "enabled"),
        ];
        instance.extend(instance_tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        self.person.make("RunInstances", &instance, "instanceId").await;
    }

    /// Tells the first instances of each other's addresses, as a person does who begins a cluster without fixed ones.
    async fn tell_first_members(&self) {
        let all = until("an address of each instance", AT_MOST, async || {
            let world = self.proxy.world.borrow();
            let first = |slot: &Slot| {
                let (instance, machine) = world.live_in(&slot.name).next()?;
                let is_there = machine.life == Life::Running && !machine.address.is_empty();
                is_there.then(|| (instance.clone(), format!("{}={}", slot.name, machine.address)))
            };
            self.slots.iter().map(first).collect::<Option<Vec<_>>>()
        });
        let all = all.await;
        let members: Vec<_> = all.iter().map(|(_, member)| member.as_str()).collect();
        for (instance, _) in &all {
            let tag =
                [("ResourceId.1", &**instance), ("Tag.1.Key", "etcd-members"), ("Tag.1.Value", &members.join(" "))];
            self.person.call("CreateTags", &tag).await.unwrap();
        }
    }

    async fn attach_all(&self) {
        for slot in &self.slots {
            let ready = async || {
                let world = self.proxy.world.borrow();
                let in_slot = |(_, disk): &(&String, &crate::world::Disk)| tag(&disk.tags, "slot") == slot.name;
                let (volume, disk) = world.disks.iter().find(in_slot)?;
                let (instance, machine) = world.live_in(&slot.name).next()?;
                let ready = disk.standing == Standing::Available && machine.life == Life::Running;
                ready.then(|| (volume.clone(), instance.clone(), machine.interface.id.clone()))
            };
            let ready = until("a volume and an instance", AT_MOST, ready).await;
            let (volume, instance, interface) = ready;
            if let Some(address) = &slot.address {
                let params = [("NetworkInterfaceId", &*interface), ("PrivateIpAddress.1", address.as_str())];
                self.person.call("AssignPrivateIpAddresses", &params).await.unwrap();
            }
            let params = [("VolumeId", &*volume), ("InstanceId", &*instance), ("Device", "/dev/sdf")];
            self.person.make("AttachVolume", &params, "status").await;
        }
    }

    /// Half of the rig's addresses, from 0 or from 128 on.
    pub fn half(&self, from: u8) -> String {
        format!("127.{}.{from}.0/17", self.network.number)
    }

    /// Says whether the slots have fixed addresses.
    pub fn has_addresses(&self) -> bool {
        self.slots.iter().any(|slot| slot.address.is_some())
    }

    /// Waits until every declared member is a healthy voter.
    pub async fn all_are_well(&self, limit: Duration) {
        until("every member to be a healthy voter", limit, async || self.are_well().then_some(())).await;
    }

    fn are_well(&self) -> bool {
        let servers = self.hypervisor.servers();
        let is_well = |slot: &Slot| servers.iter().any(|server| server.is_well() && slot.is_of(server));
        servers.len() == self.slots.len() && self.slots.iter().all(is_well) && self.truth.down_now().is_empty()
    }

    /// Reads the resources that moto has.
    pub async fn inventory(&self) -> Inventory {
        Ec2::new(&self.moto.url, PERSON).inventory().await.unwrap()
    }

    /// The volume, the member and the instance of each slot.
    pub fn seats(&self) -> BTreeMap<String, Seat> {
        let world = self.proxy.world.borrow();
        let data = world.disks.iter().filter(|(_, disk)| disk.is_data());
        let seats = data.map(|(volume, disk)| {
            let slot = tag(&disk.tags, "slot");
            let member = self.hypervisor.member(volume, &slot).unwrap_or_default();
            let instance = disk.attachment.as_ref().map(|(instance, _)| instance.clone()).unwrap_or_default();
            let machine = world.machines.get(&instance);
            let image = machine.map(|machine| machine.image.clone()).unwrap_or_default();
            let fixed = machine.map(|machine| machine.interface.secondary.clone()).unwrap_or_default();
            (slot, Seat { volume: volume.clone(), member, instance, image, fixed })
        });
        seats.collect()
    }

    /// No safety rule was broken, and moto knew all that it was asked.
    pub fn nothing_is_wrong(&self) {
        let wrong: Vec<String> = self.truth.violations().into_iter().chain(moto::complaints(&self.moto)).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

impl Slot {
    /// Says whether a server is the slot's, and is where it is to be.
    fn is_of(&self, server: &Server) -> bool {
        server.name == self.name && self.address.as_ref().is_none_or(|address| *address == server.host)
    }

    /// Writes the slot's line of the desired state.
    fn declared(&self) -> String {
        let Self { name, zone, subnet, address } = self;
        let address = address.as_ref().map(|address| format!(", address: {address}")).unwrap_or_default();
        format!("    - {{ name: {name}, zone: {zone}, subnet: {subnet}{address} }}\n")
    }
}

/// The instance and the volume of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub volume: String,
    /// The id that the volume makes its member have.
    pub member: String,
    pub instance: String,
    pub image: String,
    /// The fixed address that the instance has, if it has one.
    pub fixed: Vec<String>,
}

fn tagged<'a>(kind: &str, tags: impl Iterator<Item = &'a (&'a str, &'a str)>) -> Vec<(String, String)> {
    tagged_as("1", kind, tags)
}

fn tagged_as<'a>(nth: &str, kind: &str, tags: impl Iterator<Item = &'a (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut params = vec![(format!("TagSpecification.{nth}.ResourceType"), kind.to_owned())];
    for (number, (key, value)) in tags.enumerate() {
        let tag = format!("TagSpecification.{nth}.Tag.{}", number + 1);
        params.push((format!("{tag}.Key"), (*key).to_owned()));
        params.push((format!("{tag}.Value"), (*value).to_owned()));
    }
    params
}
