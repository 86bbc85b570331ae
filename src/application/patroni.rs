//! PostgreSQL under Patroni: what its members say of themselves, what the store says of them, and the one thing that is asked
//! of them, a planned switchover.
//!
//! `servers` gets the answers of the REST API, `read` makes one [`Membership`] of them, `hold` the reasons of Patroni's own to
//! leave all members alone, `change` has the verb.
//!
//! Absent on purpose: `/failover`, `/reinitialize` and `/restart` are a person's, and so are settings. Canary data would be SQL,
//! which nobody speaks here.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::costs::Costs;
use crate::action::MemberEffect;
use crate::http::Http;
use crate::ids::ClusterName;
use crate::observed::Membership;
use crate::ports::{Outcome, PortError, Seat};
use crate::spec::{ClusterSpec, PatroniSpec};

mod change;
mod hold;
mod read;
mod servers;
mod wire;

use servers::Servers;

/// The members of Patroni in any number of clusters.
#[derive(Default)]
pub struct Patroni {
    http: Http,
    /// The members whose answers cost too much. Nothing that is decided rests on them.
    costs: RefCell<BTreeMap<ClusterName, Costs>>,
}

/// The members of one cluster, as reached now.
pub struct Reached<'a> {
    spec: &'a ClusterSpec,
    servers: Servers,
}

impl Patroni {
    /// Reads certificates and password, and asks nobody yet. `Unreachable` if no seat is taken.
    pub fn open<'a>(&self, spec: &'a ClusterSpec, how: &PatroniSpec, seats: &[Seat]) -> Result<Reached<'a>, PortError> {
        let costs = self.costs.borrow_mut().entry(spec.name.clone()).or_default().clone();
        Ok(Reached { spec, servers: Servers::open(&self.http, spec, how, seats, costs)? })
    }
}

impl Reached<'_> {
    /// Asks what the members say now. `Unreachable` if none of them answers, or the store does not.
    pub async fn membership(&self) -> Result<Membership, PortError> {
        Ok(read::membership(self.spec, &self.servers.ask().await?))
    }

    /// Carries out one request.
    pub async fn change(&self, effect: &MemberEffect) -> Result<Outcome, PortError> {
        match effect {
            // A member that is down leaves the list by itself and comes back by itself; there is no quorum to shrink.
            MemberEffect::SetPruning { .. } | MemberEffect::Prepare { .. } | MemberEffect::MoveMember { .. } => {
                Ok(Outcome::AlreadySo)
            }
            MemberEffect::TransferLeadership { from, to } => {
                change::switch_over(&self.servers, &self.servers.ask().await?, from, to).await
            }
        }
    }
}
