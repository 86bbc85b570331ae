//! A cluster that has been running for a while, built at once.

use std::collections::BTreeMap;

use super::canaries::Canaries;
use super::consul::Process;
use super::records::{Disk, Shell, Stamp};
use super::truth::Truth;
use super::{DEFAULT_VERSION, OWNER, Payload};
use crate::action::{CreateVolume, Launch};
use crate::ids::{Attempt, InstanceId, MemberId, Owner, Token, VolumeId, VolumeName};
use crate::observed::{Attachment, AttachmentPhase, Checks, ClaimRecord, Device, InstanceState, VolumeState};
use crate::spec::{ApplicationSpec, ClusterSpec, SlotSpec, VolumeSpec};

impl Truth {
    /// Every slot of `spec` runs on `spec.image`, is proven there and settled.
    pub(super) fn settle(&mut self, spec: &ClusterSpec) {
        self.declare(spec);
        let ApplicationSpec::Consul(consul) = &spec.application;
        let version = consul.version.clone().unwrap_or_else(|| DEFAULT_VERSION.to_owned());
        self.images.entry(spec.image.clone()).or_insert(Payload::Good { version });
        let mut members = Vec::new();
        for (number, slot) in spec.slots.iter().enumerate() {
            members.push(self.settle_slot(spec, slot, Attempt(number as u32 + 1)));
        }
        let now = self.now;
        let leader = self.rng.choice(members);
        if let (Some(cluster), Some(leader)) = (self.clusters.get_mut(&spec.name), leader) {
            cluster.consul.found(now, leader);
            cluster.claim = ClaimRecord {
                revision: 2 * spec.slots.len() as u64,
                last_attempt: Attempt(spec.slots.len() as u32),
                initialised: spec.slots.iter().map(|slot| slot.name.clone()).collect(),
                ..ClaimRecord::default()
            };
        }
        self.settle_group(spec);
        self.tell_world(&spec.name);
        self.stir(&spec.name);
        self.changed(&spec.name);
    }

    fn settle_slot(&mut self, spec: &ClusterSpec, slot: &SlotSpec, attempt: Attempt) -> MemberId {
        let member = MemberId::from(self.new_id("node"));
        let id = InstanceId::from(self.new_id("i"));
        let volumes: Vec<(&VolumeSpec, VolumeId)> =
            spec.volumes.iter().map(|volume| (volume, VolumeId::from(self.new_id("vol")))).collect();
        let named: BTreeMap<VolumeName, VolumeId> =
            volumes.iter().map(|(volume, id)| (volume.name.clone(), id.clone())).collect();
        let launch = settled_launch(spec, slot, attempt, named);
        let mut shell = self.launched_shell(spec, slot, &launch, id.clone());
        for (volume, volume_id) in volumes {
            let device =
                Device { volume: volume_id.clone(), device: volume.device.clone(), delete_on_termination: false };
            shell.seen.devices.push(device);
            self.settle_volume(spec, slot, volume, volume_id, &id, &member, attempt);
        }
        self.run_settled(shell, &member);
        member
    }

    fn launched_shell(&mut self, spec: &ClusterSpec, slot: &SlotSpec, launch: &Launch, id: InstanceId) -> Shell {
        let address = self.give_address(&slot.subnet);
        let mut shell = self.new_shell(&spec.name, &slot.name, launch, id, address, None);
        shell.seen.state = InstanceState::Running;
        shell.seen.checks = Checks::Ok;
        (shell.booted, shell.settled, shell.proven) = (true, true, true);
        shell
    }

    fn run_settled(&mut self, shell: Shell, member: &MemberId) {
        let Some(address) = shell.seen.address else { return };
        let process = Process {
            name: shell.seen.slot.clone(),
            instance: shell.seen.id.clone(),
            address,
            version: self.version_on(&shell),
            payload: self.images.get(&shell.seen.image).cloned().unwrap_or_default(),
            started: self.now,
            joined: None,
            joins_at: self.now,
            from: 0,
            canaries: Canaries::default(),
        };
        if let Some(cluster) = self.clusters.get_mut(&shell.cluster) {
            cluster.instances.insert(shell.seen.id.clone());
            cluster.consul.start(member.clone(), process);
            if let Some(truth) = cluster.slots.get_mut(&shell.seen.slot) {
                truth.member = Some(member.clone());
                (truth.up, truth.was_up) = (true, true);
            }
        }
        self.instances.insert(shell.seen.id.clone(), shell);
    }

    #[allow(clippy::too_many_arguments)] // one row of a fresh world
    fn settle_volume(
        &mut self,
        spec: &ClusterSpec,
        slot: &SlotSpec,
        volume: &VolumeSpec,
        id: VolumeId,
        instance: &InstanceId,
        member: &MemberId,
        attempt: Attempt,
    ) {
        let since = self.timestamp(self.now);
        let made = CreateVolume {
            token: Token::from(format!("settled-{}-{}", slot.name, volume.name)),
            name: volume.name.clone(),
            zone: slot.zone.clone(),
            size_gib: volume.size_gib,
            volume_type: volume.volume_type.clone(),
            encrypted: volume.encrypted,
            snapshot: None,
            owner: Owner::from(OWNER),
            slots: spec.slots.iter().map(|slot| slot.name.clone()).collect(),
        };
        let mut disk = Disk::blank(&spec.name, &slot.name, &made, id.clone());
        let (instance, device, phase) = (instance.clone(), volume.device.clone(), AttachmentPhase::Attached);
        disk.seen.state = VolumeState::InUse(Attachment { instance, device, phase, since });
        disk.seen.generation = Some(spec.generation());
        disk.seen.image = Some(spec.image.clone());
        disk.seen.attempt = attempt;
        disk.stamp = Some(Stamp { cluster: spec.name.clone(), slot: slot.name.clone(), volume: volume.name.clone() });
        disk.formatted = 1;
        disk.member = Some(member.clone());
        if let Some(cluster) = self.clusters.get_mut(&spec.name) {
            cluster.volumes.insert(id.clone());
        }
        self.volumes.insert(id, disk);
    }
}

/// The launch that such an instance must have come from.
fn settled_launch(
    spec: &ClusterSpec,
    slot: &SlotSpec,
    attempt: Attempt,
    volumes: BTreeMap<VolumeName, VolumeId>,
) -> Launch {
    Launch {
        token: Token::from(format!("settled-{}", slot.name)),
        image: spec.image.clone(),
        instance_type: spec.instance.instance_type.clone(),
        zone: slot.zone.clone(),
        subnet: slot.subnet.clone(),
        iam_instance_profile: spec.instance.iam_instance_profile.clone(),
        security_groups: spec.instance.security_groups.clone(),
        key_name: spec.instance.key_name.clone(),
        user_data: spec.instance.user_data.clone(),
        user_data_digest: spec.instance.user_data_digest(),
        tags: spec.instance.tags.clone(),
        owner: Owner::from(OWNER),
        generation: spec.generation(),
        attempt,
        volumes,
    }
}
