//! The lease: who is active, and when that ends. Consul is played by a server that says what it is told to; time is moved
//! by hand.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use hermitcrab::coordination::{Claims, Credentials, Held, Place};
use hermitcrab::ports::ErrorKind;
use serde_json::{Value, json};

#[path = "claims/hand.rs"]
mod hand;
#[path = "tools/server.rs"]
#[allow(dead_code)] // of what servers can do, each test needs a part
mod server;

use hand::Hand;
use server::{Asked, Script};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A Consul that grants everything.
async fn consul(clock: &Hand) -> (Claims<Hand>, Script, Asked) {
    let script: BTreeMap<String, (u16, Value)> = BTreeMap::from([
        ("PUT /v1/catalog/register".to_owned(), (200, json!(true))),
        ("PUT /v1/session/create".to_owned(), (200, json!({ "ID": "s1" }))),
        ("PUT /v1/session/renew/s1".to_owned(), (200, json!([{ "ID": "s1" }]))),
        ("PUT /v1/session/destroy/s1".to_owned(), (200, json!(true))),
        ("PUT /v1/kv/hermitcrab/lease".to_owned(), (200, json!(true))),
    ]);
    let (script, asked) = (Arc::new(Mutex::new(script)), Asked::default());
    let (port, mut listeners) = server::listen(&["127.0.0.1".parse().unwrap()]).await;
    tokio::spawn(server::serve(listeners.remove(0), script.clone(), asked.clone()));
    let place: Place = format!("consul+http://127.0.0.1:{port}").parse().unwrap();
    (Claims::open(&place, &Credentials::default(), clock.clone()).unwrap(), script, asked)
}

fn says(script: &Script, call: &str, status: u16, body: Value) {
    script.lock().unwrap().insert(call.to_owned(), (status, body));
}

fn count(asked: &Asked, call: &str) -> usize {
    asked.lock().unwrap().iter().filter(|(_, asked, _, _)| asked.starts_with(call)).count()
}

/// Renews until the server has been asked so often in all. Panics if the lease is lost before.
async fn renewed(held: &Held<Hand>, asked: &Asked, times: usize) {
    let lost = held.lost().fuse();
    let enough = async {
        while count(asked, "PUT /v1/session/renew") < times {
            tokio::task::yield_now().await;
        }
        // Let the answer arrive.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = lost => panic!("lost"),
        () = enough => {}
    }
}

const RENEW: &str = "PUT /v1/session/renew/s1";

#[test]
fn a_session_that_is_no_name_of_one_is_refused() {
    for id in ["", "../../v1/kv/hermitcrab", "s1?dc=other", "s 1", &"s".repeat(65), "s\u{1b}1"] {
        block_on(async {
            let (claims, script, _) = consul(&Hand::new()).await;
            says(&script, "PUT /v1/session/create", 200, json!({ "ID": id }));
            let Err(error) = claims.acquire("me").await else { panic!("{id} is taken for a session") };
            let told = hermitcrab::ports::chain(&error);
            assert!(told.contains("names a session that is none") && !told.contains('\u{1b}'), "{told}");
        });
    }
}

#[test]
fn a_session_rests_on_no_server_and_on_no_check() {
    block_on(async {
        let (claims, _, asked) = consul(&Hand::new()).await;
        claims.acquire("me").await.unwrap();
        let asked = asked.lock().unwrap();
        let sent = |call: &str| {
            let found = asked.iter().find(|(_, asked, _, _)| asked == call).unwrap_or_else(|| panic!("{call}"));
            serde_json::from_str::<Value>(&found.3).unwrap()
        };
        assert_eq!(sent("PUT /v1/catalog/register"), json!({ "Node": "hermitcrab", "Address": "192.0.2.1" }));
        let session = sent("PUT /v1/session/create");
        assert_eq!(
            (&session["Node"], &session["NodeChecks"], &session["Checks"]),
            (&json!("hermitcrab"), &json!([]), &json!([]))
        );
        assert!(
            asked.iter().any(|(_, call, _, body)| call == "PUT /v1/kv/hermitcrab/lease?acquire=s1" && body == "me")
        );
    });
}

#[test]
fn a_lease_that_is_renewed_is_held() {
    block_on(async {
        let clock = Hand::new();
        let (claims, _, asked) = consul(&clock).await;
        let held = claims.acquire("me").await.unwrap();
        for round in 1..=10 {
            clock.advance(5);
            renewed(&held, &asked, round).await;
            assert!(held.is_held());
        }
    });
}

#[test]
fn a_lease_that_is_not_renewed_is_not_held_when_it_may_have_expired_although_nobody_waited() {
    block_on(async {
        let clock = Hand::new();
        let (claims, _, _) = consul(&clock).await;
        let held = claims.acquire("me").await.unwrap();
        clock.advance(14);
        assert!(held.is_held());
        clock.advance(1);
        assert!(!held.is_held());
        held.lost().await;
    });
}

#[test]
fn errors_while_renewing_lose_nothing_until_the_lease_may_have_expired() {
    block_on(async {
        let clock = Hand::new();
        let (claims, script, asked) = consul(&clock).await;
        let held = claims.acquire("me").await.unwrap();
        says(&script, RENEW, 500, json!("No cluster leader"));
        clock.advance(5);
        renewed(&held, &asked, 1).await;
        says(&script, RENEW, 200, json!([]));
        clock.advance(9);
        renewed(&held, &asked, 2).await;
        clock.advance(14);
        assert!(held.is_held());
        says(&script, RENEW, 500, json!("No cluster leader"));
        clock.advance(1);
        held.lost().await;
        assert!(!held.is_held());
    });
}

#[test]
fn a_session_that_consul_does_not_know_is_lost_at_once() {
    block_on(async {
        let clock = Hand::new();
        let (claims, script, _) = consul(&clock).await;
        let held = claims.acquire("me").await.unwrap();
        says(&script, RENEW, 404, json!("Session id 's1' not found"));
        clock.advance(5);
        held.lost().await;
        assert!(!held.is_held());
    });
}

#[test]
fn a_controller_that_stands_by_takes_over_when_the_lease_is_free() {
    block_on(async {
        let clock = Hand::new();
        let (claims, script, asked) = consul(&clock).await;
        let entry = json!([{ "Key": "hermitcrab/lease", "ModifyIndex": 7, "Value": "aGVy", "Session": "s0" }]);
        says(&script, "GET /v1/kv/hermitcrab/lease", 200, entry);
        let free = async {
            for looks in 1..=3 {
                while count(&asked, "GET /v1/kv/hermitcrab/lease") < looks {
                    clock.advance(1);
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(count(&asked, "PUT"), 0);
            says(
                &script,
                "GET /v1/kv/hermitcrab/lease",
                200,
                json!([{ "Key": "hermitcrab/lease", "ModifyIndex": 8, "Value": null }]),
            );
            loop {
                clock.advance(1);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            held = claims.acquire("me") => held.unwrap().release().await,
            () = free => {}
        }
        assert_eq!(count(&asked, "PUT /v1/kv/hermitcrab/lease?acquire=s1"), 1);
        assert_eq!(count(&asked, "PUT /v1/kv/hermitcrab/lease?release=s1"), 1);
        assert_eq!(count(&asked, "PUT /v1/session/destroy/s1"), 1);
    });
}

#[test]
fn a_token_that_may_not_take_the_lease_is_an_error_and_not_waited_for() {
    block_on(async {
        let (claims, script, _) = consul(&Hand::new()).await;
        says(&script, "PUT /v1/catalog/register", 403, json!("Permission denied"));
        let error = claims.acquire("me").await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::Denied);
        let text = hermitcrab::ports::chain(&error);
        assert!(text.contains(r#"`session "hermitcrab" { policy = "write" }`"#), "{text}");
    });
}

#[test]
fn in_a_directory_the_second_waits_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Hand::new();
    let open = || {
        let place = Place::Directory(directory.path().to_owned());
        Claims::open(&place, &Credentials::default(), clock.clone()).unwrap()
    };
    block_on(async {
        let first = open().acquire("first").await.unwrap();
        assert!(first.is_held());
        assert!(first.lost().now_or_never().is_none());
        let claims = open();
        let mut second = std::pin::pin!(claims.acquire("second"));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(fs::read_to_string(directory.path().join("lease")).unwrap(), "first");
        drop(first);
        clock.advance(1);
        second.await.unwrap();
        assert_eq!(fs::read_to_string(directory.path().join("lease")).unwrap(), "second");
    });
}
