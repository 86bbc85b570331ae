//! Three nodes of Elasticsearch or OpenSearch, as their HTTP APIs tell of them; written after the documentation and sources of both.

use std::collections::BTreeMap;
use std::time::Duration;

use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{ErrorKind, Outcome, chain};
use hermitcrab::spec::{Addresses, CommandRules, Lag, Leads, Needed};
use serde_json::{Value, json};

use super::stage::{Answers, Program, at, health_of, membership, prepare};

const ELASTICSEARCH: Program = Program {
    name: "elasticsearch",
    args: &["--scheme", "http"],
    rules: CommandRules {
        needed: Needed::AllButOne,
        leader: Leads::Last,
        addresses: Addresses::Any,
        lag_limit: Lag::Entries(0),
        stabilization: Duration::from_secs(20),
        forms_together: true,
        prepares: true,
    },
};
const ACCEPTS: Program = Program { args: &["--scheme", "http", "--interruptions", "accept"], ..ELASTICSEARCH };
const STATE: &str = "GET /_cluster/state/master_node,nodes";
const LOCAL: &str = "GET /_nodes/_local/transport";
const HEALTH: &str = "GET /_cluster/health";
const SHARDS: &str = "GET /_cat/shards";
const SETTINGS: &str = "GET /_cluster/settings";

fn name(number: u8) -> String {
    format!("db-{}", char::from(b'a' + number - 1))
}

fn id(number: u8) -> String {
    format!("FKH-5blYTJmff2rJ_lQO{number}")
}

fn shard(index: &str, kind: &str, state: &str, node: Option<u8>) -> Value {
    json!({ "index": index, "shard": "0", "prirep": kind, "state": state, "node": node.map(name) })
}

/// The answers of three nodes, of which the first one is the elected master.
fn nodes() -> Answers {
    let row = |number: u8| {
        json!({
            "name": name(number), "ephemeral_id": format!("e{number}"), "attributes": {},
            "transport_address": format!("{}:9300", at(ELASTICSEARCH, number)), "roles": ["data", "ingest", "master"],
        })
    };
    let rows = json!({ (id(1)): row(1), (id(2)): row(2), (id(3)): row(3) });
    let state = json!({ "cluster_name": "logs", "cluster_uuid": "IzKu0OoVTQ6LxqONJnN2eQ", "master_node": id(1), "nodes": rows });
    let local = |number: u8| {
        let itself = json!({
            "name": name(number), "version": "8.14.3", "host": at(ELASTICSEARCH, number), "ip": at(ELASTICSEARCH, number),
            "transport_address": format!("{}:9300", at(ELASTICSEARCH, number)), "roles": ["data", "ingest", "master"],
        });
        json!({ "cluster_name": "logs", "nodes": { (id(number)): itself } })
    };
    let health = json!({
        "cluster_name": "logs", "status": "green", "timed_out": false, "number_of_nodes": 3, "number_of_data_nodes": 3,
        "active_primary_shards": 2, "active_shards": 4, "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
        "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
    });
    let shards = json!([
        shard("orders", "p", "STARTED", Some(1)),
        shard("orders", "r", "STARTED", Some(2)),
        shard("events", "p", "STARTED", Some(2)),
        shard("events", "r", "STARTED", Some(3)),
    ]);
    let answers = |number: u8| {
        let mut own = BTreeMap::from([(STATE, state.clone()), (LOCAL, local(number))]);
        if number == 1 {
            let settings = json!({ "persistent": {}, "transient": {} });
            own.extend([(HEALTH, health.clone()), (SHARDS, shards.clone()), (SETTINGS, settings)]);
        }
        own.into_iter().map(|(call, answer)| (call.to_owned(), (200, answer))).collect()
    };
    (1..=3).map(|number| (number, answers(number))).collect()
}

/// The answer of a node to a call.
fn answer<'a>(nodes: &'a mut Answers, number: u8, call: &str) -> &'a mut Value {
    &mut nodes.get_mut(&number).unwrap().get_mut(call).unwrap().1
}

fn forget(nodes: &mut Answers, by: u8, number: u8) {
    answer(nodes, by, STATE)["nodes"].as_object_mut().unwrap().remove(&id(number));
}

fn asked(nodes: &Answers) -> Membership {
    membership(ELASTICSEARCH, nodes).unwrap()
}

fn b(nodes: &Answers) -> Health {
    health_of(&asked(nodes), "db-b")
}

fn blockers(nodes: &Answers) -> Vec<String> {
    asked(nodes).blockers.into_iter().map(|blocker| blocker.why).collect()
}

#[test]
fn nodes_that_most_agree_with_on_the_master_are_healthy() {
    let membership = asked(&nodes());
    assert_eq!((membership.leader.as_deref(), membership.can_transfer), (Some(id(1).as_str()), false));
    assert!(membership.blockers.is_empty(), "{membership:?}");
    for (member, number) in membership.members.iter().zip(1..) {
        assert_eq!((&*member.id, &member.health, member.counts), (id(number).as_str(), &Health::Healthy, true));
        assert_eq!((member.address, member.lag), (Some(at(ELASTICSEARCH, number)), Some(Lag::Entries(0))));
        assert_eq!(member.version.as_deref(), Some("8.14.3"));
    }
}

#[test]
fn a_node_that_does_not_answer_is_down_only_if_the_master_has_removed_it() {
    let mut nodes = nodes();
    nodes.remove(&2);
    assert!(matches!(b(&nodes), Health::Unknown(_)));
    forget(&mut nodes, 1, 2);
    assert!(matches!(b(&nodes), Health::Unhealthy(_)), "another one lists it still");
    forget(&mut nodes, 3, 2);
    assert_eq!(asked(&nodes).members.len(), 2, "the cluster admits to it no more");
}

#[test]
fn a_node_that_comes_back_empty_is_another_one() {
    let mut nodes = nodes();
    let emptied = answer(&mut nodes, 2, LOCAL)["nodes"][id(2)].clone();
    answer(&mut nodes, 2, LOCAL)["nodes"] = json!({ (id(7)): emptied });
    for number in [1, 2] {
        let mut row = answer(&mut nodes, number, STATE)["nodes"][id(2)].clone();
        row["ephemeral_id"] = json!("e7");
        answer(&mut nodes, number, STATE)["nodes"][id(7)] = row;
        forget(&mut nodes, number, 2);
    }
    let membership = asked(&nodes);
    let slots: Vec<_> = membership.members.iter().map(|member| (&*member.id, member.slot.as_deref())).collect();
    let (other, old) = (id(7), id(2));
    assert!(slots.contains(&(other.as_str(), Some("db-b"))) && slots.contains(&(old.as_str(), None)), "{slots:?}");
}

#[test]
fn a_node_without_a_master_or_with_another_one_is_not_healthy() {
    let mut alone = nodes();
    answer(&mut alone, 2, STATE)["master_node"] = Value::Null;
    assert_eq!(b(&alone), Health::Unhealthy("it has no master".to_owned()));
    let mut other = nodes();
    answer(&mut other, 2, STATE)["master_node"] = json!(id(2));
    let split = asked(&other);
    assert_eq!(split.leader.as_deref(), Some(id(1).as_str()), "two of three have it");
    assert!(matches!(health_of(&split, "db-b"), Health::Unknown(_)));
    let mut foreign = nodes();
    answer(&mut foreign, 2, STATE)["cluster_uuid"] = json!("another");
    assert_eq!(b(&foreign), Health::Unhealthy("it is a node of another cluster".to_owned()));
    let mut unlisted = nodes();
    forget(&mut unlisted, 3, 2);
    assert!(matches!(b(&unlisted), Health::Unknown(_)));
}

#[test]
fn without_a_master_that_most_agree_on_nobody_s_health_is_known() {
    let mut nodes = nodes();
    for number in [2, 3] {
        answer(&mut nodes, number, STATE)["master_node"] = Value::Null;
    }
    let leaderless = asked(&nodes);
    assert_eq!(leaderless.leader, None);
    assert!(leaderless.members.iter().all(|member| matches!(member.health, Health::Unknown(_))), "{leaderless:?}");
    let mut resigned = self::nodes();
    answer(&mut resigned, 1, STATE)["master_node"] = Value::Null;
    assert_eq!(asked(&resigned).leader, None, "it does not take itself for the master");
}

#[test]
fn shards_on_their_way_and_allocation_that_is_off_hold_everything_up() {
    for field in ["relocating_shards", "initializing_shards", "delayed_unassigned_shards"] {
        let mut nodes = nodes();
        answer(&mut nodes, 1, HEALTH)[field] = json!(2);
        let found = blockers(&nodes);
        let word = field.trim_end_matches("_shards").replace('_', " ");
        assert_eq!(found, [format!("shards are on their way: 2 {word}")]);
    }
    let mut off = nodes();
    answer(&mut off, 1, SETTINGS)["persistent"] = json!({ "cluster.routing.allocation.enable": "primaries" });
    assert!(blockers(&off)[0].starts_with("`cluster.routing.allocation.enable` is primaries"), "{:?}", blockers(&off));
    answer(&mut off, 1, SETTINGS)["transient"] = json!({ "cluster.routing.allocation.enable": "all" });
    assert!(blockers(&off).is_empty(), "the transient setting wins");
    let mut red = nodes();
    answer(&mut red, 1, HEALTH)["status"] = json!("red");
    assert_eq!(blockers(&red), ["the cluster is red"]);
}

#[test]
fn a_copy_without_a_node_holds_everything_up_unless_only_older_nodes_could_take_it() {
    let mut nodes = nodes();
    answer(&mut nodes, 1, HEALTH)["status"] = json!("yellow");
    answer(&mut nodes, 1, SHARDS)[3] = shard("events", "r", "UNASSIGNED", None);
    assert_eq!(blockers(&nodes), ["the cluster is yellow: copies of events have no node"]);
    let all_have_one = json!([
        shard("events", "p", "STARTED", Some(1)),
        shard("events", "r", "STARTED", Some(2)),
        shard("events", "r", "STARTED", Some(3)),
        shard("events", "r", "UNASSIGNED", None),
    ]);
    let shards = std::mem::replace(answer(&mut nodes, 1, SHARDS), all_have_one);
    assert_eq!(blockers(&nodes).len(), 1, "no node is older, and there are too few");
    *answer(&mut nodes, 1, SHARDS) = shards;
    answer(&mut nodes, 2, LOCAL)["nodes"][id(2)]["version"] = json!("8.15.0");
    assert!(blockers(&nodes).is_empty(), "the primary lies on the one node of a newer version");
    answer(&mut nodes, 3, LOCAL)["nodes"][id(3)]["version"] = json!("8.15.0");
    assert_eq!(blockers(&nodes).len(), 1, "another node of that version could take it");
    answer(&mut nodes, 3, LOCAL)["nodes"][id(3)]["version"] = json!("8.14.3");
    answer(&mut nodes, 1, SHARDS)[2] = shard("events", "p", "STARTED", Some(1));
    assert_eq!(blockers(&nodes).len(), 1, "the primary lies on an older one");
    answer(&mut nodes, 1, SHARDS)[2] = shard("events", "p", "UNASSIGNED", None);
    assert_eq!(blockers(&nodes).len(), 1, "there is no primary");
}

#[test]
fn an_index_without_a_replica_holds_everything_up_unless_that_is_accepted() {
    let mut nodes = nodes();
    answer(&mut nodes, 1, SHARDS).as_array_mut().unwrap().pop();
    assert_eq!(blockers(&nodes), ["indices without a replica: events"]);
    assert!(membership(ACCEPTS, &nodes).unwrap().blockers.is_empty());
}

#[test]
fn what_the_nodes_do_not_say_is_not_known() {
    let (mut denied, mut odd, mut shardless) = (nodes(), nodes(), nodes());
    denied.get_mut(&3).unwrap().insert(STATE.to_owned(), (403, json!({ "error": "security_exception" })));
    for number in 1..=3 {
        *answer(&mut odd, number, LOCAL) = json!(["something else"]);
    }
    shardless.get_mut(&1).unwrap().remove(SHARDS);
    for (nodes, kind) in
        [(denied, ErrorKind::Denied), (odd, ErrorKind::Unreachable), (shardless, ErrorKind::Unreachable)]
    {
        let error = membership(ELASTICSEARCH, &nodes).unwrap_err();
        assert_eq!(error.kind, kind, "{}", chain(&error));
        assert!(!chain(&error).contains("Traceback"), "{}", chain(&error));
    }
}

#[test]
fn everything_is_flushed_before_a_node_stops_and_allocation_stays_as_it_is() {
    let mut nodes = nodes();
    let flush = "POST /_flush";
    let flushed = json!({ "_shards": { "total": 4, "successful": 4, "failed": 0 } });
    nodes.get_mut(&2).unwrap().insert(flush.to_owned(), (200, flushed));
    let (outcome, changes) = prepare(ELASTICSEARCH, &nodes, &id(2), 2);
    let [call] = &changes[..] else { panic!("{changes:?}") };
    assert!(call.starts_with(&format!("{} {flush}?", at(ELASTICSEARCH, 2))), "{call}");
    assert_eq!(outcome.unwrap(), Outcome::Done);
    nodes.get_mut(&2).unwrap().insert(flush.to_owned(), (403, json!({ "error": "security_exception" })));
    assert_eq!(prepare(ELASTICSEARCH, &nodes, &id(2), 2).0.unwrap_err().kind, ErrorKind::Denied);
    nodes.remove(&2);
    let (outcome, changes) = prepare(ELASTICSEARCH, &nodes, &id(2), 2);
    assert!(matches!(outcome, Ok(Outcome::Changed { .. })) && changes.is_empty(), "{outcome:?} {changes:?}");
}
