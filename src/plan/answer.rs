//! The five answers that a plan can be, as data. How they read is in [`super::explain`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::action::{Action, Effect};
use crate::ids::{ClusterName, Generation, ImageId, InstanceId, SlotName, SnapshotId, VolumeId, VolumeName, Zone};
use crate::make::Drift;
use crate::observed::{Nature, Setback, VolumeState};
use crate::time::{Timestamp, after};

mod hazard;

pub use hazard::{Hazard, Unproven};

/// The next thing to do.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a plan that nobody reads changes nothing"]
pub enum Plan {
    /// Nothing differs.
    Settled,
    /// This one change.
    Act(Action, Why),
    /// Something finishes by itself.
    Wait(WaitingOn),
    /// Unsafe or not allowed now; may clear. All reasons, not the first.
    Blocked(Hazards),
    /// A human must act. All that takes one, not the first.
    Stalled(Stalls),
}

impl From<&Setback> for Stall {
    fn from(setback: &Setback) -> Self {
        let Setback { doing, found, since, times, nature, .. } = setback.clone();
        match nature {
            Nature::Refused => Self::Refused { why: found },
            Nature::NoCapacity => Self::CapacityUnavailable { doing, found, since, times },
            Nature::Undone | Nature::WithoutEffect => Self::NotAsExpected { doing, found, since, times },
        }
    }
}

impl Plan {
    /// Makes an action on a cluster, for a slot where it is for one.
    pub(super) fn act(cluster: &ClusterName, slot: Option<&SlotName>, effect: Effect, why: Why) -> Self {
        Self::Act(Action { cluster: cluster.clone(), slot: slot.cloned(), effect }, why)
    }

    /// Makes a wait that a person should look at when it takes longer than it may.
    pub(super) fn wait(slot: Option<&SlotName>, what: Awaited, since: Timestamp, limit: Duration) -> Self {
        Self::Wait(WaitingOn { slot: slot.cloned(), what, since, worry_at: after(since, limit) })
    }

    /// Collects refusals that stand in the way of a slot, or of the whole cluster.
    pub(super) fn blocked(slot: Option<&SlotName>, hazards: Vec<Hazard>) -> Self {
        Self::Blocked(Hazards { slot: slot.cloned(), hazards, beside: Vec::new() })
    }

    /// Makes a stall of one state that only a person can end.
    pub(super) fn stalled(stall: impl Into<Stall>) -> Self {
        Self::Stalled(Stalls { stall: stall.into(), beside: Vec::new() })
    }

    /// Names the states of other slots as well where nothing goes on: who mends only the first would be called again for the next.
    pub(super) fn naming_beside(mut self, others: impl FnOnce() -> Vec<Stall>) -> Self {
        match &mut self {
            Self::Blocked(hazards) => hazards.beside = others(),
            Self::Stalled(stalls) => {
                stalls.beside = others();
                stalls.beside.retain(|other| *other != stalls.stall);
            }
            Self::Settled | Self::Act(..) | Self::Wait(_) => {}
        }
        self
    }
}

/// Reasons not to act; never empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hazards {
    /// The slot that would have been next.
    pub slot: Option<SlotName>,
    /// All reasons, in the order of the gates.
    pub hazards: Vec<Hazard>,
    /// The states of other slots that only a person can end.
    pub beside: Vec<Stall>,
}

/// Everything that only a person can end.
#[derive(Clone, Debug, PartialEq)]
pub struct Stalls {
    /// The state that keeps everything else from going on.
    pub stall: Stall,
    /// The states of other slots that only a person can end.
    pub beside: Vec<Stall>,
}

impl Stalls {
    /// Lists all of them, the one that keeps everything else from going on first.
    pub fn all(&self) -> impl Iterator<Item = &Stall> {
        std::iter::once(&self.stall).chain(&self.beside)
    }
}

/// The reason for which an action is taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// The slot's instance differs from the spec, and this is the slot's place in the order.
    Outdated { drifts: Vec<Drift>, rank: Rank },
    /// The slot has lost its instance.
    Lost,
    /// The slot has never had an instance.
    New,
    /// A replacement of the slot has begun, and nobody claims it.
    Interrupted { instance: InstanceId },
    /// EC2 has stopped the instance, or a claim that gave way had.
    Stopped { reason: String },
    /// The old instance cannot be started again, and another kind of instance is committed.
    CannotStart { instance: InstanceId },
    /// The next step of a replacement under way.
    NextStep,
    /// This member leads, and leadership goes before the leader does.
    Leads,
    /// The launch came to nothing.
    LaunchFailed { reason: String },
    /// The guest of the instance waits for a volume that is no more.
    WaitsInVain,
    /// The member's fixed address has got lost, and it serves at no other.
    AddressLost,
    /// The old instance has lost its fixed address, and gets it back before anything else.
    AddressFirst,
    /// The other members look for the member at another address than its instance's.
    AddressChanged,
    /// A volume was created and came to nothing.
    VolumeNotMade { reason: String },
    /// A volume got stuck on its way to an instance.
    Stuck { volume: VolumeId, to: InstanceId },
    /// A step is refused while the member is down, before any data has moved.
    StepRefused { doing: String },
    /// The member did not come back in time.
    NotBackInTime { limit: Duration },
    /// The replacement is taken back.
    TakenBack,
    /// The old instance cannot serve again, or what was claimed is wanted after all.
    GoesOn,
    /// The spec changed before any data had moved, or another slot has to be healed first.
    Superseded,
    /// The old instance is gone before any data had moved, and the slot is healed with what settled there.
    OldLost,
    /// The replacement cannot go on, and another slot has to be healed.
    GivesWay,
    /// The new member has proved itself.
    Proven,
    /// The slot has settled on a later instance, and the claim has moved on.
    LeftOver,
    /// A new cluster's member cannot prove itself before the others are there.
    Forming,
    /// The application would prune the stopped member.
    WouldPrune { down_to: usize, declared: usize },
    /// The memory on the volumes is behind what was seen.
    Memory,
    /// Declared tags differ, and are set in place.
    Tags,
    /// The file wants the volume larger.
    TooSmall,
    /// The adopted group could end or add an instance while a slot is claimed.
    KeepStill,
    /// The adopted group does not count its members as it should.
    OutOfStep,
    /// Nothing is under way, so the adopted group may act by itself again.
    LetGo,
    /// The adopted group launches by itself another thing than the cluster has settled on.
    TemplateBehind,
    /// The slot comes next, and the claimed one only waits: for its old instance to stop, or for its new member to come back and to stay
    /// healthy.
    Ahead { of: SlotName },
    /// The slot is not replaced next after all, or not by what was launched ahead for it; in words.
    LetGoAhead { reason: String },
    /// Somebody wants the cluster to be deleted.
    Unwanted,
}

/// A slot's place in the order, first to last: a slot whose loss costs the cluster least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A slot whose member is not healthy, so nothing is lost by replacing it and perhaps something is mended.
    Unhealthy,
    /// A slot whose instance AWS is going to take down anyway.
    Maintenance,
    /// The leader's slot, where the leader of this kind of application goes first.
    LeaderFirst,
    /// A slot whose member does not count, e.g. one without a vote.
    NonVoter,
    /// A slot whose member follows the leader, and counts.
    Follower,
    /// The leader's slot, where the leader goes last. Disrupting the leader costs an election, so it happens once,
    /// last, and after a transfer where one is offered.
    LeaderLast,
}

/// Something that finishes by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingOn {
    /// The slot that is waited for, where it is one.
    pub slot: Option<SlotName>,
    /// The thing that has to happen.
    pub what: Awaited,
    /// The moment since which it is waited for, as far as the world tells.
    pub since: Timestamp,
    /// The moment from which on the wait takes longer than it should.
    pub worry_at: Timestamp,
}

impl WaitingOn {
    /// Gives a short key: equal for as long as the same thing is waited for, whatever is missing of it.
    pub fn key(&self) -> String {
        Self::key_of(self.slot.as_ref(), &self.what)
    }

    /// Gives the key of a wait for that, for a slot where it is for one.
    pub fn key_of(slot: Option<&SlotName>, what: &Awaited) -> String {
        let what = match what {
            Awaited::ViewsAgree { .. } => "views".to_owned(),
            Awaited::MemberBack { .. } => "member".to_owned(),
            Awaited::Formation { .. } => "formation".to_owned(),
            what => format!("{what:?}"),
        };
        format!("{slot:?} {what}")
    }
}

/// The thing that has to happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Awaited {
    Running {
        instance: InstanceId,
    },
    Checks {
        instance: InstanceId,
    },
    Stopped {
        instance: InstanceId,
    },
    VolumeFree {
        volume: VolumeId,
    },
    VolumeAttached {
        volume: VolumeId,
        instance: InstanceId,
    },
    VolumeCreated {
        volume: VolumeId,
    },
    Terminated {
        instance: InstanceId,
    },
    /// The instance view and the volume view must come to agree.
    ViewsAgree {
        detail: String,
    },
    /// The other members must be told where the member is to be found, before it starts on that instance.
    PeersTold {
        instance: InstanceId,
    },
    MemberBack {
        why_not: String,
    },
    /// The new member must stay healthy.
    Bake {
        until: Timestamp,
    },
    /// The member must be seen healthy for a while: an old one after a replacement was taken back, or one of which the
    /// volumes know nothing yet.
    Steady {
        until: Timestamp,
    },
    /// The members of a new cluster must find each other.
    Formation {
        missing: Vec<SlotName>,
    },
    /// The instance must be in service in the adopted group.
    Joined {
        instance: InstanceId,
        group: String,
    },
    /// The adopted group must have detached the instance.
    Left {
        instance: InstanceId,
        group: String,
    },
    /// The adopted group has lost the same instance, and is about to launch another.
    Recruit {
        group: String,
    },
    /// A volume is deleted only when its last snapshot has all of it.
    SnapshotCompleted {
        volume: VolumeId,
    },
    /// A snapshot must have all of a volume before the instance that has it is stopped.
    VolumeSaved {
        volume: VolumeId,
        snapshot: SnapshotId,
    },
    /// A snapshot of another cluster's volume must have all of it.
    VolumeCopied {
        volume: VolumeId,
        snapshot: SnapshotId,
    },
    /// A launch may have been on its way when the cluster's end was decided on.
    NothingLate {
        until: Timestamp,
    },
    /// A stop of an instance that serves again may still be on its way, until then.
    NoLateStop {
        instance: InstanceId,
        until: Timestamp,
    },
    /// A call of another controller, or one of the other way that a replacement can go, may still be on its way, until then.
    NothingElse {
        until: Timestamp,
    },
    /// An instance that was launched ahead and let go may still come to be shown, until then.
    NoLateLaunch {
        until: Timestamp,
    },
}

/// A state that only a person can end.
#[derive(Clone, Debug, PartialEq)]
pub enum Stall {
    /// A volume that should exist is not there. Never a new one in its place.
    VolumeMissing { slot: SlotName, volumes: Vec<VolumeName> },
    /// The slot's volume lies in another zone than the slot.
    VolumeElsewhere { slot: SlotName, volume: VolumeId, zone: Zone, declared: Zone },
    /// An instance that is not one of the slot's has a volume of it.
    VolumeTaken { slot: SlotName, volume: VolumeId, by: InstanceId },
    /// Something that is not the slot's has its fixed address, e.g. `eni-9 of i-9`.
    AddressTaken { slot: SlotName, address: Ipv4Addr, by: String },
    /// The snapshot that a slot was to begin with can never be used.
    CopyFailed { slot: SlotName, volume: VolumeId, snapshot: SnapshotId },
    /// EBS has given up every snapshot of a volume that was to be saved before a stop.
    VolumeNotSaved { slot: SlotName, volume: VolumeId, snapshot: SnapshotId, times: u32 },
    /// A volume is of no use as it is.
    VolumeUnusable { slot: SlotName, volume: VolumeId, why: String },
    /// A volume was to be created several times, and none came of it.
    VolumeNotMade { slot: SlotName, name: VolumeName, why: String, times: u32 },
    /// Several new instances in a row came to nothing: no launch of them, or no volume on its way to them.
    NotLaunched { slot: SlotName, why: String, times: u32 },
    /// Several volumes bear the tags of one: a volume and its restored copy, say. None of them is preferred.
    VolumeContested { slot: SlotName, name: VolumeName, volumes: BTreeMap<VolumeId, VolumeState> },
    /// Several instances claim one slot, and not all of them are ours to sort out.
    Contested { slot: SlotName, instances: BTreeSet<InstanceId> },
    /// Something was refused in a way that takes a person.
    Refused { why: String },
    /// An action has come to nothing again and again.
    NotAsExpected { doing: String, found: String, since: Timestamp, times: u32 },
    /// EC2 has refused something again and again because it has none to give, or because a quota is used up.
    CapacityUnavailable { doing: String, found: String, since: Timestamp, times: u32 },
    /// Somebody stopped the instance; EC2 may say why.
    InstanceStopped { slot: SlotName, instance: InstanceId, why: Option<String> },
    /// A wait has lasted for much longer than it should, without a break since then.
    Overdue { waiting: WaitingOn, since: Timestamp },
    /// The member did not come back in time, and the spec says to hold, or there is nothing to go back to.
    Held { slot: SlotName, image: ImageId, generation: Generation, why_not: String },
    /// The old instance did not come back either.
    RollbackFailed { slot: SlotName, instance: InstanceId, why_not: String },
    /// Every slot is served, and the members cannot elect anybody any more.
    QuorumLost { slot: SlotName, why: String },
    /// The cluster is being destroyed, or was.
    Ended { since: Timestamp, is_finished: bool },
    /// The claim is for a slot that the spec no longer declares.
    ClaimForUndeclared { slot: SlotName },
    /// The members of a new cluster have not found each other in time.
    NotFormed { missing: Vec<SlotName> },
    /// Nothing that ever ran here may run here: the spec's generation and the last settled one are both rejected.
    NothingToHealWith { slot: SlotName, generation: Generation },
}
