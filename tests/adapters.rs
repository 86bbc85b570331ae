//! The programs in `adapters/`: each passes the check where it can ask nobody, and RabbitMQ's is read against answers that were written
//! down from the documentation of its management API. Neither was run against a server.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hermitcrab::application::Applications;
use hermitcrab::application::command::conformance::{Trial, check};
use hermitcrab::ids::InstanceId;
use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{ErrorKind, Members, PortError, Seat, chain};
use hermitcrab::spec::load::load;
use hermitcrab::spec::{Addresses, CommandRules, Lag, Leads, Needed, SlotSpec};
use serde_json::{Value, json};

#[path = "http/server.rs"]
mod server;

use server::{Asked, Script, listen, serve};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")
}

#[test]
fn every_program_passes_the_check_where_it_can_ask_nobody() {
    let mut programs = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let program = entry.unwrap().path();
        let timeout = Duration::from_secs(10);
        let trial = Trial { program: &program, args: &[], files: [].into(), timeout, seats: Vec::new() };
        let findings = block_on(check(&trial));
        let wrong: Vec<_> = findings.iter().filter(|finding| !finding.right).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", program.display());
        programs += 1;
    }
    assert!(programs >= 2, "{programs}");
}

/// The answers of three RabbitMQ nodes by their number, of which each sees all others run.
fn nodes() -> BTreeMap<u8, BTreeMap<String, (u16, Value)>> {
    let name = |number: u8| format!("rabbit@db-{}", char::from(b'a' + number - 1));
    let all: Vec<Value> = (1..=3)
        .map(|number| {
            json!({
                "name": name(number), "type": "disc", "running": true, "being_drained": false,
                "mem_alarm": false, "disk_free_alarm": false, "partitions": [],
            })
        })
        .collect();
    let answers = |number: u8| {
        let overview = json!({ "node": name(number), "rabbitmq_version": "3.10.8", "cluster_name": "db" });
        let answers = [
            ("GET /api/overview", (200, overview)),
            ("GET /api/nodes", (200, json!(all))),
            ("GET /api/health/checks/node-is-quorum-critical", (200, json!({ "status": "ok" }))),
        ];
        answers.into_iter().map(|(call, answer)| (call.to_owned(), answer)).collect()
    };
    (1..=3).map(|number| (number, answers(number))).collect()
}

type Nodes = BTreeMap<u8, BTreeMap<String, (u16, Value)>>;

/// The membership that the program makes of the nodes' answers. A node that is left out listens nowhere.
fn membership(nodes: &Nodes) -> Result<Membership, PortError> {
    block_on(async {
        let at = |number: u8| IpAddr::from([127, 78, 0, number]);
        let addresses: Vec<_> = nodes.keys().map(|number| at(*number)).collect();
        let (port, listeners) = listen(&addresses).await;
        for (listener, answers) in listeners.into_iter().zip(nodes.values()) {
            let script: Script = Arc::new(Mutex::new(answers.clone()));
            tokio::spawn(serve(listener, script, Asked::default()));
        }
        let loaded = load(&["tests/fixtures/command.yaml".into()]);
        let mut spec = loaded.specs().next().unwrap().1.clone();
        let seat = |(slot, number): (&SlotSpec, u8)| Seat {
            slot: slot.name.clone(),
            instance: InstanceId::from(format!("i-{number}")),
            address: at(number),
        };
        let seats: Vec<_> = spec.slots.iter().zip(1..).map(seat).collect();
        let command = spec.application.command_mut().unwrap();
        command.program = folder().join("rabbitmq").to_str().unwrap().to_owned();
        command.args = ["--port", &port.to_string(), "--addresses", "any"].map(str::to_owned).to_vec();
        command.timeout = Duration::from_secs(20);
        command.rules = CommandRules {
            needed: Needed::Quorum,
            leader: Leads::None,
            addresses: Addresses::Any,
            lag_limit: Lag::Entries(0),
            stabilization: Duration::from_secs(20),
            forms_together: false,
        };
        Applications::with_programs_in(Some(folder())).membership(&spec, &seats).await
    })
}

fn b(membership: &Membership) -> Health {
    membership.members.iter().find(|member| member.slot.as_deref() == Some("db-b")).unwrap().health.clone()
}

/// What a node says of another, or of itself.
fn said(nodes: &mut Nodes, by: u8, of: usize) -> &mut Value {
    &mut nodes.get_mut(&by).unwrap().get_mut("GET /api/nodes").unwrap().1[of - 1]
}

#[test]
fn rabbitmq_nodes_that_see_each_other_are_healthy() {
    let membership = membership(&nodes()).unwrap();
    assert_eq!(membership.members.len(), 3);
    for member in &membership.members {
        assert_eq!(member.health, Health::Healthy);
        assert_eq!(
            (member.counts, member.lag, member.version.as_deref()),
            (true, Some(Lag::Entries(0)), Some("3.10.8"))
        );
    }
    assert!(membership.blockers.is_empty() && membership.leader.is_none() && !membership.can_transfer);
}

#[test]
fn a_rabbitmq_node_is_down_only_if_no_other_sees_it_run() {
    let mut nodes = nodes();
    nodes.remove(&2);
    assert!(matches!(b(&membership(&nodes).unwrap()), Health::Unknown(_)), "the others see it run");
    said(&mut nodes, 1, 2)["running"] = json!(false);
    assert!(matches!(b(&membership(&nodes).unwrap()), Health::Unknown(_)), "one of the others sees it run");
    said(&mut nodes, 3, 2)["running"] = json!(false);
    assert!(matches!(b(&membership(&nodes).unwrap()), Health::Unhealthy(_)));
}

#[test]
fn a_rabbitmq_node_in_maintenance_or_unseen_by_another_is_not_healthy() {
    let mut drained = nodes();
    said(&mut drained, 2, 2)["being_drained"] = json!(true);
    assert_eq!(b(&membership(&drained).unwrap()), Health::Unhealthy("it is in maintenance mode".to_owned()));
    let mut unseen = nodes();
    said(&mut unseen, 1, 2)["running"] = json!(false);
    assert!(matches!(b(&membership(&unseen).unwrap()), Health::Unknown(_)));
}

#[test]
fn alarms_partitions_and_queues_without_replicas_hold_rabbitmq_up() {
    let blockers = |change: &dyn Fn(&mut Nodes)| {
        let mut nodes = nodes();
        change(&mut nodes);
        let blockers = membership(&nodes).unwrap().blockers;
        assert_eq!(blockers.len(), 1, "{blockers:?}");
        blockers[0].why.clone()
    };
    assert!(
        blockers(&|nodes| said(nodes, 2, 2)["mem_alarm"] = json!(true)).contains("rabbit@db-b has raised mem_alarm")
    );
    let partition = |nodes: &mut Nodes| said(nodes, 1, 1)["partitions"] = json!(["rabbit@db-b"]);
    assert_eq!(blockers(&partition), "rabbit@db-a sees a network partition");
    let critical = |nodes: &mut Nodes| {
        let call = "GET /api/health/checks/node-is-quorum-critical".to_owned();
        nodes.get_mut(&3).unwrap().insert(call, (503, json!({ "status": "failed" })));
    };
    assert!(blockers(&critical).contains("would lose its quorum without rabbit@db-c"));
}

#[test]
fn a_rabbitmq_user_that_may_not_look_is_denied() {
    let mut nodes = nodes();
    for answers in nodes.values_mut() {
        answers.insert("GET /api/overview".to_owned(), (401, json!({ "error": "not_authorised" })));
    }
    let error = membership(&nodes).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{}", chain(&error));
}
