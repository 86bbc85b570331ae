//! The reasons not to act, as data: one or two for each gate.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::ids::{
    ClusterName, Generation, ImageId, InstanceId, MemberId, PlanId, SlotName, VolumeId, VolumeName, Zone,
};
use crate::observed::{Blocker, Process, Relation};
use crate::spec::{ClusterSpec, Lag};
use crate::time::Timestamp;

/// A gate's reason not to act.
#[derive(Clone, Debug, PartialEq)]
pub enum Hazard {
    Frozen,
    KillSwitch {
        why: String,
    },
    WrongAccount {
        found: String,
        wanted: String,
    },
    Suspended,
    /// The change window is closed. When it opens next is not always known.
    OutsideWindow {
        opens: Option<Timestamp>,
    },
    /// The change window closes before the replacement could be finished.
    WindowTooShort {
        closes: Timestamp,
    },
    /// The slots that are no longer declared, and the instances and volumes of theirs that are there.
    SlotsLeftBehind {
        slots: BTreeSet<SlotName>,
        instances: Vec<String>,
        volumes: Vec<String>,
    },
    /// A cluster that no file declares, and what of it lies where this one is to be.
    ClusterLeftBehind {
        cluster: ClusterName,
        resources: Vec<String>,
    },
    /// The plan that has to be approved, and the one that is approved, if any is.
    ApprovalRequired {
        plan: PlanId,
        given: Option<PlanId>,
    },
    NotRehearsed {
        image: ImageId,
        generation: Generation,
        why: Unproven,
    },
    /// The slots in which the generation has failed, and the instance, where it failed only in the place of that one.
    GenerationRejected {
        image: ImageId,
        generation: Generation,
        slots: Vec<SlotName>,
        in_place_of: Option<InstanceId>,
    },
    /// No replacement begins before this moment.
    RollbackCooldown {
        until: Timestamp,
    },
    ImageUnavailable {
        image: ImageId,
        why: String,
    },
    /// The instance type, and what is wrong with it.
    TypeUnsuitable {
        instance_type: String,
        why: String,
    },
    /// The device of a declared volume, and what is there.
    DeviceTaken {
        device: String,
        why: String,
    },
    /// The slot's fixed address, and what else has it, e.g. `eni-9 of i-9`.
    AddressTaken {
        address: Ipv4Addr,
        by: String,
    },
    /// Volumes that the file does not declare, each with the instance that has it, and the device.
    UndeclaredVolume {
        volumes: Vec<(VolumeId, InstanceId, String)>,
    },
    /// The application's own reasons.
    ApplicationForbids {
        blockers: Vec<Blocker>,
    },
    /// The address at which its peers find a member, and the instance that serves, with the address that it has.
    MemberElsewhere {
        found: String,
        instance: InstanceId,
        own: IpAddr,
    },
    /// The version that the file expects, and why nobody could ever report it.
    VersionUnprovable {
        expected: String,
        why: String,
    },
    /// The version that nobody is older than and the one that the file expects, as far as they are known; and the application's rule with the way to keep it.
    VersionSkew {
        from: Option<String>,
        to: Option<String>,
        rule: &'static str,
        remedy: &'static str,
    },
    /// Ids of instances, volumes and snapshots that bear another owner's tag, or none.
    NotOwned {
        resources: Vec<String>,
    },
    /// Ids of members of the adopted group that do not bear our tag.
    StrangersInGroup {
        group: String,
        resources: Vec<String>,
    },
    /// An instance in a group that was not adopted.
    OwnedByAutoscaling {
        instance: InstanceId,
        group: String,
    },
    /// An instance in the adopted group, and the group's processes that should be suspended and run.
    GroupNotStill {
        instance: InstanceId,
        group: String,
        running: BTreeSet<Process>,
    },
    /// The adopted group, and what is wrong with it, e.g. `does not launch in us-east-1c, where c is`.
    GroupUnusable {
        group: String,
        why: String,
    },
    /// The adopted group has as many members as it takes.
    GroupFull {
        group: String,
        max: u32,
    },
    /// The adopted group has as many members as it takes, and some of them serve no slot.
    GroupFullOfSpares {
        group: String,
        max: u32,
        spare: Vec<InstanceId>,
    },
    /// The adopted group, and what it is busy with, e.g. `has i-1 joining`.
    GroupChanging {
        group: String,
        why: String,
    },
    /// A member of the adopted group that somebody has put in standby.
    InStandby {
        group: String,
        instance: InstanceId,
    },
    NoLeader,
    /// The slots whose members are missing, and the members that are not declared; one of the two may be empty.
    MembersMissing {
        missing: Vec<SlotName>,
        strangers: Vec<MemberId>,
    },
    MemberNotVoter {
        slots: Vec<SlotName>,
    },
    /// The members that are unhealthy, each with why.
    MemberUnhealthy {
        members: Vec<(SlotName, String)>,
    },
    /// The number of healthy members that would remain, and how many are needed.
    QuorumWouldBeLost {
        healthy_after: usize,
        quorum: usize,
    },
    /// The members that are behind, each with by how much.
    Lagging {
        members: Vec<(SlotName, Lag)>,
    },
    /// The members that have not been healthy for long enough. When they will have been is not known of one that is
    /// unhealthy now.
    Unstable {
        slots: Vec<SlotName>,
        until: Option<Timestamp>,
    },
    /// The number of members below which the application prunes none, the declared number, and the hint of the
    /// application's kind.
    WouldBePruned {
        down_to: usize,
        declared: usize,
        remedy: &'static str,
    },
    /// The other slots that are not served by one instance.
    AnotherReplacement {
        slots: Vec<SlotName>,
    },
    /// The servers that keep the claim, and are members of the cluster that it is about.
    ClaimInCluster {
        servers: Vec<IpAddr>,
    },
    /// The clusters that stand on this one, or on which it stands, each with why it is not left alone.
    DependencyUnsettled {
        clusters: Vec<(ClusterName, Relation, String)>,
    },
    /// The slot that the claim is held for.
    ClaimHeld {
        slot: SlotName,
    },
    VolumeMissing {
        slot: SlotName,
        volumes: Vec<VolumeName>,
    },
    VolumeImpaired {
        volume: VolumeId,
        why: String,
    },
    VolumeModifying {
        volume: VolumeId,
    },
    ZoneImpaired {
        zone: Zone,
        why: String,
    },
    /// The other slot whose instance AWS is going to disturb, EC2's code for how, and the earliest moment.
    ScheduledEvent {
        slot: SlotName,
        code: String,
        not_before: Timestamp,
    },
    DeleteOnTermination {
        volume: VolumeId,
        instance: InstanceId,
    },
    /// A source that could not be read, and why.
    Unread {
        why: String,
    },
    /// A source that was read, but not in a way that a decision can rest on, and why.
    StaleObservation {
        why: String,
    },
    /// The ids of resources that EC2 describes in a way that is not understood, each with what is odd.
    NotUnderstood {
        resources: Vec<(String, String)>,
    },
    UnknownHealth {
        why: String,
    },
}

/// The reason for which a rehearsal does not count for a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Unproven {
    /// No rehearsal of that generation has been made.
    Never,
    /// The latest one failed.
    Failed { at: Timestamp, finding: String },
    /// The rehearsal began with another image than the slot runs, so it went another way.
    FromOtherImage { from: ImageId, runs: ImageId },
}

impl Hazard {
    /// Refuses credentials that are for another account than the file's, if it names one.
    pub fn of_account(spec: &ClusterSpec, found: Option<&String>) -> Option<Self> {
        let (found, wanted) = found.zip(spec.account.as_ref()).filter(|(found, wanted)| found != wanted)?;
        Some(Self::WrongAccount { found: found.clone(), wanted: wanted.clone() })
    }
}
