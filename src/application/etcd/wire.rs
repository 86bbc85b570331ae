//! etcd's answers as its JSON gateway writes them: only the fields that are used.
//!
//! The gateway writes 64-bit numbers as texts, and leaves out what is zero, false or empty.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use crate::application::bounded::short;

/// The most errors that are kept of one status. etcd has two kinds of alarms for each member.
const MOST_ERRORS: usize = 20;

/// Reads a number that is written as a text, e.g. `"15605364325211492777"`.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    short(deserializer)?.parse().map_err(D::Error::custom)
}

/// Reads such a number where it may be left out.
fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    number(deserializer).map(Some)
}

/// Reads the first texts of a list.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    struct Text(#[serde(deserialize_with = "short")] String);

    let all: Vec<Text> = Vec::deserialize(deserializer)?;
    Ok(all.into_iter().take(MOST_ERRORS).map(|Text(text)| text).collect())
}

/// The beginning of every answer: who gave it.
#[derive(Clone, Debug, Deserialize)]
pub struct Header {
    #[serde(deserialize_with = "number")]
    pub cluster_id: u64,
    #[serde(deserialize_with = "number")]
    pub member_id: u64,
}

/// `POST /v3/maintenance/status`: what a member knows by itself. No other member is asked for it, and nobody has to log in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub header: Header,
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub version: String,
    /// The member that this one sees lead; none if it sees nobody.
    #[serde(default)]
    #[serde(deserialize_with = "some_number")]
    pub leader: Option<u64>,
    #[serde(default)]
    #[serde(deserialize_with = "number")]
    pub raft_term: u64,
    /// The length of the log, as far as this member knows it to be agreed on.
    #[serde(default)]
    #[serde(deserialize_with = "number")]
    pub raft_index: u64,
    /// The part of the log that is in the member's database; absent before 3.4.
    #[serde(default)]
    #[serde(deserialize_with = "some_number")]
    pub raft_applied_index: Option<u64>,
    /// The size of the database's file, in bytes, which is what the quota is about.
    #[serde(default)]
    #[serde(deserialize_with = "some_number")]
    pub db_size: Option<u64>,
    /// The part of it that has data.
    #[serde(default)]
    #[serde(deserialize_with = "some_number")]
    pub db_size_in_use: Option<u64>,
    /// The quota; absent before 3.6.
    #[serde(default)]
    #[serde(deserialize_with = "some_number")]
    pub db_size_quota: Option<u64>,
    /// `etcdserver: no leader`, and each alarm, e.g. `memberID:10501334649042878790 alarm:NOSPACE `.
    #[serde(default)]
    #[serde(deserialize_with = "texts")]
    pub errors: Vec<String>,
}

/// `GET /version`.
#[derive(Clone, Debug, Deserialize)]
pub struct Version {
    /// The version whose features the members have agreed to use, e.g. `3.4.0`; `not_decided` before they have.
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub etcdcluster: String,
}

/// `POST /v3/cluster/member/list`.
#[derive(Clone, Debug, Deserialize)]
pub struct List {
    #[serde(default)]
    pub members: Vec<Listed>,
}

/// One member in a [`List`].
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    #[serde(rename = "ID")]
    #[serde(deserialize_with = "number")]
    pub id: u64,
    /// The name that the member has given itself; empty until it has started for the first time.
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub name: String,
    #[serde(default, rename = "peerURLs")]
    #[serde(deserialize_with = "texts")]
    pub peer_urls: Vec<String>,
    /// The member has no vote.
    #[serde(default, rename = "isLearner")]
    pub is_learner: bool,
}

/// An answer that is no success. The status alone does not say which of the preconditions is not met: 3.4 answers 412, and
/// newer versions 400.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// gRPC's own code, e.g. 9.
    pub code: u32,
}

impl Problem {
    /// `FailedPrecondition`: the member does not lead, or the other one cannot.
    pub const PRECONDITION: u32 = 9;
}

/// `POST /v3/auth/authenticate`.
#[derive(Deserialize)]
pub struct Login {
    pub token: String,
}

/// `POST /v3/kv/range`.
#[derive(Clone, Debug, Deserialize)]
pub struct Range {
    #[serde(default)]
    pub kvs: Vec<Pair>,
    /// There are more keys than the answer has.
    #[serde(default)]
    pub more: bool,
}

/// A key and its value, both in base64.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Pair {
    pub key: String,
    pub value: String,
}
