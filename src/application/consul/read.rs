//! From the servers' answers to one [`Membership`], decided on data alone.
//!
//! Three sources must agree before a server counts as healthy: raft (who votes, and where), autopilot (who is well) and
//! gossip (who is there, under which name and id). Autopilot's word makes a server *unhealthy*; where it says *healthy*
//! and another source does not fit, the answer is *unknown*. Green health alone proves nothing: it is green with two of
//! three servers once the third has been pruned, and with a third that has no vote yet.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::enterprise;
use super::wire::{Autopilot, Gossip, Raft, RaftServer, ServerHealth};
use crate::application::bounded::MOST_SERVERS;
use crate::ids::{MemberId, SlotName};
use crate::input::text;
use crate::observed::{Health, Member, Membership, Pruning};
use crate::spec::{ClusterSpec, ConsulSpec, Lag, quorum};
use crate::time::Timestamp;

/// The answers to everything that was asked.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The leader as each server that answered sees it: the server's host, and the leader's address, e.g.
    /// `10.0.0.1:8300`; empty if the server sees none.
    pub leaders: Vec<(String, String)>,
    /// Autopilot's verdicts; none if no leader could be asked. The list is empty until a new leader has looked.
    pub health: Option<Vec<ServerHealth>>,
    /// Raft's configuration: the leader's, or without a leader what an answering server remembers; empty if none knows
    /// any.
    pub raft: Raft,
    /// Autopilot's settings, if anybody knew.
    pub autopilot: Option<Autopilot>,
    /// The servers in gossip, as one of them hears it; the first one may be a client.
    pub gossip: Vec<Gossip>,
    /// The servers, by host, whose own answers cost too much, and why.
    pub costly: BTreeMap<String, String>,
}

impl Answers {
    /// Says whether some list has more servers than any cluster of ours.
    pub fn are_too_many(&self) -> bool {
        let gossip = self.gossip.iter().filter(|agent| agent.tags.role == "consul").count();
        servers(self).len().max(self.health.as_ref().map_or(0, Vec::len)).max(gossip) > MOST_SERVERS
    }
}

/// The reason why answers that came with a success say nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Consul filters lists by what the token may see, and answers 200.
    #[error("the token may not see who is there: give it `node_prefix \"\" {{ policy = \"read\" }}`")]
    NothingToSee,
    /// Another cluster answers at these addresses.
    #[error(
        "the servers are of datacenter {found}, and the spec says {expected}: correct `datacenter`, if these are the right ones"
    )]
    OtherDatacenter { expected: String, found: String },
    /// An answer that no cluster of ours gives: each server would be compared with each other.
    #[error("the servers list more than {MOST_SERVERS} servers")]
    TooMany,
}

/// The most characters that are shown of a name that servers give.
const LONGEST_NAME: usize = 100;

/// Makes one membership of the answers. A leader that two servers do not agree on counts for none, and then nobody's
/// health is known: each server may be on the wrong side of a split.
pub fn membership(spec: &ClusterSpec, how: &ConsulSpec, answers: &Answers) -> Result<Membership, Unusable> {
    let Some(somebody) = answers.gossip.first() else { return Err(Unusable::NothingToSee) };
    let found = &somebody.tags.dc;
    if !found.eq_ignore_ascii_case(&how.datacenter) {
        let found = text::cut(found, LONGEST_NAME);
        return Err(Unusable::OtherDatacenter { expected: how.datacenter.clone(), found });
    }
    if answers.are_too_many() {
        return Err(Unusable::TooMany);
    }
    let leader = leader(spec.slots.len(), answers);
    let mut members: Vec<Member> =
        servers(answers).iter().map(|server| member(spec, answers, server, &leader)).collect();
    // Of two members that bear one slot's name, the one that gossip knows by that name comes first.
    members.sort_by_key(|member| {
        let named =
            member.slot.as_ref().is_some_and(|slot| names(answers, &member.id).any(|(name, _)| *name == **slot));
        (member.slot.clone(), !named, member.id.clone())
    });
    Ok(Membership {
        members,
        leader: leader.ok().map(|leader| MemberId::from(leader.id.as_str())),
        can_transfer: leader_version(answers).is_some_and(offers_transfer),
        heirs: None,
        pruning: match &answers.autopilot {
            Some(autopilot) if !autopilot.cleanup_dead_servers => Pruning::Never,
            Some(autopilot) => Pruning::DownTo(autopilot.min_quorum),
            None => Pruning::DownTo(0),
        },
        agreed_version: None,
        warnings: Vec::new(),
        blockers: enterprise::blockers(spec, how, answers),
    })
}

/// Finds the version that the leader runs.
pub(super) fn leader_version(answers: &Answers) -> Option<&str> {
    answers.health.as_ref()?.iter().find(|verdict| verdict.leader).map(|verdict| verdict.version.as_str())
}

/// Says whether servers of a version can move leadership, which came with 1.15.
fn offers_transfer(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (1, 15)
}

fn servers(answers: &Answers) -> &[RaftServer] {
    answers.raft.servers.as_deref().unwrap_or_default()
}

/// Finds the leader, or says why there is none to go by. Of `declared` members two must see the leader, and a quorum if any
/// member sees another: a leader that was cut off goes on for a moment, and a server names a dead leader for some seconds.
/// A quorum outvotes a replacement that founded a cluster of its own, or nothing could ever be said of the true one.
fn leader(declared: usize, answers: &Answers) -> Result<&RaftServer, String> {
    let Some(health) = &answers.health else { return Err("no leader to ask".to_owned()) };
    let Some(leader) = servers(answers).iter().find(|server| server.leader) else {
        return Err("no leader to ask".to_owned());
    };
    if let Some(other) = health.iter().find(|verdict| verdict.leader && verdict.id != leader.id) {
        return Err(format!("raft has {} lead, and autopilot {}", leader.id, other.id));
    }
    let agree = answers.leaders.iter().filter(|(_, view)| *view == leader.address).count();
    let other = answers.leaders.iter().find(|(_, view)| *view != leader.address && !view.is_empty());
    match other {
        Some((server, view)) if agree < quorum(declared) => {
            Err(format!("{server} sees {view} lead, others {}", leader.address))
        }
        None if agree < declared.min(2) => {
            Err(format!("fewer than two servers could be asked whether {} leads", leader.address))
        }
        _ => Ok(leader),
    }
}

fn member(spec: &ClusterSpec, answers: &Answers, server: &RaftServer, leader: &Result<&RaftServer, String>) -> Member {
    let id = MemberId::from(server.id.as_str());
    let verdict = answers.health.iter().flatten().find(|verdict| verdict.id == server.id);
    let gossip = names(answers, &id).next();
    // Raft finds a node's name by its address. A node that has just come back with another one is `(unknown)` for a moment.
    let name = match (server.node.as_str(), gossip) {
        ("(unknown)", Some((name, _))) => name,
        (name, _) => name,
    };
    let slot = SlotName::from(name);
    let build = gossip.and_then(|(_, agent)| agent.tags.build.split(':').next());
    let version = verdict.map(|verdict| verdict.version.as_str()).or(build).filter(|version| !version.is_empty());
    Member {
        slot: spec.slot(&slot).map(|_| slot),
        address: address(server),
        counts: server.voter,
        health: match leader {
            Ok(leader) => health(answers, server, verdict, leader),
            Err(why) => Health::Unknown(why.clone()),
        },
        stable_since: verdict.and_then(|verdict| stable_since(&verdict.stable_since)),
        lag: leader.as_ref().ok().and_then(|_| lag(answers, verdict?)).map(Lag::Entries),
        version: version.map(str::to_owned),
        id,
    }
}

fn health(answers: &Answers, server: &RaftServer, verdict: Option<&ServerHealth>, leader: &RaftServer) -> Health {
    let Some(verdict) = verdict else { return Health::Unknown("autopilot has not looked at it yet".to_owned()) };
    let misfit =
        misfit(answers, server).or_else(|| estranged(answers, server, leader)).or_else(|| costly(answers, server));
    match (verdict.healthy, misfit) {
        (true, None) => Health::Healthy,
        (true, Some(Misfit::Gone(why))) => Health::Unhealthy(why),
        (true, Some(Misfit::Unclear(why))) => Health::Unknown(why),
        (false, Some(Misfit::Unclear(why))) => Health::Unhealthy(why),
        (false, _) => Health::Unhealthy(ailment(answers, verdict)),
    }
}

/// The way in which another source does not fit to raft.
enum Misfit {
    /// The server is not there.
    Gone(String),
    /// Both sources cannot be right, or cannot be up to date.
    Unclear(String),
}

/// Finds how gossip and raft do not fit about one server.
fn misfit(answers: &Answers, server: &RaftServer) -> Option<Misfit> {
    let id = MemberId::from(server.id.as_str());
    let others = servers(answers).iter().filter(|other| other.id != server.id);
    if let Some(other) = others.clone().find(|other| other.address == server.address) {
        return Some(Misfit::Unclear(format!("{} has the same address", other.id)));
    }
    // A name that was left for good is free, and says nothing.
    let present: Vec<_> = names(answers, &id).filter(|(_, agent)| agent.status != LEFT).collect();
    let (name, agent) = match present[..] {
        [] => return Some(Misfit::Unclear("gossip does not know it".to_owned())),
        [one] => one,
        _ => {
            let names: Vec<_> = present.iter().map(|(name, agent)| format!("{name} ({})", agent.status())).collect();
            return Some(Misfit::Unclear(format!("gossip has its id under several names: {}", names.join(", "))));
        }
    };
    if agent.status != ALIVE {
        return Some(Misfit::Gone(format!("gossip says {}", agent.status())));
    }
    if agent.addr.parse().ok() != address(server) {
        return Some(Misfit::Unclear(format!("raft has it at {}, gossip at {}", server.address, agent.addr)));
    }
    (server.node != *name).then(|| Misfit::Unclear(format!("raft calls it {}, gossip {name}", server.node)))
}

/// Finds that a server does not see the leader that the others see.
fn estranged(answers: &Answers, server: &RaftServer, leader: &RaftServer) -> Option<Misfit> {
    let host = address(server)?.to_string();
    let (_, view) = answers.leaders.iter().find(|(at, view)| *at == host && *view != leader.address)?;
    let seen = if view.is_empty() { "no leader".to_owned() } else { format!("{view} lead") };
    Some(Misfit::Unclear(format!("it sees {seen}")))
}

/// Finds that a server's own answers cost too much: it is not what it should be.
fn costly(answers: &Answers, server: &RaftServer) -> Option<Misfit> {
    let why = answers.costly.get(&address(server)?.to_string())?;
    Some(Misfit::Unclear(format!("its answers cost too much: {why}")))
}

const ALIVE: u8 = 1;
const LEFT: u8 = 3;

/// Lists the servers that gossip knows by an id, with their names. Living ones come first.
fn names<'a>(answers: &'a Answers, id: &MemberId) -> impl Iterator<Item = (&'a String, &'a Gossip)> + use<'a> {
    let id = id.to_string();
    let servers = answers.gossip.iter().filter(move |agent| agent.tags.role == "consul" && agent.tags.id == id);
    let (alive, others): (Vec<_>, Vec<_>) = servers.partition(|agent| agent.status == ALIVE);
    alive.into_iter().chain(others).map(|agent| (&agent.name, agent))
}

/// Guesses why autopilot calls a server unhealthy, because autopilot does not say.
fn ailment(answers: &Answers, verdict: &ServerHealth) -> String {
    match (verdict.serf_status.as_str(), lag(answers, verdict)) {
        ("alive", None) => "the leader does not reach it".to_owned(),
        ("alive", Some(lag)) => format!("last contact {}, {lag} log entries behind", verdict.last_contact),
        ("none" | "", _) => "gossip does not know it".to_owned(),
        (status, _) => format!("gossip says {status}"),
    }
}

fn lag(answers: &Answers, verdict: &ServerHealth) -> Option<u64> {
    let leader = answers.health.iter().flatten().find(|verdict| verdict.leader)?;
    (verdict.last_term > 0).then(|| leader.last_index.saturating_sub(verdict.last_index))
}

/// Reads since when a server has been stable. Autopilot writes year 1 for a server that never was.
fn stable_since(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|since| *since >= Timestamp::UNIX_EPOCH)
}

fn address(server: &RaftServer) -> Option<IpAddr> {
    server.address.parse::<SocketAddr>().ok().map(|address| address.ip())
}
