//! Real RabbitMQ nodes: how one is started, what the rig itself asks of them, and a client that publishes to a quorum queue.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Rig;
use crate::kind::Server;
use crate::process::{self, Process, Signal};
use crate::{AT_MOST, until};

/// The name of a rig's cluster of it.
pub const CLUSTER: &str = "rabbitmq-rig";
/// The port of every node's management API, at its own address.
const PORT: u16 = 15672;

/// Has the guest's script write where the rig looks.
pub fn settings(own: &Path) -> Vec<(&'static str, String)> {
    vec![("RABBITMQ_OUTPUT", own.join("run/rabbitmq/hermitcrab.env").display().to_string())]
}

/// Asks a node for all nodes, and each of them who it is.
pub async fn servers(http: &reqwest::Client, address: &str) -> Vec<Server> {
    let (nodes, overview) = (get(http, address, "nodes").await, get(http, address, "overview").await);
    let listeners = overview["listeners"].as_array().cloned().unwrap_or_default();
    let mut servers = Vec::new();
    for node in nodes.as_array().into_iter().flatten() {
        let id = text(&node["name"]);
        let is_its = |listener: &&Value| listener["node"] == node["name"] && listener["protocol"] == "amqp";
        let host = listeners.iter().find(is_its).map(|listener| text(&listener["ip_address"])).unwrap_or_default();
        let answers = node["running"] == true && get(http, &host, "overview").await["node"] == node["name"];
        let name = id.rsplit('@').next().unwrap_or_default().to_owned();
        servers.push(Server { name, leader: false, voter: true, healthy: answers, id, host });
    }
    servers
}

/// Says whether a node serves: nobody leads.
pub async fn is_led(http: &reqwest::Client, address: &str) -> bool {
    !get(http, address, "overview").await.is_null()
}

async fn get(http: &reqwest::Client, address: &str, what: &str) -> Value {
    let url = format!("http://{address}:{PORT}/api/{what}");
    match http.get(url).basic_auth("guest", Some("guest")).send().await {
        Ok(answer) if answer.status().is_success() => answer.json().await.unwrap_or_default(),
        _ => Value::Null,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A client that publishes, and whatever else the nodes of one rig need beside them. Ends with this.
pub struct Client {
    process: Process,
    log: PathBuf,
}

/// The client's own account of what it has done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub confirmed: BTreeSet<u64>,
    pub unknown: BTreeSet<u64>,
    pub found: Vec<u64>,
    pub longest_stall: f64,
}

/// Runs what the nodes of a rig look each other's names up with. Each would start one that outlives it.
pub fn names(rig: &Rig) -> Process {
    let address = rig.slots[0].address.as_ref().unwrap();
    let network: u16 = address.split('.').nth(1).and_then(|number| number.parse().ok()).unwrap();
    let mut command = process::command(&rig.programs[0].path);
    command.arg("epmd").env("ERL_EPMD_PORT", (20_000 + network).to_string());
    Process::start(command, &rig.dir.join("epmd"))
}

impl Account {
    /// Messages that were confirmed and are not there.
    pub fn lost(&self) -> Vec<u64> {
        self.confirmed.iter().filter(|value| !self.found.contains(value)).copied().collect()
    }

    /// Messages that are there and were never published.
    pub fn unheard_of(&self) -> Vec<u64> {
        let known = |value: &&u64| self.confirmed.contains(value) || self.unknown.contains(value);
        self.found.iter().filter(|value| !known(value)).copied().collect()
    }
}

impl Client {
    /// Begins to publish. Its own library lies in a folder.
    pub fn start(rig: &Rig, pika: &str) -> Self {
        let mut command = process::command("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/rabbitmq/client.py")).env("PYTHONPATH", pika);
        command.args(rig.slots.iter().filter_map(|slot| slot.address.as_ref()));
        let log = rig.dir.join("client");
        Self { process: Process::start(command, &log), log }
    }

    /// Says whether the first message was confirmed.
    pub fn has_begun(&self) -> bool {
        fs::read_to_string(&self.log).is_ok_and(|said| said.contains("confirmed"))
    }

    /// Has it end, and reads its account.
    pub async fn finish(mut self) -> Account {
        self.process.signal(Signal::Term);
        let ended = until("the client to end", AT_MOST, async || self.process.ended()).await;
        let said = fs::read_to_string(&self.log).unwrap();
        assert!(ended.success(), "{said}");
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }
}
