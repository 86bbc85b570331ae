//! Three servers at loopback addresses, and one of the programs that asks them.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hermitcrab::action::MemberEffect;
use hermitcrab::application::Applications;
use hermitcrab::ids::InstanceId;
use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{Members, Outcome, PortError, Seat};
use hermitcrab::spec::load::load;
use hermitcrab::spec::{ClusterSpec, CommandRules, SlotSpec};
use serde_json::Value;

use super::server::{Asked, Script, listen, serve};

/// The answers of servers by their number, from 1 on: for each call a status and a body. One that is left out listens nowhere.
pub type Answers = BTreeMap<u8, BTreeMap<String, (u16, Value)>>;

/// A program of `adapters/`, and how it is run.
#[derive(Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    /// The arguments, beside the port.
    pub args: &'static [&'static str],
    pub rules: CommandRules,
}

/// Servers that answer, a cluster whose program asks them, and what they were asked.
struct Stage {
    spec: ClusterSpec,
    seats: Vec<Seat>,
    applications: Applications,
    asked: Asked,
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")
}

/// The address of a server of a program's.
pub fn at(program: Program, number: u8) -> IpAddr {
    let network = program.name.bytes().fold(100, |sum: u8, byte| 100 + sum.wrapping_add(byte) % 100);
    IpAddr::from([127, network, 0, number])
}

impl Stage {
    async fn of(program: Program, answers: &Answers) -> Self {
        let addresses: Vec<_> = answers.keys().map(|number| at(program, *number)).collect();
        let (port, listeners) = listen(&addresses).await;
        let asked = Asked::default();
        for (listener, answers) in listeners.into_iter().zip(answers.values()) {
            let script: Script = Arc::new(Mutex::new(answers.clone()));
            tokio::spawn(serve(listener, script, asked.clone()));
        }
        let loaded = load(&["tests/fixtures/command.yaml".into()]);
        let mut spec = loaded.specs().next().unwrap().1.clone();
        let seat = |(slot, number): (&SlotSpec, u8)| Seat {
            slot: slot.name.clone(),
            instance: InstanceId::from(format!("i-{number}")),
            address: at(program, number),
        };
        let seats = spec.slots.iter().zip(1..).map(seat).collect();
        let command = spec.application.command_mut().unwrap();
        command.program = folder().join(program.name).to_str().unwrap().to_owned();
        let port = port.to_string();
        command.args = ["--port", &port].iter().chain(program.args).map(|&argument| argument.to_owned()).collect();
        (command.timeout, command.rules) = (Duration::from_secs(20), program.rules);
        Self { spec, seats, applications: Applications::with_programs_in(Some(folder())), asked }
    }
}

/// The membership that a program makes of the servers' answers.
pub fn membership(program: Program, answers: &Answers) -> Result<Membership, PortError> {
    block_on(async {
        let Stage { spec, seats, applications, .. } = Stage::of(program, answers).await;
        applications.membership(&spec, &seats).await
    })
}

/// The outcome of a request to let another lead, and what the servers were asked to change.
pub fn transfer(program: Program, answers: &Answers, from: &str, to: &str) -> (Outcome, Vec<String>) {
    block_on(async {
        let stage = Stage::of(program, answers).await;
        let effect = MemberEffect::TransferLeadership { from: from.into(), to: to.into() };
        let outcome = stage.applications.change(&stage.spec, &stage.seats, &effect).await.unwrap();
        let asked = stage.asked.lock().unwrap();
        let changes = asked.iter().filter(|(_, call, ..)| !call.starts_with("GET "));
        (outcome, changes.map(|(address, call, ..)| format!("{address} {call}")).collect())
    })
}

/// The health of a slot's member.
pub fn health_of(membership: &Membership, slot: &str) -> Health {
    membership.members.iter().find(|member| member.slot.as_deref() == Some(slot)).unwrap().health.clone()
}
