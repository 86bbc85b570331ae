//! Vault with integrated storage, as three servers tell of each other; written after the documentation of its API.

use std::time::Duration;

use hermitcrab::observed::Health;
use hermitcrab::ports::{ErrorKind, Outcome, chain};
use hermitcrab::spec::{Addresses, CommandRules, Lag, Leads, Needed};
use serde_json::{Value, json};

use super::stage::{Answers, Program, at, health_of, membership, transfer};

const VAULT: Program = Program {
    name: "vault",
    args: &["--scheme", "http"],
    rules: CommandRules {
        needed: Needed::Quorum,
        leader: Leads::Last,
        addresses: Addresses::Fixed,
        lag_limit: Lag::Entries(1000),
        stabilization: Duration::from_secs(20),
        forms_together: false,
        prepares: false,
    },
};
const STATE: &str = "GET /v1/sys/storage/raft/autopilot/state";
const SETTINGS: &str = "GET /v1/sys/storage/raft/autopilot/configuration";
const HEALTH: &str = "GET /v1/sys/health";

fn name(number: u8) -> String {
    format!("db-{}", char::from(b'a' + number - 1))
}

/// Three servers, of which the first one is active.
fn servers() -> Answers {
    let raft = |number: u8| {
        let address = format!("{}:8201", at(VAULT, number));
        json!({ "node_id": name(number), "address": address, "leader": number == 1, "protocol_version": "3", "voter": true })
    };
    let configuration = json!({ "data": { "config": { "index": 0, "servers": [raft(1), raft(2), raft(3)] } } });
    let state = |number: u8| {
        json!({
            "id": name(number), "name": name(number), "address": format!("{}:8201", at(VAULT, number)), "node_status": "alive",
            "last_contact": "12ms", "last_term": 3, "last_index": 500 - u64::from(number), "healthy": true,
            "stable_since": "2026-01-05T09:00:00Z", "status": if number == 1 { "leader" } else { "voter" }, "version": "1.15.2",
        })
    };
    let states = json!({ "db-a": state(1), "db-b": state(2), "db-c": state(3) });
    let voters = json!(["db-a", "db-b", "db-c"]);
    let autopilot = json!({ "data": {
        "healthy": true, "failure_tolerance": 1, "leader": "db-a", "voters": voters, "servers": states,
    } });
    let settings = json!({ "data": { "cleanup_dead_servers": false, "min_quorum": 0, "max_trailing_logs": 1000 } });
    let health = |standby: bool| json!({ "initialized": true, "sealed": false, "standby": standby, "version": "1.15.2", "cluster_id": "x" });
    let standby = || [(HEALTH.to_owned(), (429, health(true)))].into();
    let active = [
        (HEALTH, (200, health(false))),
        ("GET /v1/sys/storage/raft/configuration", (200, configuration)),
        (STATE, (200, autopilot)),
        (SETTINGS, (200, settings)),
        ("PUT /v1/sys/step-down", (200, json!({}))),
    ];
    let active = active.map(|(call, answer)| (call.to_owned(), answer)).into();
    [(1, active), (2, standby()), (3, standby())].into()
}

/// The answer of a server to a call.
fn answer<'a>(servers: &'a mut Answers, number: u8, call: &str) -> &'a mut (u16, Value) {
    servers.get_mut(&number).unwrap().get_mut(call).unwrap()
}

fn b(servers: &Answers) -> Health {
    health_of(&membership(VAULT, servers).unwrap(), "db-b")
}

#[test]
fn servers_that_are_unsealed_and_known_to_autopilot_are_healthy() {
    let membership = membership(VAULT, &servers()).unwrap();
    assert_eq!(membership.leader.as_deref(), Some("db-a"));
    assert!(membership.can_transfer && membership.blockers.is_empty());
    for (member, number) in membership.members.iter().zip(1..) {
        assert_eq!((&member.health, member.counts), (&Health::Healthy, true));
        assert_eq!((member.address, member.lag), (Some(at(VAULT, number)), Some(Lag::Entries(u64::from(number) - 1))));
        assert_eq!(member.version.as_deref(), Some("1.15.2"));
    }
}

#[test]
fn a_server_that_is_sealed_is_not_healthy_whatever_autopilot_says() {
    let mut sealed = servers();
    *answer(&mut sealed, 2, HEALTH) = (503, json!({ "initialized": true, "sealed": true, "standby": true }));
    assert_eq!(b(&sealed), Health::Unhealthy("it is sealed: unseal it".to_owned()));
}

#[test]
fn a_server_that_does_not_answer_is_down_only_if_autopilot_has_lost_it_too() {
    let mut servers = servers();
    servers.remove(&2);
    assert!(matches!(b(&servers), Health::Unknown(_)));
    let state = &mut answer(&mut servers, 1, STATE).1["data"]["servers"]["db-b"];
    (state["healthy"], state["node_status"]) = (json!(false), json!("failed"));
    assert!(matches!(b(&servers), Health::Unhealthy(_)));
}

#[test]
fn without_one_active_server_nothing_is_known() {
    let mut none = servers();
    *answer(&mut none, 1, HEALTH) = answer(&mut servers(), 2, HEALTH).clone();
    let mut two = servers();
    *answer(&mut two, 2, HEALTH) = answer(&mut servers(), 1, HEALTH).clone();
    for servers in [none, two] {
        let error = membership(VAULT, &servers).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{}", chain(&error));
    }
}

#[test]
fn a_leader_that_is_not_the_active_server_leads_nobody() {
    let mut servers = servers();
    answer(&mut servers, 1, STATE).1["data"]["leader"] = json!("db-b");
    assert_eq!(membership(VAULT, &servers).unwrap().leader, None);
}

#[test]
fn a_cleanup_of_dead_servers_that_could_take_a_vote_holds_everything_up() {
    let mut servers = servers();
    answer(&mut servers, 1, SETTINGS).1["data"]["cleanup_dead_servers"] = json!(true);
    assert_eq!(
        membership(VAULT, &servers).unwrap().blockers[0].hint,
        "set `min_quorum` of the autopilot configuration to 3"
    );
    answer(&mut servers, 1, SETTINGS).1["data"]["min_quorum"] = json!(3);
    assert!(membership(VAULT, &servers).unwrap().blockers.is_empty());
}

#[test]
fn the_active_server_steps_down_and_no_other() {
    let asked = format!("{} PUT /v1/sys/step-down", at(VAULT, 1));
    assert_eq!(transfer(VAULT, &servers(), "db-a", "db-b"), (Outcome::Done, vec![asked]));
    let (outcome, asked) = transfer(VAULT, &servers(), "db-c", "db-b");
    assert!(matches!(outcome, Outcome::Changed { .. }) && asked.is_empty(), "{outcome:?} {asked:?}");
}

#[test]
fn a_token_that_may_not_look_is_denied() {
    let mut servers = servers();
    *answer(&mut servers, 1, STATE) = (403, json!({ "errors": ["permission denied"] }));
    assert_eq!(membership(VAULT, &servers).unwrap_err().kind, ErrorKind::Denied);
}
