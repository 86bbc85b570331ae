//! The daemon on AWS: with a lease, if one is wanted, around all that it does.

use std::rc::Rc;

use super::{Args, Backend, attend};
use crate::cli::aws::Ports;
use crate::cli::{Exit, Failure, Output};
use crate::clock::SystemClock;
use crate::coordination;
use crate::daemon::lease::{Held, Lease, Unshared};
use crate::daemon::source::Source;
use crate::ports::PortError;

/// Attends to the clusters, with or without a lease.
pub(super) async fn on_aws(args: &Args, source: impl Source, out: &mut Output) -> Result<Exit, Failure> {
    let loaded = source.load().await;
    let outside = Ports::open(&args.aws, loaded.specs().next().map(|(_, spec)| spec)).await?;
    let lease =
        Shared { outside: outside.clone(), holder: format!("{} (process {})", args.aws.owner, std::process::id()) };
    let backend = Backend { outside, source, seed: u64::from(std::process::id()) };
    // On the heap: with a whole SDK below them, they are large.
    if args.lease {
        Box::pin(attend(args, backend, lease, out)).await
    } else {
        Box::pin(attend(args, backend, Unshared, out)).await
    }
}

/// The lease that lies where the claims do.
struct Shared {
    outside: Rc<Ports>,
    /// The holder's name for people, e.g. `hermitcrab (process 4711)`.
    holder: String,
}

impl Lease for Shared {
    type Held = coordination::Held<Rc<SystemClock>>;

    async fn acquire(&self) -> Result<Self::Held, PortError> {
        self.outside.claims.acquire(&self.holder).await
    }
}

impl Held for coordination::Held<Rc<SystemClock>> {
    fn is_held(&self) -> bool {
        Self::is_held(self)
    }

    async fn lost(&self) {
        Self::lost(self).await;
    }

    async fn release(self) {
        Self::release(self).await;
    }
}
