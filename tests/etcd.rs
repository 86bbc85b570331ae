//! The readings of answers of real etcd members, as they were recorded in each phase of a roll (`tests/etcd`), and the requests
//! that are sent to them.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;

use expect_test::expect_file;
use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{Canaries, ErrorKind, Outcome, chain};
use serde_json::{Value, json};

#[path = "http/kinds.rs"]
#[allow(dead_code)] // each kind has its own
mod kinds;
#[path = "shared/member.rs"]
mod member;
#[path = "http/phases.rs"]
mod phases;
#[path = "http/server.rs"]
mod server;

use kinds::etcd as running;
use member::line;
use phases::{Servers, block_on, folder};

const STATUS: &str = "POST /v3/maintenance/status";
const LIST: &str = "POST /v3/cluster/member/list";
const METRICS: &str = "GET /metrics";
const TRANSFER: &str = "POST /v3/maintenance/transfer-leadership";
const PUT: &str = "POST /v3/kv/put";
const RANGE: &str = "POST /v3/kv/range";
const LOGIN: &str = "POST /v3/auth/authenticate";

fn at(nth: u8) -> IpAddr {
    IpAddr::from([127, 77, 0, nth])
}

/// Reads a phase of etcd's.
fn phase(name: &str) -> (String, Servers) {
    phases::phase("etcd", name)
}

/// Tells a membership as a person reads it: one line a member, with the first digits of its id.
fn told(membership: &Membership) -> String {
    let leader = membership.leader.as_ref().map_or("nobody", |leader| &leader[..4]);
    let agreed = membership.agreed_version.as_deref().unwrap_or("nothing");
    let mut text = format!("{leader} leads; agreed on {agreed}\n");
    for member in &membership.members {
        writeln!(text, "{}", line(member, 4)).unwrap();
    }
    for blocker in &membership.blockers {
        writeln!(text, "forbids: {} ({})", blocker.why, blocker.hint).unwrap();
    }
    text
}

fn reading(servers: &Servers) -> Membership {
    block_on(async { running(servers).await.membership().await.unwrap() })
}

/// Each recording `tests/etcd/<phase>.json` comes to what `tests/etcd/<phase>.txt` says.
#[test]
fn every_recorded_phase_comes_to_its_membership() {
    let phases = phases::phases("etcd");
    assert!(phases.len() >= 12, "{phases:?}");
    for name in phases {
        let (story, servers) = phase(&name);
        let text = format!("# {story}\n{}", told(&reading(&servers)));
        expect_file![folder("etcd").join(format!("{name}.txt"))].assert_eq(&text);
    }
}

/// The health of `etcd-c` in calm after a change of the answers, and whether somebody leads.
fn c_after(change: impl Fn(&mut Servers)) -> (Health, bool) {
    let mut servers = phase("steady").1;
    change(&mut servers);
    let membership = reading(&servers);
    let c = membership.members.iter().find(|member| member.slot.as_deref() == Some("etcd-c")).unwrap();
    (c.health.clone(), membership.leader.is_some())
}

fn body<'a>(servers: &'a mut Servers, nth: u8, call: &str) -> &'a mut Value {
    &mut servers.get_mut(&at(nth)).unwrap().get_mut(call).unwrap().1
}

#[test]
fn a_member_is_healthy_only_if_the_list_its_status_and_the_leader_agree() {
    assert_eq!(c_after(|_| ()), (Health::Healthy, true));
    let unknown = |change: &dyn Fn(&mut Servers)| match c_after(change) {
        (Health::Unknown(why), true) => why,
        other => panic!("{other:?}"),
    };
    let other_term = unknown(&|servers| body(servers, 3, STATUS)["raftTerm"] = json!("1"));
    assert!(other_term.starts_with("it sees ") && other_term.contains("lead in term 1, others"), "{other_term}");
    let leaderless = unknown(&|servers| drop(body(servers, 3, STATUS).as_object_mut().unwrap().remove("leader")));
    assert_eq!(leaderless, "it sees no leader");
    let moved = |servers: &mut Servers| {
        let members = body(servers, 1, LIST)["members"].as_array_mut().unwrap();
        let c = members.iter_mut().find(|member| member["name"] == "etcd-c").unwrap();
        c["peerURLs"] = json!(["http://127.77.0.9:2380"]);
    };
    assert_eq!(unknown(&moved), "its peers have it at 127.77.0.9, and it answers at 127.77.0.3");
    let named = |servers: &mut Servers| {
        let members = body(servers, 1, LIST)["members"].as_array_mut().unwrap();
        let c = members.iter_mut().find(|member| member["name"] == "etcd-c").unwrap();
        c["peerURLs"] = json!(["http://etcd-c.internal:2380"]);
    };
    assert_eq!(unknown(&named), "its peer URLs name no one address: http://etcd-c.internal:2380");
    let not_reached = |servers: &mut Servers| {
        let c = servers[&at(3)][STATUS].1["header"]["member_id"].as_str().unwrap().parse::<u64>().unwrap();
        *body(servers, 1, METRICS) = json!(format!("etcd_network_active_peers{{Remote=\"{c:x}\"}} 0\n"));
    };
    assert_eq!(unknown(&not_reached), "it answers, and the leader does not reach it");
    let silent = |servers: &mut Servers| drop(servers.remove(&at(3)));
    assert_eq!(unknown(&silent), "it does not answer, and the leader reaches it");
    let twice = |servers: &mut Servers| {
        let again = servers[&at(3)].clone();
        servers.insert(at(9), again);
    };
    assert_eq!(unknown(&twice), "it answers at 127.77.0.3 and at 127.77.0.9");
}

#[test]
fn a_split_view_has_no_leader_and_nobody_is_well() {
    // One sees another leader, one does not answer: nobody can say who is right.
    let (health, is_led) = c_after(|servers| {
        servers.remove(&at(2));
        body(servers, 3, STATUS)["raftTerm"] = json!("9");
    });
    assert!(!is_led && matches!(&health, Health::Unknown(why) if why.contains("others")), "{health:?}");
    let (health, is_led) = c_after(|servers| {
        servers.remove(&at(2));
        servers.remove(&at(3));
    });
    let alone = "fewer than two members could be asked whether";
    assert!(!is_led && matches!(&health, Health::Unknown(why) if why.starts_with(alone)), "{health:?}");
}

#[test]
fn an_answer_of_another_form_is_no_answer_and_an_endless_list_is_none() {
    let (health, _) = c_after(|servers| *body(servers, 3, STATUS) = json!({ "header": "odd" }));
    assert_eq!(health, Health::Unknown("it does not answer, and the leader reaches it".to_owned()));
    let mut servers = phase("steady").1;
    let one = servers[&at(1)][LIST].1["members"][0].clone();
    for nth in [1, 2, 3] {
        body(&mut servers, nth, LIST)["members"] = json!(vec![one.clone(); 101]);
    }
    let error = block_on(async { running(&servers).await.membership().await.unwrap_err() });
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(chain(&error).contains("lists more than 100 members"), "{}", chain(&error));
}

#[test]
fn a_member_whose_status_costs_too_much_is_asked_less_often_until_it_gives_a_right_one() {
    block_on(async {
        let mut servers = phase("steady").1;
        let right = body(&mut servers, 3, STATUS).clone();
        *body(&mut servers, 3, STATUS) = json!({ "header": "x".repeat(300 << 10) });
        let running = running(&servers).await;
        let look = async || {
            let membership = running.membership().await.unwrap();
            let c = membership.members.iter().find(|member| member.slot.as_deref() == Some("etcd-c")).unwrap();
            (c.health.clone(), running.answering.asked(STATUS).iter().filter(|(asked, _)| *asked == at(3)).count())
        };
        let why =
            "its answers cost too much: 127.77.0.3 answers without end: more than 256 KiB, and the leader reaches it";
        let unknown = Health::Unknown(why.to_owned());
        assert_eq!(look().await, (unknown.clone(), 1));
        running.answering.script(at(3), STATUS, 200, right);
        assert_eq!([look().await, look().await], [(unknown.clone(), 1), (unknown, 1)], "it is left out of two looks");
        assert_eq!(look().await, (Health::Healthy, 2));
        assert_eq!(look().await, (Health::Healthy, 3));
    });
}

#[test]
fn leadership_moves_by_a_request_to_the_leader_alone() {
    block_on(async {
        let running = running(&phase("steady").1).await;
        let membership = running.membership().await.unwrap();
        let id = |name: &str| {
            let member = membership.members.iter().find(|member| member.slot.as_deref() == Some(name)).unwrap();
            member.id.to_string()
        };
        let (a, b, c) = (id("etcd-a"), id("etcd-b"), id("etcd-c"));
        assert_eq!(membership.leader.as_deref(), Some(&*a), "the recording has a lead");
        running.answering.script(at(1), TRANSFER, 200, json!({}));
        assert_eq!(running.transfer(&a, &c).await.unwrap(), Outcome::Done);
        let number = u64::from_str_radix(&c, 16).unwrap().to_string();
        assert_eq!(running.answering.asked(TRANSFER), [(at(1), json!({ "targetID": number }).to_string())]);
        assert_eq!(running.transfer(&c, &a).await.unwrap(), Outcome::AlreadySo);
        assert!(matches!(running.transfer(&b, &c).await.unwrap(), Outcome::Changed { .. }), "b does not lead");
        assert!(matches!(running.transfer(&a, "77").await.unwrap(), Outcome::Changed { .. }), "77 is nobody");
        // 3.4 answers 412, newer versions 400.
        for status in [412, 400] {
            running.answering.script(
                at(1),
                TRANSFER,
                status,
                json!({ "code": 9, "message": "etcdserver: not leader" }),
            );
            assert!(matches!(running.transfer(&a, &c).await.unwrap(), Outcome::Changed { .. }), "{status}");
        }
        running.answering.script(at(1), TRANSFER, 503, json!({ "code": 14 }));
        assert_eq!(running.transfer(&a, &c).await.unwrap_err().kind, ErrorKind::Unreachable);
    });
}

#[test]
fn canaries_are_written_and_read_in_base64_below_one_prefix() {
    block_on(async {
        let running = running(&phase("steady").1).await;
        let (spec, seats) = (&running.spec, &running.seats);
        running.answering.script(at(1), PUT, 200, json!({}));
        running.applications.write_canary(spec, seats, "one/2", "a value").await.unwrap();
        let put = json!({ "key": "aGVybWl0Y3JhYi1jYW5hcnkvb25lLzI=", "value": "YSB2YWx1ZQ==" });
        assert_eq!(running.answering.asked(PUT), [(at(1), put.to_string())]);
        assert!(running.applications.write_canary(spec, seats, "../x", "a value").await.is_err());
        running.answering.script(at(1), RANGE, 200, json!({ "kvs": [put], "count": "1" }));
        let found = running.applications.canaries(spec, seats).await.unwrap();
        assert_eq!(found, [("one/2".to_owned(), "a value".to_owned())].into());
        let cut = json!({ "kvs": [put], "more": true });
        running.answering.script(at(1), RANGE, 200, cut);
        assert_eq!(running.applications.canaries(spec, seats).await.unwrap_err().kind, ErrorKind::Unknown);
        // A member that has lost its leader is no reason to give up.
        running.answering.script(at(1), PUT, 503, json!({ "code": 14 }));
        running.answering.script(at(2), PUT, 200, json!({}));
        running.applications.write_canary(spec, seats, "three", "3").await.unwrap();
    });
}

#[test]
fn a_user_logs_in_when_asked_to_and_no_error_shows_the_password() {
    block_on(async {
        let mut running = running(&phase("steady").1).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hunter2\n").unwrap();
        let etcd = running.spec.application.etcd_mut().unwrap();
        etcd.username = Some("root".to_owned());
        etcd.password_file = Some(file.path().to_str().unwrap().to_owned());
        let (spec, seats) = (&running.spec, &running.seats);
        for nth in [1, 2, 3] {
            running.answering.script(
                at(nth),
                PUT,
                400,
                json!({ "code": 3, "message": "etcdserver: user name is empty" }),
            );
            running.answering.script(at(nth), LOGIN, 400, json!({ "code": 3, "message": "wrong: hunter2" }));
        }
        let error = running.applications.write_canary(spec, seats, "one", "1").await.unwrap_err();
        let told = chain(&error);
        assert!(told.contains("wrong: [secret]") && !told.contains("hunter2"), "{told}");
        running.answering.script(at(1), LOGIN, 200, json!({ "token": "to.ken" }));
        let _ = running.applications.write_canary(spec, seats, "one", "1").await;
        let logins = running.answering.asked(LOGIN);
        assert_eq!(logins[0].1, json!({ "name": "root", "password": "hunter2" }).to_string());
        assert_eq!(running.answering.asked(PUT).len(), 3, "once refused, once more with the token");
        // Where nobody has to log in, what was refused is what is told.
        running.answering.script(
            at(1),
            LOGIN,
            400,
            json!({ "code": 9, "message": "etcdserver: authentication is not enabled" }),
        );
        let error = running.applications.write_canary(spec, seats, "one", "1").await.unwrap_err();
        assert!(chain(&error).contains("user name is empty"), "{}", chain(&error));
    });
}
