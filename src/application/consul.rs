//! Consul servers: what they say of each other, and the two things that are asked of them.
//!
//! Every member is asked who leads; one of those that answer is asked for the rest, and the others take its place if it
//! falls silent. `read` makes one [`Membership`] of the answers, `servers` gets them, `change` is about the verbs.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::action::MemberEffect;
use crate::ids::ClusterName;
use crate::observed::Membership;
use crate::ports::{ErrorKind, Outcome, PortError, Seat};
use crate::spec::{ClusterSpec, ConsulSpec};

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

    /// A server of this version has answered that it does not know how to move leadership.
    fn has_refused(&self, spec: &ClusterSpec, answers: &Answers) -> bool {
        let known = |version: &str| self.cannot_transfer.borrow().contains(&(spec.name.clone(), version.to_owned()));
        read::leader_version(answers).is_some_and(known)
    }
}
