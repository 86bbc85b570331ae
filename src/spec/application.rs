//! The application on the instances, by kind, and the rules of each kind as data.
//!
//! A kind has a file of its own below this one, with its fields as written and as meant, its rules and its limits. This
//! file chooses among the kinds, and so does the kind's adapter; everybody else asks for the [`Rules`].

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::load::meaning::Meaning;
use crate::time::Human;

mod command;
mod consul;
mod etcd;
mod http;
mod patroni;
mod zookeeper;

pub use command::{Addresses, CommandRules, CommandSpec, Leads, Needed};
pub use consul::ConsulSpec;
pub use etcd::EtcdSpec;
pub use http::HttpSpec;
pub use patroni::PatroniSpec;
pub use zookeeper::ZookeeperSpec;

/// The largest number of slots that any kind takes.
pub(super) const MOST_SLOTS: usize = consul::SLOTS.most;
const _: () = assert!(MOST_SLOTS >= etcd::SLOTS.most && MOST_SLOTS >= patroni::SLOTS.most);
const _: () = assert!(MOST_SLOTS >= zookeeper::SLOTS.most && MOST_SLOTS >= command::MOST);

/// The application on the instances: exactly one kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "Application", transform = exactly_one)]
pub struct Written {
    /// HashiCorp Consul servers.
    #[schemars(required)]
    pub consul: Option<consul::Written>,
    /// Members of etcd.
    #[schemars(required)]
    pub etcd: Option<etcd::Written>,
    /// PostgreSQL under Patroni.
    #[schemars(required)]
    pub patroni: Option<patroni::Written>,
    /// ZooKeeper servers.
    #[schemars(required)]
    pub zookeeper: Option<zookeeper::Written>,
    /// Members of any other application, which a program of yours speaks to.
    #[schemars(required)]
    pub command: Option<command::Written>,
}

/// Makes a schema of kinds ask for one of them, and for no second.
fn exactly_one(schema: &mut Schema) {
    schema.remove("required");
    schema.insert("minProperties".to_owned(), 1.into());
    schema.insert("maxProperties".to_owned(), 1.into());
}

/// The application, by kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ApplicationSpec {
    /// HashiCorp Consul servers.
    Consul(ConsulSpec),
    /// Members of etcd.
    Etcd(EtcdSpec),
    /// PostgreSQL under Patroni.
    Patroni(PatroniSpec),
    /// ZooKeeper servers.
    Zookeeper(ZookeeperSpec),
    /// Members of any other application, which a user's program speaks to.
    Command(CommandSpec),
}

/// The scheme of an HTTP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Http,
    Https,
}

/// The numbers of slots that make sense with a kind of application.
#[derive(Clone, Copy, Debug)]
pub struct SlotLimits {
    /// The number of members that have to be healthy, of a declared number.
    pub needed: fn(usize) -> usize,
    /// More members tolerate more failures. A number that tolerates no more than the one below it is warned about.
    pub more_tolerate_more: bool,
    /// The largest number.
    pub most: usize,
    /// The hint for a person who declares more.
    pub why_no_more: &'static str,
    /// The reason why each slot needs a fixed address; none where a member may come back with another one.
    pub why_addresses: Option<&'static str>,
    /// The reason why no copy of a cluster can be made for a rehearsal.
    pub why_no_rehearsal: Option<&'static str>,
}

/// A copy of a cluster has addresses of its own.
const NO_FIXED_ADDRESSES: &str = "a copy would have no fixed addresses, which its members need";

/// The rules of an application, as data: all that the planner knows of its kind.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The number of the declared members that have to be healthy for the application to work, e.g. [`quorum`](super::quorum).
    pub needed: fn(usize) -> usize,
    /// The leader's place in the order of replacements; none where no member leads.
    pub leader: Option<LeaderGoes>,
    /// The lag behind the leader with which a member still counts as caught up.
    pub lag_limit: Lag,
    /// For how long every member must have been healthy, by our own timer, before one is disrupted.
    pub stabilization: Duration,
    /// The guard against dropping a stopped member; none where the application never drops one.
    pub pruning: Option<PruningGuard>,
    /// A new cluster has no leader until all of its first members are there.
    pub forms_together: bool,
    /// Each healthy member is told of its stop just before.
    pub prepares: bool,
    /// The others are told where a member is to be found, before it starts on an instance with another address.
    pub moves_members: bool,
    /// A member without a vote gets none by itself, and may be meant to have none: an observer.
    pub observers: bool,
    /// The version that a member on the desired image must report.
    pub version: Option<String>,
    /// The steps from one version to another that the application takes; none where nobody has to look at them.
    pub version_steps: Option<VersionSteps>,
    /// The reason why each slot needs a fixed address; none where a member may come back with another one.
    pub why_addresses: Option<&'static str>,
    /// The reason why no copy of a cluster can be made for a rehearsal.
    pub why_no_rehearsal: Option<&'static str>,
}

/// The steps from one version to another that an application takes.
#[derive(Clone, Copy, Debug)]
pub struct VersionSteps {
    /// Whether members of the second version may join those that have agreed on the first one.
    pub allows: fn(&str, &str) -> bool,
    /// The rule in words, e.g. `from one minor version to the next one`.
    pub rule: &'static str,
    /// The hint for a person who wants another step.
    pub remedy: &'static str,
}

/// Counts the minor versions from one version to another, e.g. 1 from `3.4.23` to `3.5.16`, and fewer than none where it goes back.
/// None where the major versions differ, or one is no version.
fn minor_steps(from: &str, to: &str) -> Option<i128> {
    let numbers = |version: &str| {
        let mut parts = version.split('.').map(|part| part.parse::<u64>().ok());
        Some((parts.next()??, parts.next()??))
    };
    let ((old_major, old), (major, new)) = (numbers(from)?, numbers(to)?);
    (major == old_major).then(|| i128::from(new) - i128::from(old))
}

/// The place of the leader's slot in the order of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderGoes {
    /// Before every other healthy member, without a transfer: whoever leads next leads on.
    First,
    /// After all others, and after leadership has moved away where the members offer that.
    Last,
}

/// A guard that keeps an application which drops failed members from dropping one that is being replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruningGuard {
    /// The controller may raise the number of members below which the application drops none.
    pub managed: bool,
    /// The hint for a person, where the controller may not.
    pub remedy: &'static str,
}

/// The lag of a member behind the leader, in the unit that its application counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lag {
    /// Entries of a log.
    Entries(u64),
    /// Bytes of a log.
    Bytes(u64),
    /// The time since the member had everything.
    Age(Duration),
}

impl Lag {
    /// Whether it is more than a limit. A lag in another unit than the limit cannot be compared, so it counts as more.
    pub fn exceeds(&self, limit: &Self) -> bool {
        match (self, limit) {
            (Self::Entries(lag), Self::Entries(limit)) | (Self::Bytes(lag), Self::Bytes(limit)) => lag > limit,
            (Self::Age(lag), Self::Age(limit)) => lag > limit,
            (Self::Entries(_) | Self::Bytes(_) | Self::Age(_), _) => true,
        }
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(1) => f.write_str("1 entry"),
            Self::Entries(count) => write!(f, "{count} entries"),
            Self::Bytes(1) => f.write_str("1 byte"),
            Self::Bytes(count) => write!(f, "{count} bytes"),
            Self::Age(age) => write!(f, "{}", Human(*age)),
        }
    }
}

impl Written {
    /// Says which kind is meant and how. A file that has no kind, or several, was reported for its shape.
    pub(super) fn meant(&self, meaning: &mut Meaning<'_, '_>) -> Option<ApplicationSpec> {
        let Self { consul, etcd, patroni, zookeeper, command } = self;
        match (consul, etcd, patroni, zookeeper, command) {
            (Some(consul), ..) => consul.meant(meaning).map(ApplicationSpec::Consul),
            (None, Some(etcd), ..) => etcd.meant(meaning).map(ApplicationSpec::Etcd),
            (None, None, Some(patroni), ..) => patroni.meant(meaning).map(ApplicationSpec::Patroni),
            (None, None, None, Some(zookeeper), _) => zookeeper.meant(meaning).map(ApplicationSpec::Zookeeper),
            (None, None, None, None, Some(command)) => command.meant(meaning).map(ApplicationSpec::Command),
            (None, None, None, None, None) => None,
        }
    }

    /// Says how many slots make sense, if a kind is written.
    pub(super) fn slots(&self) -> Option<SlotLimits> {
        let Self { consul, etcd, patroni, zookeeper, command } = self;
        match (consul, etcd, patroni, zookeeper, command) {
            (Some(_), ..) => Some(consul::SLOTS),
            (None, Some(_), ..) => Some(etcd::SLOTS),
            (None, None, Some(_), ..) => Some(patroni::SLOTS),
            (None, None, None, Some(_), _) => Some(zookeeper::SLOTS),
            (None, None, None, None, Some(command)) => Some(command.slots()),
            (None, None, None, None, None) => None,
        }
    }
}

impl ApplicationSpec {
    /// Gives the fields of Consul servers, if the application is of that kind.
    pub fn consul(&self) -> Option<&ConsulSpec> {
        match self {
            Self::Consul(consul) => Some(consul),
            Self::Etcd(_) | Self::Patroni(_) | Self::Zookeeper(_) | Self::Command(_) => None,
        }
    }

    /// Gives the same fields to be changed.
    pub fn consul_mut(&mut self) -> Option<&mut ConsulSpec> {
        match self {
            Self::Consul(consul) => Some(consul),
            Self::Etcd(_) | Self::Patroni(_) | Self::Zookeeper(_) | Self::Command(_) => None,
        }
    }

    /// Gives the fields of etcd members to be changed, if the application is of that kind.
    pub fn etcd_mut(&mut self) -> Option<&mut EtcdSpec> {
        match self {
            Self::Consul(_) | Self::Patroni(_) | Self::Zookeeper(_) | Self::Command(_) => None,
            Self::Etcd(etcd) => Some(etcd),
        }
    }

    /// Gives the fields of a program's members to be changed, if the application is of that kind.
    pub fn command_mut(&mut self) -> Option<&mut CommandSpec> {
        match self {
            Self::Consul(_) | Self::Etcd(_) | Self::Patroni(_) | Self::Zookeeper(_) => None,
            Self::Command(command) => Some(command),
        }
    }

    /// Says how the members are asked: the scheme of their HTTP API, and its port; none where a program asks them in its own way.
    pub fn asked_over(&self) -> Option<(Scheme, u16)> {
        match self {
            Self::Consul(consul) => Some((consul.http.scheme, consul.http.port)),
            Self::Etcd(etcd) => Some((etcd.http.scheme, etcd.http.port)),
            Self::Patroni(patroni) => Some((patroni.http.scheme, patroni.http.port)),
            Self::Zookeeper(zookeeper) => Some((zookeeper.http.scheme, zookeeper.http.port)),
            Self::Command(_) => None,
        }
    }

    /// Says the kind's word, as in the desired-state file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Consul(_) => "consul",
            Self::Etcd(_) => "etcd",
            Self::Patroni(_) => "patroni",
            Self::Zookeeper(_) => "zookeeper",
            Self::Command(_) => "command",
        }
    }

    /// Says whether canary data can be written into the application and read back.
    pub fn keeps_canaries(&self) -> bool {
        match self {
            Self::Consul(_) | Self::Etcd(_) => true,
            Self::Patroni(_) | Self::Zookeeper(_) => false,
            Self::Command(command) => command.canaries,
        }
    }

    /// Gives the same application, whatever version its members report.
    pub fn of_any_version(&self) -> Self {
        self.of_version(None)
    }

    /// Gives the same application, whose members report that version.
    pub fn of_version(&self, version: Option<String>) -> Self {
        match self {
            Self::Consul(consul) => Self::Consul(ConsulSpec { version, ..consul.clone() }),
            Self::Etcd(etcd) => Self::Etcd(EtcdSpec { version, ..etcd.clone() }),
            Self::Patroni(patroni) => Self::Patroni(PatroniSpec { version, ..patroni.clone() }),
            Self::Zookeeper(zookeeper) => Self::Zookeeper(ZookeeperSpec { version, ..zookeeper.clone() }),
            Self::Command(command) => Self::Command(CommandSpec { version, ..command.clone() }),
        }
    }

    /// Says what the application is like.
    pub fn rules(&self) -> Rules {
        match self {
            Self::Consul(consul) => consul.rules(),
            Self::Etcd(etcd) => etcd.rules(),
            Self::Patroni(patroni) => patroni.rules(),
            Self::Zookeeper(zookeeper) => zookeeper.rules(),
            Self::Command(command) => command.rules(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_compared_in_its_own_unit_and_says_it() {
        let minute = Lag::Age(Duration::from_secs(60));
        assert!(!Lag::Entries(250).exceeds(&Lag::Entries(250)));
        assert!(Lag::Entries(251).exceeds(&Lag::Entries(250)));
        assert!(Lag::Age(Duration::from_secs(61)).exceeds(&minute));
        assert!(Lag::Bytes(0).exceeds(&minute), "nobody can say how many bytes a minute is");
        let said = [Lag::Entries(250), Lag::Entries(1), Lag::Bytes(16), minute].map(|lag| lag.to_string());
        assert_eq!(said, ["250 entries", "1 entry", "16 bytes", "1m"]);
    }
}
