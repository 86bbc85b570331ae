//! The kinds of application whose real servers run on the instances: what the rig asks of a kind, and which file answers.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::process::Command;

use crate::boot::Image;
use crate::history::Fate;
use crate::servers::Program;
use crate::world::Guest;
use crate::{consul, etcd, patroni, rabbitmq, redis, zookeeper};

/// A kind of application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Consul,
    Etcd,
    Patroni,
    Zookeeper,
    /// Spoken to by a program of `adapters/`, as the next one.
    RabbitMq,
    Redis,
}

impl Kind {
    /// The name of its unit, of its folders, and in those of clusters and slots.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consul => "consul",
            Self::Etcd => "etcd",
            Self::Patroni => "patroni",
            Self::Zookeeper => "zookeeper",
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
        }
    }

    /// The script that puts the files of its image in their places.
    pub fn image(self) -> &'static str {
        match self {
            Self::Consul => "images/consul/common/install.sh",
            Self::Etcd => "images/etcd/common/install.sh",
            Self::Patroni => "images/patroni/common/install.sh",
            Self::Zookeeper => "images/zookeeper/common/install.sh",
            Self::RabbitMq | Self::Redis => "tests/rig/install.sh",
        }
    }

    /// Names the server of a rig's first image, and that of its second one, as `fetch.sh` does.
    pub fn programs(self) -> [&'static str; 2] {
        match self {
            Self::Consul => ["consul", "consul"],
            Self::Etcd => ["etcd-3.4", "etcd-3.5"],
            Self::Patroni => ["patroni-main", "patroni-security"],
            Self::Zookeeper => ["zookeeper-3.8", "zookeeper-3.9"],
            Self::RabbitMq => ["rabbitmq", "rabbitmq"],
            Self::Redis => ["redis", "redis"],
        }
    }

    /// The arguments with which its program says its version.
    pub fn version(self) -> &'static [&'static str] {
        match self {
            Self::Consul | Self::Etcd | Self::Zookeeper => &["--version"],
            Self::Patroni => &["postgres", "--version"],
            Self::RabbitMq => &["rabbitmq-version"],
            Self::Redis => &["redis-server", "--version"],
        }
    }

    /// The name of its cluster.
    pub fn cluster(self) -> &'static str {
        match self {
            Self::Consul => consul::CLUSTER,
            Self::Etcd => etcd::CLUSTER,
            Self::Patroni => patroni::CLUSTER,
            Self::Zookeeper => zookeeper::CLUSTER,
            Self::RabbitMq => rabbitmq::CLUSTER,
            Self::Redis => redis::CLUSTER,
        }
    }

    /// The desired state of its cluster, with words in capitals in the place of what depends on the rig.
    pub fn desired_state(self) -> &'static str {
        match self {
            Self::Consul => include_str!("consul.yaml"),
            Self::Etcd => include_str!("etcd.yaml"),
            Self::Patroni => include_str!("patroni.yaml"),
            Self::Zookeeper => include_str!("zookeeper.yaml"),
            Self::RabbitMq => include_str!("rabbitmq.yaml"),
            Self::Redis => include_str!("redis.yaml"),
        }
    }

    /// The settings of the guest's scripts that are its own, for an instance whose files lie in a folder.
    pub fn settings(self, own: &Path) -> Vec<(&'static str, String)> {
        match self {
            Self::Consul => consul::settings(own),
            Self::Etcd => etcd::settings(own),
            Self::Patroni => patroni::settings(own),
            Self::Zookeeper => zookeeper::settings(own),
            Self::RabbitMq => rabbitmq::settings(own),
            Self::Redis => redis::settings(own),
        }
    }

    /// Makes the command that starts the server of an instance that has booted, as its image does, and with what has to be
    /// otherwise here: many servers on one machine.
    pub fn server(self, image: &Image, program: &Program, guest: &Guest, own: &Path, peers: &[String]) -> Command {
        match self {
            Self::Consul => consul::server(image, program, guest, own, peers),
            Self::Etcd => etcd::server(image, program, guest, own),
            Self::Patroni => patroni::server(program, own),
            Self::Zookeeper => zookeeper::server(program, own),
            Self::RabbitMq => image.server(program, own),
            Self::Redis => redis::server(program, own),
        }
    }

    /// The words with which a server says that it has come to lead, where any does.
    pub fn leads(self) -> Option<&'static str> {
        match self {
            Self::Consul => Some("cluster leadership acquired"),
            Self::Etcd => Some("became leader at term"),
            // The first leader goes on with the timeline that the database was made on.
            Self::Patroni => Some("selected new timeline ID"),
            Self::Zookeeper => Some("starting up and setting last processed zxid"),
            Self::RabbitMq => None,
            Self::Redis => Some("MASTER MODE enabled"),
        }
    }

    /// The words with which a server says that it gives up its seat, or has lost it. It may have been killed before that was done.
    pub fn leaves(self) -> Option<&'static str> {
        match self {
            Self::Consul => Some("server starting leave"),
            Self::Etcd => Some("removed from the cluster"),
            Self::Patroni | Self::Zookeeper | Self::RabbitMq | Self::Redis => None,
        }
    }

    /// Finds the id of a slot's member: as it lies on the volume, or where it lies in no file of its own, as its peers have it.
    pub fn member(self, volume: &Path, slot: &str, seen: &[Server]) -> Option<String> {
        match self {
            Self::Consul => consul::node_id(volume),
            Self::Etcd | Self::Patroni | Self::RabbitMq => {
                seen.iter().find(|server| server.name == slot).map(|server| server.id.clone())
            }
            Self::Zookeeper => zookeeper::number(volume),
            Self::Redis => redis::sentinel_id(volume),
        }
    }
}

/// A server as its peers see it.
#[derive(Clone, Debug)]
pub struct Server {
    pub name: String,
    pub id: String,
    /// The address at which its peers reach it, e.g. "127.16.1.200".
    pub host: String,
    pub leader: bool,
    pub voter: bool,
    pub healthy: bool,
}

impl Server {
    /// Says whether it is a healthy voter.
    pub fn is_well(&self) -> bool {
        self.healthy && self.voter
    }
}

/// A client of the servers, for the rig's own questions and for those who use the cluster.
#[derive(Clone)]
pub struct Api {
    kind: Kind,
    http: reqwest::Client,
    idle: Rc<patroni::Connections>,
}

impl Api {
    /// Makes a client that waits so long for an answer.
    pub fn new(kind: Kind, patience: Duration) -> Self {
        let http = reqwest::Client::builder().timeout(patience).build().unwrap();
        Self { kind, http, idle: Rc::default() }
    }

    /// Asks a server for all servers. The list is empty if the server does not know.
    pub async fn servers(&self, address: &str) -> Vec<Server> {
        match self.kind {
            Kind::Consul => consul::servers(&self.http, address).await,
            Kind::Etcd => etcd::servers(&self.http, address).await,
            Kind::Patroni => patroni::servers(&self.http, address).await,
            Kind::Zookeeper => zookeeper::servers(&self.http, address).await,
            Kind::RabbitMq => rabbitmq::servers(&self.http, address).await,
            Kind::Redis => redis::servers(address).await,
        }
    }

    /// Says whether a server knows of a leader.
    pub async fn is_led(&self, address: &str) -> bool {
        match self.kind {
            Kind::Consul => consul::is_led(&self.http, address).await,
            Kind::Etcd => etcd::is_led(&self.http, address).await,
            Kind::Patroni => patroni::is_led(&self.http, address).await,
            Kind::Zookeeper => zookeeper::is_led(&self.http, address).await,
            Kind::RabbitMq => rabbitmq::is_led(&self.http, address).await,
            Kind::Redis => redis::is_led(address).await,
        }
    }

    /// Has a server find its peers, if it does not do so by itself.
    pub async fn introduce(&self, guest: &Guest, peers: &[String]) {
        match self.kind {
            Kind::Consul => consul::introduce(&self.http, guest, peers).await,
            Kind::Etcd | Kind::Patroni | Kind::Zookeeper | Kind::RabbitMq | Kind::Redis => {}
        }
    }

    /// Reads a value and its version through a check of the quorum; 0 for what is not there. RabbitMQ has a client of its own.
    pub async fn read(&self, address: &str, key: &str) -> Option<(u64, u64)> {
        match self.kind {
            Kind::Consul => consul::read(&self.http, address, key).await,
            Kind::Etcd => etcd::read(&self.http, address, key).await,
            Kind::Patroni => patroni::read(&self.http, &self.idle, address, key).await,
            Kind::Zookeeper => zookeeper::read(address, key).await,
            Kind::RabbitMq => None,
            Kind::Redis => redis::read(address, key).await,
        }
    }

    /// Writes a value, if asked to only over that version, and says how that ended; `None` if it certainly had no effect.
    pub async fn write(&self, address: &str, key: &str, value: u64, over: Option<u64>) -> Option<Fate> {
        let answer = match self.kind {
            Kind::Consul => consul::write(&self.http, address, key, value, over).await,
            Kind::Etcd => etcd::write(&self.http, address, key, value, over).await,
            Kind::Patroni => patroni::write(&self.http, &self.idle, address, (key, value), over).await,
            Kind::Zookeeper => zookeeper::write(address, key, value, over).await,
            Kind::RabbitMq => Ok(false),
            Kind::Redis => redis::write(address, key, value, over).await,
        };
        match answer {
            Ok(true) => Some(Fate::Acknowledged),
            Ok(false) => None,
            Err(Some(error)) if error.is_connect() => None,
            Err(_) => Some(Fate::Unknown),
        }
    }
}

/// A write's answer: whether it was done, or why that is not known; `None` for a refusal.
pub type Written = Result<bool, Option<reqwest::Error>>;
