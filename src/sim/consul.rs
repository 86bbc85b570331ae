//! The Consul servers of one cluster: gossip, raft and autopilot as measured (reference/stateful.md 1.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::Payload;
use super::autopilot::MAX_TRAILING;
use super::canaries::Canaries;
use super::truth::Millis;
use crate::ids::{InstanceId, MemberId, SlotName};
use crate::spec::quorum;

/// Autopilot looks at health so often (raft-autopilot `run.go`).
const JUDGE_EVERY: Millis = 2_000;
/// It prunes and promotes so often.
const RECONCILE_EVERY: Millis = 10_000;
/// A name may be taken over when its old address has been failed for so long (`DeadNodeReclaimTime`).
const RECLAIM: Millis = 30_000;
/// A refused join is tried again after this (`retry_interval`).
const RETRY_JOIN: Millis = 30_000;
/// A client writes an entry so often while it can.
const WRITE_EVERY: Millis = 200;
/// While anything is unsettled the application looks around so often.
const STEP: Millis = 1_000;

/// One cluster's servers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Consul {
    /// How many servers found the cluster together (`bootstrap_expect`).
    pub expect: usize,
    /// It was founded.
    pub formed: bool,
    /// The raft configuration.
    pub servers: BTreeMap<MemberId, Server>,
    /// The processes that run.
    pub processes: BTreeMap<MemberId, Process>,
    /// What gossip says, by node name.
    pub gossip: BTreeMap<SlotName, Gossip>,
    pub leader: Option<MemberId>,
    pub term: u64,
    /// When the next election is decided, and for whom if leadership is being handed over.
    pub election: Option<(Millis, Option<MemberId>)>,
    /// `CleanupDeadServers`, the other way round, because it is on by default.
    pub cleanup_off: bool,
    pub min_quorum: usize,
    index: u64,
    index_at: Millis,
    judged: Millis,
    reconciled: Millis,
    /// When the next look around is due.
    pub next: Option<Millis>,
}

/// An entry of the raft configuration, with what autopilot thinks of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Server {
    pub name: SlotName,
    pub address: IpAddr,
    pub voter: bool,
    /// None if it is healthy.
    pub ill: Option<String>,
    pub stable_since: Millis,
}

/// A running server process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Process {
    pub name: SlotName,
    pub instance: InstanceId,
    pub address: IpAddr,
    pub version: String,
    pub payload: Payload,
    pub started: Millis,
    pub joined: Option<Millis>,
    /// When a join is tried next.
    pub joins_at: Millis,
    /// How much of the log it had when it started.
    pub from: u64,
    #[serde(default)]
    pub canaries: Canaries,
}

/// What a process leaves behind on its disk.
pub(super) struct Left {
    /// How much of the log.
    pub applied: u64,
    pub canaries: Canaries,
}

/// What gossip says of a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gossip {
    pub member: MemberId,
    pub address: IpAddr,
    pub failed_since: Option<Millis>,
    /// It stopped answering, and will be noticed then.
    pub fails_at: Option<Millis>,
}

impl Process {
    /// Why it is ill although it runs, at `now`.
    pub(super) fn ailment(&self, now: Millis) -> Option<String> {
        let lost = || Some("last contact 900ms, above 200ms".to_owned());
        match self.payload {
            Payload::JoinsUnhealthy => lost(),
            Payload::Flaps if (now - self.started) % 40_000 >= 28_000 => lost(),
            _ => None,
        }
    }

    /// It runs a version that is not older.
    fn at_least(&self, major: u32, minor: u32) -> bool {
        at_least(&self.version, major, minor)
    }
}

/// `version` is not older than `major.minor`.
pub(super) fn at_least(version: &str, major: u32, minor: u32) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
}

impl Consul {
    /// Nobody yet, and as many are expected.
    pub(super) fn anew(&self) -> Self {
        Self { expect: self.expect, ..Self::default() }
    }

    /// The log's length.
    pub(super) fn index(&self, now: Millis) -> u64 {
        let growing = self.leader.is_some() && self.election.is_none();
        self.index + if growing { (now - self.index_at) / WRITE_EVERY } else { 0 }
    }

    /// How much of the log a process has: it catches up with an entry every two milliseconds.
    pub(super) fn applied(&self, process: &Process, now: Millis) -> u64 {
        let caught = process.joined.map_or(0, |joined| (now - joined) / 2);
        (process.from + caught).min(self.index(now))
    }

    /// The instance on which a slot's member is a healthy voter.
    pub(super) fn healthy_voter(&self, slot: &SlotName, now: Millis) -> Option<&InstanceId> {
        let (id, process) = self.processes.iter().find(|(_, process)| process.name == *slot)?;
        (self.servers.get(id)?.voter && self.is_well(id, now)).then_some(&process.instance)
    }

    /// A server runs where its peers know it, in health and not far behind.
    pub(super) fn is_well(&self, id: &MemberId, now: Millis) -> bool {
        let (Some(server), Some(process)) = (self.servers.get(id), self.processes.get(id)) else { return false };
        let caught_up = self.applied(process, now) + MAX_TRAILING >= self.index(now);
        process.joined.is_some() && process.ailment(now).is_none() && caught_up && server.address == process.address
    }

    /// For the transcript.
    pub(super) fn role(&self, slot: &SlotName) -> &'static str {
        match self.servers.iter().find(|(_, server)| server.name == *slot) {
            Some((id, _)) if self.leader.as_ref() == Some(id) => "leader",
            Some((_, server)) if server.voter => "voter",
            Some(_) => "non-voter",
            None => "none",
        }
    }

    /// A process starts. It joins at the next look around.
    pub(super) fn start(&mut self, member: MemberId, process: Process) {
        self.processes.insert(member, process);
    }

    /// A process that has just started has a log and no peers: it founds its cluster by itself, with all that is in the log.
    pub(super) fn begin_alone(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) {
        let Some(process) = self.processes.get(member).filter(|_| !self.formed) else { return };
        self.formed = true;
        (self.index, self.index_at) = (process.from, now);
        self.servers.insert(member.clone(), Server::new(process, true, now));
        self.lose_leader(now, rng);
    }

    /// A process is gone without a leave. Gossip notices after 5–7 s.
    pub(super) fn stop(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) -> Option<Left> {
        self.replicate(now);
        let applied = self.applied(self.processes.get(member)?, now);
        let process = self.processes.remove(member)?;
        if let Some(gossip) = self.gossip.get_mut(&process.name).filter(|gossip| gossip.member == *member) {
            gossip.fails_at = Some(now + rng.u64(5_000..=7_000));
        }
        if self.leader.as_ref() == Some(member) {
            self.lose_leader(now, rng);
        }
        Some(Left { applied, canaries: process.canaries })
    }

    /// Nobody leads until an election 3–4 s from now.
    pub(super) fn lose_leader(&mut self, now: Millis, rng: &mut Rng) {
        self.replicate(now);
        self.index = self.index(now);
        self.leader = None;
        self.election = Some((now + rng.u64(3_000..=4_000), None));
    }

    /// The leader hands over; it takes a moment.
    pub(super) fn hand_over(&mut self, to: MemberId, now: Millis, rng: &mut Rng) {
        self.lose_leader(now, rng);
        self.election = Some((now + rng.u64(200..=500), Some(to)));
    }

    /// One look around. Says when the next is due, or nothing if all is calm.
    pub(super) fn step(&mut self, now: Millis, rng: &mut Rng) -> Option<Millis> {
        self.skip_quiet_time(now);
        self.notice_failures(now);
        self.join(now);
        self.form(now, rng);
        self.elect(now, rng);
        self.replicate(now);
        if self.leader.is_some() {
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
        (!self.is_calm()).then(|| self.election.as_ref().map_or(now + STEP, |(at, _)| (*at).clamp(now + 1, now + STEP)))
    }

    /// Autopilot's rounds go on while nobody looks: keep their phase.
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
        let alone = self.processes.values().all(|process| process.joined.is_none());
        for (id, process) in &mut self.processes {
            if process.joined.is_some() || process.joins_at > now {
                continue;
            }
            let conflict = self.gossip.get(&process.name).is_some_and(|old| {
                old.address != process.address && old.failed_since.is_none_or(|since| now - since < RECLAIM)
            });
            if conflict && !alone {
                process.joins_at = now + RETRY_JOIN;
                continue;
            }
            process.joined = Some(now);
            let gossip = Gossip { member: id.clone(), address: process.address, failed_since: None, fails_at: None };
            self.gossip.insert(process.name.clone(), gossip);
        }
    }

    /// A new cluster is founded when all its first servers have found each other.
    fn form(&mut self, now: Millis, rng: &mut Rng) {
        let joined = self.processes.values().filter(|process| process.joined.is_some()).count();
        if self.formed || self.expect == 0 || joined < self.expect {
            return;
        }
        self.formed = true;
        for (id, process) in &self.processes {
            self.servers.insert(id.clone(), Server::new(process, true, now));
        }
        self.lose_leader(now, rng);
    }

    /// Processes that can vote.
    fn electorate(&self) -> Vec<&MemberId> {
        let votes = |id: &MemberId| self.processes.get(id).is_some_and(|process| process.joined.is_some());
        self.servers.iter().filter(|(id, server)| server.voter && votes(id)).map(|(id, _)| id).collect()
    }

    fn elect(&mut self, now: Millis, rng: &mut Rng) {
        if !self.formed {
            return;
        }
        let voters = self.servers.values().filter(|server| server.voter).count();
        let electorate = self.electorate();
        let has_quorum = electorate.len() >= quorum(voters);
        let leads = self.leader.as_ref().is_some_and(|leader| electorate.contains(&leader));
        if leads && has_quorum {
            return;
        }
        match self.election.clone() {
            None => self.lose_leader(now, rng),
            Some((at, _)) if at > now => {}
            Some(_) if !has_quorum => self.election = Some((now + rng.u64(2_000..=4_000), None)),
            Some((_, chosen)) => {
                // Only a server with a log as long as any other's can win.
                let log = |id: &MemberId| {
                    let process = &self.processes[id];
                    (process.canaries.seen(), self.applied(process, now))
                };
                let longest = electorate.iter().map(|id| log(id)).max();
                let fit = |id: &MemberId| self.processes[id].ailment(now).is_none() && Some(log(id)) >= longest;
                let fit: Vec<MemberId> = electorate.into_iter().filter(|id| fit(id)).cloned().collect();
                let chosen = chosen.filter(|id| fit.contains(id)).or_else(|| rng.choice(fit));
                self.enthrone(chosen, now, rng);
            }
        }
    }

    fn enthrone(&mut self, chosen: Option<MemberId>, now: Millis, rng: &mut Rng) {
        let Some(chosen) = chosen else {
            self.election = Some((now + rng.u64(2_000..=4_000), None));
            return;
        };
        self.leader = Some(chosen);
        self.election = None;
        self.term += 1;
        self.index_at = now;
        for server in self.servers.values_mut() {
            server.stable_since = now; // a new leader's autopilot begins its timers anew
        }
        self.judge(now);
    }

    /// The leader adds who joined. Before 1.9 a server with a new address is removed and added again as a
    /// non-voter; since then its address is changed in place.
    fn admit(&mut self, now: Millis) {
        let in_place =
            self.leader.as_ref().and_then(|id| self.processes.get(id)).is_none_or(|leader| leader.at_least(1, 9));
        for (id, process) in self.processes.iter().filter(|(_, process)| process.joined.is_some()) {
            match self.servers.get_mut(id) {
                None => {
                    self.servers.insert(id.clone(), Server::new(process, false, now));
                }
                Some(server) if server.address == process.address => {}
                Some(server) if in_place => server.address = process.address,
                Some(server) => *server = Server::new(process, false, now),
            }
        }
    }

    /// Nothing will change by itself.
    fn is_calm(&self) -> bool {
        let settled = |(id, server): (&MemberId, &Server)| {
            let process = self.processes.get(id);
            server.voter
                && server.ill.is_none()
                && process.is_some_and(|process| {
                    process.joined.is_some()
                        && process.address == server.address
                        && !matches!(process.payload, Payload::Flaps | Payload::JoinsUnhealthy)
                })
        };
        let nothing = self.processes.is_empty() && self.gossip.values().all(|gossip| gossip.fails_at.is_none());
        nothing
            || self.leader.is_some()
                && self.election.is_none()
                && self.servers.len() == self.processes.len()
                && self.is_replicated()
                && self.servers.iter().all(settled)
    }

    /// A cluster that has been running for a while.
    pub(super) fn found(&mut self, now: Millis, leader: MemberId) {
        self.formed = true;
        self.term = 4;
        self.index = 12_000;
        self.index_at = now;
        self.leader = Some(leader);
        for (id, process) in &mut self.processes {
            process.joined = Some(now);
            process.from = self.index;
            let address = process.address;
            let gossip = Gossip { member: id.clone(), address, failed_since: None, fails_at: None };
            self.gossip.insert(process.name.clone(), gossip);
            self.servers.insert(id.clone(), Server { ill: None, ..Server::new(process, true, now) });
        }
    }
}

impl Server {
    fn new(process: &Process, voter: bool, now: Millis) -> Self {
        let ill = Some("not yet judged".to_owned());
        Self { name: process.name.clone(), address: process.address, voter, ill, stable_since: now }
    }
}
