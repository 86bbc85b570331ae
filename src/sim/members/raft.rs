//! Raft: who votes, who leads, how long the log is and who has how much of it.
//!
//! Figures are those that were measured of Consul (reference/stateful.md 1.1).

use std::net::IpAddr;

use fastrand::Rng;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::links::Links;
use crate::ids::{InstanceId, MemberId, SlotName};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::content::{Canaries, Log};
use crate::sim::pack;
use crate::sim::time::Millis;
use crate::sim::words::{Payload, Refusal, changed};
use crate::spec::Needed;

/// A client writes an entry this often while it can.
const WRITE_EVERY: Millis = 200;
/// The log of a cluster that has been running for a while.
const LONG_LOG: u64 = 12_000;

/// The agreement of one cluster's members.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Raft {
    /// The number of members that found the cluster together.
    pub founders: usize,
    /// The share of the voters that must agree.
    #[serde(default)]
    pub needed: Needed,
    /// The cluster was founded.
    pub formed: bool,
    /// The configuration: everybody whom the members count among them.
    pub peers: LiteMap<MemberId, Peer>,
    /// The processes that run.
    pub processes: LiteMap<MemberId, Process>,
    /// Processes of members of which another process runs elsewhere. They are refused by their peers, who know the others.
    #[serde(default)]
    pub doubles: Vec<(MemberId, Process)>,
    /// The links between them that carry nothing.
    #[serde(default)]
    pub links: Links,
    pub leader: Option<MemberId>,
    /// The last span of time in which nobody led: its beginning, and its end if it is over.
    #[serde(default)]
    pub unled: Option<(Millis, Option<Millis>)>,
    pub term: u64,
    /// The time of the next election, and the winner if leadership is being handed over.
    pub election: Option<(Millis, Option<MemberId>)>,
    /// The number of times that leadership comes back to whoever hands it over.
    #[serde(default)]
    pub bounces: u32,
    index: u64,
    index_at: Millis,
}

/// An entry of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Peer {
    pub name: SlotName,
    pub address: IpAddr,
    pub voter: bool,
}

/// A running process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    pub name: SlotName,
    pub instance: InstanceId,
    pub address: IpAddr,
    pub version: String,
    pub payload: Payload,
    pub started: Millis,
    /// The time since which it reaches its peers.
    pub joined: Option<Millis>,
    /// The network keeps it from all who are not cut off with it, and they are fewer than the others.
    #[serde(default)]
    pub cut_off: bool,
    /// Nothing that the leader sends reaches it, although it may reach others.
    #[serde(default)]
    pub deaf: bool,
    /// The leader and it do not reach each other both ways, so that it gets no entries.
    #[serde(default)]
    pub unlinked: bool,
    /// The length of its log when it started, or was cut off.
    pub from: u64,
    pub canaries: Canaries,
}

impl Peer {
    /// Makes the entry of a process.
    pub fn of(process: &Process, voter: bool) -> Self {
        Self { name: process.name.clone(), address: process.address, voter }
    }
}

impl Process {
    /// Says why a process is ill although it runs.
    pub fn ailment(&self, now: Millis) -> Option<String> {
        let lost = || Some("last contact 900ms, above 200ms".to_owned());
        match self.payload {
            _ if self.unlinked => Some("no contact".to_owned()),
            Payload::JoinsUnhealthy => lost(),
            Payload::Flaps if now.saturating_sub(self.started) % 40_000 >= 28_000 => lost(),
            _ => None,
        }
    }

    /// Says whether a process has joined its peers, and it and whoever leads them reach each other.
    pub fn follows(&self) -> bool {
        self.joined.is_some() && !self.unlinked
    }
}

impl Raft {
    /// Nobody yet, of a kind in which that share of the voters must agree.
    pub fn with(needed: Needed) -> Self {
        Self { needed, ..Self::default() }
    }
}

// The log.
impl Raft {
    /// Tells the length of the log.
    pub fn index(&self, now: Millis) -> u64 {
        let growing = self.leader.is_some() && self.election.is_none();
        self.index + if growing { now.saturating_sub(self.index_at) / WRITE_EVERY } else { 0 }
    }

    /// Tells how much of the log a process has: it catches up with an entry every two milliseconds.
    pub fn applied(&self, process: &Process, now: Millis) -> u64 {
        let caught = process.joined.filter(|_| !process.unlinked).map_or(0, |joined| now.saturating_sub(joined) / 2);
        (process.from + caught).min(self.index(now))
    }

    /// Tells since when the leader has been leading.
    pub fn leads_since(&self) -> Millis {
        self.index_at
    }

    /// Finds the process of the leader.
    pub fn leading(&self) -> Option<&Process> {
        self.processes.get(self.leader.as_ref()?)
    }

    /// Sends the writes that they lack to members that have the whole log. Only a leader sends any.
    pub fn replicate(&mut self, now: Millis) {
        let Some(leader) = self.leading().filter(|_| !self.is_replicated()) else { return };
        let (index, canaries) = (self.index(now), leader.canaries.clone());
        let whole = |process: &Process| process.follows() && self.applied(process, now) == index;
        let due: Vec<MemberId> =
            self.processes.iter().filter(|(_, process)| whole(process)).map(|(id, _)| id.clone()).collect();
        for id in due {
            if let Some(process) = self.processes.get_mut(&id) {
                process.canaries.follow(&canaries);
            }
        }
    }

    /// Says whether every running member has seen every write.
    pub fn is_replicated(&self) -> bool {
        let seen = self.processes.values().map(|process| process.canaries.seen());
        seen.clone().min() == seen.max()
    }

    /// Writes canary data to the healthy members, if they include a quorum of the voters.
    pub fn write_canary(&mut self, key: &str, value: &str, well: &[MemberId]) -> Result<(), Refusal> {
        let written = self.leading().ok_or_else(no_leader)?.canaries.with(key, value);
        let voting = well.iter().filter(|id| self.peers.get(id).is_some_and(|peer| peer.voter)).count();
        if voting < self.needed.of()(self.voters()) {
            return Err(Refusal::new(ErrorKind::Unreachable, "too few healthy voters to commit a write"));
        }
        for id in self.leader.iter().chain(well) {
            if let Some(process) = self.processes.get_mut(id) {
                process.canaries.follow(&written);
            }
        }
        Ok(())
    }
}

// Elections.
impl Raft {
    /// Counts the members that have a vote.
    pub fn voters(&self) -> usize {
        self.peers.values().filter(|peer| peer.voter).count()
    }

    /// Says when members that are not calm look around again: after a step, or at the election if that is sooner.
    pub fn next_look(&self, now: Millis, step: Millis) -> Millis {
        let election = self.election.as_ref();
        election.map_or(now + step, |(at, _)| (*at).clamp(now + 1, now + step))
    }

    /// Lists the processes that can vote.
    fn electorate(&self) -> Vec<&MemberId> {
        let votes = |id: &MemberId| self.processes.get(id).is_some_and(|process| process.joined.is_some());
        self.peers.iter().filter(|(id, peer)| peer.voter && votes(id)).map(|(id, _)| id).collect()
    }

    /// Leaves the members without a leader until an election 3–4 s from now.
    pub fn lose_leader(&mut self, now: Millis, rng: &mut Rng) {
        self.replicate(now);
        self.index = self.index(now);
        self.leader = None;
        self.unled = self.unled.filter(|(_, until)| until.is_none()).or(Some((now, None)));
        self.election = Some((now + rng.u64(3_000..=4_000), None));
    }

    /// Cuts a member off: it holds no election with the others, hears nothing of them, and leads nobody.
    pub fn cut_off(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) {
        self.replicate(now);
        if self.leader.as_ref() == Some(member) {
            self.lose_leader(now, rng);
        }
        let entries = self.processes.get(member).map_or(0, |process| self.applied(process, now));
        if let Some(process) = self.processes.get_mut(member) {
            (process.cut_off, process.joined, process.from) = (true, None, entries);
        }
    }

    /// Says what comes of a request to hand over where that is settled already: somebody else leads.
    pub fn leads_already(&self, from: &MemberId, to: &MemberId) -> Option<Outcome> {
        match &self.leader {
            Some(leader) if leader == to => Some(Outcome::AlreadySo),
            Some(leader) if leader != from => Some(changed(format!("{from} leads"), format!("{leader} leads"))),
            _ => None,
        }
    }

    /// Lets the leader hand over, which takes a moment.
    pub fn hand_over(&mut self, to: MemberId, now: Millis, rng: &mut Rng) {
        let back = self.leader.clone().filter(|_| self.bounces > 0);
        self.bounces = self.bounces.saturating_sub(1);
        self.lose_leader(now, rng);
        self.election = Some((now + rng.u64(200..=500), Some(back.unwrap_or(to))));
    }

    /// Counts those who can vote and whom a member reaches, and who reach it, itself among them.
    fn supporters(&self, id: &MemberId) -> usize {
        let Some(process) = self.processes.get(id) else { return 0 };
        let is_linked = |other: &&MemberId| self.links.connect(&process.name, &self.processes[*other].name);
        self.electorate().into_iter().filter(is_linked).count()
    }

    /// Notes who hears of the leader and whom the leader hears. One that heard nothing has called for elections meanwhile, and once it
    /// is heard again the leader gives way to its higher term.
    fn follow_links(&mut self, now: Millis, rng: &mut Rng) {
        let leader = self.leading().map(|leader| leader.name.clone());
        let mut returns = false;
        for id in self.processes.keys().cloned().collect::<Vec<_>>() {
            let process = &self.processes[&id];
            let linked = leader.as_ref().is_none_or(|leader| self.links.connect(leader, &process.name));
            let deaf = leader.as_ref().is_some_and(|leader| !self.links.carry(leader, &process.name));
            returns |= leader.is_some() && process.deaf && linked && process.joined.is_some();
            let entries = (process.unlinked == linked).then(|| self.applied(process, now));
            let Some(process) = self.processes.get_mut(&id) else { continue };
            if let Some(entries) = entries {
                process.from = entries;
                process.joined = process.joined.map(|joined| if linked { now } else { joined });
            }
            (process.unlinked, process.deaf) = (!linked, deaf);
        }
        if returns && self.needed.of()(self.voters()) > 1 {
            self.lose_leader(now, rng);
        }
    }

    /// Holds the election that is due. Says whether somebody new leads.
    pub fn elect(&mut self, now: Millis, rng: &mut Rng) -> bool {
        if !self.formed {
            return false;
        }
        self.follow_links(now, rng);
        let is_new = self.hold_election(now, rng);
        if is_new {
            self.follow_links(now, rng);
        }
        is_new
    }

    fn hold_election(&mut self, now: Millis, rng: &mut Rng) -> bool {
        let (electorate, needed) = (self.electorate(), self.needed.of()(self.voters()));
        let has_quorum = electorate.iter().any(|id| self.supporters(id) >= needed);
        let leads = |leader: &MemberId| electorate.contains(&leader) && self.supporters(leader) >= needed;
        if self.leader.as_ref().is_some_and(leads) {
            return false;
        }
        match self.election.clone() {
            None => self.lose_leader(now, rng),
            Some((at, _)) if at > now => {}
            Some(_) if !has_quorum => self.try_again(now, rng),
            Some((_, chosen)) => {
                let fit = self.fit_to_lead(now);
                let chosen = chosen.filter(|id| fit.contains(id)).or_else(|| rng.choice(fit));
                return self.make_leader(chosen, now, rng);
            }
        }
        false
    }

    /// Lists who can win: only a member with a log as long as any other's of those who would vote for it, and these are enough.
    fn fit_to_lead(&self, now: Millis) -> Vec<MemberId> {
        let log = |id: &MemberId| {
            let process = &self.processes[id];
            (process.canaries.seen(), self.applied(process, now))
        };
        let (electorate, needed) = (self.electorate(), self.needed.of()(self.voters()));
        let name = |id: &MemberId| &self.processes[id].name;
        let votes_for = |id: &MemberId, other: &MemberId| self.links.connect(name(id), name(other));
        let longest = |id: &MemberId| electorate.iter().filter(|other| votes_for(id, other)).map(|id| log(id)).max();
        let fit = |id: &MemberId| {
            let is_well = self.processes[id].ailment(now).is_none() && self.supporters(id) >= needed;
            is_well && Some(log(id)) >= longest(id)
        };
        electorate.iter().filter(|id| fit(id)).map(|id| (*id).clone()).collect()
    }

    fn try_again(&mut self, now: Millis, rng: &mut Rng) {
        self.election = Some((now + rng.u64(2_000..=4_000), None));
    }

    fn make_leader(&mut self, chosen: Option<MemberId>, now: Millis, rng: &mut Rng) -> bool {
        let Some(chosen) = chosen else {
            self.try_again(now, rng);
            return false;
        };
        self.leader = Some(chosen);
        self.unled = self.unled.map(|(since, until)| (since, until.or(Some(now))));
        self.election = None;
        self.term += 1;
        self.index_at = now;
        true
    }
}

// The beginning, and the end of a process.
impl Raft {
    /// Ends a process without a leave, and says what it leaves on its volume, and its name.
    pub fn end(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) -> Option<(SlotName, Log)> {
        self.replicate(now);
        let entries = self.applied(self.processes.get(member)?, now);
        let process = self.processes.remove(member)?;
        if self.leader.as_ref() == Some(member) {
            self.lose_leader(now, rng);
        }
        Some((process.name, Log { entries, canaries: process.canaries }))
    }

    /// Founds a new cluster when all its first members have found each other. Says whether it did.
    pub fn form(&mut self, now: Millis, rng: &mut Rng) -> bool {
        let joined = self.processes.values().filter(|process| process.joined.is_some()).count();
        if self.formed || self.founders == 0 || joined < self.founders {
            return false;
        }
        self.formed = true;
        self.peers.extend(self.processes.iter().map(|(id, process)| (id.clone(), Peer::of(process, true))));
        self.lose_leader(now, rng);
        true
    }

    /// Founds a cluster with one process, and all that is in its log. Says whether it did.
    pub fn begin_alone(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) -> bool {
        let Some(process) = self.processes.get(member).filter(|_| !self.formed) else { return false };
        self.formed = true;
        (self.index, self.index_at) = (process.from, now);
        self.peers.insert(member.clone(), Peer::of(process, true));
        self.lose_leader(now, rng);
        true
    }

    /// Gives back the memory that is not needed.
    pub fn pack(&mut self) {
        pack::list(&mut self.peers);
        pack::list(&mut self.processes);
    }

    /// Makes the processes a cluster that has been running for a while.
    pub fn settle(&mut self, leader: MemberId, now: Millis) {
        self.formed = true;
        self.term = 4;
        self.index = LONG_LOG;
        self.index_at = now;
        self.leader = Some(leader);
        for (id, process) in &mut self.processes {
            process.joined = Some(now);
            process.from = self.index;
            self.peers.insert(id.clone(), Peer::of(process, true));
        }
    }
}

pub(super) fn no_leader() -> Refusal {
    Refusal::new(ErrorKind::Unreachable, "no cluster leader")
}
