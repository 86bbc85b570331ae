//! The desired state as it is meant: what a valid file says, with every default filled in.
//!
//! A value of these types has passed every check that needs nothing but the file; how a file is written, read
//! and refused is in [`raw`] and [`load`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Serialize;

use crate::ids::{ClusterName, Generation, ImageId, PlanId, SlotName, VolumeId, VolumeName, Zone};
use crate::make::{CapacityReservation, Make, Placement};

pub mod application;
mod cidr;
pub mod ebs;
pub mod load;
mod made;
pub mod raw;
pub mod render;
pub mod splice;
pub mod window;
pub mod words;

pub use application::{
    Addresses, ApplicationSpec, CommandRules, CommandSpec, ConsulSpec, EtcdSpec, HttpSpec, Lag, LeaderGoes, Leads,
    Needed, PatroniSpec, PruningGuard, Rules, Scheme, VersionSteps, ZookeeperSpec,
};
pub use cidr::Cidr;
pub use ebs::{EbsSettings, RootVolumeSpec};
pub use made::Made;
pub use window::{Window, WindowKind};

/// One cluster as it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterSpec {
    /// Unique over all files, e.g. `consul-prod`.
    pub name: ClusterName,
    /// The folder that the file really lies in, e.g. `prod`. For people only: no part of what a plan is identified by.
    pub environment: String,
    /// The AWS region of everything below, e.g. `us-east-1`.
    pub region: String,
    /// The only account whose credentials are acted with, e.g. `123456789012`; any if it is left out.
    pub account: Option<String>,
    /// The image that every instance should run.
    pub image: ImageId,
    pub application: ApplicationSpec,
    /// Tags of everything that is made, beside our own: they are among those of the instances and of each volume already.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The settings of every instance, apart from its image.
    pub instance: InstanceSpec,
    #[serde(skip_serializing_if = "Capacity::is_instances")]
    pub capacity: Capacity,
    /// The persistent volumes of every slot; at least one.
    pub volumes: Vec<VolumeSpec>,
    /// The seats of the cluster, one a member.
    pub slots: Vec<SlotSpec>,
    pub rollout: Rollout,
    /// No upgrades are made; healing goes on.
    pub suspend: bool,
    /// Nothing at all is touched.
    pub freeze: bool,
    /// The reason for either, for people. No part of what is agreed to, so no plan id stands for it.
    #[serde(skip)]
    pub reason: Option<String>,
    /// `destroy` is refused.
    pub deletion_protection: bool,
    /// The other clusters on which this one stands, e.g. `etcd-prod`. Never are both disrupted at once.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<ClusterName>,
    /// Names of slots and clusters that no file declares any more, beside which new ones may be made.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub left_behind: BTreeSet<String>,
    /// The cluster that this one is a throw-away copy of. No file says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Original>,
    /// The makes that were asked for before.
    #[serde(skip)]
    pub made: Made,
}

/// The instance tag that names the cluster whose data a copy begins with. The guest takes a volume of that cluster only to cut
/// it off from there; one that does not know the tag refuses it.
pub const COPY_OF: &str = "hermitcrab-copy-of";

/// The cluster that a throw-away copy is a copy of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Original {
    pub cluster: ClusterName,
    /// The one slot that begins with data; none where all begin with blank volumes.
    pub seed: Option<Seed>,
}

/// A slot whose volumes begin as copies. The others begin blank, and are given the data by their peers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seed {
    pub slot: SlotName,
    /// For each of its volumes the original's volume that it is a copy of.
    pub volumes: BTreeMap<VolumeName, VolumeId>,
}

/// The settings of every instance, as the file has them beside the image. [`ClusterSpec::make`] puts them together.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceSpec {
    /// E.g. `m7i.large`.
    #[serde(rename = "type")]
    pub instance_type: String,
    /// The name of the instance profile, e.g. `consul-server`.
    pub iam_instance_profile: Option<String>,
    /// Ids, e.g. `sg-0a1b2c3d`.
    pub security_groups: BTreeSet<String>,
    /// The name of the SSH key pair, e.g. `operations`.
    pub key_name: Option<String>,
    #[serde(skip_serializing_if = "Placement::is_left_open")]
    pub placement: Placement,
    /// The reservation that each next launch may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_reservation: Option<CapacityReservation>,
    /// None where it is as the image has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume: Option<RootVolumeSpec>,
    /// The user data itself, read from `userDataFile` when the file was loaded.
    pub user_data: Option<String>,
    /// Tags beside our own. A difference is mended in place, and never replaces an instance.
    pub tags: BTreeMap<String, String>,
}

/// The one that launches and terminates instances beside the controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Capacity {
    /// Nobody else.
    #[default]
    Instances,
    /// The Auto Scaling group of that name, which is adopted. The group counts the instances as its own, is kept from acting
    /// during a replacement, and an instance that it launches by itself is taken where a slot has lost one.
    AutoScalingGroup(String),
}

impl Capacity {
    fn is_instances(&self) -> bool {
        *self == Self::Instances
    }

    /// Gives the name of the adopted group.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Instances => None,
            Self::AutoScalingGroup(name) => Some(name),
        }
    }
}

/// One persistent volume of every slot.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSpec {
    /// Unique within the slot, e.g. `data`.
    pub name: VolumeName,
    /// The device name at attachment, `/dev/sdf` … `/dev/sdp`, or another spelling of one.
    pub device: String,
    /// The size of a volume that is made; one made from a larger snapshot is as large as that.
    pub size_gib: u32,
    /// Everything else that EBS is asked for when a volume is made.
    #[serde(flatten)]
    pub ebs: EbsSettings,
    /// Tags of the volume and its snapshots beside our own, with those of the cluster.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The moments of the snapshots before the slot's instance is replaced.
    pub snapshot_before_replace: SnapshotBeforeReplace,
}

/// The moments at which a volume is saved before its slot's instance is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotBeforeReplace {
    /// At none.
    #[default]
    Never,
    /// Once the old instance has stopped, before the volume moves. The file says `true`.
    AtRest,
    /// While the old instance serves: nothing is stopped before all of it is safe.
    Running,
    /// At both: the second snapshot holds only what has changed since the first.
    Stopped,
}

impl SnapshotBeforeReplace {
    /// Says whether the volume is saved while the old instance serves.
    pub fn is_while_running(self) -> bool {
        matches!(self, Self::Running | Self::Stopped)
    }

    /// Says whether the volume is saved once the old instance has stopped.
    pub fn is_at_rest(self) -> bool {
        matches!(self, Self::AtRest | Self::Stopped)
    }
}

/// Writes the setting as the file does, `true` and `false` without quotes: the id of a plan that somebody has approved is made
/// from it.
impl Serialize for SnapshotBeforeReplace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never | Self::AtRest => serializer.serialize_bool(*self == Self::AtRest),
            Self::Running | Self::Stopped => serializer.serialize_str(words::Word::word(*self)),
        }
    }
}

/// Says whether two device names are one device: EC2 takes `/dev/xvdf` and `/dev/sdf` alike, and guests see one of them.
pub fn same_device(one: &str, other: &str) -> bool {
    one == other || device_letters(one).is_some_and(|letters| Some(letters) == device_letters(other))
}

/// Finds what tells a device name from others, e.g. `f`, by either of its two spellings.
fn device_letters(name: &str) -> Option<&str> {
    name.strip_prefix("/dev/xvd").or(name.strip_prefix("/dev/sd"))
}

/// One seat of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotSpec {
    /// Unique within the cluster, e.g. `consul-a`; the node name of the member.
    pub name: SlotName,
    /// The zone of its volumes, and so of its instances, e.g. `us-east-1a`.
    pub zone: Zone,
    /// The subnet of its instances, in that zone, e.g. `subnet-0a1b2c3d`.
    pub subnet: String,
    /// The fixed private address of its member, which moves with the volumes, e.g. `10.0.1.10`. All slots have one, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
}

/// The way in which a change is carried out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    pub strategy: Strategy,
    /// The time for which a new member must stay healthy before its old instance goes.
    pub bake_time: Duration,
    /// The time within which a member must be back and healthy once the new instance has its volumes. The move of the volumes
    /// may take as long again.
    pub join_deadline: Duration,
    /// The reaction to a deadline that has passed.
    pub on_failure: OnFailure,
    pub approval: Approval,
    /// The id of the plan that was agreed to.
    pub approved: Option<PlanId>,
    #[serde(skip_serializing_if = "Rehearsal::is_optional")]
    pub rehearsal: Rehearsal,
    /// The times at which a replacement may begin.
    pub windows: Vec<Window>,
    /// The replacement of the slot that comes next is launched while the one before it waits for its new member.
    #[serde(skip_serializing_if = "is_true")]
    pub launch_ahead: bool,
}

fn is_true(it: &bool) -> bool {
    *it
}

/// The order of launching the replacement and stopping the old instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// The replacement is launched and checked before the old instance stops.
    Surge,
    /// The old instance stops before the replacement is launched.
    Recreate,
}

/// The reaction to a member that is not back in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// The volumes are given back to the old instance.
    Rollback,
    /// Everything stays as it is and waits for a person.
    Hold,
}

/// The slots that a person has to agree to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Approval {
    /// Nobody is asked.
    Never,
    /// The first slot is replaced unasked; the others wait for approval.
    Canary,
    /// Every slot waits for an approval of its own.
    EverySlot,
}

/// The demand that a change is tried on a throw-away copy first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Rehearsal {
    /// A rehearsal is possible and not needed.
    #[default]
    Optional,
    /// Nothing is replaced before a rehearsal of just that generation has passed.
    Required,
}

impl Rehearsal {
    fn is_optional(&self) -> bool {
        *self == Self::Optional
    }
}

/// Counts the votes needed out of `voters`: ⌊N/2⌋+1.
pub fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

impl ClusterSpec {
    /// Gives the make of every instance of this cluster.
    pub fn make(&self) -> Make {
        self.make_on(&self.image)
    }

    /// Gives the make of an instance that differs from the spec in nothing but its image.
    pub fn make_on(&self, image: &ImageId) -> Make {
        self.made.of(&self.instance, image).0
    }

    /// Hashes the make of every instance of this cluster. Tags are left out, because they are mended in place; so is the
    /// subnet, because it is the slot's.
    pub fn generation(&self) -> Generation {
        self.generation_on(&self.image)
    }

    /// Hashes the make of an instance that differs from the spec in nothing but its image.
    pub fn generation_on(&self, image: &ImageId) -> Generation {
        self.made.of(&self.instance, image).1
    }

    /// Says whether some volume is saved while its instance serves.
    pub fn saves_running(&self) -> bool {
        self.volumes.iter().any(|volume| volume.snapshot_before_replace.is_while_running())
    }

    /// Says whether the slots have fixed addresses.
    pub fn has_addresses(&self) -> bool {
        self.slots.iter().any(|slot| slot.address.is_some())
    }

    /// Lists the KMS keys that the file names, as it names them.
    pub fn kms_keys(&self) -> impl Iterator<Item = &str> {
        let root = self.instance.root_volume.iter().map(|root| &root.ebs);
        self.volumes.iter().map(|volume| &volume.ebs).chain(root).filter_map(|ebs| ebs.kms_key.as_deref())
    }

    /// Finds the declared slot of that name.
    pub fn slot(&self, name: &SlotName) -> Option<&SlotSpec> {
        self.slots.iter().find(|slot| slot.name == *name)
    }

    /// Says how many of the declared members have to be healthy for the application to work.
    pub fn needed(&self) -> usize {
        (self.application.rules().needed)(self.slots.len())
    }
}

#[cfg(test)]
mod tests {
    use super::quorum;

    #[test]
    fn quorum_is_more_than_half() {
        assert_eq!([1, 2, 3, 4, 5, 9].map(quorum), [1, 2, 2, 3, 3, 5]);
    }
}
