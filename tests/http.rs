//! How Consul servers are reached, and what happens when they are not: silence, refusals, redirects, tokens, TLS; and how
//! they are asked for a change. The servers are played, and say what they are told to.
#![allow(clippy::unwrap_used)] // what the tests call is a test too

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hermitcrab::action::MemberEffect;
use hermitcrab::application::Applications;
use hermitcrab::controller::chain;
use hermitcrab::ids::{InstanceId, MemberId};
use hermitcrab::observed::Membership;
use hermitcrab::ports::{Canaries, ErrorKind, Members, Outcome, PortError, Seat};
use hermitcrab::spec::{ApplicationSpec, ClusterSpec, ConsulSpec, Scheme};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[path = "http/server.rs"]
mod server;
#[path = "http/tls.rs"]
mod tls;

use server::{Asked, Recorded, Script};
use tls::Ca;

const LEADER: &str = "GET /v1/status/leader";
const AUTOPILOT: &str = "/v1/operator/autopilot/configuration";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn address(nth: u8) -> IpAddr {
    IpAddr::from([127, 77, 0, nth])
}

/// A cluster whose servers listen at a port of `127.77.0.1` to `.3`.
struct Cluster {
    spec: ClusterSpec,
    applications: Applications,
}

impl Cluster {
    fn at(port: u16) -> Self {
        let loaded = hermitcrab::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let mut cluster =
            Self { spec: loaded.specs().next().unwrap().1.clone(), applications: Applications::default() };
        cluster.consul().port = port;
        cluster
    }

    fn consul(&mut self) -> &mut ConsulSpec {
        let ApplicationSpec::Consul(consul) = &mut self.spec.application;
        consul
    }

    fn seats(&self) -> Vec<Seat> {
        let seat = |(nth, slot): (usize, &hermitcrab::spec::SlotSpec)| Seat {
            slot: slot.name.clone(),
            instance: InstanceId::from(format!("i-{nth}")),
            address: address(nth as u8 + 1),
        };
        self.spec.slots.iter().enumerate().map(seat).collect()
    }

    async fn ask(&self) -> Result<Membership, PortError> {
        self.applications.membership(&self.spec, &self.seats()).await
    }

    async fn change(&self, effect: &MemberEffect) -> Result<Outcome, PortError> {
        self.applications.change(&self.spec, &self.seats(), effect).await
    }

    async fn write(&self, key: &str, value: &str) -> Result<(), PortError> {
        self.applications.write_canary(&self.spec, &self.seats(), key, value).await
    }

    async fn canaries(&self) -> Result<BTreeMap<String, String>, PortError> {
        self.applications.canaries(&self.spec, &self.seats()).await
    }
}

/// The newer servers in calm.
fn calm() -> Recorded {
    Recorded::phase("adapted-1.20-steady")
}

fn fails(error: PortError, kind: ErrorKind, says: &[&str]) {
    let text = chain(&error);
    assert_eq!(error.kind, kind, "{text}");
    says.iter().for_each(|say| assert!(text.contains(say), "`{say}` is not in: {text}"));
}

/// All three servers answer every call alike.
fn all_answer(status: u16, body: Value) -> Recorded {
    let mut recorded = calm();
    recorded.script.values_mut().for_each(|answer| *answer = (status, body.clone()));
    recorded
}

#[test]
fn where_nobody_listens_the_error_names_every_address() {
    block_on(async {
        let (port, listeners) = server::listen(&[address(1), address(2), address(3)]).await;
        drop(listeners);
        let error = Cluster::at(port).ask().await.unwrap_err();
        let says = [
            "consul-prod at 127.77.0.1, 127.77.0.2, 127.77.0.3",
            "127.77.0.1: Connection refused",
            "127.77.0.3: Connection refused",
        ];
        fails(error, ErrorKind::Unreachable, &says);
    });
}

#[test]
fn without_a_running_instance_there_is_nobody_to_ask() {
    block_on(async {
        let cluster = Cluster::at(8500);
        let error = cluster.applications.membership(&cluster.spec, &[]).await.unwrap_err();
        fails(error, ErrorKind::Unreachable, &["no running instance has an address"]);
    });
}

#[test]
fn a_server_that_hangs_is_given_up_and_the_others_are_heard() {
    block_on(async {
        let mut two = calm();
        two.leaders.remove(&address(1));
        let (port, _) = two.serve().await;
        // Connections are made, and nobody takes them.
        let _hangs = TcpListener::bind((address(1), port)).await.unwrap();
        let membership = Cluster::at(port).ask().await.unwrap();
        assert!(membership.leader.is_some());
    });
}

#[test]
fn another_server_is_asked_if_one_cannot_reach_the_leader() {
    block_on(async {
        let calm = calm();
        let (port, listeners) = server::listen(&[address(1), address(2), address(3)]).await;
        for (nth, listener) in listeners.into_iter().enumerate() {
            let mut script = calm.script.clone();
            script.insert(LEADER.to_owned(), (200, json!("127.77.0.3:8300")));
            if nth == 0 {
                let call = "GET /v1/operator/autopilot/health".to_owned();
                script.insert(call, (500, json!("rpc error making call: EOF")));
            }
            tokio::spawn(server::serve(listener, Arc::new(Mutex::new(script)), Asked::default()));
        }
        assert!(Cluster::at(port).ask().await.unwrap().leader.is_some());
    });
}

#[test]
fn what_is_not_consul_is_not_believed() {
    block_on(async {
        let cluster = async |recorded: Recorded| Cluster::at(recorded.serve().await.0);
        let nothing = cluster(all_answer(404, json!("404 page not found"))).await.ask().await.unwrap_err();
        fails(nothing, ErrorKind::NotFound, &["answers 404: 404 page not found"]);
        let other = cluster(all_answer(200, json!({ "hello": "world" }))).await.ask().await.unwrap_err();
        fails(other, ErrorKind::Unknown, &["the answer of 127.77.0.1 cannot be understood"]);
    });
}

#[test]
fn an_answer_without_end_is_given_up() {
    block_on(async {
        let (port, mut listeners) = server::listen(&[address(1)]).await;
        let listener = listeners.remove(0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4_096]).await;
                let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while sent.is_ok() {
                    sent = stream.write_all(&[b' '; 65_536]).await;
                }
            }
        });
        let error = Cluster::at(port).ask().await.unwrap_err();
        fails(error, ErrorKind::Unreachable, &["127.77.0.1 answers without end: more than 16 MiB"]);
    });
}

#[test]
fn too_many_requests_are_told_from_an_unhealthy_cluster() {
    block_on(async {
        let mut busy = calm();
        let answer = (429, json!("Too Many Requests"));
        busy.script.insert("GET /v1/operator/autopilot/health".to_owned(), answer);
        let (port, _) = busy.serve().await;
        fails(Cluster::at(port).ask().await.unwrap_err(), ErrorKind::Throttled, &["429: Too Many Requests"]);
    });
}

#[test]
fn a_redirect_is_not_followed_and_the_token_goes_nowhere_else() {
    block_on(async {
        let (elsewhere, asked) = calm().serve().await;
        let (port, mut listeners) = server::listen(&[address(1)]).await;
        let target = json!(format!("http://127.77.0.2:{elsewhere}/v1/status/leader"));
        let script: Script = Arc::new(Mutex::new(BTreeMap::from([(LEADER.to_owned(), (307, target))])));
        tokio::spawn(server::serve(listeners.remove(0), script, Asked::default()));
        fails(Cluster::at(port).ask().await.unwrap_err(), ErrorKind::Unknown, &["answers 307"]);
        assert!(asked.lock().unwrap().is_empty());
    });
}

#[test]
fn the_token_is_read_again_with_every_look_and_never_told() {
    block_on(async {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut recorded = calm();
        recorded.script.insert("GET /v1/agent/members".to_owned(), (403, json!("Permission denied")));
        let (port, asked) = recorded.serve().await;
        let mut cluster = Cluster::at(port);
        cluster.consul().token_file = Some(file.path().to_str().unwrap().to_owned());
        for token in ["first-secret", "second-secret"] {
            fs::write(file.path(), format!("{token}\n")).unwrap();
            let error = cluster.ask().await.unwrap_err();
            assert!(!chain(&error).contains("secret") && !format!("{error:?}").contains("secret"));
            fails(error, ErrorKind::Denied, &["operator = \"read\"", "node_prefix"]);
            let asked: Vec<_> = asked.lock().unwrap().drain(..).collect();
            assert!(asked.len() > 3 && asked.iter().all(|(_, _, sent, _)| sent.as_deref() == Some(token)), "{asked:?}");
        }
        fs::write(file.path(), "\n").unwrap();
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Invalid, &["holds no token"]);
        cluster.consul().token_file = Some("/nowhere/token".to_owned());
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Invalid, &["cannot read /nowhere/token"]);
    });
}

#[test]
fn tls_trusts_the_own_ca_only_and_shows_the_own_certificate() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (ca, stranger) = (Ca::new(), Ca::new());
        stranger.write(path("ca.pem").as_ref());
        ca.write_own(path("own.pem").as_ref(), path("own.key").as_ref());
        let mut script = calm().script;
        script.insert(LEADER.to_owned(), (200, json!("127.77.0.3:8300")));
        let script: Script = Arc::new(Mutex::new(script));
        let serve = async |names: &[&str]| ca.serve(address(1), names, script.clone(), Asked::default()).await;

        let mut cluster = Cluster::at(serve(&["server.dc1.consul", "localhost"]).await);
        cluster.consul().scheme = Scheme::Https;
        cluster.consul().ca_file = Some(path("ca.pem"));
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["invalid peer certificate"]);

        // The file has another CA from now on: the server is trusted, and does not trust us.
        ca.write(path("ca.pem").as_ref());
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["CertificateRequired"]);

        cluster.consul().client_cert_file = Some(path("own.pem"));
        cluster.consul().client_key_file = Some(path("own.key"));
        assert_eq!(cluster.ask().await.unwrap().members.len(), 3);

        // A certificate may be for the address instead, and for nothing else.
        cluster.consul().port = serve(&["127.77.0.1"]).await;
        assert_eq!(cluster.ask().await.unwrap().members.len(), 3);
        cluster.consul().port = serve(&["server.dc2.consul", "127.77.0.9"]).await;
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["not valid for name"]);

        fs::write(path("own.key"), "no key").unwrap();
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Invalid, &["own.key holds no private key"]);
    });
}

fn transfer(from: u8, to: u8) -> MemberEffect {
    let id = |nth: u8| {
        let (first, middle) = (nth.to_string().repeat(8), ["aaaa-4aaa-8aaa", "bbbb-4bbb-8bbb", "cccc-4ccc-8ccc"]);
        MemberId::from(format!("{first}-{}-00000000000{nth}", middle[usize::from(nth) - 1]))
    };
    MemberEffect::TransferLeadership { from: id(from), to: id(to) }
}

const TRANSFER: &str = "POST /v1/operator/raft/transfer-leader";

#[test]
fn leadership_is_moved_by_asking_the_leader() {
    block_on(async {
        let mut recorded = calm();
        recorded.script.insert(TRANSFER.to_owned(), (200, json!({ "Success": true })));
        let (port, asked) = recorded.serve().await;
        assert_eq!(Cluster::at(port).change(&transfer(3, 1)).await.unwrap(), Outcome::Done);
        let asked = asked.lock().unwrap();
        let sent: Vec<_> = asked.iter().filter(|(_, call, _, _)| call.starts_with("POST")).collect();
        assert_eq!((sent.len(), sent[0].0), (1, address(3)));
        assert_eq!(sent[0].1, format!("{TRANSFER}?id=11111111-aaaa-4aaa-8aaa-000000000001"));
    });
}

#[test]
fn leadership_that_has_moved_meanwhile_is_left_where_it_is() {
    block_on(async {
        let (port, asked) = calm().serve().await;
        let cluster = Cluster::at(port);
        assert_eq!(cluster.change(&transfer(1, 3)).await.unwrap(), Outcome::AlreadySo);
        let outcome = cluster.change(&transfer(1, 2)).await.unwrap();
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        assert!(!asked.lock().unwrap().iter().any(|(_, call, _, _)| call.starts_with("POST")));
    });
}

#[test]
fn servers_that_do_not_offer_to_move_leadership_are_not_asked_again() {
    block_on(async {
        let (port, _) = calm().serve().await;
        let cluster = Cluster::at(port);
        assert!(cluster.ask().await.unwrap().can_transfer);
        let outcome = cluster.change(&transfer(3, 1)).await.unwrap();
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        assert!(!cluster.ask().await.unwrap().can_transfer);
    });
}

#[test]
fn pruning_is_set_without_touching_anything_else() {
    block_on(async {
        let mut recorded = calm();
        recorded.body(AUTOPILOT)["FromTheFuture"] = json!({ "kept": [1, null] });
        let mut wanted = recorded.body(AUTOPILOT).clone();
        wanted["MinQuorum"] = json!(5);
        let index = wanted["ModifyIndex"].clone();
        recorded.script.insert(format!("PUT {AUTOPILOT}"), (200, json!(true)));
        let (port, asked) = recorded.serve().await;
        let outcome = Cluster::at(port).change(&MemberEffect::SetPruning { down_to: 5 }).await.unwrap();
        assert_eq!(outcome, Outcome::Done);
        let asked = asked.lock().unwrap();
        let (_, call, _, body) = asked.iter().find(|(_, call, _, _)| call.starts_with("PUT")).unwrap();
        assert_eq!(*call, format!("PUT {AUTOPILOT}?cas={index}"));
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), wanted);
    });
}

#[test]
fn pruning_that_somebody_else_sets_at_the_same_time_is_looked_at_again() {
    block_on(async {
        let mut recorded = calm();
        recorded.script.insert(format!("PUT {AUTOPILOT}"), (200, json!(false)));
        let (port, asked) = recorded.serve().await;
        let outcome = Cluster::at(port).change(&MemberEffect::SetPruning { down_to: 5 }).await.unwrap();
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        let outcome = Cluster::at(port).change(&MemberEffect::SetPruning { down_to: 3 }).await.unwrap();
        assert_eq!(outcome, Outcome::AlreadySo);
        assert_eq!(asked.lock().unwrap().iter().filter(|(_, call, _, _)| call.starts_with("PUT")).count(), 1);
    });
}

#[test]
fn a_token_that_may_only_look_is_told_what_a_change_takes() {
    block_on(async {
        let mut recorded = calm();
        recorded.script.insert(format!("PUT {AUTOPILOT}"), (403, json!("Permission denied")));
        recorded.script.insert(TRANSFER.to_owned(), (403, json!("Permission denied")));
        let (port, _) = recorded.serve().await;
        for effect in [MemberEffect::SetPruning { down_to: 5 }, transfer(3, 1)] {
            let error = Cluster::at(port).change(&effect).await.unwrap_err();
            fails(error, ErrorKind::Denied, &["operator = \"write\""]);
        }
    });
}

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

/// Who was asked for what since the last time.
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

/// What Consul 1.8.7 listed, with an empty value and the folder that its own user interface makes.
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
