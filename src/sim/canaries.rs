//! Canary data: what members have of it, on disks that live as long as their volumes.
//!
//! Writes are numbered like the entries of a log. A member that was away is sent the writes that it has not seen, and no
//! more: what it has seen and lost since does not come back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Payload;
use super::calls::Refusal;
use super::consul::{Consul, Process};
use super::truth::{Millis, Truth};
use crate::ids::{ClusterName, MemberId};
use crate::ports::{ErrorKind, Seat};
use crate::spec::quorum;

/// What one member has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Canaries {
    /// The number of the last write that it has seen.
    seen: u64,
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The number of the write that it comes from.
    write: u64,
    value: String,
}

impl Canaries {
    /// How many writes it has seen.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// What the application finds when it starts on this disk.
    pub(super) fn at_start(&self, payload: &Payload) -> Self {
        match payload {
            Payload::LosesData => Self { seen: self.seen, entries: BTreeMap::new() },
            _ => self.clone(),
        }
    }

    /// The next write.
    fn with(&self, key: &str, value: &str) -> Self {
        let mut next = self.clone();
        next.seen += 1;
        next.entries.insert(key.to_owned(), Entry { write: next.seen, value: value.to_owned() });
        next
    }

    /// Sees what the leader has seen beyond it. No leader has seen less: each has the longest log of a quorum.
    fn follow(&mut self, leader: &Self) {
        let news = leader.entries.iter().filter(|(_, entry)| entry.write > self.seen);
        self.entries.extend(news.map(|(key, entry)| (key.clone(), entry.clone())));
        self.seen = leader.seen;
    }
}

impl Consul {
    /// Members that have the whole log get the writes that they lack. Only a leader sends any.
    pub(super) fn replicate(&mut self, now: Millis) {
        let Some(leader) = self.leading().filter(|_| !self.is_replicated()) else { return };
        let (index, canaries) = (self.index(now), leader.canaries.clone());
        let whole = |process: &Process| process.joined.is_some() && self.applied(process, now) == index;
        let due: Vec<MemberId> =
            self.processes.iter().filter(|(_, process)| whole(process)).map(|(id, _)| id.clone()).collect();
        for id in due {
            if let Some(process) = self.processes.get_mut(&id) {
                process.canaries.follow(&canaries);
            }
        }
    }

    /// Every running member has seen every write.
    pub(super) fn is_replicated(&self) -> bool {
        let seen = self.processes.values().map(|process| process.canaries.seen);
        seen.clone().min() == seen.max()
    }

    /// A write goes to every healthy member, and is acknowledged if they include a quorum of the voters.
    fn write_canary(&mut self, key: &str, value: &str, now: Millis) -> Result<(), Refusal> {
        let leader = self.leading().ok_or_else(leaderless)?;
        let written = leader.canaries.with(key, value);
        let well: Vec<MemberId> = self.servers.keys().filter(|id| self.is_well(id, now)).cloned().collect();
        let voters = |id: &&MemberId| self.servers[*id].voter;
        let needed = quorum(self.servers.values().filter(|server| server.voter).count());
        if well.iter().filter(voters).count() < needed {
            return Err(Refusal::new(ErrorKind::Unreachable, "too few healthy voters to commit a write"));
        }
        for id in self.leader.iter().chain(&well) {
            if let Some(process) = self.processes.get_mut(id) {
                process.canaries.follow(&written);
            }
        }
        Ok(())
    }

    /// The process of the leader.
    fn leading(&self) -> Option<&Process> {
        self.processes.get(self.leader.as_ref()?)
    }
}

impl Truth {
    pub(super) fn write_canary(
        &mut self,
        name: &ClusterName,
        seats: &[Seat],
        key: &str,
        value: &str,
    ) -> Result<(), Refusal> {
        let now = self.now;
        self.reached(name, seats)?;
        let cluster = self.clusters.get_mut(name).ok_or_else(leaderless)?;
        cluster.consul.write_canary(key, value, now)
    }

    /// What the leader has.
    pub(super) fn canaries(&self, name: &ClusterName, seats: &[Seat]) -> Result<BTreeMap<String, String>, Refusal> {
        let leader = self.reached(name, seats)?.consul.leading().ok_or_else(leaderless)?;
        let entries = leader.canaries.entries.iter();
        Ok(entries.map(|(key, entry)| (key.clone(), entry.value.clone())).collect())
    }
}

fn leaderless() -> Refusal {
    Refusal::new(ErrorKind::Unreachable, "no cluster leader")
}
