//! Asking: every server for everything at once. Whatever the servers answer, a look ends in time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future;
use serde::de::DeserializeOwned;

use super::read::{Answer, Answers, Serving};
use super::wire::{Leads, Monitor, Own, Voting};
use super::words::{self, Said, Trouble};
use crate::application::bounded::MOST_SERVERS;
use crate::application::costs::Costs;
use crate::application::{heard, trust};
use crate::http::servers::{self, nobody};
use crate::http::{Http, SETTINGS, Server};
use crate::ports::{ErrorKind, PortError, Seat};
use crate::spec::{ClusterSpec, ZookeeperSpec};

/// The longest time for one look. An older one is not acted on anyway.
const LOOK: Duration = Duration::from_secs(15);

const OWN: &str = "/commands/zabstate";
const LEADS: &str = "/commands/leader";
const VOTING: &str = "/commands/voting_view";
const MONITOR: &str = "/commands/monitor";

/// The next step of a user who may not ask.
const NOT_ALLOWED: &str =
    "the AdminServer lets nobody ask without a certificate: give `scheme: https`, `clientCertFile` and `clientKeyFile`";

/// The servers of one cluster, at the seats that are taken.
pub(super) struct Servers {
    /// The words for them, e.g. `the ZooKeeper servers of zookeeper-prod`.
    whom: String,
    all: servers::Servers,
    /// The port for clients, where the servers are asked by four-letter words.
    words: Option<u16>,
    costs: Costs,
}

impl Servers {
    /// Reads certificates, and asks nobody yet. `Unreachable` if no seat is taken.
    pub(super) fn open(
        http: &Http,
        spec: &ClusterSpec,
        how: &ZookeeperSpec,
        seats: &[Seat],
        costs: Costs,
    ) -> Result<Self, PortError> {
        let whom = format!("the ZooKeeper servers of {}", spec.name);
        let trust = trust::trust(&how.http, how.http.server_name.clone());
        let all = trust::reach(&whom, &how.http, seats, |bases| servers::Servers::open(http, &trust, None, bases))?;
        let words = how.four_letter_words.then_some(how.http.port);
        Ok(Self { whom, all, words, costs })
    }

    /// Says what is being done to which servers.
    pub(super) fn doing(&self, verb: &str) -> String {
        trust::doing(verb, &self.whom, &self.all)
    }

    /// Asks for everything that can be known of the servers now. One that does not answer is left out, unless none does.
    pub(super) async fn ask(&self) -> Result<Answers, PortError> {
        self.costs.look();
        let late = |_| PortError::new(self.doing("ask"), ErrorKind::Unreachable, "no whole answer came in time");
        let asked = async {
            match self.words {
                None => Ok(Answers { all: self.asked().await?, ..Answers::default() }),
                Some(port) => self.said(port).await,
            }
        };
        let answers = tokio::time::timeout(LOOK, asked).await.map_err(late)??;
        let hosts = answers.all.keys().map(ToString::to_string);
        hosts.filter(|host| self.costs.allow(host)).for_each(|host| self.costs.forgive(&host));
        Ok(Answers { costly: self.costs.all(), ..answers })
    }

    async fn asked(&self) -> Result<BTreeMap<IpAddr, Answer>, PortError> {
        let allowed = self.all.iter().filter(|server| self.costs.allow(server.host()));
        let asked = allowed.map(|server| async move { (server, self.answer(server).await) });
        let (mut live, mut trouble) = (BTreeMap::new(), Vec::new());
        for (server, answer) in future::join_all(asked).await {
            match (answer, server.ip()) {
                (Ok(answer), Some(at)) => drop(live.insert(at, answer)),
                (Ok(_), None) => {}
                (Err(error), _) => trouble.push((server, error)),
            }
        }
        self.unless_nobody(live, trouble)
    }

    /// Asks every server by four-letter words. Whom a server follows none of them tells, so without one leader nobody's place is known.
    async fn said(&self, port: u16) -> Result<Answers, PortError> {
        let allowed = self.all.iter().filter(|server| self.costs.allow(server.host()));
        let asked = allowed.filter_map(|server| Some((server, server.ip()?)));
        let asked = asked.map(|(server, at)| async move { (server, at, words::ask(at, port).await) });
        let (mut live, mut trouble, mut refusing) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        for (server, at, said) in future::join_all(asked).await {
            match said.and_then(|said| few(at, said)) {
                Ok(said) => drop(live.insert(at, said)),
                Err(why) => {
                    let kind = match &why {
                        Trouble::Refused { .. } => ErrorKind::Denied,
                        Trouble::Odd(_) => ErrorKind::Unknown,
                        Trouble::Silent(_) | Trouble::Costly(_) => ErrorKind::Unreachable,
                    };
                    match &why {
                        Trouble::Costly(why) => self.costs.note(server.host(), why.clone()),
                        Trouble::Refused { .. } | Trouble::Odd(_) => drop(refusing.insert(at, why.to_string())),
                        Trouble::Silent(_) => {}
                    }
                    trouble.push((server, PortError::new(self.doing("ask"), kind, why)));
                }
            }
        }
        let live = self.unless_nobody(live, trouble)?;
        let mut ensembles = live.iter().filter_map(|(at, said)| Some((*at, said.ensemble.as_ref()?))).peekable();
        let leader = ensembles.peek().is_some().then(|| words::leader(ensembles));
        let (leader, unclear) = match leader {
            Some(Ok(leader)) => (Some(leader), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        let answer = |said: Said| Answer {
            serving: said.ensemble.zip(leader).map(|(one, leader)| {
                let follows = if one.leads { one.id } else { leader };
                Serving { id: one.id, follows, own: one.own, voters: one.voters }
            }),
            monitor: said.monitor,
        };
        let all = live.into_iter().map(|(at, said)| (at, answer(said))).collect();
        Ok(Answers { all, refusing, unclear, ..Answers::default() })
    }

    /// Gives what servers have answered, or says why none has.
    fn unless_nobody<T>(
        &self,
        live: BTreeMap<IpAddr, T>,
        trouble: Vec<(&Server, PortError)>,
    ) -> Result<BTreeMap<IpAddr, T>, PortError> {
        match (live.is_empty(), trouble.is_empty()) {
            (false, _) => Ok(live),
            (true, false) => Err(nobody(&self.doing("ask"), trouble)),
            (true, true) => Err(PortError::new(self.doing("ask"), ErrorKind::Unreachable, self.costs.everybody())),
        }
    }

    /// Asks one server. A server that serves nobody still says how it stands.
    async fn answer(&self, server: &Server) -> Result<Answer, PortError> {
        let (own, leads) = (self.read::<Own>(server, OWN), self.read::<Leads>(server, LEADS));
        let (voting, monitor) = (self.read::<Voting>(server, VOTING), self.read::<Monitor>(server, MONITOR));
        let (own, leads, voting, monitor) = future::join4(own, leads, voting, monitor).await;
        let (own, leads, voters) = (own?, leads?, voting?.current_config);
        if voters.len() > MOST_SERVERS {
            let why = format!("{} lists more than {MOST_SERVERS} servers", server.host());
            self.costs.note(server.host(), why.clone());
            return Err(PortError::new(self.doing("ask"), ErrorKind::Unreachable, why));
        }
        let serving =
            own.myid.zip(leads.leader_id).map(|(id, follows)| Serving { id, follows, own: own.clone(), voters });
        // A server that serves nobody cannot tell its measures, and answers with an error of its own.
        Ok(Answer { serving, monitor: monitor.ok() })
    }

    async fn read<T: DeserializeOwned>(&self, server: &Server, path: &str) -> Result<T, PortError> {
        let answer = server.get(path, &[], SETTINGS).await;
        self.costs.watch(server.host(), &answer);
        let doing = self.doing("ask");
        servers::read(&doing, &heard::heard(&doing, answer, NOT_ALLOWED)?)
    }
}

/// Refuses an answer with an endless list.
fn few(at: IpAddr, said: Said) -> Result<Said, Trouble> {
    let listed = said.ensemble.as_ref().map_or(0, |one| one.voters.len());
    if listed > MOST_SERVERS {
        return Err(Trouble::Costly(format!("{at} lists more than {MOST_SERVERS} servers")));
    }
    Ok(said)
}
