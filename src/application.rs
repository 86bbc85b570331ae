//! What runs on the instances, by kind: each spec says which, and the next kind is one more variant here.

use std::collections::BTreeMap;

use crate::action::MemberEffect;
use crate::observed::Membership;
use crate::ports::{Application, Outcome, PortError, Seat};
use crate::spec::{ApplicationSpec, ClusterSpec};

pub mod consul;

use consul::Consul;

/// Every kind of application, for any number of clusters.
#[derive(Default)]
pub struct Applications {
    consul: Consul,
}

impl Application for Applications {
    async fn membership(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<Membership, PortError> {
        match &spec.application {
            ApplicationSpec::Consul(how) => self.consul.membership(spec, how, seats).await,
        }
    }

    async fn change(&self, spec: &ClusterSpec, seats: &[Seat], effect: &MemberEffect) -> Result<Outcome, PortError> {
        match &spec.application {
            ApplicationSpec::Consul(how) => self.consul.change(spec, how, seats, effect).await,
        }
    }

    async fn write_canary(&self, spec: &ClusterSpec, seats: &[Seat], key: &str, value: &str) -> Result<(), PortError> {
        match &spec.application {
            ApplicationSpec::Consul(how) => self.consul.write_canary(spec, how, seats, key, value).await,
        }
    }

    async fn canaries(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<BTreeMap<String, String>, PortError> {
        match &spec.application {
            ApplicationSpec::Consul(how) => self.consul.canaries(spec, how, seats).await,
        }
    }
}
