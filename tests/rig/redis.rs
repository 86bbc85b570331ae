//! Real Redis servers with a Sentinel beside each: how one is started, and what the rig itself and the cluster's clients ask of them.
//!
//! A client asks a Sentinel who leads, and believes it where most of the Sentinels say the same.

use std::fs;
use std::io::{self, ErrorKind::InvalidData};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::kind::{Server, Written};
use crate::process;
use crate::servers::Program;

/// The name of a rig's cluster of it.
pub const CLUSTER: &str = "redis-rig";
const SERVER: u16 = 6379;
const SENTINEL: u16 = 26379;
/// The name by which the Sentinels know the servers.
const GROUP: &str = "mymaster";
/// Longer than any answer takes, also while leadership moves.
const PATIENCE: Duration = Duration::from_secs(8);
/// Writes a value, if there is a third word only over that one.
const WRITE: &str = "if ARGV[2] and (redis.call('GET', KEYS[1]) or '0') ~= ARGV[2] then return 0 end \
                     redis.call('SET', KEYS[1], ARGV[1]) return 1";

/// Has the guest's script show where the volume is.
pub fn settings(own: &Path) -> Vec<(&'static str, String)> {
    vec![("REDIS_OUTPUT", volume(own))]
}

fn volume(own: &Path) -> String {
    own.join("run/redis/volume").display().to_string()
}

/// Makes the command that runs both servers of an instance.
pub fn server(program: &Program, own: &Path) -> Command {
    let mut command = process::command(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/redis/redis-serve"));
    command.arg(&program.path).arg(volume(own));
    command
}

/// The id of the Sentinel whose file lies on a volume.
pub fn sentinel_id(volume: &Path) -> Option<String> {
    let file = fs::read_to_string(volume.join("sentinel.conf")).ok()?;
    file.lines().find_map(|line| line.strip_prefix("sentinel myid ")).map(str::to_owned)
}

/// Asks a Sentinel for all servers, and each of them how it is.
pub async fn servers(address: &str) -> Vec<Server> {
    let Some(leader) = leader_at(address).await else { return Vec::new() };
    let replicas = ask(address, SENTINEL, &["SENTINEL", "REPLICAS", GROUP]).await;
    let replicas = replicas.map(Reply::items).unwrap_or_default();
    let mut hosts: Vec<_> = replicas.into_iter().filter_map(|replica| replica.field("ip")).collect();
    hosts.push(leader.clone());
    let mut servers = Vec::new();
    for host in hosts {
        let info = match ask(&host, SERVER, &["INFO", "replication"]).await {
            Ok(Reply::Text(info)) => info,
            _ => String::new(),
        };
        let says = |line: &str| info.lines().any(|said| said == line);
        let follows = says(&format!("master_host:{leader}")) && says("master_link_status:up");
        let leads = host == leader;
        let healthy = if leads { says("role:master") } else { follows };
        let name = slot_at(&host);
        servers.push(Server { id: name.clone(), name, leader: leads, voter: true, healthy, host });
    }
    servers
}

/// The slot whose fixed address that is: Redis knows no names.
fn slot_at(host: &str) -> String {
    let last: u8 = host.rsplit('.').next().and_then(|last| last.parse().ok()).unwrap_or_default();
    format!("redis-{}", char::from(b'a' + last.saturating_sub(200)))
}

/// Says whether a Sentinel knows of a primary.
pub async fn is_led(address: &str) -> bool {
    leader_at(address).await.is_some()
}

/// Reads a value from the primary; it is its own version.
pub async fn read(address: &str, key: &str) -> Option<(u64, u64)> {
    let leader = leader(address).await?;
    let mut connection = connect(&leader, SERVER).await.ok()?;
    let asked = async {
        for command in [&["MULTI"][..], &["ROLE"], &["GET", key]] {
            connection.ask(command).await?;
        }
        connection.ask(&["EXEC"]).await
    };
    let [role, value] = <[Reply; 2]>::try_from(timeout(PATIENCE, asked).await.ok()?.ok()?.items()).ok()?;
    // One that has just been told to follow another is behind that one.
    if role.items().first()? != &Reply::Text("master".to_owned()) {
        return None;
    }
    match value {
        Reply::Nothing => Some((0, 0)),
        Reply::Text(value) => value.parse().ok().map(|value| (value, value)),
        _ => None,
    }
}

/// Writes a value, if asked to only over that one.
pub async fn write(address: &str, key: &str, value: u64, over: Option<u64>) -> Written {
    let Some(leader) = leader(address).await else { return Ok(false) };
    let Ok(mut connection) = connect(&leader, SERVER).await else { return Ok(false) };
    let (value, over) = (value.to_string(), over.map(|over| over.to_string()));
    let mut command = vec!["EVAL", WRITE, "1", key, &value];
    command.extend(over.as_deref());
    match timeout(PATIENCE, connection.ask(&command)).await {
        Ok(Ok(Reply::Number(written))) => Ok(written == 1),
        // One that follows another refuses the script's write.
        Ok(Ok(Reply::Refusal(_))) => Ok(false),
        _ => Err(None),
    }
}

/// The address of the primary, if most of the Sentinels agree on it.
async fn leader(address: &str) -> Option<String> {
    let others = ask(address, SENTINEL, &["SENTINEL", "SENTINELS", GROUP]).await.ok()?.items();
    let others: Vec<_> = others.into_iter().filter_map(|other| other.field("ip")).collect();
    let all = others.len() + 1;
    let mut told = vec![leader_at(address).await?];
    for other in others {
        told.extend(leader_at(&other).await);
    }
    let is_most = |one: &&String| told.iter().filter(|other| other == one).count() > all / 2;
    told.iter().find(is_most).cloned()
}

/// The address of the primary by a Sentinel's word.
async fn leader_at(address: &str) -> Option<String> {
    let told = ask(address, SENTINEL, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]).await.ok()?;
    match told.items().into_iter().next()? {
        Reply::Text(leader) => Some(leader),
        _ => None,
    }
}

async fn ask(address: &str, port: u16, command: &[&str]) -> io::Result<Reply> {
    let mut connection = connect(address, port).await?;
    timeout(PATIENCE, connection.ask(command)).await?
}

async fn connect(address: &str, port: u16) -> io::Result<Connection> {
    let stream = timeout(Duration::from_secs(1), TcpStream::connect((address, port))).await??;
    Ok(Connection(BufReader::new(stream)))
}

/// A reply of a server's, in its own protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reply {
    Text(String),
    Number(i64),
    Refusal(String),
    List(Vec<Self>),
    Nothing,
}

impl Reply {
    fn items(self) -> Vec<Self> {
        if let Self::List(items) = self { items } else { Vec::new() }
    }

    /// A value of a list of names and values.
    fn field(self, name: &str) -> Option<String> {
        let items = self.items();
        let mut pairs = items.chunks_exact(2).filter(|pair| pair[0] == Self::Text(name.to_owned()));
        pairs.next().and_then(|pair| if let Self::Text(value) = &pair[1] { Some(value.clone()) } else { None })
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn ask(&mut self, command: &[&str]) -> io::Result<Reply> {
        let words: String = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        self.0.write_all(format!("*{}\r\n{words}", command.len()).as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let (kind, rest) = line.trim_end().split_at_checked(1).ok_or(InvalidData)?;
        let number = || rest.parse::<i64>().map_err(|_| io::Error::from(InvalidData));
        Ok(match kind {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Refusal(rest.to_owned()),
            ":" => Reply::Number(number()?),
            "$" => match usize::try_from(number()?) {
                Ok(length) => {
                    let mut text = vec![0; length + 2];
                    self.0.read_exact(&mut text).await?;
                    text.truncate(length);
                    Reply::Text(String::from_utf8(text).map_err(|_| InvalidData)?)
                }
                Err(_) => Reply::Nothing,
            },
            "*" => {
                let mut items = Vec::new();
                for _ in 0..number()?.max(0) {
                    items.push(Box::pin(self.reply()).await?);
                }
                Reply::List(items)
            }
            _ => return Err(InvalidData.into()),
        })
    }
}
