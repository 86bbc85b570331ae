//! PostgreSQL under Patroni: one primary, and replicas that are sent its log. One that has everything suffices. A member that is
//! lost leaves the store's list after the time to live, and a primary that is lost is followed by another after the same time,
//! as seen of Patroni 3.0.4.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::kind::{Kind, Request};
use super::raft::{Peer, Process, Raft};
use crate::action::MemberEffect;
use crate::ids::{MemberId, SlotName};
use crate::observed::{Health, Member, Membership, Pruning};
use crate::ports::Outcome;
use crate::sim::content::Log;
use crate::sim::time::Millis;
use crate::sim::words::{Payload, Refusal, changed};
use crate::spec::{Lag, Needed};

/// While anything is unsettled the members look around this often.
const STEP: Millis = 1_000;
/// The time for which a member's key outlives it.
const TIME_TO_LIVE: Millis = 30_000;
/// The bytes of an entry of the log.
pub(super) const ENTRY: u64 = 8_192;
/// A replica may lie this many bytes behind and still be well.
const MAX_BEHIND: u64 = 16 << 20;

/// One cluster's members.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Patroni {
    pub(super) raft: Raft,
    /// The name of the cluster in its own configuration.
    pub(super) scope: String,
    /// The moments since which members that the store lists have been away.
    away: BTreeMap<MemberId, Millis>,
}

impl Patroni {
    /// Members of a scope, of whom none runs yet.
    pub fn of(scope: &str) -> Self {
        Self { raft: Raft::with(Needed::One), scope: scope.to_owned(), away: BTreeMap::new() }
    }

    /// Nobody again, of the same scope.
    pub fn anew(&self) -> Self {
        Self::of(&self.scope)
    }
}

impl Kind for Patroni {
    fn raft(&self) -> &Raft {
        &self.raft
    }

    fn raft_mut(&mut self) -> &mut Raft {
        &mut self.raft
    }

    fn stop(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) -> Option<Log> {
        let led = self.raft.leader.as_ref() == Some(member);
        let (_, left) = self.raft.end(member, now, rng)?;
        if led {
            // Nobody takes over before the leader's key has run out.
            self.raft.election = Some((now + rng.u64(TIME_TO_LIVE / 3 * 2..=TIME_TO_LIVE), None));
        }
        Some(left)
    }

    fn settle(&mut self, leader: MemberId, now: Millis) {
        self.raft.settle(leader, now);
    }

    fn step(&mut self, now: Millis, rng: &mut Rng) -> Option<Millis> {
        // The first one to come initialises the database, and the others copy it.
        self.raft.founders = self.raft.founders.min(1);
        self.join(now);
        self.raft.form(now, rng);
        self.raft.elect(now, rng);
        self.raft.replicate(now);
        self.forget(now);
        (!self.is_calm(now)).then(|| self.raft.next_look(now, STEP))
    }

    fn is_well(&self, id: &MemberId, now: Millis) -> bool {
        let (true, Some(process)) = (self.raft.peers.contains_key(id), self.raft.processes.get(id)) else {
            return false;
        };
        process.joined.is_some() && process.ailment(now).is_none() && self.lag(process, now) <= MAX_BEHIND
    }

    /// Everybody is there, well, and has every write.
    fn is_calm(&self, now: Millis) -> bool {
        let settled = |(id, process): (&MemberId, &Process)| {
            let is_steady = !matches!(process.payload, Payload::Flaps | Payload::JoinsUnhealthy);
            is_steady && (process.cut_off || self.is_well(id, now))
        };
        let is_led = self.raft.leader.is_some() && self.raft.election.is_none() && self.raft.is_replicated();
        self.raft.processes.is_empty() || is_led && self.away.is_empty() && self.raft.processes.iter().all(settled)
    }

    fn membership(&self, slots: &BTreeSet<SlotName>, now: Millis) -> Membership {
        Membership {
            members: self.raft.peers.iter().map(|(id, peer)| self.describe(id, peer, slots, now)).collect(),
            leader: self.raft.leader.as_ref().and_then(|id| Some(shown(self.raft.peers.get(id)?))),
            can_transfer: true,
            heirs: Some(self.raft.peers.values().map(shown).collect()),
            pruning: Pruning::Never,
            agreed_version: None,
            warnings: Vec::new(),
            blockers: Vec::new(),
        }
    }

    fn change(&mut self, effect: &MemberEffect, now: Millis, rng: &mut Rng) -> Result<Outcome, Refusal> {
        match effect {
            MemberEffect::SetPruning { .. } | MemberEffect::Prepare { .. } | MemberEffect::MoveMember { .. } => {
                Ok(Outcome::AlreadySo)
            }
            MemberEffect::TransferLeadership { from, to } => {
                let (Some(from), Some(to)) = (&self.named(from), &self.named(to)) else {
                    return Ok(changed(format!("{from} and {to} are members"), "they are not"));
                };
                if let Some(outcome) = self.raft.leads_already(from, to) {
                    return Ok(outcome);
                }
                if !self.is_well(to, now) {
                    return Ok(changed(format!("{from} leads, and {to} can"), "it cannot"));
                }
                self.raft.hand_over(to.clone(), now, rng);
                Ok(Outcome::Done)
            }
        }
    }

    fn answer(&mut self, request: &Request, rng: &mut Rng) -> (u16, String) {
        self.answer_over_http(request, rng)
    }

    fn can_transfer(&self) -> bool {
        true
    }
}

/// Gives the id that others know a member by: its name, which is all that Patroni has.
fn shown(peer: &Peer) -> MemberId {
    MemberId::from(&*peer.name)
}

// A look around.
impl Patroni {
    /// Finds the member of a name.
    pub(super) fn named(&self, name: &str) -> Option<MemberId> {
        self.raft.peers.iter().find(|(_, peer)| *peer.name == *name).map(|(id, _)| id.clone())
    }

    /// Lets processes reach the store, under whichever address they have.
    fn join(&mut self, now: Millis) {
        let Raft { formed, peers, processes, .. } = &mut self.raft;
        for (id, process) in processes.iter_mut().filter(|(_, process)| process.joined.is_none() && !process.cut_off) {
            process.joined = Some(now);
            if *formed {
                // The store has one key for each name.
                peers.retain(|_, peer| peer.name != process.name);
                peers.insert(id.clone(), Peer::of(process, true));
            }
        }
    }

    /// Lets the keys run out of members that have been away for long enough. The last one stays: it has the database.
    fn forget(&mut self, now: Millis) {
        let is_here = |id: &MemberId| self.raft.processes.get(id).is_some_and(|process| process.joined.is_some());
        let gone: Vec<MemberId> = self.raft.peers.keys().filter(|id| !is_here(id)).cloned().collect();
        self.away.retain(|id, _| gone.contains(id));
        for id in gone {
            let since = *self.away.entry(id.clone()).or_insert(now);
            if now >= since + TIME_TO_LIVE && self.raft.peers.len() > 1 {
                self.raft.peers.remove(&id);
                self.away.remove(&id);
            }
        }
    }

    /// Tells how many bytes of the log a process has not replayed.
    pub(super) fn lag(&self, process: &Process, now: Millis) -> u64 {
        (self.raft.index(now) - self.raft.applied(process, now)) * ENTRY
    }

    fn describe(&self, id: &MemberId, peer: &Peer, slots: &BTreeSet<SlotName>, now: Millis) -> Member {
        let process = self.raft.processes.get(id);
        let reached = process.filter(|process| process.joined.is_some() && process.ailment(now).is_none());
        let health = match (&self.raft.leader, reached) {
            (None, _) => Health::Unknown("the store has no leader".to_owned()),
            (Some(_), None) => Health::Unhealthy("it does not answer, and it is not sent the log".to_owned()),
            (Some(_), Some(_)) => Health::Healthy,
        };
        let known = self.raft.leader.as_ref().and(process);
        Member {
            id: shown(peer),
            slot: slots.contains(&peer.name).then(|| peer.name.clone()),
            address: Some(peer.address),
            counts: true,
            health,
            stable_since: None,
            lag: known.map(|process| Lag::Bytes(self.lag(process, now))),
            version: process.map(|process| process.version.clone()),
        }
    }
}
