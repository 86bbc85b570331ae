//! Consul servers: what they say of each other, the two things that are asked of them, and the canary data they keep.
//!
//! Every member is asked who leads; one of those that answer is asked for the rest, and the others take its place if it
//! falls silent. `read` makes one [`Membership`] of the answers, `servers` gets them, `change` is about the verbs, `canary` about the
//! data.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::action::MemberEffect;
use crate::ids::ClusterName;
use crate::observed::Membership;
use crate::ports::{ErrorKind, Outcome, PortError, Seat, canary_key};
use crate::spec::{ClusterSpec, ConsulSpec};

mod canary;
mod change;
mod read;
mod servers;
mod wire;

use crate::http::Http;
use read::Answers;
use servers::Servers;

/// The Consul servers of any number of clusters.
#[derive(Default)]
pub struct Consul {
    http: Http,
    /// The clusters, with the version of the leader, that do not offer to move leadership although they should.
    cannot_transfer: RefCell<BTreeSet<(ClusterName, String)>>,
    /// The server of each cluster that last dealt with canary data.
    answered: RefCell<BTreeMap<ClusterName, String>>,
}

impl Consul {
    /// What the servers say of each other now. `Unreachable` if none of them answers; `Denied` if the token may not see
    /// what is needed, with the rule to add.
    pub async fn membership(
        &self,
        spec: &ClusterSpec,
        how: &ConsulSpec,
        seats: &[Seat],
    ) -> Result<Membership, PortError> {
        let servers = Servers::open(&self.http, spec, how, seats)?;
        let answers = servers.ask().await?;
        let mut membership = read::membership(spec, how, &answers).map_err(|unusable| {
            let kind = match unusable {
                read::Unusable::NothingToSee => ErrorKind::Denied,
                read::Unusable::OtherDatacenter { .. } => ErrorKind::Invalid,
            };
            PortError::new(servers.doing("ask"), kind, unusable)
        })?;
        membership.can_transfer &= !self.has_refused(spec, &answers);
        Ok(membership)
    }

    /// Carries out one request.
    pub async fn change(
        &self,
        spec: &ClusterSpec,
        how: &ConsulSpec,
        seats: &[Seat],
        effect: &MemberEffect,
    ) -> Result<Outcome, PortError> {
        let servers = Servers::open(&self.http, spec, how, seats)?;
        match effect {
            MemberEffect::SetPruning { down_to } => change::set_pruning(&servers, *down_to).await,
            MemberEffect::TransferLeadership { from, to } => {
                let answers = servers.ask().await?;
                let outcome = change::transfer_leadership(&servers, &answers, from, to).await?;
                Ok(outcome.unwrap_or_else(|| {
                    let version = read::leader_version(&answers).unwrap_or_default();
                    self.cannot_transfer.borrow_mut().insert((spec.name.clone(), version.to_owned()));
                    let expected = "servers that offer to move leadership".to_owned();
                    Outcome::Changed { expected, found: format!("version {version}, which does not") }
                }))
            }
        }
    }

    /// Stores an entry, and has it acknowledged. `Denied` if the token may not, with the rule to add.
    pub async fn write_canary(
        &self,
        spec: &ClusterSpec,
        how: &ConsulSpec,
        seats: &[Seat],
        key: &str,
        value: &str,
    ) -> Result<(), PortError> {
        canary_key(key)?;
        let servers = self.canary_servers(spec, how, seats)?;
        let from = canary::write(&servers, key, value).await?;
        self.answered.borrow_mut().insert(spec.name.clone(), from);
        Ok(())
    }

    /// Every entry, from a consistent read.
    pub async fn canaries(
        &self,
        spec: &ClusterSpec,
        how: &ConsulSpec,
        seats: &[Seat],
    ) -> Result<BTreeMap<String, String>, PortError> {
        let servers = self.canary_servers(spec, how, seats)?;
        let (from, found) = canary::all(&servers).await?;
        self.answered.borrow_mut().insert(spec.name.clone(), from);
        Ok(found)
    }

    /// The servers, with the one first that answered last: one that hangs should not hold up every write anew.
    fn canary_servers(&self, spec: &ClusterSpec, how: &ConsulSpec, seats: &[Seat]) -> Result<Servers, PortError> {
        let mut servers = Servers::open(&self.http, spec, how, seats)?;
        if let Some(host) = self.answered.borrow().get(&spec.name) {
            servers.prefer(host);
        }
        Ok(servers)
    }

    /// A server of this version has answered that it does not know how to move leadership.
    fn has_refused(&self, spec: &ClusterSpec, answers: &Answers) -> bool {
        let known = |version: &str| self.cannot_transfer.borrow().contains(&(spec.name.clone(), version.to_owned()));
        read::leader_version(answers).is_some_and(known)
    }
}
