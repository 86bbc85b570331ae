//! The HTTP API of each server, as far as anybody here asks it, in the shapes of Consul 1.8 and of 1.20.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use serde_json::{Value, json};

use super::autopilot::MAX_TRAILING;
use super::consul::{Consul, at_least};
use super::kind::{Kind, Request};
use super::raft::{Peer, Process};
use crate::action::MemberEffect;
use crate::ids::MemberId;
use crate::ports::{ErrorKind, Outcome};
use crate::sim::time::instant;
use crate::sim::words::Refusal;
use crate::spec::quorum;

/// The port that raft talks over.
const RAFT_PORT: u16 = 8300;
/// The port that gossip talks over.
const GOSSIP_PORT: u16 = 8301;
const KEYS: &str = "/v1/kv/";
/// The prefix of canary data, the only entries that these servers keep.
const CANARIES: &str = "hermitcrab-canary/";

type Answer = (u16, String);

fn no_leader() -> Answer {
    (500, "No cluster leader".to_owned())
}

fn said(value: &Value) -> Answer {
    (200, value.to_string())
}

fn refused(refusal: &Refusal) -> Answer {
    match refusal.kind {
        ErrorKind::Invalid => (404, "Invalid URL path: not found".to_owned()),
        _ => (500, refusal.text.clone()),
    }
}

impl Consul {
    /// Answers as the server at an address does.
    pub(super) fn answer_over_http(&mut self, request: &Request, rng: &mut Rng) -> Answer {
        let Some(process) = self.raft.processes.values().find(|process| process.address == request.at).cloned() else {
            return (500, "nobody is here".to_owned());
        };
        let hears_leader = process.follows() && self.raft.leader.is_some();
        let is_stale = request.query.contains_key("stale");
        match (request.method, request.path) {
            ("GET", "/v1/status/leader") => said(&json!(self.leader_seen_by(&process))),
            ("GET", "/v1/agent/members") => said(&self.gossip_heard_by(&process)),
            ("GET", "/v1/operator/raft/configuration") if hears_leader || is_stale && process.joined.is_some() => {
                said(&self.raft_configuration(&process, request))
            }
            ("GET", "/v1/operator/autopilot/configuration") if hears_leader || is_stale && process.joined.is_some() => {
                said(&self.settings())
            }
            ("GET", "/v1/operator/autopilot/health") if hears_leader => self.health(request),
            ("PUT", "/v1/operator/autopilot/configuration") if hears_leader => self.set(request),
            ("POST" | "PUT", "/v1/operator/raft/transfer-leader") if at_least(&process.version, 1, 15) => {
                if hears_leader {
                    self.transfer(request, rng)
                } else {
                    no_leader()
                }
            }
            (_, "/v1/operator/raft/transfer-leader") => (404, "Invalid URL path: not found".to_owned()),
            (method, path) if path.starts_with(KEYS) && hears_leader => self.keep(method, &path[KEYS.len()..], request),
            (_, path) if path.starts_with(KEYS) || path.starts_with("/v1/operator/") => no_leader(),
            _ => (404, "Invalid URL path: not found".to_owned()),
        }
    }

    /// Gives the leader's address; nothing where a server hears of none.
    fn leader_seen_by(&self, process: &Process) -> String {
        let leader = self.raft.leader.as_ref().filter(|_| process.follows());
        let peer = leader.and_then(|leader| self.raft.peers.get(leader));
        peer.map(|peer| raft_address(peer.address)).unwrap_or_default()
    }

    /// Lists everybody whom a server hears of in gossip. One that could not join hears only itself.
    fn gossip_heard_by(&self, process: &Process) -> Value {
        let alone = process.joined.is_none();
        let itself = self.raft.processes.iter().find(|(_, other)| other.address == process.address);
        let own = itself.filter(|_| alone).map(|(id, own)| self.agent(&own.name, id, own.address, false));
        let heard = self.gossip.known().filter(|_| !alone);
        let heard = heard.map(|(name, id, address, failed)| self.agent(name, id, address, failed));
        Value::Array(own.into_iter().chain(heard).collect())
    }

    fn agent(&self, name: &str, id: &MemberId, address: IpAddr, has_failed: bool) -> Value {
        let version = self.raft.processes.get(id).map(|process| process.version.clone()).unwrap_or_default();
        let datacenter = if self.datacenter.is_empty() { "dc1" } else { &self.datacenter };
        json!({
            "Name": name, "Addr": address, "Port": GOSSIP_PORT, "Status": if has_failed { 4 } else { 1 },
            "Tags": {
                "role": "consul", "dc": datacenter, "id": id, "build": format!("{version}:00000000"), "port": "8300",
            },
        })
    }

    /// Gives raft's configuration. Nobody is shown as the leader by a server that only remembers.
    fn raft_configuration(&self, process: &Process, request: &Request) -> Value {
        let names_index = at_least(&process.version, 1, 19);
        let servers = self.raft.peers.iter().map(|(id, peer)| {
            let known = self.gossip.known().find(|(_, _, address, failed)| *address == peer.address && !failed);
            let mut server = json!({
                "ID": id, "Node": known.map_or("(unknown)", |(name, ..)| name), "Address": raft_address(peer.address),
                "Leader": self.raft.leader.as_ref() == Some(id), "ProtocolVersion": "3", "Voter": peer.voter,
            });
            if names_index && let Some(process) = self.raft.processes.get(id) {
                server["LastIndex"] = json!(self.raft.applied(process, request.now));
            }
            server
        });
        json!({ "Servers": servers.collect::<Vec<_>>(), "Index": self.raft.index(request.now) })
    }

    /// Gives autopilot's verdicts, with 429 if any is bad.
    fn health(&self, request: &Request) -> Answer {
        let servers = self.raft.peers.iter().filter_map(|(id, peer)| self.verdict(id, peer, request));
        let servers: Vec<Value> = servers.collect();
        let well = servers.iter().filter(|server| server["Healthy"] == true && server["Voter"] == true).count();
        let tolerance = well.saturating_sub(quorum(self.raft.voters()));
        let all_well = servers.iter().all(|server| server["Healthy"] == true);
        let body = json!({ "Healthy": all_well, "FailureTolerance": tolerance, "Servers": servers });
        (if all_well { 200 } else { 429 }, body.to_string())
    }

    fn verdict(&self, id: &MemberId, peer: &Peer, request: &Request) -> Option<Value> {
        let (opinion, process) = (self.autopilot.opinion(id)?, self.raft.processes.get(id));
        let is_leader = self.raft.leader.as_ref() == Some(id);
        let contact = if is_leader {
            "0s"
        } else if process.is_some() {
            "27.29ms"
        } else {
            "9.3s"
        };
        let applied = process.map_or(0, |process| self.raft.applied(process, request.now));
        let since = (request.written)(instant(opinion.stable_since));
        Some(json!({
            "ID": id, "Name": peer.name, "Address": raft_address(peer.address),
            "SerfStatus": if self.gossip.has_lost(id, &peer.name) { "failed" } else { "alive" },
            "Version": process.map(|process| process.version.clone()).unwrap_or_default(),
            "Leader": is_leader, "LastContact": contact,
            "LastTerm": if process.is_some() { self.raft.term } else { 0 }, "LastIndex": applied,
            "Healthy": opinion.ill.is_none(), "Voter": peer.voter, "StableSince": since,
        }))
    }

    fn settings(&self) -> Value {
        json!({
            "CleanupDeadServers": !self.autopilot.cleanup_off, "LastContactThreshold": "200ms",
            "MaxTrailingLogs": MAX_TRAILING, "MinQuorum": self.autopilot.min_quorum,
            "ServerStabilizationTime": "10s", "RedundancyZoneTag": "", "DisableUpgradeMigration": false,
            "UpgradeVersionTag": "", "CreateIndex": 5, "ModifyIndex": self.settings_index(),
        })
    }

    /// Gives a number that is another one after each change of the settings.
    fn settings_index(&self) -> u64 {
        10 + 2 * self.autopilot.min_quorum as u64 + u64::from(self.autopilot.cleanup_off)
    }

    fn set(&mut self, request: &Request) -> Answer {
        let Ok(wanted) = serde_json::from_slice::<Value>(request.body) else {
            return (400, "Error parsing autopilot config".to_owned());
        };
        if request.query.get("cas").is_some_and(|index| *index != self.settings_index().to_string()) {
            return said(&json!(false));
        }
        self.set_least(wanted["MinQuorum"].as_u64().unwrap_or_default() as usize);
        self.set_pruning(wanted["CleanupDeadServers"].as_bool().unwrap_or(true));
        said(&json!(true))
    }

    fn transfer(&mut self, request: &Request, rng: &mut Rng) -> Answer {
        let (Some(from), Some(to)) = (self.raft.leader.clone(), request.query.get("id")) else {
            return (400, "an id is needed".to_owned());
        };
        let effect = MemberEffect::TransferLeadership { from, to: MemberId::from(to.as_str()) };
        match self.change(&effect, request.now, rng) {
            Ok(Outcome::Done | Outcome::AlreadySo) => said(&json!({ "Success": true })),
            Ok(_) => (500, "cannot find peer".to_owned()),
            Err(refusal) => refused(&refusal),
        }
    }

    fn keep(&mut self, method: &str, key: &str, request: &Request) -> Answer {
        let Some(name) = key.strip_prefix(CANARIES) else { return (404, String::new()) };
        if method == "PUT" {
            let value = String::from_utf8_lossy(request.body);
            let well: Vec<MemberId> =
                self.raft.peers.keys().filter(|id| self.is_well(id, request.now)).cloned().collect();
            return match self.raft.write_canary(name, &value, &well) {
                Ok(()) => said(&json!(true)),
                Err(refusal) => refused(&refusal),
            };
        }
        let Some(leader) = self.raft.leading() else { return no_leader() };
        let is_wanted = |found: &String| {
            if request.query.contains_key("recurse") { found.starts_with(name) } else { found == name }
        };
        let kept = leader.canaries.values().into_iter().filter(|(found, _)| is_wanted(found));
        let entries: Vec<Value> = kept.map(|(found, value)| entry(&found, &value)).collect();
        if entries.is_empty() { (404, String::new()) } else { said(&Value::Array(entries)) }
    }
}

fn entry(key: &str, value: &str) -> Value {
    json!({
        "LockIndex": 0, "Key": format!("{CANARIES}{key}"), "Flags": 0, "Value": STANDARD.encode(value),
        "CreateIndex": 20, "ModifyIndex": 20,
    })
}

fn raft_address(address: IpAddr) -> String {
    SocketAddr::new(address, RAFT_PORT).to_string()
}
