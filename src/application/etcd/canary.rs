//! Canary data: keys below one prefix.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::servers::{Servers, heard};
use super::wire::{Pair, Range};
use crate::http::servers::{LastAnswer, read};
use crate::http::{LIST, SETTINGS, Server};
use crate::ports::{ErrorKind, PortError};

/// The prefix of every canary's key.
const PREFIX: &str = "hermitcrab-canary/";
/// The first key after all that have the prefix: `0` comes after `/`.
const END: &str = "hermitcrab-canary0";

/// Stores one canary.
pub(super) async fn write(servers: &Servers, last: &LastAnswer, key: &str, value: &str) -> Result<(), PortError> {
    let doing = servers.doing(&format!("write canary {key} to"));
    let pair = json!({ "key": STANDARD.encode(format!("{PREFIX}{key}")), "value": STANDARD.encode(value) });
    let put = async |server: &Server| servers.post(server, "/v3/kv/put", &pair, SETTINGS).await;
    heard(&doing, Ok(servers.in_turn(last, &doing, put).await?)).map(drop)
}

/// Reads all of them, as the leader has them.
pub(super) async fn all(servers: &Servers, last: &LastAnswer) -> Result<BTreeMap<String, String>, PortError> {
    let doing = servers.doing("read the canary data of");
    let wanted = json!({ "key": STANDARD.encode(PREFIX), "range_end": STANDARD.encode(END) });
    let list = async |server: &Server| servers.post(server, "/v3/kv/range", &wanted, LIST).await;
    let range: Range = read(&doing, &heard(&doing, Ok(servers.in_turn(last, &doing, list).await?))?)?;
    let unknown = |why: String| PortError::new(doing.clone(), ErrorKind::Unknown, why);
    if range.more {
        return Err(unknown("there are more keys than one answer has".to_owned()));
    }
    range.kvs.iter().map(|pair| canary(pair).map_err(unknown)).collect()
}

/// Reads a pair as a key below the prefix and its value.
fn canary(pair: &Pair) -> Result<(String, String), String> {
    let text = |encoded: &str| STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text(&pair.key).and_then(|key| key.strip_prefix(PREFIX).map(str::to_owned));
    let key = key.ok_or("the answer has a key that was not asked for")?;
    let value = text(&pair.value).ok_or_else(|| {
        format!("the value of {PREFIX}{key} is not text: somebody else has written there; delete that key")
    })?;
    Ok((key, value))
}
