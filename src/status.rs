//! What the controller reports of a cluster: conditions, phase, slots, progress. Pure, like the plan.

use std::fmt;

use serde::Serialize;

use crate::ids::{ClusterName, Generation, ImageId, InstanceId, SlotName, VolumeId, Zone};
use crate::observed::{Health, InstanceState, Observation};
use crate::plan::drift::drifts;
use crate::plan::{Hazard, Look, Plan, group};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

/// One cluster as reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub cluster: ClusterName,
    pub environment: String,
    /// The moment that all of this was true of.
    pub at: Timestamp,
    pub phase: Phase,
    /// What the spec wants.
    pub image: ImageId,
    pub generation: Generation,
    pub progress: Progress,
    pub slots: Vec<SlotStatus>,
    pub conditions: Vec<Condition>,
    /// The plan's answer in words.
    pub answer: String,
    /// What a person can do, where there is something.
    pub hints: Vec<String>,
    /// Resources that bear the cluster's tag and no declared slot's, and instances that the adopted group launched and
    /// that no slot needs. Nothing is done to them.
    pub orphans: Vec<String>,
}

/// Derived from the plan, for display only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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

/// How far a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub updated: usize,
    pub total: usize,
}

/// One slot as reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotStatus {
    pub slot: SlotName,
    pub zone: Zone,
    /// The instance that has the volumes, or failing that the newest live one.
    pub instance: Option<InstanceId>,
    pub state: Option<InstanceState>,
    pub image: Option<ImageId>,
    /// It is what the spec wants.
    pub current: bool,
    pub volumes: Vec<VolumeId>,
    pub role: Role,
    pub health: String,
    /// The slot is claimed: its replacement is under way.
    pub claimed: bool,
    /// The spec's generation failed here.
    pub rejected: bool,
}

impl SlotStatus {
    /// Whether its member counts towards the quorum.
    pub fn is_healthy_voter(&self) -> bool {
        matches!(self.role, Role::Leader | Role::Voter) && self.health == "healthy"
    }
}

/// A member's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Leader,
    Voter,
    NonVoter,
    Unknown,
}

/// A named fact, in the manner of Kubernetes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub status: Truth,
    /// One CamelCase word; part of the interface.
    pub reason: String,
    pub message: String,
    /// When `status` last changed, as far as this reporter saw.
    pub last_transition: Timestamp,
}

/// The conditions that a status reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ConditionKind {
    /// The world is as the spec wants it, and every member is a healthy voter.
    Ready,
    /// Something is being done, or waited for.
    Reconciling,
    /// A person must act.
    Stalled,
    /// Upgrades are suspended, or everything is frozen.
    Suspended,
    /// Healthy voters are a quorum of the declared number.
    QuorumHealthy,
    /// Somebody has to agree.
    AwaitingApproval,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// Reports a cluster; `previous` dates the conditions that have not changed.
pub fn status(spec: &ClusterSpec, seen: &Observation, plan: &Plan, previous: Option<&Status>) -> Status {
    let look = Look::at(spec, seen).clear();
    let slots: Vec<_> = look.as_ref().map(|look| slots(look)).unwrap_or_default();
    let progress = Progress { updated: slots.iter().filter(|slot| slot.current).count(), total: spec.slots.len() };
    let mut conditions = conditions(spec, seen, plan, look.as_ref());
    for condition in &mut conditions {
        let before = previous.and_then(|p| p.conditions.iter().find(|before| before.kind == condition.kind));
        if let Some(before) = before.filter(|before| before.status == condition.status) {
            condition.last_transition = before.last_transition;
        }
    }
    Status {
        cluster: spec.name.clone(),
        environment: spec.environment.clone(),
        at: seen.now,
        phase: phase(plan, look.as_ref()),
        image: spec.image.clone(),
        generation: spec.generation(),
        progress,
        slots,
        conditions,
        answer: plan.to_string(),
        hints: hints(plan),
        orphans: look.as_ref().map(|look| orphans(look)).unwrap_or_default(),
    }
}

impl Status {
    /// The condition of that kind.
    pub fn condition(&self, kind: ConditionKind) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

fn phase(plan: &Plan, look: Option<&Look<'_>>) -> Phase {
    let claim = look.and_then(|look| look.record.held.as_ref());
    match plan {
        Plan::Settled => Phase::Settled,
        Plan::Blocked(_) => Phase::Blocked,
        Plan::Stalled(_) => Phase::Stalled,
        Plan::Act(..) | Plan::Wait(_) => match claim {
            Some(claim) if look.and_then(|l| l.slot(&claim.slot)).is_some_and(|s| s.rejected(&claim.generation)) => {
                Phase::RollingBack
            }
            Some(claim) if claim.old.is_none() => Phase::Healing,
            Some(_) => Phase::Replacing,
            None if matches!(plan, Plan::Act(..)) => Phase::Reconciling,
            None => Phase::Waiting,
        },
    }
}

fn slots(look: &Look<'_>) -> Vec<SlotStatus> {
    look.slots
        .iter()
        .map(|slot| {
            let holder = slot.live().find(|instance| slot.all_on(look, &instance.id));
            let instance = holder.or_else(|| slot.live().max_by_key(|instance| instance.attempt));
            let role = match slot.member {
                None => Role::Unknown,
                Some(member) if look.leads(&member.id) => Role::Leader,
                Some(member) if member.voter => Role::Voter,
                Some(_) => Role::NonVoter,
            };
            let health = match slot.member.map(|member| &member.health) {
                None => "no member".to_owned(),
                Some(Health::Healthy) => "healthy".to_owned(),
                Some(Health::Unhealthy(why)) => format!("unhealthy: {why}"),
                Some(Health::Unknown(why)) => format!("unknown: {why}"),
            };
            SlotStatus {
                slot: slot.spec.name.clone(),
                zone: slot.spec.zone.clone(),
                instance: instance.map(|instance| instance.id.clone()),
                state: instance.map(|instance| instance.state),
                image: instance.map(|instance| instance.image.clone()),
                current: holder.is_some_and(|holder| drifts(look.spec, slot.spec, holder).is_empty()),
                volumes: slot.present().map(|(_, volume)| volume.id.clone()).collect(),
                role,
                health,
                claimed: look.record.held.as_ref().is_some_and(|claim| claim.slot == slot.spec.name),
                rejected: slot.rejected(&look.generation),
            }
        })
        .collect()
}

fn orphans(look: &Look<'_>) -> Vec<String> {
    let undeclared = |slot: &SlotName| look.slot(slot).is_none();
    let instances = look.cloud.live_instances().filter(|instance| undeclared(&instance.slot));
    let volumes = look.cloud.volumes.iter().filter(|volume| undeclared(&volume.slot));
    let strays = group::strays(look).map(|recruit| recruit.id.to_string());
    let instances = instances.map(|instance| instance.id.to_string());
    instances.chain(volumes.map(|volume| volume.id.to_string())).chain(strays).collect()
}

fn hints(plan: &Plan) -> Vec<String> {
    match plan {
        Plan::Blocked(hazards) => hazards.hazards.iter().filter_map(Hazard::hint).collect(),
        Plan::Stalled(stall) => vec![stall.hint()],
        Plan::Settled | Plan::Act(..) | Plan::Wait(_) => Vec::new(),
    }
}

fn conditions(spec: &ClusterSpec, seen: &Observation, plan: &Plan, look: Option<&Look<'_>>) -> Vec<Condition> {
    let condition = |kind, status, reason: &str, message: String| Condition {
        kind,
        status,
        reason: reason.to_owned(),
        message,
        last_transition: seen.now,
    };
    let answer = plan.to_string();
    let (needed, healthy) =
        (spec.quorum(), look.map(|look| look.slots.iter().filter(|slot| slot.is_healthy_voter()).count()));
    let all_healthy = healthy == Some(spec.slots.len());
    let ready = match plan {
        Plan::Settled if all_healthy => condition(ConditionKind::Ready, Truth::True, "Settled", answer.clone()),
        Plan::Settled => {
            let message = format!("{} of {} members are healthy voters", healthy.unwrap_or(0), spec.slots.len());
            condition(ConditionKind::Ready, Truth::False, "MembersUnhealthy", message)
        }
        Plan::Act(..) | Plan::Wait(_) | Plan::Blocked(_) | Plan::Stalled(_) => {
            condition(ConditionKind::Ready, Truth::False, reason(plan), answer.clone())
        }
    };
    let reconciling = match plan {
        Plan::Act(..) | Plan::Wait(_) => Truth::True,
        Plan::Settled | Plan::Blocked(_) | Plan::Stalled(_) => Truth::False,
    };
    let needs_person = |hazard: &Hazard| matches!(hazard, Hazard::GenerationRejected { .. });
    let (stalled, why) = match plan {
        Plan::Stalled(stall) => (Truth::True, stall.reason()),
        Plan::Blocked(blocked) if blocked.hazards.iter().any(needs_person) => (Truth::True, "GenerationRejected"),
        Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Blocked(_) => (Truth::False, "NotStalled"),
    };
    let (suspended, switch) = match (spec.freeze, spec.suspend) {
        (true, _) => (Truth::True, "Frozen"),
        (false, true) => (Truth::True, "Suspended"),
        (false, false) => (Truth::False, "NotSuspended"),
    };
    let quorum = match (look.and_then(|look| look.membership), healthy) {
        (Some(_), Some(healthy)) => {
            let message = format!("{healthy} healthy voters of {} declared; quorum is {needed}", spec.slots.len());
            let truth = if healthy >= needed { Truth::True } else { Truth::False };
            condition(
                ConditionKind::QuorumHealthy,
                truth,
                if healthy >= needed { "Quorum" } else { "NoQuorum" },
                message,
            )
        }
        _ => {
            let message = "the members could not be asked".to_owned();
            condition(ConditionKind::QuorumHealthy, Truth::Unknown, "NotKnown", message)
        }
    };
    let approval = match plan {
        Plan::Blocked(blocked) => blocked.hazards.iter().find(|h| matches!(h, Hazard::ApprovalRequired { .. })),
        Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Stalled(_) => None,
    };
    let awaiting = match approval {
        Some(hazard) => condition(ConditionKind::AwaitingApproval, Truth::True, "ApprovalRequired", hazard.to_string()),
        None => condition(ConditionKind::AwaitingApproval, Truth::False, "NotNeeded", String::new()),
    };
    vec![
        ready,
        condition(ConditionKind::Reconciling, reconciling, reason(plan), answer.clone()),
        condition(ConditionKind::Stalled, stalled, why, if stalled == Truth::True { answer } else { String::new() }),
        condition(ConditionKind::Suspended, suspended, switch, String::new()),
        quorum,
        awaiting,
    ]
}

/// The plan's answer in one CamelCase word.
fn reason(plan: &Plan) -> &str {
    match plan {
        Plan::Settled => "Settled",
        Plan::Act(..) => "Acting",
        Plan::Wait(_) => "Waiting",
        Plan::Blocked(_) => "Blocked",
        Plan::Stalled(stall) => stall.reason(),
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
