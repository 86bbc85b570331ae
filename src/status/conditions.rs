//! The conditions of a cluster, each a function of the plan and of what was seen.

use serde::Serialize;

use crate::action::{Action, CloudEffect, Effect};
use crate::observed::Observation;
use crate::plan::{Hazard, Look, Plan};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after, clock};

/// A named fact, in the manner of Kubernetes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub status: ConditionStatus,
    /// One CamelCase word; part of the interface.
    pub reason: String,
    pub message: String,
    /// The moment at which `status` last changed, as far as this reporter saw.
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

/// The answer to whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

/// The ground on which conditions are judged.
pub(super) struct Ground<'g, 'a> {
    pub(super) spec: &'a ClusterSpec,
    pub(super) seen: &'a Observation,
    pub(super) plan: &'g Plan,
    /// The look, if enough was seen for one.
    pub(super) look: Option<&'g Look<'a>>,
}

impl Ground<'_, '_> {
    /// Judges every condition.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        vec![
            self.ready(),
            self.reconciling(),
            self.stalled(),
            self.suspended(),
            self.quorum_healthy(),
            self.awaiting_approval(),
        ]
    }

    fn condition(&self, kind: ConditionKind, status: ConditionStatus, reason: &str, message: String) -> Condition {
        Condition { kind, status, reason: reason.to_owned(), message, last_transition: self.seen.now }
    }

    fn ready(&self) -> Condition {
        let (healthy, declared) = (self.healthy_voters(), self.spec.slots.len());
        let (status, reason, message) = match self.plan {
            Plan::Settled if healthy == Some(declared) => (ConditionStatus::True, "Settled", self.plan.to_string()),
            Plan::Settled => {
                let message = format!("{} of {declared} members are healthy voters", healthy.unwrap_or(0));
                (ConditionStatus::False, "MembersUnhealthy", message)
            }
            Plan::Act(..) | Plan::Wait(_) | Plan::Blocked(_) | Plan::Stalled(_) => {
                (ConditionStatus::False, reason(self.plan), self.plan.to_string())
            }
        };
        self.condition(ConditionKind::Ready, status, reason, message)
    }

    fn reconciling(&self) -> Condition {
        let status = match self.plan {
            Plan::Act(..) | Plan::Wait(_) => ConditionStatus::True,
            Plan::Settled | Plan::Blocked(_) | Plan::Stalled(_) => ConditionStatus::False,
        };
        self.condition(ConditionKind::Reconciling, status, reason(self.plan), self.plan.to_string())
    }

    fn stalled(&self) -> Condition {
        let needs_person = |hazard: &Hazard| matches!(hazard, Hazard::GenerationRejected { .. });
        let stalled = |reason, message| self.condition(ConditionKind::Stalled, ConditionStatus::True, reason, message);
        let not_stalled =
            || self.condition(ConditionKind::Stalled, ConditionStatus::False, "NotStalled", String::new());
        match self.plan {
            Plan::Stalled(stall) => stalled(stall.reason(), self.plan.to_string()),
            Plan::Blocked(blocked) if blocked.hazards.iter().any(needs_person) => {
                stalled("GenerationRejected", self.plan.to_string())
            }
            Plan::Act(action, _) => self.due_since(action).map_or_else(not_stalled, |since| {
                let since = clock(since);
                stalled("Overdue", format!("due since {since}, and nothing came of it: the controller's log says why"))
            }),
            Plan::Settled | Plan::Wait(_) | Plan::Blocked(_) => not_stalled(),
        }
    }

    /// Finds since when a step of the claimed slot has been due, if for longer than its member may take to come back. Whoever
    /// looks without having followed the cluster learns of no refusal, and sees only that nothing has changed since.
    fn due_since(&self, action: &Action) -> Option<Timestamp> {
        let Effect::Cloud(
            CloudEffect::Launch(_)
            | CloudEffect::Start { .. }
            | CloudEffect::Snapshot { .. }
            | CloudEffect::Detach { .. }
            | CloudEffect::Attach { .. },
        ) = &action.effect
        else {
            return None;
        };
        let look = self.look?;
        let claim = look.record.held.as_ref().filter(|claim| Some(&claim.slot) == action.slot.as_ref())?;
        let slot = look.slot(&claim.slot)?;
        let changes = slot.instances.iter().flat_map(|instance| {
            [Some(instance.state_since), Some(instance.launched_at), slot.given_since(&instance.id)]
        });
        let since = changes.flatten().chain([claim.since]).max()?;
        (self.seen.now >= after(since, self.spec.rollout.join_deadline)).then_some(since)
    }

    fn suspended(&self) -> Condition {
        let (status, reason) = if self.spec.freeze {
            (ConditionStatus::True, "Frozen")
        } else if self.spec.suspend {
            (ConditionStatus::True, "Suspended")
        } else {
            (ConditionStatus::False, "NotSuspended")
        };
        let message = self.spec.reason.clone().filter(|_| status == ConditionStatus::True);
        self.condition(ConditionKind::Suspended, status, reason, message.unwrap_or_default())
    }

    fn quorum_healthy(&self) -> Condition {
        let kind = ConditionKind::QuorumHealthy;
        let asked = self.look.and_then(|look| look.membership).and_then(|_| self.healthy_voters());
        let Some(healthy) = asked else {
            let message = "the members could not be asked".to_owned();
            return self.condition(kind, ConditionStatus::Unknown, "NotKnown", message);
        };
        let (needed, declared) = (self.spec.needed(), self.spec.slots.len());
        let message = format!("{healthy} healthy voters of {declared} declared; quorum is {needed}");
        let (status, reason) =
            if healthy >= needed { (ConditionStatus::True, "Quorum") } else { (ConditionStatus::False, "NoQuorum") };
        self.condition(kind, status, reason, message)
    }

    fn awaiting_approval(&self) -> Condition {
        let kind = ConditionKind::AwaitingApproval;
        let hazards = match self.plan {
            Plan::Blocked(blocked) => blocked.hazards.as_slice(),
            Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Stalled(_) => &[],
        };
        match hazards.iter().find(|hazard| matches!(hazard, Hazard::ApprovalRequired { .. })) {
            Some(hazard) => self.condition(kind, ConditionStatus::True, "ApprovalRequired", hazard.to_string()),
            None => self.condition(kind, ConditionStatus::False, "NotNeeded", String::new()),
        }
    }

    fn healthy_voters(&self) -> Option<usize> {
        self.look.map(|look| look.slots.iter().filter(|slot| slot.counts_as_healthy()).count())
    }
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
