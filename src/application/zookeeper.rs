//! ZooKeeper servers: what they say of themselves and of each other over the AdminServer, or in four-letter words where that is off.
//! Nothing is asked of them.
//!
//! `servers` gets the answers, `words` those to four-letter words; `read` makes one [`Membership`] of them, `hold` the reasons to leave
//! all servers alone.
//!
//! Absent on purpose: a move of leadership, for which ZooKeeper
//! has no request, so that the leader's stop is an election; `reconfig`, which is a person's; and canary data, which would be
//! ZooKeeper's own protocol.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::costs::Costs;
use crate::action::MemberEffect;
use crate::http::Http;
use crate::ids::ClusterName;
use crate::observed::Membership;
use crate::ports::{ErrorKind, Outcome, PortError, Seat};
use crate::spec::{ClusterSpec, ZookeeperSpec};

mod hold;
mod read;
mod servers;
mod wire;
mod words;

use servers::Servers;

/// The ZooKeeper servers of any number of clusters.
#[derive(Default)]
pub struct Zookeeper {
    http: Http,
    /// The servers whose answers cost too much. Nothing that is decided rests on them.
    costs: RefCell<BTreeMap<ClusterName, Costs>>,
}

/// The servers of one cluster, as reached now.
pub struct Reached<'a> {
    spec: &'a ClusterSpec,
    servers: Servers,
}

impl Zookeeper {
    /// Reads certificates, and asks nobody yet. `Unreachable` if no seat is taken.
    pub fn open<'a>(
        &self,
        spec: &'a ClusterSpec,
        how: &ZookeeperSpec,
        seats: &[Seat],
    ) -> Result<Reached<'a>, PortError> {
        let costs = self.costs.borrow_mut().entry(spec.name.clone()).or_default().clone();
        Ok(Reached { spec, servers: Servers::open(&self.http, spec, how, seats, costs)? })
    }
}

impl Reached<'_> {
    /// Asks what the servers say now. `Unreachable` if none of them answers.
    pub async fn membership(&self) -> Result<Membership, PortError> {
        Ok(read::membership(self.spec, &self.servers.ask().await?))
    }

    /// Refuses what cannot be asked for. Nobody asks for it, because the membership says so.
    pub fn change(&self, effect: &MemberEffect) -> Result<Outcome, PortError> {
        match effect {
            // A server that is down stays in the ensemble until a person takes it out.
            MemberEffect::SetPruning { .. } | MemberEffect::Prepare { .. } | MemberEffect::MoveMember { .. } => {
                Ok(Outcome::AlreadySo)
            }
            MemberEffect::TransferLeadership { .. } => {
                let doing = self.servers.doing("move leadership among");
                Err(PortError::new(doing, ErrorKind::Invalid, "ZooKeeper has no request for it"))
            }
        }
    }
}
