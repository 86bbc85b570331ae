//! Three real etcd members that speak TLS alone, ask each client for a certificate, and have users. They end with the test.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hermitcrab::action::MemberEffect;
use hermitcrab::application::Applications;
use hermitcrab::http::{Http, SETTINGS, Server, Tls, Trust};
use hermitcrab::ids::{InstanceId, MemberId};
use hermitcrab::observed::{Health, Member, Membership};
use hermitcrab::ports::{Canaries, Clock, ErrorKind, Members, Outcome, Seat, chain};
use hermitcrab::spec::{ClusterSpec, Scheme, SlotSpec};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fetch::fetch;
use crate::left_out::left_out;
use crate::loopback::free_net;
use crate::tls::Ca;
use crate::wall::Wall;

const PORT: u16 = 2379;
const NAMES: [&str; 3] = ["etcd-a", "etcd-b", "etcd-c"];
/// The last number of an address to which a member moves is so much higher.
const MOVED: usize = 10;
pub const PASSWORD: &str = "correct-horse";

/// Members, the files of their CA, and one more CA that they do not trust.
pub struct Secured {
    program: String,
    net: (u8, u8),
    children: Vec<RefCell<Child>>,
    /// The member that runs at another address than it began with.
    moved: Cell<Option<usize>>,
    place: TempDir,
}

impl Secured {
    /// Starts members of a version that is fetched by that name; none if there is no such etcd to be had, which is said aloud.
    pub fn start(program: &str) -> Option<Self> {
        let path = match fetch([program]) {
            Ok([path]) => path,
            Err(why) => {
                left_out("real etcd members with TLS", &why);
                return None;
            }
        };
        let mut secured = Self {
            program: path,
            net: free_net([PORT, 2380]),
            children: Vec::new(),
            moved: Cell::default(),
            place: tempfile::tempdir().unwrap(),
        };
        let (ca, stranger) = (Ca::new(), Ca::new());
        ca.write(&secured.file("ca.pem"));
        ca.write_nameless(&secured.file("own.pem"), &secured.file("own.key"));
        ca.write_own(&secured.file("named.pem"), &secured.file("named.key"));
        stranger.write_own(&secured.file("stranger.pem"), &secured.file("stranger.key"));
        std::fs::write(secured.file("password"), PASSWORD).unwrap();
        std::fs::write(secured.file("wrong-password"), "battery-staple").unwrap();
        for nth in 0..NAMES.len() {
            let addresses = [nth, nth + MOVED].map(|host| secured.host(host).to_string());
            let (certificate, key) = (secured.file(&format!("{nth}.pem")), secured.file(&format!("{nth}.key")));
            ca.write_issued(&addresses.each_ref().map(String::as_str), &certificate, &key);
        }
        secured.children = (0..NAMES.len()).map(|nth| secured.spawn(nth, secured.address(nth)).into()).collect();
        Some(secured)
    }

    /// Starts a member at an address. Where it has data, it does not read with whom it began.
    fn spawn(&self, nth: usize, address: Ipv4Addr) -> Child {
        let peer = |address: Ipv4Addr| format!("http://{address}:2380");
        let all: Vec<_> = (0..3).map(|nth| format!("{}={}", NAMES[nth], peer(self.host(nth)))).collect();
        let client = format!("https://{address}:{PORT}");
        Command::new(&self.program)
            .args(["--name", NAMES[nth], "--initial-cluster", &all.join(",")])
            .args(["--listen-peer-urls", &peer(address), "--initial-advertise-peer-urls", &peer(address)])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .arg("--client-cert-auth")
            .arg("--data-dir")
            .arg(self.file(&format!("data-{nth}")))
            .arg("--cert-file")
            .arg(self.file(&format!("{nth}.pem")))
            .arg("--key-file")
            .arg(self.file(&format!("{nth}.key")))
            .arg("--trusted-ca-file")
            .arg(self.file("ca.pem"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.place.path().join(name)
    }

    /// The path of a file of theirs, as a desired-state file names it.
    pub fn path(&self, name: &str) -> Option<String> {
        self.file(name).to_str().map(str::to_owned)
    }

    fn host(&self, number: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, self.net.0, self.net.1, number as u8 + 1)
    }

    fn address(&self, nth: usize) -> Ipv4Addr {
        self.host(if self.moved.get() == Some(nth) { nth + MOVED } else { nth })
    }

    /// The cluster as its file would declare it, without a user. The controller's certificate has no common name.
    pub fn spec(&self) -> ClusterSpec {
        let loaded = hermitcrab::spec::load::load(&["desired-state/prod/etcd.yaml".into()]);
        let mut spec = loaded.specs().next().unwrap().1.clone();
        for (nth, slot) in spec.slots.iter_mut().enumerate() {
            slot.address = Some(self.address(nth));
        }
        let etcd = spec.application.etcd_mut().unwrap();
        (etcd.http.scheme, etcd.http.port) = (Scheme::Https, PORT);
        etcd.http.ca_file = self.path("ca.pem");
        (etcd.http.client_cert_file, etcd.http.client_key_file) = (self.path("own.pem"), self.path("own.key"));
        spec
    }

    pub fn seats(&self, spec: &ClusterSpec) -> Vec<Seat> {
        let seat = |(nth, slot): (usize, &SlotSpec)| Seat {
            slot: slot.name.clone(),
            instance: InstanceId::from(format!("i-{nth}")),
            address: IpAddr::V4(self.address(nth)),
        };
        spec.slots.iter().enumerate().map(seat).collect()
    }

    /// Looks until the members are well, and as wanted.
    pub async fn seen(&self, spec: &ClusterSpec, wanted: impl Fn(&Membership) -> bool) -> Membership {
        let applications = Applications::default();
        let well = |member: &Member| member.counts && member.health == Health::Healthy;
        let mut last = String::new();
        for _ in 0..600 {
            match applications.membership(spec, &self.seats(spec)).await {
                Ok(now) if now.members.len() == 3 && now.members.iter().all(well) && wanted(&now) => return now,
                other => last = format!("{other:?}"),
            }
            Wall.sleep(Duration::from_millis(100)).await;
        }
        panic!("they never came; last: {last}");
    }

    /// Looks, or writes, until it is refused in such words, and answers with the kind of the refusal. A member may be slow to answer at all.
    pub async fn refused(&self, spec: &ClusterSpec, writes: bool, why: &str) -> ErrorKind {
        let (applications, seats) = (Applications::default(), self.seats(spec));
        let mut last = String::new();
        for _ in 0..600 {
            let outcome = match writes {
                true => applications.write_canary(spec, &seats, "one/1", "a value").await,
                false => applications.membership(spec, &seats).await.map(drop),
            };
            match outcome {
                Err(error) if chain(&error).contains(why) => return error.kind,
                Err(error) => last = chain(&error),
                Ok(()) => last = "nothing".to_owned(),
            }
            Wall.sleep(Duration::from_millis(100)).await;
        }
        panic!("nothing was refused with `{why}`; last: {last}");
    }

    /// Ends a member that does not lead, has the others look for it elsewhere, and starts it there on the same data.
    pub async fn moves_a_member_that_rests(&self, spec: &ClusterSpec, leader: &MemberId) {
        let applications = Applications::default();
        let now = applications.membership(spec, &self.seats(spec)).await.unwrap();
        let other = now.members.iter().find(|member| member.id != *leader).unwrap();
        let nth = NAMES.iter().position(|name| other.slot.as_deref() == Some(name)).unwrap();
        let move_there = MemberEffect::MoveMember {
            member: other.id.clone(),
            instance: InstanceId::from("i-new"),
            address: IpAddr::V4(self.host(nth + MOVED)),
        };
        let ask = async || applications.change(spec, &self.seats(spec), &move_there).await.unwrap();
        assert!(matches!(ask().await, Outcome::Changed { .. }), "it answers at its old address");
        {
            let mut child = self.children[nth].borrow_mut();
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // The leader may take a moment to notice.
        let mut outcome = ask().await;
        while matches!(outcome, Outcome::Changed { .. }) {
            Wall.sleep(Duration::from_millis(100)).await;
            outcome = ask().await;
        }
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(ask().await, Outcome::AlreadySo);
        self.moved.set(Some(nth));
        *self.children[nth].borrow_mut() = self.spawn(nth, self.address(nth));
        let there = Some(IpAddr::V4(self.address(nth)));
        self.seen(spec, |now| now.members.iter().any(|member| member.id == other.id && member.address == there)).await;
    }

    /// Has a person make a user `root`, and turn logins on.
    pub async fn turn_logins_on(&self) {
        let text = |name: &str| self.path(name).unwrap();
        let own_files = Some((text("own.pem"), text("own.key")));
        let trust = Trust::Tls(Tls { ca_file: self.path("ca.pem"), own_files, shared_name: None });
        let client = Http::default().client(&trust).unwrap();
        let server = Server::new(&client, &format!("https://{}:{PORT}", self.address(0)), None).unwrap();
        let steps: [(&str, Value); 4] = [
            ("user/add", json!({ "name": "root", "password": PASSWORD })),
            ("role/add", json!({ "name": "root" })),
            ("user/grant", json!({ "user": "root", "role": "root" })),
            ("enable", json!({})),
        ];
        for (call, body) in steps {
            let answer = server.post_json(&format!("/v3/auth/{call}"), &body, SETTINGS).await.unwrap();
            assert_eq!(answer.status, 200, "{call}: {}", answer.text());
        }
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        for child in &mut self.children {
            let child = child.get_mut();
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
