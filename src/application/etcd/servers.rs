//! Asking: every member for its status, then one for the list, and the leader for whom it reaches. Whatever the members answer,
//! a look ends in time, and has at most one long list in memory.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future;
use serde_json::{Value, json};

use super::login::{Login, Token};
use super::metrics;
use super::read::{self, Answers, View};
use super::wire::{List, Listed, Status, Version};
use crate::application::bounded::MOST_SERVERS;
use crate::application::costs::Costs;
use crate::application::{heard, trust};
use crate::http::servers::{self, LastAnswer, nobody};
use crate::http::{Answer, Http, Refused, SETTINGS, Server, Silence, secret};
use crate::ports::{ErrorKind, PortError, Seat};
use crate::spec::{ClusterSpec, EtcdSpec};

/// The number of members that are asked for the list. More would take half a minute, and such a look is too old to act on.
const TRIES: usize = 2;
/// The longest time for one look. An older one is not acted on anyway.
const LOOK: Duration = Duration::from_secs(15);
/// The longest metrics that are read, in bytes. Real ones have 160 KB.
const METRICS: usize = 2 << 20;

const STATUS: &str = "/v3/maintenance/status";
const VERSION: &str = "/version";
const MEMBERS: &str = "/v3/cluster/member/list";

/// The beginning of a member's refusal of a certificate with a common name, where it has users and asks clients for certificates: over
/// the gateway that name would be nobody's.
const COMMON_NAME: &str = "CommonName of client";

/// The next step of a user who may not ask.
const NOT_ALLOWED: &str =
    "the user may not do that: grant it the role `root`, or log in as another with `username` and `passwordFile`";

/// The members of one cluster, at the seats that are taken.
pub(super) struct Servers {
    /// The words for them, e.g. `the etcd members of etcd-prod`.
    whom: String,
    declared: usize,
    all: servers::Servers,
    login: Login,
    costs: Costs,
}

impl Servers {
    /// Reads certificates and password, and asks nobody yet. `Unreachable` if no seat is taken.
    pub(super) fn open(
        http: &Http,
        spec: &ClusterSpec,
        how: &EtcdSpec,
        seats: &[Seat],
        token: Token,
        costs: Costs,
    ) -> Result<Self, PortError> {
        let whom = format!("the etcd members of {}", spec.name);
        let trust = trust::trust(&how.http, how.http.server_name.clone());
        let all = trust::reach(&whom, &how.http, seats, |bases| servers::Servers::open(http, &trust, None, bases))?;
        let user = how.username.as_ref().zip(how.password_file.as_ref());
        let user = user.map(|(name, path)| Ok((name.clone(), secret(path, "password")?))).transpose();
        let user = user.map_err(|error| trust::unusable(&whom, error))?;
        let declared = spec.slots.len();
        Ok(Self { whom, declared, all, login: Login { user, token }, costs })
    }

    /// Says what is being done to which members.
    pub(super) fn doing(&self, verb: &str) -> String {
        trust::doing(verb, &self.whom, &self.all)
    }

    /// Asks one member after the other until one has an answer of its own.
    pub(super) async fn in_turn(
        &self,
        last: &LastAnswer,
        doing: &str,
        request: impl AsyncFn(&Server) -> Result<Answer, Silence>,
    ) -> Result<Answer, PortError> {
        self.all.in_turn(last, doing, request).await
    }

    /// Sends a request to one member, as the user if it asks for one.
    pub(super) async fn post(&self, server: &Server, path: &str, body: &Value, most: usize) -> Result<Answer, Silence> {
        self.login.post(server, path, body, most).await
    }

    /// Finds the member that leads, if it was asked at a known seat.
    pub(super) fn leader(&self, answers: &Answers, view: View) -> Option<&Server> {
        let leads = |(_, status): &&(IpAddr, Status)| status.header.member_id == view.leader;
        let (at, _) = answers.statuses.iter().find(leads)?;
        self.all.iter().find(|server| server.ip() == Some(*at))
    }

    /// Finds the view that enough of the members share.
    pub(super) fn view(&self, answers: &Answers) -> Result<View, String> {
        read::view(self.declared, &answers.statuses)
    }

    /// Asks for everything that can be known of the members now.
    pub(super) async fn ask(&self) -> Result<Answers, PortError> {
        self.costs.look();
        let late = |_| PortError::new(self.doing("ask"), ErrorKind::Unreachable, "no whole answer came in time");
        let answers = tokio::time::timeout(LOOK, self.asked()).await.map_err(late)??;
        self.forgive(&answers);
        Ok(Answers { costly: self.costs.all(), ..answers })
    }

    /// Notes who has answered all that was asked in this look. Whoever has cost too much in it is not allowed any more.
    fn forgive(&self, answers: &Answers) {
        let hosts = answers.statuses.iter().map(|(at, _)| at.to_string());
        hosts.filter(|host| self.costs.allow(host)).for_each(|host| self.costs.forgive(&host));
    }

    async fn asked(&self) -> Result<Answers, PortError> {
        let (statuses, versions) = self.statuses().await?;
        let mut answers = Answers { statuses, versions, ..Answers::default() };
        let view = self.view(&answers);
        let leader = view.as_ref().ok().and_then(|view| self.leader(&answers, *view));
        let (members, metrics) = future::join(self.list(&answers, &view, leader), self.metrics(leader)).await;
        answers.members = members?;
        if let Some(metrics) = metrics {
            (answers.reached, answers.quota) = (metrics::reached(&metrics), metrics::quota(&metrics));
        }
        Ok(answers)
    }

    /// Asks every member at once for its status, and for the version that the members have agreed on. One that does not answer
    /// is left out, unless none does.
    async fn statuses(&self) -> Result<(Vec<(IpAddr, Status)>, Vec<(IpAddr, String)>), PortError> {
        let allowed = self.all.iter().filter(|server| self.costs.allow(server.host()));
        let asked = allowed.map(|server| async move {
            (server, future::join(self.status(server), self.agreed_version(server)).await)
        });
        let (mut live, mut versions, mut trouble) = (Vec::new(), Vec::new(), Vec::new());
        for (server, (status, version)) in future::join_all(asked).await {
            let Some(at) = server.ip() else { continue };
            versions.extend(version.map(|version| (at, version)));
            match status {
                Ok(status) => live.push((at, status)),
                Err(error) => trouble.push((server, error)),
            }
        }
        match (live.is_empty(), trouble.is_empty()) {
            (false, _) => Ok((live, versions)),
            (true, false) => Err(nobody(&self.doing("ask"), trouble)),
            (true, true) => Err(PortError::new(self.doing("ask"), ErrorKind::Unreachable, self.costs.everybody())),
        }
    }

    async fn agreed_version(&self, server: &Server) -> Option<String> {
        let answer = server.glance(VERSION).await;
        self.costs.watch(server.host(), &answer);
        let answer = answer.ok().filter(|answer| answer.trouble().is_none())?;
        answer.json::<Version>().ok().map(|version| version.etcdcluster)
    }

    async fn status(&self, server: &Server) -> Result<Status, PortError> {
        let answer = server.glance_json(STATUS, &json!({})).await;
        self.costs.watch(server.host(), &answer);
        let doing = self.doing("ask");
        servers::read(&doing, &heard(&doing, answer)?)
    }

    /// Asks for the list: the leader first, which has to hear from a quorum before it answers; without a leader anybody, who
    /// tells what it remembers.
    async fn list(
        &self,
        answers: &Answers,
        view: &Result<View, String>,
        leader: Option<&Server>,
    ) -> Result<Vec<Listed>, PortError> {
        let cluster = |status: &Status| status.header.cluster_id;
        let share = |of: u64| answers.statuses.iter().filter(|(_, status)| cluster(status) == of).count();
        let mut others: Vec<_> = answers.statuses.iter().collect();
        others.sort_by_key(|(_, status)| Reverse(share(cluster(status))));
        let others = others
            .into_iter()
            .filter(|(_, status)| view.as_ref().is_ok_and(|v| v.cluster == cluster(status)) || view.is_err());
        let others = others.filter_map(|(at, _)| self.all.iter().find(|server| server.ip() == Some(*at)));
        let others = others.filter(|server| leader.is_none_or(|leader| leader.host() != server.host()));
        let mut trouble = Vec::new();
        for server in leader.into_iter().chain(others).filter(|server| self.costs.allow(server.host())).take(TRIES) {
            match self.listed(server, view.is_ok()).await {
                Ok(listed) => return Ok(listed),
                Err(error) => trouble.push((server, error)),
            }
        }
        match trouble.is_empty() {
            false => Err(nobody(&self.doing("ask"), trouble)),
            true => Err(PortError::new(self.doing("ask"), ErrorKind::Unreachable, "none gives a list of the members")),
        }
    }

    async fn listed(&self, server: &Server, linearizable: bool) -> Result<Vec<Listed>, PortError> {
        let answer = self.post(server, MEMBERS, &json!({ "linearizable": linearizable }), SETTINGS).await;
        self.costs.watch(server.host(), &answer);
        let doing = self.doing("ask");
        let list: List = servers::read(&doing, &heard(&doing, answer)?)?;
        let unreachable = |why: String| Err(PortError::new(&*doing, ErrorKind::Unreachable, why));
        if list.members.is_empty() {
            return unreachable(format!("{} lists no member", server.host()));
        }
        if list.members.len() > MOST_SERVERS {
            let why = format!("{} lists more than {MOST_SERVERS} members", server.host());
            self.costs.note(server.host(), why.clone());
            return unreachable(why);
        }
        Ok(list.members)
    }

    /// Asks the leader for its metrics. Where it does not give them, nothing is known of whom it reaches.
    async fn metrics(&self, leader: Option<&Server>) -> Option<String> {
        let leader = leader.filter(|leader| self.costs.allow(leader.host()))?;
        let answer = leader.get("/metrics", &[], METRICS).await;
        self.costs.watch(leader.host(), &answer);
        Some(answer.ok().filter(|answer| answer.trouble().is_none())?.text().into_owned())
    }
}

/// A refusal of our certificate, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("members with users take no certificate that names somebody: issue `clientCertFile` without a common name")]
struct Named {
    source: Refused,
}

/// Takes an answer that is a success, or says what follows from a refusal or from silence.
pub(super) fn heard(doing: &str, answer: Result<Answer, Silence>) -> Result<Answer, PortError> {
    match answer {
        Ok(answer) if answer.status == 400 && answer.text().starts_with(COMMON_NAME) => {
            Err(PortError::new(doing, ErrorKind::Invalid, Named { source: answer.refused() }))
        }
        answer => heard::heard(doing, answer, NOT_ALLOWED),
    }
}
