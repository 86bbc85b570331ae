//! Real Consul servers: how one is started, and the few requests that the rig itself and the cluster's clients send to them.

use std::fs;
use std::path::Path;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use crate::boot::Image;
use crate::kind::{Server, Written};
use crate::servers::Program;
use crate::world::Guest;

/// The name of a rig's cluster of it.
pub const CLUSTER: &str = "consul-rig";
/// The port of every server's HTTP API, at its own address.
const PORT: u16 = 8500;

/// Has the guest's script write where the rig looks.
pub fn settings(own: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("CONSUL_OUTPUT", own.join("run/consul/hermitcrab.json").display().to_string()),
        ("CONSUL_SECRETS", own.join("secrets").display().to_string()),
        // Cloud auto-join asks EC2 itself. Here the hypervisor has servers find each other.
        ("CONSUL_RETRY_JOIN", String::new()),
    ]
}

/// Makes the command of the image's unit, with a further file of settings. The server looks for its peers where they are now.
pub fn server(image: &Image, program: &Program, guest: &Guest, own: &Path, peers: &[String]) -> Command {
    let config = json!({
        // The image has it listen on 127.0.0.1 too, of which there is one for all of them.
        "client_addr": guest.address,
        "retry_join": peers,
        "retry_interval": "1s",
        // Six clusters share two cores: a leader that is not given one for half a second must not step down.
        "performance": { "raft_multiplier": 3 },
        "ports": { "dns": -1, "serf_wan": -1 },
        "log_level": "INFO",
    });
    let file = own.join("rig.json");
    fs::write(&file, config.to_string()).unwrap();
    let mut command = image.server(program, own);
    command.arg("-config-file").arg(&file); // the last one wins
    command
}

/// The node id that lies on a volume.
pub fn node_id(volume: &Path) -> Option<String> {
    fs::read_to_string(volume.join("node-id")).ok()
}

/// A server as autopilot sees it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Seen {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    address: String,
    leader: bool,
    voter: bool,
    healthy: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    servers: Option<Vec<Seen>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    addr: String,
    status: u8,
}

/// Asks a server for the leader's view of all servers.
pub async fn servers(http: &reqwest::Client, address: &str) -> Vec<Server> {
    // 429 says that not all is well, and has the same body.
    let health: Option<Health> = get(http, address, "operator/autopilot/health").await;
    let servers = health.and_then(|health| health.servers).unwrap_or_default();
    let server = |Seen { id, name, address, leader, voter, healthy }| {
        let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host).to_owned();
        Server { name, id, host, leader, voter, healthy }
    };
    servers.into_iter().map(server).collect()
}

/// Says whether a server has heard of a leader since it was started.
pub async fn is_led(http: &reqwest::Client, address: &str) -> bool {
    let leader: Option<String> = get(http, address, "status/leader").await;
    leader.is_some_and(|leader| !leader.is_empty())
}

/// Has a server join each of these peers that does not see it alive where it is.
pub async fn introduce(http: &reqwest::Client, guest: &Guest, peers: &[String]) {
    for peer in peers {
        let members: Option<Vec<Member>> = get(http, peer, "agent/members").await;
        let seen = |member: &Member| member.name == guest.slot && member.addr == guest.address && member.status == 1;
        if !members.is_some_and(|members| members.iter().any(seen)) {
            http.put(url(&guest.address, &format!("agent/join/{peer}"))).send().await.ok();
        }
    }
}

/// Reads a value and its index.
pub async fn read(http: &reqwest::Client, address: &str, key: &str) -> Option<(u64, u64)> {
    let answer = http.get(url(address, &format!("kv/{key}?consistent&raw"))).send().await.ok()?;
    let index = answer.headers().get("x-consul-index")?.to_str().ok()?.parse().ok()?;
    match answer.status() {
        // The index of a key that is not there is the store's: it is created with 0.
        StatusCode::NOT_FOUND => Some((0, 0)),
        StatusCode::OK => Some((answer.text().await.ok()?.trim().parse().ok()?, index)),
        _ => None,
    }
}

/// Writes a value, if asked to only over an index.
pub async fn write(http: &reqwest::Client, address: &str, key: &str, value: u64, over: Option<u64>) -> Written {
    let query = over.map(|index| format!("?cas={index}")).unwrap_or_default();
    let answer = http.put(url(address, &format!("kv/{key}{query}"))).body(value.to_string()).send().await?;
    if answer.status() != StatusCode::OK {
        return Err(None);
    }
    // Anything else says that the index was another one than expected.
    Ok(answer.text().await?.trim() == "true")
}

async fn get<T: serde::de::DeserializeOwned>(http: &reqwest::Client, address: &str, path: &str) -> Option<T> {
    http.get(url(address, path)).send().await.ok()?.json().await.ok()
}

/// A URL of a server's HTTP API.
pub fn url(address: &str, path: &str) -> String {
    format!("http://{address}:{PORT}/v1/{path}")
}
