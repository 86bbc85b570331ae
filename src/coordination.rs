//! Where the claim of each cluster is kept.
//!
//! Everything here is [`ports::Coordination`](crate::ports::Coordination): one small record a cluster, written with
//! compare-and-set. Safety rests on that alone.

use std::path::PathBuf;
use std::str::FromStr;

use crate::action::ClaimEffect;
use crate::ids::ClusterName;
use crate::observed::ClaimRecord;
use crate::ports::{Clock, Coordination, Outcome, PortError};

pub mod local;
mod stored;

pub use local::Local;

/// Where claims are to be kept, as a person writes it: a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory on a local disk. Every controller that uses it runs on this machine.
    Directory(PathBuf),
}

/// The claims of all clusters, kept in one place.
pub enum Claims<C> {
    /// In a directory.
    Local(Local<C>),
}

impl<C: Clock> Claims<C> {
    /// Opens a place; a directory is made if it does not exist. `clock` dates what is written.
    pub fn open(place: &Place, clock: C) -> Result<Self, PortError> {
        match place {
            Place::Directory(directory) => Local::open(directory, clock).map(Self::Local),
        }
    }
}

impl<C: Clock> Coordination for Claims<C> {
    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError> {
        match self {
            Self::Local(local) => local.read(cluster).await,
        }
    }

    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError> {
        match self {
            Self::Local(local) => local.write(cluster, effect).await,
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some((scheme, _)) => Err(format!("claims cannot be kept at `{scheme}://`: name a directory")),
            None if text.is_empty() => Err("name a directory".to_owned()),
            None => Ok(Self::Directory(PathBuf::from(text))),
        }
    }
}

/// A record that a write did not expect.
fn changed(expected: u64, found: u64) -> Outcome {
    Outcome::Changed { expected: format!("revision {expected}"), found: format!("revision {found}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory() {
        assert_eq!("state/claims".parse(), Ok(Place::Directory(PathBuf::from("state/claims"))));
        assert_eq!(
            "s3://bucket".parse::<Place>(),
            Err("claims cannot be kept at `s3://`: name a directory".to_owned())
        );
        assert!("".parse::<Place>().is_err());
    }
}
