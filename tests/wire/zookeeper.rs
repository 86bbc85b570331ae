//! ZooKeeper servers behind their own interface, as the adapter asks them.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::Stage;

fn stage() -> Stage {
    Stage::of("tests/fixtures/zookeeper.yaml")
}

fn ask(stage: &Stage, at: IpAddr, command: &str) -> (u16, Value) {
    let (status, body) = stage.wire.ask_member(at, "GET", &format!("/commands/{command}"), b"").unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

fn all(stage: &Stage) -> Vec<IpAddr> {
    stage.wire.members().into_iter().map(|(address, _)| address).collect()
}

#[test]
fn every_server_tells_of_itself_of_the_voters_and_of_the_leader() {
    let stage = stage();
    let servers = all(&stage);
    assert_eq!(servers.len(), 3);
    let leads: Vec<_> = servers.iter().map(|at| ask(&stage, *at, "leader").1["leader_id"].clone()).collect();
    assert!(leads.iter().all(|leader| leader.is_u64() && *leader == leads[0]), "{leads:?}");
    let own: Vec<_> = servers.iter().map(|at| ask(&stage, *at, "zabstate").1).collect();
    assert_eq!(own.iter().map(|own| own["myid"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(own.iter().all(|own| own["zabstate"] == "broadcast"), "{own:?}");
    let voters = ask(&stage, servers[0], "voting_view").1;
    assert_eq!(voters["current_config"]["2"]["server_addresses"], json!(["127.0.2.20:2888"]));
    let counted: Vec<_> = servers.iter().map(|at| ask(&stage, *at, "monitor").1["synced_followers"].clone()).collect();
    assert_eq!(counted.iter().filter(|count| **count == json!(2)).count(), 1, "the leader alone counts: {counted:?}");
}

#[test]
fn without_a_leader_nobody_serves_and_all_but_one_thing_is_an_error() {
    let stage = stage();
    let servers = all(&stage);
    let leads = |at: &&IpAddr| ask(&stage, **at, "leader").1["is_leader"] == true;
    let slot = servers.iter().position(|at| leads(&at)).unwrap() + 1;
    stage.one("StopInstances", &[("InstanceId.1", &stage.instance(&format!("zookeeper-{slot}")))], "name");
    let left = all(&stage);
    assert_eq!(left.len(), 2);
    let (status, leader) = ask(&stage, left[0], "leader");
    assert_eq!((status, &leader["error"]), (200, &json!("This ZooKeeper instance is not currently serving requests")));
    assert_eq!(ask(&stage, left[0], "zabstate").1["zabstate"], "");
    assert_eq!(ask(&stage, left[0], "monitor").0, 500);
    stage.pass(Duration::from_secs(10));
    assert!(ask(&stage, left[0], "leader").1["leader_id"].is_u64(), "the others have chosen another");
}
