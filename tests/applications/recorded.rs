//! The answers of Consul servers in one phase of a roll, as they were recorded.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::server::{Asked, listen, serve};

/// A phase of a roll as recorded: who leads as each server saw it, and what the servers answered.
#[derive(Clone)]
pub struct Recorded {
    pub leaders: BTreeMap<IpAddr, String>,
    pub script: BTreeMap<String, (u16, Value)>,
}

impl Recorded {
    /// Reads `tests/applications/consul/<phase>.json`.
    pub fn phase(phase: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/applications/consul/{phase}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut file: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        file.remove("story").unwrap();
        let leaders = serde_json::from_value(file.remove("leaders").unwrap()).unwrap();
        let script = file
            .into_iter()
            .map(|(call, answer)| (call, (answer["status"].as_u64().unwrap() as u16, answer["body"].clone())));
        Self { leaders, script: script.collect() }
    }

    /// The body of the answer to `GET` of a path, to be changed.
    pub fn body(&mut self, path: &str) -> &mut Value {
        &mut self.script.get_mut(&format!("GET {path}")).unwrap().1
    }

    /// Serves it, each server at its recorded address. Gives the port.
    pub async fn serve(&self) -> (u16, Asked) {
        let asked = Asked::default();
        let addresses: Vec<IpAddr> = self.leaders.keys().copied().collect();
        let (port, listeners) = listen(&addresses).await;
        for (address, listener) in addresses.into_iter().zip(listeners) {
            let mut script = self.script.clone();
            script.insert("GET /v1/status/leader".to_owned(), (200, json!(self.leaders[&address])));
            tokio::spawn(serve(listener, Arc::new(Mutex::new(script)), asked.clone()));
        }
        (port, asked)
    }
}
