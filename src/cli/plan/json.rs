//! A plan as it is published: the one shape that every rendering is made from.
//!
//! `formatVersion` is `major.minor`. Minor versions add fields; a major one may change or drop them, and a reader
//! refuses a major version that it does not know. Spans are whole seconds, instants are RFC 3339 in UTC.

use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;

use crate::observed::Observation;
use crate::plan::forecast::{Forecast, Reason, SlotForecast, forecast};
use crate::plan::{Hazard, Look, Plan, approval, plan};
use crate::spec::ClusterSpec;

/// The version of this shape.
pub const FORMAT_VERSION: &str = "1.0";

/// What `plan -o json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "hermitcrab plan")]
pub struct Document {
    /// `major.minor`: minor versions add fields, a major one may change or drop them.
    pub format_version: String,
    /// One for each cluster, in the order of their files.
    pub plans: Vec<ClusterPlan>,
}

/// What is to be done with one cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPlan {
    /// Changes when the spec changes, or a fact that matters to its rollout; an approval is given to it. None where the
    /// world could not be seen.
    pub plan_id: Option<String>,
    /// The cluster's name.
    pub cluster: String,
    /// The folder of its file, e.g. `prod`.
    pub environment: String,
    /// The AWS region.
    pub region: String,
    /// The AWS account, where the file names one.
    pub account: Option<String>,
    /// The moment that all of this was true of.
    pub at: String,
    /// The world could be seen; where it could not, nothing is known to be left to do.
    pub seen: bool,
    /// The desired image.
    pub image: String,
    /// What the next pass does.
    pub next: Next,
    /// The plan that has to be approved before the next slot, if one has to be and is not.
    pub approval_needed: Option<String>,
    /// Every reason why the next pass does not act, where it is blocked.
    pub hazards: Vec<HazardReport>,
    /// What is to be done, slot by slot in this order.
    pub slots: Vec<SlotPlan>,
    /// All of it together.
    pub totals: Totals,
}

/// What the next pass does.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// Which of the five answers it is.
    pub answer: Answer,
    /// The slot that it is about, where it is about one.
    pub slot: Option<String>,
    /// The name of the action, where it acts.
    pub action: Option<String>,
    /// The answer in words.
    pub text: String,
    /// What a person can do, where a person must act.
    pub hint: Option<String>,
}

/// The planner's five answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Nothing differs.
    Settled,
    /// One change is made.
    Act,
    /// Something finishes by itself.
    Wait,
    /// Unsafe or not allowed now; may clear.
    Blocked,
    /// A human must act.
    Stalled,
}

/// A gate's reason not to act.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HazardReport {
    /// The gate's stable name.
    pub gate: String,
    /// The reason.
    pub message: String,
    /// What a person can do about it, where there is something.
    pub hint: Option<String>,
}

/// What is to be done for one slot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotPlan {
    /// The slot.
    pub slot: String,
    /// Its zone.
    pub zone: String,
    /// Why it is done, and why now.
    pub reason: ReasonReport,
    /// What is there now.
    pub from: Shell,
    /// What will be there. The instance has an id only once it is launched.
    pub to: Shell,
    /// Where the slot's volumes go.
    pub volumes: Vec<VolumeMove>,
    /// Healthy voters, and how many are needed.
    pub quorum: QuorumReport,
    /// In this order.
    pub steps: Vec<StepReport>,
    /// About how long the member is down.
    pub member_down_seconds: u64,
    /// About how long all steps take.
    pub takes_seconds: u64,
    /// Mutating EC2 calls.
    pub ec2_calls: usize,
}

/// Why something is done to a slot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReasonReport {
    /// What kind of reason it is.
    pub kind: ReasonKind,
    /// The slot's place in the order, where it is outdated.
    pub rank: Option<String>,
    /// In what its instance differs from the spec.
    pub drifts: Vec<DriftReport>,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// Its replacement has begun.
    UnderWay,
    /// It has lost its instance, or never had one.
    Empty,
    /// Its instance differs from the spec.
    Outdated,
}

/// A difference.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftReport {
    /// What differs.
    pub field: String,
    /// What it is.
    pub from: String,
    /// What the spec wants.
    pub to: String,
}

/// An instance, by what matters here.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shell {
    /// Its id.
    pub instance: Option<String>,
    /// Its image.
    pub image: Option<String>,
}

/// Where a volume goes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMove {
    /// Its name within the slot.
    pub name: String,
    /// Its id; none for one that is still to be made.
    pub volume: Option<String>,
    /// The instance that it leaves.
    pub from: Option<String>,
    /// The instance that it comes to, once that is launched.
    pub to: Option<String>,
}

/// Healthy voters.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuorumReport {
    pub before: usize,
    /// While the member is down.
    pub during: usize,
    pub after: usize,
    /// Of the declared number.
    pub needed: usize,
    pub declared: usize,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// Unique within the plan: slot, place and action.
    pub id: String,
    /// The name of the action.
    pub action: String,
    /// It cannot be undone.
    pub destructive: bool,
    /// About how long, with what is waited for before the next one (or, at `retire` and `settle`, before it: the bake time).
    pub takes_seconds: u64,
    /// The member is down meanwhile.
    pub member_down: bool,
    /// Healthy voters meanwhile.
    pub healthy_voters: usize,
}

/// All slots together.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Slots to which something is done.
    pub slots: usize,
    /// Slots that the spec declares.
    pub declared_slots: usize,
    /// About how long it takes, one slot after the other.
    pub takes_seconds: u64,
    /// Mutating EC2 calls.
    pub ec2_calls: usize,
    /// Instances that are terminated.
    pub instances_terminated: Vec<String>,
    /// Data volumes that are deleted: always 0.
    pub volumes_deleted: usize,
}

/// The JSON schema of what is published.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft07().for_serialize().into_generator().into_root_schema_for::<Document>().to_value()
}

impl Document {
    /// The plans of some clusters.
    pub fn new(plans: Vec<ClusterPlan>) -> Self {
        Self { format_version: FORMAT_VERSION.to_owned(), plans }
    }

    /// Whether anything is to be done to any slot.
    pub fn has_changes(&self) -> bool {
        self.plans.iter().any(|plan| !plan.slots.is_empty())
    }
}

impl ClusterPlan {
    /// Plans and forecasts, once.
    pub fn new(spec: &ClusterSpec, seen: &Observation) -> Self {
        let answer = plan(spec, seen);
        let look = Look::at(spec, seen).look();
        let to_come = look.as_ref().map(forecast).unwrap_or_default();
        let hazards = match &answer {
            Plan::Blocked(blocked) => blocked.hazards.iter().map(HazardReport::new).collect(),
            Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Stalled(_) => Vec::new(),
        };
        let asked_for = look.as_ref().and_then(|look| next_approval(look, &to_come));
        let plan_id = asked_for.clone().or_else(|| Some(approval::plan_id(look.as_ref()?, "rest")));
        Self {
            plan_id: plan_id.map(|id| id.to_string()),
            cluster: spec.name.to_string(),
            environment: spec.environment.clone(),
            region: spec.region.clone(),
            account: spec.account.clone(),
            at: seen.now.to_string(),
            seen: look.is_some(),
            image: spec.image.to_string(),
            next: Next::new(&answer),
            approval_needed: asked_for.filter(|id| spec.rollout.approved.as_ref() != Some(id)).map(|id| id.to_string()),
            hazards,
            totals: Totals::new(&to_come, spec.slots.len()),
            slots: to_come.slots.into_iter().map(SlotPlan::new).collect(),
        }
    }
}

/// The approval that the first outdated slot would need.
fn next_approval(look: &Look<'_>, to_come: &Forecast) -> Option<crate::ids::PlanId> {
    let outdated = |slot: &&SlotForecast| matches!(slot.reason, Reason::Outdated { .. });
    let next = to_come.slots.iter().find(outdated)?;
    approval::needed(look, look.slot(&next.slot)?)
}

impl Next {
    /// The answer in words.
    pub fn new(plan: &Plan) -> Self {
        let text = match plan {
            // What it is called is said beside it.
            Plan::Settled => "every slot is as the spec wants it".to_owned(),
            Plan::Act(action, why) => format!("{action} ({why})"),
            Plan::Wait(waiting) => waiting.to_string(),
            Plan::Blocked(hazards) => hazards.to_string(),
            Plan::Stalled(stall) => stall.to_string(),
        };
        let (answer, slot, action, hint) = match plan {
            Plan::Settled => (Answer::Settled, None, None, None),
            Plan::Act(action, _) => (Answer::Act, action.slot.as_ref(), Some(action.effect.name()), None),
            Plan::Wait(waiting) => (Answer::Wait, waiting.slot.as_ref(), None, None),
            Plan::Blocked(hazards) => (Answer::Blocked, hazards.slot.as_ref(), None, None),
            Plan::Stalled(stall) => (Answer::Stalled, None, None, Some(stall.hint())),
        };
        Self { answer, slot: slot.map(ToString::to_string), action: action.map(str::to_owned), text, hint }
    }
}

impl HazardReport {
    /// A hazard in words.
    pub fn new(hazard: &Hazard) -> Self {
        Self { gate: hazard.gate().to_string(), message: hazard.to_string(), hint: hazard.hint() }
    }
}

impl SlotPlan {
    fn new(slot: SlotForecast) -> Self {
        let (old, new) = (slot.old.as_ref().map(ToString::to_string), slot.new.as_ref().map(ToString::to_string));
        let volumes = slot.volumes.iter().map(|(name, volume)| VolumeMove {
            name: name.to_string(),
            volume: volume.as_ref().map(ToString::to_string),
            from: old.clone(),
            to: new.clone(),
        });
        let (volumes, steps) = (volumes.collect(), steps(&slot));
        let quorum = slot.quorum;
        Self {
            slot: slot.slot.to_string(),
            zone: slot.zone.to_string(),
            volumes,
            steps,
            from: Shell { instance: old, image: slot.from.map(|image| image.to_string()) },
            to: Shell { instance: new, image: Some(slot.to.to_string()) },
            reason: ReasonReport::new(slot.reason),
            quorum: QuorumReport {
                before: quorum.before,
                during: quorum.during,
                after: quorum.after,
                needed: quorum.needed,
                declared: quorum.declared,
            },
            member_down_seconds: seconds(slot.member_down),
            takes_seconds: seconds(slot.total),
            ec2_calls: slot.calls,
        }
    }
}

fn steps(slot: &SlotForecast) -> Vec<StepReport> {
    let last_down = slot.steps.iter().rposition(|step| step.down);
    let voters = |index: usize, down: bool| match (down, last_down) {
        (true, _) => slot.quorum.during,
        (false, Some(last)) if index > last => slot.quorum.after,
        (false, _) => slot.quorum.before,
    };
    let report = |(index, step): (usize, &crate::plan::steps::TimedStep)| StepReport {
        id: format!("{}/{}-{}", slot.slot, index + 1, step.step),
        action: step.step.to_string(),
        destructive: step.step.is_destructive(),
        takes_seconds: seconds(step.takes),
        member_down: step.down,
        healthy_voters: voters(index, step.down),
    };
    slot.steps.iter().enumerate().map(report).collect()
}

impl ReasonReport {
    fn new(reason: Reason) -> Self {
        let (kind, rank, drifts) = match reason {
            Reason::UnderWay => (ReasonKind::UnderWay, None, Vec::new()),
            Reason::Empty => (ReasonKind::Empty, None, Vec::new()),
            Reason::Outdated { rank, drifts } => (ReasonKind::Outdated, Some(rank.to_string()), drifts),
        };
        let report = |drift: crate::make::Drift| DriftReport {
            field: drift.field.to_string(),
            from: drift.is,
            to: drift.wanted,
        };
        Self { kind, rank, drifts: drifts.into_iter().map(report).collect() }
    }
}

impl Totals {
    fn new(to_come: &Forecast, declared: usize) -> Self {
        Self {
            slots: to_come.slots.len(),
            declared_slots: declared,
            takes_seconds: seconds(to_come.total),
            ec2_calls: to_come.calls,
            instances_terminated: to_come
                .slots
                .iter()
                .filter_map(|slot| Some(slot.old.as_ref()?.to_string()))
                .collect(),
            volumes_deleted: 0,
        }
    }
}

fn seconds(span: Duration) -> u64 {
    span.as_secs()
}
