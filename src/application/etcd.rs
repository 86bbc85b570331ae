//! etcd members: what they say of themselves and of each other, the one thing that is asked of them, and the canary data they
//! keep.
//!
//! Every member is asked for its status over the JSON gateway (`/v3/…`, from 3.4 on); the leader, or another that answers, for
//! the list of the members. `servers` gets the answers, `read` makes one [`Membership`] of them, `alarms` the reasons to hold,
//! `quota` what a person is told; `change` has the verbs, `canary` the data.
//!
//! Absent on purpose: compaction and defragmentation are a person's, and so are members that come for the first time or go for good.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::costs::Costs;
use crate::action::MemberEffect;
use crate::http::Http;
use crate::http::servers::LastAnswer;
use crate::ids::ClusterName;
use crate::observed::Membership;
use crate::ports::{Outcome, PortError, Seat, canary_key};
use crate::spec::{ClusterSpec, EtcdSpec};

mod alarms;
mod canary;
mod change;
mod login;
mod metrics;
mod quota;
mod read;
mod servers;
mod wire;

use login::Token;
use servers::Servers;

/// The etcd members of any number of clusters.
#[derive(Default)]
pub struct Etcd {
    http: Http,
    known: RefCell<BTreeMap<ClusterName, Known>>,
}

/// The things that are remembered of one cluster. Nothing that is decided rests on them.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The token of the user.
    token: Token,
    /// The member that last dealt with canary data.
    answered: LastAnswer,
    /// The members whose answers cost too much.
    costs: Costs,
}

/// The etcd members of one cluster, as reached now.
pub struct Reached<'a> {
    spec: &'a ClusterSpec,
    servers: Servers,
    answered: LastAnswer,
}

impl Etcd {
    /// Reads certificates and password, and asks nobody yet. `Unreachable` if no seat is taken.
    pub fn open<'a>(&self, spec: &'a ClusterSpec, how: &EtcdSpec, seats: &[Seat]) -> Result<Reached<'a>, PortError> {
        let known = self.known.borrow_mut().entry(spec.name.clone()).or_default().clone();
        let servers = Servers::open(&self.http, spec, how, seats, known.token, known.costs)?;
        Ok(Reached { spec, servers, answered: known.answered })
    }
}

impl Reached<'_> {
    /// Asks what the members say now. `Unreachable` if none of them answers.
    pub async fn membership(&self) -> Result<Membership, PortError> {
        Ok(read::membership(self.spec, &self.servers.ask().await?))
    }

    /// Carries out one request.
    pub async fn change(&self, effect: &MemberEffect) -> Result<Outcome, PortError> {
        match effect {
            // A member that is down stays in the list until a person removes it.
            MemberEffect::SetPruning { .. } | MemberEffect::Prepare { .. } => Ok(Outcome::AlreadySo),
            MemberEffect::MoveMember { member, address, .. } => {
                let answers = self.servers.ask().await?;
                let view = self.servers.view(&answers);
                change::move_member(&self.servers, &answers, view, member, *address).await
            }
            MemberEffect::TransferLeadership { from, to } => {
                let answers = self.servers.ask().await?;
                let view = self.servers.view(&answers);
                change::transfer_leadership(&self.servers, &answers, view, from, to).await
            }
        }
    }

    /// Stores an entry, and has it acknowledged.
    pub async fn write_canary(&self, key: &str, value: &str) -> Result<(), PortError> {
        canary_key(key)?;
        canary::write(&self.servers, &self.answered, key, value).await
    }

    /// Reads every entry, consistently.
    pub async fn canaries(&self) -> Result<BTreeMap<String, String>, PortError> {
        canary::all(&self.servers, &self.answered).await
    }
}
