//! The readings of answers of real etcd members, as they were recorded in each phase of a roll (`tests/applications/etcd`), and the requests
//! that are sent to them.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;

use hermitcrab::action::MemberEffect;
use hermitcrab::application::Applications;
use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{Canaries, ErrorKind, Members, Outcome, chain};
use hermitcrab::spec::EtcdSpec;
use serde_json::{Value, json};

mod secured;

use crate::kinds::{self, etcd as running};
use crate::member::line;
use crate::phases::{self, Servers, block_on};
use secured::Secured;

const STATUS: &str = "POST /v3/maintenance/status";
const LIST: &str = "POST /v3/cluster/member/list";
const METRICS: &str = "GET /metrics";
const TRANSFER: &str = "POST /v3/maintenance/transfer-leadership";
const UPDATE: &str = "POST /v3/cluster/member/update";
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
    for warning in &membership.warnings {
        writeln!(text, "warns: {warning}").unwrap();
    }
    text
}

fn reading(servers: &Servers) -> Membership {
    block_on(async { running(servers).await.membership().await.unwrap() })
}

/// Each recording `tests/applications/etcd/<phase>.json` comes to what `tests/applications/etcd/<phase>.txt` says.
#[test]
fn every_recorded_phase_comes_to_its_membership() {
    phases::come_to_what_is_said("etcd", 12, |servers| told(&reading(servers)));
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
fn a_member_near_its_quota_is_told_of_with_what_helps() {
    let warnings = |change: &dyn Fn(&mut Servers)| {
        let mut servers = phase("near-quota").1;
        change(&mut servers);
        let membership = reading(&servers);
        assert!(membership.members.iter().all(|member| member.health == Health::Healthy), "it serves as before");
        membership.warnings
    };
    assert_eq!(warnings(&|_| ()).len(), 2);
    let without_metrics = |servers: &mut Servers| *body(servers, 1, METRICS) = json!("");
    let own_quota = |servers: &mut Servers| {
        without_metrics(servers);
        // From 3.6 on.
        let status = body(servers, 2, STATUS);
        (status["dbSizeQuota"], status["dbSizeInUse"]) = (json!("16777216"), json!("1048576"));
    };
    assert_eq!(
        warnings(&own_quota),
        ["the database of etcd-b has 13.9 MiB of its quota of 16.0 MiB, beyond which nothing can be written: \
        1.0 MiB of it are in use, so defragment it (`etcdctl defrag`), one member after the other"]
    );
    let grown = |servers: &mut Servers| {
        own_quota(servers);
        body(servers, 2, STATUS)["dbSizeQuota"] = json!("2147483648");
        body(servers, 2, STATUS)["dbSize"] = json!("1717986918");
    };
    assert!(warnings(&grown).is_empty(), "it is below four fifths");
    let nothing = |servers: &mut Servers| {
        *body(servers, 1, METRICS) = json!("etcd_server_quota_backend_bytes 0\n");
    };
    assert_eq!(
        reading(&{
            let mut servers = phase("near-quota").1;
            nothing(&mut servers);
            servers
        })
        .warnings,
        [""; 0]
    );
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
fn a_member_that_does_not_run_is_moved_by_a_request_to_the_leader_that_keeps_scheme_and_port() {
    block_on(async {
        let mut servers = phase("steady").1;
        let c_runs = running(&servers).await;
        let membership = c_runs.membership().await.unwrap();
        let c = membership.members.iter().find(|member| member.slot.as_deref() == Some("etcd-c")).unwrap().clone();
        assert!(matches!(c_runs.moves(&c.id, at(9)).await.unwrap(), Outcome::Changed { .. }), "it answers where it is");
        assert_eq!(c_runs.moves(&c.id, c.address.unwrap()).await.unwrap(), Outcome::AlreadySo);
        servers.remove(&at(3));
        let reached = running(&servers).await;
        assert!(matches!(reached.moves(&c.id, at(9)).await.unwrap(), Outcome::Changed { .. }), "the leader reaches it");
        *body(&mut servers, 1, METRICS) = json!(format!("etcd_network_active_peers{{Remote=\"{}\"}} 0\n", c.id));
        let running = running(&servers).await;
        running.answering.script(at(1), UPDATE, 200, json!({}));
        assert_eq!(running.moves(&c.id, at(9)).await.unwrap(), Outcome::Done);
        let number = u64::from_str_radix(&c.id, 16).unwrap().to_string();
        let update = json!({ "ID": number, "peerURLs": ["http://127.77.0.9:2380"] });
        assert_eq!(running.answering.asked(UPDATE), [(at(1), update.to_string())]);
        assert!(matches!(running.moves("77", at(9)).await.unwrap(), Outcome::Changed { .. }), "77 is nobody");
        let taken = json!({ "code": 9, "message": "etcdserver: Peer URLs already exists" });
        running.answering.script(at(1), UPDATE, 400, taken);
        let error = running.moves(&c.id, at(9)).await.unwrap_err();
        assert!(error.kind == ErrorKind::Invalid && chain(&error).contains("already exists"), "{}", chain(&error));
        for nth in [1, 2] {
            let all = body(&mut servers, nth, LIST)["members"].as_array_mut().unwrap();
            let listed = all.iter_mut().find(|member| member["name"] == "etcd-c").unwrap();
            listed["peerURLs"] = json!(["http://etcd-c.internal:2380"]);
        }
        let named = kinds::etcd(&servers).await;
        assert!(
            matches!(named.moves(&c.id, at(9)).await.unwrap(), Outcome::Changed { .. }),
            "a name is not ours to change"
        );
        assert_eq!(named.answering.asked(UPDATE).len(), 0);
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

/// Real members of both versions: over TLS with a client's certificate, and then with logins too.
#[test]
fn real_members_with_certificates_and_users_are_asked_and_changed_and_each_wrong_word_is_named() {
    for program in ["etcd-3.4", "etcd-3.5"] {
        let Some(secured) = Secured::start(program) else { continue };
        block_on(certificates_and_users(&secured));
    }
}

async fn certificates_and_users(secured: &Secured) {
    let spec = secured.spec();
    let first = secured.seen(&spec, |now| now.leader.is_some()).await;
    let slots: Vec<_> = first.members.iter().map(|member| member.slot.as_deref().unwrap()).collect();
    assert_eq!(slots, ["etcd-a", "etcd-b", "etcd-c"]);
    let own = |etcd: &mut EtcdSpec, name: &str| {
        let file = |kind: &str| secured.path(&format!("{name}.{kind}"));
        (etcd.http.client_cert_file, etcd.http.client_key_file) = (file("pem"), file("key"));
    };
    let refused = async |writes: bool, why: &str, change: &dyn Fn(&mut EtcdSpec)| {
        let mut spec = secured.spec();
        change(spec.application.etcd_mut().unwrap());
        secured.refused(&spec, writes, why).await
    };
    let (unreachable, invalid) = (ErrorKind::Unreachable, ErrorKind::Invalid);
    let nothing_shown = |etcd: &mut EtcdSpec| {
        (etcd.http.client_cert_file, etcd.http.client_key_file) = (None, None);
    };
    assert_eq!(refused(false, "received fatal alert: ", &nothing_shown).await, unreachable);
    assert_eq!(refused(false, "received fatal alert: ", &|etcd| own(etcd, "stranger")).await, unreachable);
    let another_ca = |etcd: &mut EtcdSpec| etcd.http.ca_file = secured.path("stranger.pem");
    assert_eq!(refused(false, "invalid peer certificate", &another_ca).await, unreachable);

    secured.turn_logins_on().await;
    assert_eq!(refused(true, "user name is empty", &|_| ()).await, invalid);
    let login = |etcd: &mut EtcdSpec, file: &str| {
        (etcd.username, etcd.password_file) = (Some("root".to_owned()), secured.path(file));
    };
    assert_eq!(refused(true, "authentication failed", &|etcd| login(etcd, "wrong-password")).await, invalid);
    let named = |etcd: &mut EtcdSpec| {
        login(etcd, "password");
        own(etcd, "named");
    };
    assert_eq!(refused(false, "issue `clientCertFile` without a common name", &named).await, invalid);
    let mut spec = secured.spec();
    login(spec.application.etcd_mut().unwrap(), "password");
    let now = secured.seen(&spec, |now| now.leader.is_some()).await;
    let (applications, seats) = (Applications::default(), secured.seats(&spec));
    let leader = now.leader.clone().unwrap();
    let to = now.members.iter().map(|member| member.id.clone()).find(|id| *id != leader).unwrap();
    let transfer = MemberEffect::TransferLeadership { from: leader, to: to.clone() };
    assert_eq!(applications.change(&spec, &seats, &transfer).await.unwrap(), Outcome::Done);
    secured.seen(&spec, |now| now.leader.as_ref() == Some(&to)).await;
    secured.moves_a_member_that_rests(&spec, &to).await;
    applications.write_canary(&spec, &seats, "one/2", "a value").await.unwrap();
    assert_eq!(
        applications.canaries(&spec, &seats).await.unwrap(),
        [("one/2".to_owned(), "a value".to_owned())].into()
    );
}
