//! From the servers' answers to one [`Membership`], decided on data alone.
//!
//! A server is healthy by its own word, which must fit to what the others say: it follows the leader that they follow, at the
//! address that they have for it, has what the leader sends (`broadcast`), and the leader counts it. The list of the voters
//! proves nothing by itself, because a server that is down stays in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::hold;
use super::wire::{Listed, Monitor, Own};
use crate::ids::{MemberId, SlotName};
use crate::observed::{Health, Member, Membership, Pruning};
use crate::spec::{ClusterSpec, Lag, quorum};

/// The state of a server that has what its leader sends.
const IN_SYNC: &str = "broadcast";

/// The answers to everything that was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// The answers of each server, by the address at which it was asked.
    pub all: BTreeMap<IpAddr, Answer>,
    /// The servers, by host, whose own answers cost too much, and why.
    pub costly: BTreeMap<String, String>,
    /// The servers that answer and do not let themselves be asked, and why.
    pub refusing: BTreeMap<IpAddr, String>,
    /// The reason why nobody knows whom the servers follow, where they serve.
    pub unclear: Option<String>,
}

/// The answers of one server.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// None while it serves nobody, because it sees no leader.
    pub serving: Option<Serving>,
    pub monitor: Option<Monitor>,
}

/// The words of a server about itself and the others while it serves.
#[derive(Clone, Debug)]
pub(super) struct Serving {
    pub id: u64,
    /// The server that it follows, or itself.
    pub follows: u64,
    pub own: Own,
    /// The servers that have a vote, by number.
    pub voters: BTreeMap<u64, Listed>,
}

impl Answers {
    /// Lists the servers that serve, with the addresses at which they were asked.
    fn serving(&self) -> impl Iterator<Item = (IpAddr, &Serving)> {
        self.all.iter().filter_map(|(at, answer)| Some((*at, answer.serving.as_ref()?)))
    }

    /// Lists those that follow one leader, itself among them.
    fn following(&self, leader: u64) -> impl Iterator<Item = (IpAddr, &Serving)> {
        self.serving().filter(move |(_, one)| one.follows == leader)
    }

    /// Finds the leader's own answers.
    fn leading(&self, leader: u64) -> Option<(&Serving, Option<&Monitor>)> {
        let mut all = self.all.values().filter_map(|answer| Some((answer.serving.as_ref()?, answer.monitor.as_ref())));
        all.find(|(one, _)| one.id == leader && one.follows == leader)
    }

    /// Counts the followers with a vote that have everything, as the leader does.
    fn in_sync(&self, leader: u64) -> Option<usize> {
        let monitor = self.leading(leader)?.1?;
        Some(monitor.synced_followers?.saturating_sub(monitor.synced_non_voting_followers))
    }
}

/// Finds the leader that enough of the servers follow, or says why there is none. Of `declared` servers two must follow it, and a
/// quorum if any follows another: a leader that was cut off goes on for a moment.
fn leader(declared: usize, answers: &Answers) -> Result<u64, String> {
    if let Some(why) = &answers.unclear {
        return Err(why.clone());
    }
    let share = |leader: u64| answers.following(leader).count();
    let Some(leader) = answers.serving().map(|(_, one)| one.follows).max_by_key(|leader| (share(*leader), *leader))
    else {
        return Err("no server serves requests: none sees a leader".to_owned());
    };
    match answers.serving().find(|(_, one)| one.follows != leader) {
        Some((at, other)) if share(leader) < quorum(declared) => {
            Err(format!("{at} follows server {}, others server {leader}", other.follows))
        }
        None if share(leader) < declared.min(2) => {
            Err(format!("fewer than two servers could be asked whether server {leader} leads"))
        }
        _ => Ok(leader),
    }
}

/// Makes one membership of the answers. Where nobody leads for certain, nobody's health is known; and where nobody serves, the
/// servers that answer are told of by their addresses, because they do not say their numbers.
pub(super) fn membership(spec: &ClusterSpec, answers: &Answers) -> Membership {
    let leader = leader(spec.slots.len(), answers);
    let mut members = known(spec, answers, leader.as_ref());
    if members.is_empty() {
        members = answers.all.iter().map(|(at, answer)| idle(spec, *at, answer)).collect();
    }
    // Of two servers at one slot's address, the one that is well comes first.
    members.sort_by_key(|member| (member.slot.clone(), member.health != Health::Healthy, member.id.clone()));
    let blockers = hold::blockers(answers, &members);
    Membership {
        members,
        leader: leader.ok().map(id),
        can_transfer: false,
        heirs: None,
        pruning: Pruning::Never,
        agreed_version: None,
        blockers,
        warnings: Vec::new(),
    }
}

fn id(number: u64) -> MemberId {
    MemberId::from(number.to_string())
}

fn slot(spec: &ClusterSpec, address: Option<IpAddr>) -> Option<SlotName> {
    let is_its = |slot: &&crate::spec::SlotSpec| address.is_some() && slot.address.map(IpAddr::V4) == address;
    spec.slots.iter().find(is_its).map(|slot| slot.name.clone())
}

/// Lists every server with a vote that any other has, and those without one that answer.
fn known(spec: &ClusterSpec, answers: &Answers, leader: Result<&u64, &String>) -> Vec<Member> {
    let ours = || answers.serving().filter(|(_, one)| leader.map_or(true, |leader| one.follows == *leader));
    let voters: BTreeSet<u64> = ours().flat_map(|(_, one)| one.voters.keys().copied()).collect();
    let others: BTreeSet<u64> = ours().map(|(_, one)| one.id).filter(|id| !voters.contains(id)).collect();
    let all = voters.iter().map(|number| (*number, true)).chain(others.iter().map(|number| (*number, false)));
    all.map(|(number, counts)| member(spec, answers, (number, counts), leader)).collect()
}

fn member(
    spec: &ClusterSpec,
    answers: &Answers,
    (number, counts): (u64, bool),
    leader: Result<&u64, &String>,
) -> Member {
    let places = places(answers, number);
    let address = if let [Some(one)] = places.iter().copied().collect::<Vec<_>>()[..] { Some(one) } else { None };
    let own: Vec<_> = answers.serving().filter(|(_, one)| one.id == number).collect();
    Member {
        id: id(number),
        slot: slot(spec, address),
        address,
        counts,
        health: match (leader, address) {
            (Err(why), _) => Health::Unknown(why.clone()),
            (Ok(leader), Some(address)) => health(answers, number, counts, address, &own, *leader),
            (Ok(_), None) => Health::Unknown(format!("the servers have no one address for it: {}", told(&places))),
        },
        stable_since: None,
        lag: leader.ok().and_then(|leader| lag(answers, &own.first()?.1.own, *leader)).map(Lag::Entries),
        version: address.and_then(|at| version(answers.all.get(&at)?.monitor.as_ref()?)),
    }
}

/// Lists the addresses that servers have for one of them; none for a host name, because nobody knows here what it means to them. A
/// server may have all addresses of its own machine for itself.
fn places(answers: &Answers, number: u64) -> BTreeSet<Option<IpAddr>> {
    let listed = answers.serving().filter_map(|(_, one)| one.voters.get(&number));
    let said: BTreeSet<_> = listed.map(|listed| place(&listed.server_addresses)).collect();
    let own = || answers.serving().filter(|(_, one)| one.id == number);
    match said.is_empty() {
        true => own().map(|(_, one)| place(&one.own.quorum_address.all_addresses)).collect(),
        false => said.into_iter().filter(|place| place.is_none_or(|at| !at.is_unspecified())).collect(),
    }
}

/// Reads the one address of a server, e.g. `10.0.1.30:2888`.
fn place(addresses: &[String]) -> Option<IpAddr> {
    let mut all = addresses.iter().map(|text| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

fn told(places: &BTreeSet<Option<IpAddr>>) -> String {
    let each = places.iter().map(|place| place.map_or_else(|| "a name".to_owned(), |at| at.to_string()));
    if places.is_empty() { "none".to_owned() } else { each.collect::<Vec<_>>().join(", ") }
}

fn health(
    answers: &Answers,
    number: u64,
    counts: bool,
    address: IpAddr,
    own: &[(IpAddr, &Serving)],
    leader: u64,
) -> Health {
    match own {
        [] => silent(answers, number, address, leader),
        [(at, one)] => match misfit(answers, counts, address, (*at, one), leader) {
            Some(why) => Health::Unknown(why),
            None if one.own.zabstate != IN_SYNC => {
                Health::Unhealthy(format!("it has not yet what the leader has: `{}`", one.own.zabstate))
            }
            None => Health::Healthy,
        },
        [(one, _), (other, _), ..] => Health::Unknown(format!("it answers at {one} and at {other}")),
    }
}

/// Says what is known of a server that serves nobody, or does not answer. The leader's count is the evidence that it is down, and
/// not only out of our reach.
fn silent(answers: &Answers, number: u64, address: IpAddr, leader: u64) -> Health {
    if let Some(answer) = answers.all.get(&address) {
        return match &answer.serving {
            Some(other) => Health::Unknown(format!("server {} answers in its place", other.id)),
            None => Health::Unhealthy(why_idle(answer)),
        };
    }
    let costly = answers.costly.get(&address.to_string());
    let why = match (costly, answers.refusing.get(&address)) {
        (Some(why), _) => format!("its answers cost too much: {why}"),
        (None, Some(why)) => why.clone(),
        (None, None) => "it does not answer".to_owned(),
    };
    let answering = in_sync(answers, leader).count();
    match answers.in_sync(leader) {
        _ if number == leader => Health::Unknown(format!("{why}, and others follow it")),
        Some(counted) if counted <= answering => Health::Unhealthy(format!("{why}, and the leader does not count it")),
        Some(_) => Health::Unknown(format!("{why}, and the leader counts it")),
        None => Health::Unknown(why),
    }
}

/// Lists the followers with a vote that say themselves that they have everything.
fn in_sync(answers: &Answers, leader: u64) -> impl Iterator<Item = &Serving> {
    let followers = answers.following(leader).map(|(_, one)| one).filter(move |one| one.id != leader);
    followers.filter(|one| one.own.zabstate == IN_SYNC && one.voters.contains_key(&one.id))
}

fn why_idle(answer: &Answer) -> String {
    match answer.monitor.as_ref().map(|monitor| monitor.server_state.as_str()) {
        Some("read-only") => "it serves reads alone: it sees no leader".to_owned(),
        Some("standalone") => "it stands alone: its configuration names no other server".to_owned(),
        _ => "it serves no requests: it sees no leader".to_owned(),
    }
}

/// Finds how a server's own word does not fit to what the others say.
fn misfit(
    answers: &Answers,
    counts: bool,
    address: IpAddr,
    (at, one): (IpAddr, &Serving),
    leader: u64,
) -> Option<String> {
    if at != address {
        return Some(format!("the others have it at {address}, and it answers at {at}"));
    }
    if let Some(why) = answers.costly.get(&at.to_string()) {
        return Some(format!("its answers cost too much: {why}"));
    }
    if one.follows != leader {
        return Some(format!("it follows server {}, others server {leader}", one.follows));
    }
    let without = answers.following(leader).find(|(_, other)| other.voters.contains_key(&one.id) != counts);
    if let Some((other, _)) = without {
        return Some(format!("{other} has it as a server without a vote, and others as one with a vote"));
    }
    let newest = answers.leading(leader).map(|(leading, _)| leading.own.zab_epoch)?;
    if one.own.zab_epoch > newest {
        return Some(format!("it has writes of the epoch {}, and the leader leads in {newest}", one.own.zab_epoch));
    }
    let (said, counted) = (in_sync(answers, leader).count(), answers.in_sync(leader)?);
    if one.id != leader && counts && counted < said {
        return Some(format!("{said} servers say that they have everything, and the leader counts {counted}"));
    }
    None
}

/// Tells how many writes a server is behind the one that has most. A server that has what its leader sends and has seen nothing
/// of this epoch lacks at most what was written in it.
fn lag(answers: &Answers, own: &Own, leader: u64) -> Option<u64> {
    let epoch = answers.leading(leader)?.0.own.zab_epoch;
    let ours = answers.following(leader).filter(|(_, one)| one.own.zab_epoch == epoch);
    let most = ours.map(|(_, one)| one.own.zab_counter).max()?;
    Some(if own.zab_epoch == epoch { most.saturating_sub(own.zab_counter) } else { most })
}

/// Takes the version out of what a server says, without the commit and the date of its build.
fn version(monitor: &Monitor) -> Option<String> {
    let before = monitor.version.split(',').next()?;
    let core = before.rsplit_once('-').map_or(before, |(core, _)| core).trim();
    (!core.is_empty()).then(|| core.to_owned())
}

/// Tells of a server that answers while nobody serves.
fn idle(spec: &ClusterSpec, at: IpAddr, answer: &Answer) -> Member {
    Member {
        id: MemberId::from(format!("at {at}")),
        slot: slot(spec, Some(at)),
        address: Some(at),
        counts: true,
        health: Health::Unknown(why_idle(answer)),
        stable_since: None,
        lag: None,
        version: answer.monitor.as_ref().and_then(version),
    }
}

#[cfg(test)]
mod tests {
    use super::{Monitor, version};
    use serde_json::json;

    #[test]
    fn a_version_is_told_without_its_build() {
        let told = |text: &str| version(&serde_json::from_value::<Monitor>(json!({ "version": text })).unwrap());
        let released = "3.9.3-c26634f34490bb0ea7a09cc51e05ede3b4e320ee, built on 2024-10-17 23:21 UTC";
        assert_eq!(told(released).as_deref(), Some("3.9.3"));
        assert_eq!(told("3.8.0-${mvngit.commit.id}, built on 2024-12-29 17:54 UTC").as_deref(), Some("3.8.0"));
        assert_eq!(told("3.10.0-SNAPSHOT-c26634f, built on 2024").as_deref(), Some("3.10.0-SNAPSHOT"));
        assert_eq!(told(""), None);
    }
}
