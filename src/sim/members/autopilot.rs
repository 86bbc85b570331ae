//! Consul's autopilot: who is healthy, who is pruned and who gets a vote (raft-autopilot v0.3.0).

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::gossip::Gossip;
use super::raft::{Peer, Raft};
use crate::ids::MemberId;
use crate::sim::pack;
use crate::sim::time::Millis;

/// Autopilot looks at health this often (raft-autopilot `run.go`).
const JUDGE_EVERY: Millis = 2_000;
/// Autopilot prunes and promotes this often.
const RECONCILE_EVERY: Millis = 10_000;
/// A non-voter is promoted when it was healthy for 10 s (`ServerStabilizationTime`).
const STABILIZATION: Millis = 10_000;
/// A server may lie this many entries behind and still be healthy (`MaxTrailingLogs`).
pub(super) const MAX_TRAILING: u64 = 250;

/// The leader's autopilot. A new leader's goes on with the same settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Autopilot {
    /// The opinion of each server of the configuration.
    opinions: LiteMap<MemberId, Opinion>,
    /// The reverse of `CleanupDeadServers`, which is on by default.
    pub cleanup_off: bool,
    pub min_quorum: usize,
    judged: Millis,
    reconciled: Millis,
}

/// The opinion of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Opinion {
    /// The reason why it is unhealthy. None if it is healthy.
    pub ill: Option<String>,
    pub stable_since: Millis,
}

impl Opinion {
    fn of_a_stranger(now: Millis) -> Self {
        Self { ill: Some("not yet judged".to_owned()), stable_since: now }
    }
}

impl Autopilot {
    /// Gets to know a server, of which nothing good is known yet.
    pub fn meet(&mut self, id: &MemberId, now: Millis) {
        self.opinions.insert(id.clone(), Opinion::of_a_stranger(now));
    }

    /// Gives back the memory that is not needed.
    pub fn pack(&mut self) {
        pack::list(&mut self.opinions);
    }

    /// Takes a server for healthy.
    pub fn trust(&mut self, id: &MemberId, now: Millis) {
        self.opinions.insert(id.clone(), Opinion { ill: None, stable_since: now });
    }

    /// Finds the opinion of a server.
    pub fn opinion(&self, id: &MemberId) -> Option<&Opinion> {
        self.opinions.get(id)
    }

    /// Says whether a server is known and healthy.
    pub fn is_healthy(&self, id: &MemberId) -> bool {
        self.opinions.get(id).is_some_and(|opinion| opinion.ill.is_none())
    }

    /// Keeps the phase of its rounds, which go on while nobody looks.
    pub fn skip_quiet_time(&mut self, now: Millis) {
        for (last, period) in [(&mut self.judged, JUDGE_EVERY), (&mut self.reconciled, RECONCILE_EVERY)] {
            if now.saturating_sub(*last) >= 2 * period {
                *last += now.saturating_sub(*last) / period * period;
            }
        }
    }

    /// Begins its timers anew, as a new leader's autopilot does, and looks at everybody.
    pub fn begin(&mut self, raft: &Raft, gossip: &Gossip, now: Millis) {
        self.opinions.iter_mut().for_each(|(_, opinion)| opinion.stable_since = now);
        self.judge(raft, gossip, now);
    }

    /// Does the rounds that are due.
    pub fn go_round(&mut self, raft: &mut Raft, gossip: &Gossip, now: Millis) {
        if now.saturating_sub(self.judged) >= JUDGE_EVERY {
            self.judged += JUDGE_EVERY;
            self.judge(raft, gossip, now);
        }
        if now.saturating_sub(self.reconciled) >= RECONCILE_EVERY {
            self.reconciled += RECONCILE_EVERY;
            self.prune(raft, gossip);
            self.promote(raft, now);
        }
    }

    /// Looks at every server's health.
    fn judge(&mut self, raft: &Raft, gossip: &Gossip, now: Millis) {
        for (id, peer) in &raft.peers {
            let ill = ailment(id, peer, raft, gossip, now);
            let opinion = self.opinions.entry(id.clone()).or_insert_with(|| Opinion::of_a_stranger(now));
            if opinion.ill.is_some() != ill.is_some() {
                opinion.stable_since = now;
            }
            opinion.ill = ill;
        }
    }

    /// Removes failed servers, unless too many would go at once or too few would stay.
    fn prune(&mut self, raft: &mut Raft, gossip: &Gossip) {
        if self.cleanup_off {
            return;
        }
        let voters = raft.voters();
        let failed = raft.peers.iter().filter(|(id, peer)| gossip.has_lost(id, &peer.name));
        let failed: Vec<(MemberId, bool)> = failed.map(|(id, peer)| (id.clone(), peer.voter)).collect();
        let failed_voters = failed.iter().filter(|(_, voter)| *voter).count();
        let allowed = failed_voters <= voters.saturating_sub(1) / 2 && voters - failed_voters >= self.min_quorum;
        for (id, voter) in failed {
            if !voter || allowed {
                raft.peers.remove(&id);
                self.opinions.remove(&id);
            }
        }
    }

    /// Gives a vote to non-voters that have been healthy for long enough.
    fn promote(&self, raft: &mut Raft, now: Millis) {
        for (id, peer) in raft.peers.iter_mut().filter(|(_, peer)| !peer.voter) {
            if let Some(opinion) = self.opinions.get(id).filter(|opinion| opinion.ill.is_none()) {
                peer.voter = now.saturating_sub(opinion.stable_since) >= STABILIZATION;
            }
        }
    }
}

/// Says why autopilot takes a server for unhealthy, if it does.
fn ailment(id: &MemberId, peer: &Peer, raft: &Raft, gossip: &Gossip, now: Millis) -> Option<String> {
    if gossip.has_lost(id, &peer.name) {
        return Some("serf failed".to_owned());
    }
    let Some(process) = raft.processes.get(id).filter(|process| process.joined.is_some()) else {
        return Some("no contact".to_owned());
    };
    let trailing = raft.index(now) - raft.applied(process, now);
    if trailing > MAX_TRAILING {
        return Some(format!("{trailing} entries behind"));
    }
    process.ailment(now)
}
