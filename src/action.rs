//! One effect, fully specified: every id, image, zone, device and token is chosen.
//!
//! The planner makes these, and the ports carry them out; both share this one vocabulary, so that an adapter
//! never needs to see a plan. Each effect names the shell that it was decided about, and so can be sent twice,
//! or late, without harm.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::ids::{
    Attempt, ClusterName, Generation, ImageId, InstanceId, InterfaceId, MemberId, Owner, SlotName, SnapshotId, Token,
    VolumeId, VolumeName, Zone,
};
use crate::make::{Make, UserData};
use crate::observed::{Image, Taken, Way};
use crate::spec::{ClusterSpec, EbsSettings, SlotSpec};

mod claim;
mod deed;
pub mod expects;
pub mod facts;
mod group;
mod token;

pub use claim::ClaimEffect;
pub use group::{GroupEffect, NewTemplateVersion};

/// A thing to do to one cluster, for one slot or for all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// The cluster it is done to.
    pub cluster: ClusterName,
    /// The slot it is done for, where it is for one.
    pub slot: Option<SlotName>,
    /// The one effect.
    pub effect: Effect,
}

/// An effect, by the port that carries it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    Cloud(CloudEffect),
    Member(MemberEffect),
    Claim(ClaimEffect),
}

/// A call to EC2. What each one expects to find is checked again just before it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CloudEffect {
    /// Make a volume, blank or from a snapshot. Expects that none was made with the same token.
    CreateVolume(CreateVolume),
    /// Start an instance from an image. Expects that none was launched with the same token.
    Launch(Box<Launch>),
    /// Stop a running instance; its volumes stay attached.
    Stop { instance: InstanceId },
    /// Start a stopped instance again.
    Start { instance: InstanceId },
    /// Snapshot a volume whose instance is stopped, or runs, as it says.
    Snapshot {
        volume: VolumeId,
        slot: SlotName,
        attempt: Attempt,
        #[serde(default, skip_serializing_if = "Taken::is_at_rest")]
        taken: Taken,
    },
    /// Snapshot a volume of another cluster, which may be in use, to begin a slot of this copy of it with. Expects that the
    /// slot has no such snapshot.
    CopyVolume { volume: VolumeId, of: ClusterName, slot: SlotName, name: VolumeName },
    /// Delete a snapshot that this copy of a cluster began with.
    DeleteSnapshot { snapshot: SnapshotId },
    /// Detach a volume, which is seen at that device. Expects it attached to exactly that instance, wherever there, which is
    /// stopped or terminated.
    Detach { volume: VolumeId, instance: InstanceId, device: String },
    /// Attach a volume. Expects it `available`.
    Attach { volume: VolumeId, instance: InstanceId, device: String },
    /// Make a volume larger where it is. Expects it attached to just that instance, which runs, of just that size, and with no
    /// modification in EBS's hands.
    Grow { volume: VolumeId, instance: InstanceId, from_gib: u32, to_gib: u32 },
    /// Move a fixed address to an instance's primary network interface, in that subnet. Expects it free, or at an instance of
    /// the same slot that is stopped or terminated.
    AssignAddress { address: Ipv4Addr, instance: InstanceId, interface: InterfaceId, subnet: String },
    /// Terminate an instance. Expects it marked retired, with no data volume attached.
    Terminate { instance: InstanceId },
    /// Mark an instance as no longer needed.
    Retire { instance: InstanceId },
    /// Record on a slot's volumes that a generation failed there.
    Reject { volumes: BTreeSet<VolumeId>, generation: Generation, attempt: Attempt },
    /// Take the record of that failure away again, because a person says so. Expects just that generation recorded.
    Forgive { volumes: BTreeSet<VolumeId>, generation: Generation },
    /// Record on a slot's volumes what proved itself there.
    Settle {
        volumes: BTreeSet<VolumeId>,
        generation: Generation,
        image: ImageId,
        attempt: Attempt,
        /// The instance that proved itself, where it was launched as just that generation and attempt. The same call then tells
        /// on it which revision of desired state that was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<InstanceId>,
    },
    /// Record on volumes which slots have ever been initialised.
    RecordSlots { volumes: BTreeSet<VolumeId>, slots: BTreeSet<SlotName> },
    /// Set an instance's declared tags in place.
    Tag { instance: InstanceId, tags: BTreeMap<String, String> },
    /// Make an instance that the adopted group launched by itself one of the slot's. Expects that it bears no tag of ours.
    Recruit(Recruitment),
    /// Delete a volume for good. Expects it `available`.
    DeleteVolume { volume: VolumeId },
    /// A call about the adopted Auto Scaling group.
    Group { group: String, effect: GroupEffect },
}

/// The tags that make an instance of the adopted group one of a slot's: those that a launch would have given it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recruitment {
    pub instance: InstanceId,
    pub slot: SlotName,
    pub owner: Owner,
    pub generation: Generation,
    pub attempt: Attempt,
    pub user_data: UserData,
    /// The slot's volumes, so that the guest knows which to wait for.
    pub volumes: BTreeMap<VolumeName, VolumeId>,
}

/// A volume for a slot that never had one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVolume {
    pub token: Token,
    pub slot: SlotName,
    pub name: VolumeName,
    pub zone: Zone,
    pub size_gib: u32,
    #[serde(flatten)]
    pub ebs: EbsSettings,
    /// Tags beside our own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The snapshot that it begins with; a volume without one is blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    pub owner: Owner,
    /// The slots that have ever been initialised, this one included.
    pub slots: BTreeSet<SlotName>,
    /// The number of tries before this one that came to nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An instance to launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Launch {
    /// Made from all the rest.
    pub token: Token,
    pub slot: SlotName,
    #[serde(flatten)]
    pub make: Make,
    /// The user data itself, of which the make has the digest.
    pub user_data_text: Option<String>,
    pub zone: Zone,
    pub subnet: String,
    pub tags: BTreeMap<String, String>,
    /// Tags of the network interface beside our own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub interface_tags: BTreeMap<String, String>,
    pub owner: Owner,
    pub generation: Generation,
    pub attempt: Attempt,
    /// The slot's volumes, so that the guest knows which to wait for.
    pub volumes: BTreeMap<VolumeName, VolumeId>,
    /// The slot's fixed address, so that the guest knows which to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The devices that the image fills, and whose volumes EC2 is to delete with the instance although the image says
    /// otherwise, e.g. `/dev/xvda`, each with the size that the image gives it in GiB. Else each instance would leave a root
    /// volume behind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub goes_with_it: BTreeMap<String, Option<u32>>,
    /// The root volume, where the file says how it is to be. It goes with the instance too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume: Option<RootVolume>,
}

/// A root volume that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootVolume {
    /// The device that the image boots from, e.g. `/dev/xvda`.
    pub device: String,
    /// None where nobody knows how large the image's is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<u32>,
    #[serde(flatten)]
    pub ebs: EbsSettings,
}

impl RootVolume {
    /// Specifies the root volume of an instance of that image, if the file says how it is to be.
    pub fn of(spec: &ClusterSpec, image: &Image) -> Option<Self> {
        let (wanted, device) = (spec.instance.root_volume.as_ref()?, image.root_device.clone()?);
        Some(Self { device, size_gib: wanted.size_gib.or(image.root_size_gib()), ebs: wanted.ebs.clone() })
    }
}

impl Launch {
    /// Describes an instance in a slot by its spec alone: the first attempt on the desired image, with no volumes yet.
    pub fn declared(spec: &ClusterSpec, slot: &SlotSpec, owner: Owner, token: Token) -> Self {
        Self {
            token,
            slot: slot.name.clone(),
            make: spec.make(),
            user_data_text: spec.instance.user_data.clone(),
            zone: slot.zone.clone(),
            subnet: slot.subnet.clone(),
            tags: spec.instance.tags.clone(),
            interface_tags: spec.tags.clone(),
            owner,
            generation: spec.generation(),
            attempt: Attempt::default(),
            volumes: BTreeMap::new(),
            address: slot.address,
            goes_with_it: BTreeMap::new(),
            root_volume: None,
        }
    }
}

/// A request to the application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MemberEffect {
    /// Move leadership from one member to another. Expects the first to lead.
    TransferLeadership { from: MemberId, to: MemberId },
    /// Tell a member that its instance is about to be stopped. Expects it healthy. Nothing undoes this, so afterwards the member
    /// serves as it did before.
    Prepare { member: MemberId, instance: InstanceId },
    /// Tell the members that one of them, whose process does not run, is to be found at another address from now on: that of the
    /// instance on which it is started next. Expects that it does not answer at any other.
    MoveMember { member: MemberId, instance: InstanceId, address: IpAddr },
    /// Keep the application from pruning below so many members.
    SetPruning { down_to: usize },
}

impl Effect {
    /// The effect's stable name: what `simulate -o jsonl` prints as `action`, and what calls are counted by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cloud(effect) => effect.name(),
            Self::Member(MemberEffect::TransferLeadership { .. }) => "transfer-leadership",
            Self::Member(MemberEffect::Prepare { .. }) => "prepare",
            Self::Member(MemberEffect::MoveMember { .. }) => "move-member",
            Self::Member(MemberEffect::SetPruning { .. }) => "set-pruning",
            Self::Claim(ClaimEffect::Claim { .. }) => "claim",
            Self::Claim(ClaimEffect::MarkStop { .. }) => "mark-stop",
            Self::Claim(ClaimEffect::Turn { to: Way::Back, .. }) => "turn-back",
            Self::Claim(ClaimEffect::Turn { to: Way::Forward | Way::ForwardAgain, .. }) => "turn-forward",
            Self::Claim(ClaimEffect::Turned { .. }) => "turned",
            Self::Claim(ClaimEffect::Release { .. }) => "release",
            Self::Claim(ClaimEffect::Move { .. }) => "move-claim",
            Self::Claim(ClaimEffect::Announce { .. }) => "announce-launch",
            Self::Claim(ClaimEffect::LetGo { .. }) => "let-go",
            Self::Claim(ClaimEffect::Forget { .. }) => "forget-launch",
            Self::Claim(ClaimEffect::CreateAgain { .. }) => "create-again",
            Self::Claim(ClaimEffect::End { .. }) => "end",
            Self::Claim(ClaimEffect::Revive { .. }) => "revive",
            Self::Claim(ClaimEffect::Rehearsed { .. }) => "record-rehearsal",
        }
    }
}

impl CloudEffect {
    /// The effect's stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateVolume(_) => "create-volume",
            Self::Launch(_) => "launch",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::Snapshot { taken: Taken::AtRest, .. } => "snapshot",
            Self::Snapshot { taken: Taken::Running, .. } => "snapshot-running",
            Self::CopyVolume { .. } => "copy-volume",
            Self::DeleteSnapshot { .. } => "delete-snapshot",
            Self::Detach { .. } => "detach",
            Self::Attach { .. } => "attach",
            Self::Grow { .. } => "grow",
            Self::AssignAddress { .. } => "assign-address",
            Self::Terminate { .. } => "terminate",
            Self::Retire { .. } => "retire",
            Self::Reject { .. } => "reject",
            Self::Forgive { .. } => "forgive",
            Self::Settle { .. } => "settle",
            Self::RecordSlots { .. } => "record-slots",
            Self::Tag { .. } => "tag",
            Self::Recruit(_) => "recruit",
            Self::DeleteVolume { .. } => "delete-volume",
            Self::Group { effect, .. } => effect.name(),
        }
    }

    /// The instance that the effect names.
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::Stop { instance }
            | Self::Start { instance }
            | Self::Detach { instance, .. }
            | Self::Attach { instance, .. }
            | Self::Grow { instance, .. }
            | Self::AssignAddress { instance, .. }
            | Self::Terminate { instance }
            | Self::Retire { instance }
            | Self::Tag { instance, .. }
            | Self::Recruit(Recruitment { instance, .. }) => Some(instance),
            Self::Group { effect, .. } => effect.instance(),
            Self::CreateVolume(_)
            | Self::Launch(_)
            | Self::Snapshot { .. }
            | Self::CopyVolume { .. }
            | Self::DeleteSnapshot { .. }
            | Self::Reject { .. }
            | Self::Forgive { .. }
            | Self::Settle { .. }
            | Self::RecordSlots { .. }
            | Self::DeleteVolume { .. } => None,
        }
    }

    /// The volume that the effect moves, copies, changes or deletes.
    pub fn volume(&self) -> Option<&VolumeId> {
        match self {
            Self::Snapshot { volume, .. }
            | Self::CopyVolume { volume, .. }
            | Self::Detach { volume, .. }
            | Self::Attach { volume, .. }
            | Self::Grow { volume, .. }
            | Self::DeleteVolume { volume } => Some(volume),
            Self::CreateVolume(_)
            | Self::Launch(_)
            | Self::DeleteSnapshot { .. }
            | Self::Stop { .. }
            | Self::Start { .. }
            | Self::AssignAddress { .. }
            | Self::Terminate { .. }
            | Self::Retire { .. }
            | Self::Reject { .. }
            | Self::Forgive { .. }
            | Self::Settle { .. }
            | Self::RecordSlots { .. }
            | Self::Tag { .. }
            | Self::Recruit(_)
            | Self::Group { .. } => None,
        }
    }
}
