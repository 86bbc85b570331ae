//! The steps of a replacement as data: what each is called, about how long it takes, and the lists that they form.
//!
//! A strategy is one of these lists. The planner takes the first step of its list that is outstanding, the forecast
//! shows the same list without the steps that are done, and status and `explain` name the step at which a replacement
//! stands. How a step is carried out is said in `replacement`, and in `teardown` for the end of a cluster.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::spec::{ClusterSpec, Strategy, VolumeSpec};

/// A replacement whose new instance is launched before the old one stops.
pub const SURGE: &[Step] = &[
    Step::Claim,
    Step::Launch,
    Step::JoinGroup,
    Step::Protect,
    Step::SnapshotRunning,
    Step::MarkStop,
    Step::Transfer,
    Step::Prepare,
    Step::Stop,
    Step::Snapshot,
    Step::Detach,
    Step::AssignAddress,
    Step::MoveMember,
    Step::Attach,
    Step::Prove,
    Step::Settle,
    Step::Retire,
    Step::LeaveGroup,
    Step::Terminate,
    Step::Release,
];

/// A replacement whose new instance is launched after the old one has stopped, where there is no room for both.
pub const RECREATE: &[Step] = &[
    Step::Claim,
    Step::SnapshotRunning,
    Step::MarkStop,
    Step::Transfer,
    Step::Prepare,
    Step::Stop,
    Step::Snapshot,
    Step::Detach,
    Step::Launch,
    Step::JoinGroup,
    Step::Protect,
    Step::AssignAddress,
    Step::MoveMember,
    Step::Attach,
    Step::Prove,
    Step::Settle,
    Step::Retire,
    Step::LeaveGroup,
    Step::Terminate,
    Step::Release,
];

/// An instance for a slot that has lost its own.
pub const HEAL: &[Step] = &[
    Step::Claim,
    Step::Launch,
    Step::JoinGroup,
    Step::Protect,
    Step::AssignAddress,
    Step::MoveMember,
    Step::Attach,
    Step::Prove,
    Step::Settle,
    Step::Release,
];

/// Volumes and an instance for a slot that has never had any.
pub const CREATE: &[Step] = &[
    Step::CreateVolume,
    Step::Claim,
    Step::Launch,
    Step::JoinGroup,
    Step::Protect,
    Step::AssignAddress,
    Step::Attach,
    Step::Prove,
    Step::Settle,
    Step::Release,
];

/// A replacement that is taken back: the new instance is emptied, and the old one is given its volumes again.
pub const TAKE_BACK: &[Step] = &[
    Step::TurnBack,
    Step::MarkStop,
    Step::Transfer,
    Step::Stop,
    Step::Detach,
    Step::AssignAddress,
    Step::MoveMember,
    Step::Attach,
    Step::Start,
    Step::Prove,
    Step::Retire,
    Step::LeaveGroup,
    Step::Terminate,
    Step::Release,
];

/// A replacement that is given up before any data has moved: the new instance goes.
pub const GIVE_UP: &[Step] = &[
    Step::TurnBack,
    Step::MarkStop,
    Step::Transfer,
    Step::Stop,
    Step::Detach,
    Step::Retire,
    Step::LeaveGroup,
    Step::Terminate,
    Step::Release,
];

/// A replacement that goes forward, before any other step.
pub const GO_ON: &[Step] = &[Step::TurnForward];

/// The way in which any instance is stopped.
pub const STOP_FIRST: &[Step] = &[Step::MarkStop, Step::Transfer, Step::Stop];

/// The way of an instance that is not needed any more: nothing is at it when it goes.
pub const DISCARD: &[Step] =
    &[Step::MarkStop, Step::Transfer, Step::Stop, Step::Detach, Step::Retire, Step::LeaveGroup, Step::Terminate];

/// The adopted group is kept from acting before the first slot of a rollout is touched.
pub const KEEP_GROUP_STILL: &[Step] = &[Step::RecordResume, Step::SuspendProcesses];

/// The adopted group is made to launch what has settled, and may act again after the last slot of a rollout.
pub const RESUME_GROUP: &[Step] = &[Step::CreateTemplate, Step::UseTemplate, Step::ResumeProcesses, Step::ForgetResume];

/// The end of a cluster: nothing is deleted before everything was stopped and saved.
pub const TEAR_DOWN: &[Step] = &[
    Step::RecordResume,
    Step::SuspendProcesses,
    Step::Stop,
    Step::Snapshot,
    Step::Detach,
    Step::LowerMinimum,
    Step::Retire,
    Step::LeaveGroup,
    Step::Terminate,
    Step::ResizeGroup,
    Step::ResumeProcesses,
    Step::ForgetResume,
    Step::DeleteVolume,
    Step::DeleteSnapshot,
    Step::OutlastLaunches,
];

/// Lists the steps that replace an instance under a strategy.
pub fn replacing(strategy: Strategy) -> &'static [Step] {
    match strategy {
        Strategy::Surge => SURGE,
        Strategy::Recreate => RECREATE,
    }
}

/// Cuts a list to the part that is left once every volume is at the instance that is to have it. A list without a proof
/// ends there.
pub fn from_proof(list: &'static [Step]) -> &'static [Step] {
    let proof = list.iter().position(|step| *step == Step::Prove).unwrap_or(list.len());
    &list[proof..]
}

/// One step. A step that makes a call is called as the call's effect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(into = "&'static str")]
#[schemars(with = "String")]
pub enum Step {
    /// A blank volume, or one from a copy, is created.
    CreateVolume,
    /// The slot is claimed.
    Claim,
    /// The slot is claimed in the write that gives up the one before.
    MoveClaim,
    /// The processes of the adopted group that run are written down on it.
    RecordResume,
    /// The adopted group's processes are suspended.
    SuspendProcesses,
    /// The claim record says that the new instance is about to be launched, although its slot is not claimed yet.
    Announce,
    /// The new instance is launched, and its status checks have passed.
    Launch,
    /// The new instance is attached to the adopted group.
    JoinGroup,
    /// The new instance is protected from scale-in.
    Protect,
    /// The claim says that the replacement is taken back, and nothing else is on its way any more.
    TurnBack,
    /// The claim says that the replacement goes on after all, or that of a slot whose old instance rests, and nothing else is
    /// on its way any more.
    TurnForward,
    /// The claim says that the instance that has the volumes is about to be stopped.
    MarkStop,
    /// Leadership is moved to another member.
    Transfer,
    /// The member that is about to be stopped is told so, where its application wants that.
    Prepare,
    /// The instance that has the volumes is stopped.
    Stop,
    /// A volume is saved while the instance that has it still serves.
    SnapshotRunning,
    /// A volume is saved once that instance has stopped, before it moves.
    Snapshot,
    /// A volume is detached from the stopped instance.
    Detach,
    /// The slot's fixed address is moved to the instance that is to have it.
    AssignAddress,
    /// The other members are told where the member is to be found, where their application wants that.
    MoveMember,
    /// A volume is attached to the instance that is to have it.
    Attach,
    /// The old instance is started again.
    Start,
    /// The member proves itself; this is a wait, and no call.
    Prove,
    /// The instance that is no longer needed is marked.
    Retire,
    /// The instance that is no longer needed is detached from the adopted group.
    LeaveGroup,
    /// The instance that is no longer needed is terminated.
    Terminate,
    /// The generation that has proved itself is recorded on the volumes.
    Settle,
    /// The claim is released.
    Release,
    /// A version of the adopted group's launch template is made.
    CreateTemplate,
    /// The adopted group launches from that version.
    UseTemplate,
    /// The adopted group's processes are resumed.
    ResumeProcesses,
    /// The record of what to resume is deleted.
    ForgetResume,
    /// The adopted group may be empty.
    LowerMinimum,
    /// The adopted group wants no instance.
    ResizeGroup,
    /// A volume is deleted.
    DeleteVolume,
    /// A snapshot that a copy began with is deleted.
    DeleteSnapshot,
    /// A launch that may have been on its way can no longer arrive; this is a wait, and no call.
    OutlastLaunches,
}

/// From `RunInstances` to running: 17.8 s cold for an m7i.large, and 4.8 s for the call itself (brevdev, 2026-02). From
/// running to both status checks passed: they run once a minute.
const LAUNCH: Duration = Duration::from_secs(23 + 75);
/// A graceful stop: 10 to 60 s.
const STOP: Duration = Duration::from_secs(25);
/// Detaching in the healthy case (EBS CSI driver: 1–4 s normally, rarely 20 s).
const DETACH: Duration = Duration::from_secs(5);
/// Attaching in the healthy case, by the same source.
const ATTACH: Duration = Duration::from_secs(4);
/// Mounting, starting, and being seen as a healthy voter by the others.
const JOIN: Duration = Duration::from_secs(25);
/// A request to the members: moving leadership, preparing a member, or telling where it is to be found.
const REQUEST: Duration = Duration::from_secs(2);
/// Joining an Auto Scaling group.
const JOIN_GROUP: Duration = Duration::from_secs(5);
/// A turn: what was sent before has arrived by then.
const TURN: Duration = Duration::from_secs(16);
/// A snapshot of what has changed in a small volume since the last one. The first one of a large volume takes hours.
const SAVE: Duration = Duration::from_secs(90);
/// A call that has nothing to wait for.
const CALL: Duration = Duration::from_secs(1);

/// The port that a step's call goes to.
#[derive(Clone, Copy, PartialEq)]
enum Port {
    Cloud,
    Members,
    Claims,
    /// The step only waits.
    None,
}

/// The number of times that a step is taken in one replacement.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    Once,
    /// For each volume that leaves an instance.
    EachLeaving,
    /// For each volume that comes to an instance.
    EachArriving,
    /// For each volume that is still to be created.
    EachLacking,
}

impl Step {
    /// Answers with the stable name, e.g. `join-group`: part of the interface of `plan -o json`.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// Says whether the step is a mutating call to EC2.
    pub fn is_ec2_call(self) -> bool {
        self.facts().1 == Port::Cloud
    }

    /// Names the step that is taken while this one is waited for: the volume is saved while the new instance starts, and the
    /// address moves while the volume leaves, because neither has to do with the other.
    pub fn meanwhile(self) -> Option<Self> {
        match self {
            Self::Launch => Some(Self::SnapshotRunning),
            Self::Detach => Some(Self::AssignAddress),
            _ => None,
        }
    }

    /// Says whether the step cannot be undone.
    pub fn is_destructive(self) -> bool {
        matches!(self, Self::Terminate | Self::DeleteVolume | Self::DeleteSnapshot)
    }

    /// Answers with the span until the next step, about: medians of published figures.
    pub fn takes(self) -> Duration {
        self.facts().2
    }

    /// Holds the table of the steps: name, port, span, and how often.
    #[rustfmt::skip]
    const fn facts(self) -> (&'static str, Port, Duration, Times) {
        match self {
            Self::CreateVolume     => ("create-volume",       Port::Cloud,   ATTACH,         Times::EachLacking),
            Self::Claim            => ("claim",               Port::Claims,  CALL,           Times::Once),
            Self::MoveClaim        => ("move-claim",          Port::Claims,  CALL,           Times::Once),
            Self::RecordResume     => ("record-resume",       Port::Cloud,   CALL,           Times::Once),
            Self::SuspendProcesses => ("suspend-processes",   Port::Cloud,   CALL,           Times::Once),
            Self::Announce         => ("announce-launch",     Port::Claims,  CALL,           Times::Once),
            Self::Launch           => ("launch",              Port::Cloud,   LAUNCH,         Times::Once),
            Self::JoinGroup        => ("join-group",          Port::Cloud,   JOIN_GROUP,     Times::Once),
            Self::Protect          => ("protect",             Port::Cloud,   CALL,           Times::Once),
            Self::TurnBack         => ("turn-back",           Port::Claims,  TURN,           Times::Once),
            Self::TurnForward      => ("turn-forward",        Port::Claims,  TURN,           Times::Once),
            Self::MarkStop         => ("mark-stop",           Port::Claims,  CALL,           Times::Once),
            Self::Transfer         => ("transfer-leadership", Port::Members, REQUEST,        Times::Once),
            Self::Prepare          => ("prepare",             Port::Members, REQUEST,        Times::Once),
            Self::Stop             => ("stop",                Port::Cloud,   STOP,           Times::Once),
            Self::SnapshotRunning  => ("snapshot-running",    Port::Cloud,   CALL,           Times::EachLeaving),
            Self::Snapshot         => ("snapshot",            Port::Cloud,   CALL,           Times::EachLeaving),
            Self::Detach           => ("detach",              Port::Cloud,   DETACH,         Times::EachLeaving),
            Self::AssignAddress    => ("assign-address",      Port::Cloud,   CALL,           Times::Once),
            Self::MoveMember       => ("move-member",         Port::Members, REQUEST,        Times::Once),
            Self::Attach           => ("attach",              Port::Cloud,   ATTACH,         Times::EachArriving),
            Self::Start            => ("start",               Port::Cloud,   LAUNCH,         Times::Once),
            Self::Prove            => ("prove",               Port::None,    JOIN,           Times::Once),
            Self::Retire           => ("retire",              Port::Cloud,   CALL,           Times::Once),
            Self::LeaveGroup       => ("leave-group",         Port::Cloud,   CALL,           Times::Once),
            Self::Terminate        => ("terminate",           Port::Cloud,   CALL,           Times::Once),
            Self::Settle           => ("settle",              Port::Cloud,   CALL,           Times::Once),
            Self::Release          => ("release",             Port::Claims,  CALL,           Times::Once),
            Self::CreateTemplate   => ("create-template",     Port::Cloud,   CALL,           Times::Once),
            Self::UseTemplate      => ("use-template",        Port::Cloud,   CALL,           Times::Once),
            Self::ResumeProcesses  => ("resume-processes",    Port::Cloud,   CALL,           Times::Once),
            Self::ForgetResume     => ("forget-resume",       Port::Cloud,   CALL,           Times::Once),
            Self::LowerMinimum     => ("lower-minimum",       Port::Cloud,   CALL,           Times::Once),
            Self::ResizeGroup      => ("resize-group",        Port::Cloud,   CALL,           Times::Once),
            Self::DeleteVolume     => ("delete-volume",       Port::Cloud,   CALL,           Times::Once),
            Self::DeleteSnapshot   => ("delete-snapshot",     Port::Cloud,   CALL,           Times::Once),
            Self::OutlastLaunches  => ("outlast-launches",    Port::None,    Duration::ZERO, Times::Once),
        }
    }

    /// Says whether a cluster's replacements take the step, for one of its volumes where it is about volumes.
    fn is_taken(self, spec: &ClusterSpec, volume: Option<&VolumeSpec>, scope: Scope) -> bool {
        match self {
            Self::Transfer => scope.transfers,
            Self::Prepare => spec.application.rules().prepares,
            Self::MoveMember => spec.application.rules().moves_members && !spec.has_addresses(),
            Self::JoinGroup | Self::Protect | Self::LeaveGroup => spec.capacity.group().is_some(),
            Self::AssignAddress => spec.has_addresses(),
            Self::SnapshotRunning => volume.is_some_and(|volume| volume.snapshot_before_replace.is_while_running()),
            Self::Snapshot => volume.is_some_and(|volume| volume.snapshot_before_replace.is_at_rest()),
            _ => true,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Step> for &'static str {
    fn from(step: Step) -> Self {
        step.name()
    }
}

/// A step in its place in a list, with its span there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimedStep {
    /// The step itself.
    pub step: Step,
    /// The span until the next step, about, with the waits that have no row of their own: the member's return stands
    /// with the last call before it, and the bake time with the first call after it.
    pub takes: Duration,
    /// The member is down meanwhile.
    pub down: bool,
}

/// The circumstances of one replacement that its spec does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope {
    /// Leadership has to be moved, and can be.
    pub transfers: bool,
    /// The number of volumes that are still to be created.
    pub lacking: usize,
}

/// Lists the calls of a list of steps in order, each with its span.
///
/// The member is down from the stop to its return. In a list without a stop it is down from the beginning; writing the
/// claim does not count.
pub fn timed(list: &[Step], spec: &ClusterSpec, scope: Scope) -> Vec<TimedStep> {
    let mut timed: Vec<TimedStep> = Vec::new();
    let mut down = !list.contains(&Step::Stop);
    let mut bake = Duration::ZERO;
    for (step, volume) in in_turn(list, spec, scope) {
        if !step.is_taken(spec, volume, scope) {
            continue;
        }
        if step == Step::Prove {
            timed.last_mut().into_iter().for_each(|last| last.takes += step.takes());
            (down, bake) = (false, spec.rollout.bake_time);
            continue;
        }
        if step == Step::MarkStop && !saves_while_launching(list) {
            let saved = timed.last_mut().filter(|last| last.step == Step::SnapshotRunning);
            saved.into_iter().for_each(|last| last.takes += SAVE);
        }
        down |= step == Step::Stop;
        let takes = step.takes() + std::mem::take(&mut bake);
        timed.push(TimedStep { step, takes, down: down && step.is_ec2_call() });
    }
    timed
}

/// Says whether volumes are saved while the new instance starts, which takes as long.
fn saves_while_launching(list: &[Step]) -> bool {
    let place = |wanted: Step| list.iter().position(|step| *step == wanted);
    place(Step::Launch) < place(Step::SnapshotRunning)
}

/// Repeats the steps that are taken for each volume. Neighbours are taken for one volume after the other: each is saved
/// and detached before the next.
fn in_turn<'s>(list: &[Step], spec: &'s ClusterSpec, scope: Scope) -> Vec<(Step, Option<&'s VolumeSpec>)> {
    let mut steps = Vec::new();
    let times = |step: &Step| step.facts().3;
    for neighbours in list.chunk_by(|one, next| times(one) == times(next) && times(one) != Times::Once) {
        let volumes: Vec<Option<&VolumeSpec>> = match times(&neighbours[0]) {
            Times::Once => vec![None],
            Times::EachLacking => vec![None; scope.lacking],
            Times::EachLeaving | Times::EachArriving => spec.volumes.iter().map(Some).collect(),
        };
        steps.extend(volumes.into_iter().flat_map(|volume| neighbours.iter().map(move |step| (*step, volume))));
    }
    steps
}

/// Says about how long one whole replacement takes.
pub fn replacement_span(spec: &ClusterSpec) -> Duration {
    whole(spec).iter().map(|step| step.takes).sum()
}

/// Says about how long a replacement takes from the stop of the old instance on.
pub fn span_from_stop(spec: &ClusterSpec) -> Duration {
    whole(spec).iter().skip_while(|step| step.step != Step::Stop).map(|step| step.takes).sum()
}

/// Says about how long a slot takes from the stop of its old instance on until its new member has proved itself.
pub fn span_to_proof(spec: &ClusterSpec) -> Duration {
    let proven = from_proof(replacing(spec.rollout.strategy));
    let from_stop = whole(spec).into_iter().skip_while(|step| step.step != Step::Stop);
    let to_proof = from_stop.take_while(|step| !proven.contains(&step.step));
    to_proof.map(|step| step.takes).sum::<Duration>() + spec.rollout.bake_time
}

/// Times a replacement that has to move leadership too.
fn whole(spec: &ClusterSpec) -> Vec<TimedStep> {
    timed(replacing(spec.rollout.strategy), spec, Scope { transfers: true, lacking: 0 })
}
