//! Three Cassandra nodes, as `nodetool` tells of them; written after the sources of nodetool of Cassandra 4.1.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{ErrorKind, Outcome, PortError, chain};
use hermitcrab::spec::{Addresses, CommandRules, Lag, Leads, Needed};
use serde_json::{Value, json};

use super::stage::{Program, Stage, at, block_on, health_of};
use super::tool::Tools;

const CASSANDRA: Program = Program {
    name: "cassandra",
    args: &[],
    rules: CommandRules {
        needed: Needed::AllButOne,
        leader: Leads::None,
        addresses: Addresses::Fixed,
        lag_limit: Lag::Entries(0),
        stabilization: Duration::from_secs(20),
        forms_together: false,
        prepares: true,
    },
};
const KEYSPACES: &str = "
\tsystem_auth -> Replication class: NetworkTopologyStrategy {dc1=3}
\tsystem_schema -> Replication class: LocalStrategy {}
\torders -> Replication class: NetworkTopologyStrategy {dc1=3}
";

fn id(number: u8) -> String {
    format!("8f4f6e2d-9f74-4f5a-a85f-43df5d4fcb2{number}")
}

fn call(number: u8, what: &str) -> String {
    format!("nodetool -h {} -p 7199 {what}", at(CASSANDRA, number))
}

/// A ring in which each node has a word such as `UN`.
fn ring(words: [&str; 3]) -> String {
    let row = |(word, number): (&str, u8)| {
        let address = at(CASSANDRA, number);
        format!("{word}  {address}  114.73 KiB  16      100.0%            {}  rack{number}\n", id(number))
    };
    let head = "Datacenter: dc1\n===============\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Moving\n\
                --  Address      Load        Tokens  Owns (effective)  Host ID                               Rack \n";
    let rows: String = words.into_iter().zip(1..).map(row).collect();
    format!("{head}{rows}\n")
}

fn information(number: u8, gossips: bool, serves: bool) -> String {
    format!(
        "ID                     : {}\nGossip active          : {gossips}\nNative Transport active: {serves}\n\
         Load                   : 114.73 KiB\nData Center            : dc1\nRack                   : rack{number}\n",
        id(number)
    )
}

fn streams(mode: &str, said: &str) -> String {
    format!(
        "Mode: {mode}\n{said}\nRead Repair Statistics:\nAttempted: 0\nMismatch (Blocking): 0\nMismatch (Background): 0\n\
         Pool Name                    Active   Pending      Completed   Dropped\n\
         Large messages                  n/a         0              0         0\n"
    )
}

/// The word of a node on all of them, with the versions of the schema and the keyspaces.
fn cluster(schemas: &str, keyspaces: &str) -> String {
    let [a, b, c] = [1, 2, 3].map(|number| at(CASSANDRA, number));
    format!(
        "Cluster Information:\n\tName: prod\n\tSnitch: org.apache.cassandra.locator.GossipingPropertyFileSnitch\n\
         \tDynamicEndPointSnitch: enabled\n\tPartitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
         \tSchema versions:\n{schemas}\n\nStats for all nodes:\n\tLive: 3\n\tJoining: 0\n\tMoving: 0\n\tLeaving: 0\n\
         \tUnreachable: 0\n\nData Centers: \n\tdc1 #Nodes: 3 #Down: 0\n\nDatabase versions:\n\t4.1.3: [{a}:7000, {b}:7000]\n\n\
         \t4.1.4: [{c}:7000]\n\nKeyspaces:{keyspaces}"
    )
}

fn agreed() -> String {
    let all = [1, 2, 3].map(|number| at(CASSANDRA, number).to_string()).join(", ");
    format!("\t\t2d4c5b1e-6f2a-3c1d-9a8b-7e6f5d4c3b2a: [{all}]\n")
}

/// The answers of three nodes that see each other, by the call.
fn nodes() -> Value {
    let mut answers = json!({ (call(1, "describecluster")): cluster(&agreed(), KEYSPACES) });
    for number in 1..=3 {
        answers[call(number, "info")] = json!(information(number, true, true));
        answers[call(number, "status")] = json!(ring(["UN"; 3]));
        answers[call(number, "netstats")] = json!(streams("NORMAL", "Not sending any streams."));
    }
    answers
}

fn stop(nodes: &mut Value, number: u8) {
    for what in ["info", "status", "netstats"] {
        nodes.as_object_mut().unwrap().remove(&call(number, what));
    }
}

fn asked(nodes: &Value, args: &[&str]) -> Result<Membership, PortError> {
    let tools = Tools::new(&["nodetool"], nodes);
    let path = tools.path("nodetool");
    let args: Vec<_> = ["--nodetool", &path].iter().chain(args).map(|&argument| argument.to_owned()).collect();
    block_on(Stage::new(CASSANDRA, &args).membership())
}

fn b(nodes: &Value) -> Health {
    health_of(&asked(nodes, &[]).unwrap(), "db-b")
}

fn blockers(nodes: &Value) -> Vec<String> {
    asked(nodes, &[]).unwrap().blockers.into_iter().map(|blocker| blocker.why).collect()
}

#[test]
fn nodes_that_serve_and_are_seen_up_are_healthy() {
    let membership = asked(&nodes(), &[]).unwrap();
    assert!(
        membership.blockers.is_empty() && membership.leader.is_none() && !membership.can_transfer,
        "{membership:?}"
    );
    for (member, number) in membership.members.iter().zip(1..) {
        assert_eq!((&*member.id, &member.health, member.counts), (id(number).as_str(), &Health::Healthy, true));
        assert_eq!((member.address, member.lag), (Some(at(CASSANDRA, number)), Some(Lag::Entries(0))));
    }
    let versions = membership.members.iter().map(|member| member.version.as_deref().unwrap()).collect::<Vec<_>>();
    assert_eq!(versions, ["4.1.3", "4.1.3", "4.1.4"]);
}

#[test]
fn a_node_that_does_not_answer_is_down_only_if_no_other_sees_it_up() {
    let mut nodes = nodes();
    stop(&mut nodes, 2);
    assert!(matches!(b(&nodes), Health::Unknown(_)), "the others see it up");
    nodes[call(1, "status")] = json!(ring(["UN", "DN", "UN"]));
    assert!(matches!(b(&nodes), Health::Unknown(_)), "one of the others sees it up");
    nodes[call(3, "status")] = json!(ring(["UN", "DN", "UN"]));
    assert!(matches!(b(&nodes), Health::Unhealthy(_)));
}

#[test]
fn a_node_that_answers_and_does_not_serve_is_not_healthy() {
    let mut drained = nodes();
    drained[call(2, "netstats")] = json!(streams("DRAINED", "Not sending any streams."));
    assert_eq!(b(&drained), Health::Unhealthy("its mode is DRAINED".to_owned()));
    for (gossips, serves, why) in [(false, true, "it does not gossip"), (true, false, "it takes no clients")] {
        let mut nodes = nodes();
        nodes[call(2, "info")] = json!(information(2, gossips, serves));
        assert!(matches!(b(&nodes), Health::Unhealthy(said) if said.starts_with(why)), "{why}");
    }
    let mut leaving = nodes();
    leaving[call(3, "status")] = json!(ring(["UN", "UL", "UN"]));
    assert_eq!(b(&leaving), Health::Unhealthy("it is leaving the ring".to_owned()));
}

#[test]
fn of_a_ring_that_is_split_nobody_is_healthy() {
    let mut nodes = nodes();
    nodes[call(1, "status")] = json!(ring(["UN", "DN", "DN"]));
    nodes[call(2, "status")] = json!(ring(["DN", "UN", "UN"]));
    nodes[call(3, "status")] = json!(ring(["DN", "UN", "UN"]));
    let split = asked(&nodes, &[]).unwrap();
    assert!(split.members.iter().all(|member| matches!(member.health, Health::Unknown(_))), "{split:?}");
}

#[test]
fn schemas_that_differ_streams_and_other_members_hold_everything_up() {
    let mut nodes = nodes();
    let unreachable = format!("{}\n\n\t\tUNREACHABLE: [{}]\n", agreed(), at(CASSANDRA, 3));
    nodes[call(1, "describecluster")] = json!(cluster(&unreachable, KEYSPACES));
    assert!(blockers(&nodes).is_empty(), "the gates know of a member that is down");
    let other = format!("{}\n\n\t\t59adb24e-f3cd-3e02-97f0-5b395827453f: [{}]\n", agreed(), at(CASSANDRA, 3));
    nodes[call(1, "describecluster")] = json!(cluster(&other, KEYSPACES));
    nodes[call(2, "netstats")] = json!(streams("NORMAL", "Repair 1c5ad5c0-5b32-11ee-8c99-0242ac120002"));
    nodes[call(3, "status")] = json!(ring(["UN"; 3]).replace(&id(2), &id(7)));
    let membership = asked(&nodes, &[]).unwrap();
    assert_eq!(membership.members.last().unwrap().slot, None, "another answers at its address");
    let found = blockers(&nodes);
    assert_eq!(found[0], "the nodes do not list the same members");
    assert_eq!(found[1], "the nodes have 2 versions of the schema");
    assert_eq!(found[2], "the node of db-b sends or receives streams");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_keyspace_with_a_single_copy_holds_everything_up_unless_that_is_accepted() {
    let mut nodes = nodes();
    let single = format!("{KEYSPACES}\tcache -> Replication class: NetworkTopologyStrategy {{dc1=1, dc2=0}}\n");
    nodes[call(1, "describecluster")] = json!(cluster(&agreed(), &single));
    assert_eq!(blockers(&nodes), ["keyspaces with a single copy of their data in a data center: cache"]);
    assert!(asked(&nodes, &["--interruptions", "accept"]).unwrap().blockers.is_empty());
}

#[test]
fn nodetool_reads_the_password_from_its_file() {
    let mut nodes = json!({});
    let tools = Tools::new(&["nodetool"], &json!({}));
    let file = tools.path("jmx.password");
    fs::write(&file, "hermitcrab secret\n").unwrap();
    for (call, answer) in self::nodes().as_object().unwrap() {
        nodes[call.replace(" -p 7199", &format!(" -p 7199 -u hermitcrab -pwf {file}"))] = answer.clone();
    }
    tools.answer(&nodes);
    let stage = Stage::new(CASSANDRA, &["--nodetool".to_owned(), tools.path("nodetool")]);
    let membership = block_on(stage.with_file("password", Path::new(&file)).membership()).unwrap();
    assert!(membership.members.iter().all(|member| member.health == Health::Healthy), "{membership:?}");
    assert!(tools.asked().iter().all(|call| !call.contains("secret")));
}

#[test]
fn what_nodetool_cannot_say_is_not_known() {
    let refused = "nodetool: Failed to connect to '10.0.1.10:7199' - SecurityException: 'Authentication failed! Credentials required'.";
    let mut denied = nodes();
    denied[call(2, "info")] = json!([refused]);
    let mut odd = nodes();
    for number in 1..=3 {
        odd[call(number, "info")] = json!("WARN  something else\n");
    }
    for (nodes, kind) in
        [(denied, ErrorKind::Denied), (json!({}), ErrorKind::Unreachable), (odd, ErrorKind::Unreachable)]
    {
        let error = asked(&nodes, &[]).unwrap_err();
        assert_eq!(error.kind, kind, "{}", chain(&error));
        assert!(!chain(&error).contains("Traceback"), "{}", chain(&error));
    }
    let nowhere = ["--nodetool".to_owned(), "/nowhere/nodetool".to_owned()];
    let error = block_on(Stage::new(CASSANDRA, &nowhere).membership()).unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && chain(&error).contains("nodetool cannot be run"), "{}", chain(&error));
}

#[test]
fn a_node_is_flushed_before_its_stop_and_never_drained() {
    let mut nodes = nodes();
    let prepare = |nodes: &Value| {
        let tools = Tools::new(&["nodetool"], nodes);
        let stage = Stage::new(CASSANDRA, &["--nodetool".to_owned(), tools.path("nodetool")]);
        let outcome = block_on(stage.prepare(&id(2), 2));
        let asked = tools.asked();
        (
            outcome,
            asked.into_iter().filter(|call| call.ends_with("flush") || call.ends_with("drain")).collect::<Vec<_>>(),
        )
    };
    let (failed, asked) = prepare(&nodes);
    assert_eq!((failed.unwrap_err().kind, asked), (ErrorKind::Unreachable, vec![call(2, "flush")]));
    nodes[call(2, "flush")] = json!("");
    let (outcome, asked) = prepare(&nodes);
    assert_eq!((outcome.unwrap(), asked), (Outcome::Done, vec![call(2, "flush")]));
    stop(&mut nodes, 2);
    let (outcome, asked) = prepare(&nodes);
    assert!(matches!(outcome, Ok(Outcome::Changed { .. })) && asked.is_empty(), "{outcome:?} {asked:?}");
}
