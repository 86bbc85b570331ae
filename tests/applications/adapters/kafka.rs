//! Three Kafka nodes in KRaft mode, as Kafka's own scripts tell of them; written after the sources of the scripts of 3.9 and 4.0.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{ErrorKind, PortError, chain};
use hermitcrab::spec::{Addresses, CommandRules, Lag, Leads, Needed};
use serde_json::{Value, json};

use super::stage::{Program, Stage, at, block_on, health_of};
use super::tool::Tools;

const KAFKA: Program = Program {
    name: "kafka",
    args: &["--node", "db-a=1", "--node", "db-b=2", "--node", "db-c=3"],
    rules: CommandRules {
        needed: Needed::AllButOne,
        leader: Leads::Last,
        addresses: Addresses::Fixed,
        lag_limit: Lag::Entries(100),
        stabilization: Duration::from_secs(20),
        forms_together: true,
        prepares: false,
    },
};
const CONTROLLERS: CommandRules = CommandRules { needed: Needed::Quorum, ..KAFKA.rules };
const BROKERS: CommandRules = CommandRules { leader: Leads::None, forms_together: false, ..KAFKA.rules };
const SCRIPTS: [&str; 3] = ["kafka-metadata-quorum.sh", "kafka-topics.sh", "kafka-broker-api-versions.sh"];
const NOW: u64 = 1_729_800_000_000;
const LACKING: &str = "--describe --under-replicated-partitions";
const TIGHT: &str = "--describe --at-min-isr-partitions";

/// A call of a script, at the port of brokers.
fn call(script: usize, words: &str) -> String {
    let hosts = [1, 2, 3].map(|number| format!("{}:9092", at(KAFKA, number))).join(",");
    format!("{} --bootstrap-server {hosts} {words}", SCRIPTS[script]).trim().to_owned()
}

fn status(leader: u8, voters: &str) -> String {
    format!(
        "ClusterId:              fMCL8kv1SWm87L_Md-I2hg\nLeaderId:               {leader}\nLeaderEpoch:            2\n\
         HighWatermark:          1010\nMaxFollowerLag:         0\nMaxFollowerLagTimeMs:   121\nCurrentVoters:          {voters}\n\
         CurrentObservers:       []\n"
    )
}

fn voters(port: u16) -> String {
    let voter = |number| {
        format!(
            "{{\"id\": {number}, \"directoryId\": null, \"endpoints\": [\"CONTROLLER://{}:{port}\"]}}",
            at(KAFKA, number)
        )
    };
    format!("[{}]", [1, 2, 3].map(voter).join(", "))
}

/// The table of replicas of the metadata log: id, entries behind, milliseconds since it had all, and what it is.
fn replicas(rows: &[(u8, u64, u64, &str)]) -> String {
    let row = |&(id, lag, age, word): &(u8, u64, u64, &str)| {
        let (end, at) = (1010 - lag, NOW - age);
        format!("{id}       AAAAAAAAAAAAAAAAAAAAAA  {end}          {lag}    {at}       {at}          {word}\n")
    };
    let head =
        "NodeId  DirectoryId             LogEndOffset  Lag  LastFetchTimestamp  LastCaughtUpTimestamp  Status    \n";
    format!("{head}{}", rows.iter().map(row).collect::<String>())
}

const REPLICAS: [(u8, u64, u64, &str); 3] = [(1, 0, 0, "Leader"), (2, 0, 120, "Follower"), (3, 1, 490, "Follower")];

fn brokers(numbers: &[u8]) -> String {
    let broker = |number: &u8| {
        let address = at(KAFKA, *number);
        format!(
            "{address}:9092 (id: {number} rack: us-east-1a isFenced: false) -> (\n\tProduce(0): 0 to 11 [usable: 11],\n)\n"
        )
    };
    numbers.iter().map(broker).collect()
}

/// The answers of scripts on three nodes that are brokers and controllers, by the call.
fn nodes() -> Value {
    json!({
        (call(0, "describe --status")): status(1, &voters(9093)),
        (call(0, "describe --replication")): replicas(&REPLICAS),
        (call(2, "")): brokers(&[1, 2, 3]),
        (call(1, LACKING)): "",
        (call(1, TIGHT)): "",
    })
}

fn asked_as(program: Program, nodes: &Value, args: &[&str]) -> Result<Membership, PortError> {
    let tools = Tools::new(&SCRIPTS, nodes);
    let scripts = tools.path("");
    let args: Vec<_> = ["--scripts", &scripts].iter().chain(args).map(|&argument| argument.to_owned()).collect();
    block_on(Stage::new(program, &args).membership())
}

fn membership(nodes: &Value) -> Membership {
    asked_as(KAFKA, nodes, &[]).unwrap()
}

fn b(nodes: &Value) -> Health {
    health_of(&membership(nodes), "db-b")
}

#[test]
fn nodes_that_are_registered_and_follow_the_active_controller_are_healthy() {
    let membership = membership(&nodes());
    assert_eq!((membership.leader.as_deref(), membership.can_transfer), (Some("1"), false));
    assert!(membership.blockers.is_empty(), "{membership:?}");
    for (member, number) in membership.members.iter().zip(1..) {
        assert_eq!((member.id.to_string(), &member.health), (number.to_string(), &Health::Healthy));
        assert_eq!((member.address, member.counts), (Some(at(KAFKA, number)), true));
    }
    let lags: Vec<_> = membership.members.iter().map(|member| member.lag.unwrap()).collect();
    assert_eq!(lags, [Lag::Entries(0), Lag::Entries(0), Lag::Entries(1)]);
}

#[test]
fn a_node_that_does_not_answer_is_down_only_if_the_controllers_have_fenced_it() {
    let mut nodes = nodes();
    let error = format!("{}:9092 (id: 2 rack: null isFenced: false) -> ERROR: timed out\n", at(KAFKA, 2));
    nodes[call(2, "")] = json!(brokers(&[1]) + &error + &brokers(&[3]));
    assert!(matches!(b(&nodes), Health::Unknown(_)), "it is registered still");
    nodes[call(2, "")] = json!(brokers(&[1, 3]));
    assert_eq!(b(&nodes), Health::Unhealthy("it is not registered as a broker that takes requests".to_owned()));
    let behind = [REPLICAS[0], (2, 900, 60_000, "Follower"), REPLICAS[2]];
    nodes[call(0, "describe --replication")] = json!(replicas(&behind));
    assert!(matches!(b(&nodes), Health::Unhealthy(why) if why.ends_with("it had all of the metadata log 60 s ago")));
}

#[test]
fn a_node_that_lags_behind_in_the_metadata_log_is_not_known_to_be_healthy() {
    let mut nodes = nodes();
    nodes[call(0, "describe --replication")] =
        json!(replicas(&[REPLICAS[0], (2, 300, 2_000, "Follower"), REPLICAS[2]]));
    let late = membership(&nodes);
    assert!(matches!(health_of(&late, "db-b"), Health::Unknown(_)));
    assert_eq!(late.members[1].lag, Some(Lag::Entries(300)));
    nodes[call(0, "describe --replication")] =
        json!(replicas(&[REPLICAS[0], (2, 300, 1_999, "Follower"), REPLICAS[2]]));
    assert_eq!(b(&nodes), Health::Healthy);
}

#[test]
fn while_leadership_moves_nobody_s_health_is_known() {
    let mut nodes = nodes();
    nodes[call(0, "describe --status")] = json!(status(3, "[1, 2, 3]"));
    let moving = membership(&nodes);
    assert_eq!(moving.leader, None);
    assert!(moving.members.iter().all(|member| matches!(member.health, Health::Unknown(_))), "{moving:?}");
}

#[test]
fn partitions_that_lack_replicas_or_have_none_to_spare_hold_everything_up() {
    let mut nodes = nodes();
    let partition = |topic: &str, number: u8, replicas: &str, isr: &str| {
        format!(
            "\tTopic: {topic}\tPartition: {number}\tLeader: 1\tReplicas: {replicas}\tIsr: {isr}\tElr: \tLastKnownElr: \n"
        )
    };
    nodes[call(1, LACKING)] = json!(partition("orders", 3, "1,2,3", "1,2"));
    nodes[call(1, TIGHT)] = json!(partition("orders", 3, "1,2,3", "1,2") + &partition("logs", 0, "2", "2"));
    let whys: Vec<_> = membership(&nodes).blockers.into_iter().map(|blocker| blocker.why).collect();
    assert!(whys[0].starts_with("1 partitions, such as orders-3, have replicas that are not in sync"), "{whys:?}");
    assert!(whys[1].starts_with("1 partitions, such as logs-0, have as many replicas"), "{whys:?}");
    let accepted = asked_as(KAFKA, &nodes, &["--interruptions", "accept"]).unwrap();
    assert_eq!(accepted.blockers.len(), 1, "what is not in sync is waited for all the same");
}

#[test]
fn controllers_alone_are_found_by_their_endpoints_and_brokers_alone_have_no_leader() {
    let hosts = [1, 2, 3].map(|number| format!("{}:9093", at(KAFKA, number))).join(",");
    let quorum = |words: &str| format!("{} --bootstrap-controller {hosts} describe {words}", SCRIPTS[0]);
    let rows = [(1, 0, 0, "Leader"), (2, 900, 60_000, "Follower"), REPLICAS[2], (4, 0, 100, "Observer")];
    let controllers =
        json!({ (quorum("--status")): status(1, &voters(9093)), (quorum("--replication")): replicas(&rows) });
    let program = Program { rules: CONTROLLERS, ..KAFKA };
    let quorum = asked_as(program, &controllers, &["--role", "controller"]).unwrap();
    assert_eq!(quorum.leader.as_deref(), Some("1"));
    let addresses: Vec<_> = quorum.members.iter().map(|member| member.address.unwrap()).collect();
    assert_eq!(addresses, [1, 2, 3].map(|number| at(KAFKA, number)), "brokers are none of them");
    assert!(matches!(health_of(&quorum, "db-b"), Health::Unhealthy(_)));

    let mut brokers = nodes();
    brokers[call(0, "describe --status")] = json!(status(101, "[101, 102, 103]"));
    let rows = [(101, 0, 0, "Leader"), (1, 0, 300, "Observer"), (2, 0, 300, "Observer"), (3, 0, 300, "Observer")];
    brokers[call(0, "describe --replication")] = json!(replicas(&rows));
    let brokers = asked_as(Program { rules: BROKERS, ..KAFKA }, &brokers, &["--role", "broker"]).unwrap();
    assert_eq!((brokers.leader, brokers.members.len()), (None, 3));
    assert!(brokers.members.iter().all(|member| member.health == Health::Healthy));
}

#[test]
fn a_broker_that_no_argument_names_is_a_stranger_and_a_slot_that_none_names_is_refused() {
    let mut nodes = nodes();
    nodes[call(2, "")] = json!(brokers(&[1, 2, 3, 4]));
    let slots: Vec<_> = membership(&nodes).members.into_iter().map(|member| member.slot).collect();
    assert_eq!(slots.len(), 4);
    assert_eq!(slots[3], None);
    let program = Program { args: &["--node", "db-a=1", "--node", "db-b=2"], ..KAFKA };
    let error = asked_as(program, &nodes, &[]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{}", chain(&error));
}

#[test]
fn the_scripts_read_the_login_from_its_file() {
    let mut nodes = json!({});
    let tools = Tools::new(&SCRIPTS, &json!({}));
    let file = tools.path("client.properties");
    fs::write(&file, "sasl.jaas.config=secret\n").unwrap();
    for (call, answer) in self::nodes().as_object().unwrap() {
        let at = call.find(":9092 ").map_or(call.len(), |at| at + 5);
        nodes[format!("{} --command-config {file}{}", &call[..at], &call[at..])] = answer.clone();
    }
    tools.answer(&nodes);
    let stage = Stage::new(KAFKA, &["--scripts".to_owned(), tools.path("")]);
    let membership = block_on(stage.with_file("client", Path::new(&file)).membership()).unwrap();
    assert!(membership.members.iter().all(|member| member.health == Health::Healthy), "{membership:?}");
    assert!(tools.asked().iter().all(|call| !call.contains("secret")));
}

#[test]
fn what_the_scripts_cannot_say_is_not_known() {
    let refused = "org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed";
    let forbidden =
        "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException";
    let (mut stranger, mut denied, mut odd) = (nodes(), nodes(), nodes());
    stranger[call(2, "")] = json!([refused]);
    denied[call(0, "describe --status")] = json!([forbidden]);
    odd[call(0, "describe --replication")] = json!("something else\n\n1 2\n");
    for (nodes, kind) in [
        (stranger, ErrorKind::Denied),
        (denied, ErrorKind::Denied),
        (json!({}), ErrorKind::Unreachable),
        (odd, ErrorKind::Unreachable),
    ] {
        let error = asked_as(KAFKA, &nodes, &[]).unwrap_err();
        assert_eq!(error.kind, kind, "{}", chain(&error));
        assert!(!chain(&error).contains("Traceback"), "{}", chain(&error));
    }
    let error = block_on(Stage::new(KAFKA, &["--scripts".to_owned(), "/nowhere".to_owned()]).membership()).unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && chain(&error).contains("cannot be run"), "{}", chain(&error));
}
