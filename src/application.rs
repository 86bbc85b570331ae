//! The adapters to applications, by kind: each has a folder below this file, and this file chooses among them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::action::MemberEffect;
use crate::observed::Membership;
use crate::ports::{Canaries, ErrorKind, Members, Outcome, PortError, Seat};
use crate::spec::{ApplicationSpec, ClusterSpec};

mod bounded;
pub mod command;
pub mod consul;
mod costs;
pub mod etcd;
mod heard;
pub mod patroni;
mod trust;
pub mod zookeeper;

use command::Command;
use consul::Consul;
use etcd::Etcd;
use patroni::Patroni;
use zookeeper::Zookeeper;

/// Every kind of application, for any number of clusters.
#[derive(Default)]
pub struct Applications {
    consul: Consul,
    etcd: Etcd,
    patroni: Patroni,
    zookeeper: Zookeeper,
    command: Command,
}

impl Applications {
    /// Every kind of application, where programs that lie in a folder may be run, if one is named.
    pub fn with_programs_in(folder: Option<PathBuf>) -> Self {
        Self { command: Command::from(folder), ..Self::default() }
    }

    /// Gives the port to the canaries of an application, unless it keeps none.
    pub fn canaries_of(&self, application: &ApplicationSpec) -> Option<&Self> {
        application.keeps_canaries().then_some(self)
    }
}

impl Members for Applications {
    async fn membership(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<Membership, PortError> {
        match &spec.application {
            ApplicationSpec::Consul(how) => self.consul.open(spec, how, seats)?.membership().await,
            ApplicationSpec::Etcd(how) => self.etcd.open(spec, how, seats)?.membership().await,
            ApplicationSpec::Patroni(how) => self.patroni.open(spec, how, seats)?.membership().await,
            ApplicationSpec::Zookeeper(how) => self.zookeeper.open(spec, how, seats)?.membership().await,
            ApplicationSpec::Command(how) => self.command.open(spec, how, seats)?.membership().await,
        }
    }

    async fn change(&self, spec: &ClusterSpec, seats: &[Seat], effect: &MemberEffect) -> Result<Outcome, PortError> {
        match &spec.application {
            ApplicationSpec::Consul(how) => self.consul.open(spec, how, seats)?.change(effect).await,
            ApplicationSpec::Etcd(how) => self.etcd.open(spec, how, seats)?.change(effect).await,
            ApplicationSpec::Patroni(how) => self.patroni.open(spec, how, seats)?.change(effect).await,
            ApplicationSpec::Zookeeper(how) => self.zookeeper.open(spec, how, seats)?.change(effect),
            ApplicationSpec::Command(how) => self.command.open(spec, how, seats)?.change(effect).await,
        }
    }
}

impl Canaries for Applications {
    async fn write_canary(&self, spec: &ClusterSpec, seats: &[Seat], key: &str, value: &str) -> Result<(), PortError> {
        match &spec.application {
            ApplicationSpec::Consul(how) => self.consul.open(spec, how, seats)?.write_canary(key, value).await,
            ApplicationSpec::Etcd(how) => self.etcd.open(spec, how, seats)?.write_canary(key, value).await,
            ApplicationSpec::Patroni(_) | ApplicationSpec::Zookeeper(_) => Err(none_kept(spec)),
            ApplicationSpec::Command(how) => self.command.open(spec, how, seats)?.write_canary(key, value).await,
        }
    }

    async fn canaries(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<BTreeMap<String, String>, PortError> {
        match &spec.application {
            ApplicationSpec::Consul(how) => self.consul.open(spec, how, seats)?.canaries().await,
            ApplicationSpec::Etcd(how) => self.etcd.open(spec, how, seats)?.canaries().await,
            ApplicationSpec::Patroni(_) | ApplicationSpec::Zookeeper(_) => Err(none_kept(spec)),
            ApplicationSpec::Command(how) => self.command.open(spec, how, seats)?.canaries().await,
        }
    }
}

/// The answer of a kind that keeps no canary data. [`Applications::canaries_of`] keeps others from asking.
fn none_kept(spec: &ClusterSpec) -> PortError {
    let doing = format!("write or read canary data of {}", spec.name);
    PortError::new(doing, ErrorKind::Invalid, format!("`{}` keeps none", spec.application.kind()))
}
