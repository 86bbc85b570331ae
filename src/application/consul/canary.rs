//! Canary data: entries of the key-value store below one prefix.

use std::collections::BTreeMap;

use super::servers::Servers;
use crate::http::consul::{Entry, succeeded};
use crate::http::servers::{LastAnswer, read};
use crate::http::{ENTRY, LIST, Server};
use crate::ports::{ErrorKind, PortError};

/// The prefix of every canary's key.
const PREFIX: &str = "hermitcrab-canary/";
/// The rules that a token needs for canaries. To write implies to read.
const RULES: &str = "`key_prefix \"hermitcrab-canary/\" { policy = \"write\" }`";

/// Stores one canary.
pub(super) async fn write(servers: &Servers, last: &LastAnswer, key: &str, value: &str) -> Result<(), PortError> {
    let doing = servers.doing(&format!("write canary {key} to"));
    let path = format!("/v1/kv/{PREFIX}{key}");
    let put = async |server: &Server| server.put(&path, &[], value.as_bytes().to_vec()).await;
    let answer = succeeded(&doing, servers.in_turn(last, &doing, put).await?, RULES)?;
    match read(&doing, &answer)? {
        true => Ok(()),
        false => Err(PortError::new(doing, ErrorKind::Unknown, answer.refused())),
    }
}

/// Reads all of them.
pub(super) async fn all(servers: &Servers, last: &LastAnswer) -> Result<BTreeMap<String, String>, PortError> {
    let doing = servers.doing("read the canary data of");
    let path = format!("/v1/kv/{PREFIX}");
    let list = async |server: &Server| server.get(&path, &[("recurse", ""), ("consistent", "")], LIST).await;
    let answer = servers.in_turn(last, &doing, list).await?;
    if answer.status == 404 {
        // A token that may not read is also told that there is none. Only a question for one key refuses it.
        let one = async |server: &Server| server.get(&path, &[("consistent", "")], ENTRY).await;
        let answer = servers.in_turn(last, &doing, one).await?;
        return match succeeded(&doing, answer, RULES) {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(BTreeMap::new()),
        };
    }
    let entries: Vec<Entry> = read(&doing, &succeeded(&doing, answer, RULES)?)?;
    let found = entries.iter().filter_map(|entry| canary(entry).transpose()).collect::<Result<_, _>>();
    found.map_err(|error: Foreign| PortError::new(doing, ErrorKind::Unknown, error))
}

/// The reason why an entry is none of ours.
#[derive(Debug, thiserror::Error)]
#[error("the value of {key} is not text: somebody else has written there; delete that key")]
struct Foreign {
    key: String,
}

/// Reads an entry as a key below the prefix and its value; none for the folder itself, which a person may have made.
fn canary(entry: &Entry) -> Result<Option<(String, String)>, Foreign> {
    let Some(key) = entry.key.strip_prefix(PREFIX).filter(|key| !key.is_empty()) else { return Ok(None) };
    let value = entry.bytes().ok().and_then(|bytes| String::from_utf8(bytes).ok());
    value.map(|value| Some((key.to_owned(), value))).ok_or_else(|| Foreign { key: entry.key.clone() })
}
