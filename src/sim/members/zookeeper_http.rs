//! The AdminServer of each server, as far as anybody here asks it, in the shapes of ZooKeeper 3.8 and 3.9.

use serde_json::{Map, Value, json};

use super::kind::Request;
use super::raft::Process;
use super::zookeeper::Zookeeper;
use crate::ids::MemberId;

const PEER_PORT: u16 = 2888;

type Answer = (u16, String);

fn said(value: &Value) -> Answer {
    (200, value.to_string())
}

impl Zookeeper {
    /// Answers as the server at an address does.
    pub(super) fn answer_over_http(&self, request: &Request) -> Answer {
        let here = self.raft.processes.iter().find(|(_, process)| process.address == request.at);
        let Some((id, process)) = here else { return (500, "nobody is here".to_owned()) };
        let serves = self.serves(process, request.now);
        let command = request.path.strip_prefix("/commands/").filter(|_| request.method == "GET");
        match command {
            Some("zabstate") if serves => said(&self.own(id, process, request)),
            Some("zabstate") => said(&json!({ "voting": false, "zabstate": "", "command": "zabstate", "error": null })),
            Some("leader") if serves => said(&self.leads(id)),
            Some("voting_view") if serves => said(&self.voters()),
            Some("monitor") if serves => said(&self.measures(id, process, request)),
            Some("monitor") => (500, "<html>java.lang.NullPointerException</html>".to_owned()),
            Some(command @ ("leader" | "voting_view")) => {
                let why = "This ZooKeeper instance is not currently serving requests";
                said(&json!({ "command": command, "error": why }))
            }
            _ => (404, "Not Found".to_owned()),
        }
    }

    fn own(&self, id: &MemberId, process: &Process, request: &Request) -> Value {
        let place = format!("{}:{PEER_PORT}", process.address);
        json!({
            "myid": self.number(&process.name), "is_leader": self.raft.leader.as_ref() == Some(id), "voting": true,
            "quorum_address": { "all_addresses": [place] }, "zab_epoch": self.raft.term,
            "zab_counter": self.raft.applied(process, request.now), "zabstate": "broadcast",
            "command": "zabstate", "error": null,
        })
    }

    fn leads(&self, id: &MemberId) -> Value {
        let leading = self.raft.leading();
        json!({
            "is_leader": self.raft.leader.as_ref() == Some(id),
            "leader_id": leading.map(|leading| self.number(&leading.name)),
            "leader_ip": leading.map(|leading| leading.address), "command": "leader", "error": null,
        })
    }

    fn voters(&self) -> Value {
        let voters = self.raft.peers.values().filter(|peer| peer.voter).map(|peer| {
            let place = format!("{}:{PEER_PORT}", peer.address);
            (self.number(&peer.name).to_string(), json!({ "server_addresses": [place], "learner_type": "participant" }))
        });
        json!({ "current_config": voters.collect::<Map<_, _>>(), "command": "voting_view", "error": null })
    }

    fn measures(&self, id: &MemberId, process: &Process, request: &Request) -> Value {
        let leads = self.raft.leader.as_ref() == Some(id);
        let mut measures = json!({
            "version": format!("{}-0000000, built on 2024-01-01 00:00 UTC", process.version),
            "server_state": if leads { "leader" } else { "follower" }, "outstanding_requests": 0,
            "quorum_size": self.raft.voters(), "digest_mismatches_count": 0, "command": "monitor", "error": null,
        });
        if leads {
            let follows = |(other, process): &(&MemberId, &Process)| {
                *other != id && self.raft.peers.contains_key(*other) && self.serves(process, request.now)
            };
            measures["synced_followers"] = json!(self.raft.processes.iter().filter(follows).count());
            measures["synced_non_voting_followers"] = json!(0);
        }
        measures
    }
}
