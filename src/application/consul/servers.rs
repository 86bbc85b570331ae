//! Asking: every server who leads, then one for the rest, and another if that one falls silent.

use std::cmp::Reverse;

use futures_util::future;
use serde::de::DeserializeOwned;

use super::read::Answers;
use super::wire::Health;
use crate::http::{self, Answer, Http, Server, Silence, Tls, Trust};
use crate::ports::{ErrorKind, PortError, Seat};
use crate::spec::{ClusterSpec, ConsulSpec, Scheme};

/// The header that lets us in. The parameter of the same purpose would end in logs.
const TOKEN: &str = "X-Consul-Token";
/// So many servers are asked for the whole picture, and as many for what they remember, before it is given up: a look that
/// takes half a minute is too old to act on.
const TRIES: usize = 2;
/// What a token needs in order to look.
const TO_LOOK: &str = "give it `operator = \"read\"` and `node_prefix \"\" { policy = \"read\" }`";

pub(super) const HEALTH: &str = "/v1/operator/autopilot/health";
pub(super) const AUTOPILOT: &str = "/v1/operator/autopilot/configuration";
const RAFT: &str = "/v1/operator/raft/configuration";
const GOSSIP: &str = "/v1/agent/members";
const LEADER: &str = "/v1/status/leader";

/// The servers of one cluster, wherever one may sit.
pub(super) struct Servers {
    cluster: String,
    all: Vec<Server>,
}

/// A refusal of the token, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("the token is not enough: {next}")]
struct NotEnough {
    next: &'static str,
    source: http::Refused,
}

impl Servers {
    /// Reads certificates and token, and asks nobody yet.
    pub(super) fn open(http: &Http, spec: &ClusterSpec, how: &ConsulSpec, seats: &[Seat]) -> Result<Self, PortError> {
        let unusable = |error: http::Unusable| {
            PortError::new(format!("ask the Consul servers of {}", spec.name), ErrorKind::Invalid, error)
        };
        let client = http.client(&trust(how)).map_err(unusable)?;
        let token = how.token_file.as_deref().map(http::secret).transpose().map_err(unusable)?;
        let credential = token.map(|token| (TOKEN, token));
        let scheme = if how.scheme == Scheme::Https { "https" } else { "http" };
        let mut addresses: Vec<_> = seats.iter().map(|seat| seat.address).collect();
        addresses.sort();
        addresses.dedup();
        let base = |address| format!("{scheme}://{}", std::net::SocketAddr::new(address, how.port));
        let open = |address| Server::new(&client, &base(address), credential.clone());
        let all = addresses.into_iter().map(open).collect::<Result<_, _>>().map_err(unusable)?;
        Ok(Self { cluster: spec.name.to_string(), all })
    }

    /// What is being done to whom.
    pub(super) fn doing(&self, verb: &str) -> String {
        let hosts: Vec<_> = self.all.iter().map(Server::host).collect();
        let at = if hosts.is_empty() { "" } else { " at " };
        format!("{verb} the Consul servers of {}{at}{}", self.cluster, hosts.join(", "))
    }

    /// Has a server come first where they are asked in turn.
    pub(super) fn prefer(&mut self, host: &str) {
        self.all.sort_by_key(|server| server.host() != host);
    }

    /// Asks one after the other until one has an answer of its own, be it a refusal. A server's error is none: most come
    /// from one that has lost its leader.
    pub(super) async fn any(
        &self,
        doing: impl Fn() -> String,
        request: impl AsyncFn(&Server) -> Result<Answer, Silence>,
    ) -> Result<Answer, PortError> {
        let mut trouble = Vec::new();
        for server in &self.all {
            let error = match request(server).await {
                Ok(answer) if answer.trouble() == Some(ErrorKind::Unreachable) => {
                    PortError::new(doing(), ErrorKind::Unreachable, answer.refused())
                }
                Ok(answer) => return Ok(answer),
                Err(silence) => PortError::new(doing(), ErrorKind::Unreachable, silence),
            };
            trouble.push((server, error));
        }
        Err(nobody(doing(), trouble))
    }

    /// Everything that can be known of them now.
    pub(super) async fn ask(&self) -> Result<Answers, PortError> {
        let (live, leaders) = self.live().await?;
        let mut trouble = None;
        for server in live.iter().take(TRIES) {
            match self.whole(server, &leaders).await {
                Ok(answers) => return Ok(answers),
                Err(error) if error.kind == ErrorKind::Unreachable => trouble = Some(error),
                // Another server would answer the same.
                Err(error) => return Err(error),
            }
        }
        let mut remembered = None;
        for server in live.iter().take(TRIES) {
            match self.leaderless(server, &leaders).await {
                Ok(answers) if answers.raft.servers.is_some() => return Ok(answers),
                Ok(answers) => remembered = Some(answers),
                Err(error) => trouble = Some(error),
            }
        }
        let silent = || PortError::new(self.doing("ask"), ErrorKind::Unreachable, "none gives a whole answer");
        remembered.ok_or_else(|| trouble.unwrap_or_else(silent))
    }

    /// The servers that answer, and whom each sees lead: those that see the same as most others come first.
    pub(super) async fn live(&self) -> Result<(Vec<&Server>, Vec<(String, String)>), PortError> {
        let asked = self.all.iter().map(|server| async move { (server, self.view(server).await) });
        let mut live = Vec::new();
        let mut trouble = Vec::new();
        for (server, view) in future::join_all(asked).await {
            match view {
                Ok(view) => live.push((server, view)),
                Err(error) => trouble.push((server, error)),
            }
        }
        if live.is_empty() {
            return Err(nobody(self.doing("ask"), trouble));
        }
        let seen = |wanted: &String| live.iter().filter(|(_, view)| view == wanted).count();
        let mut live: Vec<_> = live.iter().map(|(server, view)| (seen(view), *server, view.clone())).collect();
        live.sort_by_key(|(seen, _, view)| (view.is_empty(), Reverse(*seen)));
        let leaders = live.iter().map(|(_, server, view)| (server.host().to_owned(), view.clone())).collect();
        Ok((live.into_iter().map(|(_, server, _)| server).collect(), leaders))
    }

    /// The leader among servers, if it sits where we know; else any of them, which will pass on what it is asked.
    pub(super) fn best<'a>(live: &[&'a Server], leaders: &[(String, String)]) -> Option<&'a Server> {
        let (_, view) = leaders.first()?;
        let is_leader = |server: &&&Server| {
            let address = view.parse::<std::net::SocketAddr>().ok();
            address.is_some_and(|address| server.host() == address.ip().to_string())
        };
        live.iter().find(is_leader).or_else(|| live.first()).copied()
    }

    async fn view(&self, server: &Server) -> Result<String, PortError> {
        self.json(self.heard(server.glance(LEADER).await)?)
    }

    /// What a server says while there is a leader: it asks that one.
    async fn whole(&self, server: &Server, leaders: &[(String, String)]) -> Result<Answers, PortError> {
        let (health, raft, autopilot, gossip) = future::join4(
            server.get(HEALTH, &[]),
            server.get(RAFT, &[]),
            server.get(AUTOPILOT, &[]),
            server.get(GOSSIP, &[]),
        )
        .await;
        Ok(Answers {
            leaders: leaders.to_vec(),
            health: Some(self.health(health)?.servers.unwrap_or_default()),
            raft: self.json(self.heard(raft)?)?,
            autopilot: Some(self.json(self.heard(autopilot)?)?),
            gossip: self.json(self.heard(gossip)?)?,
        })
    }

    /// What a server remembers while there is none. One that has heard no leader since it started, as before a cluster
    /// has formed, will not tell even that.
    async fn leaderless(&self, server: &Server, leaders: &[(String, String)]) -> Result<Answers, PortError> {
        let stale = [("stale", "")];
        let (raft, autopilot, gossip) =
            future::join3(server.get(RAFT, &stale), server.get(AUTOPILOT, &stale), server.get(GOSSIP, &[])).await;
        let known = |answer: Result<Answer, Silence>| {
            let error = |answer: &Answer| answer.trouble() == Some(ErrorKind::Unreachable);
            match answer {
                Ok(answer) if error(&answer) => Ok(None),
                answer => self.heard(answer).map(Some),
            }
        };
        Ok(Answers {
            leaders: leaders.to_vec(),
            health: None,
            raft: known(raft)?.map(|raft| self.json(raft)).transpose()?.unwrap_or_default(),
            autopilot: known(autopilot)?.map(|autopilot| self.json(autopilot)).transpose()?,
            gossip: self.json(self.heard(gossip)?)?,
        })
    }

    /// Autopilot answers 429 when any server is unhealthy. Newer versions use it for too many requests as well, without
    /// the verdicts.
    fn health(&self, answer: Result<Answer, Silence>) -> Result<Health, PortError> {
        match answer {
            Ok(answer) if answer.status == 429 => match answer.json() {
                Ok(health) => Ok(health),
                Err(_) => Err(PortError::new(self.doing("ask"), ErrorKind::Throttled, answer.refused())),
            },
            answer => self.json(self.heard(answer)?),
        }
    }

    fn heard(&self, answer: Result<Answer, Silence>) -> Result<Answer, PortError> {
        succeeded(answer, TO_LOOK, || self.doing("ask"))
    }

    fn json<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, PortError> {
        answer.json().map_err(|error| PortError::new(self.doing("ask"), ErrorKind::Unknown, error))
    }
}

/// What went wrong with each of them. One that answers, though not as it should, says more than one that is silent.
fn nobody(doing: String, mut trouble: Vec<(&Server, PortError)>) -> PortError {
    if let Some(spoke) = trouble.iter().position(|(_, error)| error.kind != ErrorKind::Unreachable) {
        return trouble.swap_remove(spoke).1;
    }
    let root = |error: &PortError| {
        let mut cause: &dyn std::error::Error = &*error.source;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    };
    let told = |(server, error): &(&Server, PortError)| match root(error) {
        text if text.starts_with(server.host()) => text,
        text => format!("{}: {text}", server.host()),
    };
    let each: Vec<_> = trouble.iter().map(told).collect();
    let why = if each.is_empty() { "no running instance has an address".to_owned() } else { each.join("; ") };
    PortError::new(doing, ErrorKind::Unreachable, why)
}

/// An answer that is a success, or what follows from its not being one.
pub(super) fn succeeded(
    answer: Result<Answer, Silence>,
    rules: &'static str,
    doing: impl Fn() -> String,
) -> Result<Answer, PortError> {
    let answer = answer.map_err(|silence| PortError::new(doing(), ErrorKind::Unreachable, silence))?;
    match answer.trouble() {
        None => Ok(answer),
        Some(ErrorKind::Denied) => {
            let source = NotEnough { next: rules, source: answer.refused() };
            Err(PortError::new(doing(), ErrorKind::Denied, source))
        }
        Some(kind) => Err(PortError::new(doing(), kind, answer.refused())),
    }
}

/// Servers' certificates are for their address, or as Consul makes them for `server.<datacenter>.consul`.
fn trust(how: &ConsulSpec) -> Trust {
    match how.scheme {
        Scheme::Http => Trust::Plain,
        Scheme::Https => Trust::Tls(Tls {
            ca_file: how.ca_file.clone(),
            own_files: how.client_cert_file.clone().zip(how.client_key_file.clone()),
            shared_name: Some(format!("server.{}.consul", how.datacenter)),
        }),
    }
}
