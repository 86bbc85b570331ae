//! The conditions of a cluster, each a function of the plan and of what was seen.

use schemars::JsonSchema;
use serde::Serialize;

use crate::action::{Action, CloudEffect, Effect};
use crate::observed::Observation;
use crate::plan::gates::GateName;
use crate::plan::{Hazard, Hazards, Look, Plan, select};
use crate::revision::{Reason, Standing};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after, clock};

/// A named fact, in the manner of Kubernetes.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub status: ConditionStatus,
    /// One CamelCase word; part of the interface.
    pub reason: String,
    pub message: String,
    /// The moment at which `status` last changed; none as long as this reporter has not seen it change.
    pub last_transition: Option<Timestamp>,
}

/// The conditions that a status reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Some slot's instance differs from the spec, or some edit of the file is not carried out.
    Drifted,
    /// The latest look at the source of desired state went well. Only where the source has revisions.
    SourceReady,
    /// The revision in force is signed by somebody who is allowed to. Only where signatures are asked for.
    SourceVerified,
}

impl ConditionKind {
    /// The word for it, e.g. `QuorumHealthy`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Suspended => "Suspended",
            Self::QuorumHealthy => "QuorumHealthy",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Drifted => "Drifted",
            Self::SourceReady => "SourceReady",
            Self::SourceVerified => "SourceVerified",
        }
    }
}

/// The answer to whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl ConditionStatus {
    /// The word for it, e.g. `True`.
    pub fn word(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The ground on which conditions are judged.
pub(super) struct Ground<'g, 'a> {
    pub(super) spec: &'a ClusterSpec,
    pub(super) seen: &'a Observation,
    pub(super) plan: &'g Plan,
    /// The plan's answer in words.
    pub(super) answer: &'g str,
    /// The look, if enough was seen for one.
    pub(super) look: Option<&'g Look<'a>>,
    /// Everything that stands before the next slot.
    pub(super) refusals: Option<&'g Hazards>,
    /// The edits of the file that are not carried out, one sentence each.
    pub(super) kept: &'g [String],
}

impl Ground<'_, '_> {
    /// Judges every condition.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let always = [
            self.ready(),
            self.reconciling(),
            self.stalled(),
            self.suspended(),
            self.quorum_healthy(),
            self.awaiting_approval(),
            self.drifted(),
        ];
        let standing = self.seen.source.as_deref();
        let verified = standing.filter(|standing| standing.verifies).map(|standing| self.source_verified(standing));
        let ready = standing.map(|standing| self.source_ready(standing));
        always.into_iter().chain(ready).chain(verified).collect()
    }

    fn condition(&self, kind: ConditionKind, status: ConditionStatus, reason: &str, message: String) -> Condition {
        Condition { kind, status, reason: reason.to_owned(), message, last_transition: None }
    }

    fn ready(&self) -> Condition {
        let (healthy, declared) = (self.healthy_voters(), self.spec.slots.len());
        let trouble = self.seen.source.as_deref().and_then(Standing::lasting_trouble);
        let (status, reason, message) = match (self.plan, trouble) {
            _ if self.look.is_none() => (ConditionStatus::Unknown, NOT_SEEN.to_owned(), self.plan.to_string()),
            (Plan::Settled, Some(trouble)) => {
                (ConditionStatus::False, SOURCE_NOT_READY.to_owned(), trouble.to_string())
            }
            (Plan::Settled, None) if healthy == Some(declared) => {
                (ConditionStatus::True, "Settled".to_owned(), self.plan.to_string())
            }
            (Plan::Settled, None) => {
                let message = format!("{} of {declared} members are healthy voters", healthy.unwrap_or(0));
                (ConditionStatus::False, "MembersUnhealthy".to_owned(), message)
            }
            (Plan::Act(..) | Plan::Wait(_) | Plan::Blocked(_) | Plan::Stalled(_), _) => {
                (ConditionStatus::False, reason(self.plan), self.answer.to_owned())
            }
        };
        self.condition(ConditionKind::Ready, status, &reason, message)
    }

    fn reconciling(&self) -> Condition {
        let status = match self.plan {
            Plan::Act(..) | Plan::Wait(_) => ConditionStatus::True,
            Plan::Settled | Plan::Blocked(_) | Plan::Stalled(_) => ConditionStatus::False,
        };
        self.condition(ConditionKind::Reconciling, status, &reason(self.plan), self.answer.to_owned())
    }

    fn stalled(&self) -> Condition {
        let needs_person = |hazard: &Hazard| matches!(hazard, Hazard::GenerationRejected { .. });
        let because = |reason, message| self.condition(ConditionKind::Stalled, ConditionStatus::True, reason, message);
        let stalled = |reason| because(reason, self.answer.to_owned());
        let not_stalled =
            || self.condition(ConditionKind::Stalled, ConditionStatus::False, "NotStalled", String::new());
        match self.plan {
            _ if self.look.is_none() => {
                let message = "nothing could be seen".to_owned();
                self.condition(ConditionKind::Stalled, ConditionStatus::Unknown, NOT_SEEN, message)
            }
            Plan::Stalled(stalls) => stalled(stalls.stall.reason()),
            Plan::Blocked(blocked) if let Some(stall) = blocked.beside.first() => stalled(stall.reason()),
            Plan::Blocked(blocked) if blocked.hazards.iter().any(needs_person) => stalled("GenerationRejected"),
            Plan::Act(action, _) => self.due_since(action).map_or_else(not_stalled, |since| {
                let since = clock(since);
                because("Overdue", format!("due since {since}, and nothing came of it: the controller's log says why"))
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
        let because = self.spec.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let suspended = |reason, message: String| {
            self.condition(ConditionKind::Suspended, ConditionStatus::True, reason, message + &because)
        };
        let claimed = self.look.and_then(|look| look.record.held.as_ref()).map(|claim| &claim.slot);
        match (self.spec.freeze, self.spec.suspend, claimed) {
            (true, _, None) => suspended("Frozen", "nothing at all is done".to_owned()),
            (true, _, Some(slot)) => {
                suspended("Frozen", format!("nothing at all is done; the replacement of {slot} stands where it is"))
            }
            (false, true, None) => suspended("Suspended", "no upgrade is begun; healing goes on".to_owned()),
            (false, true, Some(slot)) => {
                suspended("Suspended", format!("the replacement of {slot} is finished, and no other is begun"))
            }
            (false, false, _) => {
                self.condition(ConditionKind::Suspended, ConditionStatus::False, "NotSuspended", String::new())
            }
        }
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
        let hazards = self.refusals.map(|refusals| refusals.hazards.as_slice()).unwrap_or_default();
        match hazards.iter().find(|hazard| matches!(hazard, Hazard::ApprovalRequired { .. })) {
            Some(hazard) => self.condition(kind, ConditionStatus::True, "ApprovalRequired", hazard.to_string()),
            None => self.condition(kind, ConditionStatus::False, "NotNeeded", String::new()),
        }
    }

    fn drifted(&self) -> Condition {
        let kind = ConditionKind::Drifted;
        let Some(look) = self.look else {
            return self.condition(kind, ConditionStatus::Unknown, NOT_SEEN, "nothing could be seen".to_owned());
        };
        let outdated = select::order(look).len();
        match (outdated, self.kept.len()) {
            (0, 0) => self.condition(kind, ConditionStatus::False, "AsDeclared", String::new()),
            (0, kept) => {
                self.condition(kind, ConditionStatus::True, "NotCarriedOut", format!("not carried out: {kept}"))
            }
            (outdated, _) => {
                let message = format!("{outdated} of {} slots are to be replaced", look.slots.len());
                self.condition(kind, ConditionStatus::True, "Outdated", message)
            }
        }
    }

    fn source_ready(&self, standing: &Standing) -> Condition {
        let kind = ConditionKind::SourceReady;
        match (&standing.trouble, &standing.revision) {
            (Some(trouble), _) => {
                self.condition(kind, ConditionStatus::False, trouble.reason.word(), trouble.message.clone())
            }
            (None, Some(revision)) => self.condition(kind, ConditionStatus::True, "Fetched", revision.to_string()),
            (None, None) => self.condition(kind, ConditionStatus::Unknown, "NotFetched", String::new()),
        }
    }

    fn source_verified(&self, standing: &Standing) -> Condition {
        let kind = ConditionKind::SourceVerified;
        let refused = standing.trouble.as_ref().filter(|trouble| trouble.reason == Reason::NotVerified);
        let signer = standing.revision.as_ref().and_then(|revision| Some((revision, revision.verified_by.as_ref()?)));
        match (refused, signer) {
            (Some(trouble), _) => {
                self.condition(kind, ConditionStatus::False, trouble.reason.word(), trouble.message.clone())
            }
            (None, Some((revision, signer))) => {
                let message = format!("{} is signed by {signer}", revision.short());
                self.condition(kind, ConditionStatus::True, "Verified", message)
            }
            (None, None) => self.condition(kind, ConditionStatus::Unknown, "NotFetched", String::new()),
        }
    }

    fn healthy_voters(&self) -> Option<usize> {
        self.look.map(|look| look.slots.iter().filter(|slot| slot.counts_as_healthy()).count())
    }
}

/// The reason for what is not known because nothing could be seen.
const NOT_SEEN: &str = "NotSeen";

/// The reason why a settled cluster is not ready: what is newer than the revision in force is not known.
pub const SOURCE_NOT_READY: &str = "SourceNotReady";

/// The plan's answer in one CamelCase word: for a plan that is blocked, the gate that refuses; of several one that takes a
/// person.
fn reason(plan: &Plan) -> String {
    match plan {
        Plan::Settled => "Settled".to_owned(),
        Plan::Act(..) => "Acting".to_owned(),
        Plan::Wait(_) => "Waiting".to_owned(),
        Plan::Blocked(blocked) => {
            let refusal = blocked.hazards.iter().find(|hazard| hazard.takes_person()).or(blocked.hazards.first());
            match refusal {
                Some(Hazard::Unread { .. }) => NOT_SEEN.to_owned(),
                Some(hazard) => camel_case(hazard.gate()),
                None => "Blocked".to_owned(),
            }
        }
        Plan::Stalled(stalls) => stalls.stall.reason().to_owned(),
    }
}

/// A gate's name as one word, e.g. `OutsideWindow`.
fn camel_case(gate: GateName) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    gate.as_str().split('-').map(capital).collect()
}
