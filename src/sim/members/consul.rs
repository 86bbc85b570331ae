//! Consul servers: gossip, and autopilot on top of Raft, as measured (reference/stateful.md 1.1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::autopilot::MAX_TRAILING;
use super::raft::{Peer, Process, Raft};
use crate::action::MemberEffect;
use crate::ids::{MemberId, SlotName};
use crate::observed::{Health, Member, Membership, Pruning};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::content::Log;
use crate::sim::time::{Millis, instant};
use crate::sim::words::{Payload, Refusal, changed};
use crate::spec::Lag;

/// Autopilot looks at health this often (raft-autopilot `run.go`).
const JUDGE_EVERY: Millis = 2_000;
/// Autopilot prunes and promotes this often.
const RECONCILE_EVERY: Millis = 10_000;
/// A name may be taken over when its old address has been failed for 30 s (`DeadNodeReclaimTime`).
const RECLAIM: Millis = 30_000;
/// A refused join is tried again after this (`retry_interval`).
const RETRY_JOIN: Millis = 30_000;
/// While anything is unsettled the servers look around this often.
const STEP: Millis = 1_000;

/// One cluster's servers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Consul {
    pub(super) raft: Raft,
    /// The gossip about each node name.
    pub(super) gossip: BTreeMap<SlotName, Gossip>,
    /// Autopilot's opinion of each server of the configuration.
    pub(super) opinions: BTreeMap<MemberId, Opinion>,
    /// The time of the next try of each process whose join was refused.
    next_join: BTreeMap<MemberId, Millis>,
    /// The reverse of `CleanupDeadServers`, which is on by default.
    pub(super) cleanup_off: bool,
    pub(super) min_quorum: usize,
    judged: Millis,
    reconciled: Millis,
}

/// The gossip about one node name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gossip {
    pub member: MemberId,
    pub address: IpAddr,
    pub failed_since: Option<Millis>,
    /// The time at which its peers will notice that it has stopped answering.
    pub fails_at: Option<Millis>,
}

/// Autopilot's opinion of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Opinion {
    /// The reason why it is unhealthy. None if it is healthy.
    pub ill: Option<String>,
    pub stable_since: Millis,
}

impl Opinion {
    pub(super) fn of_a_stranger(now: Millis) -> Self {
        Self { ill: Some("not yet judged".to_owned()), stable_since: now }
    }
}

impl Gossip {
    fn about(id: &MemberId, process: &Process) -> Self {
        Self { member: id.clone(), address: process.address, failed_since: None, fails_at: None }
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
        self.next_join.remove(&member);
        self.raft.processes.insert(member, process);
    }

    /// Ends a process. Gossip notices after 5–7 s.
    fn stop(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) -> Option<Log> {
        self.raft.replicate(now);
        let entries = self.raft.applied(self.raft.processes.get(member)?, now);
        let process = self.raft.processes.remove(member)?;
        if let Some(gossip) = self.gossip.get_mut(&process.name).filter(|gossip| gossip.member == *member) {
            gossip.fails_at = Some(now + rng.u64(5_000..=7_000));
        }
        if self.raft.leader.as_ref() == Some(member) {
            self.raft.lose_leader(now, rng);
        }
        Some(Log { entries, canaries: process.canaries })
    }

    fn begin_alone(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) {
        if self.raft.begin_alone(member, now, rng) {
            self.opinions.insert(member.clone(), Opinion::of_a_stranger(now));
        }
    }

    fn settle(&mut self, leader: MemberId, now: Millis) {
        self.raft.settle(leader, now);
        for (id, process) in &self.raft.processes {
            self.gossip.insert(process.name.clone(), Gossip::about(id, process));
            self.opinions.insert(id.clone(), Opinion { ill: None, stable_since: now });
        }
    }

    fn step(&mut self, now: Millis, rng: &mut Rng) -> Option<Millis> {
        self.skip_quiet_time(now);
        self.notice_failures(now);
        self.join(now);
        if self.raft.form(now, rng) {
            let strangers = self.raft.peers.keys().map(|id| (id.clone(), Opinion::of_a_stranger(now)));
            self.opinions.extend(strangers);
        }
        if self.raft.elect(now, rng) {
            // A new leader's autopilot begins its timers anew.
            self.opinions.values_mut().for_each(|opinion| opinion.stable_since = now);
            self.judge(now);
        }
        self.raft.replicate(now);
        if self.raft.leader.is_some() {
            self.lead(now);
        }
        let election = self.raft.election.as_ref();
        (!self.is_calm()).then(|| election.map_or(now + STEP, |(at, _)| (*at).clamp(now + 1, now + STEP)))
    }

    fn is_well(&self, id: &MemberId, now: Millis) -> bool {
        let (Some(peer), Some(process)) = (self.raft.peers.get(id), self.raft.processes.get(id)) else { return false };
        let caught_up = self.raft.applied(process, now) + MAX_TRAILING >= self.raft.index(now);
        process.joined.is_some() && process.ailment(now).is_none() && caught_up && peer.address == process.address
    }

    fn membership(&self, slots: &BTreeSet<SlotName>, now: Millis) -> Membership {
        let leader = self.raft.leader.clone();
        let members = self.raft.peers.iter().map(|(id, peer)| self.describe(id, peer, slots, now)).collect();
        let pruning = if self.cleanup_off { Pruning::Never } else { Pruning::DownTo(self.min_quorum) };
        Membership { members, leader, can_transfer: self.can_transfer(), pruning }
    }

    fn change(&mut self, effect: &MemberEffect, now: Millis, rng: &mut Rng) -> Result<Outcome, Refusal> {
        match effect {
            MemberEffect::TransferLeadership { from, to, .. } => self.transfer_leadership(from, to, now, rng),
            MemberEffect::SetPruning { down_to } if self.min_quorum == *down_to => Ok(Outcome::AlreadySo),
            MemberEffect::SetPruning { down_to } => {
                self.min_quorum = *down_to;
                Ok(Outcome::Done)
            }
        }
    }

    fn set_pruning(&mut self, on: bool) {
        self.cleanup_off = !on;
    }
}

// A look around.
impl Consul {
    /// Keeps the phase of autopilot's rounds, which go on while nobody looks.
    fn skip_quiet_time(&mut self, now: Millis) {
        for (last, period) in [(&mut self.judged, JUDGE_EVERY), (&mut self.reconciled, RECONCILE_EVERY)] {
            if now - *last >= 2 * period {
                *last += (now - *last) / period * period;
            }
        }
    }

    fn notice_failures(&mut self, now: Millis) {
        for gossip in self.gossip.values_mut() {
            if let Some(at) = gossip.fails_at.filter(|at| *at <= now) {
                gossip.fails_at = None;
                gossip.failed_since = Some(at);
            }
        }
    }

    fn join(&mut self, now: Millis) {
        let alone = self.raft.processes.values().all(|process| process.joined.is_none());
        for (id, process) in &mut self.raft.processes {
            if process.joined.is_some() || self.next_join.get(id).is_some_and(|at| *at > now) {
                continue;
            }
            let conflict = self.gossip.get(&process.name).is_some_and(|old| {
                old.address != process.address && old.failed_since.is_none_or(|since| now - since < RECLAIM)
            });
            if conflict && !alone {
                self.next_join.insert(id.clone(), now + RETRY_JOIN);
                continue;
            }
            process.joined = Some(now);
            self.gossip.insert(process.name.clone(), Gossip::about(id, process));
        }
    }

    /// Does a leader's work: admits servers, and runs autopilot's rounds.
    fn lead(&mut self, now: Millis) {
        self.admit(now);
        if now - self.judged >= JUDGE_EVERY {
            self.judged += JUDGE_EVERY;
            self.judge(now);
        }
        if now - self.reconciled >= RECONCILE_EVERY {
            self.reconciled += RECONCILE_EVERY;
            self.prune(now);
            self.promote(now);
        }
    }

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
                    self.opinions.insert(id.clone(), Opinion::of_a_stranger(now));
                }
            }
        }
    }

    /// Says whether nothing will change by itself.
    fn is_calm(&self) -> bool {
        let nothing = self.raft.processes.is_empty() && self.gossip.values().all(|gossip| gossip.fails_at.is_none());
        nothing
            || self.raft.leader.is_some()
                && self.raft.election.is_none()
                && self.raft.peers.len() == self.raft.processes.len()
                && self.raft.is_replicated()
                && self.raft.peers.iter().all(|(id, peer)| self.is_settled(id, peer))
    }

    fn is_settled(&self, id: &MemberId, peer: &Peer) -> bool {
        let settled = |process: &Process| {
            process.joined.is_some()
                && process.address == peer.address
                && !matches!(process.payload, Payload::Flaps | Payload::JoinsUnhealthy)
        };
        peer.voter && self.is_healthy(id) && self.raft.processes.get(id).is_some_and(settled)
    }

    fn is_healthy(&self, id: &MemberId) -> bool {
        self.opinions.get(id).is_some_and(|opinion| opinion.ill.is_none())
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
        match &self.raft.leader {
            Some(leader) if leader == to => return Ok(Outcome::AlreadySo),
            Some(leader) if leader != from => return Ok(changed(format!("{from} leads"), format!("{leader} leads"))),
            _ => {}
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

    fn can_transfer(&self) -> bool {
        let any = self.raft.leading().or_else(|| self.raft.processes.values().next());
        any.is_some_and(|process| at_least(&process.version, 1, 15))
    }

    fn can_lead(&self, id: &MemberId) -> bool {
        let votes = self.raft.peers.get(id).is_some_and(|peer| peer.voter);
        votes && self.is_healthy(id) && self.raft.processes.contains_key(id)
    }

    fn describe(&self, id: &MemberId, peer: &Peer, slots: &BTreeSet<SlotName>, now: Millis) -> Member {
        let process = self.raft.processes.get(id);
        let opinion = self.opinions.get(id);
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
fn at_least(version: &str, major: u32, minor: u32) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
}
