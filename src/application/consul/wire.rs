//! Consul's answers as it writes them: only the fields that are used.
//!
//! Go writes an empty list as `null`, and fields come and go with versions, so nothing is required but what makes an
//! answer what it is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::application::bounded::{MOST_SERVERS, short};

/// `GET /v1/operator/autopilot/health`: what the leader's autopilot thinks of every server. It looks every 2 s.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    /// `null` for a moment after every change of leader or of the raft configuration.
    pub servers: Option<Vec<ServerHealth>>,
}

/// One server in [`Health`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServerHealth {
    #[serde(rename = "ID")]
    #[serde(deserialize_with = "short")]
    pub id: String,
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub serf_status: String,
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub version: String,
    #[serde(default)]
    pub leader: bool,
    /// The time since the leader heard of the server, as Go writes a duration, e.g. `27.29ms`; `-1ns` if it never did.
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub last_contact: String,
    /// The last term in the server's log; 0 if the leader did not reach the server.
    #[serde(default)]
    pub last_term: u64,
    #[serde(default)]
    pub last_index: u64,
    pub healthy: bool,
    /// The instant since which the server has been healthy or not; year 1 if it was never healthy.
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub stable_since: String,
}

/// `GET /v1/operator/autopilot/configuration`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Autopilot {
    pub cleanup_dead_servers: bool,
    /// The number of servers below which none is pruned; absent before 1.7.
    #[serde(default)]
    pub min_quorum: usize,
    /// Servers of another version get their vote as they come. Without the Enterprise edition there is no other way.
    #[serde(default)]
    pub disable_upgrade_migration: bool,
    /// The field of a server's metadata that names its redundancy zone; empty where there are none.
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub redundancy_zone_tag: String,
    /// The field of a server's metadata that stands for its version; empty where the version itself counts.
    #[serde(default)]
    #[serde(deserialize_with = "short")]
    pub upgrade_version_tag: String,
}

/// `GET /v1/operator/raft/configuration`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Raft {
    pub servers: Option<Vec<RaftServer>>,
}

/// One server in [`Raft`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RaftServer {
    #[serde(rename = "ID")]
    #[serde(deserialize_with = "short")]
    pub id: String,
    /// The name, which Consul finds in gossip by the address; `(unknown)` where nobody there has that address.
    #[serde(deserialize_with = "short")]
    pub node: String,
    /// The address with the port, e.g. `10.0.0.1:8300`.
    #[serde(deserialize_with = "short")]
    pub address: String,
    pub leader: bool,
    pub voter: bool,
}

/// `GET /v1/agent/members`: the first agent, whatever it is, and the servers, at most one more than there may be. Clients
/// are read over, so that thousands of them cost no memory.
#[derive(Clone, Debug, Default)]
pub struct Agents(pub Vec<Gossip>);

impl<'de> Deserialize<'de> for Agents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Servers)
    }
}

struct Servers;

impl<'de> Visitor<'de> for Servers {
    type Value = Agents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of agents")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Agents, A::Error> {
        let mut kept: Vec<Gossip> = Vec::new();
        while let Some(agent) = list.next_element::<Gossip>()? {
            if kept.is_empty() || (agent.tags.role == "consul" && kept.len() <= MOST_SERVERS + 1) {
                kept.push(agent);
            }
        }
        Ok(Agents(kept))
    }
}

/// One agent as gossip knows it, in `GET /v1/agent/members`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Gossip {
    #[serde(deserialize_with = "short")]
    pub name: String,
    #[serde(deserialize_with = "short")]
    pub addr: String,
    pub tags: Tags,
    /// 1 alive, 2 leaving, 3 left, 4 failed.
    pub status: u8,
}

/// An agent's word on itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tags {
    /// `consul` for a server, `node` for a client.
    #[serde(deserialize_with = "short")]
    pub role: String,
    #[serde(deserialize_with = "short")]
    pub dc: String,
    /// The node id.
    #[serde(deserialize_with = "short")]
    pub id: String,
    /// The version, a colon, and the revision.
    #[serde(deserialize_with = "short")]
    pub build: String,
    /// `1` for a server of the Enterprise edition that never votes.
    #[serde(deserialize_with = "short")]
    pub read_replica: String,
    /// The same, as it was called before 1.10.
    #[serde(deserialize_with = "short")]
    pub nonvoter: String,
}

impl Tags {
    /// Says whether the server never votes, by its own word.
    pub fn never_votes(&self) -> bool {
        self.role == "consul" && (self.read_replica == "1" || self.nonvoter == "1")
    }
}

impl Gossip {
    /// Says the status in Consul's words.
    pub fn status(&self) -> &'static str {
        match self.status {
            1 => "alive",
            2 => "leaving",
            3 => "left",
            4 => "failed",
            _ => "in no known state",
        }
    }
}
