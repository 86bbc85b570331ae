//! A MongoDB replica set, as three servers tell of each other through `mongosh`; written after the documentation of `hello`,
//! `replSetGetStatus` and `replSetGetConfig` of MongoDB 7.0.

use std::time::Duration;

use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{ErrorKind, Outcome, PortError, chain};
use hermitcrab::spec::{Addresses, CommandRules, Lag, Leads, Needed};
use serde_json::{Value, json};

use super::stage::{Program, Stage, at, block_on, health_of};
use super::tool::Tools;

const MONGODB: Program = Program {
    name: "mongodb",
    args: &[],
    rules: CommandRules {
        needed: Needed::Quorum,
        leader: Leads::Last,
        addresses: Addresses::Fixed,
        lag_limit: Lag::Age(Duration::from_secs(10)),
        stabilization: Duration::from_secs(20),
        forms_together: true,
        prepares: false,
    },
};
const DOWN: &str = "(not reachable/healthy)";

fn name(number: u8) -> String {
    format!("{}:27017", at(MONGODB, number))
}

fn row(number: u8, state: u8, word: &str) -> Value {
    json!({
        "_id": number - 1, "name": name(number), "health": 1, "state": state, "stateStr": word, "uptime": 8431,
        "optime": { "ts": { "$timestamp": { "t": 1_723_763_173, "i": 1 } }, "t": 3 },
        "optimeDate": { "$date": "2024-08-15T23:06:13Z" }, "configVersion": 1, "configTerm": 3,
    })
}

/// Three servers by their address, of which the first one is the primary.
fn servers() -> Value {
    let member = |number: u8| {
        json!({
            "_id": number - 1, "host": name(number), "arbiterOnly": false, "buildIndexes": true, "hidden": false, "priority": 1,
            "tags": {}, "secondaryDelaySecs": 0, "votes": 1,
        })
    };
    let config = json!({
        "_id": "rs0", "version": 1, "term": 3, "members": [member(1), member(2), member(3)], "protocolVersion": 1,
        "settings": { "replicaSetId": { "$oid": "66be8a7e4f1d2c3b5a697887" } },
    });
    let server = |number: u8| {
        let rows = [row(1, 1, "PRIMARY"), row(2, 2, "SECONDARY"), row(3, 2, "SECONDARY")];
        json!({
            "hello": {
                "setName": "rs0", "me": name(number), "primary": name(1), "isWritablePrimary": number == 1, "secondary": number != 1,
                "hosts": [name(1), name(2), name(3)], "ok": 1,
            },
            "replSetGetStatus": { "set": "rs0", "myState": if number == 1 { 1 } else { 2 }, "term": 3, "members": rows, "ok": 1 },
            "replSetGetConfig": { "config": config, "ok": 1 },
            "buildInfo": { "version": "7.0.12", "ok": 1 },
            "replSetStepDown": if number == 1 { json!({ "ok": 1 }) } else {
                json!({ "wrong": "NotWritablePrimary", "why": "not primary so can't step down" })
            },
        })
    };
    let by_address = (1..=3).map(|number| (at(MONGODB, number).to_string(), server(number)));
    Value::Object(by_address.collect())
}

/// The answers of a server.
fn of(servers: &mut Value, number: u8) -> &mut Value {
    &mut servers[at(MONGODB, number).to_string()]
}

/// The word of a server on a member.
fn said(servers: &mut Value, by: u8, number: u8) -> &mut Value {
    &mut of(servers, by)["replSetGetStatus"]["members"][usize::from(number) - 1]
}

/// The member of the configuration that every server has.
fn configured(servers: &mut Value, number: u8, field: &str, value: &Value) {
    for server in 1..=3 {
        of(servers, server)["replSetGetConfig"]["config"]["members"][usize::from(number) - 1][field] = value.clone();
    }
}

fn stop(servers: &mut Value, number: u8) {
    servers.as_object_mut().unwrap().remove(&at(MONGODB, number).to_string());
}

fn lose(servers: &mut Value, by: u8, number: u8) {
    let row = said(servers, by, number);
    (row["health"], row["state"], row["stateStr"]) = (json!(0), json!(8), json!(DOWN));
    row["optimeDate"] = json!({ "$date": "1970-01-01T00:00:00Z" });
}

fn asked(servers: &Value, args: &[&str]) -> Result<Membership, PortError> {
    let tools = Tools::mongosh(servers);
    let path = tools.path("mongosh");
    let args: Vec<_> = ["--mongosh", &path].iter().chain(args).map(|&argument| argument.to_owned()).collect();
    block_on(Stage::new(MONGODB, &args).membership())
}

fn membership(servers: &Value) -> Membership {
    asked(servers, &[]).unwrap()
}

fn health(servers: &Value, slot: &str) -> Health {
    health_of(&membership(servers), slot)
}

fn transfer(servers: &Value, from: u8, to: u8) -> (Outcome, bool) {
    let tools = Tools::mongosh(servers);
    let stage = Stage::new(MONGODB, &["--mongosh".to_owned(), tools.path("mongosh")]);
    let outcome = block_on(stage.transfer(&name(from), &name(to)));
    let steps: Vec<_> = tools.asked().into_iter().filter(|call| call.ends_with("replSetStepDown")).collect();
    assert!(steps.iter().all(|call| *call == format!("{} replSetStepDown", at(MONGODB, 1))), "{steps:?}");
    (outcome, !steps.is_empty())
}

#[test]
fn members_that_agree_with_a_majority_on_the_primary_are_healthy() {
    let mut servers = servers();
    said(&mut servers, 1, 3)["optimeDate"] = json!({ "$date": "2024-08-15T23:06:08.250Z" });
    let agreed = membership(&servers);
    assert_eq!(agreed.leader.as_deref(), Some(name(1).as_str()));
    assert!(agreed.can_transfer && agreed.blockers.is_empty(), "{agreed:?}");
    for (member, number) in agreed.members.iter().zip(1..) {
        assert_eq!((&member.health, member.counts), (&Health::Healthy, true));
        assert_eq!((member.address, member.version.as_deref()), (Some(at(MONGODB, number)), Some("7.0.12")));
    }
    let lags: Vec<_> = agreed.members.iter().map(|member| member.lag.unwrap()).collect();
    let seconds = |seconds| Lag::Age(Duration::from_secs(seconds));
    assert_eq!(lags, [seconds(0), seconds(0), seconds(5)], "what lies between two seconds counts as the larger one");
}

#[test]
fn a_member_that_does_not_answer_is_down_only_if_no_other_reaches_it() {
    let mut servers = servers();
    stop(&mut servers, 2);
    assert!(matches!(health(&servers, "db-b"), Health::Unknown(_)), "the others reach it");
    lose(&mut servers, 1, 2);
    assert!(matches!(health(&servers, "db-b"), Health::Unknown(_)), "one of the others reaches it");
    lose(&mut servers, 3, 2);
    assert!(matches!(health(&servers, "db-b"), Health::Unhealthy(_)));
    assert_eq!(health(&servers, "db-c"), Health::Healthy, "two of three are a majority");
}

#[test]
fn a_member_that_answers_and_is_not_seen_to_serve_is_not_healthy() {
    let mut unseen = servers();
    lose(&mut unseen, 3, 2);
    assert!(matches!(health(&unseen, "db-b"), Health::Unknown(_)));
    for (state, word) in [(3, "RECOVERING"), (5, "STARTUP2"), (9, "ROLLBACK")] {
        let mut other = servers();
        of(&mut other, 2)["replSetGetStatus"]["myState"] = json!(state);
        *said(&mut other, 2, 2) = row(2, state, word);
        assert_eq!(health(&other, "db-b"), Health::Unhealthy(format!("it is {word}")));
    }
}

#[test]
fn without_a_primary_nobody_s_health_is_known() {
    let mut servers = servers();
    for number in 1..=3 {
        let server = of(&mut servers, number);
        (server["hello"]["isWritablePrimary"], server["hello"]["primary"]) = (json!(false), Value::Null);
        server["replSetGetStatus"]["myState"] = json!(2);
        *said(&mut servers, number, 1) = row(1, 2, "SECONDARY");
    }
    let leaderless = membership(&servers);
    assert_eq!(leaderless.leader, None);
    assert!(leaderless.members.iter().all(|member| matches!(member.health, Health::Unknown(_))));
}

#[test]
fn one_that_takes_no_writes_or_is_followed_in_an_older_term_leads_nobody() {
    let mut stepping_down = servers();
    of(&mut stepping_down, 1)["hello"]["isWritablePrimary"] = json!(false);
    assert_eq!(membership(&stepping_down).leader, None);
    let mut older = servers();
    for number in [2, 3] {
        of(&mut older, number)["replSetGetStatus"]["term"] = json!(2);
    }
    assert_eq!(membership(&older).leader, None);
}

#[test]
fn of_two_that_take_writes_the_one_that_a_majority_follows_leads() {
    let mut servers = servers();
    for number in [2, 3] {
        let server = of(&mut servers, number);
        (server["hello"]["primary"], server["replSetGetStatus"]["term"]) = (json!(name(2)), json!(4));
    }
    of(&mut servers, 2)["hello"]["isWritablePrimary"] = json!(true);
    of(&mut servers, 2)["replSetGetStatus"]["myState"] = json!(1);
    for number in [2, 3] {
        *said(&mut servers, number, 2) = row(2, 1, "PRIMARY");
        lose(&mut servers, number, 1);
    }
    let split = membership(&servers);
    assert_eq!(split.leader.as_deref(), Some(name(2).as_str()));
    let why = format!("it takes itself for the primary, and a majority has {}", name(2));
    assert_eq!(health_of(&split, "db-a"), Health::Unknown(why));
    stop(&mut servers, 3);
    assert_eq!(membership(&servers).leader, None, "one follower of three members is no majority");
}

#[test]
fn a_delay_that_is_meant_is_no_lag_and_a_member_without_a_vote_does_not_count() {
    let mut servers = servers();
    said(&mut servers, 1, 3)["optimeDate"] = json!({ "$date": "2024-08-15T22:06:10Z" });
    assert_eq!(membership(&servers).members[2].lag, Some(Lag::Age(Duration::from_secs(3603))));
    configured(&mut servers, 3, "secondaryDelaySecs", &json!(3600));
    configured(&mut servers, 3, "votes", &json!(0));
    let delayed = &membership(&servers).members[2];
    assert_eq!((delayed.lag, delayed.counts), (Some(Lag::Age(Duration::from_secs(3))), false));
}

/// Three servers, of which the third one is an arbiter, and says nothing to whoever has logged in.
fn with_arbiter() -> Value {
    let mut servers = servers();
    configured(&mut servers, 3, "arbiterOnly", &json!(true));
    for number in [1, 2] {
        *said(&mut servers, number, 3) = row(3, 7, "ARBITER");
        said(&mut servers, number, 3).as_object_mut().unwrap().remove("optimeDate");
    }
    let denied = json!({ "wrong": "Unauthorized", "why": "command replSetGetStatus requires authentication" });
    let arbiter = of(&mut servers, 3);
    (arbiter["hello"]["arbiterOnly"], arbiter["hello"]["secondary"]) = (json!(true), json!(false));
    (arbiter["replSetGetStatus"], arbiter["replSetGetConfig"]) = (denied.clone(), denied);
    servers
}

#[test]
fn an_arbiter_is_asked_without_a_login_and_holds_up_what_would_make_writes_wait() {
    let servers = with_arbiter();
    let waits = membership(&servers);
    assert_eq!(health_of(&waits, "db-c"), Health::Healthy);
    assert_eq!(waits.members[2].lag, Some(Lag::Age(Duration::ZERO)));
    assert!(waits.blockers[0].why.starts_with("an arbiter votes"), "{:?}", waits.blockers);
    assert!(asked(&servers, &["--interruptions", "accept"]).unwrap().blockers.is_empty());
}

#[test]
fn a_configuration_that_has_not_reached_all_holds_everything_up() {
    let mut servers = servers();
    of(&mut servers, 3)["replSetGetConfig"]["config"]["version"] = json!(2);
    let blockers = membership(&servers).blockers;
    assert_eq!(blockers.len(), 1, "{blockers:?}");
    assert!(blockers[0].why.contains("do not have the same configuration"));
}

#[test]
fn a_server_of_another_set_holds_everything_up() {
    let mut servers = servers();
    of(&mut servers, 3)["replSetGetConfig"]["config"]["settings"]["replicaSetId"]["$oid"] = json!("0");
    assert_eq!(membership(&servers).blockers[0].why, "the servers are of different replica sets");
}

#[test]
fn the_primary_steps_down_if_a_secondary_is_healthy_and_nobody_else_does() {
    assert_eq!(transfer(&servers(), 1, 2), (Outcome::Done, true));
    let (outcome, sent) = transfer(&servers(), 2, 3);
    assert!(matches!(outcome, Outcome::Changed { .. }) && !sent, "another leads: {outcome:?}");
    let mut arbiter = with_arbiter();
    assert_eq!(transfer(&arbiter, 1, 3), (Outcome::Done, true), "whoever is asked for, a secondary takes over");
    of(&mut arbiter, 2)["replSetGetStatus"]["myState"] = json!(3);
    let (outcome, sent) = transfer(&arbiter, 1, 3);
    assert!(matches!(outcome, Outcome::Changed { .. }) && !sent, "no secondary is healthy: {outcome:?}");
    let mut behind = servers();
    let why = "No electable secondaries caught up as of 2024-08-15T23:06:23.000+00:00";
    of(&mut behind, 1)["replSetStepDown"] = json!({ "wrong": "ExceededTimeLimit", "why": why });
    let (outcome, _) = transfer(&behind, 1, 2);
    assert!(matches!(outcome, Outcome::Changed { .. }), "the server has refused: {outcome:?}");
    of(&mut behind, 1)["replSetStepDown"] = json!({ "wrong": "MongoNetworkError", "why": "connection closed" });
    assert_eq!(transfer(&behind, 1, 2), (Outcome::Done, true), "a connection that breaks says nothing");
}

#[test]
fn what_mongosh_cannot_say_is_not_known() {
    let mut denied = servers();
    for number in 1..=3 {
        of(&mut denied, number)["replSetGetStatus"] =
            json!({ "wrong": "Unauthorized", "why": "not authorized on admin" });
    }
    for (servers, kind) in [
        (denied, ErrorKind::Denied),
        (json!({}), ErrorKind::Unreachable),
        (json!("Warning: something else"), ErrorKind::Unreachable),
        (json!({ (at(MONGODB, 1).to_string()): { "hello": { "ok": 1 } } }), ErrorKind::Unreachable),
    ] {
        let error = asked(&servers, &[]).unwrap_err();
        assert_eq!(error.kind, kind, "{}", chain(&error));
        assert!(!chain(&error).contains("Traceback"), "{}", chain(&error));
    }
    let unreached = asked(&json!({}), &[]).unwrap_err();
    assert!(chain(&unreached).contains("connect ECONNREFUSED"), "{}", chain(&unreached));
    let nowhere = ["--mongosh".to_owned(), "/nowhere/mongosh".to_owned()];
    let error = block_on(Stage::new(MONGODB, &nowhere).membership()).unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && chain(&error).contains("mongosh cannot be run"), "{}", chain(&error));
}
