//! From the members' answers to one [`Membership`], decided on data alone.
//!
//! Three sources must agree before a member counts as healthy: the list (who votes, and where), the member's own status (whom
//! it sees lead, and how far it is), and the leader's connections. The list alone proves nothing, because a member that is down
//! stays in it; and the status alone proves nothing, because a member answers although its peers look for it elsewhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::alarms;
use super::quota;
use super::wire::{Listed, Status};
use crate::ids::{MemberId, SlotName};
use crate::observed::{Health, Member, Membership, Pruning};
use crate::spec::{ClusterSpec, Lag, quorum};

/// The answers to everything that was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// The status of each member that answered, by the address at which it was asked.
    pub statuses: Vec<(IpAddr, Status)>,
    /// The members that one of them lists: the leader's list, or without a leader what an answering member remembers.
    pub members: Vec<Listed>,
    /// The version whose features the members have agreed to use, as each member that answered says.
    pub versions: Vec<(IpAddr, String)>,
    /// The members that the leader reaches, and those that it does not; empty if it could not be asked.
    pub reached: BTreeMap<u64, bool>,
    /// The quota of the leader's database, in bytes; none if it could not be asked, or has none.
    pub quota: Option<u64>,
    /// The members, by host, whose own answers cost too much, and why.
    pub costly: BTreeMap<String, String>,
}

/// The leader that enough of the members see, in one term of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct View {
    pub cluster: u64,
    pub term: u64,
    pub leader: u64,
}

impl View {
    /// Gives the view of one member, if it sees a leader.
    fn of(status: &Status) -> Option<Self> {
        Some(Self { cluster: status.header.cluster_id, term: status.raft_term, leader: status.leader? })
    }
}

/// Writes an id as etcd's own tools do, e.g. `8e9e05c52164694d`.
pub(super) fn id(number: u64) -> MemberId {
    MemberId::from(format!("{number:x}"))
}

/// Finds the view to go by, or says why there is none. Of `declared` members two must share it, and a quorum if any member has
/// another: a leader that was cut off goes on for a moment. A quorum outvotes a replacement that founded a cluster of its own,
/// or nothing could ever be said of the true one.
pub(super) fn view(declared: usize, statuses: &[(IpAddr, Status)]) -> Result<View, String> {
    let views = || statuses.iter().filter_map(|(at, status)| Some((at, View::of(status)?)));
    let share = |view: View| views().filter(|(_, other)| *other == view).count();
    let Some((_, view)) = views().max_by_key(|(_, view)| (share(*view), *view)) else {
        return Err("no member sees a leader".to_owned());
    };
    let agree = share(view);
    match views().find(|(_, other)| *other != view) {
        Some((at, other)) if agree < quorum(declared) => {
            Err(format!("{at} sees {}, others {}", lead(other), lead(view)))
        }
        None if agree < declared.min(2) => {
            Err(format!("fewer than two members could be asked whether {} leads", id(view.leader)))
        }
        _ => Ok(view),
    }
}

fn lead(view: View) -> String {
    format!("{} lead in term {}", id(view.leader), view.term)
}

/// Makes one membership of the answers. Where no view can be gone by, nobody's health is known: each member may be on the
/// wrong side of a split.
pub(super) fn membership(spec: &ClusterSpec, answers: &Answers) -> Membership {
    let view = view(spec.slots.len(), &answers.statuses).and_then(|view| {
        let is_listed = answers.members.iter().any(|listed| listed.id == view.leader);
        if is_listed { Ok(view) } else { Err(format!("{} leads, and no list has it", id(view.leader))) }
    });
    let mut members: Vec<Member> =
        answers.members.iter().map(|listed| member(spec, answers, listed, view.as_ref())).collect();
    // Of two members that bear one slot's name, the one that is well comes first.
    members.sort_by_key(|member| (member.slot.clone(), member.health != Health::Healthy, member.id.clone()));
    Membership {
        members,
        leader: view.as_ref().ok().map(|view| id(view.leader)),
        can_transfer: true,
        heirs: None,
        pruning: Pruning::Never,
        agreed_version: agreed_version(answers, view.as_ref().ok()),
        blockers: alarms::blockers(answers),
        warnings: quota::warnings(answers),
    }
}

/// Takes the oldest of the versions that members of this cluster say they have agreed on. They learn of a new one one after the
/// other; and `not_decided` is none.
fn agreed_version(answers: &Answers, view: Option<&View>) -> Option<String> {
    let cluster = |at: &IpAddr| {
        let found = answers.statuses.iter().find(|(other, _)| other == at);
        found.map(|(_, status)| status.header.cluster_id)
    };
    let ours = |(at, _): &&(IpAddr, String)| view.is_none_or(|view| cluster(at) == Some(view.cluster));
    let numbers = |version: &str| version.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    let known = answers.versions.iter().filter(ours).filter_map(|(_, version)| Some((numbers(version)?, version)));
    known.min().map(|(_, version)| version.clone())
}

fn member(spec: &ClusterSpec, answers: &Answers, listed: &Listed, view: Result<&View, &String>) -> Member {
    let address = address(listed);
    // A member of another cluster that began with the same URL has the same id.
    let of_this = |status: &&Status| view.map_or(true, |view| view.cluster == status.header.cluster_id);
    let status = statuses(answers, listed.id).map(|(_, status)| status).find(of_this);
    let version = status.map(|status| &status.version).filter(|version| !version.is_empty());
    Member {
        id: id(listed.id),
        slot: slot(spec, listed, address),
        address,
        counts: !listed.is_learner,
        health: match view {
            Ok(view) => health(answers, listed, address, *view),
            Err(why) => Health::Unknown(why.clone()),
        },
        stable_since: None,
        lag: view.ok().and_then(|view| lag(answers, status?, *view)).map(Lag::Entries),
        version: version.cloned(),
    }
}

/// Finds the slot whose name a member bears. A member has no name until it has started for the first time, and then its
/// address tells.
fn slot(spec: &ClusterSpec, listed: &Listed, address: Option<IpAddr>) -> Option<SlotName> {
    let is_its = |slot: &&crate::spec::SlotSpec| match listed.name.is_empty() {
        true => address.is_some() && slot.address.map(IpAddr::V4) == address,
        false => *slot.name == *listed.name,
    };
    spec.slots.iter().find(is_its).map(|slot| slot.name.clone())
}

/// Lists the statuses that a member gave, with the addresses at which it was asked.
pub(super) fn statuses(answers: &Answers, id: u64) -> impl Iterator<Item = (IpAddr, &Status)> {
    let own = answers.statuses.iter().filter(move |(_, status)| status.header.member_id == id);
    own.map(|(at, status)| (*at, status))
}

fn health(answers: &Answers, listed: &Listed, address: Option<IpAddr>, view: View) -> Health {
    let of_this_cluster = |(_, status): &(IpAddr, &Status)| status.header.cluster_id == view.cluster;
    let own: Vec<_> = statuses(answers, listed.id).filter(of_this_cluster).collect();
    let reached = answers.reached.get(&listed.id).copied();
    match own[..] {
        [] => silent(answers, listed, address, reached),
        [(at, status)] => match misfit(answers, listed, address, (at, status), view) {
            Some(why) => Health::Unknown(why),
            None if reached == Some(false) => {
                Health::Unknown("it answers, and the leader does not reach it".to_owned())
            }
            None => Health::Healthy,
        },
        [(one, _), (other, _), ..] => Health::Unknown(format!("it answers at {one} and at {other}")),
    }
}

/// Says what is known of a member that does not answer. The leader's connections are the evidence that it is down, and not only
/// out of our reach.
fn silent(answers: &Answers, listed: &Listed, address: Option<IpAddr>, reached: Option<bool>) -> Health {
    if listed.name.is_empty() {
        return Health::Unhealthy("it was added, and has never started".to_owned());
    }
    let instead = answers.statuses.iter().find(|(at, _)| Some(*at) == address);
    let costly = address.and_then(|address| answers.costly.get(&address.to_string()));
    let why = match (instead, costly) {
        (Some((_, other)), _) => {
            let (other, cluster) = (id(other.header.member_id), id(other.header.cluster_id));
            format!("{other} of the cluster {cluster} answers in its place")
        }
        (None, Some(why)) => format!("its answers cost too much: {why}"),
        (None, None) => "it does not answer".to_owned(),
    };
    match reached {
        Some(false) => Health::Unhealthy(format!("{why}, and the leader does not reach it")),
        Some(true) => Health::Unknown(format!("{why}, and the leader reaches it")),
        None => Health::Unknown(why),
    }
}

/// Finds how a member's own word does not fit to what the others say.
fn misfit(
    answers: &Answers,
    listed: &Listed,
    address: Option<IpAddr>,
    (at, status): (IpAddr, &Status),
    view: View,
) -> Option<String> {
    let Some(address) = address else {
        return Some(format!("its peer URLs name no one address: {}", listed.peer_urls.join(", ")));
    };
    if at != address {
        return Some(format!("its peers have it at {address}, and it answers at {at}"));
    }
    if let Some(why) = answers.costly.get(&at.to_string()) {
        return Some(format!("its answers cost too much: {why}"));
    }
    match View::of(status) {
        None => Some("it sees no leader".to_owned()),
        Some(own) if own != view => Some(format!("it sees {}, others {}", lead(own), lead(view))),
        Some(_) => None,
    }
}

/// Tells how many entries a member is behind the longest log of all.
fn lag(answers: &Answers, status: &Status, view: View) -> Option<u64> {
    let longest = answers.statuses.iter().filter(|(_, other)| other.header.cluster_id == view.cluster);
    let longest = longest.map(|(_, other)| other.raft_index).max()?;
    Some(longest.saturating_sub(status.raft_applied_index?))
}

/// Reads the one address of a member's peer URLs, e.g. `http://10.0.1.10:2380`. A host name is none: nobody knows here what it
/// means to the other members.
pub(super) fn address(listed: &Listed) -> Option<IpAddr> {
    let host = |url: &String| url.split_once("://")?.1.parse::<SocketAddr>().ok().map(|address| address.ip());
    let mut all = listed.peer_urls.iter().map(host);
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}
