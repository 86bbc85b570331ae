//! etcd members: Raft and nothing on top. Nobody is dropped and nobody is let in but by a person, and a member is looked for
//! at the address that its peers keep, as seen of 3.4 and 3.5 (reference/stateful.md 2.1).

use std::collections::BTreeSet;
use std::net::IpAddr;

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

/// While anything is unsettled the members look around this often.
const STEP: Millis = 1_000;
/// A member may lie this many entries behind and still be well.
const MAX_BEHIND: u64 = 1_000;

/// One cluster's members.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Etcd {
    pub(super) raft: Raft,
    /// The minor version that the members have agreed on.
    #[serde(default)]
    agreed: Option<(u32, u32)>,
}

/// Reads the first two numbers of a version.
fn minor(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

impl Kind for Etcd {
    fn raft(&self) -> &Raft {
        &self.raft
    }

    fn raft_mut(&mut self) -> &mut Raft {
        &mut self.raft
    }

    fn settle(&mut self, leader: MemberId, now: Millis) {
        self.raft.settle(leader, now);
        self.agree();
    }

    fn step(&mut self, now: Millis, rng: &mut Rng) -> Option<Millis> {
        self.join(now);
        self.raft.form(now, rng);
        self.raft.elect(now, rng);
        self.raft.replicate(now);
        self.agree();
        (!self.is_calm(now)).then(|| self.raft.next_look(now, STEP))
    }

    fn is_well(&self, id: &MemberId, now: Millis) -> bool {
        let (Some(peer), Some(process)) = (self.raft.peers.get(id), self.raft.processes.get(id)) else { return false };
        let caught_up = self.raft.applied(process, now) + MAX_BEHIND >= self.raft.index(now);
        process.joined.is_some() && process.ailment(now).is_none() && caught_up && peer.address == process.address
    }

    fn membership(&self, slots: &BTreeSet<SlotName>, now: Millis) -> Membership {
        Membership {
            members: self.raft.peers.iter().map(|(id, peer)| self.describe(id, peer, slots, now)).collect(),
            leader: self.raft.leader.clone(),
            can_transfer: true,
            heirs: None,
            pruning: Pruning::Never,
            agreed_version: self.agreed_version(),
            warnings: Vec::new(),
            blockers: Vec::new(),
        }
    }

    fn change(&mut self, effect: &MemberEffect, now: Millis, rng: &mut Rng) -> Result<Outcome, Refusal> {
        match effect {
            MemberEffect::SetPruning { .. } | MemberEffect::Prepare { .. } => Ok(Outcome::AlreadySo),
            MemberEffect::MoveMember { member, address, .. } => Ok(self.move_member(member, *address)),
            MemberEffect::TransferLeadership { from, to } => Ok(self.hand_over(from, to, now, rng)),
        }
    }

    fn answer(&mut self, request: &Request, rng: &mut Rng) -> (u16, String) {
        self.answer_over_http(request, rng)
    }

    fn can_elect(&self) -> bool {
        let is_found = |(id, process): (&MemberId, &Process)| {
            !process.cut_off && self.raft.peers.get(id).is_some_and(|peer| peer.address == process.address)
        };
        !self.raft.formed || self.raft.processes.iter().any(is_found)
    }

    fn can_transfer(&self) -> bool {
        true
    }

    fn is_told_of_places(&self) -> bool {
        true
    }
}

// A change.
impl Etcd {
    /// Has the members look for one of them at another address, where that one does not run, or runs just there.
    fn move_member(&mut self, member: &MemberId, to: IpAddr) -> Outcome {
        let runs_at = self.raft.processes.get(member).map(|process| process.address);
        let Some(peer) = self.raft.peers.get_mut(member) else {
            return changed(format!("{member} is a member"), "it is not");
        };
        if peer.address == to {
            return Outcome::AlreadySo;
        }
        if let Some(at) = runs_at.filter(|at| *at != to) {
            return changed(format!("{member} does not run"), format!("it answers at {at}"));
        }
        peer.address = to;
        Outcome::Done
    }
}

// A look around.
impl Etcd {
    /// Lets processes reach their peers: all of them before the cluster is founded, and afterwards only its members. One that is
    /// older than the version that the members have agreed on does not run at all. One that the others look for elsewhere finds
    /// them, at the addresses that it has kept of them, and not others for which the same is true: two of them never meet.
    fn join(&mut self, now: Millis) {
        let lost: Vec<MemberId> = match self.can_elect() {
            true => Vec::new(),
            false => self.raft.processes.keys().cloned().collect(),
        };
        for id in &lost {
            let entries = self.raft.processes.get(id).map_or(0, |process| self.raft.applied(process, now));
            if let Some(process) = self.raft.processes.get_mut(id) {
                (process.joined, process.from) = (None, entries);
            }
        }
        let (agreed, Raft { formed, peers, processes, .. }) = (self.agreed, &mut self.raft);
        for (id, process) in processes {
            let may_join = !*formed || peers.contains_key(id) && Some(minor(&process.version)) >= agreed;
            if process.joined.is_none() && !process.cut_off && may_join && !lost.contains(id) {
                process.joined = Some(now);
            }
        }
    }

    /// Gives the version that the members have agreed on: it rises once all of them run a newer one, and never falls.
    pub(super) fn agreed_version(&self) -> Option<String> {
        self.agreed.map(|(major, minor)| format!("{major}.{minor}.0"))
    }

    /// Lets the members agree on the oldest minor version of all, once everybody is there.
    fn agree(&mut self) {
        let running = |id: &MemberId| self.raft.processes.get(id).filter(|process| process.joined.is_some());
        let all: Option<Vec<_>> = self.raft.peers.keys().map(|id| Some(minor(&running(id)?.version))).collect();
        self.agreed = self.agreed.max(all.and_then(|all| all.into_iter().min()));
    }

    fn describe(&self, id: &MemberId, peer: &Peer, slots: &BTreeSet<SlotName>, now: Millis) -> Member {
        let process = self.raft.processes.get(id);
        let reached = process.filter(|process| process.joined.is_some() && process.ailment(now).is_none());
        let health = match (&self.raft.leader, reached) {
            (None, _) => Health::Unknown("no member sees a leader".to_owned()),
            (Some(_), None) => Health::Unhealthy("it does not answer, and the leader does not reach it".to_owned()),
            (Some(_), Some(process)) if process.address != peer.address => {
                Health::Unknown(format!("its peers have it at {}, and it answers at {}", peer.address, process.address))
            }
            (Some(_), Some(_)) => Health::Healthy,
        };
        let known = self.raft.leader.as_ref().and(process);
        Member {
            id: id.clone(),
            slot: slots.contains(&peer.name).then(|| peer.name.clone()),
            address: Some(peer.address),
            counts: peer.voter,
            health,
            stable_since: None,
            lag: known.map(|process| Lag::Entries(self.raft.index(now) - self.raft.applied(process, now))),
            version: process.map(|process| process.version.clone()),
        }
    }
}
