//! Settings of the Enterprise edition under which a replaced server would not come back as a voter.
//!
//! Autopilot then decides by itself who votes: servers of a new version wait until there are as many as of the old one
//! (upgrade migration, on by default), of a redundancy zone one votes, and a read replica never does.
//! (<https://developer.hashicorp.com/consul/docs/manage/scale/automated-upgrade>)

use std::collections::BTreeSet;

use super::read::Answers;
use super::wire::Autopilot;
use crate::ids::SlotName;
use crate::observed::{Blocker, is_version};
use crate::spec::{ClusterSpec, ConsulSpec};

/// Lists the reasons why no server may be replaced. The Community edition shows the same settings, which do nothing there.
pub fn blockers(spec: &ClusterSpec, how: &ConsulSpec, answers: &Answers) -> Vec<Blocker> {
    let versions = versions(answers);
    let is_enterprise = versions.iter().any(|version| version.contains("+ent"));
    let mut blockers = read_replicas(spec, answers);
    if let Some(autopilot) = answers.autopilot.as_ref().filter(|_| is_enterprise) {
        let stays = how.version.as_ref().is_some_and(|version| versions.iter().all(|now| is_version(version, now)));
        blockers.extend(migration(autopilot, stays));
        blockers.extend(zones(autopilot));
    }
    blockers
}

/// Lists the versions that the servers report to autopilot, or while no leader can be asked in gossip.
fn versions(answers: &Answers) -> BTreeSet<&str> {
    let verdicts = answers.health.iter().flatten().map(|verdict| verdict.version.as_str());
    let verdicts: BTreeSet<_> = verdicts.filter(|version| !version.is_empty()).collect();
    if !verdicts.is_empty() {
        return verdicts;
    }
    let servers = answers.gossip.iter().filter(|agent| agent.tags.role == "consul");
    let builds = servers.filter_map(|agent| agent.tags.build.split(':').next());
    builds.filter(|version| !version.is_empty()).collect()
}

/// Refuses a version other than that of all servers, or one that nobody knows, while autopilot keeps it without a vote.
fn migration(autopilot: &Autopilot, stays: bool) -> Option<Blocker> {
    let by_tag = !autopilot.upgrade_version_tag.is_empty();
    if autopilot.disable_upgrade_migration || (stays && !by_tag) {
        return None;
    }
    let by = if by_tag { format!(" (by `{}`)", autopilot.upgrade_version_tag) } else { String::new() };
    let why = format!(
        "autopilot's upgrade migration is on{by}: a first server of another version gets no vote, so it could not prove itself"
    );
    let hint = "turn it off for rollouts: `consul operator autopilot set-config -disable-upgrade-migration=true`; or, if the image brings the same version, say so with `version`";
    Some(Blocker { why, hint: hint.to_owned() })
}

fn zones(autopilot: &Autopilot) -> Option<Blocker> {
    let tag = Some(&autopilot.redundancy_zone_tag).filter(|tag| !tag.is_empty())?;
    let why =
        format!("autopilot has redundancy zones (`{tag}`): of each zone one server votes, and another takes its place");
    let hint = "take the zones away: `consul operator autopilot set-config -redundancy-zone-tag=`; each slot needs a vote of its own";
    Some(Blocker { why, hint: hint.to_owned() })
}

/// Names the servers that never vote. One in a slot could not prove itself after a replacement, and any other one is none that
/// the file declares.
fn read_replicas(spec: &ClusterSpec, answers: &Answers) -> Vec<Blocker> {
    let replicas = answers.gossip.iter().filter(|agent| agent.tags.never_votes() && agent.status == 1);
    let blocker = |name: &String| {
        let declared = spec.slot(&SlotName::from(name.as_str())).is_some();
        let hint = if declared {
            "let the server of a slot vote: every declared slot counts for the quorum"
        } else {
            "read replicas are not supported: stop it, and remove it with `consul operator raft remove-peer`"
        };
        Blocker { why: format!("{name} is a read replica, which never votes"), hint: hint.to_owned() }
    };
    replicas.map(|agent| blocker(&agent.name)).collect()
}
