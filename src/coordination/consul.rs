//! Claims in Consul's key-value store, below one prefix: `<prefix>/claims/<cluster>`, written with `?cas=`.
//!
//! It may be the very Consul that is rolled: while a leader is elected a claim can be neither read nor written, and
//! nothing is done meanwhile. Reads are consistent, so no claim is ever older than the last write.

use std::cell::Cell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::place::{Credentials, Remote};
use super::{changed, stored};
use crate::action::ClaimEffect;
use crate::http::{self, Answer, Http, Server, Silence, Tls, Trust};
use crate::ids::ClusterName;
use crate::observed::ClaimRecord;
use crate::ports::{Clock, Coordination, ErrorKind, Outcome, PortError};

mod session;

pub use session::Session;

/// The header that lets us in.
const TOKEN: &str = "X-Consul-Token";

/// Claims in Consul.
pub struct Consul<C> {
    link: Link,
    clock: C,
}

/// The way to the servers.
#[derive(Clone)]
struct Link {
    http: std::rc::Rc<Http>,
    trust: Trust,
    token_file: Option<String>,
    remote: Remote,
    /// The server that answered last.
    last: Cell<usize>,
}

/// A refusal of the token, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("the token is not enough: give it {rules}")]
struct NotEnough {
    rules: String,
    source: http::Refused,
}

impl<C: Clock + Clone> Consul<C> {
    /// Looks whether the files can be used, and asks nobody yet.
    pub fn open(remote: &Remote, credentials: &Credentials, clock: C) -> Result<Self, PortError> {
        let encrypted = remote.servers.iter().any(|server| server.starts_with("https:"));
        let tls = || Tls {
            ca_file: credentials.ca_file.clone(),
            own_files: credentials.own_files.clone(),
            shared_name: None,
        };
        let trust = if encrypted { Trust::Tls(tls()) } else { Trust::Plain };
        let (http, token_file, last) = (std::rc::Rc::default(), credentials.token_file.clone(), Cell::new(0));
        let link = Link { http, trust, token_file, remote: remote.clone(), last };
        link.servers("reach the claims")?;
        Ok(Self { link, clock })
    }
}

impl<C: Clock> Consul<C> {
    fn key(&self, cluster: &ClusterName) -> String {
        format!("{}/claims/{cluster}", self.link.remote.prefix)
    }

    /// The record, and the index to compare with when it is replaced: 0 if there is none.
    async fn load(&self, cluster: &ClusterName) -> Result<(ClaimRecord, u64), PortError> {
        let key = self.key(cluster);
        let doing = format!("read the claim {key} in Consul");
        let Some(entry) = self.link.entry(&doing, &key).await? else { return Ok((ClaimRecord::default(), 0)) };
        let invalid =
            |error: Box<dyn std::error::Error + Send + Sync>| PortError::new(&doing, ErrorKind::Invalid, error);
        let bytes = entry.bytes().map_err(|error| invalid(error.into()))?;
        let record = stored::decode(cluster, &bytes).map_err(|error| invalid(error.into()))?;
        Ok((record, entry.modify_index))
    }
}

impl<C: Clock> Coordination for Consul<C> {
    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError> {
        Ok(self.load(cluster).await?.0)
    }

    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError> {
        let (found, index) = self.load(cluster).await?;
        if found.revision != effect.expects() {
            return Ok(changed(effect.expects(), found.revision));
        }
        let key = self.key(cluster);
        let body = stored::encode(cluster, &effect.apply(&found, self.clock.now()));
        let doing = format!("write the claim {key} in Consul");
        // A server that falls silent may have written it: the next one then finds another index, and so does a look.
        if self.link.put(&doing, &format!("kv/{key}"), &[("cas", &index.to_string())], body).await? {
            return Ok(Outcome::Done);
        }
        let expected = format!("revision {}", effect.expects());
        Ok(Outcome::Changed { expected, found: "one that was written meanwhile".to_owned() })
    }

    async fn forget(&self, cluster: &ClusterName) -> Result<(), PortError> {
        let key = self.key(cluster);
        let (doing, path) = (format!("remove the claim {key} in Consul"), format!("/v1/kv/{key}"));
        let answer = self.link.send(&doing, async |server: &Server| server.delete(&path).await).await?;
        self.link.succeeded(&doing, answer).map(drop)
    }
}

/// One entry of the store.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    modify_index: u64,
    /// In base64.
    value: Option<String>,
    /// Of the session that has locked it.
    session: Option<String>,
}

impl Entry {
    fn bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        STANDARD.decode(self.value.as_deref().unwrap_or_default())
    }
}

impl Link {
    /// An entry of the store as of now, if there is one.
    async fn entry(&self, doing: &str, key: &str) -> Result<Option<Entry>, PortError> {
        let path = format!("/v1/kv/{key}");
        let answer = self.send(doing, async |server: &Server| server.get(&path, &[("consistent", "")]).await).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let mut entries: Vec<Entry> = self.json(doing, answer)?;
        Ok(entries.pop())
    }

    /// A call that answers whether it did anything.
    async fn put(&self, doing: &str, path: &str, query: &[(&str, &str)], body: Vec<u8>) -> Result<bool, PortError> {
        let path = format!("/v1/{path}");
        let put = async |server: &Server| server.put(&path, query, body.clone()).await;
        self.json(doing, self.send(doing, put).await?)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, doing: &str, answer: Answer) -> Result<T, PortError> {
        let answer = self.succeeded(doing, answer)?;
        answer.json().map_err(|error| PortError::new(doing, ErrorKind::Unknown, error))
    }

    /// Asks one server after the other until one has an answer of its own. A server's error is none: most come from one
    /// that has lost its leader.
    async fn send(
        &self,
        doing: &str,
        request: impl AsyncFn(&Server) -> Result<Answer, Silence>,
    ) -> Result<Answer, PortError> {
        let servers = self.servers(doing)?;
        let mut trouble = PortError::new(doing, ErrorKind::Invalid, "no server is named");
        for nth in 0..servers.len() {
            let nth = (self.last.get() + nth) % servers.len();
            match request(&servers[nth]).await {
                Ok(answer) if answer.trouble() == Some(ErrorKind::Unreachable) => {
                    trouble = PortError::new(doing, ErrorKind::Unreachable, answer.refused());
                }
                Ok(answer) => {
                    self.last.set(nth);
                    return Ok(answer);
                }
                Err(silence) => trouble = PortError::new(doing, ErrorKind::Unreachable, silence),
            }
        }
        Err(trouble)
    }

    fn succeeded(&self, doing: &str, answer: Answer) -> Result<Answer, PortError> {
        match answer.trouble() {
            None => Ok(answer),
            Some(ErrorKind::Denied) => {
                let prefix = &self.remote.prefix;
                let node = session::NODE;
                let rules = format!(
                    "`key_prefix \"{prefix}/\" {{ policy = \"write\" }}`, `node \"{node}\" {{ policy = \"write\" }}` and \
                     `session \"{node}\" {{ policy = \"write\" }}`"
                );
                let source = NotEnough { rules, source: answer.refused() };
                Err(PortError::new(doing, ErrorKind::Denied, source))
            }
            Some(kind) => Err(PortError::new(doing, kind, answer.refused())),
        }
    }

    fn servers(&self, doing: &str) -> Result<Vec<Server>, PortError> {
        let open = || {
            let client = self.http.client(&self.trust)?;
            let token = self.token_file.as_deref().map(http::secret).transpose()?;
            let credential = token.map(|token| (TOKEN, token));
            let servers = self.remote.servers.iter();
            servers.map(|server| Server::new(&client, server, credential.clone())).collect::<Result<_, _>>()
        };
        open().map_err(|error: http::Unusable| PortError::new(doing, ErrorKind::Invalid, error))
    }
}
