//! Claims in a directory: one file a cluster, written under a lock, whole or not at all.
//!
//! The lock is the operating system's: it goes with the process that holds it, however that ends. It binds the processes
//! of one machine, so the directory belongs on a local disk.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind as Io, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::action::ClaimEffect;
use crate::ids::ClusterName;
use crate::input::{file, text};
use crate::observed::ClaimRecord;
use crate::ports::{Clock, Coordination, ErrorKind, Outcome, PortError};
use crate::spec::ClusterSpec;
use crate::time::{Human, after};

use super::changed;
use super::home::Homes;
use super::stored;
use super::term::shown;

/// The time for which a write waits for other processes. Each holds the lock for as long as a small file takes to be written; one
/// that was stopped in the middle must not stop this one too.
const PATIENCE: Duration = Duration::from_secs(5);
/// The interval at which a write tries to get the lock.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The interval at which a controller that stands by tries to become the active one.
const STAND_BY: Duration = Duration::from_secs(1);

/// The lease, which the operating system gives back when the file is closed, for whatever reason.
pub struct Lock {
    _file: File,
}

/// Claims in a directory on a local disk.
pub struct Local<C> {
    directory: PathBuf,
    homes: Homes,
    clock: C,
}

impl<C: Clock> Local<C> {
    /// Opens a directory, and makes it if it does not exist, for this user alone. Fails where it cannot be written to.
    pub fn open(directory: &Path, clock: C) -> Result<Self, PortError> {
        let doing = || format!("open the claims in {}", text::path(directory));
        file::folder(directory).map_err(|error| failed(doing(), error))?;
        let local = Self { directory: directory.to_owned(), homes: Homes::default(), clock };
        local.lock_file().map_err(|error| failed(doing(), error))?;
        Ok(local)
    }

    /// Waits until no other process is active in this directory.
    pub(super) async fn acquire(&self, holder: &str) -> Result<Lock, PortError> {
        let path = self.directory.join("lease");
        let doing = || format!("take the lease in {}", text::path(&path));
        let mut known = None;
        loop {
            // Opened anew each time, in case somebody has removed the file.
            let mut file =
                file::own(File::options().read(true).write(true), &path).map_err(|error| failed(doing(), error))?;
            match file.try_lock() {
                Ok(()) => {
                    let written = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
                    return written.map(|()| Lock { _file: file }).map_err(|error| failed(doing(), error));
                }
                Err(TryLockError::Error(error)) => return Err(failed(doing(), error)),
                Err(TryLockError::WouldBlock) => {
                    let other = shown(&file::read(&path, file::RECORD).unwrap_or_default());
                    if known.as_ref() != Some(&other) {
                        tracing::info!(
                            lease = text::path(&path),
                            held_by = other,
                            "another controller is active; standing by"
                        );
                        known = Some(other);
                    }
                }
            }
            self.clock.sleep(STAND_BY).await;
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(format!("{key}.claim.json"))
    }

    /// Lists the names under which a cluster's record may lie.
    fn keys(&self, cluster: &ClusterName) -> Result<Vec<String>, PortError> {
        let keys = self.homes.keys(cluster);
        let Some(prefix) = self.homes.prefix(cluster) else { return Ok(keys) };
        let doing = || format!("look for the claim of {cluster} in {}", text::path(&self.directory));
        let names = fs::read_dir(&self.directory).map_err(|error| failed(doing(), error))?.flatten();
        let key =
            |name: String| name.strip_suffix(".claim.json").filter(|key| key.starts_with(&prefix)).map(str::to_owned);
        let found = names.filter_map(|entry| key(entry.file_name().to_string_lossy().into_owned())).collect();
        Homes::with_account(keys, found).map_err(|why| PortError::new(doing(), ErrorKind::Invalid, why))
    }

    /// Reads a cluster's record, and says where it lies, or is to lie.
    fn load(&self, cluster: &ClusterName) -> Result<(PathBuf, ClaimRecord), PortError> {
        let (keys, home) = (self.keys(cluster)?, self.homes.of(cluster));
        for (nth, key) in keys.iter().enumerate() {
            let path = self.path(key);
            let doing = || format!("read the claim in {}", text::path(&path));
            let bytes = match file::read(&path, file::RECORD) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == Io::NotFound => continue,
                Err(error) => return Err(failed(doing(), error)),
            };
            let read = stored::decode_nth(nth, cluster, home.as_ref(), &bytes);
            if let Some(record) = read.map_err(|source| PortError::new(doing(), ErrorKind::Invalid, source))? {
                return Ok((path, record));
            }
        }
        let new = keys.first().map_or_else(|| self.path(cluster), |key| self.path(key));
        Ok((new, ClaimRecord::default()))
    }

    /// Keeps every other process from writing for as long as the file is open.
    async fn lock(&self) -> Result<File, PortError> {
        let doing = || format!("lock the claims in {}", text::path(&self.directory));
        let file = self.lock_file().map_err(|error| failed(doing(), error))?;
        let until = after(self.clock.now(), PATIENCE);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(failed(doing(), error)),
                Err(TryLockError::WouldBlock) if self.clock.now() >= until => {
                    let why = format!("another process has held the lock for {}", Human(PATIENCE));
                    return Err(PortError::new(doing(), ErrorKind::Unreachable, why));
                }
                Err(TryLockError::WouldBlock) => self.clock.sleep(TRY_EVERY).await,
            }
        }
    }

    fn lock_file(&self) -> io::Result<File> {
        file::own(File::options().append(true), &self.directory.join("claims.lock"))
    }
}

impl<C: Clock> Coordination for Local<C> {
    fn is_about(&self, spec: &ClusterSpec) {
        self.homes.note(spec);
    }

    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError> {
        self.load(cluster).map(|(_, record)| record)
    }

    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError> {
        let _lock = self.lock().await?;
        let (path, found) = self.load(cluster)?;
        if found.revision != effect.expects() {
            return Ok(changed(effect.expects(), found.revision));
        }
        let bytes = stored::encode(cluster, self.homes.of(cluster), &effect.apply(&found, self.clock.now()));
        match file::replace(&path, &bytes) {
            Ok(()) => Ok(Outcome::Done),
            Err(error) => Err(failed(format!("write the claim in {}", text::path(&path)), error)),
        }
    }

    async fn forget(&self, cluster: &ClusterName) -> Result<(), PortError> {
        let _lock = self.lock().await?;
        let (path, _) = self.load(cluster)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != Io::NotFound => {
                Err(failed(format!("remove the claim in {}", text::path(&path)), error))
            }
            _ => Ok(()),
        }
    }
}

/// Tells what follows from a file that cannot be used.
fn failed(doing: String, error: io::Error) -> PortError {
    let kind = match error.kind() {
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
        Io::NotADirectory | Io::IsADirectory | Io::AlreadyExists => ErrorKind::Invalid,
        // A full disk, or one that does not answer: the next write may well succeed.
        _ => ErrorKind::Unreachable,
    };
    PortError::new(doing, kind, error)
}
