//! Consul's conventions over HTTP: the token's header, what follows from a refusal, and the entries of its store.
//!
//! The application and the coordination ask different things of Consul, and ask them in the same way.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::servers::Servers;
use super::{Answer, Http, Refused, Trust, Unusable, secret};
use crate::ports::{ErrorKind, PortError};

/// The header that bears the ACL token. The query parameter of the same purpose would end in logs.
const TOKEN: &str = "X-Consul-Token";

/// Reads certificates and token, and asks nobody yet. `addresses` have a scheme and a port.
pub fn open(
    http: &Http,
    trust: &Trust,
    token_file: Option<&str>,
    addresses: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Servers, Unusable> {
    let token = token_file.map(|path| secret(path, "token")).transpose()?;
    Servers::open(http, trust, token.map(|token| (TOKEN, token)), addresses)
}

/// A refusal of the token, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("the token is not enough: give it {rules}")]
struct NotEnough {
    rules: String,
    source: Refused,
}

/// Takes an answer that is a success, or says what follows from the refusal. `rules` are what a token needs, e.g.
/// `` `operator = "read"` ``.
pub fn succeeded(doing: &str, answer: Answer, rules: &str) -> Result<Answer, PortError> {
    match answer.trouble() {
        None => Ok(answer),
        Some(ErrorKind::Denied) => {
            let source = NotEnough { rules: rules.to_owned(), source: answer.refused() };
            Err(PortError::new(doing, ErrorKind::Denied, source))
        }
        Some(kind) => Err(PortError::new(doing, kind, answer.refused())),
    }
}

/// One entry in `GET /v1/kv/<key>`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// The whole key, e.g. `hermitcrab/lease`.
    pub key: String,
    /// The index to compare with when the entry is replaced.
    pub modify_index: u64,
    /// The value in base64; `null` if it is empty.
    value: Option<String>,
    /// The session that has locked it.
    pub session: Option<String>,
}

impl Entry {
    /// Decodes the value.
    pub fn bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        STANDARD.decode(self.value.as_deref().unwrap_or_default())
    }
}
