//! Real Consul servers: how one is started, and the few requests that the rig itself sends to them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::boot::Image;
use crate::process::Process;
use crate::world::Guest;

/// The port of every server's HTTP API, at its own address.
pub const PORT: u16 = 8500;

/// Starts the server of an instance that has booted, as its image does, and with what has to be otherwise here: many servers
/// on one machine. It looks for its peers where they are now.
pub fn start(image: &Image, guest: &Guest, own: &Path, peers: &[String], log: &Path) -> Process {
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
    let mut command = image.server(own);
    command.arg("-config-file").arg(&file); // the last one wins
    Process::start(command, log)
}

/// A server began to give up its seat, as its log says. It may have been killed before that was done.
pub fn has_left(log: &Path) -> bool {
    fs::read_to_string(log).unwrap().contains("server starting leave")
}

/// A client of Consul's HTTP API.
#[derive(Clone)]
pub struct Api(reqwest::Client);

/// A server as autopilot sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Server {
    pub name: String,
    pub address: String,
    pub leader: bool,
    pub voter: bool,
    pub healthy: bool,
}

impl Server {
    /// Says whether autopilot has it as a healthy voter.
    pub fn is_well(&self) -> bool {
        self.healthy && self.voter
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    servers: Option<Vec<Server>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    addr: String,
    status: u8,
}

impl Api {
    pub fn new() -> Self {
        Self(reqwest::Client::builder().timeout(Duration::from_secs(3)).build().unwrap())
    }

    /// Asks a server for the leader's view of all servers. The list is empty if the server does not know.
    pub async fn servers(&self, address: &str) -> Vec<Server> {
        // 429 says that not all is well, and has the same body.
        let health: Option<Health> = self.get(address, "operator/autopilot/health").await;
        health.and_then(|health| health.servers).unwrap_or_default()
    }

    /// Says whether a server has heard of a leader since it was started.
    pub async fn is_led(&self, address: &str) -> bool {
        let leader: Option<String> = self.get(address, "status/leader").await;
        leader.is_some_and(|leader| !leader.is_empty())
    }

    /// A server sees another one alive at that address.
    pub async fn sees(&self, address: &str, name: &str, at: &str) -> bool {
        let members: Option<Vec<Member>> = self.get(address, "agent/members").await;
        let seen = |member: &Member| member.name == name && member.addr == at && member.status == 1;
        members.is_some_and(|members| members.iter().any(seen))
    }

    /// Has a server join another one.
    pub async fn join(&self, address: &str, other: &str) {
        self.0.put(url(address, &format!("agent/join/{other}"))).send().await.ok();
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, address: &str, path: &str) -> Option<T> {
        let answer = self.0.get(url(address, path)).send().await.ok()?;
        answer.json().await.ok()
    }
}

/// A URL of a server's HTTP API.
pub fn url(address: &str, path: &str) -> String {
    format!("http://{address}:{PORT}/v1/{path}")
}
