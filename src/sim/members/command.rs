//! Members of an application that nobody here knows, played by the rules that their file states. No program is run: the
//! simulated world has none of the servers that it would speak to.
//!
//! The members agree by Raft among themselves, whatever the true ones do, because the world wants to know who has which writes. A kind
//! without a leader does not show the one that it has here.

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
use crate::spec::{Addresses, CommandSpec, Lag, Leads};

/// While anything is unsettled the members look around this often.
const STEP: Millis = 1_000;
/// The bytes of an entry, for a kind that counts in bytes.
const ENTRY: u64 = 1_024;
/// The time between two writes, for a kind that counts in time.
const BETWEEN_WRITES: Millis = 200;

/// One cluster's members.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    pub(super) raft: Raft,
    leader: Leads,
    addresses: Addresses,
    lag_limit: Lag,
    forms_together: bool,
    prepares: bool,
}

impl Command {
    /// Members that go by the rules of a file, of whom none runs yet.
    pub fn of(spec: &CommandSpec) -> Self {
        let rules = &spec.rules;
        Self {
            raft: Raft::with(rules.needed),
            leader: rules.leader,
            addresses: rules.addresses,
            lag_limit: rules.lag_limit,
            forms_together: rules.forms_together,
            prepares: rules.prepares,
        }
    }

    /// Nobody again, by the same rules.
    pub fn anew(&self) -> Self {
        Self { raft: Raft::with(self.raft.needed), ..self.clone() }
    }
}

impl Kind for Command {
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
        if !self.forms_together {
            self.raft.founders = self.raft.founders.min(1);
        }
        self.join(now);
        self.raft.form(now, rng);
        self.raft.elect(now, rng);
        self.raft.replicate(now);
        (!self.is_calm(now)).then(|| self.raft.next_look(now, STEP))
    }

    fn is_well(&self, id: &MemberId, now: Millis) -> bool {
        let (Some(peer), Some(process)) = (self.raft.peers.get(id), self.raft.processes.get(id)) else { return false };
        let caught_up = !self.lag(process, now).exceeds(&self.lag_limit);
        process.joined.is_some() && process.ailment(now).is_none() && caught_up && peer.address == process.address
    }

    fn membership(&self, slots: &BTreeSet<SlotName>, now: Millis) -> Membership {
        Membership {
            members: self.raft.peers.iter().map(|(id, peer)| self.describe(id, peer, slots, now)).collect(),
            leader: self.raft.leader.clone().filter(|_| self.shows_leader()),
            can_transfer: self.can_transfer(),
            heirs: None,
            pruning: Pruning::Never,
            agreed_version: None,
            warnings: Vec::new(),
            blockers: Vec::new(),
        }
    }

    fn change(&mut self, effect: &MemberEffect, now: Millis, rng: &mut Rng) -> Result<Outcome, Refusal> {
        match effect {
            MemberEffect::SetPruning { .. } | MemberEffect::MoveMember { .. } => Ok(Outcome::AlreadySo),
            MemberEffect::Prepare { .. } if !self.prepares => Ok(changed("members are prepared", "they are not")),
            MemberEffect::Prepare { member, instance } => {
                let runs_there = self.raft.processes.get(member).is_some_and(|process| process.instance == *instance);
                let is_well = runs_there && self.is_well(member, now);
                Ok(if is_well {
                    Outcome::Done
                } else {
                    changed(format!("{member} is healthy on {instance}"), "it is not")
                })
            }
            MemberEffect::TransferLeadership { .. } if !self.can_transfer() => {
                Ok(changed("leadership can be handed over", "it cannot"))
            }
            MemberEffect::TransferLeadership { from, to } => Ok(self.hand_over(from, to, now, rng)),
        }
    }

    fn answer(&mut self, _: &Request, _: &mut Rng) -> (u16, String) {
        (404, "these members are asked by a program".to_owned())
    }

    fn can_transfer(&self) -> bool {
        self.leader == Leads::Last
    }

    fn shows_leader(&self) -> bool {
        self.leader != Leads::None
    }
}

// A look around.
impl Command {
    /// Lets processes reach their peers: all of them before the cluster is founded, and afterwards only its members, unless anybody
    /// may join. Where any address will do, peers learn the new one.
    fn join(&mut self, now: Millis) {
        let Raft { formed, peers, processes, .. } = &mut self.raft;
        for (id, process) in processes {
            let may_join = !*formed || !self.forms_together || peers.contains_key(id);
            if process.joined.is_some() || process.cut_off || !may_join {
                continue;
            }
            process.joined = Some(now);
            if *formed {
                let peer = peers.entry(id.clone()).or_insert_with(|| Peer::of(process, true));
                if self.addresses == Addresses::Any {
                    peer.address = process.address;
                }
            }
        }
    }

    /// Tells how far a process is behind, in the unit that the rules count in.
    fn lag(&self, process: &Process, now: Millis) -> Lag {
        let entries = self.raft.index(now) - self.raft.applied(process, now);
        match self.lag_limit {
            Lag::Entries(_) => Lag::Entries(entries),
            Lag::Bytes(_) => Lag::Bytes(entries * ENTRY),
            Lag::Age(_) => Lag::Age(std::time::Duration::from_millis(entries * BETWEEN_WRITES)),
        }
    }

    fn describe(&self, id: &MemberId, peer: &Peer, slots: &BTreeSet<SlotName>, now: Millis) -> Member {
        let process = self.raft.processes.get(id);
        let reached = process.filter(|process| process.joined.is_some() && process.ailment(now).is_none());
        let health = match reached {
            _ if self.shows_leader() && self.raft.leader.is_none() => {
                Health::Unknown("no member sees a leader".to_owned())
            }
            None => Health::Unhealthy("it does not answer, and its peers do not reach it".to_owned()),
            Some(process) if process.address != peer.address => {
                Health::Unknown(format!("its peers have it at {}, and it answers at {}", peer.address, process.address))
            }
            Some(_) => Health::Healthy,
        };
        Member {
            id: id.clone(),
            slot: slots.contains(&peer.name).then(|| peer.name.clone()),
            address: Some(peer.address),
            counts: peer.voter,
            health,
            stable_since: None,
            lag: process.map(|process| self.lag(process, now)),
            version: process.map(|process| process.version.clone()),
        }
    }
}
