//! The lease in Consul: a session that holds the key `<prefix>/lease`.
//!
//! The session belongs to a node that is no server and has no checks, registered for this alone: a session of a server's
//! is lost when that server stops, and the controller may be the one that stops it.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Deserialize;
use serde_json::json;

use super::{Consul, Link};
use crate::http::Server;
use crate::ports::{Clock, ErrorKind, PortError};
use crate::time::{Timestamp, after, elapsed};

/// The node that sessions belong to, and its address, which leads nowhere (RFC 5737).
pub(super) const NODE: &str = "hermitcrab";
const ADDRESS: &str = "192.0.2.1";
/// The time for which a session lasts without renewal. Consul waits for up to twice as long; the controller does not.
const TTL: Duration = Duration::from_secs(15);
/// The interval between renewals of a session: two renewals may fail.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// The time after which a failed renewal is tried again. An election takes 3–4 s.
const RETRY: Duration = Duration::from_secs(1);
/// The interval at which a controller that stands by tries to become the active one.
const STAND_BY: Duration = Duration::from_secs(5);

/// A lease that Consul gave.
pub struct Session<C> {
    link: Link,
    clock: C,
    id: String,
    /// The instant at which the last renewal that succeeded was sent.
    renewed: Cell<Timestamp>,
    /// Consul said that the session is over.
    over: Cell<bool>,
}

/// The answer to a request for the lease.
enum Acquired<C> {
    /// The lease is ours.
    Held(Box<Session<C>>),
    /// Somebody else has the lease, or Consul holds it back after somebody lost it: why, for a person to read.
    TakenBy(String),
}

impl<C: Clock + Clone> Consul<C> {
    /// Waits until no other controller holds the lease.
    pub(in crate::coordination) async fn acquire(&self, holder: &str) -> Result<Session<C>, PortError> {
        let mut told = None;
        loop {
            let why = match self.try_acquire(holder).await {
                Ok(Acquired::Held(session)) => return Ok(*session),
                Ok(Acquired::TakenBy(other)) => other,
                // An election, or a network that will be back.
                Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled) => error.to_string(),
                Err(error) => return Err(error),
            };
            if told.as_ref() != Some(&why) {
                tracing::info!(lease = self.lease(), why, "standing by");
                told = Some(why);
            }
            self.clock.sleep(STAND_BY).await;
        }
    }

    /// Takes the lease, if nobody has it.
    async fn try_acquire(&self, holder: &str) -> Result<Acquired<C>, PortError> {
        let (doing, key) = (format!("take the lease {} in Consul", self.lease()), self.lease());
        if let Some(entry) = self.link.entry(&doing, &key).await?.filter(|entry| entry.session.is_some()) {
            let other = entry.bytes().unwrap_or_default();
            return Ok(Acquired::TakenBy(format!("{} is active", String::from_utf8_lossy(&other))));
        }
        let session = self.begin(&doing, holder).await?;
        let query = [("acquire", session.id.as_str())];
        if self.link.put(&doing, &format!("kv/{key}"), &query, holder.as_bytes().to_vec()).await? {
            return Ok(Acquired::Held(Box::new(session)));
        }
        session.release().await;
        // Consul holds the key back for a while after a holder was lost.
        Ok(Acquired::TakenBy("another lost it a moment ago".to_owned()))
    }

    async fn begin(&self, doing: &str, holder: &str) -> Result<Session<C>, PortError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Created {
            #[serde(rename = "ID")]
            id: String,
        }

        let node = json!({ "Node": NODE, "Address": ADDRESS }).to_string();
        self.link.put(doing, "catalog/register", &[], node.into_bytes()).await?;
        let begun = self.clock.now();
        // Without the two empty lists, the session would rest on the node's health check, which it does not have.
        let session = json!({
            "Name": format!("hermitcrab: {holder}"),
            "Node": NODE,
            "NodeChecks": [],
            "Checks": [],
            "TTL": format!("{}s", TTL.as_secs()),
            "LockDelay": format!("{}s", TTL.as_secs()),
            "Behavior": "release",
        });
        let body = session.to_string().into_bytes();
        let create = async |server: &Server| server.put("/v1/session/create", &[], body.clone()).await;
        let Created { id } = self.link.json(doing, self.link.send(doing, create).await?)?;
        let (link, clock) = (self.link.clone(), self.clock.clone());
        Ok(Session { link, clock, id, renewed: Cell::new(begun), over: Cell::new(false) })
    }
}

impl<C: Clock> Consul<C> {
    fn lease(&self) -> String {
        format!("{}/lease", self.link.remote.prefix)
    }
}

impl<C: Clock> Session<C> {
    pub(in crate::coordination) fn is_held(&self) -> bool {
        !self.over.get() && elapsed(self.clock.now(), self.renewed.get()) < TTL
    }

    /// Renews the session until that has failed for too long, or Consul says that the session is over.
    pub(in crate::coordination) async fn lost(&self) {
        let mut next = after(self.renewed.get(), RENEW_EVERY);
        while self.is_held() {
            self.sleep_until(next).await;
            let (renewal, end) = (self.renew(), self.sleep_until(after(self.renewed.get(), TTL)));
            // A renewal that hangs does not keep the lease.
            match select(std::pin::pin!(renewal), std::pin::pin!(end)).await {
                Either::Left((Ok(()), _)) => next = after(self.renewed.get(), RENEW_EVERY),
                Either::Left((Err(error), _)) => {
                    tracing::warn!(error = %error, "the lease could not be renewed");
                    next = after(self.clock.now(), RETRY);
                }
                Either::Right(((), _)) => {}
            }
        }
        self.over.set(true);
    }

    async fn renew(&self) -> Result<(), PortError> {
        let begun = self.clock.now();
        let doing = "renew the lease in Consul";
        let path = format!("/v1/session/renew/{}", self.id);
        let answer = self.link.send(doing, async |server: &Server| server.put(&path, &[], Vec::new()).await).await?;
        match answer.status {
            404 => self.over.set(true),
            _ => {
                self.link.succeeded(doing, answer)?;
                self.renewed.set(begun);
            }
        }
        Ok(())
    }

    /// Ends the session, which frees the lease at once. If that fails, it expires.
    pub(in crate::coordination) async fn release(self) {
        let path = format!("session/destroy/{}", self.id);
        let doing = "give up the lease in Consul";
        let lease = format!("kv/{}/lease", self.link.remote.prefix);
        // The key is released first, or Consul would hold it back as if its holder had been lost.
        let released = self.link.put(doing, &lease, &[("release", &self.id)], Vec::new()).await;
        let ended = self.link.put(doing, &path, &[], Vec::new()).await;
        if let Err(error) = released.and(ended) {
            tracing::warn!(error = %error, "the lease could not be given up; it expires by itself");
        }
    }

    async fn sleep_until(&self, then: Timestamp) {
        self.clock.sleep(elapsed(then, self.clock.now())).await;
    }
}
