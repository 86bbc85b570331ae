//! Simulated worlds as commands use them: saved in files, with images whose members behave well or badly.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::input::{file, text};
use crate::sim::World;
use crate::simulate::Behaviour;

use super::{Exit, Failure};

impl ValueEnum for Behaviour {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Good => "Members run well",
            Self::NeverJoins => "Members' processes never start",
            Self::Unhealthy => "Members join, and never become healthy",
            Self::Flaps => "Members become healthy, unhealthy, healthy, unhealthy …",
            Self::WrongVersion => "Members run well, but report another version than the image should have",
            Self::LosesData => {
                "Members run well, and lose their canary data at each start, which only a reader of the data notices"
            }
        };
        Some(PossibleValue::new(self.name()).help(help))
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
    file::may_be_replaced(path).map_err(failed)?;
    let held = file::hold(Path::new(&beside)).map_err(failed)?;
    let file = held.ok_or_else(|| {
        let told = format!("another process is at work in the world {}", text::path(path));
        Failure::new(told).hint("let it end first, or give this one a world of its own")
    })?;
    Ok(Lock { _file: file })
}

/// A saved world that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the world {} cannot be {verb}", text::path(path))]
struct WorldError {
    path: PathBuf,
    verb: &'static str,
    source: std::io::Error,
}
