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
    let outside = Real::open(&args.real, loaded.specs().next().map(|(_, spec)| spec)).await?;
    let ground = |lease| Ground {
        outside: outside.clone(),
        announce: Box::new(|_| ()),
        seed: u64::from(std::process::id()),
        lease,
    };
    loop {
        let held = match args.lease {
            false => None,
            true => match acquire(args, &outside).await? {
                Ok(held) => Some(Rc::new(held)),
                Err(exit) => return Ok(exit),
            },
        };
        let ended = attend(args, desire, ground(held.as_ref().map(lease)), out).await?;
        if let Some(held) = held.and_then(Rc::into_inner) {
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
