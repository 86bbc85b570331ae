//! The news that receivers are told: what has become of a cluster, in words that fit into a message.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::digest;
use crate::input::text;
use crate::time::Timestamp;

/// The most characters of any text in a message.
const LONGEST: usize = 1_000;

/// The kinds of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The first slot of a rollout is claimed.
    RolloutBegan,
    /// A rollout has come to its end: the cluster is as its file wants it.
    Settled,
    /// A new instance failed, and the old one serves again.
    TakenBack,
    /// The cluster does not go on before a person does something.
    Stalled,
    /// The members have no quorum, or nobody leads them.
    NoQuorum,
    /// The cluster could not be seen for a while.
    NotSeen,
    /// Somebody has to approve a plan.
    ApprovalAwaited,
    /// Somebody has to take back what keeps the cluster from going on, e.g. a suspension.
    NeedsPerson,
    /// The cluster was stalled, without quorum or not seen, and no longer is.
    Recovered,
    /// A file of desired state cannot be used.
    FileBroken,
    /// No file declares the cluster any more.
    Orphaned,
    /// A person has asked for a message, to see whether it arrives.
    Test,
}

impl Kind {
    /// Every kind that a receiver may be told without asking.
    pub const ALL: [Self; 11] = [
        Self::RolloutBegan,
        Self::Settled,
        Self::TakenBack,
        Self::Stalled,
        Self::NoQuorum,
        Self::NotSeen,
        Self::ApprovalAwaited,
        Self::NeedsPerson,
        Self::Recovered,
        Self::FileBroken,
        Self::Orphaned,
    ];

    /// The kind as programs know it, e.g. `rollout-began`.
    pub fn word(self) -> &'static str {
        match self {
            Self::RolloutBegan => "rollout-began",
            Self::Settled => "settled",
            Self::TakenBack => "taken-back",
            Self::Stalled => "stalled",
            Self::NoQuorum => "no-quorum",
            Self::NotSeen => "not-seen",
            Self::ApprovalAwaited => "approval-awaited",
            Self::NeedsPerson => "needs-person",
            Self::Recovered => "recovered",
            Self::FileBroken => "file-broken",
            Self::Orphaned => "orphaned",
            Self::Test => "test",
        }
    }
}

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// The same for every receiver and every try, so that whoever is told twice can know it.
    pub id: String,
    pub kind: Kind,
    /// The moment at which it was seen, by the clock of the world that is looked after.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// The cluster, e.g. `consul-prod`; none of a file that names none.
    pub cluster: Option<String>,
    pub environment: Option<String>,
    /// One line, e.g. `consul-prod is settled on ami-0bbbbbbbbbbbbbbbb`.
    pub title: String,
    /// The controller's answer and its advice in words; empty where the title says everything.
    pub detail: String,
    /// The image that the file wants.
    pub image: Option<String>,
    /// The path of the file that declares the cluster, or is broken.
    pub file: Option<String>,
    /// The commit that the file was last changed by, if it lies in a checkout of git and is as committed.
    pub revision: Option<String>,
    /// Whether a rollout is under way.
    pub is_rolling: bool,
}

impl News {
    /// Makes news about a cluster, or about none, of which more can be said.
    pub fn new(kind: Kind, at: Timestamp, cluster: Option<&str>, title: &str, detail: &str) -> Self {
        let (title, detail) = (text::cut(title, LONGEST), text::cut(detail, LONGEST));
        let cluster = cluster.map(|cluster| text::cut(cluster, LONGEST));
        let id = digest(format!("{}\n{at}\n{cluster:?}\n{title}\n{detail}", kind.word()).as_bytes());
        let (environment, image, file, revision) = (None, None, None, None);
        Self { id, kind, at, cluster, environment, title, detail, image, file, revision, is_rolling: false }
    }

    /// The address at which more is shown, where the daemon's page has one.
    pub fn link(&self, page: Option<&str>) -> Option<String> {
        page.map(|page| match &self.cluster {
            Some(cluster) => format!("{page}/clusters/{cluster}"),
            None => page.to_owned(),
        })
    }

    /// The message that a person asks for, to see whether it arrives.
    pub fn test(at: Timestamp) -> Self {
        Self::new(
            Kind::Test,
            at,
            None,
            "a test message of hermitcrab",
            "Nothing has happened; somebody tries this out.",
        )
    }
}
