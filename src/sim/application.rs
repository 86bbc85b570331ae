//! The application as a healthy adapter would see it, and when it moves.

use std::time::Duration;

use super::consul::{self, Consul, Server};
use super::records::{Cluster, Declared};
use super::truth::{EPOCH, Tick, Truth};
use crate::action::MemberEffect;
use crate::ids::{ClusterName, MemberId};
use crate::observed::{Health, Member, Membership, Pruning};
use crate::ports::{ErrorKind, Outcome, Seat};
use crate::time::after;

use super::calls::{Refusal, changed};

impl Truth {
    /// Lets a cluster's application look around now, and again when it must.
    pub(super) fn stir(&mut self, name: &ClusterName) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        let due = cluster.consul.step(now, &mut self.rng);
        let sooner = due.filter(|due| cluster.consul.next.is_none_or(|next| next <= now || *due < next));
        if let Some(due) = sooner {
            cluster.consul.next = Some(due);
            self.schedule(due - now, Tick::Consul(name.clone()));
        }
        self.watch_members(name);
    }

    pub(super) fn consul_due(&mut self, name: &ClusterName) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        if cluster.consul.next == Some(now) {
            cluster.consul.next = None;
            self.stir(name);
        }
    }

    /// What the members say, if any of them can be reached at a seat.
    pub(super) fn membership(&self, name: &ClusterName, seats: &[Seat]) -> Result<Membership, Refusal> {
        let cluster = self.reached(name, seats)?;
        Ok(cluster.consul.describe(&cluster.declared, self.now))
    }

    /// The cluster, if any of its members can be reached at a seat.
    pub(super) fn reached(&self, name: &ClusterName, seats: &[Seat]) -> Result<&Cluster, Refusal> {
        let answers = |cluster: &&Cluster| {
            let sits = |seat: &Seat| {
                let mut processes = cluster.consul.processes.values();
                processes.any(|process| process.address == seat.address && process.instance == seat.instance)
            };
            cluster.unreachable_until <= self.now && seats.iter().any(sits)
        };
        self.clusters.get(name).filter(answers).ok_or_else(|| Refusal::new(ErrorKind::Unreachable, "no member answers"))
    }

    /// Carries out a request to the application.
    pub(super) fn change_member(
        &mut self,
        name: &ClusterName,
        seats: &[Seat],
        effect: &MemberEffect,
    ) -> Result<Outcome, Refusal> {
        self.reached(name, seats)?;
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(name) else {
            return Err(Refusal::new(ErrorKind::Unreachable, "no member answers"));
        };
        let Some(leader) = cluster.consul.leader.clone() else {
            return Err(Refusal::new(ErrorKind::Unreachable, "no cluster leader"));
        };
        let outcome = match effect {
            MemberEffect::TransferLeadership { to, .. } if *to == leader => Outcome::AlreadySo,
            MemberEffect::TransferLeadership { from, .. } if *from != leader => {
                changed(format!("{from} leads"), format!("{leader} leads"))
            }
            MemberEffect::TransferLeadership { .. } if !cluster.consul.can_transfer() => {
                return Err(Refusal::new(ErrorKind::Invalid, "404: this version does not offer it"));
            }
            MemberEffect::TransferLeadership { to, .. } if !cluster.consul.can_lead(to) => {
                changed(format!("{to} is a healthy voter"), "it is not".to_owned())
            }
            MemberEffect::TransferLeadership { to, .. } => {
                cluster.consul.hand_over(to.clone(), now, &mut self.rng);
                Outcome::Done
            }
            MemberEffect::SetPruning { down_to } if cluster.consul.min_quorum == *down_to => Outcome::AlreadySo,
            MemberEffect::SetPruning { down_to } => {
                cluster.consul.min_quorum = *down_to;
                Outcome::Done
            }
        };
        self.stir(name);
        Ok(outcome)
    }
}

impl Consul {
    fn can_transfer(&self) -> bool {
        let leader = self.leader.as_ref().and_then(|id| self.processes.get(id));
        let any = leader.or_else(|| self.processes.values().next());
        any.is_some_and(|process| consul::at_least(&process.version, 1, 15))
    }

    fn can_lead(&self, id: &MemberId) -> bool {
        self.servers.get(id).is_some_and(|server| server.voter && server.ill.is_none())
            && self.processes.contains_key(id)
    }

    fn describe(&self, declared: &Declared, now: u64) -> Membership {
        let leader = self.leader.clone();
        let members = self.servers.iter().map(|(id, server)| self.describe_one(id, server, declared, now)).collect();
        let pruning = if self.cleanup_off { Pruning::Never } else { Pruning::DownTo(self.min_quorum) };
        Membership { members, leader, can_transfer: self.can_transfer(), pruning }
    }

    fn describe_one(&self, id: &MemberId, server: &Server, declared: &Declared, now: u64) -> Member {
        let process = self.processes.get(id);
        let health = match (&self.leader, &server.ill) {
            (None, _) => Health::Unknown("no leader to ask".to_owned()),
            (Some(_), None) => Health::Healthy,
            (Some(_), Some(why)) => Health::Unhealthy(why.clone()),
        };
        let known = self.leader.as_ref().and(process);
        Member {
            id: id.clone(),
            slot: declared.slots.contains_key(&server.name).then(|| server.name.clone()),
            address: Some(server.address),
            voter: server.voter,
            health,
            stable_since: Some(after(EPOCH, Duration::from_millis(server.stable_since))),
            lag: known.map(|process| self.index(now) - self.applied(process, now)),
            version: process.map(|process| process.version.clone()),
        }
    }
}
