//! The five answers that a plan can be, as data. How they read is in [`super::explain`].

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::action::{Action, Effect};
use crate::ids::{
    ClusterName, Generation, ImageId, InstanceId, MemberId, PlanId, SlotName, SnapshotId, VolumeId, VolumeName, Zone,
};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

use super::drift::Drift;

/// What to do next.
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
    /// A human must act.
    Stalled(Stall),
}

impl Plan {
    /// An action on a cluster, for a slot where it is for one.
    pub(super) fn act(cluster: &ClusterName, slot: Option<&SlotName>, effect: Effect, why: Why) -> Self {
        Self::Act(Action { cluster: cluster.clone(), slot: slot.cloned(), effect }, why)
    }

    /// A wait that a person should look at when it takes longer than it may.
    pub(super) fn wait(slot: Option<&SlotName>, what: Awaited, since: Timestamp, limit: Duration) -> Self {
        Self::Wait(WaitingOn { slot: slot.cloned(), what, since, worry_at: after(since, limit) })
    }

    /// Refusals that stand in the way of a slot, or of the whole cluster.
    pub(super) fn blocked(slot: Option<&SlotName>, hazards: Vec<Hazard>) -> Self {
        Self::Blocked(Hazards { slot: slot.cloned(), hazards })
    }
}

/// Why an action is taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// The slot's instance differs from the spec, and this is the slot's place in the order.
    Outdated { drifts: Vec<Drift>, rank: Rank },
    /// The slot has lost its instance.
    Lost,
    /// The slot has never had one.
    New,
    /// A replacement of the slot has begun, and nobody claims it.
    Interrupted { instance: InstanceId },
    /// The next step of a replacement under way.
    NextStep,
    /// This member leads, and leadership goes before the leader does.
    Leads,
    /// The launch came to nothing.
    LaunchFailed { reason: String },
    /// The member did not come back in time.
    NotBackInTime { limit: Duration },
    /// The replacement is taken back.
    TakenBack,
    /// The spec changed before any data had moved, or another slot has to be healed first.
    Superseded,
    /// The new member has proved itself.
    Proven,
    /// A new cluster's member cannot prove itself before the others are there.
    Forming,
    /// The application would prune the stopped member.
    WouldPrune { down_to: usize, declared: usize },
    /// The memory on the volumes is behind what was seen.
    Memory,
    /// Declared tags differ; they are mended in place.
    Tags,
    /// The adopted group could end or add an instance while a slot is claimed.
    KeepStill,
    /// The adopted group counts its members otherwise than it should.
    OutOfStep,
    /// Nothing is under way, so the adopted group may act by itself again.
    LetGo,
    /// What the adopted group launches by itself is not what the cluster has settled on.
    TemplateBehind,
    /// Somebody wants the cluster to be no more.
    Unwanted,
}

/// A slot's place in the order, first to last: a slot whose loss costs the cluster least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rank {
    /// A slot whose member is not healthy, so nothing is lost by replacing it and perhaps something is mended.
    Unhealthy,
    /// A slot whose instance AWS is going to take down anyway.
    Maintenance,
    /// A slot whose member has a vote that does not count.
    NonVoter,
    /// A slot whose member follows the leader, and counts.
    Follower,
    /// The leader's slot. Disrupting the leader costs an election, so it happens once, last, and after a transfer where
    /// one is offered.
    Leader,
}

/// Something that finishes by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingOn {
    /// The slot that is waited for, where it is one.
    pub slot: Option<SlotName>,
    /// What has to happen.
    pub what: Awaited,
    /// Since when, as far as the world tells.
    pub since: Timestamp,
    /// When to worry.
    pub worry_at: Timestamp,
}

/// What has to happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
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
    /// The adopted group must have let the instance go.
    Left {
        instance: InstanceId,
        group: String,
    },
    /// The adopted group has lost an instance too, and is about to launch another.
    Recruit {
        group: String,
    },
    /// A volume is deleted only when its last snapshot has all of it.
    SnapshotCompleted {
        volume: VolumeId,
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
    /// Launches failed several times; a further one is made later.
    NextLaunch {
        reason: String,
    },
}

/// Reasons not to act; never empty.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hazards {
    /// The slot that would have been next.
    pub slot: Option<SlotName>,
    /// All of them, in the order of the gates.
    pub hazards: Vec<Hazard>,
}

/// A gate's reason not to act. Of the adopted group, `running` are the processes that should be suspended, and `spare`
/// the members that serve no slot. What is not owned is in the way because it is in a `group`, where one is named.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "gate")]
pub enum Hazard {
    Frozen,
    KillSwitch { why: String },
    WrongAccount { found: String, wanted: String },
    Suspended,
    OutsideWindow { opens: Option<Timestamp>, closes: Option<Timestamp> },
    ApprovalRequired { plan: PlanId, given: Option<PlanId> },
    NotRehearsed { image: ImageId, generation: Generation, why: Unproven },
    GenerationRejected { image: ImageId, generation: Generation, slots: Vec<SlotName> },
    RollbackCooldown { until: Timestamp },
    ImageUnavailable { image: ImageId, why: String },
    NotOwned { resources: Vec<String>, group: Option<String> },
    OwnedByAutoscaling { instance: InstanceId, group: String, running: BTreeSet<String> },
    GroupUnusable { group: String, why: String },
    GroupHasNoRoom { group: String, max: u32, spare: Vec<InstanceId> },
    GroupChanging { group: String, why: String },
    NoLeader,
    MembersMissing { missing: Vec<SlotName>, strangers: Vec<MemberId> },
    MemberNotVoter { slots: Vec<SlotName> },
    MemberUnhealthy { members: Vec<(SlotName, String)> },
    QuorumWouldBeLost { healthy_after: usize, quorum: usize },
    Lagging { members: Vec<(SlotName, u64)> },
    Unstable { slots: Vec<SlotName>, until: Option<Timestamp> },
    AutopilotWouldPrune { down_to: usize, declared: usize },
    AnotherReplacement { slots: Vec<SlotName> },
    ClaimHeld { slot: SlotName },
    VolumeMissing { slot: SlotName, volumes: Vec<VolumeName> },
    VolumeImpaired { volume: VolumeId, why: String },
    VolumeModifying { volume: VolumeId },
    ZoneImpaired { zone: Zone, why: String },
    ScheduledEvent { slot: SlotName, code: String, not_before: Timestamp },
    DeleteOnTermination { volume: VolumeId, instance: InstanceId },
    StaleObservation { why: String, unread: bool },
    UnknownHealth { why: String },
}

/// Why a rehearsal does not count for a slot.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unproven {
    /// There is none of that generation.
    Never,
    /// The latest one failed.
    Failed { at: Timestamp, finding: String },
    /// It began with another image than the slot runs, so it went another way.
    Otherwise { from: ImageId, runs: ImageId },
}

impl Hazard {
    /// The credentials are for another account than the file's, if it names one.
    pub fn of_account(spec: &ClusterSpec, found: Option<&String>) -> Option<Self> {
        let (found, wanted) = found.zip(spec.account.as_ref()).filter(|(found, wanted)| found != wanted)?;
        Some(Self::WrongAccount { found: found.clone(), wanted: wanted.clone() })
    }
}

/// A state out of which only a person can help.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stall {
    /// A volume that should exist is not there. Never a new one in its place.
    VolumeMissing { slot: SlotName, volumes: Vec<VolumeName> },
    /// The slot's volume lies in another zone than the slot.
    VolumeElsewhere { slot: SlotName, volume: VolumeId, zone: Zone, declared: Zone },
    /// An instance that is not one of the slot's has a volume of it.
    VolumeTaken { slot: SlotName, volume: VolumeId, by: InstanceId },
    /// The snapshot that a slot was to begin with can never be used.
    CopyFailed { slot: SlotName, volume: VolumeId, snapshot: SnapshotId },
    /// A volume is of no use as it is.
    VolumeUnusable { slot: SlotName, volume: VolumeId, why: String },
    /// Several instances claim one slot, and not all of them are ours to sort out.
    Contested { slot: SlotName, instances: BTreeSet<InstanceId> },
    /// Something was refused in a way that takes a person.
    Refused { why: String },
    /// Somebody stopped the instance.
    InstanceStopped { slot: SlotName, instance: InstanceId },
    /// The member did not come back in time, and the spec says to hold, or there is nothing to go back to.
    Held { slot: SlotName, generation: Generation, why_not: String },
    /// The old instance did not come back either.
    RollbackFailed { slot: SlotName, instance: InstanceId, why_not: String },
    /// The cluster is being destroyed, or was.
    Ended { since: Timestamp },
    /// The claim is for a slot that the spec no longer declares.
    ClaimForUndeclared { slot: SlotName },
    /// The members of a new cluster have not found each other in time.
    NotFormed { missing: Vec<SlotName> },
    /// Nothing that ever ran here may run here: the spec's generation and the last settled one are both rejected.
    NothingToHealWith { slot: SlotName, generation: Generation },
}
