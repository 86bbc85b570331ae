//! RabbitMQ, as three nodes' management APIs tell of them.

use std::time::Duration;

use hermitcrab::observed::Health;
use hermitcrab::ports::{ErrorKind, chain};
use hermitcrab::spec::{Addresses, CommandRules, Lag, Leads, Needed};
use serde_json::{Value, json};

use super::stage::{Answers, Program, health_of, membership};

const RABBITMQ: Program = Program {
    name: "rabbitmq",
    args: &["--addresses", "any"],
    rules: CommandRules {
        needed: Needed::Quorum,
        leader: Leads::None,
        addresses: Addresses::Any,
        lag_limit: Lag::Entries(0),
        stabilization: Duration::from_secs(20),
        forms_together: false,
        prepares: false,
    },
};

/// The answers of three RabbitMQ nodes by their number, of which each sees all others run.
fn nodes() -> Answers {
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

fn b(nodes: &Answers) -> Health {
    health_of(&membership(RABBITMQ, nodes).unwrap(), "db-b")
}

/// The word of a node on another, or on itself.
fn said(nodes: &mut Answers, by: u8, of: usize) -> &mut Value {
    &mut nodes.get_mut(&by).unwrap().get_mut("GET /api/nodes").unwrap().1[of - 1]
}

#[test]
fn rabbitmq_nodes_that_see_each_other_are_healthy() {
    let membership = membership(RABBITMQ, &nodes()).unwrap();
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
    assert!(matches!(b(&nodes), Health::Unknown(_)), "the others see it run");
    said(&mut nodes, 1, 2)["running"] = json!(false);
    assert!(matches!(b(&nodes), Health::Unknown(_)), "one of the others sees it run");
    said(&mut nodes, 3, 2)["running"] = json!(false);
    assert!(matches!(b(&nodes), Health::Unhealthy(_)));
}

#[test]
fn a_rabbitmq_node_in_maintenance_or_unseen_by_another_is_not_healthy() {
    let mut drained = nodes();
    said(&mut drained, 2, 2)["being_drained"] = json!(true);
    assert_eq!(b(&drained), Health::Unhealthy("it is in maintenance mode".to_owned()));
    let mut unseen = nodes();
    said(&mut unseen, 1, 2)["running"] = json!(false);
    assert!(matches!(b(&unseen), Health::Unknown(_)));
}

#[test]
fn alarms_partitions_and_queues_without_replicas_hold_rabbitmq_up() {
    let blockers = |change: &dyn Fn(&mut Answers)| {
        let mut nodes = nodes();
        change(&mut nodes);
        let blockers = membership(RABBITMQ, &nodes).unwrap().blockers;
        assert_eq!(blockers.len(), 1, "{blockers:?}");
        blockers[0].why.clone()
    };
    assert!(
        blockers(&|nodes| said(nodes, 2, 2)["mem_alarm"] = json!(true)).contains("rabbit@db-b has raised mem_alarm")
    );
    let partition = |nodes: &mut Answers| said(nodes, 1, 1)["partitions"] = json!(["rabbit@db-b"]);
    assert_eq!(blockers(&partition), "rabbit@db-a sees a network partition");
    let critical = |nodes: &mut Answers| {
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
    let error = membership(RABBITMQ, &nodes).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{}", chain(&error));
}
