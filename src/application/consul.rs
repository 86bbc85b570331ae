//! Consul servers: what they say of each other, the two things that are asked of them, and the canary data they keep.
//!
//! Every member is asked who leads; one of those that answer is asked for the rest, and the others take its place if it
//! falls silent. `servers` gets the answers, `read` makes one [`Membership`] of them, `change` has the verbs, `canary` the
//! data.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::costs::Costs;
use crate::action::MemberEffect;
use crate::http::Http;
use crate::http::servers::LastAnswer;
use crate::ids::ClusterName;
use crate::observed::Membership;
use crate::ports::{ErrorKind, Outcome, PortError, Seat, canary_key};
use crate::spec::{ClusterSpec, ConsulSpec};

mod canary;
mod change;
mod enterprise;
pub mod read;
mod servers;
pub mod wire;

use read::Answers;
use servers::Servers;

/// The Consul servers of any number of clusters.
#[derive(Default)]
pub struct Consul {
    http: Http,
    /// The clusters, with the version of the leader, that do not offer to move leadership although they should.
    cannot_transfer: RefCell<BTreeSet<(ClusterName, String)>>,
    /// The server of each cluster that last dealt with canary data.
    answered: RefCell<BTreeMap<ClusterName, LastAnswer>>,
    /// The servers of each cluster whose answers cost too much.
    costs: RefCell<BTreeMap<ClusterName, Costs>>,
}

/// The Consul servers of one cluster, as reached now.
pub struct Reached<'a> {
    consul: &'a Consul,
    spec: &'a ClusterSpec,
    how: &'a ConsulSpec,
    servers: Servers,
}

impl Consul {
    /// Reads certificates and token, and asks nobody yet. `Unreachable` if no seat is taken.
    pub fn open<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        how: &'a ConsulSpec,
        seats: &[Seat],
    ) -> Result<Reached<'a>, PortError> {
        let costs = self.costs.borrow_mut().entry(spec.name.clone()).or_default().clone();
        Ok(Reached { consul: self, spec, how, servers: Servers::open(&self.http, spec, how, seats, costs)? })
    }
}

impl Reached<'_> {
    /// Asks what the servers say of each other now. `Unreachable` if none of them answers; `Denied` if the token may not
    /// see what is needed, with the rule to add.
    pub async fn membership(&self) -> Result<Membership, PortError> {
        let answers = self.servers.ask().await?;
        let mut membership = read::membership(self.spec, self.how, &answers).map_err(|unusable| {
            let kind = match unusable {
                read::Unusable::NothingToSee => ErrorKind::Denied,
                read::Unusable::OtherDatacenter { .. } | read::Unusable::TooMany => ErrorKind::Invalid,
            };
            PortError::new(self.servers.doing("ask"), kind, unusable)
        })?;
        membership.can_transfer &= !self.has_refused(&answers);
        Ok(membership)
    }

    /// Carries out one request.
    pub async fn change(&self, effect: &MemberEffect) -> Result<Outcome, PortError> {
        match effect {
            MemberEffect::Prepare { .. } | MemberEffect::MoveMember { .. } => Ok(Outcome::AlreadySo),
            MemberEffect::SetPruning { down_to } => change::set_pruning(&self.servers, *down_to).await,
            MemberEffect::TransferLeadership { from, to } => {
                let answers = self.servers.ask().await?;
                let outcome = change::transfer_leadership(&self.servers, &answers, from, to).await?;
                Ok(outcome.unwrap_or_else(|| self.note_refusal(&answers)))
            }
        }
    }

    /// Stores an entry, and has it acknowledged. `Denied` if the token may not, with the rule to add.
    pub async fn write_canary(&self, key: &str, value: &str) -> Result<(), PortError> {
        canary_key(key)?;
        canary::write(&self.servers, &self.last_answer(), key, value).await
    }

    /// Reads every entry, consistently.
    pub async fn canaries(&self) -> Result<BTreeMap<String, String>, PortError> {
        canary::all(&self.servers, &self.last_answer()).await
    }

    fn last_answer(&self) -> LastAnswer {
        self.consul.answered.borrow_mut().entry(self.spec.name.clone()).or_default().clone()
    }

    /// Remembers that servers of the leader's version do not know how to move leadership.
    fn note_refusal(&self, answers: &Answers) -> Outcome {
        let version = read::leader_version(answers).unwrap_or_default();
        self.consul.cannot_transfer.borrow_mut().insert((self.spec.name.clone(), version.to_owned()));
        let expected = "servers that offer to move leadership".to_owned();
        Outcome::Changed { expected, found: format!("version {version}, which does not") }
    }

    /// Says whether a server of this version has answered that it does not know how to move leadership.
    fn has_refused(&self, answers: &Answers) -> bool {
        let name = &self.spec.name;
        let known = |version: &str| self.consul.cannot_transfer.borrow().contains(&(name.clone(), version.to_owned()));
        read::leader_version(answers).is_some_and(known)
    }
}
