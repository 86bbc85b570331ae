//! How Consul servers are reached, and what happens when they are not: silence, refusals, redirects, tokens, TLS. The
//! servers are played, and say what they are told to. Below this file: how they are asked for a change, and for canaries.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hermitcrab::action::MemberEffect;
use hermitcrab::application::Applications;
use hermitcrab::ids::InstanceId;
use hermitcrab::observed::Membership;
use hermitcrab::ports::{Canaries, ErrorKind, Members, Outcome, PortError, Seat, chain};
use hermitcrab::spec::{ClusterSpec, ConsulSpec, Scheme};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

mod canaries;
mod changes;
mod costly;

use crate::recorded::Recorded;
use crate::server::{self, Asked, Script};
use crate::tls::Ca;

const LEADER: &str = "GET /v1/status/leader";

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
        cluster.consul().http.port = port;
        cluster
    }

    fn consul(&mut self) -> &mut ConsulSpec {
        self.spec.application.consul_mut().unwrap()
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

/// A server that has no leader to ask keeps whoever asks waiting for one.
#[test]
fn where_nobody_leads_no_server_is_asked_for_what_only_a_leader_knows() {
    block_on(async {
        let mut lost = calm();
        lost.leaders.values_mut().for_each(String::clear);
        let (port, asked) = lost.serve().await;
        assert_eq!(Cluster::at(port).ask().await.unwrap().leader, None);
        let calls: Vec<_> = asked.lock().unwrap().iter().map(|(_, call, ..)| call.clone()).collect();
        assert!(calls.iter().any(|call| call.contains("/v1/agent/members")), "{calls:?}");
        assert!(!calls.iter().any(|call| call.contains("/v1/operator/autopilot/health")), "{calls:?}");
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
        fails(error, ErrorKind::Unreachable, &["127.77.0.1 answers without end: more than 1 KiB"]);
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
        cluster.consul().http.scheme = Scheme::Https;
        cluster.consul().http.ca_file = Some(path("ca.pem"));
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["invalid peer certificate"]);

        // The file has another CA from now on: the server is trusted, and does not trust us.
        ca.write(path("ca.pem").as_ref());
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["CertificateRequired"]);

        cluster.consul().http.client_cert_file = Some(path("own.pem"));
        cluster.consul().http.client_key_file = Some(path("own.key"));
        assert_eq!(cluster.ask().await.unwrap().members.len(), 3);

        // A certificate may be for the address instead, and for nothing else.
        cluster.consul().http.port = serve(&["127.77.0.1"]).await;
        assert_eq!(cluster.ask().await.unwrap().members.len(), 3);
        cluster.consul().http.port = serve(&["server.dc2.consul", "127.77.0.9"]).await;
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["not valid for name"]);

        // Where Consul's own names have another domain, so have its certificates.
        cluster.consul().http.port = serve(&["server.dc1.corp"]).await;
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Unreachable, &["not valid for name"]);
        cluster.consul().domain = Some("corp".to_owned());
        assert_eq!(cluster.ask().await.unwrap().members.len(), 3);

        fs::write(path("own.key"), "no key").unwrap();
        fails(cluster.ask().await.unwrap_err(), ErrorKind::Invalid, &["own.key holds no private key"]);
    });
}
