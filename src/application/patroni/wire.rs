//! Patroni's answers as its REST API writes them, 3.0 to 4.1: only the fields that are used.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::application::bounded::{Brief, short};

/// `GET /patroni`: what a member knows by itself, whether or not the store answers.
#[derive(Clone, Debug, Deserialize)]
pub struct Own {
    /// The state of PostgreSQL, e.g. `running`, `starting`, `stopped`.
    #[serde(default, deserialize_with = "short")]
    pub state: String,
    /// `primary` or `replica`; before 4.0 `master` for the first.
    #[serde(default, deserialize_with = "short")]
    pub role: String,
    /// The version of PostgreSQL without points, e.g. `150018`; absent while it does not run.
    pub server_version: Option<u32>,
    /// The place in the log.
    #[serde(default)]
    pub xlog: Place,
    pub timeline: Option<u64>,
    /// `streaming`, on a replica that receives the log from another member.
    pub replication_state: Option<Brief>,
    /// The connections over which this member sends its log, by the name of the member that receives it.
    #[serde(default)]
    pub replication: Vec<Connection>,
    /// Nobody holds the leader's key, as far as this member sees.
    #[serde(default)]
    pub cluster_unlocked: bool,
    /// The store does not answer, and the leader goes on because it reaches all others (failsafe mode).
    #[serde(default)]
    pub failsafe_mode_is_active: bool,
    /// The time at which the member has last reached the store, in seconds since 1970.
    #[serde(default)]
    pub dcs_last_seen: u64,
    /// The identity of the database, which all of its copies share.
    pub database_system_identifier: Option<Brief>,
    pub patroni: Itself,
}

/// The part of [`Own`] about Patroni.
#[derive(Clone, Debug, Deserialize)]
pub struct Itself {
    /// The name of the cluster.
    #[serde(deserialize_with = "short")]
    pub scope: String,
}

/// A place in the log, in bytes from its beginning: `location` on the primary, the others on a replica.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Place {
    pub location: Option<u64>,
    pub replayed_location: Option<u64>,
}

/// A connection over which the log is sent.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Connection {
    /// The name of the member at the other end.
    #[serde(default, deserialize_with = "short")]
    pub application_name: String,
    /// E.g. `streaming`, `catchup`.
    #[serde(default, deserialize_with = "short")]
    pub state: String,
}

/// `GET /cluster`: the members as the store has them. A member's key outlives it by the time to live.
#[derive(Clone, Debug, Deserialize)]
pub struct Cluster {
    pub members: Vec<Listed>,
    /// A person has told Patroni to keep its hands off.
    #[serde(default)]
    pub pause: bool,
    /// A switchover that Patroni carries out later.
    pub scheduled_switchover: Option<Value>,
}

/// One member in a [`Cluster`].
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    #[serde(deserialize_with = "short")]
    pub name: String,
    /// `leader`, `replica`, `sync_standby`, `quorum_standby` or `standby_leader`.
    #[serde(default, deserialize_with = "short")]
    pub role: String,
    /// The host that PostgreSQL is found at.
    pub host: Option<Brief>,
    #[serde(default)]
    pub tags: BTreeMap<String, Value>,
}

/// `GET /config`: the settings that all members share.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `true`, or from 4.0 on `"quorum"`; older ones write `"on"` as well.
    pub synchronous_mode: Value,
    pub synchronous_mode_strict: Value,
}
