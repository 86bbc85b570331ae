//! Claims in Consul's key-value store, below one prefix: `<prefix>/claims/<cluster>@<region>@<account>`, written with `?cas=`.
//!
//! A Consul that is rolled itself is no place for its own claims: without a leader a claim can be neither read nor written,
//! and one more loss would be for good. So the servers that keep the claims are told. Reads are consistent, so no claim is ever older than the last write.

use std::cell::RefCell;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::changed;
use super::home::Homes;
use super::place::{Credentials, Remote};
use super::stored;
use crate::action::ClaimEffect;
use crate::http::consul::{self, Entry, succeeded};
use crate::http::servers::{LastAnswer, Servers, read};
use crate::http::{Answer, ENTRY, Http, SETTINGS, Server, Silence, Tls, Trust, is_here};
use crate::ids::ClusterName;
use crate::observed::ClaimRecord;
use crate::ports::{Clock, Coordination, ErrorKind, Outcome, PortError};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, elapsed};

mod session;

pub use session::Session;

/// Claims in Consul.
pub struct Consul<C> {
    link: Link,
    homes: Homes,
    clock: C,
    /// The servers' addresses as they were listed last, and when.
    peers: RefCell<Option<(Timestamp, Vec<IpAddr>)>>,
}

/// The time for which a list of servers is good: who keeps the claims changes seldom.
const PEERS_FOR: Duration = Duration::from_secs(10 * 60);

/// The way to the servers.
#[derive(Clone)]
struct Link {
    http: Rc<Http>,
    trust: Trust,
    token_file: Option<String>,
    remote: Remote,
    last: LastAnswer,
}

impl<C: Clock + Clone> Consul<C> {
    /// Checks that the files can be used, and asks nobody yet.
    pub fn open(remote: &Remote, credentials: &Credentials, clock: C) -> Result<Self, PortError> {
        refuse_token_in_clear(remote, credentials)?;
        let encrypted = remote.servers.iter().any(|server| server.starts_with("https:"));
        let tls = || Tls {
            ca_file: credentials.ca_file.clone(),
            own_files: credentials.own_files.clone(),
            shared_name: None,
        };
        let trust = if encrypted { Trust::Tls(tls()) } else { Trust::Plain };
        let (http, token_file, last) = (Rc::default(), credentials.token_file.clone(), LastAnswer::default());
        let link = Link { http, trust, token_file, remote: remote.clone(), last };
        link.servers("reach the claims")?;
        Ok(Self { link, homes: Homes::default(), clock, peers: RefCell::default() })
    }
}

/// Refuses to send a token where everybody on the way can read it. To this machine itself there is no way.
fn refuse_token_in_clear(remote: &Remote, credentials: &Credentials) -> Result<(), PortError> {
    let plain = remote.servers.iter().find(|server| server.strip_prefix("http://").is_some_and(|host| !is_here(host)));
    match plain.filter(|_| credentials.token_file.is_some() && !credentials.token_in_clear) {
        None => Ok(()),
        Some(server) => {
            let why = format!(
                "the token would be sent over plain HTTP to {server}; name `consul+https://…`, or allow it with \
                 --claims-token-in-clear"
            );
            Err(PortError::new("reach the claims", ErrorKind::Invalid, why))
        }
    }
}

impl<C: Clock> Consul<C> {
    fn key(&self, key: &str) -> String {
        format!("{}/claims/{key}", self.link.remote.prefix)
    }

    /// Lists the names under which a cluster's record may lie.
    async fn keys(&self, cluster: &ClusterName) -> Result<Vec<String>, PortError> {
        let keys = self.homes.keys(cluster);
        let Some(prefix) = self.homes.prefix(cluster) else { return Ok(keys) };
        let doing = format!("look for the claim of {cluster} in Consul");
        let above = self.key("");
        let found = self.link.keys(&doing, &self.key(&prefix)).await?;
        let found = found.iter().filter_map(|key| key.strip_prefix(&above)).map(str::to_owned).collect();
        Homes::with_account(keys, found).map_err(|why| PortError::new(doing, ErrorKind::Invalid, why))
    }

    /// Reads the record, and says where it lies, or is to lie, and with which index to compare when it is replaced: 0 if there
    /// is none.
    async fn load(&self, cluster: &ClusterName) -> Result<(String, ClaimRecord, u64), PortError> {
        let (keys, home) = (self.keys(cluster).await?, self.homes.of(cluster));
        for (nth, key) in keys.iter().enumerate() {
            let key = self.key(key);
            let doing = format!("read the claim {key} in Consul");
            let Some(entry) = self.link.entry(&doing, &key).await? else { continue };
            let invalid = |error: Box<dyn Error + Send + Sync>| PortError::new(&doing, ErrorKind::Invalid, error);
            let bytes = entry.bytes().map_err(|error| invalid(error.into()))?;
            let read = stored::decode_nth(nth, cluster, home.as_ref(), &bytes);
            if let Some(record) = read.map_err(|error| invalid(error.into()))? {
                return Ok((key, record, entry.modify_index));
            }
        }
        Ok((self.key(keys.first().map_or(cluster, |key| key)), ClaimRecord::default(), 0))
    }
}

impl<C: Clock> Coordination for Consul<C> {
    fn is_about(&self, spec: &ClusterSpec) {
        self.homes.note(spec);
    }

    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError> {
        Ok(self.load(cluster).await?.1)
    }

    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError> {
        let (key, found, index) = self.load(cluster).await?;
        if found.revision != effect.expects() {
            return Ok(changed(effect.expects(), found.revision));
        }
        let body = stored::encode(cluster, self.homes.of(cluster), &effect.apply(&found, self.clock.now()));
        let doing = format!("write the claim {key} in Consul");
        // A server that falls silent may have written the claim: the next server then finds another index, and so does a
        // look.
        if self.link.put(&doing, &format!("kv/{key}"), &[("cas", &index.to_string())], body).await? {
            return Ok(Outcome::Done);
        }
        let expected = format!("revision {}", effect.expects());
        Ok(Outcome::Changed { expected, found: "one that was written meanwhile".to_owned() })
    }

    async fn kept_at(&self) -> Vec<IpAddr> {
        let doing = "list the servers that keep the claims";
        let asked = self.peers.borrow().as_ref().filter(|(at, _)| elapsed(self.clock.now(), *at) < PEERS_FOR).cloned();
        if let Some((_, peers)) = asked {
            return peers;
        }
        let ask = async |server: &Server| server.get("/v1/status/peers", &[], SETTINGS).await;
        let answer = self.link.send(doing, ask).await.and_then(|answer| self.link.json::<Vec<String>>(doing, answer));
        match answer {
            Ok(peers) => {
                let peers: Vec<IpAddr> =
                    peers.iter().filter_map(|peer| Some(peer.parse::<SocketAddr>().ok()?.ip())).collect();
                self.peers.replace(Some((self.clock.now(), peers.clone())));
                peers
            }
            // Known before, perhaps: the servers of a Consul seldom change.
            Err(_) => self.peers.borrow().clone().map(|(_, peers)| peers).unwrap_or_default(),
        }
    }

    async fn forget(&self, cluster: &ClusterName) -> Result<(), PortError> {
        let (key, ..) = self.load(cluster).await?;
        let (doing, path) = (format!("remove the claim {key} in Consul"), format!("/v1/kv/{key}"));
        let answer = self.link.send(&doing, async |server: &Server| server.delete(&path).await).await?;
        self.link.succeeded(&doing, answer).map(drop)
    }
}

impl Link {
    /// Reads an entry of the store as of now, if there is one.
    async fn entry(&self, doing: &str, key: &str) -> Result<Option<Entry>, PortError> {
        let path = format!("/v1/kv/{key}");
        let answer =
            self.send(doing, async |server: &Server| server.get(&path, &[("consistent", "")], ENTRY).await).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let mut entries: Vec<Entry> = self.json(doing, answer)?;
        Ok(entries.pop())
    }

    /// Lists the names of all entries that begin in that way.
    async fn keys(&self, doing: &str, prefix: &str) -> Result<Vec<String>, PortError> {
        let path = format!("/v1/kv/{prefix}");
        let query = [("keys", ""), ("consistent", "")];
        let answer = self.send(doing, async |server: &Server| server.get(&path, &query, SETTINGS).await).await?;
        if answer.status == 404 { Ok(Vec::new()) } else { self.json(doing, answer) }
    }

    /// Makes a call that answers whether it did anything.
    async fn put(&self, doing: &str, path: &str, query: &[(&str, &str)], body: Vec<u8>) -> Result<bool, PortError> {
        let path = format!("/v1/{path}");
        let put = async |server: &Server| server.put(&path, query, body.clone()).await;
        self.json(doing, self.send(doing, put).await?)
    }

    fn json<T: DeserializeOwned>(&self, doing: &str, answer: Answer) -> Result<T, PortError> {
        read(doing, &self.succeeded(doing, answer)?)
    }

    /// Asks one server after the other until one has an answer of its own.
    async fn send(
        &self,
        doing: &str,
        request: impl AsyncFn(&Server) -> Result<Answer, Silence>,
    ) -> Result<Answer, PortError> {
        self.servers(doing)?.in_turn(&self.last, doing, request).await
    }

    fn succeeded(&self, doing: &str, answer: Answer) -> Result<Answer, PortError> {
        let (prefix, node) = (&self.remote.prefix, session::NODE);
        let rules = format!(
            "`key_prefix \"{prefix}/\" {{ policy = \"write\" }}`, `node \"{node}\" {{ policy = \"write\" }}` and \
             `session \"{node}\" {{ policy = \"write\" }}`"
        );
        succeeded(doing, answer, &rules)
    }

    fn servers(&self, doing: &str) -> Result<Servers, PortError> {
        let servers = consul::open(&self.http, &self.trust, self.token_file.as_deref(), &self.remote.servers);
        servers.map_err(|error| PortError::new(doing, ErrorKind::Invalid, error))
    }
}
