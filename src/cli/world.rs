//! Simulated worlds as commands use them: saved in files, with images whose members behave well or badly.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::input::{file, text};
use crate::sim::{Payload, World};

use super::{Exit, Failure};

/// The behaviour of members on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Behaviour {
    /// Members run well
    Good,
    /// Members' processes never start
    NeverJoins,
    /// Members join, and never become healthy
    Unhealthy,
    /// Members become healthy, unhealthy, healthy, unhealthy …
    Flaps,
    /// Members run well, but report another version than the image should have
    WrongVersion,
    /// Members run well, and lose their canary data at each start, which only a reader of the data notices
    LosesData,
}

impl Behaviour {
    /// Says the same in the simulated world's words, for a cluster that expects `version`.
    pub fn payload(self, version: &str) -> Payload {
        match self {
            Self::Good => Payload::Good { version: version.to_owned() },
            Self::NeverJoins => Payload::NeverJoins,
            Self::Unhealthy => Payload::JoinsUnhealthy,
            Self::Flaps => Payload::Flaps,
            Self::WrongVersion => Payload::WrongVersion("0.0.1".to_owned()),
            Self::LosesData => Payload::LosesData,
        }
    }
}

/// Reads a saved world.
pub fn load(path: &Path) -> Result<World, Failure> {
    World::load(path).map_err(|source| {
        let error = WorldError { path: path.to_owned(), verb: "read", source };
        Failure::new(error)
            .hint("a world is saved by `run --cloud simulated --world FILE`, or by `simulate --world FILE`")
    })
}

/// Saves a world.
pub fn save(world: &World, path: &Path) -> Result<(), Failure> {
    world.save(path).map_err(|source| {
        let error = WorldError { path: path.to_owned(), verb: "written", source };
        let failure = Failure::new(error).hint("check that the folder exists, may be written to, and has room");
        Failure { exit: Exit::NotSaved, ..failure }
    })
}

/// The right to change a saved world, for as long as it is kept.
pub struct Lock {
    _file: File,
}

/// Keeps every other process from changing a saved world, or fails where one is changing it.
pub fn lock(path: &Path) -> Result<Lock, Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let failed = |source| {
        let error = WorldError { path: path.to_owned(), verb: "written", source };
        Failure::new(error).hint("check that the folder exists and may be written to")
    };
    let file = file::own(File::options().append(true), Path::new(&beside)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
        Err(TryLockError::WouldBlock) => {
            let told = format!("another process is at work in the world {}", text::path(path));
            Err(Failure::new(told).hint("let it end first, or give this one a world of its own"))
        }
    }
}

/// A saved world that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the world {} cannot be {verb}", text::path(path))]
struct WorldError {
    path: PathBuf,
    verb: &'static str,
    source: std::io::Error,
}
