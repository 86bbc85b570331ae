//! Consul servers in a desired-state file: as written, as meant, and what they are like.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, HttpSpec};
use super::{Lag, LeaderGoes, PruningGuard, Rules, SlotLimits};
use crate::spec::load::meaning::{Meaning, boolean};
use crate::spec::quorum;
use crate::spec::raw::Text;

/// The numbers of Consul servers that make sense.
pub(super) const SLOTS: SlotLimits = SlotLimits {
    needed: quorum,
    more_tolerate_more: true,
    most: 9,
    why_no_more: "each further voter makes every write slower; add non-voting members outside of this cluster instead",
    why_addresses: None,
    why_no_rehearsal: None,
};

/// The way to Consul servers, and the expectations of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "Consul")]
pub struct Written {
    /// The Consul datacenter.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = "dc1"))]
    pub datacenter: Text,
    /// The DNS domain of Consul's own names, as `domain` of its configuration: certificates are for `server.<datacenter>.<domain>`.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = "consul"))]
    pub domain: Text,
    /// The scheme of the HTTP API.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["http", "https"], "default" = "http"))]
    pub scheme: Text,
    /// The port of the HTTP API. Left out: 8500 for http, 8501 for https.
    #[serde(default)]
    #[schemars(with = "u16", extend("minimum" = 1))]
    pub port: Text,
    /// A PEM file with the CA that signed the servers' certificates, relative to this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub ca_file: Text,
    /// A PEM file with the controller's own certificate, for servers that ask for one; relative to this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub client_cert_file: Text,
    /// A PEM file with the key of `clientCertFile`, relative to this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub client_key_file: Text,
    /// A file that holds the ACL token, relative to this file; read again when it changes.
    #[serde(default)]
    #[schemars(with = "String")]
    pub token_file: Text,
    /// Send the token over plain HTTP, where everybody on the way can read it.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub token_in_clear: Text,
    /// The version that a member on the desired image must report, e.g. `1.20.1` or `1.20.1+ent`.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^[0-9]+\\.[0-9]+\\.[0-9]+"))]
    pub version: Text,
    /// Let the controller set autopilot's `MinQuorum` to the declared number of servers.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub manage_autopilot: Text,
}

/// The way to Consul servers, and the expectations of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsulSpec {
    /// The Consul datacenter.
    pub datacenter: String,
    /// The DNS domain of Consul's own names, where it is not `consul`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The way to them.
    #[serde(flatten)]
    pub http: HttpSpec,
    /// A file that holds the ACL token; read again when it changes.
    #[serde(skip_serializing)]
    pub token_file: Option<String>,
    /// The version that a member on the desired image must report.
    pub version: Option<String>,
    /// Let the controller set autopilot's `MinQuorum` to the declared number of servers.
    pub manage_autopilot: bool,
}

impl Written {
    /// Says what is meant, or reports why that cannot be said.
    pub(super) fn meant(&self, meaning: &mut Meaning<'_, '_>) -> Option<ConsulSpec> {
        let version = meaning.version(&self.version);
        let datacenter = meaning.datacenter(&self.datacenter);
        let domain = meaning.domain(&self.domain);
        meaning.secret_in_clear(
            "token",
            http::scheme(&self.scheme),
            &self.token_file,
            ("tokenInClear", &self.token_in_clear),
        );
        let fields = http::Fields {
            scheme: &self.scheme,
            port: &self.port,
            default_ports: (8500, 8501),
            ca_file: &self.ca_file,
            client_cert_file: &self.client_cert_file,
            client_key_file: &self.client_key_file,
        };
        let http = fields.meant(meaning, None);
        Some(ConsulSpec {
            datacenter: datacenter.unwrap_or_else(|| "dc1".to_owned()),
            domain,
            http: http?,
            token_file: meaning.beside(&self.token_file),
            version,
            manage_autopilot: boolean(&self.manage_autopilot, false),
        })
    }
}

impl ConsulSpec {
    /// Says what Consul servers are like.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            needed: SLOTS.needed,
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
            prepares: false,
            moves_members: false,
            observers: false,
            version: self.version.clone(),
            version_steps: None,
            why_addresses: SLOTS.why_addresses,
            why_no_rehearsal: SLOTS.why_no_rehearsal,
        }
    }
}
