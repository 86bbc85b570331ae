//! The readings of answers of real members of Patroni, as they were recorded in each phase of a roll (`tests/applications/patroni`), and the
//! requests that are sent to them.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;

use hermitcrab::ids::MemberId;
use hermitcrab::observed::{Health, Member, Membership};
use hermitcrab::ports::{ErrorKind, Outcome, PortError, chain};
use hermitcrab::spec::ApplicationSpec;
use serde_json::{Value, json};

use crate::kinds::patroni as running;
use crate::member::line;
use crate::phases::{self, Servers, block_on};

const OWN: &str = "GET /patroni";
const CLUSTER: &str = "GET /cluster";
const CONFIG: &str = "GET /config";
const SWITCHOVER: &str = "POST /switchover";

fn at(nth: u8) -> IpAddr {
    IpAddr::from([127, 88, 0, nth])
}

/// Tells an answer as a person reads it: one line a member.
fn told(answer: Result<Membership, PortError>) -> String {
    let membership = match answer {
        Ok(membership) => membership,
        Err(error) => return format!("no answer: {:?}\n", error.kind),
    };
    let leader = membership.leader.as_ref().map_or("nobody", |leader| leader);
    let heirs: Vec<_> = membership.heirs.iter().flatten().map(|id| &**id).collect();
    let mut text = format!("{leader} leads; any of {} may\n", heirs.join(", "));
    for member in &membership.members {
        writeln!(text, "{}", line(member, 4)).unwrap();
    }
    for blocker in &membership.blockers {
        writeln!(text, "forbids: {} ({})", blocker.why, blocker.hint).unwrap();
    }
    text
}

fn reading(servers: &Servers) -> Result<Membership, PortError> {
    block_on(async { running(servers).await.membership().await })
}

fn phase(name: &str) -> (String, Servers) {
    phases::phase("patroni", name)
}

/// Each recording `tests/applications/patroni/<phase>.json` comes to what `tests/applications/patroni/<phase>.txt` says.
#[test]
fn every_recorded_phase_comes_to_its_membership() {
    phases::come_to_what_is_said("patroni", 16, |servers| told(reading(servers)));
}

fn body<'a>(servers: &'a mut Servers, nth: u8, call: &str) -> &'a mut Value {
    &mut servers.get_mut(&at(nth)).unwrap().get_mut(call).unwrap().1
}

/// The member `pg-c` in calm after a change of the answers, and whether somebody leads.
fn c_after(change: impl Fn(&mut Servers)) -> (Member, bool) {
    let mut servers = phase("steady").1;
    change(&mut servers);
    let membership = reading(&servers).unwrap();
    let c = membership.members.iter().find(|member| member.slot.as_deref() == Some("pg-c")).unwrap();
    (c.clone(), membership.leader.is_some())
}

#[test]
fn a_replica_is_healthy_only_if_it_receives_the_log_of_this_leader() {
    assert_eq!(c_after(|_| ()).0.health, Health::Healthy);
    let said = |change: &dyn Fn(&mut Servers)| match c_after(change) {
        (Member { health: Health::Unhealthy(why) | Health::Unknown(why), .. }, true) => why,
        other => panic!("{other:?}"),
    };
    let behind = said(&|servers| body(servers, 3, OWN)["timeline"] = json!(7));
    assert_eq!(behind, "it is on timeline 7, and the leader on 1");
    let not_sent = |servers: &mut Servers| {
        body(servers, 3, OWN).as_object_mut().unwrap().remove("replication_state");
        body(servers, 1, OWN)["replication"] = json!([]);
    };
    assert_eq!(said(&not_sent), "it is not sent the log");
    assert_eq!(said(&|servers| body(servers, 3, OWN)["state"] = json!("starting")), "its PostgreSQL is `starting`");
    let foreign = said(&|servers| body(servers, 3, OWN)["database_system_identifier"] = json!("7"));
    assert_eq!(foreign, "it has another database than the leader");
    let alone = |servers: &mut Servers| {
        let seen = body(servers, 1, OWN)["dcs_last_seen"].as_u64().unwrap();
        body(servers, 3, OWN)["dcs_last_seen"] = json!(seen - 90);
    };
    assert!(said(&alone).starts_with("it has not reached the store for 9"), "{}", said(&alone));
    let silent = said(&|servers| drop(servers.remove(&at(3))));
    assert_eq!(silent, "it does not answer, and it is sent the log");
}

#[test]
fn a_member_of_another_scope_counts_for_nothing() {
    let (c, led) = c_after(|servers| body(servers, 3, OWN)["patroni"]["scope"] = json!("other"));
    assert_eq!((c.health, led), (Health::Unknown("a member of `other` answers in its place".to_owned()), true));
    let mut servers = phase("steady").1;
    for nth in 1..=3 {
        body(&mut servers, nth, OWN)["patroni"]["scope"] = json!("other");
    }
    let error = reading(&servers).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(chain(&error).contains("they are of other; mend `scope`"), "{}", chain(&error));
}

#[test]
fn of_two_members_that_take_writes_none_leads_and_nobody_is_well() {
    let (c, led) = c_after(|servers| body(servers, 2, OWN)["role"] = json!("primary"));
    assert_eq!((c.health, led), (Health::Unknown("127.88.0.1 and 127.88.0.2 both take writes".to_owned()), false));
    let (c, led) = c_after(|servers| body(servers, 1, OWN)["role"] = json!("replica"));
    let why = "pg-a leads by the store, and says that it is a running replica";
    assert_eq!((c.health, led), (Health::Unknown(why.to_owned()), false));
}

#[test]
fn newer_words_mean_the_same() {
    let (c, led) = c_after(|servers| {
        body(servers, 1, OWN)["role"] = json!("primary");
        for nth in 1..=3 {
            *body(servers, nth, CONFIG) = json!({ "synchronous_mode": "quorum" });
            let members = body(servers, nth, CLUSTER)["members"].as_array_mut().unwrap();
            members[2]["role"] = json!("quorum_standby");
            members[2]["receive_lag"] = json!("unknown");
        }
    });
    assert_eq!((c.health, led), (Health::Healthy, true));
}

#[test]
fn an_endless_list_and_one_of_another_form_are_no_answer() {
    let mut servers = phase("steady").1;
    let one = servers[&at(1)][CLUSTER].1["members"][0].clone();
    for nth in 1..=3 {
        body(&mut servers, nth, CLUSTER)["members"] = json!(vec![one.clone(); 101]);
    }
    let error = reading(&servers).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(chain(&error).contains("lists more than 100 members"), "{}", chain(&error));
    for nth in 1..=3 {
        *body(&mut servers, nth, CLUSTER) = json!({ "members": "many" });
    }
    assert_eq!(reading(&servers).unwrap_err().kind, ErrorKind::Unknown);
}

#[test]
fn leadership_moves_by_a_switchover_that_the_leader_is_asked_for() {
    block_on(async {
        let running = running(&phase("steady").1).await;
        running.answering.script(at(1), SWITCHOVER, 200, json!("Successfully switched over to \"pg-c\""));
        assert_eq!(running.transfer("pg-a", "pg-c").await.unwrap(), Outcome::Done);
        let asked = json!({ "leader": "pg-a", "candidate": "pg-c" });
        assert_eq!(running.answering.asked(SWITCHOVER), [(at(1), asked.to_string())]);
        assert_eq!(running.transfer("pg-c", "pg-a").await.unwrap(), Outcome::AlreadySo);
        for (from, to) in [("pg-b", "pg-c"), ("pg-a", "pg-x")] {
            assert!(matches!(running.transfer(from, to).await.unwrap(), Outcome::Changed { .. }), "{from} → {to}");
        }
        assert_eq!(running.answering.asked(SWITCHOVER).len(), 1, "nothing was sent");
        running.answering.script(at(1), SWITCHOVER, 412, json!("no good candidates have been found"));
        assert!(matches!(running.transfer("pg-a", "pg-c").await.unwrap(), Outcome::Changed { .. }));
        running.answering.script(at(1), SWITCHOVER, 401, json!("no auth header received"));
        let error = running.transfer("pg-a", "pg-c").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(chain(&error).contains("give `username` and `passwordFile`"), "{}", chain(&error));
        running.answering.script(at(1), SWITCHOVER, 503, json!("Switchover failed"));
        assert_eq!(running.transfer("pg-a", "pg-c").await.unwrap_err().kind, ErrorKind::Unreachable);
    });
}

#[test]
fn in_synchronous_mode_only_a_synchronous_standby_may_lead() {
    block_on(async {
        let running = running(&phase("synchronous").1).await;
        let heirs = running.membership().await.unwrap().heirs.unwrap();
        assert_eq!(heirs, [MemberId::from("pg-c")].into());
        running.answering.script(at(1), SWITCHOVER, 200, json!("Successfully switched over"));
        assert!(matches!(running.transfer("pg-a", "pg-b").await.unwrap(), Outcome::Changed { .. }));
        assert_eq!(running.transfer("pg-a", "pg-c").await.unwrap(), Outcome::Done);
    });
}

#[test]
fn a_user_is_sent_with_each_request_and_no_error_shows_the_password() {
    block_on(async {
        let mut running = running(&phase("steady").1).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hunter2\n").unwrap();
        let ApplicationSpec::Patroni(patroni) = &mut running.spec.application else { panic!("not of Patroni") };
        patroni.username = Some("admin".to_owned());
        patroni.password_file = Some(file.path().to_str().unwrap().to_owned());
        // `admin:hunter2`, as it is sent.
        running.answering.script(at(1), SWITCHOVER, 500, json!("sent was Basic YWRtaW46aHVudGVyMg=="));
        let told = chain(&running.transfer("pg-a", "pg-c").await.unwrap_err());
        assert!(told.contains("sent was [secret]") && !told.contains("hunter2"), "{told}");
    });
}
