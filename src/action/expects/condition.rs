//! Conditions: something that is so or is not, with words for both, and what must be looked at to know.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::ids::{Attempt, ClusterName, InstanceId, Owner, SlotName, SnapshotId, Token, VolumeId, VolumeName};
use crate::observed::{Taken, VolumeState};

use super::super::facts::{Facts, InstanceFacts, VolumeFacts};
use super::{AddressCondition, GroupCondition, InstanceCondition, SnapshotCondition, VolumeCondition};

/// The longest client token that EC2 takes, in characters.
const LONGEST_TOKEN: usize = 64;

/// Something about the world that is so or is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition<'e> {
    /// A client token that EC2 takes.
    TokenFits(&'e Token),
    /// A condition of one instance.
    Instance { instance: &'e InstanceId, is: InstanceCondition<'e> },
    /// A condition of the instance that has a volume. A volume that nothing has fulfils every such condition.
    Holder { volume: &'e VolumeId, is: InstanceCondition<'e> },
    /// A condition of one volume.
    Volume { volume: &'e VolumeId, is: VolumeCondition<'e> },
    /// A condition of each of several volumes.
    Volumes { volumes: &'e BTreeSet<VolumeId>, are: VolumeCondition<'e> },
    /// A volume and an instance of the same slot: a volume only ever meets instances of its own slot.
    InOneSlot { volume: &'e VolumeId, instance: &'e InstanceId },
    /// A volume and an instance in the same zone.
    InOneZone { volume: &'e VolumeId, instance: &'e InstanceId },
    /// A volume of that name in that slot, in whatever state but deleted.
    VolumeExists { cluster: &'e ClusterName, slot: &'e SlotName, name: &'e VolumeName },
    /// A snapshot of that volume for that purpose.
    SnapshotTaken { volume: &'e VolumeId, purpose: Purpose<'e> },
    /// A condition of one snapshot.
    Snapshot { snapshot: &'e SnapshotId, is: SnapshotCondition<'e> },
    /// A condition of a fixed address in a subnet.
    Address { address: Ipv4Addr, subnet: &'e str, is: AddressCondition<'e> },
    /// A condition of one Auto Scaling group.
    Group { group: &'e str, is: GroupCondition<'e> },
}

/// Tags that a resource must bear before it may be touched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ours<'e> {
    pub cluster: &'e ClusterName,
    pub owner: &'e Owner,
    /// Slot that it must be of, where it must be of one.
    pub slot: Option<&'e SlotName>,
}

/// Reason for which a snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose<'e> {
    /// The way back of a replacement, or what remains at the end of a cluster.
    Attempt(Attempt, Taken),
    /// The beginning of a throw-away copy.
    Copy { of: &'e ClusterName, into: &'e ClusterName },
}

/// Something that must be looked at before a condition can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject<'e> {
    /// One instance.
    Instance(&'e InstanceId),
    /// The instance that has this volume, which was looked at before.
    Holder(&'e VolumeId),
    /// The protection of one instance, which was looked at before.
    ProtectionOf(&'e InstanceId),
    /// One volume.
    Volume(&'e VolumeId),
    /// The modification of one volume, which was looked at before.
    ModificationOf(&'e VolumeId),
    /// Several volumes.
    Volumes(&'e BTreeSet<VolumeId>),
    /// Every volume that is attached to this instance, whoever made it.
    VolumesAt(&'e InstanceId),
    /// Every volume of that name in that slot.
    VolumesNamed { cluster: &'e ClusterName, slot: &'e SlotName, name: &'e VolumeName },
    /// The snapshots of that volume for that purpose.
    SnapshotsOf { volume: &'e VolumeId, purpose: Purpose<'e> },
    /// One snapshot.
    Snapshot(&'e SnapshotId),
    /// The network interface that has this address in that subnet.
    UseOf { address: Ipv4Addr, subnet: &'e str },
    /// The instance that has this address, which was looked for before.
    UserOf(Ipv4Addr),
    /// One Auto Scaling group, with the versions of its launch template only where `template` says so.
    Group { group: &'e str, template: bool },
}

/// Difference between what a condition wants and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub expected: String,
    pub found: String,
}

impl Difference {
    /// Puts both sides into words.
    pub fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }
}

/// Reason for which a condition does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The facts say otherwise.
    Differs(Difference),
    /// EC2 does not show the resource of this name.
    NotShown(String),
}

impl From<Difference> for Mismatch {
    fn from(difference: Difference) -> Self {
        Self::Differs(difference)
    }
}

impl<'e> Condition<'e> {
    /// Holds the condition against facts about all of its subjects.
    pub fn compare(&self, facts: &Facts) -> Result<(), Mismatch> {
        match *self {
            Self::TokenFits(token) => Ok(fits(token)?),
            Self::Instance { instance, is } => Ok(is.compare(instance, instance_in(facts, instance)?, facts)?),
            Self::Holder { volume, is } => match volume_in(facts, volume)?.holder() {
                Some(instance) => Ok(is.compare(instance, instance_in(facts, instance)?, facts)?),
                None => Ok(()),
            },
            Self::Volume { volume, is } => Ok(is.compare(volume, volume_in(facts, volume)?)?),
            Self::Volumes { volumes, are } => {
                volumes.iter().try_for_each(|volume| Ok(are.compare(volume, volume_in(facts, volume)?)?))
            }
            Self::InOneSlot { volume, instance } => {
                let slots = (&volume_in(facts, volume)?.slot, &instance_in(facts, instance)?.slot);
                Ok(same("slot", volume, instance, slots.0.as_deref(), slots.1.as_deref())?)
            }
            Self::InOneZone { volume, instance } => {
                let zones = (&volume_in(facts, volume)?.zone, &instance_in(facts, instance)?.zone);
                Ok(same("zone", volume, instance, zones.0.as_deref(), zones.1.as_deref())?)
            }
            Self::VolumeExists { cluster, slot, name } => Ok(exists(facts, cluster, slot, name)?),
            Self::SnapshotTaken { volume, purpose } => Ok(purpose.compare(volume, facts)?),
            Self::Snapshot { snapshot, is } => is.compare(snapshot, facts.snapshots.get(snapshot)),
            Self::Address { address, is, .. } => is.compare(address, facts),
            Self::Group { group, is } => {
                let shown = facts.group.as_ref().filter(|shown| shown.name == group);
                Ok(is.compare(shown.ok_or_else(|| Mismatch::NotShown(group.to_owned()))?)?)
            }
        }
    }

    /// Names everything that must be looked at before the condition can be judged, in the order of looking.
    pub fn subjects(&self) -> Vec<Subject<'e>> {
        match *self {
            Self::TokenFits(_) => Vec::new(),
            Self::Instance { instance, is } if is.asks_for_volumes() => {
                vec![Subject::Instance(instance), Subject::VolumesAt(instance)]
            }
            Self::Instance { instance, is: InstanceCondition::MayBeTerminated } => {
                vec![Subject::Instance(instance), Subject::ProtectionOf(instance)]
            }
            Self::Instance { instance, .. } => vec![Subject::Instance(instance)],
            Self::Holder { volume, .. } => vec![Subject::Volume(volume), Subject::Holder(volume)],
            Self::Volume { volume, is } if is.asks_for_modification() => {
                vec![Subject::Volume(volume), Subject::ModificationOf(volume)]
            }
            Self::Volume { volume, .. } => vec![Subject::Volume(volume)],
            Self::Volumes { volumes, .. } => vec![Subject::Volumes(volumes)],
            Self::InOneSlot { volume, instance } | Self::InOneZone { volume, instance } => {
                vec![Subject::Volume(volume), Subject::Instance(instance)]
            }
            Self::VolumeExists { cluster, slot, name } => vec![Subject::VolumesNamed { cluster, slot, name }],
            Self::SnapshotTaken { volume, purpose } => vec![Subject::SnapshotsOf { volume, purpose }],
            Self::Snapshot { snapshot, .. } => vec![Subject::Snapshot(snapshot)],
            Self::Address { address, subnet, is } if is.asks_for_holder() => {
                vec![Subject::UseOf { address, subnet }, Subject::UserOf(address)]
            }
            Self::Address { address, subnet, .. } => vec![Subject::UseOf { address, subnet }],
            Self::Group { group, is } => vec![Subject::Group { group, template: is.asks_for_template() }],
        }
    }

    /// Names the rule in a refusal that only a person can resolve.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::TokenFits(_) => "token-length",
            Self::InOneZone { .. } => "InvalidVolume.ZoneMismatch",
            Self::Instance { is: InstanceCondition::HasFree(_), .. } => "device-taken",
            Self::Instance { is: InstanceCondition::MayBeTerminated, .. } => "termination-protected",
            Self::Instance { is: InstanceCondition::DeletesNothing, .. } => "volume-would-be-deleted",
            Self::Address { .. } => "address-in-use",
            _ => "impossible",
        }
    }
}

impl Purpose<'_> {
    /// Finds a snapshot for this purpose. One that failed is no way back, so another may be taken.
    fn compare(self, volume: &VolumeId, facts: &Facts) -> Result<(), Difference> {
        let mut taken = facts.snapshots.values().filter(|snapshot| snapshot.volume == *volume);
        let is_there = taken.any(|snapshot| match self {
            Self::Attempt(attempt, taken) => {
                (snapshot.attempt, snapshot.taken) == (Some(attempt), taken) && !snapshot.failed
            }
            Self::Copy { of, into } => snapshot.copy_of.as_ref() == Some(of) && snapshot.cluster.as_ref() == Some(into),
        });
        if is_there { Ok(()) } else { Err(Difference::new(format!("a snapshot of {volume}"), "none")) }
    }
}

fn instance_in<'f>(facts: &'f Facts, id: &InstanceId) -> Result<&'f InstanceFacts, Mismatch> {
    facts.instances.get(id).ok_or_else(|| Mismatch::NotShown(id.to_string()))
}

fn volume_in<'f>(facts: &'f Facts, id: &VolumeId) -> Result<&'f VolumeFacts, Mismatch> {
    facts.volumes.get(id).ok_or_else(|| Mismatch::NotShown(id.to_string()))
}

fn fits(token: &Token) -> Result<(), Difference> {
    if !token.is_empty() && token.len() <= LONGEST_TOKEN {
        return Ok(());
    }
    let expected = format!("a token of 1 to {LONGEST_TOKEN} characters");
    Err(Difference::new(expected, format!("`{token}`, with {}", token.len())))
}

/// Wants a volume and an instance to be in the same slot, or zone, and in one at all.
fn same(
    what: &str,
    volume: &VolumeId,
    instance: &InstanceId,
    of_volume: Option<&str>,
    of_instance: Option<&str>,
) -> Result<(), Difference> {
    if of_volume.is_some() && of_volume == of_instance {
        return Ok(());
    }
    let word = |name: Option<&str>| name.map_or_else(|| format!("no {what}"), str::to_owned);
    Err(Difference::new(format!("{instance} in the {what} of {volume}, {}", word(of_volume)), word(of_instance)))
}

fn exists(facts: &Facts, cluster: &ClusterName, slot: &SlotName, name: &VolumeName) -> Result<(), Difference> {
    let is_it = |volume: &VolumeFacts| {
        volume.cluster.as_ref() == Some(cluster)
            && volume.slot.as_ref() == Some(slot)
            && volume.name.as_ref() == Some(name)
            && volume.state != VolumeState::Deleted
    };
    let there = facts.volumes.values().any(is_it);
    if there { Ok(()) } else { Err(Difference::new(format!("a volume {name} of {slot}"), "none")) }
}

impl Ours<'_> {
    /// Wants a resource to bear the tags that make it ours.
    pub(super) fn compare(
        &self,
        id: &str,
        cluster: Option<&ClusterName>,
        owner: Option<&Owner>,
        slot: Option<&SlotName>,
    ) -> Result<(), Difference> {
        let wanted = [
            ("cluster", Some(&**self.cluster), cluster.map(|name| &**name)),
            ("owner", Some(&**self.owner), owner.map(|name| &**name)),
            ("slot", self.slot.map(|name| &**name), slot.map(|name| &**name)),
        ];
        for (tag, wanted, found) in wanted {
            if let Some(wanted) = wanted.filter(|wanted| found != Some(wanted)) {
                let found = found.map_or_else(|| "no such tag".to_owned(), |other| format!("`{other}`"));
                return Err(Difference::new(format!("{id} to bear hermitcrab:{tag}={wanted}"), found));
            }
        }
        Ok(())
    }
}
