//! etcd members in a desired-state file: as written, as meant, and what they are like.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, HttpSpec};
use super::{Lag, LeaderGoes, Rules, SlotLimits, VersionSteps, minor_steps};
use crate::spec::load::meaning::{Meaning, written};
use crate::spec::quorum;
use crate::spec::raw::Text;

/// The numbers of etcd members that make sense.
pub(super) const SLOTS: SlotLimits = SlotLimits {
    needed: quorum,
    more_tolerate_more: true,
    most: 7,
    why_no_more: "etcd advises against more than seven: each further voter makes every write slower",
    why_addresses: None,
    why_no_rehearsal: Some(
        "the members of a new etcd cluster begin with the addresses of all of them, and those of a copy are not known before its launch",
    ),
};

/// The way to etcd members, and the expectations of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "Etcd")]
pub struct Written {
    /// The scheme of the client URLs.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["http", "https"], "default" = "http"))]
    pub scheme: Text,
    /// The port of the client URLs.
    #[serde(default)]
    #[schemars(with = "u16", extend("minimum" = 1, "default" = 2379))]
    pub port: Text,
    /// A PEM file with the CA that signed the members' certificates, relative to this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub ca_file: Text,
    /// A PEM file with the controller's own certificate, for members that ask for one (`--client-cert-auth`); relative to this
    /// file.
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
    /// The user to log in as, where etcd asks for one (`etcdctl auth enable`).
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
    /// The version that a member on the desired image must report, e.g. `3.5.16`. etcd goes from one minor version to the next
    /// one, so nothing is replaced by an image whose version is not known.
    #[schemars(required, with = "String", extend("pattern" = "^[0-9]+\\.[0-9]+\\.[0-9]+"))]
    pub version: Text,
}

/// The way to etcd members, and the expectations of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdSpec {
    /// The way to them.
    #[serde(flatten)]
    pub http: HttpSpec,
    /// The user to log in as, and the file with the password: both or neither.
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
    pub(super) fn meant(&self, meaning: &mut Meaning<'_, '_>) -> Option<EtcdSpec> {
        let version = meaning.version(&self.version);
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
            default_ports: (2379, 2379),
            ca_file: &self.ca_file,
            client_cert_file: &self.client_cert_file,
            client_key_file: &self.client_key_file,
        };
        let http = fields.meant(meaning, server_name);
        meaning.both(("username", &self.username), ("passwordFile", &self.password_file))?;
        Some(EtcdSpec {
            http: http?,
            username: written(&self.username).map(str::to_owned),
            password_file: meaning.beside(&self.password_file),
            version: Some(version?),
        })
    }
}

impl EtcdSpec {
    /// Says what etcd members are like.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            needed: SLOTS.needed,
            leader: Some(LeaderGoes::Last),
            // The members are asked one after the other while clients write, so they never all say the same index. A fifth of
            // the 5000 entries that etcd keeps for slow members, and at which it turns writes away.
            lag_limit: Lag::Entries(1_000),
            // Ten elections, which take one to two seconds each at the default timeout.
            stabilization: Duration::from_secs(20),
            pruning: None,
            forms_together: true,
            prepares: false,
            moves_members: true,
            observers: false,
            version: self.version.clone(),
            version_steps: Some(STEPS),
            why_addresses: SLOTS.why_addresses,
            why_no_rehearsal: SLOTS.why_no_rehearsal,
        }
    }
}

/// The steps that etcd takes: a member refuses to start below the version that the cluster has agreed on, and two versions side
/// by side are tried by its authors only where one is the next one.
/// (<https://etcd.io/docs/v3.5/upgrades/upgrading-etcd/>)
const STEPS: VersionSteps = VersionSteps {
    allows: is_next_or_same,
    rule: "from one minor version to the next one, and never back",
    remedy: "commit an image and its `version` of each minor version in between first; etcd starts no older one than the members have agreed on",
};

/// Says whether a version is of the same minor version as another, or of the next one.
fn is_next_or_same(from: &str, to: &str) -> bool {
    matches!(minor_steps(from, to), Some(0 | 1))
}

#[cfg(test)]
mod tests {
    use super::is_next_or_same;

    #[test]
    fn a_step_leads_to_the_same_minor_version_or_the_next_one() {
        for (from, to) in [("3.4.0", "3.4.23"), ("3.4.0", "3.5.16"), ("3.5.0", "3.5.1"), ("3.9.0", "3.10.0")] {
            assert!(is_next_or_same(from, to), "{from} → {to}");
        }
        for (from, to) in [("3.4.0", "3.6.1"), ("3.5.0", "3.4.23"), ("3.6.0", "4.7.0"), ("not_decided", "3.5.1")] {
            assert!(!is_next_or_same(from, to), "{from} → {to}");
        }
    }
}
