//! The lease in a bucket: the object `<prefix>/lease.json`, which its holder writes anew again and again.
//!
//! Nobody's clock is compared with another's (S20): a controller that stands by takes the lease over once it has itself seen
//! the object unchanged for long enough.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Bucket;
use super::objects::{Objects, Version};
use crate::coordination::term::{Acquired, Term, shown, stand_by, tell_given_up};
use crate::ports::{Clock, ErrorKind, PortError};
use crate::time::{Timestamp, elapsed};

const KEY: &str = "lease.json";
/// The time for which the lease lasts without renewal, by its holder's clock.
const TTL: Duration = Duration::from_secs(30);
/// The time for which another controller must have seen no renewal, by its own clock.
const UNCHANGED: Duration = Duration::from_secs(45);

/// The content of the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// The holder's name for people; none once the lease was given up.
    holder: Option<String>,
    /// The instant at which the holder's turn began, by the holder's clock: with the name, it tells one turn from another.
    since: Timestamp,
    /// The number of renewals, so that no two records of a turn are alike.
    renewals: u64,
}

/// A turn as the active controller.
pub struct Turn<C> {
    objects: Objects,
    clock: C,
    record: RefCell<Record>,
    version: RefCell<Version>,
    term: Term,
}

impl<C: Clock + Clone> Bucket<C> {
    /// Waits until no other controller holds the lease.
    pub(in crate::coordination) async fn acquire(&self, holder: &str) -> Result<Turn<C>, PortError> {
        let seen = Cell::new(None);
        stand_by(&self.clock, &self.objects.address(KEY), async || self.try_acquire(holder, &seen).await).await
    }

    /// Takes the lease if nobody has it. `seen` is the record that was seen last, and when it was seen first.
    async fn try_acquire(
        &self,
        holder: &str,
        seen: &Cell<Option<(Version, Timestamp)>>,
    ) -> Result<Acquired<Turn<C>>, PortError> {
        let (doing, begun) = (format!("take the lease {}", self.objects.address(KEY)), self.clock.now());
        let found = self.objects.get(&doing, KEY).await?;
        if let Some((bytes, version)) = &found
            && let Some(other) = holder_of(&doing, bytes)?
        {
            let since = seen.take().filter(|(known, _)| known == version).map_or(begun, |(_, since)| since);
            seen.set(Some((version.clone(), since)));
            if elapsed(begun, since) < UNCHANGED {
                return Ok(Acquired::TakenBy(format!("{other} is active")));
            }
        }
        let record = Record { holder: Some(holder.to_owned()), since: begun, renewals: 0 };
        let expected = found.map(|(_, version)| version);
        let Some(version) = self.objects.put(&doing, KEY, encode(&record), expected).await? else {
            return Ok(Acquired::TakenBy("another was faster".to_owned()));
        };
        Ok(Acquired::Held(Turn {
            objects: self.objects.clone(),
            clock: self.clock.clone(),
            record: RefCell::new(record),
            version: RefCell::new(version),
            term: Term::begin(TTL, begun),
        }))
    }
}

impl<C: Clock> Turn<C> {
    pub(in crate::coordination) fn is_held(&self) -> bool {
        self.term.is_held(self.clock.now())
    }

    /// Renews the lease until that has failed for too long, or another controller has taken it.
    pub(in crate::coordination) async fn lost(&self) {
        self.term.lost(&self.clock, async || self.renew().await).await;
    }

    /// Renews the lease, and says whether it still is ours.
    async fn renew(&self) -> Result<bool, PortError> {
        let doing = "renew the lease";
        let mut next = self.record.borrow().clone();
        next.renewals += 1;
        if self.replace(doing, &next).await? {
            return Ok(true);
        }
        // An earlier renewal may have been written without an answer.
        let Some((bytes, version)) = self.objects.get(doing, KEY).await? else { return Ok(false) };
        let ours = serde_json::from_slice::<Record>(&bytes)
            .is_ok_and(|found| (found.holder, found.since) == (next.holder.clone(), next.since));
        self.version.replace(version);
        next.renewals += 1;
        Ok(ours && self.replace(doing, &next).await?)
    }

    /// Gives the lease up, so that nobody has to wait for it. If that fails, it expires.
    pub(in crate::coordination) async fn release(self) {
        let given_up = Record { holder: None, ..self.record.borrow().clone() };
        tell_given_up(self.replace("give up the lease", &given_up).await);
    }

    async fn replace(&self, doing: &str, next: &Record) -> Result<bool, PortError> {
        let expected = self.version.borrow().clone();
        let written = self.objects.put(doing, KEY, encode(next), Some(expected)).await?;
        let is_written = written.is_some();
        if let Some(version) = written {
            self.version.replace(version);
            self.record.replace(next.clone());
        }
        Ok(is_written)
    }
}

/// Names the holder, if there is one. What is no record of ours is not overwritten.
fn holder_of(doing: &str, bytes: &[u8]) -> Result<Option<String>, PortError> {
    holder(bytes).map_err(|error| {
        PortError::new(
            doing,
            ErrorKind::Invalid,
            format!(
                "{KEY} is no lease of ours ({}): remove it, or use another prefix",
                shown(error.to_string().as_bytes())
            ),
        )
    })
}

/// Reads the content of the object, and names the holder as people see it, if there is one.
pub fn holder(bytes: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let record: Record = serde_json::from_slice(bytes)?;
    Ok(record.holder.map(|holder| shown(holder.as_bytes())))
}

fn encode(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default() // a record has nothing that can fail
}
