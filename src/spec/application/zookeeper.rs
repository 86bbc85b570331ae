//! ZooKeeper servers in a desired-state file: as written, as meant, and what they are like.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, HttpSpec};
use super::{Lag, LeaderGoes, NO_FIXED_ADDRESSES, Rules, Scheme, SlotLimits, VersionSteps, minor_steps};
use crate::spec::load::meaning::{Meaning, boolean};
use crate::spec::quorum;
use crate::spec::raw::Text;

/// The numbers of ZooKeeper servers that make sense.
pub(super) const SLOTS: SlotLimits = SlotLimits {
    needed: quorum,
    more_tolerate_more: true,
    most: 7,
    why_no_more: "each further voter makes every write slower; let observers, which hermitcrab leaves alone, serve more clients",
    why_addresses: Some(
        "a ZooKeeper server is found at the address that the others have in their configuration, and with another one its peers would not reach it",
    ),
    why_no_rehearsal: Some(NO_FIXED_ADDRESSES),
};

/// The way to ZooKeeper servers, and the expectations of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "Zookeeper")]
pub struct Written {
    /// Ask the AdminServer. With `false` the servers are asked by four-letter words, at the port for clients and in the clear: `conf`,
    /// `mntr` and `srvr`, which then have to be in `4lw.commands.whitelist` of every server.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    pub admin_server: Text,
    /// The scheme of the AdminServer.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["http", "https"], "default" = "http"))]
    pub scheme: Text,
    /// The port of the AdminServer (`admin.serverPort`), or that for clients. Left out: 8080, or 2181.
    #[serde(default)]
    #[schemars(with = "u16", extend("minimum" = 1))]
    pub port: Text,
    /// A PEM file with the CA that signed the servers' certificates, relative to this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub ca_file: Text,
    /// A PEM file with the controller's own certificate, for servers that ask for one (`admin.needClientAuth`); relative to this
    /// file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub client_cert_file: Text,
    /// A PEM file with the key of `clientCertFile`, relative to this file.
    #[serde(default)]
    #[schemars(with = "String")]
    pub client_key_file: Text,
    /// A DNS name that every server's certificate bears. Left out: the certificates are for the servers' addresses.
    #[serde(default)]
    #[schemars(with = "String")]
    pub server_name: Text,
    /// The version that a server on the desired image must report, e.g. `3.9.3`. Servers are tried side by side by their authors
    /// only where one version is the next one, so nothing is replaced by an image whose version is not known.
    #[schemars(required, with = "String", extend("pattern" = "^[0-9]+\\.[0-9]+\\.[0-9]+"))]
    pub version: Text,
}

/// The way to ZooKeeper servers, and the expectations of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZookeeperSpec {
    /// The way to them; without their AdminServer the port alone counts.
    #[serde(flatten)]
    pub http: HttpSpec,
    /// The servers are asked by four-letter words, because their AdminServer is off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub four_letter_words: bool,
    /// The version that a server on the desired image must report; none while a copy of a cluster is made.
    pub version: Option<String>,
}

impl Written {
    /// Says what is meant, or reports why that cannot be said.
    pub(super) fn meant(&self, meaning: &mut Meaning<'_, '_>) -> Option<ZookeeperSpec> {
        let version = meaning.version(&self.version);
        let server_name = meaning.domain(&self.server_name);
        let four_letter_words = !boolean(&self.admin_server, true);
        let port = if four_letter_words { 2181 } else { 8080 };
        if four_letter_words {
            self.nothing_of_tls(meaning);
        }
        let fields = http::Fields {
            scheme: &self.scheme,
            port: &self.port,
            default_ports: (port, port),
            ca_file: &self.ca_file,
            client_cert_file: &self.client_cert_file,
            client_key_file: &self.client_key_file,
        };
        let http = fields.meant(meaning, server_name);
        Some(ZookeeperSpec { http: http?, four_letter_words, version: Some(version?) })
    }

    /// Reports what would have servers asked in a way in which four-letter words are not.
    fn nothing_of_tls(&self, meaning: &mut Meaning<'_, '_>) {
        let files = [
            ("caFile", &self.ca_file),
            ("clientCertFile", &self.client_cert_file),
            ("clientKeyFile", &self.client_key_file),
            ("serverName", &self.server_name),
        ];
        let scheme = (http::scheme(&self.scheme) == Scheme::Https).then_some(("scheme: https", &self.scheme));
        meaning.without_admin_server(scheme.into_iter().chain(files));
    }
}

impl ZookeeperSpec {
    /// Says what ZooKeeper servers are like.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            needed: SLOTS.needed,
            leader: Some(LeaderGoes::Last),
            // The servers are not asked at quite the same moment while clients write, and an ensemble takes some ten thousand
            // writes a second: a tenth of a second.
            lag_limit: Lag::Entries(1_000),
            // `initLimit` of ZooKeeper's own example: the time that a follower is given to catch up with a new leader.
            stabilization: Duration::from_secs(20),
            pruning: None,
            forms_together: true,
            prepares: false,
            moves_members: false,
            observers: true,
            version: self.version.clone(),
            version_steps: Some(STEPS),
            why_addresses: SLOTS.why_addresses,
            why_no_rehearsal: SLOTS.why_no_rehearsal,
        }
    }
}

/// The steps that ZooKeeper takes. Its servers agree on no version, so the step back is one as well: seen of 3.8 and 3.9.
const STEPS: VersionSteps = VersionSteps {
    allows: is_neighbour_or_same,
    rule: "from one minor version to the next one, or back to the one before",
    remedy: "commit an image and its `version` of each minor version in between first",
};

/// Says whether two versions are of the same minor version, or of two that follow each other.
fn is_neighbour_or_same(from: &str, to: &str) -> bool {
    matches!(minor_steps(from, to), Some(-1..=1))
}

#[cfg(test)]
mod tests {
    use super::is_neighbour_or_same;

    #[test]
    fn a_step_leads_to_the_same_minor_version_or_a_neighbour() {
        for (from, to) in [("3.8.0", "3.8.4"), ("3.8.4", "3.9.3"), ("3.9.3", "3.8.4"), ("3.9.3", "3.10.0")] {
            assert!(is_neighbour_or_same(from, to), "{from} → {to}");
        }
        for (from, to) in [("3.7.2", "3.9.3"), ("3.9.3", "3.7.2"), ("3.9.3", "4.0.0"), ("unknown", "3.9.3")] {
            assert!(!is_neighbour_or_same(from, to), "{from} → {to}");
        }
    }
}
