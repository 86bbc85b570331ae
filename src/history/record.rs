//! One line of the log of events, as it is written and read.

use std::fmt;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use crate::event::is_same_news;
use crate::revision::{Reason, Revision, short};
use crate::time::{Timestamp, clock};

/// The version of the lines: a minor one adds fields and kinds, a major one may change them.
pub const FORMAT_VERSION: &str = "1.1";

/// One event, as a line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "hermitcrab event", rename = "Event")]
pub struct Record {
    /// The version of the line, `major.minor`. Refuse a major version that you do not know.
    pub format_version: String,
    /// The number of the event, which rises within a log. A later line with the same number is the same event, which has
    /// happened again: it replaces the earlier line.
    pub id: u64,
    /// The moment of the event, in UTC; of the first one, if it was repeated.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// The moment at which it was repeated last; left out if it happened once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last: Option<Timestamp>,
    /// The number of times that it has happened; left out if once.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u64,
    /// The cluster that it is about, e.g. `consul-prod`; left out if it is about the daemon, or about a file that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(flatten)]
    pub what: What,
}

fn once() -> u64 {
    1
}

fn is_once(count: &u64) -> bool {
    *count == 1
}

/// The event itself, by its `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum What {
    /// A daemon began to look after the clusters.
    Started {
        /// The source of desired state, e.g. `desired-state`.
        source: String,
        /// Whether it plans without acting.
        observe_only: bool,
    },
    /// A daemon has finished the calls that were in flight, and looks after no cluster any more.
    Stopped,
    /// The lease is lost. Nothing more is begun until it is held again.
    LeaseLost,
    /// Events that could not be written, because the disk was full or too slow.
    Dropped {
        /// Their number.
        events: u64,
    },
    /// Another revision of desired state is in force.
    Revision {
        revision: Revision,
        /// The commit that was in force before, where this one does not descend from it: the branch was rewritten.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rewritten_from: Option<String>,
    },
    /// The source of desired state gave nothing newer. The revision in force stays so.
    SourceFailed {
        reason: Reason,
        /// The reason in words.
        text: String,
    },
    /// The source of desired state can be read again.
    SourceUsable,
    /// A file cannot be used. The last good version of the cluster that is named stays in force.
    FileBroken {
        /// The path of the file.
        file: String,
    },
    /// A file can be used again.
    FileUsable {
        /// The path of the file.
        file: String,
    },
    /// No file declares the cluster any more. Nothing of it is changed.
    Orphaned,
    /// The cluster is declared in another way than before.
    Desired(Desired),
    /// The controller's answer to what it saw.
    Answer(Answer),
    /// A call was made.
    Action(Action),
    /// Other members are down than before, or another number of them counts.
    Members(Members),
    /// An internal assertion broke. The cluster is left alone until its file changes.
    AssertionBroke,
    /// A kind of a later version.
    #[serde(other)]
    Other,
}

/// A cluster as its file wants it, as far as its history needs that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Desired {
    /// The image, e.g. `ami-0aaaaaaaaaaaaaaaa`.
    pub image: String,
    /// The version that members on that image report, where the file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The hash of all that makes an instance what it is.
    pub generation: String,
    /// The plan id that somebody has approved, where the file asks for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
    /// Upgrades are suspended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Everything is frozen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub freeze: bool,
    /// The reason for either, as the file gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The revision that brought this, where desired state comes from git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}

impl Desired {
    /// Says whether a cluster is wanted in the same way, whichever revision brought that.
    pub fn is_same(&self, other: &Self) -> bool {
        let bare = |desired: &Self| Self { revision: None, ..desired.clone() };
        bare(self) == bare(other)
    }
}

/// An answer of the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub answer: AnswerKind,
    /// The slot that it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The step at which a replacement stands, e.g. `attach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The gates that refuse, e.g. `outside-window`; of a stall its reason, e.g. `VolumeMissing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The answer in words.
    pub text: String,
}

/// The kinds of answers that are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    /// Nothing differs.
    Settled,
    /// An action that a daemon which only observes would take. Whoever acts has an `action` for it.
    WouldAct,
    /// Something finishes by itself.
    Waiting,
    /// Unsafe or not allowed now.
    Blocked,
    /// A person must act.
    Stalled,
}

/// A call, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// The stable name of the action, e.g. `launch`.
    pub action: String,
    /// The slot that it is for, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The instance that it names, or that was launched; of a claim the one that is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The volume that it moves, copies, changes or deletes, or that was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// Of a claim and a launch: the image that the slot is brought to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Of a claim: the image that the slot's instance runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_image: Option<String>,
    /// Of a claim: the hash of all that the slot's instance is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    pub result: ActionResult,
    /// The action in words.
    pub text: String,
    /// The reason why it was taken, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The error, or what was found in the place of what was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionResult {
    /// Something was done, or was so already.
    Done,
    /// The world had changed, and nothing was done.
    Changed,
    /// The call failed, or nobody knows what came of it.
    Failed,
}

/// The members, as far as they count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// The slots whose members are not healthy.
    pub down: Vec<String>,
    /// The number of healthy members that count.
    pub healthy: usize,
    /// The number of them that have to be healthy.
    pub needed: usize,
}

impl Record {
    /// Makes a record of one event, which its log has not numbered yet.
    pub fn new(at: Timestamp, cluster: Option<String>, what: What) -> Self {
        Self { format_version: FORMAT_VERSION.to_owned(), id: 0, at, last: None, count: 1, cluster, what }
    }

    /// The moment at which it happened last.
    pub fn latest(&self) -> Timestamp {
        self.last.unwrap_or(self.at)
    }

    /// The event in one line, with how often it happened, without its cluster and its time.
    pub fn words(&self) -> String {
        let times = self.last.map(|last| format!(" (×{}, until {})", self.count, clock(last)));
        self.what.to_string().replace('\n', " ") + &times.unwrap_or_default()
    }

    /// Writes the line, without its end.
    pub fn line(&self) -> String {
        crate::input::text::clean_json(&serde_json::to_string(self).unwrap_or_default())
    }
}

impl What {
    /// Says whether this is the same event as another of the same cluster, once more. Changes of desired state and of members
    /// are events of their own each time.
    pub fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Answer(one), Self::Answer(two)) => {
                one.answer == two.answer
                    && (&one.slot, &one.step, &one.reasons) == (&two.slot, &two.step, &two.reasons)
                    && is_same_news(&one.text, &two.text)
            }
            (Self::Action(one), Self::Action(two)) => {
                let problem = |action: &Action| action.problem.clone().unwrap_or_default();
                let bare = |action: &Action| Action { problem: None, why: None, ..action.clone() };
                bare(one) == bare(two) && is_same_news(&problem(one), &problem(two))
            }
            (Self::Desired(_) | Self::Members(_) | Self::Revision { .. } | Self::SourceUsable, _) => false,
            (Self::SourceFailed { reason: one, text: this }, Self::SourceFailed { reason: two, text: that }) => {
                one == two && is_same_news(this, that)
            }
            (one, two) => one == two,
        }
    }

    /// The kind, as a line has it, e.g. `file-broken`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stopped => "stopped",
            Self::LeaseLost => "lease-lost",
            Self::Dropped { .. } => "dropped",
            Self::FileBroken { .. } => "file-broken",
            Self::FileUsable { .. } => "file-usable",
            Self::Revision { .. } => "revision",
            Self::SourceFailed { .. } => "source-failed",
            Self::SourceUsable => "source-usable",
            Self::Orphaned => "orphaned",
            Self::Desired(_) => "desired",
            Self::Answer(_) => "answer",
            Self::Action(_) => "action",
            Self::Members(_) => "members",
            Self::AssertionBroke => "assertion-broke",
            Self::Other => "other",
        }
    }

    /// The slot that it is about, where it is about one.
    pub fn slot(&self) -> Option<&str> {
        match self {
            Self::Answer(answer) => answer.slot.as_deref(),
            Self::Action(action) => action.slot.as_deref(),
            _ => None,
        }
    }

    /// Whether a call took effect, so that what is said from then on is said of another world.
    pub fn is_progress(&self) -> bool {
        matches!(self, Self::Action(action) if action.result == ActionResult::Done)
    }
}

/// The event in words, without its cluster and its time.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { source, observe_only: false } => write!(f, "the daemon looks after {source}"),
            Self::Started { source, observe_only: true } => write!(f, "the daemon observes {source}, and does not act"),
            Self::Stopped => f.write_str("the daemon has stopped"),
            Self::LeaseLost => f.write_str("the lease is lost"),
            Self::Dropped { events: 1 } => f.write_str("1 event could not be written"),
            Self::Dropped { events } => write!(f, "{events} events could not be written"),
            Self::Revision { revision, rewritten_from: None } => write!(f, "revision {revision}"),
            Self::Revision { revision, rewritten_from: Some(before) } => {
                write!(f, "revision {revision}; the branch was rewritten, and {} is not before it", short(before))
            }
            Self::SourceFailed { reason, text } => write!(f, "no newer revision: {}: {text}", reason.word()),
            Self::SourceUsable => f.write_str("the source can be read again"),
            Self::FileBroken { file } => write!(f, "{file} is broken"),
            Self::FileUsable { file } => write!(f, "{file} is usable again"),
            Self::Orphaned => f.write_str("no file declares the cluster any more"),
            Self::Desired(desired) => desired.fmt(f),
            Self::Answer(answer) if answer.answer == AnswerKind::WouldAct => write!(f, "would act: {}", answer.text),
            Self::Answer(answer) => f.write_str(&answer.text),
            Self::Action(action) => action.fmt(f),
            Self::Members(members) => members.fmt(f),
            Self::AssertionBroke => f.write_str("an internal assertion broke; the cluster is left alone"),
            Self::Other => f.write_str("an event of a later version"),
        }
    }
}

impl fmt::Display for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wanted: {}", self.image)?;
        let version = self.version.iter().map(|version| format!(", version {version}"));
        let approved = self.approved.iter().map(|plan| format!(", {plan} approved"));
        let intent = [(self.suspend, ", suspended"), (self.freeze, ", frozen")];
        let intent = intent.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| (*word).to_owned());
        let reason = self.reason.iter().filter(|_| self.suspend || self.freeze).map(|reason| format!(": {reason}"));
        let revision = self.revision.iter().map(|revision| format!(", by revision {}", revision.short()));
        f.write_str(&version.chain(approved).chain(intent).chain(reason).chain(revision).collect::<String>())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        let made = matches!(self.action.as_str(), "launch" | "create-volume");
        let made = made.then_some(self.instance.as_ref().or(self.volume.as_ref())).flatten();
        made.map_or(Ok(()), |made| write!(f, ": {made}"))?;
        let problem = self.problem.as_deref().unwrap_or("no reason is known");
        match self.result {
            ActionResult::Done => Ok(()),
            ActionResult::Changed => write!(f, ": not done, because {problem}"),
            ActionResult::Failed => write!(f, ": failed: {problem}"),
        }
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let down = if self.down.is_empty() { "no member".to_owned() } else { self.down.join(", ") };
        write!(f, "{down} down; {} healthy, {} needed", self.healthy, self.needed)
    }
}

/// Writes the JSON schema of a line.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft07().for_serialize().into_generator().into_root_schema_for::<Record>().to_value()
}
