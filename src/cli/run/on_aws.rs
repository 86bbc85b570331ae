//! The daemon on AWS: with a lease, if one is wanted, around all that it does.

use std::rc::Rc;

use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

use super::{Args, Desire, Ended, Ground, Lease, attend};
use crate::cli::real::Real;
use crate::cli::{Exit, Failure, Output};
use crate::clock::SystemClock;
use crate::coordination::Held;

/// Attends to the clusters, again and again as the lease comes and goes.
pub(super) async fn on_aws(args: &Args, desire: &mut Desire, out: &mut Output) -> Result<Exit, Failure> {
    let loaded = desire.load();
    let region = loaded.specs().next().map_or("us-east-1", |(_, spec)| spec.region.as_str());
    let outside = Real::open(&args.real, region).await?;
    let ground = |lease| Ground {
        outside: outside.clone(),
        announce: Box::new(|_| ()),
        seed: u64::from(std::process::id()),
        lease,
    };
    if !args.lease {
        return match attend(args, desire, ground(None), out).await? {
            Ended::With(exit) => Ok(exit),
            Ended::LeaseLost => unreachable!("there was none"),
        };
    }
    loop {
        let held = match acquire(args, &outside).await? {
            Ok(held) => Rc::new(held),
            Err(exit) => return Ok(exit),
        };
        let ended = attend(args, desire, ground(Some(lease(&held))), out).await?;
        if let Some(held) = Rc::into_inner(held) {
            held.release().await;
        }
        if let Ended::With(exit) = ended {
            return Ok(exit);
        }
    }
}

fn lease(held: &Rc<Held<Rc<SystemClock>>>) -> Lease {
    let (asked, renewed) = (held.clone(), held.clone());
    Lease { is_held: Box::new(move || asked.is_held()), lost: async move { renewed.lost().await }.boxed_local() }
}

/// Waits for the lease; ends without it at a signal, or with `--once` after the time that it has.
async fn acquire(args: &Args, outside: &Real) -> Result<Result<Held<Rc<SystemClock>>, Exit>, Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let timeout = tokio::time::timeout(args.timeout, std::future::pending::<()>());
    let holder = format!("{} (process {})", args.real.owner, std::process::id());
    tokio::select! {
        held = outside.claims.acquire(&holder) => held.map(Ok).map_err(Failure::new),
        _ = terminate.recv() => Ok(Err(Exit::Done)),
        _ = interrupt.recv() => Ok(Err(Exit::Done)),
        _ = timeout, if args.once => Ok(Err(Exit::TimedOut)),
    }
}
