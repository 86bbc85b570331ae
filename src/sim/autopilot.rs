//! Autopilot: who is healthy, who is pruned and who gets a vote (raft-autopilot v0.3.0).

use std::collections::BTreeMap;

use super::consul::{Consul, Server};
use super::truth::Millis;
use crate::ids::MemberId;

/// A non-voter is promoted when it was healthy for so long (`ServerStabilizationTime`).
const STABILIZATION: Millis = 10_000;
/// A server may lie so many entries behind and still be healthy (`MaxTrailingLogs`).
pub(super) const MAX_TRAILING: u64 = 250;

impl Consul {
    /// Looks at every server's health.
    pub(super) fn judge(&mut self, now: Millis) {
        let index = self.index(now);
        let mut verdicts = BTreeMap::new();
        for (id, server) in &self.servers {
            verdicts.insert(id.clone(), self.verdict(id, server, index, now));
        }
        for (id, ill) in verdicts {
            let Some(server) = self.servers.get_mut(&id) else { continue };
            if server.ill.is_some() != ill.is_some() {
                server.stable_since = now;
            }
            server.ill = ill;
        }
    }

    /// Autopilot's predicate (raft-autopilot v0.3.0).
    fn verdict(&self, id: &MemberId, server: &Server, index: u64, now: Millis) -> Option<String> {
        let gossip = self.gossip.get(&server.name).filter(|gossip| gossip.member == *id);
        if gossip.is_none_or(|gossip| gossip.failed_since.is_some()) {
            return Some("serf failed".to_owned());
        }
        let Some(process) = self.processes.get(id).filter(|process| process.joined.is_some()) else {
            return Some("no contact".to_owned());
        };
        let trailing = index - self.applied(process, now);
        if trailing > MAX_TRAILING {
            return Some(format!("{trailing} entries behind"));
        }
        process.ailment(now)
    }

    /// Removes failed servers, unless too many would go at once or too few would stay.
    pub(super) fn prune(&mut self, now: Millis) {
        if self.cleanup_off {
            return;
        }
        let voters = self.servers.values().filter(|server| server.voter).count();
        let gone = |id: &MemberId, server: &Server| {
            let gossip = self.gossip.get(&server.name).filter(|gossip| gossip.member == *id);
            gossip.is_none_or(|gossip| gossip.failed_since.is_some_and(|since| since <= now))
        };
        let failed: Vec<(MemberId, bool)> =
            self.servers.iter().filter(|(id, s)| gone(id, s)).map(|(id, s)| (id.clone(), s.voter)).collect();
        let failed_voters = failed.iter().filter(|(_, voter)| *voter).count();
        let allowed = failed_voters <= voters.saturating_sub(1) / 2 && voters - failed_voters >= self.min_quorum;
        for (id, voter) in failed {
            if !voter || allowed {
                self.servers.remove(&id);
            }
        }
    }

    /// Non-voters that have been healthy for long enough get a vote.
    pub(super) fn promote(&mut self, now: Millis) {
        for server in self.servers.values_mut().filter(|server| !server.voter && server.ill.is_none()) {
            server.voter = now - server.stable_since >= STABILIZATION;
        }
    }
}
