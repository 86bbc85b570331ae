//! etcd members behind their own interface, as the adapter asks them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::stage::Stage;

fn stage() -> Stage {
    Stage::of("tests/fixtures/etcd.yaml")
}

fn ask(stage: &Stage, at: IpAddr, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let (status, body) = stage.wire.ask_member(at, method, path, body.to_string().as_bytes()).unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

fn post(stage: &Stage, at: IpAddr, path: &str, body: &Value) -> (u16, Value) {
    ask(stage, at, "POST", path, body)
}

/// Each member's number, by its address, and the address of the leader.
fn members(stage: &Stage) -> (BTreeMap<IpAddr, Value>, IpAddr) {
    let all: Vec<IpAddr> = stage.wire.members().into_iter().map(|(address, _)| address).collect();
    let status = |at: &IpAddr| post(stage, *at, "/v3/maintenance/status", &json!({})).1;
    let ids: BTreeMap<_, _> = all.iter().map(|at| (*at, status(at)["header"]["member_id"].clone())).collect();
    let leader = status(&all[0])["leader"].clone();
    let at = *ids.iter().find(|(_, id)| **id == leader).unwrap().0;
    (ids, at)
}

#[test]
fn every_member_tells_of_itself_and_lists_all_with_numbers_as_texts() {
    let stage = stage();
    let (ids, leader) = members(&stage);
    assert_eq!(ids.len(), 3);
    let (_, list) = post(&stage, leader, "/v3/cluster/member/list", &json!({ "linearizable": true }));
    let listed = list["members"].as_array().unwrap();
    assert!(listed.iter().all(|member| ids.values().any(|id| *id == member["ID"])), "{list}");
    let first = listed.iter().find(|member| member["name"] == "etcd-1").unwrap();
    assert_eq!(first["peerURLs"], json!(["http://127.0.1.10:2380"]));
    let version = json!({ "etcdserver": "3.4.23", "etcdcluster": "3.4.0" });
    assert_eq!(ask(&stage, leader, "GET", "/version", &json!(null)), (200, version));
    let (_, metrics) = ask(&stage, leader, "GET", "/metrics", &json!(null));
    assert_eq!(metrics.as_str().unwrap().lines().filter(|line| line.ends_with("} 1")).count(), 2, "{metrics}");
}

#[test]
fn only_the_leader_hands_leadership_over_and_canaries_are_kept() {
    let stage = stage();
    let (ids, leader) = members(&stage);
    let (other, heir) = ids.iter().find(|(at, _)| **at != leader).unwrap();
    let transfer = json!({ "targetID": heir });
    let (status, refused) = post(&stage, *other, "/v3/maintenance/transfer-leadership", &transfer);
    assert_eq!((status, &refused["code"]), (412, &json!(9)), "3.4 says so, newer ones 400");
    assert_eq!(post(&stage, leader, "/v3/maintenance/transfer-leadership", &transfer).0, 200);
    let (_, status) = post(&stage, leader, "/v3/maintenance/status", &json!({}));
    assert_eq!(status["errors"], json!(["etcdserver: no leader"]), "nobody leads for a moment");
    let linearizable = json!({ "linearizable": true });
    assert_eq!(post(&stage, leader, "/v3/cluster/member/list", &linearizable).0, 503);
    stage.pass(Duration::from_secs(2));
    assert_eq!(members(&stage).1, *other);
    let key = STANDARD.encode("hermitcrab-canary/one");
    let pair = json!({ "key": key, "value": "MQ==" });
    assert_eq!(post(&stage, leader, "/v3/kv/put", &pair).0, 200);
    assert_eq!(post(&stage, *other, "/v3/kv/range", &json!({})).1["kvs"], json!([pair]));
}

#[test]
fn a_stopped_member_answers_nobody_and_the_leader_does_not_reach_it() {
    let stage = stage();
    let (ids, leader) = members(&stage);
    let slot = ids.keys().position(|at| *at != leader).unwrap() + 1;
    stage.one("StopInstances", &[("InstanceId.1", &stage.instance(&format!("etcd-{slot}")))], "name");
    assert_eq!(stage.wire.members().len(), 2);
    let (_, metrics) = ask(&stage, leader, "GET", "/metrics", &json!(null));
    assert_eq!(metrics.as_str().unwrap().lines().filter(|line| line.ends_with("} 0")).count(), 1, "{metrics}");
}
