//! Real Consul servers: what is made of them, what is asked of them, and the claims and the lease that they keep.
//!
//! A `consul` on PATH comes first, then what `tests/tools/fetch.sh` brings. Without either these tests say so and pass;
//! with `HERMITCRAB_RIG=required` they fail.

use std::collections::BTreeMap;
use std::future::Future;

use hermitcrab::action::MemberEffect;
use hermitcrab::application::Applications;
use hermitcrab::coordination::{Claims, Credentials, Place};
use hermitcrab::ids::{Attempt, ClusterName, InstanceId, MemberId};
use hermitcrab::observed::{ClaimRecord, Health, Membership, Pruning, Verdict};
use hermitcrab::ports::{Canaries, Clock, Coordination, ErrorKind, Members, Outcome, Seat};
use hermitcrab::spec::ClusterSpec;

mod servers;

use crate::claiming::{claim, rehearsed};
use crate::wall::Wall;
use servers::Servers;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn spec() -> ClusterSpec {
    let loaded = hermitcrab::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
    let mut spec = loaded.specs().next().unwrap().1.clone();
    let consul = spec.application.consul_mut().unwrap();
    consul.http.port = 8500;
    spec
}

fn seats(spec: &ClusterSpec, servers: &Servers) -> Vec<Seat> {
    let seat = |(nth, slot): (usize, &hermitcrab::spec::SlotSpec)| Seat {
        slot: slot.name.clone(),
        instance: InstanceId::from(format!("i-{nth}")),
        address: servers.address(nth),
    };
    spec.slots.iter().enumerate().map(seat).collect()
}

/// Looks until the members are as wanted.
async fn seen(
    applications: &Applications,
    spec: &ClusterSpec,
    servers: &Servers,
    what: &str,
    wanted: impl Fn(&Membership) -> bool,
) -> Membership {
    let mut last = String::new();
    for _ in 0..600 {
        match applications.membership(spec, &seats(spec, servers)).await {
            Ok(membership) if wanted(&membership) => return membership,
            other => last = format!("{other:?}"),
        }
        Wall.sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{what} never came; last: {last}");
}

fn all_well(membership: &Membership) -> bool {
    let well = |member: &hermitcrab::observed::Member| member.counts && member.health == Health::Healthy;
    membership.leader.is_some() && membership.members.len() == 3 && membership.members.iter().all(well)
}

#[test]
fn real_servers_are_asked_and_changed() {
    let Some(mut servers) = Servers::start() else { return };
    block_on(async {
        let (applications, spec) = (Applications::default(), spec());
        let membership = seen(&applications, &spec, &servers, "a healthy cluster", all_well).await;
        let slots: Vec<_> = membership.members.iter().map(|member| member.slot.as_deref().unwrap()).collect();
        assert_eq!(slots, ["consul-a", "consul-b", "consul-c"]);
        assert_eq!(membership.pruning, Pruning::DownTo(0));
        let seats = seats(&spec, &servers);
        let change = |effect: MemberEffect| {
            let (applications, spec, seats) = (&applications, &spec, &seats);
            async move { applications.change(spec, seats, &effect).await.unwrap() }
        };

        assert_eq!(change(MemberEffect::SetPruning { down_to: 3 }).await, Outcome::Done);
        assert_eq!(change(MemberEffect::SetPruning { down_to: 3 }).await, Outcome::AlreadySo);
        let membership = seen(&applications, &spec, &servers, "the settings", all_well).await;
        assert_eq!(membership.pruning, Pruning::DownTo(3));

        let leader = membership.leader.clone().unwrap();
        let other = membership.members.iter().map(|member| &member.id).find(|id| **id != leader).unwrap().clone();
        let transfer = |from: &MemberId, to: &MemberId| {
            change(MemberEffect::TransferLeadership { from: from.clone(), to: to.clone() })
        };
        assert_eq!(transfer(&other, &leader).await, Outcome::AlreadySo);
        let outcome = transfer(&other, &MemberId::from("nobody")).await;
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        let outcome = transfer(&leader, &other).await;
        if membership.can_transfer {
            assert_eq!(outcome, Outcome::Done);
            seen(&applications, &spec, &servers, "the other leader", |now| now.leader.as_ref() == Some(&other)).await;
        } else {
            assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        }

        let nth = membership.members.iter().position(|member| member.id == leader).unwrap();
        servers.stop(nth);
        let slot = membership.members[nth].slot.clone();
        let membership = seen(&applications, &spec, &servers, "another leader", |membership| {
            let ill = |member: &hermitcrab::observed::Member| matches!(member.health, Health::Unhealthy(_));
            membership.leader.as_ref().is_some_and(|now| *now != leader)
                && membership.members.iter().filter(|member| ill(member)).map(|member| &member.slot).eq([&slot])
        })
        .await;
        assert_eq!(membership.members.len(), 3);
    });
}

#[test]
fn acknowledged_canaries_outlive_the_stop_of_the_leader() {
    let Some(mut servers) = Servers::start() else { return };
    block_on(async {
        let (applications, spec) = (Applications::default(), spec());
        let membership = seen(&applications, &spec, &servers, "a healthy cluster", all_well).await;
        let seats = seats(&spec, &servers);
        let canaries = || applications.canaries(&spec, &seats);
        assert_eq!(canaries().await.unwrap(), BTreeMap::new());

        let mut acknowledged = BTreeMap::new();
        for (key, value) in [("before/1", "one"), ("before/2:30.5", "ü and \n"), ("before/empty", "")] {
            applications.write_canary(&spec, &seats, key, value).await.unwrap();
            acknowledged.insert(key.to_owned(), value.to_owned());
            assert_eq!(canaries().await.unwrap(), acknowledged);
        }

        let leads = |member: &hermitcrab::observed::Member| Some(&member.id) == membership.leader.as_ref();
        let leader = membership.members.iter().position(leads).unwrap();
        servers.stop(leader);
        for number in 0..600 {
            if applications.write_canary(&spec, &seats, "after", "another leader").await.is_ok() {
                acknowledged.insert("after".to_owned(), "another leader".to_owned());
                break;
            }
            assert!(number < 599, "no write was acknowledged after the leader had stopped");
            Wall.sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(canaries().await.unwrap(), acknowledged);

        // One of three is no quorum: nothing is acknowledged, and an old answer is not given either.
        servers.stop((leader + 1) % 3);
        let error = applications.write_canary(&spec, &seats, "lonely", "").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error:?}");
        let error = canaries().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error:?}");
    });
}

#[test]
fn claims_and_lease_outlive_the_stop_of_the_leader() {
    let Some(mut servers) = Servers::start() else { return };
    block_on(async {
        let (applications, spec) = (Applications::default(), spec());
        let membership = seen(&applications, &spec, &servers, "a healthy cluster", all_well).await;
        let hosts: Vec<_> = (0..3).map(|nth| format!("{}:8500", servers.address(nth))).collect();
        let place: Place = format!("consul+http://{}/ops/crab", hosts.join(",")).parse().unwrap();
        let open = || Claims::open(&place, &Credentials::default(), Wall).unwrap();
        let (one, other) = (open(), open());

        let name = ClusterName::from("consul-prod");
        assert_eq!(one.read(&name).await.unwrap(), ClaimRecord::default());
        let first = claim(&ClaimRecord::default());
        assert_eq!(one.write(&name, &first).await.unwrap(), Outcome::Done);
        let outcome = other.write(&name, &first).await.unwrap();
        let changed = Outcome::Changed { expected: "revision 0".to_owned(), found: "revision 1".to_owned() };
        assert_eq!(outcome, changed);
        let record = other.read(&name).await.unwrap();
        assert_eq!((record.revision, record.last_attempt), (1, Attempt(1)));

        // Both have read the same revision; one of them wins.
        let second = claim(&record);
        let (ours, theirs) = tokio::join!(one.write(&name, &second), other.write(&name, &second));
        let won = [ours.unwrap(), theirs.unwrap()].iter().filter(|outcome| **outcome == Outcome::Done).count();
        assert_eq!(won, 1);

        let held = one.acquire("one").await.unwrap();
        let work = async {
            let nth = membership.members.iter().position(|member| Some(&member.id) == membership.leader.as_ref());
            servers.stop(nth.unwrap());
            let record = loop {
                if let Ok(record) = other.read(&name).await {
                    break record;
                }
                Wall.sleep(std::time::Duration::from_millis(100)).await;
            };
            assert_eq!(record.revision, 2);
            while other.write(&name, &claim(&record)).await.is_err() {
                Wall.sleep(std::time::Duration::from_millis(100)).await;
            }
            let record = other.read(&name).await.unwrap();
            assert_eq!(record.revision, 3);

            // The controller reads a record that a pipeline has written.
            let effect = rehearsed(&record, "v1-0123456789abcdef", Verdict::Passed);
            assert_eq!(one.write(&name, &effect).await.unwrap(), Outcome::Done);
            assert_eq!(other.read(&name).await.unwrap().rehearsed[0].verdict, Verdict::Passed);
        };
        tokio::select! {
            () = held.lost() => panic!("the lease is lost"),
            () = work => {}
        }
        assert!(held.is_held());
        let (taken, ()) = tokio::join!(other.acquire("other"), held.release());
        assert!(taken.unwrap().is_held());
    });
}
