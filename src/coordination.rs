//! The claim of each cluster, and the lease of the active controller: where both are kept.
//!
//! The claims are [`ports::Coordination`](crate::ports::Coordination): one small record a cluster, written with
//! compare-and-set. Safety rests on that alone. The lease is there to save work: it keeps a second controller from
//! planning what the first one plans already, and it cannot keep a call from arriving late.

use std::net::IpAddr;

use crate::action::ClaimEffect;
use crate::ids::ClusterName;
use crate::observed::ClaimRecord;
use crate::ports::{Clock, Coordination, Outcome, PortError};
use crate::spec::ClusterSpec;

pub mod bucket;
pub mod consul;
mod home;
pub mod lease;
pub mod local;
pub mod place;
mod stored;
mod term;

pub use bucket::Bucket;
pub use consul::Consul;
pub use lease::Held;
pub use local::Local;
pub use place::{Credentials, Place};

/// The claims of all clusters, kept in one place.
pub enum Claims<C> {
    /// Claims in a directory.
    Local(Local<C>),
    /// Claims in a bucket.
    Bucket(Box<Bucket<C>>),
    /// Claims in Consul.
    Consul(Box<Consul<C>>),
}

impl<C: Clock + Clone> Claims<C> {
    /// Opens a place; a directory is made if it does not exist, and nobody else is asked yet. `clock` dates what is
    /// written, and paces what is waited for.
    pub fn open(place: &Place, credentials: &Credentials, clock: C) -> Result<Self, PortError> {
        match place {
            Place::Directory(directory) => Local::open(directory, clock).map(Self::Local),
            Place::Bucket(bucket) => {
                Bucket::open(bucket, credentials.account.as_ref(), clock).map(Box::new).map(Self::Bucket)
            }
            Place::Consul(remote) => Consul::open(remote, credentials, clock).map(Box::new).map(Self::Consul),
        }
    }

    /// Waits until no other controller is active, and logs which one it waits for. `holder` is the name by which others
    /// will know this controller, e.g. host and process. Fails only where waiting is of no use.
    pub async fn acquire(&self, holder: &str) -> Result<Held<C>, PortError> {
        match self {
            Self::Local(local) => local.acquire(holder).await.map(Held::Local),
            Self::Bucket(bucket) => bucket.acquire(holder).await.map(Box::new).map(Held::Bucket),
            Self::Consul(consul) => consul.acquire(holder).await.map(Box::new).map(Held::Consul),
        }
    }
}

impl<C: Clock> Coordination for Claims<C> {
    fn is_about(&self, spec: &ClusterSpec) {
        match self {
            Self::Local(local) => local.is_about(spec),
            Self::Bucket(bucket) => bucket.is_about(spec),
            Self::Consul(consul) => consul.is_about(spec),
        }
    }

    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError> {
        match self {
            Self::Local(local) => local.read(cluster).await,
            Self::Bucket(bucket) => bucket.read(cluster).await,
            Self::Consul(consul) => consul.read(cluster).await,
        }
    }

    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError> {
        match self {
            Self::Local(local) => local.write(cluster, effect).await,
            Self::Bucket(bucket) => bucket.write(cluster, effect).await,
            Self::Consul(consul) => consul.write(cluster, effect).await,
        }
    }

    async fn kept_at(&self) -> Vec<IpAddr> {
        match self {
            Self::Local(local) => local.kept_at().await,
            Self::Bucket(bucket) => bucket.kept_at().await,
            Self::Consul(consul) => consul.kept_at().await,
        }
    }

    async fn forget(&self, cluster: &ClusterName) -> Result<(), PortError> {
        match self {
            Self::Local(local) => local.forget(cluster).await,
            Self::Bucket(bucket) => bucket.forget(cluster).await,
            Self::Consul(consul) => consul.forget(cluster).await,
        }
    }
}

/// Reports a record that a write did not expect.
fn changed(expected: u64, found: u64) -> Outcome {
    Outcome::Changed { expected: format!("revision {expected}"), found: format!("revision {found}") }
}
