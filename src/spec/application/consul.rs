//! Consul servers in a desired-state file: how to reach them, and what to expect of them.

use std::time::Duration;

use serde::Serialize;

use super::{Lag, LeaderGoes, PruningGuard, Rules};
use crate::spec::quorum;

/// How to reach Consul servers and what to expect of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsulSpec {
    /// The Consul datacenter.
    pub datacenter: String,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The HTTP API's port.
    pub port: u16,
    /// A PEM file with the CA that signed the servers' certificates. Where it lies differs from machine to machine,
    /// so it is no part of what a plan is identified by.
    #[serde(skip_serializing)]
    pub ca_file: Option<String>,
    /// A PEM file with the controller's own certificate, and one with its key: both or neither.
    #[serde(skip_serializing)]
    pub client_cert_file: Option<String>,
    /// The file with that key.
    #[serde(skip_serializing)]
    pub client_key_file: Option<String>,
    /// A file that holds the ACL token; read again when it changes.
    #[serde(skip_serializing)]
    pub token_file: Option<String>,
    /// The version that a member on the desired image must report.
    pub version: Option<String>,
    /// Let the controller set autopilot's `MinQuorum` to the declared number of servers.
    pub manage_autopilot: bool,
}

/// The scheme of an HTTP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Http,
    Https,
}

impl ConsulSpec {
    /// Says what Consul servers are like.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            needed: quorum,
            leader: Some(LeaderGoes::Last),
            // Autopilot's `MaxTrailingLogs`, by default.
            lag_limit: Lag::Entries(250),
            // Autopilot forgets its own timers at a change of leader, so twice its `ServerStabilizationTime` of 10 s.
            stabilization: Duration::from_secs(20),
            pruning: Some(PruningGuard {
                managed: self.manage_autopilot,
                remedy: "set `manageAutopilot: true`, or set autopilot's MinQuorum to the number of slots yourself",
            }),
            forms_together: true,
            version: self.version.clone(),
        }
    }
}
