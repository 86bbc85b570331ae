//! The lease that one active controller holds.
//!
//! The holder polls [`Held::lost`] for as long as it works, because that renews the lease, and asks [`Held::is_held`]
//! before each action, because a process that slept does not know that it did.

use std::future;

pub use super::bucket::holder as holder_in_bucket;
pub use super::term::shown;

use super::bucket::Turn;
use super::consul::Session;
use super::local::Lock;
use crate::ports::Clock;

/// A lease that is held until it is lost or given up.
pub enum Held<C> {
    /// A lock of the operating system's, which goes with the process.
    Local(Lock),
    /// A turn that is renewed in a bucket, and ends without renewal.
    Bucket(Box<Turn<C>>),
    /// A session with Consul, which expires unless it is renewed.
    Consul(Box<Session<C>>),
}

impl<C: Clock> Held<C> {
    /// Says whether it is certain that nobody else has the lease. The answer comes at once, from the clock alone.
    pub fn is_held(&self) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Bucket(turn) => turn.is_held(),
            Self::Consul(session) => session.is_held(),
        }
    }

    /// Renews the lease, and ends when the lease is lost for good. A call that was dropped is gone on with by the next.
    pub async fn lost(&self) {
        match self {
            Self::Local(_) => future::pending().await,
            Self::Bucket(turn) => turn.lost().await,
            Self::Consul(session) => session.lost().await,
        }
    }

    /// Gives the lease up, so that nobody has to wait for it to expire. A lock that is only dropped is free at once too,
    /// a session or a turn not before it has expired.
    pub async fn release(self) {
        match self {
            Self::Local(lock) => drop(lock),
            Self::Bucket(turn) => turn.release().await,
            Self::Consul(session) => session.release().await,
        }
    }
}
