//! Claims in a bucket, below one prefix: `<prefix>/claims/<cluster>@<region>@<account>.json`. Each is replaced only if it still
//! is what was read (`If-Match`), and the first one is written only if there is none (`If-None-Match`).
//!
//! S3 answers reads with the last write. An `ETag` is made of the content, and a record's revision never comes twice, so an
//! `ETag` names one state of a claim.

use std::sync::Arc;

use object_store::ObjectStore;

use super::changed;
use super::home::Homes;
use super::place;
use super::stored;
use crate::action::ClaimEffect;
use crate::ids::ClusterName;
use crate::observed::ClaimRecord;
use crate::ports::{Clock, Coordination, ErrorKind, Outcome, PortError};
use crate::spec::ClusterSpec;

mod answer;
mod lease;
mod objects;
#[cfg(feature = "aws")]
mod s3;

pub use lease::{Turn, holder};
use objects::{Objects, Version};

/// Claims in a bucket.
pub struct Bucket<C> {
    objects: Objects,
    homes: Homes,
    clock: C,
}

impl<C> Bucket<C> {
    /// Uses a store that was opened, below the prefix that the place names.
    pub fn new(store: Arc<dyn ObjectStore>, place: &place::Bucket, clock: C) -> Self {
        Self { objects: Objects::new(store, place), homes: Homes::default(), clock }
    }

    /// Opens a bucket of S3, and asks nobody yet.
    #[cfg(feature = "aws")]
    pub fn open(place: &place::Bucket, account: Option<&place::Account>, clock: C) -> Result<Self, PortError> {
        Ok(Self::new(s3::open(place, account)?, place, clock))
    }

    /// Refuses the place.
    #[cfg(not(feature = "aws"))]
    pub fn open(place: &place::Bucket, _: Option<&place::Account>, _: C) -> Result<Self, PortError> {
        let why = "this program was built without the feature `aws`, and cannot reach a bucket";
        Err(PortError::new(format!("open the claims in {place}"), ErrorKind::Invalid, why))
    }
}

/// A record as it was found, or the place for one.
struct Found {
    key: String,
    record: ClaimRecord,
    version: Option<Version>,
}

impl<C: Clock> Bucket<C> {
    /// Lists the names under which a cluster's record may lie.
    async fn keys(&self, cluster: &ClusterName) -> Result<Vec<String>, PortError> {
        let keys = self.homes.keys(cluster);
        let Some(prefix) = self.homes.prefix(cluster) else { return Ok(keys) };
        let doing = format!("look for the claim of {cluster} in {}", self.objects.place());
        let names = self.objects.names(&doing, "claims").await?;
        let key = |name: &String| name.strip_suffix(".json").filter(|key| key.starts_with(&prefix)).map(str::to_owned);
        Homes::with_account(keys, names.iter().filter_map(key).collect())
            .map_err(|why| PortError::new(doing, ErrorKind::Invalid, why))
    }

    async fn load(&self, cluster: &ClusterName) -> Result<Found, PortError> {
        let (keys, home) = (self.keys(cluster).await?, self.homes.of(cluster));
        let key = |name: &str| format!("claims/{name}.json");
        for (nth, name) in keys.iter().enumerate() {
            let key = key(name);
            let doing = format!("read the claim {}", self.objects.address(&key));
            let Some((bytes, version)) = self.objects.get(&doing, &key).await? else { continue };
            let read = stored::decode_nth(nth, cluster, home.as_ref(), &bytes);
            if let Some(record) = read.map_err(|source| PortError::new(&doing, ErrorKind::Invalid, source))? {
                return Ok(Found { key, record, version: Some(version) });
            }
        }
        let key = key(keys.first().map_or(cluster, |name| name));
        Ok(Found { key, record: ClaimRecord::default(), version: None })
    }
}

impl<C: Clock> Coordination for Bucket<C> {
    fn is_about(&self, spec: &ClusterSpec) {
        self.homes.note(spec);
    }

    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError> {
        Ok(self.load(cluster).await?.record)
    }

    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError> {
        let found = self.load(cluster).await?;
        if found.record.revision != effect.expects() {
            return Ok(changed(effect.expects(), found.record.revision));
        }
        let body = stored::encode(cluster, self.homes.of(cluster), &effect.apply(&found.record, self.clock.now()));
        let doing = format!("write the claim {}", self.objects.address(&found.key));
        // Where no answer comes, the claim may have been written: the next look shows it.
        if self.objects.put(&doing, &found.key, body, found.version).await?.is_some() {
            return Ok(Outcome::Done);
        }
        let expected = format!("revision {}", effect.expects());
        Ok(Outcome::Changed { expected, found: "one that was written meanwhile".to_owned() })
    }

    async fn forget(&self, cluster: &ClusterName) -> Result<(), PortError> {
        let found = self.load(cluster).await?;
        let doing = format!("remove the claim {}", self.objects.address(&found.key));
        self.objects.delete(&doing, &found.key).await
    }
}
