//! The lease in Consul: a session that holds the key `<prefix>/lease`.
//!
//! The session belongs to a node that is no server and has no checks, registered for this alone: a session of a server's
//! is lost when that server stops, and the controller may be the one that stops it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Consul, Link};
use crate::coordination::term::{Acquired, Term, shown, stand_by, tell_given_up};
use crate::http::Server;
use crate::input::text;
use crate::ports::{Clock, ErrorKind, PortError};

/// The node that sessions belong to, and its address, which leads nowhere (RFC 5737).
pub(super) const NODE: &str = "hermitcrab";
const ADDRESS: &str = "192.0.2.1";
/// The time for which a session lasts without renewal. Consul waits for up to twice as long; the controller does not.
const TTL: Duration = Duration::from_secs(15);
/// The most characters of a session's id, which is a UUID.
const LONGEST_ID: usize = 64;

/// A lease that Consul gave.
pub struct Session<C> {
    link: Link,
    clock: C,
    id: String,
    term: Term,
}

impl<C: Clock + Clone> Consul<C> {
    /// Waits until no other controller holds the lease.
    pub(in crate::coordination) async fn acquire(&self, holder: &str) -> Result<Session<C>, PortError> {
        stand_by(&self.clock, &self.lease(), async || self.try_acquire(holder).await).await
    }

    /// Takes the lease, if nobody has it.
    async fn try_acquire(&self, holder: &str) -> Result<Acquired<Session<C>>, PortError> {
        let (doing, key) = (format!("take the lease {} in Consul", self.lease()), self.lease());
        if let Some(entry) = self.link.entry(&doing, &key).await?.filter(|entry| entry.session.is_some()) {
            let other = entry.bytes().unwrap_or_default();
            return Ok(Acquired::TakenBy(format!("{} is active", shown(&other))));
        }
        let session = self.begin(&doing, holder).await?;
        let query = [("acquire", session.id.as_str())];
        if self.link.put(&doing, &format!("kv/{key}"), &query, holder.as_bytes().to_vec()).await? {
            return Ok(Acquired::Held(session));
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
        // A part of a path from now on, so nothing else may be meant by it.
        if id.is_empty()
            || id.len() > LONGEST_ID
            || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            let why = format!("Consul names a session that is none: `{}`", text::cut(&id, LONGEST_ID));
            return Err(PortError::new(doing, ErrorKind::Unknown, why));
        }
        let (link, clock) = (self.link.clone(), self.clock.clone());
        Ok(Session { link, clock, id, term: Term::begin(TTL, begun) })
    }
}

impl<C: Clock> Consul<C> {
    fn lease(&self) -> String {
        format!("{}/lease", self.link.remote.prefix)
    }
}

impl<C: Clock> Session<C> {
    pub(in crate::coordination) fn is_held(&self) -> bool {
        self.term.is_held(self.clock.now())
    }

    /// Renews the session until that has failed for too long, or Consul says that the session is over.
    pub(in crate::coordination) async fn lost(&self) {
        self.term.lost(&self.clock, async || self.renew().await).await;
    }

    /// Renews the session, and says whether there still is one.
    async fn renew(&self) -> Result<bool, PortError> {
        let doing = "renew the lease in Consul";
        let path = format!("/v1/session/renew/{}", self.id);
        let answer = self.link.send(doing, async |server: &Server| server.put(&path, &[], Vec::new()).await).await?;
        match answer.status {
            404 => Ok(false),
            _ => self.link.succeeded(doing, answer).map(|_| true),
        }
    }

    /// Ends the session, which frees the lease at once. If that fails, it expires.
    pub(in crate::coordination) async fn release(self) {
        let path = format!("session/destroy/{}", self.id);
        let doing = "give up the lease in Consul";
        let lease = format!("kv/{}/lease", self.link.remote.prefix);
        // The key is released first, or Consul would hold it back as if its holder had been lost.
        let released = self.link.put(doing, &lease, &[("release", &self.id)], Vec::new()).await;
        let ended = self.link.put(doing, &path, &[], Vec::new()).await;
        tell_given_up(released.and(ended));
    }
}
