//! Members behind their own interface.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::stage::Stage;

fn addresses(stage: &Stage) -> Vec<IpAddr> {
    stage.wire.members().into_iter().map(|(address, _)| address).collect()
}

fn get(stage: &Stage, at: IpAddr, target: &str) -> (u16, Value) {
    let (status, body) = stage.wire.ask_member(at, "GET", target, b"").unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

#[test]
fn every_member_names_the_leader_and_knows_the_others() {
    let stage = Stage::new();
    let all = addresses(&stage);
    assert_eq!(all.len(), 3);
    let leaders: Vec<_> = all.iter().map(|at| get(&stage, *at, "/v1/status/leader").1).collect();
    assert!(leaders.iter().all(|leader| *leader == leaders[0] && leader.as_str().unwrap().ends_with(":8300")));
    let (status, health) = get(&stage, all[0], "/v1/operator/autopilot/health");
    assert_eq!((status, &health["Healthy"], &health["FailureTolerance"]), (200, &true.into(), &1.into()));
    let (_, raft) = get(&stage, all[0], "/v1/operator/raft/configuration");
    assert!(
        raft["Servers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|server| server["Voter"] == true && server["LastIndex"].is_u64())
    );
    let (_, gossip) = get(&stage, all[0], "/v1/agent/members");
    assert!(gossip.as_array().unwrap().iter().all(|agent| agent["Tags"]["dc"] == "dc1" && agent["Status"] == 1));
}

#[test]
fn older_servers_cannot_move_leadership_and_tell_less() {
    let stage = Stage::of("tests/fixtures/consul-1-8.yaml");
    let at = addresses(&stage)[0];
    let (_, raft) = get(&stage, at, "/v1/operator/raft/configuration");
    assert!(raft["Servers"][0].get("LastIndex").is_none());
    assert_eq!(stage.wire.ask_member(at, "POST", "/v1/operator/raft/transfer-leader?id=x", b"").unwrap().0, 404);
}

#[test]
fn leadership_moves_and_settings_are_compared() {
    let stage = Stage::new();
    let at = addresses(&stage)[0];
    let (_, raft) = get(&stage, at, "/v1/operator/raft/configuration");
    let other = raft["Servers"].as_array().unwrap().iter().find(|server| server["Leader"] == false).unwrap();
    let target = format!("/v1/operator/raft/transfer-leader?id={}", other["ID"].as_str().unwrap());
    assert_eq!(stage.wire.ask_member(at, "POST", &target, b"").unwrap().0, 200);
    assert_eq!(get(&stage, at, "/v1/operator/autopilot/health").0, 500, "nobody leads for a moment");
    stage.pass(Duration::from_secs(2));
    assert_eq!(get(&stage, at, "/v1/status/leader").1, other["Address"]);
    let (_, mut settings) = get(&stage, at, "/v1/operator/autopilot/configuration");
    let index = settings["ModifyIndex"].clone();
    settings["MinQuorum"] = 3.into();
    let put = |settings: &Value| {
        let target = format!("/v1/operator/autopilot/configuration?cas={index}");
        stage.wire.ask_member(at, "PUT", &target, settings.to_string().as_bytes()).unwrap()
    };
    assert_eq!(put(&settings), (200, "true".to_owned()));
    settings["MinQuorum"] = 2.into();
    assert_eq!(put(&settings), (200, "false".to_owned()), "somebody has changed them meanwhile");
}

#[test]
fn canaries_are_kept_and_a_stopped_member_answers_nobody() {
    let stage = Stage::new();
    let all = addresses(&stage);
    let put = stage.wire.ask_member(all[0], "PUT", "/v1/kv/hermitcrab-canary/one", b"1").unwrap();
    assert_eq!(put, (200, "true".to_owned()));
    let (_, entries) = get(&stage, all[1], "/v1/kv/hermitcrab-canary/?recurse&consistent");
    assert_eq!((&entries[0]["Key"], &entries[0]["Value"]), (&"hermitcrab-canary/one".into(), &"MQ==".into()));
    stage.one("StopInstances", &[("InstanceId.1", &stage.instance("consul-a"))], "name");
    assert_eq!(addresses(&stage).len(), 2);
    let gone = all.iter().find(|at| !addresses(&stage).contains(at)).unwrap();
    assert!(stage.wire.ask_member(*gone, "GET", "/v1/status/leader", b"").is_none());
    let health = || get(&stage, addresses(&stage)[0], "/v1/operator/autopilot/health").0;
    stage.pass(Duration::from_secs(9));
    assert_eq!(health(), 429);
    stage.pass(Duration::from_secs(9));
    assert_eq!(health(), 200, "autopilot has pruned it, and is content with two");
}
