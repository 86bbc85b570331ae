//! The term of a lease that expires: it is waited for, renewed while it runs, and over once it was not renewed for too long.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::input::text;
use crate::ports::{Clock, ErrorKind, PortError};
use crate::time::{Timestamp, after, elapsed};

/// The time after which a failed renewal is tried again. An election of Consul's takes 3–4 s.
const RETRY: Duration = Duration::from_secs(1);
/// The interval at which a controller that stands by tries to become the active one.
const STAND_BY: Duration = Duration::from_secs(5);

/// The most characters of a holder's name that are shown.
const LONGEST_HOLDER: usize = 200;

/// Names the holder of a lease as people see it: others may have written anything there.
pub fn shown(holder: &[u8]) -> String {
    text::cut(&String::from_utf8_lossy(holder), LONGEST_HOLDER)
}

/// The answer to a request for a lease.
pub(super) enum Acquired<H> {
    /// The lease is ours.
    Held(H),
    /// Somebody else has the lease, or it is held back after somebody lost it: why, for a person to read.
    TakenBy(String),
}

/// Tries to get a lease until nobody else has it, and logs whom it waits for. Fails only where waiting is of no use.
pub(super) async fn stand_by<H>(
    clock: &impl Clock,
    lease: &str,
    mut attempt: impl AsyncFnMut() -> Result<Acquired<H>, PortError>,
) -> Result<H, PortError> {
    let mut told = None;
    loop {
        let why = match attempt().await {
            Ok(Acquired::Held(held)) => return Ok(held),
            Ok(Acquired::TakenBy(other)) => other,
            // An election, or a network that will be back.
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled) => error.to_string(),
            Err(error) => return Err(error),
        };
        if told.as_ref() != Some(&why) {
            tracing::info!(lease, why, "standing by");
            told = Some(why);
        }
        clock.sleep(STAND_BY).await;
    }
}

/// Tells of a lease that could not be given up.
pub(super) fn tell_given_up<T>(given_up: Result<T, PortError>) {
    if let Err(error) = given_up {
        tracing::warn!(error = %error, "the lease could not be given up; it expires by itself");
    }
}

/// The time for which a lease is ours, by our own clock.
pub(super) struct Term {
    /// The time for which the lease lasts without renewal.
    lasts: Duration,
    /// The instant at which the last renewal that succeeded was sent.
    renewed: Cell<Timestamp>,
    /// The lease is known to be over.
    over: Cell<bool>,
}

impl Term {
    /// Begins a term that was asked for at `begun`.
    pub(super) fn begin(lasts: Duration, begun: Timestamp) -> Self {
        Self { lasts, renewed: Cell::new(begun), over: Cell::new(false) }
    }

    /// Says whether it is certain that nobody else has the lease.
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        !self.over.get() && elapsed(now, self.renewed.get()) < self.lasts
    }

    /// Renews the lease three times a term, until that has failed for a whole term, or `renew` says that the lease is another's.
    pub(super) async fn lost(&self, clock: &impl Clock, renew: impl AsyncFn() -> Result<bool, PortError>) {
        let every = self.lasts / 3;
        let sleep_until = async |then: Timestamp| clock.sleep(elapsed(then, clock.now())).await;
        let mut next = after(self.renewed.get(), every);
        while self.is_held(clock.now()) {
            sleep_until(next).await;
            let begun = clock.now();
            let (renewal, end) = (renew(), sleep_until(after(self.renewed.get(), self.lasts)));
            // A renewal that hangs does not keep the lease.
            match select(std::pin::pin!(renewal), std::pin::pin!(end)).await {
                Either::Left((Ok(true), _)) => {
                    self.renewed.set(begun);
                    next = after(begun, every);
                }
                Either::Left((Ok(false), _)) => self.over.set(true),
                Either::Left((Err(error), _)) => {
                    tracing::warn!(error = %error, "the lease could not be renewed");
                    next = after(clock.now(), RETRY);
                }
                Either::Right(((), _)) => {}
            }
        }
        self.over.set(true);
    }
}
