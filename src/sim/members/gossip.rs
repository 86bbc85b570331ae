//! Consul's gossip: who is known by which name and address, and who has failed.

use std::net::IpAddr;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::raft::Process;
use crate::ids::{MemberId, SlotName};
use crate::sim::pack;
use crate::sim::time::Millis;

/// A name may be taken over when its old address has been failed for 30 s (`DeadNodeReclaimTime`).
const RECLAIM: Millis = 30_000;
/// A refused join is tried again after this (`retry_interval`).
const RETRY_JOIN: Millis = 30_000;

/// The gossip among one cluster's servers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Gossip {
    names: LiteMap<SlotName, Rumour>,
    /// The time of the next try of each process whose join was refused.
    next_join: LiteMap<MemberId, Millis>,
}

/// The gossip about one node name.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rumour {
    member: MemberId,
    address: IpAddr,
    failed_since: Option<Millis>,
    /// The time at which its peers will notice that it has stopped answering.
    fails_at: Option<Millis>,
}

impl Rumour {
    fn of(id: &MemberId, process: &Process) -> Self {
        Self { member: id.clone(), address: process.address, failed_since: None, fails_at: None }
    }
}

impl Gossip {
    /// Lets a process that has just started join at once.
    pub fn begin(&mut self, member: &MemberId) {
        self.next_join.remove(member);
    }

    /// Gives back the memory that is not needed.
    pub fn pack(&mut self) {
        pack::list(&mut self.names);
    }

    /// Makes a process known as one that has joined.
    pub fn spread(&mut self, id: &MemberId, process: &Process) {
        self.names.insert(process.name.clone(), Rumour::of(id, process));
    }

    /// Finds out whether anybody will notice that a process has stopped, and then when.
    pub fn will_notice(&mut self, member: &MemberId, name: &SlotName, at: impl FnOnce() -> Millis) {
        if let Some(rumour) = self.names.get_mut(name).filter(|rumour| rumour.member == *member) {
            rumour.fails_at = Some(at());
        }
    }

    /// Takes for failed what has stopped answering for long enough.
    pub fn notice_failures(&mut self, now: Millis) {
        for (_, rumour) in &mut self.names {
            if let Some(at) = rumour.fails_at.filter(|at| *at <= now) {
                rumour.fails_at = None;
                rumour.failed_since = Some(at);
            }
        }
    }

    /// Lets processes join whose names are theirs to take.
    pub fn join(&mut self, processes: &mut LiteMap<MemberId, Process>, now: Millis) {
        let alone = processes.values().all(|process| process.joined.is_none());
        for (id, process) in processes {
            if process.cut_off || process.joined.is_some() || self.next_join.get(id).is_some_and(|at| *at > now) {
                continue;
            }
            if !alone && self.is_taken(process, now) {
                self.next_join.insert(id.clone(), now + RETRY_JOIN);
                continue;
            }
            process.joined = Some(now);
            self.spread(id, process);
        }
    }

    /// Says whether another address holds a process's name.
    fn is_taken(&self, process: &Process, now: Millis) -> bool {
        self.names.get(&process.name).is_some_and(|old| {
            old.address != process.address && old.failed_since.is_none_or(|since| now.saturating_sub(since) < RECLAIM)
        })
    }

    /// Says whether a server has failed, or another one is known by its name.
    pub fn has_lost(&self, id: &MemberId, name: &SlotName) -> bool {
        let rumour = self.names.get(name).filter(|rumour| rumour.member == *id);
        rumour.is_none_or(|rumour| rumour.failed_since.is_some())
    }

    /// Lists everybody who is known: the name, the member, its address, and whether it has failed.
    pub fn known(&self) -> impl Iterator<Item = (&SlotName, &MemberId, IpAddr, bool)> {
        self.names.iter().map(|(name, rumour)| (name, &rumour.member, rumour.address, rumour.failed_since.is_some()))
    }

    /// Says whether no failure is yet to be noticed.
    pub fn is_quiet(&self) -> bool {
        self.names.values().all(|rumour| rumour.fails_at.is_none())
    }
}
