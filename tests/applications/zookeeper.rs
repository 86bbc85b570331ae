//! The readings of answers of real ZooKeeper servers, as they were recorded in each phase of a roll (`tests/applications/zookeeper`).

use std::fmt::Write;
use std::net::IpAddr;

use hermitcrab::action::MemberEffect;
use hermitcrab::observed::{Health, Member, Membership};
use hermitcrab::ports::{ErrorKind, Members, Outcome, chain};
use hermitcrab::spec::Lag;
use serde_json::{Value, json};

mod words;

use crate::kinds::zookeeper as running;
use crate::member::line;
use crate::phases::{self, Servers, block_on};

const OWN: &str = "GET /commands/zabstate";
const LEADS: &str = "GET /commands/leader";
const VOTING: &str = "GET /commands/voting_view";
const MONITOR: &str = "GET /commands/monitor";

fn at(nth: u8) -> IpAddr {
    IpAddr::from([127, 66, 0, nth])
}

/// Reads a phase of ZooKeeper's.
fn phase(name: &str) -> (String, Servers) {
    phases::phase("zookeeper", name)
}

/// Tells a membership as a person reads it: one line a server.
fn told(membership: &Membership) -> String {
    let leader = membership.leader.as_ref().map_or("nobody", |leader| leader);
    let mut text = format!("{leader} leads\n");
    for member in &membership.members {
        writeln!(text, "{}", line(member, member.id.len())).unwrap();
    }
    for blocker in &membership.blockers {
        writeln!(text, "forbids: {} ({})", blocker.why, blocker.hint).unwrap();
    }
    text
}

fn reading(servers: &Servers) -> Membership {
    block_on(async { running(servers).await.membership().await.unwrap() })
}

/// Each recording `tests/applications/zookeeper/<phase>.json` comes to what `tests/applications/zookeeper/<phase>.txt` says.
#[test]
fn every_recorded_phase_comes_to_its_membership() {
    phases::come_to_what_is_said("zookeeper", 18, |servers| told(&reading(servers)));
}

fn body<'a>(servers: &'a mut Servers, nth: u8, call: &str) -> &'a mut Value {
    &mut servers.get_mut(&at(nth)).unwrap().get_mut(call).unwrap().1
}

/// The member of `zookeeper-b` in calm after a change of the answers, and whether somebody leads. Server 3 leads then.
fn b_after(change: impl Fn(&mut Servers)) -> (Member, bool) {
    let mut servers = phase("steady").1;
    change(&mut servers);
    let membership = reading(&servers);
    let b = membership.members.iter().find(|member| *member.id == *"2").unwrap();
    (b.clone(), membership.leader.is_some())
}

fn unknown(change: impl Fn(&mut Servers)) -> String {
    match b_after(change) {
        (Member { health: Health::Unknown(why), .. }, true) => why,
        other => panic!("{other:?}"),
    }
}

fn unhealthy(change: impl Fn(&mut Servers)) -> String {
    match b_after(change) {
        (Member { health: Health::Unhealthy(why), .. }, true) => why,
        other => panic!("{other:?}"),
    }
}

fn addresses(servers: &mut Servers, nth: u8, of: &str, all: Value) {
    body(servers, nth, VOTING)["current_config"][of]["server_addresses"] = all;
}

#[test]
fn a_server_is_healthy_only_if_its_own_word_the_others_and_the_leader_agree() {
    assert_eq!(b_after(|_| ()).0.health, Health::Healthy);
    let moved =
        |servers: &mut Servers| (1..=3).for_each(|nth| addresses(servers, nth, "2", json!(["127.66.0.9:2888"])));
    assert_eq!(unknown(moved), "the others have it at 127.66.0.9, and it answers at 127.66.0.2");
    let split = |servers: &mut Servers| addresses(servers, 1, "2", json!(["127.66.0.9:2888"]));
    assert_eq!(unknown(split), "the servers have no one address for it: 127.66.0.2, 127.66.0.9");
    let named =
        |servers: &mut Servers| (1..=3).for_each(|nth| addresses(servers, nth, "2", json!(["b.internal:2888"])));
    assert_eq!(unknown(named), "the servers have no one address for it: a name");
    let several = |servers: &mut Servers| addresses(servers, 1, "2", json!(["127.66.0.2:2888", "127.67.0.2:2888"]));
    assert_eq!(unknown(several), "the servers have no one address for it: a name, 127.66.0.2");
    let demoted = |servers: &mut Servers| {
        let voters = body(servers, 1, VOTING)["current_config"].as_object_mut().unwrap();
        drop(voters.remove("2"));
    };
    assert_eq!(unknown(demoted), "127.66.0.1 has it as a server without a vote, and others as one with a vote");
    let ahead = unknown(|servers| body(servers, 2, OWN)["zab_epoch"] = json!(7));
    assert_eq!(ahead, "it has writes of the epoch 7, and the leader leads in 1");
    let uncounted = unknown(|servers| body(servers, 3, MONITOR)["synced_followers"] = json!(1));
    assert_eq!(uncounted, "2 servers say that they have everything, and the leader counts 1");
    let other = unknown(|servers| body(servers, 2, OWN)["myid"] = json!(9));
    assert_eq!(other, "server 9 answers in its place");
    let behind = unhealthy(|servers| body(servers, 2, OWN)["zabstate"] = json!("synchronization"));
    assert_eq!(behind, "it has not yet what the leader has: `synchronization`");
    let silent = |servers: &mut Servers| drop(servers.remove(&at(2)));
    assert_eq!(unknown(silent), "it does not answer, and the leader counts it");
    let twice = |servers: &mut Servers| {
        let again = servers[&at(2)].clone();
        servers.insert(at(9), again);
    };
    assert_eq!(unknown(twice), "it answers at 127.66.0.2 and at 127.66.0.9");
}

#[test]
fn a_server_that_has_all_addresses_of_its_machine_for_itself_is_where_the_others_have_it() {
    let (b, led) = b_after(|servers| addresses(servers, 2, "2", json!(["0.0.0.0:2888"])));
    assert_eq!((b.health, led, b.slot.as_deref()), (Health::Healthy, true, Some("zookeeper-b")));
    let alone = unknown(|servers| (1..=3).for_each(|nth| addresses(servers, nth, "2", json!(["0.0.0.0:2888"]))));
    assert_eq!(alone, "the servers have no one address for it: none");
}

#[test]
fn a_split_view_has_no_leader_and_nobody_is_well() {
    let (b, led) = b_after(|servers| {
        servers.remove(&at(3));
        body(servers, 1, LEADS)["leader_id"] = json!(1);
    });
    let why = "127.66.0.1 follows server 1, others server 3";
    assert_eq!((b.health, led), (Health::Unknown(why.to_owned()), false));
    let (b, led) = b_after(|servers| {
        servers.remove(&at(1));
        servers.remove(&at(3));
    });
    let why = "fewer than two servers could be asked whether server 3 leads";
    assert_eq!((b.health, led), (Health::Unknown(why.to_owned()), false));
    // A quorum outvotes one that was cut off.
    let mut servers = phase("steady").1;
    body(&mut servers, 1, LEADS)["leader_id"] = json!(1);
    let membership = reading(&servers);
    let a = membership.members.iter().find(|member| *member.id == *"1").unwrap();
    assert_eq!(membership.leader.as_deref(), Some("3"));
    assert_eq!(a.health, Health::Unknown("it follows server 1, others server 3".to_owned()));
}

#[test]
fn a_lag_is_told_in_writes_of_the_leaders_epoch() {
    let lag = |change: &dyn Fn(&mut Servers)| b_after(change).0.lag;
    assert_eq!(lag(&|_| ()), Some(Lag::Entries(0)));
    assert_eq!(lag(&|servers| body(servers, 2, OWN)["zab_counter"] = json!(3)), Some(Lag::Entries(20)));
    let before = |servers: &mut Servers| {
        for nth in [1, 3] {
            body(servers, nth, OWN)["zab_epoch"] = json!(2);
        }
        body(servers, 2, OWN)["zab_counter"] = json!(99_999);
    };
    assert_eq!(lag(&before), Some(Lag::Entries(23)), "all writes of this epoch");
    assert_eq!(lag(&|servers| drop(servers.remove(&at(3)))), None, "without the leader's word nobody knows");
}

#[test]
fn what_a_server_reports_of_its_data_and_of_waiting_requests_holds_everything_up() {
    let forbids = |change: &dyn Fn(&mut Servers)| {
        let mut servers = phase("steady").1;
        change(&mut servers);
        reading(&servers).blockers.into_iter().map(|blocker| blocker.why).collect::<Vec<_>>()
    };
    assert_eq!(forbids(&|servers| body(servers, 1, MONITOR)["outstanding_requests"] = json!(999)), [""; 0]);
    let waiting = forbids(&|servers| body(servers, 1, MONITOR)["outstanding_requests"] = json!(1_000));
    assert_eq!(waiting, ["1000 requests wait at the server at 127.66.0.1, which turns clients away"]);
    let damaged = forbids(&|servers| body(servers, 2, MONITOR)["digest_mismatches_count"] = json!(1));
    assert_eq!(damaged, ["the server at 127.66.0.2 has found its data to be others than the leader's"]);
}

#[test]
fn an_answer_of_another_form_is_no_answer_and_an_endless_list_is_none() {
    let odd = unknown(|servers| *body(servers, 2, OWN) = json!({ "zabstate": 7 }));
    assert_eq!(odd, "it does not answer, and the leader counts it");
    let mut servers = phase("steady").1;
    let one = servers[&at(1)][VOTING].1["current_config"]["1"].clone();
    let many: serde_json::Map<_, _> = (1..=101).map(|number: u32| (number.to_string(), one.clone())).collect();
    for nth in 1..=3 {
        body(&mut servers, nth, VOTING)["current_config"] = json!(many);
    }
    let error = block_on(async { running(&servers).await.membership().await.unwrap_err() });
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(chain(&error).contains("lists more than 100 servers"), "{}", chain(&error));
}

#[test]
fn a_server_whose_answer_costs_too_much_is_asked_less_often_until_it_gives_a_right_one() {
    block_on(async {
        let mut servers = phase("steady").1;
        let right = body(&mut servers, 2, OWN).clone();
        *body(&mut servers, 2, OWN) = json!({ "zabstate": "x".repeat(300 << 10) });
        let running = running(&servers).await;
        let look = async || {
            let membership = running.membership().await.unwrap();
            let b = membership.members.iter().find(|member| *member.id == *"2").unwrap();
            (b.health.clone(), running.answering.asked(OWN).iter().filter(|(asked, _)| *asked == at(2)).count())
        };
        let why =
            "its answers cost too much: 127.66.0.2 answers without end: more than 256 KiB, and the leader counts it";
        let unknown = Health::Unknown(why.to_owned());
        assert_eq!(look().await, (unknown.clone(), 1));
        running.answering.script(at(2), OWN, 200, right);
        assert_eq!([look().await, look().await], [(unknown.clone(), 1), (unknown, 1)], "it is left out of two looks");
        assert_eq!(look().await, (Health::Healthy, 2));
    });
}

#[test]
fn nothing_is_ever_asked_for() {
    block_on(async {
        let running = running(&phase("steady").1).await;
        assert!(!running.membership().await.unwrap().can_transfer);
        assert_eq!(running.transfer("3", "2").await.unwrap_err().kind, ErrorKind::Invalid);
        let pruning = MemberEffect::SetPruning { down_to: 3 };
        let outcome = running.applications.change(&running.spec, &running.seats, &pruning).await.unwrap();
        assert_eq!(outcome, Outcome::AlreadySo);
        for call in [OWN, LEADS, VOTING, MONITOR] {
            assert_eq!(running.answering.asked(call).len(), 3, "{call}: by the one look alone");
        }
    });
}
