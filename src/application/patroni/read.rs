//! From the members' answers to one [`Membership`], decided on data alone.
//!
//! The list in the store proves nothing by itself: a member that was killed stands in it as `streaming` for half a minute, and
//! a leader that was killed as its leader. So a member counts as healthy by its own word, and a replica only where it receives
//! the log of the member that leads, on the same timeline.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::hold;
use super::wire::{Cluster, Listed, Own, Settings};
use crate::ids::MemberId;
use crate::observed::{Health, Member, Membership, Pruning};
use crate::spec::{ClusterSpec, Lag};

/// The longest time that a member may not have reached the store while another has. Patroni's own time to live is half of it.
const STORE_UNSEEN: u64 = 60;
/// The state of PostgreSQL, and of a connection, that is as it should be.
const RUNNING: &str = "running";
const STREAMING: &str = "streaming";

/// The answers to everything that was asked.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// The name of the cluster that members must bear.
    pub scope: String,
    /// The own word of each member that answered, by the address at which it was asked.
    pub own: BTreeMap<IpAddr, Own>,
    /// The members that the store has.
    pub cluster: Cluster,
    pub settings: Settings,
    /// The members, by host, whose own answers cost too much, and why.
    pub costly: BTreeMap<String, String>,
}

impl Own {
    /// Says whether the member takes writes.
    pub(super) fn is_primary(&self) -> bool {
        self.state == RUNNING && matches!(self.role.as_str(), "primary" | "master")
    }
}

impl Answers {
    /// Finds the members of this cluster that take writes, by address.
    fn primaries(&self) -> impl Iterator<Item = (&IpAddr, &Own)> {
        self.own.iter().filter(|(_, own)| own.is_primary() && own.patroni.scope == self.scope)
    }

    /// Finds the member that leads: in the store, and by its own word.
    pub(super) fn leader(&self) -> Result<(&Listed, &Own), String> {
        if let [(one, _), (other, _), ..] = self.primaries().collect::<Vec<_>>()[..] {
            return Err(format!("{one} and {other} both take writes"));
        }
        let leads = |listed: &&Listed| matches!(listed.role.as_str(), "leader" | "standby_leader");
        let Some(listed) = self.cluster.members.iter().find(leads) else {
            return Err("the store has no leader".to_owned());
        };
        match address(listed).and_then(|at| self.own.get(&at)) {
            None => Err(format!("{} leads by the store, and does not answer", listed.name)),
            Some(own) if own.is_primary() && !own.cluster_unlocked => Ok((listed, own)),
            Some(own) if listed.role == "standby_leader" && own.state == RUNNING => Ok((listed, own)),
            Some(own) => {
                Err(format!("{} leads by the store, and says that it is a {} {}", listed.name, own.state, own.role))
            }
        }
    }

    /// Says whether writes wait for a standby to have them.
    pub(super) fn is_synchronous(&self) -> bool {
        is_on(&self.settings.synchronous_mode)
    }

    /// Says whether writes wait even where no standby is there.
    pub(super) fn is_strict(&self) -> bool {
        is_on(&self.settings.synchronous_mode_strict)
    }
}

/// Reads a setting as Patroni does: `true`, `on`, and of a mode any word but `off`.
fn is_on(value: &Value) -> bool {
    match value {
        Value::Bool(on) => *on,
        Value::String(word) => !matches!(word.as_str(), "off" | "false" | "no" | "0" | ""),
        _ => false,
    }
}

/// Reads the address of a member. A host name is none: nobody knows here what it means to the other members.
pub(super) fn address(listed: &Listed) -> Option<IpAddr> {
    listed.host.as_ref()?.0.parse().ok()
}

/// Says whether a standby has every write that was acknowledged, in synchronous mode.
pub(super) fn is_synchronous_standby(listed: &Listed) -> bool {
    matches!(listed.role.as_str(), "sync_standby" | "quorum_standby")
}

/// Writes the version of PostgreSQL, e.g. `15.18` of `150018`, and `9.6.24` of `90624`.
fn version(number: u32) -> String {
    match number / 10_000 {
        major @ 10.. => format!("{major}.{}", number % 10_000),
        major => format!("{major}.{}.{}", number / 100 % 100, number % 100),
    }
}

/// Makes one membership of the answers. Where nobody leads for certain, nobody's health is known.
pub(super) fn membership(spec: &ClusterSpec, answers: &Answers) -> Membership {
    let leader = answers.leader();
    let mut members: Vec<Member> =
        answers.cluster.members.iter().map(|listed| member(spec, answers, listed, leader.as_ref())).collect();
    members.sort_by_key(|member| (member.slot.clone(), member.health != Health::Healthy, member.id.clone()));
    let may_lead: BTreeSet<MemberId> = answers
        .cluster
        .members
        .iter()
        .filter(|listed| !answers.is_synchronous() || is_synchronous_standby(listed))
        .map(|listed| MemberId::from(&*listed.name))
        .collect();
    Membership {
        blockers: hold::blockers(answers, &members),
        members,
        leader: leader.ok().map(|(listed, _)| MemberId::from(&*listed.name)),
        heirs: Some(may_lead),
        can_transfer: true,
        pruning: Pruning::Never,
        agreed_version: None,
        warnings: Vec::new(),
    }
}

fn member(spec: &ClusterSpec, answers: &Answers, listed: &Listed, leader: Result<&(&Listed, &Own), &String>) -> Member {
    let address = address(listed);
    let own = address.and_then(|at| answers.own.get(&at)).filter(|own| own.patroni.scope == answers.scope);
    let slot = spec.slots.iter().find(|slot| *slot.name == *listed.name).map(|slot| slot.name.clone());
    Member {
        id: MemberId::from(&*listed.name),
        slot,
        address,
        counts: !is_barred(listed),
        health: match leader {
            Ok((leads, primary)) => health(answers, listed, address, (leads, primary)),
            Err(why) => Health::Unknown(why.clone()),
        },
        stable_since: None,
        lag: leader.ok().and_then(|(_, primary)| lag(own?, primary)).map(Lag::Bytes),
        version: own.and_then(|own| own.server_version).map(version),
    }
}

/// Says whether a member may never lead, by its tags.
fn is_barred(listed: &Listed) -> bool {
    let tag = |name: &str| listed.tags.get(name);
    tag("nofailover").is_some_and(is_on) || tag("failover_priority").and_then(Value::as_i64).is_some_and(|at| at <= 0)
}

fn health(answers: &Answers, listed: &Listed, address: Option<IpAddr>, (leads, primary): (&Listed, &Own)) -> Health {
    let Some(at) = address else {
        let host = listed.host.as_ref().map_or("nothing", |host| &host.0);
        return Health::Unknown(format!("the store has {host} as its host, which is no address"));
    };
    if let Some(why) = answers.costly.get(&at.to_string()) {
        return Health::Unknown(format!("its answers cost too much: {why}"));
    }
    let received = primary.replication.iter().any(|one| one.application_name == listed.name && one.state == STREAMING);
    let Some(own) = answers.own.get(&at) else {
        // The leader's connections are the evidence that it is down, and not only out of our reach.
        return match received {
            true => Health::Unknown("it does not answer, and it is sent the log".to_owned()),
            false => Health::Unhealthy("it does not answer, and it is not sent the log".to_owned()),
        };
    };
    if let Some(why) = misfit(answers, own, primary) {
        return Health::Unknown(why);
    }
    if own.state != RUNNING {
        return Health::Unhealthy(format!("its PostgreSQL is `{}`", own.state));
    }
    if listed.name == leads.name {
        return Health::Healthy;
    }
    let streams = received || own.replication_state.as_ref().is_some_and(|state| state.0 == STREAMING);
    match (own.timeline, primary.timeline) {
        _ if !streams => Health::Unhealthy("it is not sent the log".to_owned()),
        (Some(its), Some(leaders)) if its != leaders => {
            Health::Unhealthy(format!("it is on timeline {its}, and the leader on {leaders}"))
        }
        (None, _) | (_, None) => Health::Unknown("its timeline is not known".to_owned()),
        _ => Health::Healthy,
    }
}

/// Finds how a member's own word does not fit to what the leader says.
fn misfit(answers: &Answers, own: &Own, primary: &Own) -> Option<String> {
    let newest = answers.own.values().map(|own| own.dcs_last_seen).max().unwrap_or_default();
    if own.patroni.scope != answers.scope {
        return Some(format!("a member of `{}` answers in its place", own.patroni.scope));
    }
    if own.database_system_identifier != primary.database_system_identifier {
        return Some("it has another database than the leader".to_owned());
    }
    if newest.saturating_sub(own.dcs_last_seen) > STORE_UNSEEN {
        return Some(format!("it has not reached the store for {} s", newest - own.dcs_last_seen));
    }
    None
}

/// Tells how many bytes of the log a member has not replayed. Two members are not asked at quite the same moment, so a replica
/// may seem to be ahead.
fn lag(own: &Own, primary: &Own) -> Option<u64> {
    match own.is_primary() {
        true => Some(0),
        false => Some(primary.xlog.location?.saturating_sub(own.xlog.replayed_location?)),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_on, version};
    use serde_json::json;

    #[test]
    fn a_version_is_written_with_points() {
        assert_eq!([150_018, 90_624, 100_000, 180_001].map(version), ["15.18", "9.6.24", "10.0", "18.1"]);
    }

    #[test]
    fn a_setting_is_on_as_patroni_reads_it() {
        let on = [json!(true), json!("on"), json!("quorum")];
        assert!(on.iter().all(is_on));
        let off = [json!(false), json!("off"), json!(null), json!(0)];
        assert!(!off.iter().any(is_on));
    }
}
