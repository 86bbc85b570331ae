//! Members as the adapter of Consul reads them: from the JSON that each simulated server answers, and not from the world's records.

use std::net::IpAddr;
use std::rc::Rc;

use serde::de::DeserializeOwned;

use hermitcrab::action::MemberEffect;
use hermitcrab::application::consul::read::{self, Answers};
use hermitcrab::application::consul::wire::{Agents, Autopilot, Gossip, Health, Raft};
use hermitcrab::observed::Membership;
use hermitcrab::ports::{ErrorKind, Members, Outcome, PortError, Seat};
use hermitcrab::sim::World;
use hermitcrab::sim::wire::Wire;
use hermitcrab::spec::{ApplicationSpec, ClusterSpec};

/// The members of a world. What is asked of them takes its time and fails as through the world's own port.
pub struct FromJson {
    pub world: World,
    pub wire: Rc<Wire>,
}

impl Members for FromJson {
    async fn membership(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<Membership, PortError> {
        let known = self.world.membership(spec, seats).await?;
        let ApplicationSpec::Consul(how) = &spec.application else { return Ok(known) };
        let answers = self.ask(seats).ok_or_else(|| refused(ErrorKind::Unreachable, "none gives a whole answer"))?;
        read::membership(spec, how, &answers).map_err(|unusable| refused(ErrorKind::Denied, &unusable.to_string()))
    }

    async fn change(&self, spec: &ClusterSpec, seats: &[Seat], effect: &MemberEffect) -> Result<Outcome, PortError> {
        Members::change(&self.world, spec, seats, effect).await
    }
}

fn refused(kind: ErrorKind, why: &str) -> PortError {
    PortError::new("ask the servers", kind, why)
}

impl FromJson {
    /// Asks every server who leads, and one of those that agree with most others for the rest; what it remembers, if nobody
    /// leads.
    fn ask(&self, seats: &[Seat]) -> Option<Answers> {
        let view = |seat: &Seat| Some((seat.address, self.get::<String>(seat.address, "/v1/status/leader")?));
        let live: Vec<_> = seats.iter().filter_map(view).collect();
        let agree = |view: &str| live.iter().filter(|(_, other)| other == view).count();
        let (at, leader) = live.iter().max_by_key(|(_, view)| (!view.is_empty(), agree(view)))?;
        let leaders = live.iter().map(|(at, view)| (at.to_string(), view.clone())).collect();
        let gossip = self.get::<Agents>(*at, "/v1/agent/members")?.0;
        if leader.is_empty() {
            return Some(self.remembered(*at, leaders, gossip));
        }
        let health: Health = self.get(*at, "/v1/operator/autopilot/health")?;
        Some(Answers {
            health: Some(health.servers.unwrap_or_default()),
            raft: self.get(*at, "/v1/operator/raft/configuration")?,
            autopilot: Some(self.get(*at, "/v1/operator/autopilot/configuration")?),
            leaders,
            gossip,
            ..Answers::default()
        })
    }

    fn remembered(&self, at: IpAddr, leaders: Vec<(String, String)>, gossip: Vec<Gossip>) -> Answers {
        Answers {
            raft: self.get::<Raft>(at, "/v1/operator/raft/configuration?stale").unwrap_or_default(),
            autopilot: self.get::<Autopilot>(at, "/v1/operator/autopilot/configuration?stale"),
            leaders,
            gossip,
            ..Answers::default()
        }
    }

    /// Asks one thing of the server at an address. Autopilot's verdicts come with 429 if a server is unhealthy.
    fn get<T: DeserializeOwned>(&self, at: IpAddr, target: &str) -> Option<T> {
        let (status, text) = self.wire.ask_member(at, "GET", target, b"")?;
        if matches!(status, 200 | 429) { serde_json::from_str(&text).ok() } else { None }
    }
}
