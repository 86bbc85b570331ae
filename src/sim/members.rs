//! The members of a cluster: the application's processes on their instances, and what they agree on.
//!
//! A kind of application is a variant of [`Members`] with a file of its own that fills [`Kind`]; kinds that agree by Raft
//! share `raft`. The rest of the simulated world knows no kind.
//!
//! Members reach each other, or a few of them are cut off from the rest ([`Members::cut_off`]), or what one of them sends does not
//! reach another one ([`Members::cut_link`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::content::Log;
use super::time::Millis;
use super::words::Refusal;
use crate::action::MemberEffect;
use crate::ids::{InstanceId, MemberId, SlotName};
use crate::observed::Membership;
use crate::ports::{Outcome, Seat};
use crate::spec::ApplicationSpec;

mod autopilot;
mod command;
mod consul;
mod consul_http;
mod etcd;
mod etcd_http;
mod gossip;
mod kind;
mod links;
mod patroni;
mod patroni_http;
mod raft;
mod zookeeper;
mod zookeeper_http;

pub use kind::Request;
pub use raft::Process;

use command::Command;
use consul::Consul;
use etcd::Etcd;
use kind::Kind;
use patroni::Patroni;
use raft::{Raft, no_leader};
use zookeeper::Zookeeper;

/// The members of one cluster, by the kind of their application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Members {
    /// Consul servers.
    Consul(Consul),
    /// Members of etcd.
    Etcd(Etcd),
    /// Members of PostgreSQL under Patroni.
    Patroni(Patroni),
    /// ZooKeeper servers.
    Zookeeper(Zookeeper),
    /// Members that go by the rules of their file.
    Command(Command),
}

impl Members {
    /// Members of an application, of whom none runs yet.
    pub fn of(application: &ApplicationSpec) -> Self {
        match application {
            ApplicationSpec::Consul(spec) => Self::Consul(Consul::of(&spec.datacenter)),
            ApplicationSpec::Etcd(_) => Self::Etcd(Etcd::default()),
            ApplicationSpec::Patroni(spec) => Self::Patroni(Patroni::of(&spec.scope)),
            ApplicationSpec::Zookeeper(_) => Self::Zookeeper(Zookeeper::default()),
            ApplicationSpec::Command(spec) => Self::Command(Command::of(spec)),
        }
    }

    /// Nobody again, of the same kind.
    pub fn anew(&self) -> Self {
        let mut anew = match self {
            Self::Consul(consul) => Self::Consul(consul.anew()),
            Self::Etcd(_) => Self::Etcd(Etcd::default()),
            Self::Patroni(patroni) => Self::Patroni(patroni.anew()),
            Self::Zookeeper(_) => Self::Zookeeper(Zookeeper::default()),
            Self::Command(command) => Self::Command(command.anew()),
        };
        anew.expect(self.raft().founders);
        anew
    }

    fn kind(&self) -> &dyn Kind {
        match self {
            Self::Consul(consul) => consul,
            Self::Etcd(etcd) => etcd,
            Self::Patroni(patroni) => patroni,
            Self::Zookeeper(zookeeper) => zookeeper,
            Self::Command(command) => command,
        }
    }

    fn kind_mut(&mut self) -> &mut dyn Kind {
        match self {
            Self::Consul(consul) => consul,
            Self::Etcd(etcd) => etcd,
            Self::Patroni(patroni) => patroni,
            Self::Zookeeper(zookeeper) => zookeeper,
            Self::Command(command) => command,
        }
    }

    fn raft(&self) -> &Raft {
        self.kind().raft()
    }
}

// Changes.
impl Members {
    /// Gives back the memory that is not needed.
    pub fn pack(&mut self) {
        self.kind_mut().pack();
    }

    /// Sets how many members found the cluster together.
    pub fn expect(&mut self, founders: usize) {
        self.kind_mut().raft_mut().founders = founders;
    }

    /// Starts a process. It joins at the next look around, unless another of the same member runs elsewhere: then its peers refuse it,
    /// and it stays by itself.
    pub fn start(&mut self, member: MemberId, process: Process) {
        let is_elsewhere = |first: &Process| first.instance != process.instance;
        if self.raft().processes.get(&member).is_some_and(is_elsewhere) {
            self.kind_mut().raft_mut().doubles.push((member, process));
        } else {
            self.kind_mut().start(member, process);
        }
    }

    /// Founds a cluster with one process that has just started: it has a log and no peers.
    pub fn begin_alone(&mut self, member: &MemberId, now: Millis, rng: &mut Rng) {
        self.kind_mut().begin_alone(member, now, rng);
    }

    /// Ends the process on an instance without a leave, and says what it leaves on its volume. Another one of the same member may join
    /// from then on.
    pub fn stop(&mut self, instance: &InstanceId, now: Millis, rng: &mut Rng) -> Option<Log> {
        let doubles = &self.raft().doubles;
        if let Some(at) = doubles.iter().position(|(_, double)| double.instance == *instance) {
            let (_, double) = self.kind_mut().raft_mut().doubles.remove(at);
            return Some(Log { entries: double.from, canaries: double.canaries });
        }
        let member = self.member_on(instance)?.clone();
        let left = self.kind_mut().stop(&member, now, rng);
        if let Some(at) = self.raft().doubles.iter().position(|(of, _)| *of == member) {
            let (member, double) = self.kind_mut().raft_mut().doubles.remove(at);
            self.kind_mut().start(member, double);
        }
        left
    }

    /// Cuts the members of some slots off from the others. Whichever side has fewer votes is the one that is cut off.
    pub fn cut_off(&mut self, slots: &BTreeSet<SlotName>, now: Millis, rng: &mut Rng) {
        let raft = self.raft();
        let votes = |id: &MemberId| raft.peers.get(id).is_some_and(|peer| peer.voter);
        let (here, there): (Vec<_>, Vec<_>) = raft
            .processes
            .iter()
            .map(|(id, process)| (id.clone(), slots.contains(&process.name)))
            .partition(|one| one.1);
        let weight = |side: &[(MemberId, bool)]| side.iter().filter(|(id, _)| votes(id)).count();
        let smaller = if weight(&here) > weight(&there) { there } else { here };
        smaller.iter().for_each(|(id, _)| self.kind_mut().cut_off(id, now, rng));
    }

    /// Lets nothing that the member of one slot sends reach that of another.
    pub fn cut_link(&mut self, from: &SlotName, to: &SlotName) {
        self.kind_mut().raft_mut().links.cut(from.clone(), to.clone());
    }

    /// Lets it reach that one again.
    pub fn mend_link(&mut self, from: &SlotName, to: &SlotName) {
        self.kind_mut().raft_mut().links.mend(from, to);
    }

    /// Lets the members that were cut off reach the others again.
    pub fn rejoin(&mut self) {
        self.kind_mut().rejoin();
    }

    /// Makes the processes a cluster that has been running for a while.
    pub fn settle(&mut self, leader: MemberId, now: Millis) {
        self.kind_mut().settle(leader, now);
    }

    /// Lets the members look around once. Says when they must look again, or nothing if all is calm.
    pub fn step(&mut self, now: Millis, rng: &mut Rng) -> Option<Millis> {
        self.kind_mut().step(now, rng)
    }

    /// Makes the leader step down. Says whether there was one.
    pub fn lose_leader(&mut self, now: Millis, rng: &mut Rng) -> bool {
        let leads = self.raft().leader.is_some();
        if leads {
            self.kind_mut().raft_mut().lose_leader(now, rng);
        }
        leads
    }

    /// Names the instance whose member leads, and the moment since which it has been leading, if leadership could be handed
    /// over to somebody.
    pub fn leads_since(&self, now: Millis) -> Option<(InstanceId, Millis)> {
        let (raft, kind) = (self.raft(), self.kind());
        let leader = raft.leader.as_ref()?;
        let heir = raft.peers.iter().any(|(id, peer)| id != leader && peer.voter && kind.is_well(id, now));
        let since = raft.leads_since();
        (heir && kind.can_transfer()).then(|| Some((raft.leading()?.instance.clone(), since))).flatten()
    }

    /// Tells the last span of time in which nobody led: its beginning, and its end if it is over.
    pub fn unled(&self) -> Option<(Millis, Option<Millis>)> {
        self.raft().unled
    }

    /// Says whether members of all those slots run, and can elect nobody any more.
    pub fn have_lost_their_quorum<'s>(&self, mut slots: impl Iterator<Item = &'s SlotName>) -> bool {
        let raft = self.raft();
        slots.all(|slot| raft.processes.values().any(|process| process.name == *slot)) && !self.kind().can_elect()
    }

    /// Says whether somebody leads.
    pub fn have_leader(&self) -> bool {
        self.raft().leader.is_some()
    }

    /// Lets leadership come back to whoever handed it over, so many times.
    pub fn bounce_leadership(&mut self, times: u32) {
        self.kind_mut().raft_mut().bounces = times;
    }

    /// Sets down to how many the members may remove dead ones, as a person does.
    pub fn set_least(&mut self, least: usize) {
        self.kind_mut().set_least(least);
    }

    /// Names the instance on which another process of a member runs.
    pub fn instance_of(&self, member: &MemberId) -> Option<&InstanceId> {
        self.raft().processes.get(member).map(|process| &process.instance)
    }

    /// Lets the members remove dead ones from their number, or not.
    pub fn set_pruning(&mut self, on: bool) {
        self.kind_mut().set_pruning(on);
    }

    /// Carries out a request, which only a leader can.
    pub fn change(&mut self, effect: &MemberEffect, now: Millis, rng: &mut Rng) -> Result<Outcome, Refusal> {
        if self.raft().leader.is_none() {
            return Err(no_leader());
        }
        self.kind_mut().change(effect, now, rng)
    }

    /// Answers a request to one member's own interface.
    pub fn answer(&mut self, request: &Request, rng: &mut Rng) -> (u16, String) {
        self.kind_mut().answer(request, rng)
    }

    /// Writes canary data. A write goes to every healthy member, and is acknowledged if they include a quorum.
    pub fn write_canary(&mut self, key: &str, value: &str, now: Millis) -> Result<(), Refusal> {
        let kind = self.kind();
        let well: Vec<MemberId> = kind.raft().peers.keys().filter(|id| kind.is_well(id, now)).cloned().collect();
        self.kind_mut().raft_mut().write_canary(key, value, &well)
    }
}

// Questions.
impl Members {
    /// Tells what the members say of each other.
    pub fn membership(&self, slots: &BTreeSet<SlotName>, now: Millis) -> Membership {
        self.kind().membership(slots, now)
    }

    /// Reads the canary data that the leader has.
    pub fn canaries(&self) -> Result<BTreeMap<String, String>, Refusal> {
        self.raft().leading().map(|leader| leader.canaries.values()).ok_or_else(no_leader)
    }

    /// Names the instance on which a slot's member is a healthy voter.
    pub fn healthy_voter(&self, slot: &SlotName, now: Millis) -> Option<&InstanceId> {
        let (id, process) = self.raft().processes.iter().find(|(_, process)| process.name == *slot)?;
        let votes = self.raft().peers.get(id)?.voter;
        (votes && self.kind().is_well(id, now)).then_some(&process.instance)
    }

    /// Names a slot's part, for the transcript: `leader`, `voter`, `non-voter` or `none`.
    pub fn role(&self, slot: &SlotName) -> &'static str {
        let raft = self.raft();
        match raft.peers.iter().find(|(_, peer)| peer.name == *slot) {
            Some((id, _)) if raft.leader.as_ref() == Some(id) && self.kind().shows_leader() => "leader",
            Some((_, peer)) if peer.voter => "voter",
            Some(_) => "non-voter",
            None => "none",
        }
    }

    /// Finds the member whose process runs on an instance.
    pub fn member_on(&self, instance: &InstanceId) -> Option<&MemberId> {
        let doubles = self.raft().doubles.iter().map(|(member, double)| (member, double));
        let mut all = self.raft().processes.iter().chain(doubles);
        all.find(|(_, process)| process.instance == *instance).map(|(member, _)| member)
    }

    /// Says whether a process can be reached at any of these seats, of those that are not hidden.
    pub fn answer_at(&self, seats: &[Seat], is_hidden: impl Fn(&SlotName) -> bool) -> bool {
        self.reached(seats, is_hidden).next().is_some()
    }

    /// Says whether any of those hears of whoever leads.
    pub fn know_leader(&self, seats: &[Seat], is_hidden: impl Fn(&SlotName) -> bool) -> bool {
        self.reached(seats, is_hidden).any(Process::follows)
    }

    fn reached(&self, seats: &[Seat], is_hidden: impl Fn(&SlotName) -> bool) -> impl Iterator<Item = &Process> {
        let sits = move |process: &&Process| {
            let is_there = |seat: &Seat| process.address == seat.address && process.instance == seat.instance;
            !is_hidden(&process.name) && seats.iter().any(is_there)
        };
        let doubles = self.raft().doubles.iter().map(|(_, double)| double);
        self.raft().processes.values().chain(doubles).filter(sits)
    }

    /// Says whether the members count this one among them.
    pub fn know(&self, member: &MemberId) -> bool {
        self.raft().peers.contains_key(member)
    }

    /// Tells how many of so many declared members have to be healthy.
    pub fn needed(&self, declared: usize) -> usize {
        self.raft().needed.of()(declared)
    }

    /// Tells the term in which somebody leads, or led last.
    pub fn term(&self) -> u64 {
        self.raft().term
    }

    /// Lists the addresses at which processes run, whoever knows of them.
    pub fn addresses_of_processes(&self) -> Vec<IpAddr> {
        self.raft().processes.values().map(|process| process.address).collect()
    }

    /// Lists the addresses that the members know each other by.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.raft().peers.values().map(|peer| peer.address).collect()
    }

    /// Tells where the others look for the member of each slot, and the moment since which there has been a leader who could be told
    /// of another place; nothing where nobody has to be told.
    pub fn looked_for(&self) -> Option<(BTreeMap<SlotName, IpAddr>, Millis)> {
        let raft = self.raft();
        let is_told = self.kind().is_told_of_places() && raft.leader.is_some();
        let places = || raft.peers.values().map(|peer| (peer.name.clone(), peer.address)).collect();
        is_told.then(|| (places(), raft.leads_since()))
    }

    /// Says whether no process runs.
    pub fn is_empty(&self) -> bool {
        self.raft().processes.is_empty() && self.raft().doubles.is_empty()
    }

    /// Tells what a running member has written so far.
    pub fn written(&self, member: &MemberId, now: Millis) -> Option<Log> {
        let process = self.raft().processes.get(member)?;
        Some(Log { entries: self.raft().applied(process, now), canaries: process.canaries.clone() })
    }
}
