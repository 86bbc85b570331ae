//! The lease: which one of several controllers is active. It saves work, and safety does not rest on it, because a lease
//! cannot keep a call from arriving late.

use std::future;

use crate::ports::PortError;

/// A lease that one controller at a time can hold.
#[allow(async_fn_in_trait)] // one thread, no `Send`
pub trait Lease {
    /// The lease while it is held.
    type Held: Held + 'static;

    /// Waits until the lease is free, and takes it.
    async fn acquire(&self) -> Result<Self::Held, PortError>;
}

/// A lease that is held. Dropped without being released, it is free when it has expired.
#[allow(async_fn_in_trait)]
pub trait Held {
    /// Whether it is certain that no other controller holds the lease.
    fn is_held(&self) -> bool;

    /// Renews the lease, and ends when it is lost for good.
    async fn lost(&self);

    /// Gives the lease up, so that another controller need not wait for it to expire.
    async fn release(self);
}

/// No lease at all: the controller acts whether or not another one does.
#[derive(Clone, Copy, Debug)]
pub struct Unshared;

impl Lease for Unshared {
    type Held = Self;

    async fn acquire(&self) -> Result<Self, PortError> {
        Ok(Self)
    }
}

impl Held for Unshared {
    fn is_held(&self) -> bool {
        true
    }

    async fn lost(&self) {
        future::pending().await
    }

    async fn release(self) {}
}
