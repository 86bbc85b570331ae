//! Real members of PostgreSQL under Patroni, the etcd on which they stand, and what the rig itself and the cluster's clients ask of
//! them.
//!
//! A client asks a member who leads, and speaks SQL to that one, in PostgreSQL's own protocol, for as long as it leads and the connection
//! lasts: a new one costs PostgreSQL a process.

use std::cell::RefCell;
use std::io::{self, ErrorKind::InvalidData, ErrorKind::WouldBlock};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cluster::Rig;
use crate::fetch::fetch;
use crate::kind::{Server, Written};
use crate::process::{self, Process};
use crate::servers::Program;
use crate::until;

/// The name of a rig's cluster of it, and its scope.
pub const CLUSTER: &str = "patroni-rig";
const REST: u16 = 8008;
const POSTGRESQL: u16 = 5432;
const STORE: u16 = 2379;
/// The protocol's third version, as a client names it.
const PROTOCOL: u32 = 3 << 16;
/// Longer than any answer takes, also while leadership moves.
const PATIENCE: Duration = Duration::from_secs(8);

/// Has the guest's script read and write where the rig looks.
pub fn settings(own: &Path) -> Vec<(&'static str, String)> {
    let etc = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/patroni/etc");
    vec![("PATRONI_OUTPUT", folder(own).display().to_string()), ("PATRONI_ETC", etc.to_owned())]
}

/// The settings of an instance's Patroni.
fn folder(own: &Path) -> PathBuf {
    own.join("run/patroni/settings")
}

/// Makes the command that runs Patroni on an instance.
pub fn server(program: &Program, own: &Path) -> Command {
    let mut command = process::command(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/patroni/patroni-serve"));
    command.arg(&program.path).arg(folder(own));
    command
}

/// Runs the etcd on which the members of a rig stand. It stays where it is.
pub async fn store(rig: &Rig) -> Process {
    let [etcd] = fetch(["etcd-3.5"]).unwrap();
    let clients = format!("http://{}:{STORE}", rig.store());
    let peers = format!("http://{}:2380", rig.store());
    let mut command = process::command(etcd);
    command.arg("--data-dir").arg(rig.dir.join("store-data"));
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}")]);
    let process = Process::start(command, &rig.dir.join("store"));
    let answers = async || reqwest::get(format!("{clients}/health")).await.ok()?.status().is_success().then_some(());
    until("the store to serve", PATIENCE * 4, answers).await;
    process
}

/// Asks a member for all members, and each of them how it is.
pub async fn servers(http: &reqwest::Client, address: &str) -> Vec<Server> {
    let cluster = get(http, address, "cluster").await;
    let members = cluster["members"].as_array().cloned().unwrap_or_default();
    let timeline = members.iter().find(|member| member["role"] == "leader").map(|leader| leader["timeline"].clone());
    let mut servers = Vec::new();
    for member in members {
        let [name, host] = ["name", "host"].map(|key| member[key].as_str().unwrap_or_default().to_owned());
        let own = get(http, &host, "patroni").await;
        let healthy =
            own["patroni"]["name"] == name.as_str() && serves(&own) && Some(&own["timeline"]) == timeline.as_ref();
        servers.push(Server { id: name.clone(), name, leader: member["role"] == "leader", voter: true, healthy, host });
    }
    servers
}

/// Says whether a member leads, or is sent the log of the one that does.
pub async fn is_led(http: &reqwest::Client, address: &str) -> bool {
    serves(&get(http, address, "patroni").await)
}

fn serves(own: &Value) -> bool {
    own["state"] == "running" && (own["role"] != "replica" || own["replication_state"] == "streaming")
}

/// Counts the switches of timeline by what the store has.
pub async fn timelines(http: &reqwest::Client, address: &str) -> usize {
    get(http, address, "history").await.as_array().map_or(0, Vec::len)
}

/// Says whether a standby has each write before it is acknowledged.
pub async fn is_synchronous(http: &reqwest::Client, address: &str) -> bool {
    let cluster = get(http, address, "cluster").await;
    cluster["members"].as_array().into_iter().flatten().any(|member| member["role"] == "sync_standby")
}

/// Pauses Patroni, or lets it go on.
pub async fn pause(http: &reqwest::Client, address: &str, pause: bool) {
    let asked = http.patch(url(address, "config")).json(&json!({ "pause": pause })).send().await.unwrap();
    assert!(asked.status().is_success(), "{asked:?}");
}

/// Has a member read its settings again, with one more in them.
pub async fn set(http: &reqwest::Client, address: &str, own: &Path, setting: &str) {
    std::fs::write(folder(own).join("95-set.yml"), setting).unwrap();
    let asked = http.post(url(address, "reload")).send().await.unwrap();
    assert!(asked.status().is_success(), "{asked:?}");
}

async fn get(http: &reqwest::Client, address: &str, what: &str) -> Value {
    match http.get(url(address, what)).send().await {
        // Some answer 503 with a body where they do not lead.
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(_) => Value::Null,
    }
}

fn url(address: &str, what: &str) -> String {
    format!("http://{address}:{REST}/{what}")
}

/// Reads a value from the leader; it is its own version.
pub async fn read(http: &reqwest::Client, idle: &Connections, address: &str, key: &str) -> Option<(u64, u64)> {
    // One that has been deposed meanwhile is behind the one that leads.
    let sql =
        format!("SELECT coalesce((SELECT value FROM register WHERE key = '{key}'), 0) WHERE NOT pg_is_in_recovery()");
    let mut connection = leader(http, idle, address).await?;
    let Ok(Ok(Reply::Done { value: Some(value), .. })) = timeout(PATIENCE, connection.ask(&sql)).await else {
        return None;
    };
    idle.keep(connection);
    value.parse().ok().map(|value| (value, value))
}

/// Writes a value, if asked to only over that one.
pub async fn write(
    http: &reqwest::Client,
    idle: &Connections,
    address: &str,
    (key, value): (&str, u64),
    over: Option<u64>,
) -> Written {
    let Some(mut connection) = leader(http, idle, address).await else { return Ok(false) };
    let only = over.map_or(String::new(), |over| format!(" WHERE register.value = {over}"));
    // Both or neither, as one transaction.
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS register (key text PRIMARY KEY, value bigint); \
         INSERT INTO register VALUES ('{key}', {value}) ON CONFLICT (key) DO UPDATE SET value = excluded.value{only}"
    );
    match timeout(PATIENCE, connection.ask(&sql)).await {
        Ok(Ok(Reply::Done { tag, .. })) => {
            idle.keep(connection);
            Ok(tag == "INSERT 0 1")
        }
        // Also by one that does not lead.
        Ok(Ok(Reply::Refused)) => Ok(false),
        // A leader that ends may have committed it, and may not have sent it to anybody.
        _ => Err(None),
    }
}

/// Takes a connection that is idle, or opens one to the member that leads by another's word.
async fn leader(http: &reqwest::Client, idle: &Connections, address: &str) -> Option<Connection> {
    if let Some(connection) = idle.take() {
        return Some(connection);
    }
    let cluster = get(http, address, "cluster").await;
    let leader = cluster["members"].as_array()?.iter().find(|member| member["role"] == "leader")?;
    timeout(PATIENCE, Connection::open(leader["host"].as_str()?)).await.ok()?.ok()
}

/// The end of what was asked in SQL.
enum Reply {
    /// The first value of the last row, and the server's word for what was done last, e.g. "INSERT 0 1".
    Done { value: Option<String>, tag: String },
    /// An error of which nothing is left.
    Refused,
}

struct Connection(TcpStream);

/// The connections to the leader that nobody uses at the moment.
#[derive(Default)]
pub struct Connections(RefCell<Vec<Connection>>);

impl Connections {
    /// Takes one to whose other end nothing has happened.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.0.borrow_mut();
        std::iter::from_fn(|| idle.pop()).find(Connection::is_quiet)
    }

    fn keep(&self, connection: Connection) {
        self.0.borrow_mut().push(connection);
    }
}

impl Connection {
    async fn open(host: &str) -> io::Result<Self> {
        let mut connection = Self(TcpStream::connect((host, POSTGRESQL)).await?);
        let named = [&PROTOCOL.to_be_bytes()[..], b"user\0postgres\0database\0postgres\0\0"].concat();
        connection.send(&[], &named).await?;
        connection.reply().await?;
        Ok(connection)
    }

    /// Says whether the server has neither ended it nor said why it will.
    fn is_quiet(&self) -> bool {
        self.0.try_read(&mut [0]).is_err_and(|error| error.kind() == WouldBlock)
    }

    async fn ask(&mut self, sql: &str) -> io::Result<Reply> {
        self.send(b"Q", format!("{sql}\0").as_bytes()).await?;
        self.reply().await
    }

    async fn send(&mut self, kind: &[u8], body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + 4).map_err(|_| InvalidData)?;
        self.0.write_all(&[kind, &length.to_be_bytes(), body].concat()).await
    }

    /// Reads until the server is ready for more. It ends the connection after what is fatal.
    async fn reply(&mut self) -> io::Result<Reply> {
        let (mut value, mut tag, mut refused) = (None, String::new(), false);
        loop {
            let kind = self.0.read_u8().await?;
            let length = self.0.read_u32().await?.checked_sub(4).ok_or(InvalidData)?;
            let mut body = vec![0; usize::try_from(length).map_err(|_| InvalidData)?];
            self.0.read_exact(&mut body).await?;
            match kind {
                b'D' => value = body.get(6..).map(|first| String::from_utf8_lossy(first).into_owned()),
                b'C' => tag = String::from_utf8_lossy(&body).trim_end_matches('\0').to_owned(),
                b'E' => refused = true,
                b'Z' if refused => return Ok(Reply::Refused),
                b'Z' => return Ok(Reply::Done { value, tag }),
                _ => {}
            }
        }
    }
}
