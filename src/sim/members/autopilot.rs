//! Autopilot: who is healthy, who is pruned and who gets a vote (raft-autopilot v0.3.0).

use std::collections::BTreeMap;

use super::consul::{Consul, Opinion};
use crate::ids::MemberId;
use crate::sim::time::Millis;

/// A non-voter is promoted when it was healthy for 10 s (`ServerStabilizationTime`).
const STABILIZATION: Millis = 10_000;
/// A server may lie this many entries behind and still be healthy (`MaxTrailingLogs`).
pub(super) const MAX_TRAILING: u64 = 250;

impl Consul {
    /// Looks at every server's health.
    pub(super) fn judge(&mut self, now: Millis) {
        let index = self.raft.index(now);
        let verdicts: BTreeMap<MemberId, Option<String>> =
            self.raft.peers.keys().map(|id| (id.clone(), self.verdict(id, index, now))).collect();
        for (id, ill) in verdicts {
            let opinion = self.opinions.entry(id).or_insert_with(|| Opinion::of_a_stranger(now));
            if opinion.ill.is_some() != ill.is_some() {
                opinion.stable_since = now;
            }
            opinion.ill = ill;
        }
    }

    /// Says why autopilot takes a server for unhealthy, if it does.
    fn verdict(&self, id: &MemberId, index: u64, now: Millis) -> Option<String> {
        if self.has_failed(id, now) {
            return Some("serf failed".to_owned());
        }
        let Some(process) = self.raft.processes.get(id).filter(|process| process.joined.is_some()) else {
            return Some("no contact".to_owned());
        };
        let trailing = index - self.raft.applied(process, now);
        if trailing > MAX_TRAILING {
            return Some(format!("{trailing} entries behind"));
        }
        process.ailment(now)
    }

    /// Says whether gossip has lost a server, or knows another one by its name.
    fn has_failed(&self, id: &MemberId, now: Millis) -> bool {
        let name = self.raft.peers.get(id).map(|peer| &peer.name);
        let gossip = name.and_then(|name| self.gossip.get(name)).filter(|gossip| gossip.member == *id);
        gossip.is_none_or(|gossip| gossip.failed_since.is_some_and(|since| since <= now))
    }

    /// Removes failed servers, unless too many would go at once or too few would stay.
    pub(super) fn prune(&mut self, now: Millis) {
        if self.cleanup_off {
            return;
        }
        let voters = self.raft.voters();
        let failed: Vec<(MemberId, bool)> = self
            .raft
            .peers
            .iter()
            .filter(|(id, _)| self.has_failed(id, now))
            .map(|(id, peer)| (id.clone(), peer.voter))
            .collect();
        let failed_voters = failed.iter().filter(|(_, voter)| *voter).count();
        let allowed = failed_voters <= voters.saturating_sub(1) / 2 && voters - failed_voters >= self.min_quorum;
        for (id, voter) in failed {
            if !voter || allowed {
                self.raft.peers.remove(&id);
                self.opinions.remove(&id);
            }
        }
    }

    /// Gives a vote to non-voters that have been healthy for long enough.
    pub(super) fn promote(&mut self, now: Millis) {
        for (id, peer) in self.raft.peers.iter_mut().filter(|(_, peer)| !peer.voter) {
            if let Some(opinion) = self.opinions.get(id).filter(|opinion| opinion.ill.is_none()) {
                peer.voter = now - opinion.stable_since >= STABILIZATION;
            }
        }
    }
}
