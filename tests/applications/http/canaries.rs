//! How canaries are written and read back.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hermitcrab::ports::{Canaries, ErrorKind};
use serde_json::{Value, json};

use super::{Cluster, address, block_on, fails};
use crate::server::{self, Asked};

const CANARY: &str = "PUT /v1/kv/hermitcrab-canary/roll/1";
const CANARIES: &str = "GET /v1/kv/hermitcrab-canary/?recurse&consistent";
const ONE_KEY: &str = "GET /v1/kv/hermitcrab-canary/?consistent";
const TO_WRITE: &str = "give it `key_prefix \"hermitcrab-canary/\" { policy = \"write\" }`";

/// Three servers, each with a script of its own.
async fn each_answers(scripts: [&[(&str, (u16, Value))]; 3]) -> (Cluster, Asked) {
    let (port, listeners) = server::listen(&[address(1), address(2), address(3)]).await;
    let asked = Asked::default();
    for (listener, script) in listeners.into_iter().zip(scripts) {
        let script = script.iter().map(|(call, answer)| ((*call).to_owned(), answer.clone())).collect();
        tokio::spawn(server::serve(listener, Arc::new(Mutex::new(script)), asked.clone()));
    }
    (Cluster::at(port), asked)
}

/// Lists the calls since the last time, with the server that was asked.
fn calls(asked: &Asked) -> Vec<(IpAddr, String)> {
    asked.lock().unwrap().drain(..).map(|(whom, call, _, _)| (whom, call)).collect()
}

fn leaderless() -> (u16, Value) {
    (500, json!("No cluster leader"))
}

#[test]
fn a_canary_is_written_with_the_token_of_the_spec_and_acknowledged() {
    block_on(async {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret\n").unwrap();
        let (mut cluster, asked) = each_answers([&[(CANARY, (200, json!(true)))], &[], &[]]).await;
        cluster.consul().token_file = Some(file.path().to_str().unwrap().to_owned());
        cluster.write("roll/1", "one").await.unwrap();
        let asked = asked.lock().unwrap().clone();
        assert_eq!(asked, [(address(1), CANARY.to_owned(), Some("secret".to_owned()), "one".to_owned())]);
    });
}

#[test]
fn a_canary_that_a_server_does_not_confirm_is_not_acknowledged() {
    block_on(async {
        for (answer, kind, says) in [
            ((200, json!(false)), ErrorKind::Unknown, "127.77.0.1 answers 200: false"),
            ((200, json!({ "hello": "world" })), ErrorKind::Unknown, "cannot be understood"),
            ((429, json!("Too Many Requests")), ErrorKind::Throttled, "429: Too Many Requests"),
            ((413, json!("Request body too large")), ErrorKind::Invalid, "413: Request body too large"),
        ] {
            let (cluster, _) = each_answers([&[(CANARY, answer)], &[], &[]]).await;
            let doing = "write canary roll/1 to the Consul servers of consul-prod at 127.77.0.1";
            fails(cluster.write("roll/1", "one").await.unwrap_err(), kind, &[doing, says]);
        }
    });
}

#[test]
fn a_server_without_a_leader_is_passed_over_and_not_asked_first_again() {
    block_on(async {
        let (good, list) = ((CANARY, (200, json!(true))), (CANARIES, (200, json!([]))));
        let ill: &[_] = &[(CANARY, leaderless()), (CANARIES, leaderless())];
        let (cluster, asked) = each_answers([ill, &[good, list], &[]]).await;
        cluster.write("roll/1", "one").await.unwrap();
        let call = CANARY.to_owned();
        assert_eq!(calls(&asked), [(address(1), call.clone()), (address(2), call.clone())]);
        cluster.write("roll/1", "one").await.unwrap();
        cluster.canaries().await.unwrap();
        assert_eq!(calls(&asked), [(address(2), call), (address(2), CANARIES.to_owned())]);
    });
}

#[test]
fn where_no_server_has_a_leader_nothing_is_acknowledged_and_nothing_is_read() {
    block_on(async {
        let ill: &[_] = &[(CANARY, leaderless()), (CANARIES, leaderless())];
        let (cluster, asked) = each_answers([ill, ill, ill]).await;
        let says = ["127.77.0.1 answers 500: No cluster leader; 127.77.0.2 answers 500: No cluster leader; 127.77.0.3"];
        fails(cluster.write("roll/1", "one").await.unwrap_err(), ErrorKind::Unreachable, &says);
        fails(cluster.canaries().await.unwrap_err(), ErrorKind::Unreachable, &says);
        assert_eq!(calls(&asked).len(), 6);
        drop(cluster);
        let nobody = Cluster::at(8500).applications.canaries(&Cluster::at(8500).spec, &[]).await.unwrap_err();
        fails(nobody, ErrorKind::Unreachable, &["no running instance has an address"]);
    });
}

/// Returns a list of Consul 1.8.7, with an empty value and the folder that its own user interface makes.
fn listed() -> Value {
    json!([
        { "LockIndex": 0, "Key": "hermitcrab-canary/", "Flags": 0, "Value": null, "CreateIndex": 17, "ModifyIndex": 17 },
        { "LockIndex": 0, "Key": "hermitcrab-canary/a/0001", "Flags": 0, "Value": "b25l", "CreateIndex": 15, "ModifyIndex": 15 },
        { "LockIndex": 0, "Key": "hermitcrab-canary/b:2", "Flags": 0, "Value": null, "CreateIndex": 16, "ModifyIndex": 16 },
        { "LockIndex": 0, "Key": "hermitcrab-canary/c", "Flags": 0, "Value": "w7w=", "CreateIndex": 18, "ModifyIndex": 18 }
    ])
}

#[test]
fn canaries_are_read_by_key_from_a_consistent_list() {
    block_on(async {
        let (cluster, asked) = each_answers([&[(CANARIES, (200, listed()))], &[], &[]]).await;
        let wanted =
            [("a/0001", "one"), ("b:2", ""), ("c", "ü")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(cluster.canaries().await.unwrap(), BTreeMap::from(wanted));
        assert_eq!(calls(&asked), [(address(1), CANARIES.to_owned())]);
    });
}

#[test]
fn a_value_that_is_not_text_is_named() {
    block_on(async {
        for value in ["/w==", "???"] {
            let mut list = listed();
            list[3]["Value"] = json!(value);
            let (cluster, _) = each_answers([&[(CANARIES, (200, list))], &[], &[]]).await;
            let says = ["the value of hermitcrab-canary/c is not text", "delete that key"];
            fails(cluster.canaries().await.unwrap_err(), ErrorKind::Unknown, &says);
        }
    });
}

#[test]
fn no_canaries_are_told_from_a_token_that_may_not_read_them() {
    block_on(async {
        let (cluster, asked) = each_answers([&[], &[], &[]]).await;
        assert_eq!(cluster.canaries().await.unwrap(), BTreeMap::new());
        assert_eq!(calls(&asked), [CANARIES, ONE_KEY].map(|call| (address(1), call.to_owned())));

        let denied = (403, json!("rpc error making call: Permission denied"));
        let (cluster, _) = each_answers([&[(ONE_KEY, denied.clone()), (CANARY, denied.clone())], &[], &[]]).await;
        fails(cluster.canaries().await.unwrap_err(), ErrorKind::Denied, &["read the canary data", TO_WRITE]);
        fails(cluster.write("roll/1", "one").await.unwrap_err(), ErrorKind::Denied, &["write canary roll/1", TO_WRITE]);
        let (cluster, _) = each_answers([&[(CANARIES, denied)], &[], &[]]).await;
        fails(cluster.canaries().await.unwrap_err(), ErrorKind::Denied, &[TO_WRITE]);
    });
}

#[test]
fn a_key_that_would_lie_elsewhere_is_refused_before_anything_is_sent() {
    block_on(async {
        let (cluster, asked) = each_answers([&[], &[], &[]]).await;
        for key in ["", "/", "a/", "a//b", ".", "..", "a/../../vault", "a%2fb", "a?dc=dc2", "a#b", "a b", "ü", "a\n"] {
            let error = cluster.write(key, "one").await.unwrap_err();
            fails(error, ErrorKind::Invalid, &["name a canary `", "use letters, digits"]);
        }
        assert_eq!(calls(&asked), []);
    });
}
