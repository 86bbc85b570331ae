//! A cluster that has been running for a while, built at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::state::{Cluster, State};
use crate::action::{CreateVolume, Launch};
use crate::ids::{Attempt, InstanceId, MemberId, Owner, SlotName, Token, VolumeId, VolumeName};
use crate::make::Make;
use crate::observed::{Attachment, AttachmentPhase, Checks, ClaimRecord, Device, InstanceState, Settled, VolumeState};
use crate::sim::content::{Content, Log};
use crate::sim::ec2::{Disk, Machine};
use crate::sim::members::Process;
use crate::sim::pack;
use crate::sim::time::instant;
use crate::sim::words::{DEFAULT_VERSION, OWNER, Payload};
use crate::spec::{ClusterSpec, SlotSpec, VolumeSpec};

/// A slot that is being settled.
struct Settling<'a> {
    spec: &'a ClusterSpec,
    slot: &'a SlotSpec,
    attempt: Attempt,
    member: MemberId,
    instance: InstanceId,
    volumes: Vec<(&'a VolumeSpec, VolumeId)>,
    alike: &'a Alike,
}

/// The parts that all instances or volumes of a settled cluster have alike, and share.
struct Alike {
    make: Arc<Make>,
    slots: Arc<BTreeSet<SlotName>>,
}

impl State {
    /// Builds a cluster of which every slot runs on `spec.image`, is proven there and settled.
    pub fn settle(&mut self, spec: &ClusterSpec) {
        self.declare(spec);
        let version = spec.application.rules().version.unwrap_or_else(|| DEFAULT_VERSION.to_owned());
        self.region.images.entry(spec.image.clone()).or_insert(Payload::Good { version });
        let slots = spec.slots.iter().map(|slot| slot.name.clone()).collect();
        let alike = Alike { make: Arc::new(spec.make()), slots: Arc::new(slots) };
        let mut members = Vec::new();
        for (number, slot) in spec.slots.iter().enumerate() {
            members.push(self.settle_slot(spec, slot, Attempt(number as u32 + 1), &alike));
        }
        let now = self.now;
        let leader = self.chance.rng.choice(members);
        if let (Some(cluster), Some(leader)) = (self.clusters.get_mut(&spec.name), leader) {
            cluster.members.settle(leader, now);
            self.claims.put(self.now, &spec.name, settled_claim(spec));
        }
        self.region.settle_group(spec);
        self.tell_world(&spec.name);
        self.stir(&spec.name);
        self.region.changed(&spec.name);
    }

    /// Gives back the memory that clusters do not need which have been settled one after another.
    pub fn pack(&mut self) {
        pack::tree(&mut self.clusters);
        for cluster in self.clusters.values_mut() {
            pack::list(&mut cluster.slots);
            pack::list(&mut cluster.declared.slots);
            cluster.members.pack();
        }
        self.claims.pack();
        self.region.pack();
    }

    fn settle_slot(&mut self, spec: &ClusterSpec, slot: &SlotSpec, attempt: Attempt, alike: &Alike) -> MemberId {
        let member = MemberId::from(self.chance.id("node"));
        let instance = InstanceId::from(self.chance.id("i"));
        let volumes = spec.volumes.iter().map(|volume| (volume, VolumeId::from(self.chance.id("vol")))).collect();
        let settling = Settling { spec, slot, attempt, member: member.clone(), instance, volumes, alike };
        let machine = self.settled_machine(&settling);
        for (volume, id) in &settling.volumes {
            self.settle_volume(&settling, volume, id, &machine);
        }
        self.run_settled(machine, &member);
        member
    }

    fn settled_machine(&mut self, settling: &Settling) -> Machine {
        let Settling { spec, slot, .. } = settling;
        let address = self.region.give_address(&slot.subnet);
        let launch = settling.launch();
        let (id, now) = (settling.instance.clone(), instant(self.now));
        let mut machine = Machine::launched(&launch, &spec.name, id, address, now);
        machine.seen.make = settling.alike.make.clone();
        machine.shown_addresses = slot.address.into_iter().collect();
        if let Some(interface) = &mut machine.seen.interface {
            interface.secondary.clone_from(&machine.shown_addresses);
        }
        machine.seen.state = InstanceState::Running;
        machine.seen.checks = Checks::Ok;
        (machine.booted, machine.settled, machine.proven) = (true, true, true);
        let device = |(volume, id): &(&VolumeSpec, VolumeId)| Device {
            volume: id.clone(),
            device: volume.device.clone(),
            delete_on_termination: false,
        };
        machine.seen.devices = settling.volumes.iter().map(device).collect();
        machine
    }

    fn run_settled(&mut self, machine: Machine, member: &MemberId) {
        let Some(address) = machine.seen.asked_at() else { return };
        let process = Process {
            name: machine.seen.slot.clone(),
            instance: machine.seen.id.clone(),
            address,
            version: self.version_on(&machine),
            payload: self.region.images.get(&machine.seen.make.image).cloned().unwrap_or_default(),
            started: self.now,
            joined: None,
            cut_off: false,
            deaf: false,
            unlinked: false,
            from: 0,
            canaries: Log::default().canaries,
        };
        if let Some(cluster) = self.clusters.get_mut(&machine.cluster) {
            cluster.seat(&machine, member, process);
        }
        if let Some(holdings) = self.region.clusters.get_mut(&machine.cluster) {
            holdings.instances.insert(machine.seen.id.clone());
        }
        self.region.instances.insert(machine.seen.id.clone(), machine);
    }

    fn settle_volume(&mut self, settling: &Settling, volume: &VolumeSpec, id: &VolumeId, machine: &Machine) {
        let spec = settling.spec;
        let mut disk = Disk::blank(&spec.name, &settling.creation(volume), id.clone());
        let (instance, device) = (settling.instance.clone(), volume.device.clone());
        let (phase, since) = (AttachmentPhase::Attached, instant(self.now));
        disk.seen.state = VolumeState::InUse(Attachment { instance, device, phase, since });
        disk.seen.settled = Some(Settled { generation: spec.generation(), image: Some(spec.image.clone()) });
        disk.seen.attempt = settling.attempt;
        disk.seen.slots = settling.alike.slots.clone();
        let (stamp, member) = (Some(machine.stamp(&volume.name)), Some(settling.member.clone()));
        disk.content = Content { stamp, member, formatted: 1, ..Content::default() };
        if let Some(holdings) = self.region.clusters.get_mut(&spec.name) {
            holdings.volumes.insert(id.clone());
        }
        self.region.volumes.insert(id.clone(), disk);
    }
}

impl Cluster {
    /// Lets a member run that has been up for as long as anybody knows.
    fn seat(&mut self, machine: &Machine, member: &MemberId, process: Process) {
        self.members.start(member.clone(), process);
        if let Some(record) = self.slots.get_mut(&machine.seen.slot) {
            record.member = Some(member.clone());
            (record.up, record.was_up) = (true, true);
        }
    }
}

/// The record of a cluster in which each slot was claimed once, and released.
fn settled_claim(spec: &ClusterSpec) -> ClaimRecord {
    ClaimRecord {
        revision: 2 * spec.slots.len() as u64,
        last_attempt: Attempt(spec.slots.len() as u32),
        initialised: spec.slots.iter().map(|slot| slot.name.clone()).collect(),
        ..ClaimRecord::default()
    }
}

impl Settling<'_> {
    /// The launch that the instance must have come from.
    fn launch(&self) -> Launch {
        let Self { spec, slot, .. } = self;
        let named = |(volume, id): &(&VolumeSpec, VolumeId)| (volume.name.clone(), id.clone());
        let volumes: BTreeMap<VolumeName, VolumeId> = self.volumes.iter().map(named).collect();
        let token = Token::from(format!("settled-{}", slot.name));
        Launch { attempt: self.attempt, volumes, ..Launch::declared(spec, slot, Owner::from(OWNER), token) }
    }

    /// The call that the volume must have come from.
    fn creation(&self, volume: &VolumeSpec) -> CreateVolume {
        CreateVolume {
            token: Token::from(format!("settled-{}-{}", self.slot.name, volume.name)),
            slot: self.slot.name.clone(),
            name: volume.name.clone(),
            zone: self.slot.zone.clone(),
            size_gib: volume.size_gib,
            ebs: volume.ebs.clone(),
            tags: volume.tags.clone(),
            snapshot: None,
            owner: Owner::from(OWNER),
            slots: self.spec.slots.iter().map(|slot| slot.name.clone()).collect(),
            number: 0,
        }
    }
}
