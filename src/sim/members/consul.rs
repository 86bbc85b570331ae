//! Consul servers: gossip, and autopilot on top of Raft, as measured (reference/stateful.md 1.1).

use std::collections::BTreeSet;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::autopilot::{Autopilot, MAX_TRAILING};
use super::gossip::Gossip;
use super::kind::{Kind, Request};
use super::raft::{Peer, Process, Raft};
use crate::action::MemberEffect;
use crate::ids::{MemberId, SlotName};
use crate::observed::{Health, Member, Membership, Pruning};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::content::Log;
use crate::sim::time::{Millis, instant};
use crate::sim::words::{Payload, Refusal, changed};
use crate::spec::Lag;

/// While anything is unsettled the servers look around this often.
const STEP: Millis = 1_000;

/// One cluster's servers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Consul {
    /// The datacenter that the servers say they are in.
    #[serde(default)]
    pub(super) datacenter: String,
    pub(super) raft: Raft,
    pub(super) gossip: Gossip,
    pub(super) autopilot: Autopilot,
}

impl Consul {
    /// Servers of a datacenter, of whom none runs yet.
    pub(super) fn of(datacenter: &str) -> Self {
        Self { datacenter: datacenter.to_owned(), ..Self::default() }
    }

    /// Servers of the same datacenter, of whom none runs yet.
    pub(super) fn anew(&self) -> Self {
        Self::of(&self.datacenter)
    }
}

impl Kind for Consul {
    fn raft(&self) -> &Raft {
        &self.raft
    }

    fn raft_mut(&mut self) -> &mut Raft {
        &mut self.raft
    }

    fn start(&mut self, member: MemberId, process: Process) {
        self.gossip.begin(&member);
        self.raft.processes.insert(member, process);
    }

    /// Ends a process. Gossip notices after 5–7 s.
    fn stop(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) -> Option<Log> {
        let noticed = now + rng.u64(5_000..=7_000);
        let (name, left) = self.raft.end(member, now, rng)?;
        self.gossip.will_notice(member, &name, || noticed);
        Some(left)
    }

    fn cut_off(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) {
        let Some(name) = self.raft.processes.get(member).map(|process| process.name.clone()) else { return };
        self.raft.cut_off(member, now, rng);
        self.gossip.will_notice(member, &name, || now + rng.u64(5_000..=7_000));
    }

    fn rejoin(&mut self) {
        for (id, process) in &mut self.raft.processes {
            if std::mem::take(&mut process.cut_off) {
                self.gossip.begin(id);
            }
        }
    }

    fn begin_alone(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) {
        if self.raft.begin_alone(member, now, rng) {
            self.autopilot.meet(member, now);
        }
    }

    fn pack(&mut self) {
        self.raft.pack();
        self.gossip.pack();
        self.autopilot.pack();
    }

    fn settle(&mut self, leader: MemberId, now: Millis) {
        self.raft.settle(leader, now);
        for (id, process) in &self.raft.processes {
            self.gossip.spread(id, process);
            self.autopilot.trust(id, now);
        }
    }

    fn step(&mut self, now: Millis, rng: &mut Rng) -> Option<Millis> {
        self.autopilot.skip_quiet_time(now);
        self.gossip.notice_failures(now);
        self.gossip.join(&mut self.raft.processes, now);
        if self.raft.form(now, rng) {
            self.raft.peers.keys().for_each(|id| self.autopilot.meet(id, now));
        }
        if self.raft.elect(now, rng) {
            self.autopilot.begin(&self.raft, &self.gossip, now);
        }
        self.raft.replicate(now);
        if self.raft.leader.is_some() {
            self.admit(now);
            self.autopilot.go_round(&mut self.raft, &self.gossip, now);
        }
        (!self.is_calm(now)).then(|| self.raft.next_look(now, STEP))
    }

    fn is_well(&self, id: &MemberId, now: Millis) -> bool {
        let (Some(peer), Some(process)) = (self.raft.peers.get(id), self.raft.processes.get(id)) else { return false };
        let caught_up = self.raft.applied(process, now) + MAX_TRAILING >= self.raft.index(now);
        process.joined.is_some() && process.ailment(now).is_none() && caught_up && peer.address == process.address
    }

    fn is_calm(&self, _: Millis) -> bool {
        let nothing = self.raft.processes.is_empty() && self.gossip.is_quiet();
        nothing
            || self.raft.leader.is_some()
                && self.raft.election.is_none()
                && self.raft.peers.len() == self.raft.processes.len()
                && self.raft.is_replicated()
                && self.raft.peers.iter().all(|(id, peer)| self.is_settled(id, peer))
    }

    fn membership(&self, slots: &BTreeSet<SlotName>, now: Millis) -> Membership {
        let leader = self.raft.leader.clone();
        let members = self.raft.peers.iter().map(|(id, peer)| self.describe(id, peer, slots, now)).collect();
        let pruning =
            if self.autopilot.cleanup_off { Pruning::Never } else { Pruning::DownTo(self.autopilot.min_quorum) };
        Membership {
            members,
            leader,
            can_transfer: self.can_transfer(),
            heirs: None,
            pruning,
            agreed_version: None,
            warnings: Vec::new(),
            blockers: Vec::new(),
        }
    }

    fn change(&mut self, effect: &MemberEffect, now: Millis, rng: &mut Rng) -> Result<Outcome, Refusal> {
        match effect {
            MemberEffect::TransferLeadership { from, to, .. } => self.transfer_leadership(from, to, now, rng),
            MemberEffect::Prepare { .. } | MemberEffect::MoveMember { .. } => Ok(Outcome::AlreadySo),
            MemberEffect::SetPruning { down_to } if self.autopilot.min_quorum == *down_to => Ok(Outcome::AlreadySo),
            MemberEffect::SetPruning { down_to } => {
                self.autopilot.min_quorum = *down_to;
                Ok(Outcome::Done)
            }
        }
    }

    fn answer(&mut self, request: &Request, rng: &mut Rng) -> (u16, String) {
        self.answer_over_http(request, rng)
    }

    fn can_transfer(&self) -> bool {
        let any = self.raft.leading().or_else(|| self.raft.processes.values().next());
        any.is_some_and(|process| at_least(&process.version, 1, 15))
    }

    fn set_least(&mut self, least: usize) {
        self.autopilot.min_quorum = least;
    }

    fn set_pruning(&mut self, on: bool) {
        self.autopilot.cleanup_off = !on;
    }
}

// A look around.
impl Consul {
    /// Adds servers that have joined. Before 1.9 a server with a new address is removed and added again as a
    /// non-voter; since then its address is changed in place.
    fn admit(&mut self, now: Millis) {
        let in_place = self.raft.leading().is_none_or(|leader| at_least(&leader.version, 1, 9));
        for (id, process) in self.raft.processes.iter().filter(|(_, process)| process.joined.is_some()) {
            match self.raft.peers.get_mut(id) {
                Some(peer) if peer.address == process.address => {}
                Some(peer) if in_place => peer.address = process.address,
                _ => {
                    self.raft.peers.insert(id.clone(), Peer::of(process, false));
                    self.autopilot.meet(id, now);
                }
            }
        }
    }

    fn is_settled(&self, id: &MemberId, peer: &Peer) -> bool {
        let settled = |process: &Process| {
            process.follows()
                && process.address == peer.address
                && !matches!(process.payload, Payload::Flaps | Payload::JoinsUnhealthy)
        };
        peer.voter && self.autopilot.is_healthy(id) && self.raft.processes.get(id).is_some_and(settled)
    }
}

// Requests and answers.
impl Consul {
    fn transfer_leadership(
        &mut self,
        from: &MemberId,
        to: &MemberId,
        now: Millis,
        rng: &mut Rng,
    ) -> Result<Outcome, Refusal> {
        if let Some(outcome) = self.raft.leads_already(from, to) {
            return Ok(outcome);
        }
        if !self.can_transfer() {
            return Err(Refusal::new(ErrorKind::Invalid, "404: this version does not offer it"));
        }
        if !self.can_lead(to) {
            return Ok(changed(format!("{to} is a healthy voter"), "it is not"));
        }
        self.raft.hand_over(to.clone(), now, rng);
        Ok(Outcome::Done)
    }

    fn can_lead(&self, id: &MemberId) -> bool {
        let votes = self.raft.peers.get(id).is_some_and(|peer| peer.voter);
        votes && self.autopilot.is_healthy(id) && self.raft.processes.contains_key(id)
    }

    fn describe(&self, id: &MemberId, peer: &Peer, slots: &BTreeSet<SlotName>, now: Millis) -> Member {
        let process = self.raft.processes.get(id);
        let opinion = self.autopilot.opinion(id);
        let health = match (&self.raft.leader, opinion.and_then(|opinion| opinion.ill.as_ref())) {
            (None, _) => Health::Unknown("no leader to ask".to_owned()),
            (Some(_), None) => Health::Healthy,
            (Some(_), Some(why)) => Health::Unhealthy(why.clone()),
        };
        let known = self.raft.leader.as_ref().and(process);
        Member {
            id: id.clone(),
            slot: slots.contains(&peer.name).then(|| peer.name.clone()),
            address: Some(peer.address),
            counts: peer.voter,
            health,
            stable_since: opinion.map(|opinion| instant(opinion.stable_since)),
            lag: known.map(|process| Lag::Entries(self.raft.index(now) - self.raft.applied(process, now))),
            version: process.map(|process| process.version.clone()),
        }
    }
}

/// Says whether `version` is not older than `major.minor`.
pub(super) fn at_least(version: &str, major: u32, minor: u32) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
}
