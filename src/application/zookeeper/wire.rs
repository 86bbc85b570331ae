//! The answers of ZooKeeper's AdminServer, 3.8 and 3.9: only the fields that are used.
//!
//! Their status says nothing: a server that serves nobody answers 200 with an `error`, or 500 where it did not think of that.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Deserializer;

use crate::application::bounded::{Brief, short};

/// The most addresses that are kept of one server. Each has one, or one for each of its networks.
const MOST_ADDRESSES: usize = 20;

/// Reads the first texts of a list.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let all: Vec<Brief> = Vec::deserialize(deserializer)?;
    Ok(all.into_iter().take(MOST_ADDRESSES).map(|Brief(text)| text).collect())
}

/// `GET /commands/zabstate`: a server's own place in the agreement. All but the state is absent while it serves nobody.
#[derive(Clone, Debug, Deserialize)]
pub struct Own {
    /// The number on the server's volume.
    pub myid: Option<u64>,
    /// `election`, `discovery`, `synchronization` or `broadcast`; empty while it serves nobody.
    #[serde(deserialize_with = "short")]
    pub zabstate: String,
    /// The last transaction that it has, by the epoch of a leader and the number within that.
    #[serde(default)]
    pub zab_epoch: u64,
    #[serde(default)]
    pub zab_counter: u64,
    /// The addresses that the server has for itself.
    #[serde(default)]
    pub quorum_address: Addresses,
}

/// The addresses of one server.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Addresses {
    #[serde(default, deserialize_with = "texts")]
    pub all_addresses: Vec<String>,
}

/// `GET /commands/leader`.
#[derive(Clone, Debug, Deserialize)]
pub struct Leads {
    /// The server that this one follows, or itself.
    pub leader_id: Option<u64>,
}

/// `GET /commands/voting_view`: the servers that have a vote, as this one has them. One that stands alone has none.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Voting {
    #[serde(default)]
    pub current_config: BTreeMap<u64, Listed>,
}

/// One server in a [`Voting`].
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    /// The addresses at which the others reach it, e.g. `10.0.1.30:2888`.
    #[serde(default, deserialize_with = "texts")]
    pub server_addresses: Vec<String>,
}

/// `GET /commands/monitor`.
#[derive(Clone, Debug, Deserialize)]
pub struct Monitor {
    /// E.g. `3.9.3-c26634f34490bb0ea7a09cc51e05ede3b4e320ee, built on 2024-10-17 23:21 UTC`.
    #[serde(default, deserialize_with = "short")]
    pub version: String,
    /// `leader`, `follower`, `observer`, `read-only` or `standalone`.
    #[serde(default, deserialize_with = "short")]
    pub server_state: String,
    /// The requests that wait to be dealt with.
    #[serde(default)]
    pub outstanding_requests: u64,
    /// The followers that have everything, as the leader counts them, and those of them that have no vote.
    pub synced_followers: Option<usize>,
    #[serde(default)]
    pub synced_non_voting_followers: usize,
    /// The number of times that the server's data were others than the leader's after the same transaction.
    #[serde(default)]
    pub digest_mismatches_count: u64,
}
