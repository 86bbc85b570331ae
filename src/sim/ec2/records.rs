//! The records of the region: instances, volumes, tokens, zones and subnets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::shown::Shown;
use crate::ids::{ClusterName, InstanceId, InterfaceId, VolumeId, VolumeName, Zone};
use crate::observed::{AttachmentPhase, Instance, Shared, Snapshot, Volume, VolumeState};
use crate::sim::content::{Content, Stamp};
use crate::sim::time::Millis;

/// A client token is remembered for a day.
pub const TOKEN_LIFE: Millis = 24 * 3_600_000;

/// An instance, with what EC2 does not say of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The exact answer to a reader.
    pub seen: Shared<Instance>,
    pub cluster: ClusterName,
    /// The volumes that its guest waits for.
    pub volumes: LiteMap<VolumeName, VolumeId>,
    /// The number of changes of its state.
    pub turn: u32,
    pub booted: bool,
    /// The instance had its slot's volumes when they were recorded as settled.
    pub settled: bool,
    /// The member has been a healthy voter since the instance got the volumes that it has.
    pub proven: bool,
    /// Somebody other than a controller terminated it, or deleted a volume of it.
    pub interfered: bool,
    /// The moment at which somebody other than a controller started or terminated it, if its state comes of that.
    #[serde(default)]
    pub by_hand: Option<Millis>,
    /// A controller has asked for its end, and was refused.
    #[serde(default)]
    pub end_refused: bool,
    /// The reason for which the launch will fail.
    pub doomed: Option<String>,
    /// The calls that are refused because the instance is protected against them.
    #[serde(default)]
    pub protection: Protection,
    /// The secondary addresses that its metadata show: a move is seen there some seconds later.
    #[serde(default)]
    pub shown_addresses: BTreeSet<Ipv4Addr>,
}

/// The protection of an instance (`DisableApiStop`, `DisableApiTermination`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    pub stop: bool,
    pub termination: bool,
}

/// A data volume, with what EC2 does not say of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disk {
    /// The exact answer to a reader.
    pub seen: Shared<Volume>,
    pub cluster: ClusterName,
    /// The number of changes of its state.
    pub turn: u32,
    /// The moment at which it was last attached, once it had been on its way.
    #[serde(default)]
    pub arrived: Millis,
    pub delete_on_termination: bool,
    pub content: Content,
    /// The KMS key may not be used: attaching fails although the volume is fine.
    pub key_revoked: bool,
    #[serde(default)]
    pub modification: Modification,
}

/// The last modification of a volume.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Modification {
    /// The number of modifications so far.
    pub number: u32,
    /// The moment at which it was asked for; none before there is one.
    pub since: Option<Millis>,
    /// The size that is not shown yet, in GiB.
    pub to_gib: Option<u32>,
}

/// A token that was used, with the request that it came with and what that made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spent<R, I> {
    /// The cluster that the request was for.
    pub cluster: ClusterName,
    pub request: R,
    pub made: I,
    pub at: Millis,
}

/// A zone's troubles.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ZoneState {
    pub no_capacity_until: Millis,
    pub impaired_until: Millis,
}

/// The addresses of a subnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subnet {
    pub number: u8,
    pub given: u16,
    pub free: u32,
    /// The zone of the slots that are declared in it.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// The beginning of the range that fixed addresses are in, once one is declared.
    #[serde(default)]
    pub range: Option<Ipv4Addr>,
    /// The fixed addresses that are declared in it.
    #[serde(default)]
    pub fixed: BTreeSet<Ipv4Addr>,
}

/// The user of an address who is none of the clusters: a network interface of something else in the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stranger {
    pub subnet: String,
    pub interface: InterfaceId,
    /// The instance that the interface belongs to.
    pub instance: InstanceId,
}

/// The resources that bear one cluster's tag.
#[derive(Default, Serialize, Deserialize)]
pub struct Holdings {
    pub instances: BTreeSet<InstanceId>,
    pub volumes: BTreeSet<VolumeId>,
    pub snapshots: Vec<Snapshot>,
    /// The declared tags of its instances.
    pub tags: BTreeMap<String, String>,
    /// The Auto Scaling group that is adopted.
    pub group: Option<String>,
    pub shown: Shown,
}

impl Machine {
    /// Makes the stamp that its guest writes on a volume.
    pub fn stamp(&self, volume: &VolumeName) -> Stamp {
        Stamp { cluster: self.cluster.clone(), slot: self.seen.slot.clone(), volume: volume.clone() }
    }
}

impl Disk {
    /// Names the instance that has the volume, in whatever phase.
    pub fn holder(&self) -> Option<&InstanceId> {
        match &self.seen.state {
            VolumeState::InUse(at) => Some(&at.instance),
            _ => None,
        }
    }

    /// Says whether an instance has the volume in the phase `attached`.
    pub fn is_attached_to(&self, instance: &InstanceId) -> bool {
        match &self.seen.state {
            VolumeState::InUse(at) => at.instance == *instance && at.phase == AttachmentPhase::Attached,
            _ => false,
        }
    }
}
