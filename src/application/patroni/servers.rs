//! Asking: every member for its own word, then one for what the store has. Whatever the members answer, a look ends in time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future;
use serde::de::DeserializeOwned;

use super::read::Answers;
use super::wire::{Cluster, Own, Settings};
use crate::application::bounded::MOST_SERVERS;
use crate::application::costs::Costs;
use crate::application::{heard, trust};
use crate::http::servers::{self, nobody};
use crate::http::{Answer, Http, SETTINGS, Server, Silence, Unusable, secret};
use crate::input::secret::Secret;
use crate::ports::{ErrorKind, PortError, Seat};
use crate::spec::{ClusterSpec, PatroniSpec};

/// The number of members that are asked for what the store has. More would take half a minute, and such a look is too old to
/// act on.
const TRIES: usize = 2;
/// The longest time for one look. An older one is not acted on anyway.
const LOOK: Duration = Duration::from_secs(15);

const OWN: &str = "/patroni";
const CLUSTER: &str = "/cluster";
const CONFIG: &str = "/config";

/// The next step of a user who may not ask.
const NOT_ALLOWED: &str =
    "Patroni asks for a user: give `username` and `passwordFile`, as `restapi.authentication` has them";

/// The members of one cluster, at the seats that are taken.
pub(super) struct Servers {
    /// The words for them, e.g. `the members of Patroni in pg-prod`.
    whom: String,
    scope: String,
    all: servers::Servers,
    costs: Costs,
}

impl Servers {
    /// Reads certificates and password, and asks nobody yet. `Unreachable` if no seat is taken.
    pub(super) fn open(
        http: &Http,
        spec: &ClusterSpec,
        how: &PatroniSpec,
        seats: &[Seat],
        costs: Costs,
    ) -> Result<Self, PortError> {
        let whom = format!("the members of Patroni in {}", spec.name);
        let trust = trust::trust(&how.http, how.http.server_name.clone());
        let all = trust::reach(&whom, &how.http, seats, |bases| {
            let user = how.username.as_ref().zip(how.password_file.as_ref());
            let user = user.map(|(name, path)| basic(name, path)).transpose()?;
            servers::Servers::open(http, &trust, user.map(|secret| ("Authorization", secret)), bases)
        })?;
        Ok(Self { whom, scope: how.scope.clone(), all, costs })
    }

    /// Says what is being done to which members.
    pub(super) fn doing(&self, verb: &str) -> String {
        trust::doing(verb, &self.whom, &self.all)
    }

    /// Finds the member at an address.
    pub(super) fn at(&self, at: IpAddr) -> Option<&Server> {
        self.all.iter().find(|server| server.ip() == Some(at))
    }

    /// Asks for everything that can be known of the members now.
    pub(super) async fn ask(&self) -> Result<Answers, PortError> {
        self.costs.look();
        let late = |_| PortError::new(self.doing("ask"), ErrorKind::Unreachable, "no whole answer came in time");
        let answers = tokio::time::timeout(LOOK, self.asked()).await.map_err(late)??;
        let hosts = answers.own.keys().map(ToString::to_string);
        hosts.filter(|host| self.costs.allow(host)).for_each(|host| self.costs.forgive(&host));
        Ok(Answers { costly: self.costs.all(), ..answers })
    }

    async fn asked(&self) -> Result<Answers, PortError> {
        let own = self.own().await?;
        let leads = own.iter().find(|(_, own)| own.is_primary()).and_then(|(at, _)| self.at(*at));
        let (cluster, settings) = self.store(&own, leads).await?;
        Ok(Answers { scope: self.scope.clone(), own, cluster, settings, costly: BTreeMap::new() })
    }

    /// Asks every member at once for its own word. One that does not answer is left out, unless none does.
    async fn own(&self) -> Result<BTreeMap<IpAddr, Own>, PortError> {
        let allowed = self.all.iter().filter(|server| self.costs.allow(server.host()));
        let asked = allowed.map(|server| async move { (server, self.read(server, OWN).await) });
        let (mut live, mut trouble) = (BTreeMap::new(), Vec::new());
        for (server, own) in future::join_all(asked).await {
            match (own, server.ip()) {
                (Ok(own), Some(at)) => drop(live.insert(at, own)),
                (Ok(_), None) => {}
                (Err(error), _) => trouble.push((server, error)),
            }
        }
        match (live.is_empty(), trouble.is_empty()) {
            (false, _) => Ok(live),
            (true, false) => Err(nobody(&self.doing("ask"), trouble)),
            (true, true) => Err(PortError::new(self.doing("ask"), ErrorKind::Unreachable, self.costs.everybody())),
        }
    }

    /// Asks for what the store has: the leader first. A member of another cluster is not asked.
    async fn store(
        &self,
        own: &BTreeMap<IpAddr, Own>,
        leads: Option<&Server>,
    ) -> Result<(Cluster, Settings), PortError> {
        let ours = own.iter().filter(|(_, own)| own.patroni.scope == self.scope);
        let ours: Vec<_> = ours.filter_map(|(at, _)| self.at(*at)).collect();
        let leads = leads.filter(|leads| ours.iter().any(|server| server.host() == leads.host()));
        let others = ours.iter().copied().filter(|server| leads.is_none_or(|leads| leads.host() != server.host()));
        let mut trouble = Vec::new();
        for server in leads.into_iter().chain(others).filter(|server| self.costs.allow(server.host())).take(TRIES) {
            let (cluster, settings) = future::join(self.listed(server), self.read(server, CONFIG)).await;
            match cluster.and_then(|cluster| Ok((cluster, settings?))) {
                Ok(both) => return Ok(both),
                Err(error) => trouble.push((server, error)),
            }
        }
        let scopes: BTreeSet<_> = own.values().map(|own| own.patroni.scope.as_str()).collect();
        match trouble.is_empty() {
            false => Err(nobody(&self.doing("ask"), trouble)),
            true if ours.is_empty() => {
                let scopes = scopes.into_iter().collect::<Vec<_>>().join(", ");
                let why = format!("nobody is of the scope `{}`: they are of {scopes}; mend `scope`", self.scope);
                Err(PortError::new(self.doing("ask"), ErrorKind::Invalid, why))
            }
            true => Err(PortError::new(self.doing("ask"), ErrorKind::Unreachable, "none says what the store has")),
        }
    }

    async fn listed(&self, server: &Server) -> Result<Cluster, PortError> {
        let cluster: Cluster = self.read(server, CLUSTER).await?;
        if cluster.members.len() > MOST_SERVERS {
            let why = format!("{} lists more than {MOST_SERVERS} members", server.host());
            self.costs.note(server.host(), why.clone());
            return Err(PortError::new(self.doing("ask"), ErrorKind::Unreachable, why));
        }
        Ok(cluster)
    }

    async fn read<T: DeserializeOwned>(&self, server: &Server, path: &str) -> Result<T, PortError> {
        let answer = server.get(path, &[], SETTINGS).await;
        self.costs.watch(server.host(), &answer);
        let doing = self.doing("ask");
        servers::read(&doing, &heard(&doing, answer)?)
    }
}

/// Makes the header of a user with a password.
fn basic(name: &str, path: &str) -> Result<Secret, Unusable> {
    let password = secret(path, "password")?;
    Ok(Secret::new(format!("Basic {}", STANDARD.encode(format!("{name}:{}", password.reveal())))))
}

/// Takes an answer that is a success, or says what follows from a refusal or from silence.
pub(super) fn heard(doing: &str, answer: Result<Answer, Silence>) -> Result<Answer, PortError> {
    heard::heard(doing, answer, NOT_ALLOWED)
}
