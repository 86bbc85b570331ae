//! The objects below one prefix of a bucket: small, read whole, and written only in the place of what was read.

use std::fmt::Display;
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use super::answer::port_error;
use crate::coordination::place;
use crate::input::file;
use crate::ports::{ErrorKind, PortError};

/// The state of an object that a write replaces.
pub(super) type Version = UpdateVersion;

/// A bucket, and the prefix below which everything lies.
#[derive(Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    place: place::Bucket,
}

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>, place: &place::Bucket) -> Self {
        Self { store, place: place.clone() }
    }

    /// The bucket and the prefix, for a person to read.
    pub(super) fn place(&self) -> &impl Display {
        &self.place
    }

    /// The whole address of an object, e.g. `s3://platform/hermitcrab/lease.json`.
    pub(super) fn address(&self, key: &str) -> String {
        format!("s3://{}/{}/{key}", self.place.name, self.place.prefix)
    }

    /// Reads an object, if there is one.
    pub(super) async fn get(&self, doing: &str, key: &str) -> Result<Option<(Vec<u8>, Version)>, PortError> {
        let found = match self.store.get(&self.path(key)).await {
            Ok(found) => found,
            Err(error) => return self.unless_missing(doing, error).map(|()| None),
        };
        if found.meta.size > file::RECORD as u64 {
            let why = format!("it has {} bytes, and no record has more than {}", found.meta.size, file::RECORD);
            return Err(PortError::new(doing, ErrorKind::Invalid, why));
        }
        let version = Version { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = found.bytes().await.map_err(|error| self.failed(doing, error))?;
        Ok(Some((bytes.to_vec(), version)))
    }

    /// Writes an object if it still has the version that was read, or if there still is none. Returns the new version, and
    /// nothing where somebody else has written.
    pub(super) async fn put(
        &self,
        doing: &str,
        key: &str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> Result<Option<Version>, PortError> {
        let mode = expected.map_or(PutMode::Create, PutMode::Update);
        match self.store.put_opts(&self.path(key), bytes.into(), PutOptions::from(mode)).await {
            Ok(written) => Ok(Some(written.into())),
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => Ok(None),
            Err(error) => Err(self.failed(doing, error)),
        }
    }

    /// Removes an object, whether or not there is one.
    pub(super) async fn delete(&self, doing: &str, key: &str) -> Result<(), PortError> {
        match self.store.delete(&self.path(key)).await {
            Ok(()) => Ok(()),
            Err(error) => self.unless_missing(doing, error),
        }
    }

    /// Lists the names of the objects below a folder.
    pub(super) async fn names(&self, doing: &str, folder: &str) -> Result<Vec<String>, PortError> {
        let listed = self.store.list(Some(&self.path(folder)));
        let name = |object: object_store::ObjectMeta| async move { Ok(object.location.filename().map(str::to_owned)) };
        listed.try_filter_map(name).try_collect().await.map_err(|error| self.failed(doing, error))
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}/{key}", self.place.prefix))
    }

    /// Passes on what failed, unless it is that there is no such object. That there is no such bucket is another matter.
    fn unless_missing(&self, doing: &str, error: Error) -> Result<(), PortError> {
        let is_missing = matches!(error, Error::NotFound { .. });
        let error = self.failed(doing, error);
        if is_missing && error.kind == ErrorKind::NotFound { Ok(()) } else { Err(error) }
    }

    fn failed(&self, doing: &str, error: Error) -> PortError {
        port_error(doing, &self.place, error)
    }
}
