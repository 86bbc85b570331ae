//! The reasons of Patroni's own why no member may be replaced now.

use super::read::{Answers, is_synchronous_standby};
use crate::observed::{Blocker, Health, Member};

/// Lists them.
pub(super) fn blockers(answers: &Answers, members: &[Member]) -> Vec<Blocker> {
    let cluster = &answers.cluster;
    let standbys = cluster.members.iter().filter(|listed| is_synchronous_standby(listed)).count();
    // The leader is one of the healthy.
    let followers = members.iter().filter(|member| member.health == Health::Healthy).count().saturating_sub(1);
    let leads_standby = cluster.members.iter().any(|listed| listed.role == "standby_leader");
    let failsafe = answers.own.values().any(|own| own.failsafe_mode_is_active);
    let all = [
        (
            cluster.pause,
            "Patroni is paused, so that nobody would take over from a leader that is lost",
            "`patronictl resume`",
        ),
        (
            cluster.scheduled_switchover.is_some(),
            "a switchover is scheduled",
            "wait until it is over, or `patronictl flush CLUSTER switchover`",
        ),
        (
            leads_standby,
            "this is a standby cluster, whose leader follows another cluster",
            "hermitcrab does not replace members of a standby cluster",
        ),
        (
            failsafe,
            "the store does not answer, and the leader goes on in failsafe mode",
            "see to etcd, Consul or whatever it is first",
        ),
        (
            answers.is_synchronous() && standbys == 0,
            "`synchronous_mode` is on, and no member is a synchronous standby",
            "see why no replica is chosen: `patronictl list`",
        ),
        (
            answers.is_synchronous() && answers.is_strict() && followers < 2,
            "`synchronous_mode_strict` is on with fewer than two healthy replicas, so that writes would wait while one is away",
            "add a replica, or turn it off for the rollout: `patronictl edit-config`",
        ),
    ];
    let raised = all.into_iter().filter(|(is_so, ..)| *is_so);
    raised.map(|(_, why, hint)| Blocker { why: why.to_owned(), hint: hint.to_owned() }).collect()
}
