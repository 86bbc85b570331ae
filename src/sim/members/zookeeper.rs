//! ZooKeeper servers: agreement and nothing on top. Nobody is dropped and nobody is let in but by a person, a server is looked for
//! at the address that its peers have for it, and leadership moves by the leader's end alone, as seen of 3.8 and 3.9.

use std::collections::BTreeSet;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::kind::{Kind, Request};
use super::raft::{Peer, Process, Raft};
use crate::action::MemberEffect;
use crate::ids::{MemberId, SlotName};
use crate::observed::{Health, Member, Membership, Pruning};
use crate::ports::Outcome;
use crate::sim::time::Millis;
use crate::sim::words::{Refusal, changed};
use crate::spec::Lag;

/// While anything is unsettled the servers look around this often.
const STEP: Millis = 1_000;
/// A server may lie this many writes behind and still be well.
const MAX_BEHIND: u64 = 1_000;

/// One cluster's servers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Zookeeper {
    pub(super) raft: Raft,
}

impl Kind for Zookeeper {
    fn raft(&self) -> &Raft {
        &self.raft
    }

    fn raft_mut(&mut self) -> &mut Raft {
        &mut self.raft
    }

    fn settle(&mut self, leader: MemberId, now: Millis) {
        self.raft.settle(leader, now);
    }

    fn step(&mut self, now: Millis, rng: &mut Rng) -> Option<Millis> {
        self.join(now);
        self.raft.form(now, rng);
        self.raft.elect(now, rng);
        self.raft.replicate(now);
        (!self.is_calm(now)).then(|| self.raft.next_look(now, STEP))
    }

    fn is_well(&self, id: &MemberId, now: Millis) -> bool {
        let (Some(peer), Some(process)) = (self.raft.peers.get(id), self.raft.processes.get(id)) else { return false };
        let caught_up = self.raft.applied(process, now) + MAX_BEHIND >= self.raft.index(now);
        process.joined.is_some() && process.ailment(now).is_none() && caught_up && peer.address == process.address
    }

    /// Lists all that have a vote, or without a leader those that answer, who then do not say their numbers.
    fn membership(&self, slots: &BTreeSet<SlotName>, now: Millis) -> Membership {
        let leader = self.raft.leader.as_ref();
        let members = match leader {
            Some(_) => self.raft.peers.iter().map(|(id, peer)| self.describe(id, peer, slots, now)).collect(),
            None => self.raft.processes.values().map(|process| idle(process, slots)).collect(),
        };
        Membership {
            members,
            leader: leader.and_then(|id| Some(self.shown(&self.raft.peers.get(id)?.name))),
            can_transfer: false,
            heirs: None,
            pruning: Pruning::Never,
            agreed_version: None,
            warnings: Vec::new(),
            blockers: Vec::new(),
        }
    }

    fn change(&mut self, effect: &MemberEffect, _now: Millis, _rng: &mut Rng) -> Result<Outcome, Refusal> {
        match effect {
            MemberEffect::SetPruning { .. } | MemberEffect::Prepare { .. } | MemberEffect::MoveMember { .. } => {
                Ok(Outcome::AlreadySo)
            }
            MemberEffect::TransferLeadership { from, .. } => {
                Ok(changed(format!("{from} hands leadership over"), "it has no request for that"))
            }
        }
    }

    fn answer(&mut self, request: &Request, _rng: &mut Rng) -> (u16, String) {
        self.answer_over_http(request)
    }

    fn can_transfer(&self) -> bool {
        false
    }
}

// A look around.
impl Zookeeper {
    /// Lets processes reach their peers: all of them before the cluster is founded, and afterwards only its members.
    fn join(&mut self, now: Millis) {
        let Raft { formed, peers, processes, .. } = &mut self.raft;
        for (id, process) in processes {
            let may_join = !*formed || peers.contains_key(id);
            if process.joined.is_none() && !process.cut_off && may_join {
                process.joined = Some(now);
            }
        }
    }

    /// Gives the number of a server: they are counted by their names.
    pub(super) fn number(&self, name: &SlotName) -> usize {
        let names: BTreeSet<&SlotName> = self.raft.peers.values().map(|peer| &peer.name).collect();
        names.into_iter().take_while(|other| *other < name).count() + 1
    }

    fn shown(&self, name: &SlotName) -> MemberId {
        MemberId::from(self.number(name).to_string())
    }

    /// Says whether a process serves, and so follows the leader or is it.
    pub(super) fn serves(&self, process: &Process, now: Millis) -> bool {
        self.raft.leader.is_some() && process.joined.is_some() && process.ailment(now).is_none()
    }

    fn describe(&self, id: &MemberId, peer: &Peer, slots: &BTreeSet<SlotName>, now: Millis) -> Member {
        let process = self.raft.processes.get(id);
        let health = match process {
            None => Health::Unhealthy("it does not answer, and the leader does not count it".to_owned()),
            Some(process) if !self.serves(process, now) => {
                Health::Unhealthy("it serves no requests: it sees no leader".to_owned())
            }
            Some(process) if process.address != peer.address => Health::Unknown(format!(
                "the others have it at {}, and it answers at {}",
                peer.address, process.address
            )),
            Some(_) => Health::Healthy,
        };
        let serving = process.filter(|process| self.serves(process, now));
        Member {
            id: self.shown(&peer.name),
            slot: slots.contains(&peer.name).then(|| peer.name.clone()),
            address: Some(peer.address),
            counts: peer.voter,
            health,
            stable_since: None,
            lag: serving.map(|process| Lag::Entries(self.raft.index(now) - self.raft.applied(process, now))),
            version: process.map(|process| process.version.clone()),
        }
    }
}

/// Tells of a process while nobody leads.
fn idle(process: &Process, slots: &BTreeSet<SlotName>) -> Member {
    Member {
        id: MemberId::from(format!("at {}", process.address)),
        slot: slots.contains(&process.name).then(|| process.name.clone()),
        address: Some(process.address),
        counts: true,
        health: Health::Unknown("it serves no requests: it sees no leader".to_owned()),
        stable_since: None,
        lag: None,
        version: None,
    }
}
