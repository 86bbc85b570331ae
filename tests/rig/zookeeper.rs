//! Real ZooKeeper servers: how one is started, and what the rig itself and the cluster's clients ask of them.
//!
//! A client begins a session for each request and speaks ZooKeeper's own protocol. A session is a write that the leader has agreed on
//! with a quorum, and the server answers once it has it and all before it, so what is read in a new session is no older than that.

use std::io::{self, ErrorKind::InvalidData};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::kind::{Server, Written};
use crate::process;
use crate::servers::Program;

/// The name of a rig's cluster of it.
pub const CLUSTER: &str = "zookeeper-rig";
const ADMIN: u16 = 8080;
const CLIENT: u16 = 2181;
/// Longer than any answer takes, also during an election.
const PATIENCE: Duration = Duration::from_secs(8);

/// Has the guest's script read and write where the rig looks.
pub fn settings(own: &Path) -> Vec<(&'static str, String)> {
    let etc = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/zookeeper/etc");
    vec![("ZOOKEEPER_OUTPUT", configuration(own)), ("ZOOKEEPER_ETC", etc.to_owned())]
}

fn configuration(own: &Path) -> String {
    own.join("run/zookeeper/zoo.cfg").display().to_string()
}

/// Makes the command by which the image's unit starts the server. Many of them share one machine.
pub fn server(program: &Program, own: &Path) -> Command {
    let serve = concat!(env!("CARGO_MANIFEST_DIR"), "/images/zookeeper/common/files/zookeeper-serve");
    let mut command = process::command(serve);
    // The program knows its archives.
    command.env("CLASSPATH", "").env("JAVA", &program.path);
    command.env("ZOOKEEPER_OUTPUT", configuration(own));
    command.env("ZOOKEEPER_JAVA", "-Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1");
    command
}

/// The number that lies on a volume.
pub fn number(volume: &Path) -> Option<String> {
    Some(std::fs::read_to_string(volume.join("data/myid")).ok()?.trim().to_owned())
}

/// Asks a server for all servers with a vote, and each of them how it is.
pub async fn servers(http: &reqwest::Client, address: &str) -> Vec<Server> {
    let (voters, leader) = (ask(http, address, "voting_view").await, ask(http, address, "leader").await);
    let (voters, leader) = (voters.unwrap_or_default(), leader.unwrap_or_default());
    let mut servers = Vec::new();
    for (number, voter) in voters["current_config"].as_object().into_iter().flatten() {
        let place = voter["server_addresses"][0].as_str().unwrap_or_default();
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host).to_owned();
        let own = ask(http, &host, "zabstate").await.unwrap_or_default();
        let is_it = own["myid"].as_u64().is_some_and(|myid| myid.to_string() == *number);
        servers.push(Server {
            name: slot_of(number),
            id: number.clone(),
            leader: leader["leader_id"].as_u64().is_some_and(|leads| leads.to_string() == *number),
            voter: true,
            healthy: is_it && own["zabstate"] == "broadcast",
            host,
        });
    }
    servers
}

/// The slot of a server of that number, in the order in which the slots are declared.
fn slot_of(number: &str) -> String {
    let number: u8 = number.parse().unwrap_or_default();
    format!("zookeeper-{}", char::from(b'a' + number.saturating_sub(1)))
}

/// Says whether a server knows of a leader.
pub async fn is_led(http: &reqwest::Client, address: &str) -> bool {
    ask(http, address, "leader").await.is_some_and(|leader| leader["leader_id"].is_u64())
}

/// The version that a server reports.
pub async fn version(http: &reqwest::Client, address: &str) -> Option<String> {
    let measures = ask(http, address, "monitor").await?;
    Some(measures["version"].as_str()?.split('-').next()?.to_owned())
}

/// Asks the AdminServer for one thing; none if the server serves nobody.
async fn ask(http: &reqwest::Client, address: &str, command: &str) -> Option<Value> {
    let answer = http.get(format!("http://{address}:{ADMIN}/commands/{command}")).send().await.ok()?;
    let told: Value = answer.json().await.ok()?;
    told["error"].is_null().then_some(told)
}

/// Reads a value and its version, which is 0 for what is not there.
pub async fn read(address: &str, key: &str) -> Option<(u64, u64)> {
    let mut session = Session::open(address).await.ok()?;
    let answer = session.ask(GET_DATA, &[text(&path(key)), vec![0]].concat()).await.ok()?;
    session.close().await;
    match answer {
        Ok(body) => {
            let length = body.get(..4).map(|bytes| int(bytes) as usize)?;
            let value = str::from_utf8(body.get(4..4 + length)?).ok()?.parse().ok()?;
            // The node's version comes after four numbers of eight bytes.
            let version = body.get(4 + length + 32..4 + length + 36).map(int)?;
            Some((value, u64::try_from(version).ok()? + 1))
        }
        Err(NO_NODE) => Some((0, 0)),
        Err(_) => None,
    }
}

/// Writes a value, if asked to only over that version.
pub async fn write(address: &str, key: &str, value: u64, over: Option<u64>) -> Written {
    let Ok(mut session) = Session::open(address).await else { return Ok(false) };
    let fate = session.write(&path(key), &value.to_string(), over).await;
    session.close().await;
    match fate {
        Ok(Ok(_)) => Ok(true),
        // Refused, so without any effect.
        Ok(Err(NO_NODE | BAD_VERSION | NODE_EXISTS)) => Ok(false),
        Ok(Err(_)) | Err(_) => Err(None),
    }
}

fn path(key: &str) -> String {
    format!("/{key}")
}

// Requests of the protocol, and its errors.
const CREATE: i32 = 1;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const CLOSE: i32 = -11;
const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;

/// An answer's body, or the error that a server gives.
type Answer = Result<Vec<u8>, i32>;

/// A session with one server.
struct Session {
    stream: TcpStream,
    requests: i32,
}

impl Session {
    async fn open(address: &str) -> io::Result<Self> {
        let stream = timeout(Duration::from_secs(1), TcpStream::connect((address, CLIENT))).await??;
        let mut session = Self { stream, requests: 0 };
        // The protocol's version, the last write that was seen, the session's time to live, its id, and a password of zeros.
        let parts = [&0_i32.to_be_bytes()[..], &[0; 8], &10_000_i32.to_be_bytes(), &[0; 8], &bytes(&[0; 16]), &[0]];
        let answer = timeout(PATIENCE, session.exchange(&parts.concat())).await??;
        match answer.get(4..8).map(int) {
            Some(1..) => Ok(session),
            _ => Err(InvalidData.into()),
        }
    }

    async fn write(&mut self, path: &str, value: &str, over: Option<u64>) -> io::Result<Answer> {
        let create = [text(path), text(value), open_to_all(), 0_i32.to_be_bytes().to_vec()].concat();
        let set = |version: i32| [text(path), text(value), version.to_be_bytes().to_vec()].concat();
        match over {
            Some(0) => self.ask(CREATE, &create).await,
            Some(version) => self.ask(SET_DATA, &set(i32::try_from(version - 1).unwrap())).await,
            None => match self.ask(SET_DATA, &set(-1)).await? {
                Err(NO_NODE) => self.ask(CREATE, &create).await,
                answer => Ok(answer),
            },
        }
    }

    async fn ask(&mut self, request: i32, body: &[u8]) -> io::Result<Answer> {
        self.requests += 1;
        let head = [self.requests.to_be_bytes(), request.to_be_bytes()].concat();
        let answer = timeout(PATIENCE, self.exchange(&[&head, body].concat())).await??;
        // The request's number, the last write, the error.
        let (number, error) = (answer.get(..4).map(int), answer.get(12..16).map(int));
        match (number, error) {
            (Some(number), Some(0)) if number == self.requests => Ok(Ok(answer[16..].to_vec())),
            (Some(number), Some(error)) if number == self.requests => Ok(Err(error)),
            _ => Err(InvalidData.into()),
        }
    }

    async fn close(mut self) {
        self.ask(CLOSE, &[]).await.ok();
    }

    /// Sends one request and reads its answer, both with their length before them.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(&bytes(request)).await?;
        let length = self.stream.read_i32().await?;
        let mut answer = vec![0; usize::try_from(length).map_err(|_| InvalidData)?];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

fn int(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes.try_into().unwrap())
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [&i32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn text(text: &str) -> Vec<u8> {
    bytes(text.as_bytes())
}

/// One entry, which allows everything to everybody.
fn open_to_all() -> Vec<u8> {
    [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &text("world"), &text("anyone")].concat()
}
