//! Instances, as EC2 shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, Generation, InstanceId, InterfaceId, Owner, SlotName, VolumeId, Zone};
use crate::make::Make;
use crate::time::Timestamp;

/// An EC2 instance that bears the tag of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub id: InstanceId,
    /// From the tag `hermitcrab:slot`, e.g. `consul-a`.
    pub slot: SlotName,
    /// From the tag `hermitcrab:owner`, e.g. `hermitcrab`.
    pub owner: Option<Owner>,
    #[serde(flatten)]
    pub origin: Origin,
    /// The tag `hermitcrab:retired` is set: the instance is proven superseded, or was never needed. No other is terminated.
    pub retired: bool,
    pub state: InstanceState,
    /// The cause of that state, as EC2 gives it, e.g. `Server.InsufficientInstanceCapacity`.
    pub state_reason: Option<String>,
    /// The time since which it is in that state, as far as EC2 tells.
    pub state_since: Timestamp,
    /// The time of its last start.
    pub launched_at: Timestamp,
    pub checks: Checks,
    /// Most instances of a cluster are made alike, and share it.
    #[serde(flatten)]
    pub make: Arc<Make>,
    /// E.g. `us-east-1a`.
    pub zone: Zone,
    /// E.g. `subnet-0a1b2c3d`.
    pub subnet: String,
    /// The private address, once EC2 has given it one.
    pub address: Option<IpAddr>,
    /// The primary network interface, for as long as EC2 shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
    /// The fixed address that its guest waits for and its member serves at, from the tag `hermitcrab:address`; none where the
    /// member serves at the private address that EC2 gave the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_address: Option<Ipv4Addr>,
    /// The data volumes that its guest waits for, all of them, from the tags `hermitcrab:volume:…`; none where it was adopted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<VolumeId>,
    /// The tags that are neither ours nor AWS's own.
    pub tags: BTreeMap<String, String>,
    /// The attached data volumes, as the instance view has them.
    pub devices: Vec<Device>,
    /// The Auto Scaling group that it belongs to, adopted or not, from the tag `aws:autoscaling:groupName`.
    pub auto_scaling_group: Option<String>,
    /// The maintenance that AWS has announced.
    pub scheduled_events: Vec<ScheduledEvent>,
    /// The settings that no file can declare, so that a replacement has none of them, e.g. `Elastic IP 192.0.2.1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<String>,
}

impl Instance {
    /// Gives the number of its launch, if a controller launched it.
    pub fn attempt(&self) -> Option<Attempt> {
        match self.origin {
            Origin::Adopted => None,
            Origin::Launched { attempt, .. } => Some(attempt),
        }
    }

    /// Says whether its primary network interface has that address as a secondary one.
    pub fn has(&self, address: Ipv4Addr) -> bool {
        self.interface.as_ref().is_some_and(|interface| interface.secondary.contains(&address))
    }

    /// Says whether it has the fixed address that its member serves at.
    pub fn has_fixed_address(&self) -> bool {
        self.fixed_address.is_some_and(|address| self.has(address))
    }

    /// Says whether its member serves at a fixed address that it does not have.
    pub fn lacks_fixed_address(&self) -> bool {
        self.fixed_address.is_some() && !self.has_fixed_address()
    }

    /// Lists the secondary private addresses that are not the fixed one of its member.
    pub fn secondary_beside_fixed(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.interface.iter().flat_map(|interface| interface.beside(self.fixed_address))
    }

    /// Gives the address at which its member's peers are to find it.
    pub fn member_address(&self) -> Option<IpAddr> {
        self.fixed_address.map(IpAddr::V4).or(self.address)
    }

    /// Gives the address at which its member can be asked now: the fixed one only once the instance has it.
    pub fn asked_at(&self) -> Option<IpAddr> {
        self.member_address().filter(|_| !self.lacks_fixed_address())
    }

    /// Finds the announced end of its host, if there is one: EC2 is going to stop the instance.
    pub fn announced_stop(&self) -> Option<&ScheduledEvent> {
        let stops = |event: &&ScheduledEvent| matches!(event.code.as_str(), "instance-stop" | "instance-retirement");
        self.scheduled_events.iter().filter(stops).min_by_key(|event| event.not_before)
    }

    /// Gives the reason for which EC2 itself stopped the instance, if EC2 did: no person, and not the guest.
    pub fn stopped_by_ec2(&self) -> Option<&str> {
        let is_stopped = self.state == InstanceState::Stopped;
        self.state_reason.as_deref().filter(|reason| is_stopped && reason.starts_with("Server."))
    }

    /// Gives the generation that it was launched as, if it was and still says so.
    pub fn generation(&self) -> Option<&Generation> {
        match &self.origin {
            Origin::Adopted => None,
            Origin::Launched { generation, .. } => generation.as_ref(),
        }
    }

    /// Says whether it is kept after its replacement was launched, stopped, so that it can be started again.
    pub fn is_kept(&self) -> bool {
        self.state == InstanceState::Stopped && !self.retired
    }
}

/// The way in which an instance became one of a slot's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "LaunchTags", into = "LaunchTags")]
pub enum Origin {
    /// A person made it, and `adopt` gave it its tags.
    Adopted,
    /// A controller launched it, or recruited it from the adopted group.
    Launched {
        /// From the tag `hermitcrab:attempt`.
        attempt: Attempt,
        /// From the tag `hermitcrab:generation`; none where somebody has removed that tag.
        generation: Option<Generation>,
    },
}

/// The two tags that tell an origin.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LaunchTags {
    generation: Option<Generation>,
    #[serde(default)]
    attempt: Attempt,
}

impl Origin {
    /// Reads the origin off its two tags. An attempt that is not there counts as the attempt 0, which no launch has.
    pub fn of(generation: Option<Generation>, attempt: Attempt) -> Self {
        match (&generation, attempt) {
            (None, Attempt(0)) => Self::Adopted,
            (Some(_), _) | (None, _) => Self::Launched { attempt, generation },
        }
    }
}

impl From<LaunchTags> for Origin {
    fn from(tags: LaunchTags) -> Self {
        Self::of(tags.generation, tags.attempt)
    }
}

impl From<Origin> for LaunchTags {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Adopted => Self { generation: None, attempt: Attempt(0) },
            Origin::Launched { attempt, generation } => Self { generation, attempt },
        }
    }
}

/// The life cycle of an instance, in EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
}

impl InstanceState {
    /// Says whether it is neither terminated nor irrevocably on its way there.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::ShuttingDown | Self::Terminated)
    }

    /// Says whether it runs, or is about to.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        })
    }
}

/// EC2's system and instance status checks, taken together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checks {
    Ok,
    Initializing,
    /// A check fails, e.g. `instance reachability failed`.
    Impaired(String),
    /// EC2 does not answer, or with a word that we do not know.
    Unknown,
}

/// The primary network interface of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub id: InterfaceId,
    /// The secondary private addresses: those that can be moved to another interface of the same subnet.
    pub secondary: BTreeSet<Ipv4Addr>,
}

impl Interface {
    /// Lists the secondary addresses that are not the fixed one.
    pub fn beside(&self, fixed: Option<Ipv4Addr>) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.secondary.iter().copied().filter(move |address| Some(*address) != fixed)
    }
}

/// A data volume as its instance shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    pub volume: VolumeId,
    /// E.g. `/dev/sdf`.
    pub device: String,
    /// EC2 would delete the volume with the instance.
    pub delete_on_termination: bool,
}

/// Announced maintenance of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledEvent {
    /// E.g. `instance-retirement`.
    pub code: String,
    /// The earliest time that it may happen.
    pub not_before: Timestamp,
}
