//! The JSON gateway of each member, as far as anybody here asks it, in the shapes of etcd 3.4 and 3.5.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use serde_json::{Value, json};

use super::etcd::Etcd;
use super::kind::{Kind, Request};
use super::raft::Process;
use crate::action::MemberEffect;
use crate::ids::MemberId;
use crate::ports::Outcome;

const PEER_PORT: u16 = 2380;
const CLIENT_PORT: u16 = 2379;
/// The prefix of canary data, the only entries that these members keep.
const CANARIES: &str = "hermitcrab-canary/";

type Answer = (u16, String);

fn said(value: &Value) -> Answer {
    (200, value.to_string())
}

/// Refuses a request with gRPC's code: 3.4 answers an unmet precondition with another status than newer versions.
fn refused(process: &Process, code: u32, message: &str) -> Answer {
    let status = match code {
        9 if process.version.starts_with("3.4.") => 412,
        9 => 400,
        5 => 404,
        _ => 503,
    };
    (status, json!({ "code": code, "message": message }).to_string())
}

/// Makes the number of a member of its id, which has one more digit than such a number (FNV-1a).
fn number(id: &MemberId) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn text(number: u64) -> String {
    number.to_string()
}

impl Etcd {
    /// Answers as the member at an address does.
    pub(super) fn answer_over_http(&mut self, request: &Request, rng: &mut Rng) -> Answer {
        let here = self.raft.processes.iter().find(|(_, process)| process.address == request.at);
        let Some((id, process)) = here.map(|(id, process)| (id.clone(), process.clone())) else {
            return (500, "nobody is here".to_owned());
        };
        let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
        let hears_leader = process.follows() && self.raft.leader.is_some();
        match (request.method, request.path) {
            ("GET", "/version") => {
                let agreed = self.agreed_version().unwrap_or_else(|| "not_decided".to_owned());
                said(&json!({ "etcdserver": process.version, "etcdcluster": agreed }))
            }
            ("GET", "/metrics") => (200, self.metrics(&id)),
            ("POST", "/v3/maintenance/status") => said(&self.status(&id, &process, request)),
            ("POST", "/v3/cluster/member/list") if hears_leader || body["linearizable"] != true => {
                said(&self.list(&id))
            }
            ("POST", "/v3/maintenance/transfer-leadership") => self.transfer(&id, &process, &body, request, rng),
            ("POST", "/v3/cluster/member/update") if hears_leader => self.update(&id, &process, &body, request, rng),
            ("POST", "/v3/kv/put") if hears_leader => self.put(&id, &process, &body, request),
            ("POST", "/v3/kv/range") if hears_leader => said(&self.range(&id)),
            ("POST", path) if path.starts_with("/v3/") => refused(&process, 14, "etcdserver: request timed out"),
            _ => refused(&process, 5, "Not Found"),
        }
    }

    fn header(&self, id: &MemberId) -> Value {
        json!({ "cluster_id": "1", "member_id": text(number(id)), "raft_term": text(self.raft.term) })
    }

    fn status(&self, id: &MemberId, process: &Process, request: &Request) -> Value {
        let leader = self.raft.leader.as_ref().filter(|_| process.follows());
        let applied = self.raft.applied(process, request.now);
        let mut status = json!({
            "header": self.header(id), "version": process.version, "dbSize": "20480", "dbSizeInUse": "16384",
            "raftIndex": text(self.raft.index(request.now)), "raftTerm": text(self.raft.term),
            "raftAppliedIndex": text(applied),
        });
        match leader {
            Some(leader) => status["leader"] = json!(text(number(leader))),
            None => status["errors"] = json!(["etcdserver: no leader"]),
        }
        status
    }

    fn list(&self, id: &MemberId) -> Value {
        let members = self.raft.peers.iter().map(|(id, peer)| {
            json!({
                "ID": text(number(id)), "name": peer.name,
                "peerURLs": [format!("http://{}:{PEER_PORT}", peer.address)],
                "clientURLs": [format!("http://{}:{CLIENT_PORT}", peer.address)],
            })
        });
        json!({ "header": self.header(id), "members": members.collect::<Vec<_>>() })
    }

    fn metrics(&self, id: &MemberId) -> String {
        let local = number(id);
        let line = |other: &MemberId| {
            let process = self.raft.processes.get(other);
            let active = u8::from(process.is_some_and(|process| process.joined.is_some()));
            format!("etcd_network_active_peers{{Local=\"{local:x}\",Remote=\"{:x}\"}} {active}\n", number(other))
        };
        self.raft.peers.keys().filter(|other| *other != id).map(line).collect()
    }

    fn transfer(&mut self, id: &MemberId, process: &Process, body: &Value, request: &Request, rng: &mut Rng) -> Answer {
        if self.raft.leader.as_ref() != Some(id) {
            return refused(process, 9, "etcdserver: not leader");
        }
        let wanted = body["targetID"].as_str().unwrap_or_default();
        let to = self.raft.peers.keys().find(|peer| text(number(peer)) == wanted).cloned();
        let Some(to) = to else { return refused(process, 9, "etcdserver: bad leader transferee") };
        match self.change(&MemberEffect::TransferLeadership { from: id.clone(), to }, request.now, rng) {
            Ok(Outcome::Done | Outcome::AlreadySo) => said(&json!({ "header": self.header(id) })),
            Ok(_) | Err(_) => refused(process, 9, "etcdserver: bad leader transferee"),
        }
    }

    /// Notes where one of the members is to be found.
    fn update(&mut self, id: &MemberId, process: &Process, body: &Value, request: &Request, rng: &mut Rng) -> Answer {
        let wanted = body["ID"].as_str().unwrap_or_default();
        let member = self.raft.peers.keys().find(|peer| text(number(peer)) == wanted).cloned();
        let url = body["peerURLs"][0].as_str().unwrap_or_default();
        let host = url.split_once("://").and_then(|(_, rest)| rest.parse::<SocketAddr>().ok());
        let (Some(member), Some(host)) = (member, host) else {
            return refused(process, 5, "etcdserver: member not found");
        };
        let effect = MemberEffect::MoveMember { member, instance: process.instance.clone(), address: host.ip() };
        match self.change(&effect, request.now, rng) {
            Ok(Outcome::Done | Outcome::AlreadySo) => said(&self.list(id)),
            Ok(_) | Err(_) => refused(process, 9, "etcdserver: re-configuration failed"),
        }
    }

    fn put(&mut self, id: &MemberId, process: &Process, body: &Value, request: &Request) -> Answer {
        let decoded = |field: &str| {
            let bytes = STANDARD.decode(body[field].as_str().unwrap_or_default()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (key, value) = (decoded("key"), decoded("value"));
        let Some(name) = key.strip_prefix(CANARIES) else { return refused(process, 5, "Not Found") };
        let well: Vec<MemberId> = self.raft.peers.keys().filter(|id| self.is_well(id, request.now)).cloned().collect();
        match self.raft.write_canary(name, &value, &well) {
            Ok(()) => said(&json!({ "header": self.header(id) })),
            Err(refusal) => refused(process, 14, &refusal.text),
        }
    }

    /// Gives every canary, whatever range is asked for.
    fn range(&self, id: &MemberId) -> Value {
        let kept = self.raft.leading().map(|leader| leader.canaries.values()).unwrap_or_default();
        let pair = |(key, value): (&String, &String)| json!({ "key": STANDARD.encode(format!("{CANARIES}{key}")), "value": STANDARD.encode(value) });
        json!({ "header": self.header(id), "kvs": kept.iter().map(pair).collect::<Vec<_>>() })
    }
}
