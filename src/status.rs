//! The report of a cluster by the controller: conditions, phase, slots, progress. Pure, like the plan.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::ids::{ClusterName, Generation, ImageId, InstanceId, SlotName, VolumeId, Zone};
use crate::observed::{Claim, Health, InstanceState, Member, Observation, Way};
use crate::plan::drift::drifts;
use crate::plan::look::SlotLook;
use crate::plan::steps::Step;
use crate::plan::{Hazard, Look, Plan, ahead, not_carried_out, orphans, replacement, warnings};
use crate::revision::Standing;
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

mod attention;
mod conditions;

pub use attention::Attention;
pub use conditions::{Condition, ConditionKind, ConditionStatus, SOURCE_NOT_READY};

use conditions::Ground;

/// One cluster as reported.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub cluster: ClusterName,
    pub environment: String,
    /// The moment that all of this was true of.
    pub at: Timestamp,
    /// Whether the cloud and the claim could be read. Where not, nothing is known of the slots.
    pub seen: bool,
    pub phase: Phase,
    /// The degree to which the cluster needs a person.
    pub attention: Attention,
    /// The image that the spec wants.
    pub image: ImageId,
    pub generation: Generation,
    pub progress: Progress,
    pub slots: Vec<SlotStatus>,
    /// The number of declared members that have to be healthy, e.g. 2 of 3.
    pub needed: usize,
    pub conditions: Vec<Condition>,
    /// The plan's answer in words.
    pub answer: String,
    /// Advice to a person, where there is any.
    pub hints: Vec<String>,
    /// Every reason why the next slot may not be changed now, whatever small thing is done before.
    pub refusals: Vec<Refusal>,
    /// Resources that bear the cluster's tag and no declared slot's, and instances that the adopted group launched and
    /// that no slot needs. Nothing is done to them.
    pub orphans: Vec<String>,
    /// Edits of the file that no controller carries out, and things of which members warn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The standing of the source that the spec came from, where it has revisions; left out of a folder of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<Standing>>,
}

/// A gate's reason not to change a slot.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The gate's stable name, e.g. `outside-window`.
    pub gate: &'static str,
    pub message: String,
    /// Advice to a person, where there is any.
    pub hint: Option<String>,
}

impl From<&Hazard> for Refusal {
    fn from(hazard: &Hazard) -> Self {
        Self { gate: hazard.gate().as_str(), message: hazard.to_string(), hint: hazard.hint() }
    }
}

/// Derived from the plan, for display only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Settled,
    Replacing,
    RollingBack,
    Healing,
    /// Something small is done that disturbs nobody, or a rollout is about to begin.
    Reconciling,
    Waiting,
    Blocked,
    Stalled,
}

/// The part of a rollout that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub updated: usize,
    pub total: usize,
}

/// One slot as reported.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotStatus {
    pub slot: SlotName,
    pub zone: Zone,
    /// The instance that has the volumes, or failing that the newest live one.
    pub instance: Option<InstanceId>,
    pub state: Option<InstanceState>,
    pub image: Option<ImageId>,
    /// The instance is as the spec wants it.
    pub current: bool,
    pub volumes: Vec<VolumeId>,
    pub role: Role,
    pub health: MemberHealth,
    /// The slot is claimed: its replacement is under way.
    pub claimed: bool,
    /// The step at which that replacement stands, e.g. `attach`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The spec's generation failed here.
    pub rejected: bool,
    /// The instance that was launched ahead for the slot: it takes the place once the slot is claimed, or goes again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<InstanceId>,
}

impl SlotStatus {
    /// Says whether the slot's member counts, and is healthy.
    pub fn counts_as_healthy(&self) -> bool {
        matches!(self.role, Role::Leader | Role::Voter) && self.health == MemberHealth::Healthy
    }
}

/// The health of a slot's member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String")]
pub enum MemberHealth {
    /// The slot has no member.
    NoMember,
    Healthy,
    /// The reason in the application's words.
    Unhealthy(String),
    /// The reason why nobody can say.
    Unknown(String),
}

impl MemberHealth {
    /// The word for it, without the reason.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoMember => "no member",
            Self::Healthy => "healthy",
            Self::Unhealthy(_) => "unhealthy",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for MemberHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMember | Self::Healthy => f.write_str(self.word()),
            Self::Unhealthy(why) | Self::Unknown(why) => write!(f, "{}: {why}", self.word()),
        }
    }
}

impl From<MemberHealth> for String {
    fn from(health: MemberHealth) -> Self {
        health.to_string()
    }
}

impl From<Option<&Member>> for MemberHealth {
    fn from(member: Option<&Member>) -> Self {
        match member.map(|member| &member.health) {
            None => Self::NoMember,
            Some(Health::Healthy) => Self::Healthy,
            Some(Health::Unhealthy(why)) => Self::Unhealthy(why.clone()),
            Some(Health::Unknown(why)) => Self::Unknown(why.clone()),
        }
    }
}

/// A member's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Leader,
    Voter,
    NonVoter,
    Unknown,
}

/// Reports a cluster; `previous` dates the conditions that have not changed.
pub fn status(spec: &ClusterSpec, seen: &Observation, plan: &Plan, previous: Option<&Status>) -> Status {
    let look = Look::at(spec, seen).look();
    let slots: Vec<_> = look.as_ref().map(|look| slots(look)).unwrap_or_default();
    let progress = Progress { updated: slots.iter().filter(|slot| slot.current).count(), total: spec.slots.len() };
    let refusals = match (&look, plan) {
        (Some(look), plan) => ahead::refusals(look, plan),
        (None, Plan::Blocked(hazards)) => Some(hazards.clone()),
        (None, _) => None,
    };
    let kept = look.as_ref().map(not_carried_out::notes).unwrap_or_default();
    let phase = phase(plan, look.as_ref());
    let answer = answer(plan, phase, &kept);
    let ground =
        Ground { spec, seen, plan, answer: &answer, look: look.as_ref(), refusals: refusals.as_ref(), kept: &kept };
    let mut conditions = ground.conditions();
    for condition in &mut conditions {
        let before = previous.and_then(|p| p.conditions.iter().find(|before| before.kind == condition.kind));
        condition.last_transition = match before {
            Some(before) if before.status == condition.status => before.last_transition,
            Some(_) => Some(seen.now),
            None => None,
        };
    }
    Status {
        cluster: spec.name.clone(),
        environment: spec.environment.clone(),
        at: seen.now,
        seen: look.is_some(),
        phase,
        attention: Attention::of(look.is_some(), phase, refusals.as_ref(), &conditions),
        image: spec.image.clone(),
        generation: spec.generation(),
        progress,
        slots,
        needed: spec.needed(),
        conditions,
        answer,
        hints: hints(plan, seen.now),
        refusals: refusals.iter().flat_map(|refusals| &refusals.hazards).map(Refusal::from).collect(),
        orphans: look.iter().flat_map(orphans::orphans).map(|orphan| orphan.id).collect(),
        notes: kept.into_iter().chain(look.as_ref().map(warnings).unwrap_or_default()).collect(),
        source: seen.source.clone(),
    }
}

/// Puts a plan's answer into words. Where an edit of the file is not carried out, not everything is as the spec wants it; and
/// refusals that only a person can lift are called what the phase is called.
fn answer(plan: &Plan, phase: Phase, kept: &[String]) -> String {
    match (plan, kept.len()) {
        (Plan::Settled, 1..) => {
            "settled: no slot is to be changed, and not all that the file says is carried out".into()
        }
        (Plan::Blocked(hazards), _) if phase == Phase::Stalled => format!("stalled: {hazards}"),
        _ => plan.to_string(),
    }
}

impl Status {
    /// The condition of that kind, e.g. `Ready`.
    pub fn condition(&self, kind: ConditionKind) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The number of members that count and are healthy, where the members could be asked.
    pub fn healthy_voters(&self) -> Option<usize> {
        let quorum = self.condition(ConditionKind::QuorumHealthy)?;
        let healthy = || self.slots.iter().filter(|slot| slot.counts_as_healthy()).count();
        (quorum.status != ConditionStatus::Unknown).then(healthy)
    }

    /// The step at which the replacement under way stands, if there is one.
    pub fn step(&self) -> Option<Step> {
        self.slots.iter().find_map(|slot| slot.step)
    }
}

fn is_rejected(hazard: &Hazard) -> bool {
    matches!(hazard, Hazard::GenerationRejected { .. })
}

fn phase(plan: &Plan, look: Option<&Look<'_>>) -> Phase {
    let claim = look.and_then(|look| look.record.held.as_ref());
    match plan {
        Plan::Settled => Phase::Settled,
        // The spec's generation failed: that is a stall, although gates say so.
        Plan::Blocked(blocked) if blocked.hazards.iter().any(is_rejected) => Phase::Stalled,
        Plan::Blocked(_) => Phase::Blocked,
        Plan::Stalled(_) => Phase::Stalled,
        Plan::Act(..) | Plan::Wait(_) => match claim {
            Some(claim) if claim.way == Way::Back || look.is_some_and(|look| has_failed(look, claim)) => {
                Phase::RollingBack
            }
            Some(claim) if claim.old().is_none() => Phase::Healing,
            Some(_) => Phase::Replacing,
            None if matches!(plan, Plan::Act(..)) => Phase::Reconciling,
            None => Phase::Waiting,
        },
    }
}

fn has_failed(look: &Look<'_>, claim: &Claim) -> bool {
    look.slot(&claim.slot).is_some_and(|slot| slot.rejected_here(&claim.generation))
}

fn slots(look: &Look<'_>) -> Vec<SlotStatus> {
    let claimed = look.record.held.as_ref().map(|claim| &claim.slot);
    let step = replacement::step(look);
    let report = |slot: &SlotLook<'_>| {
        let holder = slot.live().find(|instance| slot.all_on(look, &instance.id));
        let instance = holder.or_else(|| slot.live().max_by_key(|instance| instance.attempt()));
        let claimed = claimed == Some(&slot.spec.name);
        SlotStatus {
            slot: slot.spec.name.clone(),
            zone: slot.spec.zone.clone(),
            instance: instance.map(|instance| instance.id.clone()),
            state: instance.map(|instance| instance.state),
            image: instance.map(|instance| instance.make.image.clone()),
            current: holder.is_some_and(|holder| drifts(&look.make, slot.spec, holder).is_empty()),
            volumes: slot.present().map(|(_, volume)| volume.id.clone()).collect(),
            role: role(look, slot),
            health: slot.member.into(),
            claimed,
            step: step.filter(|_| claimed),
            rejected: slot.rejected_here(&look.generation),
            ahead: look.ahead.filter(|it| it.slot == slot.spec.name && it.state.is_live()).map(|it| it.id.clone()),
        }
    };
    look.slots.iter().map(report).collect()
}

fn role(look: &Look<'_>, slot: &SlotLook<'_>) -> Role {
    match slot.member {
        None => Role::Unknown,
        Some(member) if look.leads(&member.id) => Role::Leader,
        Some(member) if member.counts => Role::Voter,
        Some(_) => Role::NonVoter,
    }
}

fn hints(plan: &Plan, now: Timestamp) -> Vec<String> {
    match plan {
        Plan::Blocked(hazards) => hazards.hints(),
        Plan::Stalled(stalls) => stalls.hints(),
        Plan::Wait(waiting) => waiting.overdue(now).into_iter().collect(),
        Plan::Settled | Plan::Act(..) => Vec::new(),
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Settled => "settled",
            Self::Replacing => "replacing",
            Self::RollingBack => "rolling back",
            Self::Healing => "healing",
            Self::Reconciling => "reconciling",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Stalled => "stalled",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leader => "leader",
            Self::Voter => "voter",
            Self::NonVoter => "non-voter",
            Self::Unknown => "–",
        })
    }
}
