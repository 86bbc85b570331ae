//! Members of PostgreSQL under Patroni in a desired-state file: as written, as meant, and what they are like.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, HttpSpec};
use super::{Lag, LeaderGoes, Needed, Rules, SlotLimits, VersionSteps};
use crate::spec::load::meaning::{Meaning, written};
use crate::spec::raw::Text;

/// The numbers of members that make sense. Each has the whole database, so one that is healthy can serve.
pub(super) const SLOTS: SlotLimits = SlotLimits {
    needed: Needed::ONE,
    more_tolerate_more: true,
    most: 9,
    why_no_more: "each further replica is sent the whole log by the leader",
    why_addresses: None,
    why_no_rehearsal: Some("the members of a copy would register themselves in the store of the cluster itself"),
};

/// The way to the members, and the expectations of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "Patroni")]
pub struct Written {
    /// The name of the cluster in Patroni's own configuration (`scope`). A member of another scope counts for nothing.
    #[schemars(required, with = "String")]
    pub scope: Text,
    /// The scheme of the REST API.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["http", "https"], "default" = "http"))]
    pub scheme: Text,
    /// The port of the REST API.
    #[serde(default)]
    #[schemars(with = "u16", extend("minimum" = 1, "default" = 8008))]
    pub port: Text,
    /// A PEM file with the CA that signed the members' certificates, relative to this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub ca_file: Text,
    /// A PEM file with the controller's own certificate, for members that ask for one (`restapi.verify_client`); relative to
    /// this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub client_cert_file: Text,
    /// A PEM file with the key of `clientCertFile`, relative to this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub client_key_file: Text,
    /// A DNS name that every member's certificate bears. Left out: the certificates are for the members' addresses.
    #[serde(default)]
    #[schemars(with = "String")]
    pub server_name: Text,
    /// The user of the REST API, where Patroni asks for one before a switchover (`restapi.authentication`).
    #[serde(default)]
    #[schemars(with = "String")]
    pub username: Text,
    /// A file that holds the password of `username`, relative to this file; read again when it changes.
    #[serde(default)]
    #[schemars(with = "String")]
    pub password_file: Text,
    /// Send the password over plain HTTP, where everybody on the way can read it.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub password_in_clear: Text,
    /// The version of PostgreSQL that a member on the desired image must report, e.g. `15.18`. A major version is a job of its
    /// own, so nothing is replaced by an image whose version is not known.
    #[schemars(required, with = "String", extend("pattern" = "^[0-9]+\\.[0-9]+"))]
    pub version: Text,
}

/// The way to the members, and the expectations of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatroniSpec {
    /// The name of the cluster in Patroni's own configuration.
    pub scope: String,
    /// The way to them.
    #[serde(flatten)]
    pub http: HttpSpec,
    /// The user of the REST API, and the file with the password: both or neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The file that holds the password; read again when it changes.
    #[serde(skip_serializing)]
    pub password_file: Option<String>,
    /// The version that a member on the desired image must report; none while a copy of a cluster is made.
    pub version: Option<String>,
}

impl Written {
    /// Says what is meant, or reports why that cannot be said.
    pub(super) fn meant(&self, meaning: &mut Meaning<'_, '_>) -> Option<PatroniSpec> {
        let scope = meaning.scope(&self.scope);
        let version = meaning.postgresql_version(&self.version);
        let server_name = meaning.domain(&self.server_name);
        meaning.secret_in_clear(
            "password",
            http::scheme(&self.scheme),
            &self.password_file,
            ("passwordInClear", &self.password_in_clear),
        );
        let fields = http::Fields {
            scheme: &self.scheme,
            port: &self.port,
            default_ports: (8008, 8008),
            ca_file: &self.ca_file,
            client_cert_file: &self.client_cert_file,
            client_key_file: &self.client_key_file,
        };
        let http = fields.meant(meaning, server_name);
        meaning.both(("username", &self.username), ("passwordFile", &self.password_file))?;
        Some(PatroniSpec {
            scope: scope?,
            http: http?,
            username: written(&self.username).map(str::to_owned),
            password_file: meaning.beside(&self.password_file),
            version: Some(version?),
        })
    }
}

impl PatroniSpec {
    /// Says what members of PostgreSQL are like.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            needed: SLOTS.needed,
            leader: Some(LeaderGoes::Last),
            // One segment of the log. Patroni itself promotes nobody who is a mebibyte behind at a failover; at a switchover the
            // leader sends everything first, and until then a replica that lags makes it longer.
            lag_limit: Lag::Bytes(16 << 20),
            // Patroni's time to live: after it a leader that is lost is known to be lost.
            stabilization: Duration::from_secs(30),
            pruning: None,
            forms_together: false,
            prepares: false,
            moves_members: false,
            observers: false,
            version: self.version.clone(),
            version_steps: Some(STEPS),
            why_addresses: SLOTS.why_addresses,
            why_no_rehearsal: SLOTS.why_no_rehearsal,
        }
    }
}

/// The steps that PostgreSQL takes: the log of one major version is no log to another, and a newer minor version reads that of
/// an older one and the other way round.
/// (<https://www.postgresql.org/docs/15/warm-standby.html>)
const STEPS: VersionSteps = VersionSteps {
    allows: is_same_major,
    rule: "within one major version",
    remedy: "a major version is another job, with `pg_upgrade` and all members down, or with logical replication to a new cluster",
};

/// Says whether two versions share their major version: the first number, or the first two before 10.
fn is_same_major(from: &str, to: &str) -> bool {
    let major = |version: &str| {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
        let first = parts.next()??;
        Some((first, if first < 10 { parts.next()?? } else { 0 }))
    };
    matches!((major(from), major(to)), (Some(old), Some(new)) if old == new)
}

#[cfg(test)]
mod tests {
    use super::is_same_major;

    #[test]
    fn a_step_leads_to_the_same_major_version_alone() {
        for (from, to) in [("15.3", "15.18"), ("15.18", "15.3"), ("9.6.1", "9.6.24")] {
            assert!(is_same_major(from, to), "{from} → {to}");
        }
        for (from, to) in [("15.18", "16.1"), ("16.1", "15.18"), ("9.5.1", "9.6.1"), ("unknown", "15.1")] {
            assert!(!is_same_major(from, to), "{from} → {to}");
        }
    }
}
