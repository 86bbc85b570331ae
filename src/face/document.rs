//! The documents that the face answers with: the one shape that programs, the page and the streams are given.
//!
//! `formatVersion` is `major.minor`. Minor versions add fields; a major one may change or drop them. Spans are whole seconds,
//! instants are RFC 3339 in UTC, by the clock of the world that is looked after.

use schemars::JsonSchema;
use serde::Serialize;

use crate::history::record::Record;
use crate::revision::Standing;
use crate::status::{Attention, Status};

/// The version of these shapes.
pub const FORMAT_VERSION: &str = "1.1";

/// The whole fleet: those that need a person first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// `major.minor`: minor versions add fields, a major one may change or drop them.
    pub format_version: &'static str,
    pub daemon: Daemon,
    /// One for each cluster that was ever declared since the daemon began, the most urgent first.
    pub clusters: Vec<Summary>,
}

/// The knowledge of the daemon about itself.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Daemon {
    /// The program's version.
    pub version: &'static str,
    /// The moment of this answer.
    pub at: String,
    /// The moment at which the daemon began to look after the clusters, or did so again with a new lease.
    pub started_at: Option<String>,
    /// The place that desired state comes from, e.g. `desired-state`.
    pub source: Option<String>,
    /// The repository that desired state comes from; none where it is a folder of files.
    pub repository: Option<Repository>,
    /// Whether the daemon plans without acting.
    pub observe_only: bool,
    /// The reason for which nothing may be changed, as the latest pass found it: the kill switch, or a lease that is not certain.
    pub stopped: Option<String>,
    pub lease: Lease,
    pub files: Files,
}

/// The lease that lets one of several controllers act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lease {
    /// The daemon was started without `--lease`.
    NotUsed,
    /// Another controller holds it, or nobody answers: nothing is looked after.
    Awaited,
    Held,
    /// The daemon held it and does not any more: nothing is looked after until it is held again.
    Lost,
}

/// A source of revisions, as it stood at the latest look.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    #[serde(flatten)]
    pub standing: Standing,
    /// The moment of the latest look that went well; none where none has since the daemon began.
    pub fetched_at: Option<String>,
}

/// The files of desired state.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// The moment at which they were last read.
    pub read_at: Option<String>,
    /// The number of files, broken ones among them.
    pub count: usize,
    /// The files and folders that cannot be used.
    pub broken: Vec<BrokenFile>,
}

/// A file that cannot be used.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokenFile {
    pub path: String,
    /// The cluster whose last good version stays in force; none where there was no good version.
    pub cluster: Option<String>,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

/// Something wrong with a file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    pub column: Option<usize>,
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

/// One cluster in one row.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub cluster: String,
    /// The folder of its file, e.g. `prod`.
    pub environment: String,
    /// The AWS region.
    pub region: String,
    /// The application, e.g. `consul`.
    pub application: String,
    pub attention: Attention,
    /// The reasons for that attention which the answer does not say, e.g. that the file is broken.
    pub remarks: Vec<String>,
    /// The phase, e.g. `replacing`; `unknown` before the first look.
    pub phase: String,
    /// The moment since which the cluster is in that phase, as far as this daemon saw.
    pub since: Option<String>,
    /// The time that had passed since then when this answer was given.
    pub since_seconds: Option<u64>,
    /// The answer of the latest pass in words.
    pub answer: String,
    /// The images that instances run, each once.
    pub images: Vec<String>,
    /// The desired image.
    pub wanted: String,
    pub slots: SlotCount,
    /// The replacement under way.
    pub step: Option<StepCount>,
    pub quorum: Quorum,
    /// The moment that all of this is true of; none before the first look.
    pub observed_at: Option<String>,
    /// The time that had passed since then when this answer was given.
    pub age_seconds: Option<u64>,
}

/// The slots of a cluster.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotCount {
    pub declared: usize,
    /// The number of slots whose instance is as the spec wants it.
    pub current: usize,
}

/// The place of a replacement in the list of its steps.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepCount {
    pub slot: String,
    /// The step, e.g. `attach`.
    pub action: String,
    /// The step's number, counted from 1.
    pub number: usize,
    /// The number of steps.
    pub of: usize,
}

/// The members that count, and how many of them may fail.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quorum {
    /// The number of healthy members that count; none where they could not be asked.
    pub healthy: Option<usize>,
    /// The number that is needed.
    pub needed: usize,
    /// The number of healthy ones that may fail before too few are left; negative where too few are left.
    pub may_fail: Option<i64>,
}

/// Everything about one cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// `major.minor`: minor versions add fields, a major one may change or drop them.
    pub format_version: &'static str,
    pub daemon: Daemon,
    pub summary: Summary,
    pub file: File,
    /// The calls that were refused or came to nothing of late, and are not sent again for a while.
    pub setbacks: Vec<Setback>,
    /// The latest action of this daemon on the cluster.
    pub last_action: Option<LastAction>,
    pub slots: Vec<Slot>,
    /// The steps of the replacement under way, in their order.
    pub steps: Vec<Step>,
    /// The report of the latest pass, as `status -o json` has it; none before the first look.
    pub status: Option<Status>,
}

/// The file that declares a cluster.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct File {
    pub path: Option<String>,
    pub state: FileState,
}

/// The relation of a cluster's spec to its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// The file says what the daemon goes by.
    Current,
    /// The file is broken: the daemon goes by its last good version.
    LastGood,
    /// No file declares the cluster any more: nothing of it is changed.
    Orphaned,
}

/// A call that came to nothing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setback {
    /// The deed in words, e.g. `detach vol-1 for consul-a`.
    pub doing: String,
    /// The latest answer in words.
    pub found: String,
    /// The moment of the first such answer in a row.
    pub since: String,
    /// The number of such answers in a row.
    pub times: u32,
}

/// An action of the daemon.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastAction {
    pub at: String,
    /// The action in words.
    pub action: String,
    /// `done`, `changed` where the world was no longer as expected, or `failed`.
    pub outcome: &'static str,
    /// The error with its causes, or what was found instead.
    pub why: Option<String>,
}

/// One slot with what passes through it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    pub slot: String,
    pub zone: String,
    /// The fixed address that the slot declares.
    pub address: Option<String>,
    /// `leader`, `voter`, `non-voter` or `–`.
    pub role: String,
    /// The member's health in words, e.g. `healthy`.
    pub health: String,
    pub healthy: bool,
    /// Whether the slot's instance is as the spec wants it.
    pub current: bool,
    /// Whether the slot's replacement is under way.
    pub claimed: bool,
    /// Whether the desired generation failed here.
    pub rejected: bool,
    /// The instances that are neither terminated nor on their way there, the older first.
    pub instances: Vec<Instance>,
    pub volumes: Vec<Volume>,
}

/// One instance of a slot.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub id: String,
    pub image: String,
    /// EC2's word for its state, e.g. `running`.
    pub state: String,
    /// The part that it has in a replacement: `only`, `old` or `new`.
    pub part: &'static str,
    /// Whether it is marked as proven superseded.
    pub retired: bool,
    /// Whether it has the slot's fixed address.
    pub has_address: bool,
}

/// One volume of a slot.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    pub name: String,
    /// None before the volume is created.
    pub id: Option<String>,
    /// The place in words, e.g. `attached to i-1 at /dev/sdf`.
    pub place: String,
    /// The instance that it is attached to, or on its way to or from.
    pub instance: Option<String>,
    /// `attached`, `attaching`, `detaching`, `busy`; none where it is attached to nothing.
    pub phase: Option<String>,
}

/// One step of the replacement under way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The name of the step, e.g. `attach`.
    pub action: String,
    pub state: StepState,
    /// The time that the step takes, about.
    pub forecast_seconds: u64,
    /// The moment at which this daemon saw the step begin.
    pub begun: Option<String>,
    /// The time that the step took, or has taken so far.
    pub took_seconds: Option<u64>,
    /// Whether the step is taken while the member is down.
    pub member_down: bool,
}

/// The state of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    Done,
    Now,
    ToCome,
}

/// The latest events, the oldest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// `major.minor`: minor versions add fields, a major one may change or drop them.
    pub format_version: &'static str,
    /// The number of the newest event that was forgotten, because only so many are kept; 0 while none was.
    pub forgotten: u64,
    pub events: Vec<Record>,
}

/// The reason why a request is not answered with what it asks for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refusal {
    /// The meaning of the status code, e.g. `Not Found`.
    pub title: String,
    pub status: u16,
    /// The reason, and what to do.
    pub detail: String,
}
