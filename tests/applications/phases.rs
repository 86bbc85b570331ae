//! Recorded answers of members, one file a phase, and servers that give them on loopback addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use expect_test::expect_file;
use hermitcrab::action::MemberEffect;
use hermitcrab::application::Applications;
use hermitcrab::ids::{InstanceId, MemberId};
use hermitcrab::observed::Membership;
use hermitcrab::ports::{Members, Outcome, PortError, Seat};
use hermitcrab::spec::ClusterSpec;
use serde_json::Value;

use super::server::{Asked, Script, listen, serve};

/// The answers of each member that answered, by its address and the request.
pub type Servers = BTreeMap<IpAddr, BTreeMap<String, (u16, Value)>>;

/// The folder of the recordings of a kind.
pub fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/applications").join(kind)
}

/// Reads `tests/applications/<kind>/<phase>.json`: what it shows, and the answers.
pub fn phase(kind: &str, name: &str) -> (String, Servers) {
    let file: Value =
        serde_json::from_str(&fs::read_to_string(folder(kind).join(format!("{name}.json"))).unwrap()).unwrap();
    (file["story"].as_str().unwrap().to_owned(), servers(&file).unwrap())
}

/// Holds each recording of a kind, of which there are so many at least, to `tests/applications/<kind>/<phase>.txt`.
pub fn come_to_what_is_said(kind: &str, least: usize, told: impl Fn(&Servers) -> String) {
    let phases = phases(kind);
    assert!(phases.len() >= least, "{phases:?}");
    for name in phases {
        let (story, servers) = phase(kind, &name);
        let text = format!("# {story}\n{}", told(&servers));
        expect_file![folder(kind).join(format!("{name}.txt"))].assert_eq(&text);
    }
}

/// The answers in a recording; none if it is not as recordings are.
pub fn servers(file: &Value) -> Option<Servers> {
    let answer = |answer: &Value| {
        let status = u16::try_from(answer["status"].as_u64()?).ok().filter(|status| (200..600).contains(status))?;
        Some((status, answer["body"].clone()))
    };
    let of = |(at, answers): (&String, &Value)| {
        let answers = answers.as_object()?.iter().map(|(call, found)| Some((call.clone(), answer(found)?)));
        Some((at.parse().ok()?, answers.collect::<Option<_>>()?))
    };
    file["servers"].as_object()?.iter().map(of).collect()
}

/// Lists every phase of a kind.
pub fn phases(kind: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder(kind)).unwrap().map(|entry| entry.unwrap().path());
    let recorded = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    recorded.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Members that answer from now on, and note what they were asked.
pub struct Answering {
    pub port: u16,
    pub addresses: Vec<IpAddr>,
    scripts: BTreeMap<IpAddr, Script>,
    asked: Asked,
}

impl Answering {
    pub async fn of(servers: &Servers) -> Self {
        let addresses: Vec<IpAddr> = servers.keys().copied().collect();
        let (port, listeners) = listen(&addresses).await;
        let (asked, mut scripts) = (Asked::default(), BTreeMap::new());
        for ((address, answers), listener) in servers.iter().zip(listeners) {
            let script: Script = Arc::new(Mutex::new(answers.clone()));
            scripts.insert(*address, script.clone());
            tokio::spawn(serve(listener, script, asked.clone()));
        }
        Self { port, addresses, scripts, asked }
    }

    /// Sets an answer of one member.
    pub fn script(&self, at: IpAddr, call: &str, status: u16, body: Value) {
        self.scripts[&at].lock().unwrap().insert(call.to_owned(), (status, body));
    }

    /// The bodies of the requests of one kind so far, with the member that was asked.
    pub fn asked(&self, call: &str) -> Vec<(IpAddr, String)> {
        let asked = self.asked.lock().unwrap();
        let of_kind = asked.iter().filter(|(_, found, ..)| found.split('?').next() == Some(call));
        of_kind.map(|(at, _, _, body)| (*at, body.clone())).collect()
    }
}

/// Members that answer from now on, and the cluster that they are of.
pub struct Running {
    pub spec: ClusterSpec,
    pub seats: Vec<Seat>,
    pub answering: Answering,
    pub applications: Applications,
}

impl Running {
    /// The cluster of a desired-state file, changed so that its members are asked at a port.
    pub async fn of(servers: &Servers, file: &str, change: impl FnOnce(&mut ClusterSpec, u16)) -> Self {
        let answering = Answering::of(servers).await;
        let loaded = hermitcrab::spec::load::load(&[file.into()]);
        let mut spec = loaded.specs().next().unwrap().1.clone();
        change(&mut spec, answering.port);
        let seat = |address: &IpAddr| Seat {
            slot: spec.slots[0].name.clone(),
            instance: InstanceId::from(format!("i-{address}")),
            address: *address,
        };
        let seats = answering.addresses.iter().map(seat).collect();
        Self { spec, seats, answering, applications: Applications::default() }
    }

    pub async fn membership(&self) -> Result<Membership, PortError> {
        self.applications.membership(&self.spec, &self.seats).await
    }

    /// Has the members look for one of them elsewhere.
    #[allow(dead_code)] // only some kinds take it
    pub async fn moves(&self, member: &str, to: IpAddr) -> Result<Outcome, PortError> {
        let (member, instance) = (MemberId::from(member), InstanceId::from("i-new"));
        let effect = MemberEffect::MoveMember { member, instance, address: to };
        self.applications.change(&self.spec, &self.seats, &effect).await
    }

    /// Asks for another leader.
    pub async fn transfer(&self, from: &str, to: &str) -> Result<Outcome, PortError> {
        let effect = MemberEffect::TransferLeadership { from: MemberId::from(from), to: MemberId::from(to) };
        self.applications.change(&self.spec, &self.seats, &effect).await
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
