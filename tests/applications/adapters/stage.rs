//! A cluster of three slots at loopback addresses, one of the programs that asks its members, and servers that answer it.

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
use hermitcrab::spec::{Addresses, ClusterSpec, CommandRules, SlotSpec};
use serde_json::Value;

use crate::server::{Asked, Script, listen, serve};

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

/// A cluster of three slots, and the program that asks its members.
pub struct Stage {
    spec: ClusterSpec,
    seats: Vec<Seat>,
    applications: Applications,
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
    /// A cluster whose program is run with its own arguments and with these.
    pub fn new(program: Program, args: &[String]) -> Self {
        let loaded = load(&["tests/fixtures/command.yaml".into()]);
        let mut spec = loaded.specs().next().unwrap().1.clone();
        for (slot, number) in spec.slots.iter_mut().zip(1..) {
            let IpAddr::V4(address) = at(program, number) else { unreachable!("every address here is one of IPv4") };
            slot.address = (program.rules.addresses == Addresses::Fixed).then_some(address);
        }
        let seat = |(slot, number): (&SlotSpec, u8)| Seat {
            slot: slot.name.clone(),
            instance: InstanceId::from(format!("i-{number}")),
            address: at(program, number),
        };
        let seats = spec.slots.iter().zip(1..).map(seat).collect();
        let command = spec.application.command_mut().unwrap();
        command.program = folder().join(program.name).to_str().unwrap().to_owned();
        command.args = program.args.iter().map(|&argument| argument.to_owned()).chain(args.iter().cloned()).collect();
        (command.timeout, command.rules) = (Duration::from_secs(20), program.rules);
        Self { spec, seats, applications: Applications::with_programs_in(Some(folder())) }
    }

    /// The same cluster with a file that the program is told the path of.
    pub fn with_file(mut self, name: &str, path: &Path) -> Self {
        let command = self.spec.application.command_mut().unwrap();
        command.files.insert(name.to_owned(), path.to_str().unwrap().to_owned());
        self
    }

    /// A cluster whose members are servers that answer what they are told to, and what they are asked.
    async fn of(program: Program, answers: &Answers) -> (Self, Asked) {
        let addresses: Vec<_> = answers.keys().map(|number| at(program, *number)).collect();
        let (port, listeners) = listen(&addresses).await;
        let asked = Asked::default();
        for (listener, answers) in listeners.into_iter().zip(answers.values()) {
            let script: Script = Arc::new(Mutex::new(answers.clone()));
            tokio::spawn(serve(listener, script, asked.clone()));
        }
        (Self::new(program, &["--port".to_owned(), port.to_string()]), asked)
    }

    pub async fn membership(&self) -> Result<Membership, PortError> {
        self.applications.membership(&self.spec, &self.seats).await
    }

    /// Has the member of a slot, by its number, prepared for the stop of its instance.
    pub async fn prepare(&self, member: &str, number: u8) -> Result<Outcome, PortError> {
        let instance = InstanceId::from(format!("i-{number}"));
        let effect = MemberEffect::Prepare { member: member.into(), instance };
        self.applications.change(&self.spec, &self.seats, &effect).await
    }

    pub async fn transfer(&self, from: &str, to: &str) -> Outcome {
        let effect = MemberEffect::TransferLeadership { from: from.into(), to: to.into() };
        self.applications.change(&self.spec, &self.seats, &effect).await.unwrap()
    }
}

/// The membership that a program makes of the servers' answers.
pub fn membership(program: Program, answers: &Answers) -> Result<Membership, PortError> {
    block_on(async { Stage::of(program, answers).await.0.membership().await })
}

/// The outcome of a request to prepare a member, and what the servers were asked to change.
pub fn prepare(
    program: Program,
    answers: &Answers,
    member: &str,
    number: u8,
) -> (Result<Outcome, PortError>, Vec<String>) {
    block_on(async {
        let (stage, asked) = Stage::of(program, answers).await;
        let outcome = stage.prepare(member, number).await;
        let asked = asked.lock().unwrap();
        let changes = asked.iter().filter(|(_, call, ..)| !call.starts_with("GET "));
        (outcome, changes.map(|(address, call, ..)| format!("{address} {call}")).collect())
    })
}

/// The outcome of a request to let another lead, and what the servers were asked to change.
pub fn transfer(program: Program, answers: &Answers, from: &str, to: &str) -> (Outcome, Vec<String>) {
    block_on(async {
        let (stage, asked) = Stage::of(program, answers).await;
        let outcome = stage.transfer(from, to).await;
        let asked = asked.lock().unwrap();
        let changes = asked.iter().filter(|(_, call, ..)| !call.starts_with("GET "));
        (outcome, changes.map(|(address, call, ..)| format!("{address} {call}")).collect())
    })
}

/// The health of a slot's member.
pub fn health_of(membership: &Membership, slot: &str) -> Health {
    membership.members.iter().find(|member| member.slot.as_deref() == Some(slot)).unwrap().health.clone()
}
