//! Recorded answers of members, one file a phase, and servers that give them on loopback addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::server::{Asked, Script, listen, serve};

/// The answers of each member that answered, by its address and the request.
pub type Servers = BTreeMap<IpAddr, BTreeMap<String, (u16, Value)>>;

/// The folder of the recordings of a kind.
pub fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(kind)
}

/// Reads `tests/<kind>/<phase>.json`: what it shows, and the answers.
pub fn phase(kind: &str, name: &str) -> (String, Servers) {
    let file: Value =
        serde_json::from_str(&fs::read_to_string(folder(kind).join(format!("{name}.json"))).unwrap()).unwrap();
    let answer = |answer: &Value| (answer["status"].as_u64().unwrap() as u16, answer["body"].clone());
    let servers = file["servers"].as_object().unwrap().iter().map(|(at, answers)| {
        let answers = answers.as_object().unwrap().iter();
        (at.parse().unwrap(), answers.map(|(call, found)| (call.clone(), answer(found))).collect())
    });
    (file["story"].as_str().unwrap().to_owned(), servers.collect())
}

/// Lists every phase of a kind.
pub fn phases(kind: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder(kind)).unwrap().map(|entry| entry.unwrap().path());
    let recorded = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    recorded.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Members that answer from now on, and note what they were asked.
pub struct Answering {
    pub port: u16,
    pub addresses: Vec<IpAddr>,
    scripts: BTreeMap<IpAddr, Script>,
    asked: Asked,
}

impl Answering {
    pub async fn of(servers: &Servers) -> Self {
        let addresses: Vec<IpAddr> = servers.keys().copied().collect();
        let (port, listeners) = listen(&addresses).await;
        let (asked, mut scripts) = (Asked::default(), BTreeMap::new());
        for ((address, answers), listener) in servers.iter().zip(listeners) {
            let script: Script = Arc::new(Mutex::new(answers.clone()));
            scripts.insert(*address, script.clone());
            tokio::spawn(serve(listener, script, asked.clone()));
        }
        Self { port, addresses, scripts, asked }
    }

    /// Sets an answer of one member.
    pub fn script(&self, at: IpAddr, call: &str, status: u16, body: Value) {
        self.scripts[&at].lock().unwrap().insert(call.to_owned(), (status, body));
    }

    /// The bodies of the requests of one kind so far, with the member that was asked.
    pub fn asked(&self, call: &str) -> Vec<(IpAddr, String)> {
        let asked = self.asked.lock().unwrap();
        let of_kind = asked.iter().filter(|(_, found, ..)| found.split('?').next() == Some(call));
        of_kind.map(|(at, _, _, body)| (*at, body.clone())).collect()
    }
}
