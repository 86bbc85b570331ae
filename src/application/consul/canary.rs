//! Canary data: entries of the key-value store below one prefix.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::servers::{Servers, succeeded};
use super::wire::Entry;
use crate::http::Server;
use crate::ports::{ErrorKind, PortError};

/// Where canaries lie.
const PREFIX: &str = "hermitcrab-canary/";
/// What a token needs for them. To write implies to read.
const RULES: &str = "give it `key_prefix \"hermitcrab-canary/\" { policy = \"write\" }`";

/// Stores one. Says which server passed it on.
pub(super) async fn write(servers: &Servers, key: &str, value: &str) -> Result<String, PortError> {
    let doing = || servers.doing(&format!("write canary {key} to"));
    let path = format!("/v1/kv/{PREFIX}{key}");
    let put = async |server: &Server| server.put(&path, &[], value.as_bytes().to_vec()).await;
    let answer = succeeded(Ok(servers.any(doing, put).await?), RULES, doing)?;
    match answer.json().map_err(|error| PortError::new(doing(), ErrorKind::Unknown, error))? {
        true => Ok(answer.from),
        false => Err(PortError::new(doing(), ErrorKind::Unknown, answer.refused())),
    }
}

/// All of them, and which server was asked.
pub(super) async fn all(servers: &Servers) -> Result<(String, BTreeMap<String, String>), PortError> {
    let doing = || servers.doing("read the canary data of");
    let path = format!("/v1/kv/{PREFIX}");
    let list = async |server: &Server| server.get(&path, &[("recurse", ""), ("consistent", "")]).await;
    let answer = servers.any(doing, list).await?;
    if answer.status == 404 {
        // A token that may not read hears that there is none, too; it is refused only where it asks for one key.
        let one = async |server: &Server| server.get(&path, &[("consistent", "")]).await;
        let answer = servers.any(doing, one).await?;
        let from = answer.from.clone();
        return match succeeded(Ok(answer), RULES, doing) {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok((from, BTreeMap::new())),
        };
    }
    let answer = succeeded(Ok(answer), RULES, doing)?;
    let entries: Vec<Entry> = answer.json().map_err(|error| PortError::new(doing(), ErrorKind::Unknown, error))?;
    let found = entries.into_iter().filter_map(|entry| canary(entry).transpose()).collect::<Result<_, _>>();
    Ok((answer.from, found.map_err(|error: Foreign| PortError::new(doing(), ErrorKind::Unknown, error))?))
}

/// Why an entry is none of ours.
#[derive(Debug, thiserror::Error)]
#[error("the value of {key} is not text: somebody else has written there; delete that key")]
struct Foreign {
    key: String,
}

/// The entry as a key below the prefix and its value; none for the folder itself, which a person may have made.
fn canary(entry: Entry) -> Result<Option<(String, String)>, Foreign> {
    let Some(key) = entry.key.strip_prefix(PREFIX).filter(|key| !key.is_empty()) else { return Ok(None) };
    let bytes = STANDARD.decode(entry.value.as_deref().unwrap_or_default()).ok();
    let value = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    value.map(|value| Some((key.to_owned(), value))).ok_or_else(|| Foreign { key: entry.key.clone() })
}
