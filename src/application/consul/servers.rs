//! Asking: every server who leads, then one for the rest, and another if that one falls silent. Whatever the servers answer,
//! a look ends in time, and has at most one long list in memory.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future;
use serde::de::DeserializeOwned;

use super::read::{Answers, Unusable};
use super::wire::{Agents, Health};
use crate::application::costs::Costs;
use crate::application::trust;
use crate::http::consul;
use crate::http::servers::{self, LastAnswer, nobody};
use crate::http::{Answer, Http, LIST, SETTINGS, Server, Silence};
use crate::ports::{ErrorKind, PortError, Seat};
use crate::spec::{ClusterSpec, ConsulSpec};

/// The number of servers that are asked for the whole picture, and of those asked for their memory. More would take half a minute,
/// and such a look is too old to act on.
const TRIES: usize = 2;
/// The longest time for one look. An older one is not acted on anyway.
const LOOK: Duration = Duration::from_secs(15);
/// The rules that a token needs in order to look.
const TO_LOOK: &str = "`operator = \"read\"` and `node_prefix \"\" { policy = \"read\" }`";

pub(super) const HEALTH: &str = "/v1/operator/autopilot/health";
pub(super) const AUTOPILOT: &str = "/v1/operator/autopilot/configuration";
const RAFT: &str = "/v1/operator/raft/configuration";
const GOSSIP: &str = "/v1/agent/members";
const LEADER: &str = "/v1/status/leader";

/// The servers of one cluster, at the seats that are taken.
pub(super) struct Servers {
    /// The words for them, e.g. `the Consul servers of consul-prod`.
    whom: String,
    all: servers::Servers,
    costs: Costs,
}

impl Servers {
    /// Reads certificates and token, and asks nobody yet. `Unreachable` if no seat is taken.
    pub(super) fn open(
        http: &Http,
        spec: &ClusterSpec,
        how: &ConsulSpec,
        seats: &[Seat],
        costs: Costs,
    ) -> Result<Self, PortError> {
        let whom = format!("the Consul servers of {}", spec.name);
        let shared_name = format!("server.{}.{}", how.datacenter, how.domain.as_deref().unwrap_or("consul"));
        let trust = trust::trust(&how.http, Some(shared_name));
        let open = |bases| consul::open(http, &trust, how.token_file.as_deref(), bases);
        let all = trust::reach(&whom, &how.http, seats, open)?;
        Ok(Self { whom, all, costs })
    }

    /// Says what is being done to which servers.
    pub(super) fn doing(&self, verb: &str) -> String {
        trust::doing(verb, &self.whom, &self.all)
    }

    /// Asks one server after the other until one has an answer of its own.
    pub(super) async fn in_turn(
        &self,
        last: &LastAnswer,
        doing: &str,
        request: impl AsyncFn(&Server) -> Result<Answer, Silence>,
    ) -> Result<Answer, PortError> {
        self.all.in_turn(last, doing, request).await
    }

    /// Asks for everything that can be known of the servers now.
    pub(super) async fn ask(&self) -> Result<Answers, PortError> {
        self.costs.look();
        let late = |_| PortError::new(self.doing("ask"), ErrorKind::Unreachable, "no whole answer came in time");
        let answers = tokio::time::timeout(LOOK, self.asked()).await.map_err(late)??;
        Ok(Answers { costly: self.costs.all(), ..answers })
    }

    async fn asked(&self) -> Result<Answers, PortError> {
        let (mut live, leaders) = self.live().await?;
        live.retain(|server| self.costs.allow(server.host()));
        let mut trouble = None;
        // Where nobody leads, a server keeps whoever asks for the whole picture waiting for a leader.
        let is_led = leaders.iter().any(|(_, leader)| !leader.is_empty());
        for server in live.iter().take(if is_led { TRIES } else { 0 }) {
            match self.whole(server, &leaders).await {
                Ok(answers) => return Ok(answers),
                Err(error) if error.kind == ErrorKind::Unreachable => trouble = Some(error),
                // Another server would answer the same.
                Err(error) => return Err(error),
            }
        }
        let mut remembered = None;
        // Whoever has cost too much in this look is not asked again in it.
        live.retain(|server| self.costs.allow(server.host()));
        for server in live.iter().take(TRIES) {
            match self.leaderless(server, &leaders).await {
                Ok(answers) if answers.raft.servers.is_some() => return Ok(answers),
                Ok(answers) => remembered = Some(answers),
                Err(error) => trouble = Some(error),
            }
        }
        let silent = || PortError::new(self.doing("ask"), ErrorKind::Unreachable, self.all_costly());
        remembered.ok_or_else(|| trouble.unwrap_or_else(silent))
    }

    /// Finds the servers that answer, and whom each sees lead. Servers that see the same as most others come first.
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
            return Err(nobody(&self.doing("ask"), trouble));
        }
        let seen = |wanted: &String| live.iter().filter(|(_, view)| view == wanted).count();
        let mut live: Vec<_> = live.iter().map(|(server, view)| (seen(view), *server, view.clone())).collect();
        live.sort_by_key(|(seen, _, view)| (view.is_empty(), Reverse(*seen)));
        let leaders = live.iter().map(|(_, server, view)| (server.host().to_owned(), view.clone())).collect();
        Ok((live.into_iter().map(|(_, server, _)| server).collect(), leaders))
    }

    /// Picks the leader, if it sits at a known seat; else any server, which will pass on what it is asked.
    pub(super) fn best<'a>(live: &[&'a Server], leaders: &[(String, String)]) -> Option<&'a Server> {
        let (_, view) = leaders.first()?;
        let is_leader = |server: &&&Server| {
            let address = view.parse::<SocketAddr>().ok();
            address.is_some_and(|address| server.host() == address.ip().to_string())
        };
        live.iter().find(is_leader).or_else(|| live.first()).copied()
    }

    async fn view(&self, server: &Server) -> Result<String, PortError> {
        self.json(self.heard(server.glance(LEADER).await)?)
    }

    /// Asks a server for all that it can say while there is a leader, which it asks in turn.
    async fn whole(&self, server: &Server, leaders: &[(String, String)]) -> Result<Answers, PortError> {
        let (health, raft, autopilot, gossip) = future::join4(
            self.get(server, HEALTH, &[], SETTINGS),
            self.get(server, RAFT, &[], SETTINGS),
            self.get(server, AUTOPILOT, &[], SETTINGS),
            self.get(server, GOSSIP, &[], LIST),
        )
        .await;
        let answers = Answers {
            leaders: leaders.to_vec(),
            health: Some(self.health(health)?.servers.unwrap_or_default()),
            raft: self.json(self.heard(raft)?)?,
            autopilot: Some(self.json(self.heard(autopilot)?)?),
            gossip: self.json::<Agents>(self.heard(gossip)?)?.0,
            ..Answers::default()
        };
        self.bounded(server, answers)
    }

    /// Takes a whole answer, unless it names more servers than there can be.
    fn bounded(&self, server: &Server, answers: Answers) -> Result<Answers, PortError> {
        if answers.are_too_many() {
            self.costs.note(server.host(), Unusable::TooMany.to_string());
            return Err(PortError::new(self.doing("ask"), ErrorKind::Unreachable, Unusable::TooMany));
        }
        self.costs.forgive(server.host());
        Ok(answers)
    }

    /// Asks a server for one thing, and notes if its answer costs too much.
    async fn get(&self, server: &Server, path: &str, query: &[(&str, &str)], most: usize) -> Result<Answer, Silence> {
        let answer = server.get(path, query, most).await;
        self.costs.watch(server.host(), &answer);
        answer
    }

    /// Says why nobody was asked for more than a glance, or that nobody has answered.
    fn all_costly(&self) -> String {
        let why: Vec<_> = self.costs.all().into_values().collect();
        match why.is_empty() {
            true => "none gives a whole answer".to_owned(),
            false => format!("none gives a whole answer that does not cost too much: {}", why.join("; ")),
        }
    }

    /// Asks a server for what it remembers while there is no leader. One that has heard no leader since it started, as
    /// before a cluster has formed, will not tell even that.
    async fn leaderless(&self, server: &Server, leaders: &[(String, String)]) -> Result<Answers, PortError> {
        let stale = [("stale", "")];
        let (raft, autopilot, gossip) = future::join3(
            self.get(server, RAFT, &stale, SETTINGS),
            self.get(server, AUTOPILOT, &stale, SETTINGS),
            self.get(server, GOSSIP, &[], LIST),
        )
        .await;
        let known = |answer: Result<Answer, Silence>| {
            let error = |answer: &Answer| answer.trouble() == Some(ErrorKind::Unreachable);
            match answer {
                Ok(answer) if error(&answer) => Ok(None),
                answer => self.heard(answer).map(Some),
            }
        };
        let answers = Answers {
            leaders: leaders.to_vec(),
            health: None,
            raft: known(raft)?.map(|raft| self.json(raft)).transpose()?.unwrap_or_default(),
            autopilot: known(autopilot)?.map(|autopilot| self.json(autopilot)).transpose()?,
            gossip: self.json::<Agents>(self.heard(gossip)?)?.0,
            ..Answers::default()
        };
        self.bounded(server, answers)
    }

    /// Reads autopilot's verdicts. Autopilot answers 429 when any server is unhealthy; newer versions use 429 for too
    /// many requests as well, without the verdicts.
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
        heard(&self.doing("ask"), answer, TO_LOOK)
    }

    fn json<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, PortError> {
        servers::read(&self.doing("ask"), &answer)
    }
}

/// Takes an answer that is a success, or says what follows from a refusal or from silence.
pub(super) fn heard(doing: &str, answer: Result<Answer, Silence>, rules: &str) -> Result<Answer, PortError> {
    let answer = answer.map_err(|silence| PortError::new(doing, ErrorKind::Unreachable, silence))?;
    consul::succeeded(doing, answer, rules)
}
