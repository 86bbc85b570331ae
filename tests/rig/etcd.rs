//! Real etcd members: how one is started, and the few requests that the rig itself and the cluster's clients send to them.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::boot::Image;
use crate::kind::{Server, Written};
use crate::servers::Program;
use crate::world::Guest;

/// The name of a rig's cluster of it.
pub const CLUSTER: &str = "etcd-rig";
/// The port of every member's client API, at its own address.
const PORT: u16 = 2379;

/// Has the guest's script write where the rig looks.
pub fn settings(own: &Path) -> Vec<(&'static str, String)> {
    vec![("ETCD_OUTPUT", own.join("run/etcd/hermitcrab.env").display().to_string())]
}

/// Makes the command of the image's unit, with its environment.
pub fn server(image: &Image, program: &Program, guest: &Guest, own: &Path) -> Command {
    let mut command = image.server(program, own);
    // The image has it listen on 127.0.0.1 too, of which there is one for all of them.
    command.env("ETCD_LISTEN_CLIENT_URLS", format!("http://{}:{PORT}", guest.address));
    // Many clusters share two cores: a leader that is not given one for a second must not be deposed. In milliseconds.
    command.envs([("ETCD_HEARTBEAT_INTERVAL", "250"), ("ETCD_ELECTION_TIMEOUT", "2500")]);
    command
}

/// Asks a member for all members, and each of them how it is. A member that answers as somebody else is not healthy.
pub async fn servers(http: &reqwest::Client, address: &str) -> Vec<Server> {
    let (list, status) = (
        post(http, address, "cluster/member/list", &json!({})).await.unwrap_or_default(),
        status(http, address).await.unwrap_or_default(),
    );
    let mut servers = Vec::new();
    for member in list["members"].as_array().into_iter().flatten() {
        let id = text(&member["ID"]);
        let host = host(&text(&member["peerURLs"][0]));
        let its = self::status(http, &host).await.unwrap_or_default();
        servers.push(Server {
            name: text(&member["name"]),
            leader: text(&status["leader"]) == id,
            voter: member["isLearner"] != true,
            healthy: text(&its["header"]["member_id"]) == id && is_healthy(http, &host).await,
            id,
            host,
        });
    }
    servers
}

/// Says whether a member knows of a leader.
pub async fn is_led(http: &reqwest::Client, address: &str) -> bool {
    status(http, address).await.is_some_and(|status| !text(&status["leader"]).is_empty())
}

/// The version that a member reports.
pub async fn version(http: &reqwest::Client, address: &str) -> Option<String> {
    status(http, address).await.map(|status| text(&status["version"]))
}

/// Raises an alarm for a member, as it does itself when its database has reached its quota.
pub async fn alarm(http: &reqwest::Client, address: &str) {
    let id = text(&status(http, address).await.unwrap_or_default()["header"]["member_id"]);
    let alarm = json!({ "action": "ACTIVATE", "memberID": id, "alarm": "NOSPACE" });
    post(http, address, "maintenance/alarm", &alarm).await.expect("the alarm to be raised");
}

/// Reads a value and the revision of its last change.
pub async fn read(http: &reqwest::Client, address: &str, key: &str) -> Option<(u64, u64)> {
    let answer = post(http, address, "kv/range", &json!({ "key": STANDARD.encode(key) })).await?;
    // A key that is not there has no list, and was never changed.
    let Some(found) = answer["kvs"].get(0) else { return Some((0, 0)) };
    let value = STANDARD.decode(found["value"].as_str()?).ok()?;
    Some((str::from_utf8(&value).ok()?.parse().ok()?, found["mod_revision"].as_str()?.parse().ok()?))
}

/// Writes a value, if asked to only over the revision of its last change.
pub async fn write(http: &reqwest::Client, address: &str, key: &str, value: u64, over: Option<u64>) -> Written {
    let key = STANDARD.encode(key);
    let put = json!({ "key": key, "value": STANDARD.encode(value.to_string()) });
    let (call, body) = match over {
        None => ("kv/put", put),
        Some(revision) => {
            let unchanged =
                json!({ "key": key, "target": "MOD", "result": "EQUAL", "modRevision": revision.to_string() });
            ("kv/txn", json!({ "compare": [unchanged], "success": [{ "requestPut": put }] }))
        }
    };
    let answer = http.post(url(address, call)).json(&body).send().await?;
    if !answer.status().is_success() {
        return Err(None);
    }
    let told: Value = answer.json().await?;
    Ok(over.is_none() || told["succeeded"] == true)
}

async fn status(http: &reqwest::Client, address: &str) -> Option<Value> {
    post(http, address, "maintenance/status", &json!({})).await
}

/// Says whether a member reads through its leader, and no alarm is raised.
async fn is_healthy(http: &reqwest::Client, address: &str) -> bool {
    let answer = http.get(format!("http://{address}:{PORT}/health")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

async fn post(http: &reqwest::Client, address: &str, call: &str, body: &Value) -> Option<Value> {
    let answer = http.post(url(address, call)).json(body).send().await.ok()?;
    if answer.status().is_success() { answer.json().await.ok() } else { None }
}

fn url(address: &str, call: &str) -> String {
    format!("http://{address}:{PORT}/v3/{call}")
}

/// The host of a URL such as "http://127.16.1.200:2380".
fn host(url: &str) -> String {
    let authority = url.rsplit('/').next().unwrap_or_default();
    authority.split(':').next().unwrap_or_default().to_owned()
}

/// Numbers come as texts, and what is zero or empty is left out.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
