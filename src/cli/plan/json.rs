//! A plan as it is published: the one shape that every rendering is made from.
//!
//! `formatVersion` is `major.minor`. Minor versions add fields; a major one may change or drop them, and a reader
//! refuses a major version that it does not know. Spans are whole seconds, instants are RFC 3339 in UTC.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;

mod fill;

/// The version of this shape.
pub const FORMAT_VERSION: &str = "1.5";

/// The document that `plan -o json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "hermitcrab plan")]
pub struct Document {
    /// `major.minor`: minor versions add fields, a major one may change or drop them.
    pub format_version: String,
    /// One for each cluster, in the order of their files.
    pub plans: Vec<ClusterPlan>,
}

/// The changes to come in one cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPlan {
    /// The id that an approval is given to. The id changes with the spec, and with any fact that matters to its rollout; there
    /// is none where the cloud could not be read.
    pub plan_id: Option<String>,
    /// The cluster's name.
    pub cluster: String,
    /// The folder that its file lies in, e.g. `prod`.
    pub environment: String,
    /// The AWS region.
    pub region: String,
    /// The AWS account, where the file names one.
    pub account: Option<String>,
    /// The moment of the observation, e.g. `2026-01-05T09:05:00Z`.
    pub at: String,
    /// Whether the cloud could be read. Where not, the lists of changes are empty because nothing is known.
    pub seen: bool,
    /// The desired image.
    pub image: String,
    /// The next pass of the controller.
    pub next: Next,
    /// The plan that has to be approved before the next slot, if one has to be and is not.
    pub approval_needed: Option<String>,
    /// The approvals that the rest of the rollout takes.
    pub approval: ApprovalReport,
    /// Whether the file keeps changes back.
    pub held_back: Option<HeldBack>,
    /// The reason that the file gives for that, as a person wrote it.
    pub held_back_because: Option<String>,
    /// Every reason why the next slot may not be changed now, whatever small thing is done before.
    pub hazards: Vec<HazardReport>,
    /// The slot that the reasons are about; none where they are about the whole cluster.
    pub hazards_slot: Option<String>,
    /// Things that are there although the file does not mention them, e.g. a volume or an Elastic IP that a replacement will not have.
    pub notes: Vec<String>,
    /// Edits of the file that no controller carries out. They are among the notes as well.
    pub not_carried_out: Vec<String>,
    /// Resources that bear the cluster's tag and belong to no declared slot. Nothing is done to them.
    pub orphans: Vec<OrphanReport>,
    /// The changes, slot by slot in this order.
    pub slots: Vec<SlotPlan>,
    /// The volumes that grow where they are, one at a time in this order.
    pub growths: Vec<GrowthReport>,
    /// The sums over all slots.
    pub totals: Totals,
}

/// The approvals that the rest of a rollout takes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalReport {
    /// The policy that the file has: whether, and before what, somebody has to agree.
    pub policy: ApprovalPolicy,
    /// The plan that the file approves.
    pub given: Option<String>,
    /// The slots that wait for an approval whose id is not known yet.
    pub later: Vec<String>,
    /// The number of approvals that are still to be given.
    pub outstanding: usize,
}

/// A policy of approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalPolicy {
    /// Nobody is asked.
    Never,
    /// Once, after the first slot has settled.
    Canary,
    /// Before every slot.
    EverySlot,
}

/// A file's way to keep changes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBack {
    /// No upgrade is begun; healing goes on.
    Suspended,
    /// Nothing at all is done.
    Frozen,
}

/// A resource of the cluster that belongs to no declared slot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanReport {
    /// The slot that it is tagged for; none of what an adopted group has launched and no slot needs.
    pub slot: Option<String>,
    /// The id of an instance or a volume.
    pub id: String,
}

/// The growth of one volume.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrowthReport {
    /// The slot's name.
    pub slot: String,
    /// The volume's name within the slot.
    pub name: String,
    /// The volume's id.
    pub volume: String,
    /// The volume's size now, in GiB.
    pub from_gib: u32,
    /// The size that the file wants, in GiB.
    pub to_gib: u32,
}

/// The next pass of the controller.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// The planner's answer.
    pub answer: Answer,
    /// The slot that the answer is about, if any.
    pub slot: Option<String>,
    /// The name of the action, if the pass acts.
    pub action: Option<String>,
    /// The answer in words.
    pub text: String,
    /// Advice, if a person must act.
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
    /// Advice to a person, if there is any.
    pub hint: Option<String>,
}

/// The changes to come in one slot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotPlan {
    /// The slot's name.
    pub slot: String,
    /// The slot's availability zone.
    pub zone: String,
    /// The reason for the changes, and for this place in the order.
    pub reason: ReasonReport,
    /// The old instance.
    pub from: InstanceReport,
    /// The new instance, which has an id only once it is launched.
    pub to: InstanceReport,
    /// The moves of the slot's volumes.
    pub volumes: Vec<VolumeMove>,
    /// The move of the slot's fixed address, if it has one.
    pub address: Option<AddressMove>,
    /// The number of healthy voters, and of those that are needed.
    pub quorum: QuorumReport,
    /// The part of the launch that falls into the wait for the new member of the slot before, in which the new instance is launched
    /// ahead; 0 where it is not. The spans of the step and of the slot are without it.
    pub launch_ahead_seconds: u64,
    /// The steps, in this order.
    pub steps: Vec<StepReport>,
    /// The expected time for which the member is down.
    pub member_down_seconds: u64,
    /// The expected time of all steps.
    pub takes_seconds: u64,
    /// The number of mutating EC2 calls.
    pub ec2_calls: usize,
}

/// The reason for the changes in a slot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReasonReport {
    /// The kind of the reason.
    pub kind: ReasonKind,
    /// The slot's rank in the order, if the slot is outdated.
    pub rank: Option<String>,
    /// The differences between the slot's instance and the spec.
    pub drifts: Vec<DriftReport>,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// The replacement of the slot's instance has begun.
    UnderWay,
    /// The slot has no instance, or never had one.
    Empty,
    /// The slot's instance differs from the spec.
    Outdated,
}

/// A difference.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftReport {
    /// The field that differs, e.g. `image`.
    pub field: String,
    /// The value of the instance.
    pub from: String,
    /// The value of the spec.
    pub to: String,
}

/// The old or the new instance of a slot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceReport {
    /// The instance's id.
    pub instance: Option<String>,
    /// The instance's image.
    pub image: Option<String>,
}

/// The move of one volume.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMove {
    /// The volume's name within the slot.
    pub name: String,
    /// The volume's id; none before the volume is created.
    pub volume: Option<String>,
    /// The instance that the volume is detached from.
    pub from: Option<String>,
    /// The instance that the volume is attached to, once it is launched.
    pub to: Option<String>,
}

/// The move of a slot's fixed address.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressMove {
    /// The address, e.g. `10.0.1.10`.
    pub address: String,
    /// The instance that has the address.
    pub from: Option<String>,
    /// The instance that gets the address, once it is launched.
    pub to: Option<String>,
}

/// Healthy voters before, during and after the changes in a slot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuorumReport {
    pub before: usize,
    /// While the member is down.
    pub during: usize,
    pub after: usize,
    /// The quorum of the declared number.
    pub needed: usize,
    pub declared: usize,
}

/// One step of a replacement.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// A name that is unique within the plan: slot, place and action.
    pub id: String,
    /// The name of the action.
    pub action: String,
    /// Whether the step cannot be undone.
    pub destructive: bool,
    /// The expected time of the step and of the wait after it; at `retire` and `settle` of the wait before it, the bake time.
    pub takes_seconds: u64,
    /// Whether the member is down during the step.
    pub member_down: bool,
    /// The number of healthy voters during the step.
    pub healthy_voters: usize,
}

/// The sums over all slots.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// The number of slots with changes.
    pub slots: usize,
    /// The number of slots that the spec declares.
    pub declared_slots: usize,
    /// The expected time of all slots, one after the other.
    pub takes_seconds: u64,
    /// The number of mutating EC2 calls, those of volumes that grow among them.
    pub ec2_calls: usize,
    /// The instances that are terminated.
    pub instances_terminated: Vec<String>,
    /// The number of data volumes that are deleted: always 0.
    pub volumes_deleted: usize,
}

/// Writes the JSON schema of the document.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft07().for_serialize().into_generator().into_root_schema_for::<Document>().to_value()
}

impl Document {
    /// Puts the plans of some clusters into a document.
    pub fn new(plans: Vec<ClusterPlan>) -> Self {
        Self { format_version: FORMAT_VERSION.to_owned(), plans }
    }

    /// Says whether any slot or volume has changes to come.
    pub fn has_changes(&self) -> bool {
        self.plans.iter().any(|plan| !plan.slots.is_empty() || !plan.growths.is_empty())
    }
}
