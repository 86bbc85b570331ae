//! The way to servers that are asked over HTTP: the part that kinds of application share.

use serde::Serialize;

use super::Scheme;
use crate::spec::load::meaning::{Meaning, written};
use crate::spec::raw::Text;

/// The way to servers over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpSpec {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The port of the HTTP API.
    pub port: u16,
    /// A PEM file with the CA that signed the servers' certificates. Where it lies differs from machine to machine, so it is
    /// no part of what a plan is identified by.
    #[serde(skip_serializing)]
    pub ca_file: Option<String>,
    /// A PEM file with the controller's own certificate, and one with its key: both or neither.
    #[serde(skip_serializing)]
    pub client_cert_file: Option<String>,
    /// The file with that key.
    #[serde(skip_serializing)]
    pub client_key_file: Option<String>,
    /// A DNS name that every server's certificate bears in place of its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// The fields of a kind that say the way, as written.
pub(super) struct Fields<'w> {
    pub scheme: &'w Text,
    pub port: &'w Text,
    /// The port where none is written: over HTTP, and over HTTPS.
    pub default_ports: (u16, u16),
    pub ca_file: &'w Text,
    pub client_cert_file: &'w Text,
    pub client_key_file: &'w Text,
}

/// Says which scheme is meant.
pub(super) fn scheme(text: &Text) -> Scheme {
    match written(text) {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    }
}

impl Fields<'_> {
    /// Says what is meant, or reports why that cannot be said. Names in certificates are the kind's.
    pub(super) fn meant(&self, meaning: &mut Meaning<'_, '_>, server_name: Option<String>) -> Option<HttpSpec> {
        let scheme = scheme(self.scheme);
        let default = if scheme == Scheme::Https { self.default_ports.1 } else { self.default_ports.0 };
        let port = meaning.port(self.port, default);
        meaning.both(("clientCertFile", self.client_cert_file), ("clientKeyFile", self.client_key_file))?;
        Some(HttpSpec {
            scheme,
            port: port?,
            ca_file: meaning.beside(self.ca_file),
            client_cert_file: meaning.beside(self.client_cert_file),
            client_key_file: meaning.beside(self.client_key_file),
            server_name,
        })
    }
}
