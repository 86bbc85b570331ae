//! The REST API of each member, as far as anybody here asks it, in the shapes of Patroni 3.0.

use fastrand::Rng;
use serde_json::{Value, json};

use super::kind::{Kind, Request};
use super::patroni::{ENTRY, Patroni};
use super::raft::Process;
use crate::action::MemberEffect;
use crate::ids::MemberId;
use crate::ports::Outcome;

const REST_PORT: u16 = 8008;
const SQL_PORT: u16 = 5432;

type Answer = (u16, String);

fn said(value: &Value) -> Answer {
    (200, value.to_string())
}

/// Writes a version as PostgreSQL counts: `150018` of `15.18`.
fn number(version: &str) -> u32 {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    parts.next().unwrap_or(0) * 10_000 + parts.next().unwrap_or(0)
}

impl Patroni {
    /// Answers as the member at an address does.
    pub(super) fn answer_over_http(&mut self, request: &Request, rng: &mut Rng) -> Answer {
        let here = self.raft.processes.iter().find(|(_, process)| process.address == request.at);
        let Some((id, process)) = here.map(|(id, process)| (id.clone(), process.clone())) else {
            return (500, "nobody is here".to_owned());
        };
        let reaches_store = process.joined.is_some();
        match (request.method, request.path) {
            ("GET", "/patroni") => said(&self.own(&id, &process, request)),
            ("GET", "/cluster") if reaches_store => said(&self.list(request)),
            ("GET", "/config") if reaches_store => said(&json!({ "ttl": 30, "loop_wait": 10, "retry_timeout": 10 })),
            ("POST", "/switchover") if reaches_store => self.switch_over(request, rng),
            ("GET", "/cluster" | "/config") | ("POST", "/switchover") => (503, "the store does not answer".to_owned()),
            _ => (404, "Not Found".to_owned()),
        }
    }

    fn own(&self, id: &MemberId, process: &Process, request: &Request) -> Value {
        let leads = self.raft.leader.as_ref() == Some(id);
        let place = self.raft.applied(process, request.now) * ENTRY;
        let is_well = process.joined.is_some() && process.ailment(request.now).is_none();
        let mut own = json!({
            "state": if is_well { "running" } else { "starting" },
            "role": if leads { "master" } else { "replica" },
            "server_version": number(&process.version),
            "timeline": self.raft.term,
            "xlog": if leads { json!({ "location": place }) } else { json!({ "received_location": place, "replayed_location": place }) },
            "dcs_last_seen": request.now / 1_000,
            "database_system_identifier": "7713395957239929419",
            "patroni": { "version": "3.0.4", "scope": self.scope },
        });
        if self.raft.leader.is_none() {
            own["cluster_unlocked"] = json!(true);
        } else if leads {
            let others = self.raft.processes.iter().filter(|(other, _)| *other != id);
            let sent = others.filter(|(_, other)| other.joined.is_some() && other.ailment(request.now).is_none());
            let sent = sent.map(|(_, other)| json!({ "application_name": other.name, "state": "streaming" }));
            own["replication"] = sent.collect();
        } else if is_well {
            own["replication_state"] = json!("streaming");
        }
        own
    }

    fn list(&self, request: &Request) -> Value {
        let members = self.raft.peers.iter().map(|(id, peer)| {
            let leads = self.raft.leader.as_ref() == Some(id);
            let lag = self.raft.processes.get(id).map(|process| self.lag(process, request.now));
            json!({
                "name": peer.name, "role": if leads { "leader" } else { "replica" },
                "state": if leads { "running" } else { "streaming" },
                "api_url": format!("http://{}:{REST_PORT}/patroni", peer.address),
                "host": peer.address, "port": SQL_PORT, "timeline": self.raft.term,
                "lag": lag.map_or(json!("unknown"), |lag| json!(lag)),
            })
        });
        json!({ "members": members.collect::<Vec<_>>() })
    }

    fn switch_over(&mut self, request: &Request, rng: &mut Rng) -> Answer {
        let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
        let named = |field: &str| body[field].as_str().unwrap_or_default();
        let (from, to) = (named("leader"), named("candidate"));
        match (self.named(from), self.named(to)) {
            (Some(leader), Some(_)) if self.raft.leader.as_ref() == Some(&leader) => {
                let effect = MemberEffect::TransferLeadership { from: MemberId::from(from), to: MemberId::from(to) };
                match self.change(&effect, request.now, rng) {
                    Ok(Outcome::Done | Outcome::AlreadySo) => (200, "Successfully switched over".to_owned()),
                    Ok(_) | Err(_) => (412, "candidate is not healthy".to_owned()),
                }
            }
            (Some(_), None) => (412, "candidate does not exists".to_owned()),
            _ => (412, "leader name does not match".to_owned()),
        }
    }
}
