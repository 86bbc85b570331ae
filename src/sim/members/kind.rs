//! The difference between kinds of application, as far as the simulated world knows any.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fastrand::Rng;

use super::raft::{Process, Raft};
use crate::action::MemberEffect;
use crate::ids::{MemberId, SlotName};
use crate::observed::Membership;
use crate::ports::Outcome;
use crate::sim::content::Log;
use crate::sim::time::Millis;
use crate::sim::words::{Payload, Refusal, changed};
use crate::time::Timestamp;

/// A request to the interface that one member has of its own.
pub struct Request<'a> {
    /// The address of the member.
    pub at: IpAddr,
    /// E.g. `GET`.
    pub method: &'a str,
    /// E.g. `/v1/status/leader`.
    pub path: &'a str,
    /// The parameters, e.g. `stale`.
    pub query: &'a BTreeMap<String, String>,
    pub body: &'a [u8],
    pub now: Millis,
    /// The face that instants have for the reader.
    pub written: &'a dyn Fn(Timestamp) -> String,
}

/// The part of an application's behaviour in which kinds differ. What has a body here is so where members agree by Raft and
/// have nothing beside it.
pub(super) trait Kind {
    /// The agreement of the members.
    fn raft(&self) -> &Raft;

    fn raft_mut(&mut self) -> &mut Raft;

    /// Starts a process. It joins at the next look around.
    fn start(&mut self, member: MemberId, process: Process) {
        self.raft_mut().processes.insert(member, process);
    }

    /// Ends a process without a leave, and says what it leaves on its volume.
    fn stop(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) -> Option<Log> {
        self.raft_mut().end(member, now, rng).map(|(_, left)| left)
    }

    /// Says whether the members can still elect a leader, if all that run are well: enough of those that have a vote run.
    fn can_elect(&self) -> bool {
        let raft = self.raft();
        let running = raft.peers.iter().filter(|(id, peer)| peer.voter && raft.processes.contains_key(*id)).count();
        !raft.formed || running >= raft.needed.of()(raft.voters().max(1))
    }

    /// Cuts a member off from the others, who notice it as they notice a death.
    fn cut_off(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) {
        self.raft_mut().cut_off(member, now, rng);
    }

    /// Lets everybody reach everybody again.
    fn rejoin(&mut self) {
        self.raft_mut().processes.iter_mut().for_each(|(_, process)| process.cut_off = false);
    }

    /// Founds a cluster with one process that has just started: it has a log and no peers.
    fn begin_alone(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) {
        self.raft_mut().begin_alone(member, now, rng);
    }

    /// Gives back the memory that is not needed.
    fn pack(&mut self) {
        self.raft_mut().pack();
    }

    /// Makes the processes a cluster that has been running for a while.
    fn settle(&mut self, leader: MemberId, now: Millis);

    /// Lets the members look around once. Says when they must look again, or nothing if all is calm.
    fn step(&mut self, now: Millis, rng: &mut Rng) -> Option<Millis>;

    /// Says whether a member runs where its peers know it, in health and not far behind.
    fn is_well(&self, member: &MemberId, now: Millis) -> bool;

    /// Says whether nothing will change by itself: no member that runs is still catching up, or ill now and then.
    fn is_calm(&self, now: Millis) -> bool {
        let raft = self.raft();
        let settled = |(id, process): (&MemberId, &Process)| {
            let is_steady = !matches!(process.payload, Payload::Flaps | Payload::JoinsUnhealthy);
            !raft.peers.contains_key(id) || is_steady && self.is_well(id, now)
        };
        let is_led = raft.leader.is_some() && raft.election.is_none() && raft.is_replicated();
        raft.processes.is_empty() || is_led && raft.processes.iter().all(settled)
    }

    /// Lets another member lead, if it is well.
    fn hand_over(&mut self, from: &MemberId, to: &MemberId, now: Millis, rng: &mut Rng) -> Outcome {
        if let Some(outcome) = self.raft().leads_already(from, to) {
            return outcome;
        }
        if !self.is_well(to, now) {
            return changed(format!("{to} is a healthy voter"), "it is not");
        }
        self.raft_mut().hand_over(to.clone(), now, rng);
        Outcome::Done
    }

    /// Tells what the members say of each other.
    fn membership(&self, slots: &BTreeSet<SlotName>, now: Millis) -> Membership;

    /// Carries out a request, which the leader was sent.
    fn change(&mut self, effect: &MemberEffect, now: Millis, rng: &mut Rng) -> Result<Outcome, Refusal>;

    /// Answers a request to one member: the status, and the body.
    fn answer(&mut self, request: &Request, rng: &mut Rng) -> (u16, String);

    /// Says whether leadership can be handed over.
    fn can_transfer(&self) -> bool;

    /// Says whether a member leads that others can tell from the rest.
    fn shows_leader(&self) -> bool {
        true
    }

    /// Says whether the others have to be told where a member is to be found, before it starts elsewhere.
    fn is_told_of_places(&self) -> bool {
        false
    }

    /// Sets down to how many the members may remove dead ones. A kind that never does has nothing to set.
    fn set_least(&mut self, _least: usize) {}

    /// Lets the members remove dead ones from their number, or not. A kind that never does has nothing to set.
    fn set_pruning(&mut self, _on: bool) {}
}
