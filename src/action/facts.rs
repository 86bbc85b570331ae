//! Facts about EC2 at one moment, as far as expectations ask about them.
//!
//! The AWS adapter makes them from EC2's answers just before it sends a call, and the simulated EC2 from its own state.
//! Nothing here is required: a resource without our tags has facts as well, because somebody may have taken the tags off.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::ids::{
    Attempt, ClusterName, Generation, ImageId, InstanceId, InterfaceId, Owner, SlotName, SnapshotId, VolumeId,
    VolumeName, Zone,
};
use crate::observed::{
    Device, Group, Instance, InstanceState, Snapshot, SnapshotPurpose, SnapshotState, Taken, Volume, VolumeState,
};

/// Everything that was looked at for one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Instances by id.
    pub instances: BTreeMap<InstanceId, InstanceFacts>,
    /// Volumes by id.
    pub volumes: BTreeMap<VolumeId, VolumeFacts>,
    /// Snapshots by id.
    pub snapshots: BTreeMap<SnapshotId, SnapshotFacts>,
    /// Fixed addresses that were looked for, each with the network interface that has it; one that nothing has is left out.
    pub addresses: BTreeMap<Ipv4Addr, AddressFacts>,
    /// The Auto Scaling group that the call is about.
    pub group: Option<Group>,
}

/// An instance, as its own view shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceFacts {
    /// State in EC2's words.
    pub state: InstanceState,
    /// Cluster from the tag `hermitcrab:cluster`.
    pub cluster: Option<ClusterName>,
    /// Slot from the tag `hermitcrab:slot`.
    pub slot: Option<SlotName>,
    /// Owner from the tag `hermitcrab:owner`.
    pub owner: Option<Owner>,
    /// Generation that it was launched with; none on an adopted instance.
    pub generation: Option<Generation>,
    /// Attempt that it was launched for.
    pub attempt: Option<Attempt>,
    /// Whether it bears the tag `hermitcrab:retired`.
    pub retired: bool,
    /// Tags that are neither ours nor AWS's own.
    pub tags: BTreeMap<String, String>,
    /// Availability zone, e.g. `us-east-1a`.
    pub zone: Option<Zone>,
    /// Volumes attached to it, the root volume included, but for those that are detached already.
    pub devices: Vec<DeviceFacts>,
    /// Auto Scaling group that it is a member of.
    pub group: Option<String>,
    /// Primary network interface, for as long as it has one.
    pub interface: Option<InterfaceId>,
    /// Whether EC2 would refuse to terminate it, as far as that is known.
    pub is_protected: bool,
}

impl InstanceFacts {
    /// Takes the facts from an instance of a cluster, as a sweep shows it. One of no slot has an empty name for it.
    pub fn of(cluster: &ClusterName, seen: &Instance) -> Self {
        let has_slot = !seen.slot.is_empty();
        Self {
            state: seen.state,
            cluster: has_slot.then(|| cluster.clone()),
            slot: has_slot.then(|| seen.slot.clone()),
            owner: seen.owner.clone().filter(|_| has_slot),
            generation: seen.generation().cloned(),
            attempt: seen.attempt(),
            retired: seen.retired,
            tags: seen.tags.clone(),
            zone: Some(seen.zone.clone()),
            devices: seen.devices.iter().map(DeviceFacts::of).collect(),
            group: seen.auto_scaling_group.clone(),
            interface: seen.interface.as_ref().map(|interface| interface.id.clone()),
            is_protected: false,
        }
    }
}

/// A volume as its instance shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceFacts {
    /// Name of the device, e.g. `/dev/sdf`.
    pub device: String,
    /// Volume at that device.
    pub volume: VolumeId,
    /// Whether the instance boots from it.
    pub is_root: bool,
    /// Whether EC2 deletes it with the instance.
    pub delete_on_termination: bool,
}

impl DeviceFacts {
    fn of(seen: &Device) -> Self {
        Self {
            device: seen.device.clone(),
            volume: seen.volume.clone(),
            is_root: false, // a sweep leaves root volumes out
            delete_on_termination: seen.delete_on_termination,
        }
    }
}

/// A volume, as its own view shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeFacts {
    /// State and attachment.
    pub state: VolumeState,
    /// Cluster from the tag `hermitcrab:cluster`.
    pub cluster: Option<ClusterName>,
    /// Slot from the tag `hermitcrab:slot`.
    pub slot: Option<SlotName>,
    /// Owner from the tag `hermitcrab:owner`.
    pub owner: Option<Owner>,
    /// Name within its slot, from the tag `hermitcrab:volume`.
    pub name: Option<VolumeName>,
    /// Availability zone, e.g. `us-east-1a`.
    pub zone: Option<Zone>,
    pub size_gib: u32,
    /// Whether EBS has a modification of it in hand, as far as that is known.
    pub is_being_modified: bool,
    /// Generation that settled on it last.
    pub generation: Option<Generation>,
    /// Image of that generation.
    pub image: Option<ImageId>,
    /// Attempt that settled or failed last.
    pub attempt: Option<Attempt>,
    /// Generation that failed on it.
    pub rejected: Option<Generation>,
    /// Slots that have ever been initialised, as recorded on it.
    pub slots: BTreeSet<SlotName>,
    /// Tags that are neither ours nor AWS's own.
    pub tags: BTreeMap<String, String>,
}

impl VolumeFacts {
    /// Takes the facts from a volume of a cluster, as a sweep shows it.
    pub fn of(cluster: &ClusterName, seen: &Volume) -> Self {
        Self {
            state: seen.state.clone(),
            cluster: Some(cluster.clone()),
            slot: Some(seen.slot.clone()),
            owner: seen.owner.clone(),
            name: Some(seen.name.clone()),
            zone: Some(seen.zone.clone()),
            size_gib: seen.size_gib,
            is_being_modified: seen.is_being_modified(),
            generation: seen.settled.as_ref().map(|settled| settled.generation.clone()),
            image: seen.settled.as_ref().and_then(|settled| settled.image.clone()),
            attempt: Some(seen.attempt),
            rejected: seen.rejected.clone(),
            slots: BTreeSet::clone(&seen.slots),
            tags: BTreeMap::new(),
        }
    }

    /// Gives the instance that has the volume, in whatever phase. Of several holders the first counts.
    pub fn holder(&self) -> Option<&InstanceId> {
        match &self.state {
            VolumeState::InUse(at) => Some(&at.instance),
            VolumeState::Shared(holders) => holders.first(),
            VolumeState::Creating | VolumeState::Available | VolumeState::Deleted | VolumeState::Error => None,
        }
    }

    /// Tells whether the volume is attached to an instance, in whatever phase.
    pub fn is_at(&self, instance: &InstanceId) -> bool {
        match &self.state {
            VolumeState::InUse(at) => at.instance == *instance,
            VolumeState::Shared(holders) => holders.contains(instance),
            VolumeState::Creating | VolumeState::Available | VolumeState::Deleted | VolumeState::Error => false,
        }
    }
}

/// A private address that a network interface has.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressFacts {
    /// Interface that has it.
    pub interface: InterfaceId,
    /// Instance that the interface belongs to, if it is one's.
    pub instance: Option<InstanceId>,
    /// Whether it is the interface's primary address, which never moves.
    pub is_primary: bool,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotFacts {
    /// Volume that it was taken of.
    pub volume: VolumeId,
    /// Cluster from the tag `hermitcrab:cluster`.
    pub cluster: Option<ClusterName>,
    /// Owner from the tag `hermitcrab:owner`.
    pub owner: Option<Owner>,
    /// Attempt that it was taken for.
    pub attempt: Option<Attempt>,
    /// State of the volume's instance meanwhile, as far as a backup tells.
    pub taken: Taken,
    /// Cluster of the volume, where a throw-away copy of that cluster begins with it.
    pub copy_of: Option<ClusterName>,
    /// Whether EC2 gave it up, so that it can never be used.
    pub failed: bool,
}

impl SnapshotFacts {
    /// Takes the facts from a snapshot of a cluster, as a sweep shows it.
    pub fn of(cluster: &ClusterName, seen: &Snapshot) -> Self {
        let (attempt, taken, copy_of) = match &seen.purpose {
            SnapshotPurpose::Backup { attempt, taken } => (Some(*attempt), *taken, None),
            SnapshotPurpose::Copy { of } => (None, Taken::default(), Some(of.clone())),
        };
        Self {
            volume: seen.volume.clone(),
            cluster: Some(cluster.clone()),
            owner: seen.owner.clone(),
            attempt,
            taken,
            copy_of,
            failed: seen.state == SnapshotState::Failed,
        }
    }
}
