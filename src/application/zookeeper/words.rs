//! Four-letter words, for servers whose AdminServer is off: `conf` for the ensemble, `mntr` for the measures and `srvr` for the last
//! write, each over a connection of its own to the port for clients, in the clear. They tell what the AdminServer tells, but for
//! whom a server follows: that is the one server that says that it leads.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wire::{Addresses, Listed, Monitor, Own};

/// The longest time for making a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// The longest time for a whole answer.
const TOTAL: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes. Real ones have 18 KB.
const LONGEST: u64 = 256 << 10;
/// The most characters that are kept of any text.
const BRIEF: usize = 256;

/// The words that are said, each with its place in [`Answers`].
const WORDS: [&str; 3] = ["conf", "mntr", "srvr"];

/// The whole answer of a server that serves nobody.
const IDLE: &str = "This ZooKeeper instance is not currently serving requests";
/// The end of a server's refusal of a word.
const NOT_ALLOWED: &str = "is not in the whitelist.";

/// The reason why a server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// There is no connection, or it ended too early.
    #[error("{0}")]
    Silent(String),
    /// The answer costs more than any right one does.
    #[error("{0}")]
    Costly(String),
    /// The server does not take the word.
    #[error(
        "{at} does not take the word `{word}`: add `conf, mntr, srvr` to `4lw.commands.whitelist` of every server, or turn its AdminServer on"
    )]
    Refused { at: IpAddr, word: &'static str },
    /// The answer is of another form.
    #[error("{0}")]
    Odd(String),
}

/// The words of one server.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// None while it serves nobody, and where it belongs to no ensemble.
    pub ensemble: Option<Ensemble>,
    /// None while it serves nobody.
    pub monitor: Option<Monitor>,
}

/// The words of a server about itself and the others.
#[derive(Clone, Debug)]
pub(super) struct Ensemble {
    pub id: u64,
    /// The server says that it leads.
    pub leads: bool,
    pub own: Own,
    /// The servers that have a vote, by number.
    pub voters: BTreeMap<u64, Listed>,
}

/// Asks one server at the port for clients.
pub(super) async fn ask(at: IpAddr, port: u16) -> Result<Said, Trouble> {
    let [conf, mntr, srvr] = WORDS.map(|word| say(at, port, word));
    let (conf, mntr, srvr) = futures_util::future::join3(conf, mntr, srvr).await;
    read(at, &conf?, &mntr?, &srvr?)
}

async fn say(at: IpAddr, port: u16, word: &'static str) -> Result<String, Trouble> {
    let silent = |error: io::Error| Trouble::Silent(format!("{at} does not answer: {error}"));
    let stream = timeout(CONNECT, TcpStream::connect(SocketAddr::new(at, port))).await;
    let mut stream = stream.map_err(|_| Trouble::Silent(format!("{at} takes no connection")))?.map_err(silent)?;
    let mut answer = Vec::new();
    let whole = async {
        stream.write_all(word.as_bytes()).await?;
        stream.take(LONGEST + 1).read_to_end(&mut answer).await
    };
    match timeout(TOTAL, whole).await {
        // Drop by drop, or not at all, once it has taken the connection.
        Err(_) => Err(Trouble::Costly(format!("{at} gives no whole answer to `{word}` in time"))),
        Ok(Err(error)) => Err(silent(error)),
        Ok(Ok(_)) if answer.len() as u64 > LONGEST => {
            Err(Trouble::Costly(format!("{at} answers `{word}` without end: more than {} KiB", LONGEST >> 10)))
        }
        Ok(Ok(_)) => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// Reads the answers to the words.
fn read(at: IpAddr, conf: &str, mntr: &str, srvr: &str) -> Result<Said, Trouble> {
    let answers = [conf, mntr, srvr];
    let refused =
        |(word, answer): &(&'static str, &str)| answer.trim_end().ends_with(NOT_ALLOWED) && answer.starts_with(word);
    if let Some((word, _)) = WORDS.into_iter().zip(answers).find(refused) {
        return Err(Trouble::Refused { at, word });
    }
    if answers.iter().any(|answer| answer.starts_with(IDLE)) {
        return Ok(Said { ensemble: None, monitor: None });
    }
    let odd = |what: &str| Trouble::Odd(format!("{at} answers in another form: {what}"));
    let measures: BTreeMap<&str, &str> = mntr.lines().filter_map(|line| line.split_once('\t')).collect();
    let monitor = monitor(&measures).ok_or_else(|| odd("`mntr`"))?;
    let state = measures.get("zk_peer_state").and_then(|state| state.split_once(" - "));
    let Some((role, state)) = state else {
        // One that stands alone, or serves reads alone, has no place in an ensemble.
        return Ok(Said { ensemble: None, monitor: Some(monitor) });
    };
    let servers = servers(conf).ok_or_else(|| odd("`conf`"))?;
    let id = number(conf, "serverId=", 10).ok_or_else(|| odd("`conf`"))?;
    let zxid = number(srvr, "Zxid: 0x", 16).ok_or_else(|| odd("`srvr`"))?;
    let own = servers.get(&id).map(|(listed, _)| listed.server_addresses.clone()).unwrap_or_default();
    Ok(Said {
        ensemble: Some(Ensemble {
            id,
            leads: role == "leading",
            own: Own {
                myid: Some(id),
                zabstate: brief(state),
                zab_epoch: zxid >> 32,
                zab_counter: zxid & u64::from(u32::MAX),
                quorum_address: Addresses { all_addresses: own },
            },
            voters: servers
                .into_iter()
                .filter(|(_, (_, votes))| *votes)
                .map(|(id, (listed, _))| (id, listed))
                .collect(),
        }),
        monitor: Some(monitor),
    })
}

/// Reads the measures; none where one is no number.
fn monitor(measures: &BTreeMap<&str, &str>) -> Option<Monitor> {
    let count = |name: &str| match measures.get(name) {
        Some(text) => text.trim().parse::<u64>().ok().map(Some),
        None => Some(None),
    };
    Some(Monitor {
        version: brief(measures.get("zk_version")?),
        server_state: brief(measures.get("zk_server_state")?),
        outstanding_requests: count("zk_outstanding_requests")?.unwrap_or_default(),
        synced_followers: count("zk_synced_followers")?.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        synced_non_voting_followers: usize::try_from(count("zk_synced_non_voting_followers")?.unwrap_or_default())
            .unwrap_or(usize::MAX),
        digest_mismatches_count: count("zk_digest_mismatches_count")?.unwrap_or_default(),
    })
}

/// Reads the lines of the ensemble, e.g. `server.1=10.0.1.30:2888:3888:participant;10.0.1.30:2181`, and says of each server whether it
/// has a vote; none where a line has no number. Several addresses of one server have a `|` between them.
fn servers(conf: &str) -> Option<BTreeMap<u64, (Listed, bool)>> {
    let lines = conf.lines().filter_map(|line| line.trim().strip_prefix("server."));
    let server = |line: &str| {
        let (number, value) = line.split_once('=')?;
        let peers = value.split(';').next()?;
        let is_observer = peers.ends_with(":observer");
        let peers = peers.trim_end_matches(":observer").trim_end_matches(":participant");
        // The second port is that of elections.
        let addresses =
            peers.split('|').take(20).map(|peer| brief(peer.rsplit_once(':').map_or(peer, |(first, _)| first)));
        Some((number.parse().ok()?, (Listed { server_addresses: addresses.collect() }, !is_observer)))
    };
    lines.map(server).collect()
}

/// Reads the number that follows a beginning of a line.
fn number(answer: &str, beginning: &str, radix: u32) -> Option<u64> {
    let text = answer.lines().find_map(|line| line.strip_prefix(beginning))?;
    u64::from_str_radix(text.trim(), radix).ok()
}

fn brief(text: &str) -> String {
    text.chars().take(BRIEF).collect()
}

/// Finds the one server that says that it leads, which all others then follow, or says why nobody knows whom they follow.
pub(super) fn leader<'s>(all: impl Iterator<Item = (IpAddr, &'s Ensemble)>) -> Result<u64, String> {
    let mut leading = all.filter(|(_, one)| one.leads);
    let Some((at, one)) = leading.next() else { return Err("no server says that it leads".to_owned()) };
    match leading.next() {
        None => Ok(one.id),
        Some((other, _)) => Err(format!("{at} and {other} each say that they lead")),
    }
}
