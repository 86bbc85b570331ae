//! The facts that the rules look at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::ids::{Attempt, ClusterName, Generation, ImageId, InstanceId, SlotName, SnapshotId, VolumeId};
use crate::observed::{Ending, Group, InstanceState, Snapshot, Way};
use crate::sim::time::Millis;

/// Everything that matters of one cluster, and of what a call for it names.
#[derive(Clone, Debug)]
pub struct Facts {
    pub cluster: ClusterName,
    /// The slots that the spec declares, as the sender of a call has read it.
    pub declared: BTreeSet<SlotName>,
    /// The number of them that have to be healthy.
    pub needed: usize,
    /// The moment since which it declares just these.
    pub declared_since: Millis,
    /// The request that had the call's client token before.
    pub earlier: Option<Earlier>,
    /// Every slot that was ever declared.
    pub slots: BTreeMap<SlotName, SlotFacts>,
    pub instances: BTreeMap<InstanceId, InstanceFacts>,
    pub volumes: BTreeMap<VolumeId, VolumeFacts>,
    pub snapshots: Vec<Snapshot>,
    /// The entries of a member's log that each snapshot holds.
    pub saved: BTreeMap<SnapshotId, u64>,
    pub groups: BTreeMap<String, GroupFacts>,
    /// The end that a person has put to the cluster.
    pub ending: Option<Ending>,
    /// The members of clusters that stand on this one, or on which it stands, that are down by our hand.
    pub disrupted_beside: BTreeSet<(ClusterName, SlotName)>,
    /// The slot that the claim names.
    pub claimed: Option<SlotName>,
    /// The instances that the claim says are to be stopped.
    pub announced: BTreeSet<InstanceId>,
    /// The slot for which an instance was launched ahead, or is about to be, and the number of that launch.
    pub ahead: Option<(SlotName, Attempt)>,
    /// The claims are kept in this world. Whoever keeps them elsewhere may have launched an instance ahead.
    pub knows_claims: bool,
    /// The slot that a launch is for, where it has lost its instance, and something had settled there that can still be launched.
    pub lost: Option<LostFacts>,
    /// The moment of the oldest part of the last view of the cluster, if that was no view of then.
    pub shown: Option<Millis>,
    /// The replacement that the claim is about, if it is about one.
    pub replacement: Option<ReplacementFacts>,
    /// The instance whose member leads, and the moment since which it has been leading; none where leadership cannot be
    /// handed over, or to nobody.
    pub leads: Option<(InstanceId, Millis)>,
    /// The last span of time in which nobody led: its beginning, and its end if it is over.
    pub unled: Option<(Millis, Option<Millis>)>,
    /// The address at which the others look for each slot's member, where a leader has to be told of another, and the moment since
    /// which there has been one.
    pub looked_for: Option<(BTreeMap<SlotName, IpAddr>, Millis)>,
}

/// The facts of a slot that has lost its instance.
#[derive(Clone, Debug)]
pub struct LostFacts {
    /// The moment since which no instance of the slot is alive.
    pub since: Millis,
    /// The image that settled there last.
    pub settled: ImageId,
    /// The generations that failed there.
    pub rejected: BTreeSet<Generation>,
    /// The images that have settled in the other slots.
    pub settled_beside: BTreeSet<ImageId>,
}

/// The facts of a claimed replacement.
#[derive(Clone, Debug)]
pub struct ReplacementFacts {
    /// The instance that is replaced.
    pub old: InstanceId,
    pub way: Way,
    /// The claim is being turned to that way.
    pub turning: bool,
    /// The time since which the claim has said so.
    pub since: Millis,
}

/// The facts of a slot's member.
#[derive(Clone, Debug)]
pub struct SlotFacts {
    /// The member is a healthy voter.
    pub up: bool,
    /// The last time at which that changed.
    pub since: Millis,
    /// The member was a healthy voter at some time.
    pub was_up: bool,
    /// The member is down because a controller stopped its instance.
    pub stopped_by_us: bool,
    /// The instance on which the member is a healthy voter.
    pub healthy_on: Option<InstanceId>,
}

/// The facts of an instance.
#[derive(Clone, Debug)]
pub struct InstanceFacts {
    /// The cluster whose tag it bears, or whose group has launched it.
    pub cluster: ClusterName,
    pub slot: SlotName,
    /// The instance was launched or recruited for one of the cluster's slots.
    pub serves: bool,
    /// The instance bears a controller's tag. Without it no controller may terminate it.
    pub owned: bool,
    pub state: InstanceState,
    pub retired: bool,
    /// The number of the launch that made it, if a launch of ours did.
    pub attempt: Option<Attempt>,
    /// The instance had its slot's volumes when they were recorded as settled.
    pub settled: bool,
    /// The member has been a healthy voter since the instance got the volumes that it has.
    pub proven: bool,
    /// Somebody other than a controller terminated it, or deleted a volume of it.
    pub interfered: bool,
    /// The moment at which somebody other than a controller started or terminated it, if its state comes of that.
    pub by_hand: Option<Millis>,
    /// A controller has asked for its end, and was refused.
    pub end_refused: bool,
    /// The volumes that its guest waits for.
    pub volumes: BTreeSet<VolumeId>,
    /// The address at which its member serves.
    pub serves_at: Option<IpAddr>,
    /// The secondary private addresses of its primary network interface.
    pub addresses: BTreeSet<Ipv4Addr>,
}

/// The facts of a data volume.
#[derive(Clone, Debug)]
pub struct VolumeFacts {
    pub cluster: ClusterName,
    pub slot: SlotName,
    /// The instance that has it, in whatever phase.
    pub holder: Option<InstanceId>,
    /// The moment since which the holder has it in the phase `attached`, if it has.
    pub attached: Option<Millis>,
    pub size_gib: u32,
    /// The entries of its log that a member has left on it.
    pub entries: u64,
    /// Somebody has deleted it.
    pub deleted: bool,
    /// The moment since which EBS has had a modification in hand, if it has one that was asked for by a call.
    pub modified: Option<Millis>,
}

/// The facts of an Auto Scaling group.
#[derive(Clone, Debug)]
pub struct GroupFacts {
    pub seen: Group,
    /// The moment at which somebody last resumed a process.
    pub resumed: Millis,
}

/// A request that has had the same client token as a call.
#[derive(Clone, Debug)]
pub struct Earlier {
    pub cluster: ClusterName,
    /// The request is the very same.
    pub same: bool,
}

/// The facts of the sending of a call.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub at: Millis,
    /// The sender's last accepted write to the cluster.
    pub wrote: Option<Millis>,
    /// The beginning of the sender's last look.
    pub looked: Option<Millis>,
}

impl Facts {
    pub(super) fn has_ended(&self) -> bool {
        self.ending.is_some()
    }

    pub(super) fn holds_volume(&self, instance: &InstanceId) -> bool {
        self.volumes.values().any(|volume| volume.holder.as_ref() == Some(instance))
    }

    pub(super) fn is_attached(&self, volume: &VolumeId, to: &InstanceId) -> bool {
        self.attached_since(volume, to).is_some()
    }

    /// Finds the moment since which a volume is attached to an instance, if it is.
    pub(super) fn attached_since(&self, volume: &VolumeId, to: &InstanceId) -> Option<Millis> {
        self.volumes.get(volume).filter(|volume| volume.holder.as_ref() == Some(to))?.attached
    }

    pub(super) fn group_with(&self, instance: &InstanceId) -> Option<&GroupFacts> {
        self.groups.values().find(|group| group.seen.members.contains_key(instance))
    }
}
