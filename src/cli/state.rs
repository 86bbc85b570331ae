//! The folder in which a daemon keeps its log of events, for the commands that read it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::history::log::{Log, LogError};
use crate::history::read::{Found, read};
use crate::history::record::Record;

use super::desired::unknown;
use super::file::FileError;
use super::{Failure, Output};

/// The variable that names the folder.
pub const VARIABLE: &str = "HERMITCRAB_STATE";

/// The arguments of every command that reads the log.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Recorded {
    /// The cluster; all of them if left out
    cluster: Option<String>,
    /// The folder that the daemon writes its log to: what `run --state` was given
    #[arg(long, value_name = "DIR", env = VARIABLE, hide_env_values = true)]
    state: PathBuf,
}

impl Recorded {
    /// Reads the events: those of the cluster that is named, or all.
    pub fn read(&self, out: &mut Output) -> Result<Vec<Record>, Failure> {
        let Found { mut records, skipped } = found(&self.state)?;
        for line in skipped {
            writeln!(out.notes, "note: a line is skipped: {line}")?;
        }
        if let Some(name) = &self.cluster {
            let mut known: Vec<_> = records.iter().filter_map(|record| record.cluster.clone()).collect();
            known.sort_unstable();
            known.dedup();
            if !known.contains(name) {
                return Err(unknown("cluster in the log", name, known.iter().map(String::as_str)));
            }
            records.retain(|record| record.cluster.as_ref() == Some(name));
        }
        Ok(records)
    }
}

/// Reads the log in a folder.
pub fn found(folder: &Path) -> Result<Found, Failure> {
    read(folder).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "name the folder that the daemon was given with `run --state DIR`",
            _ => "the log is for the daemon's user alone; read it as that user",
        };
        Failure::new(FileError::new(folder, "read", error)).hint(hint)
    })
}

/// Opens the log for the one process that writes it.
pub fn open(folder: &Path) -> Result<Log, Failure> {
    Log::open(folder).map_err(|error| {
        let hint = match error {
            LogError::InUse { .. } => "give each controller a folder of its own",
            LogError::Unusable { .. } => "name a folder on a local disk that this user may write to",
        };
        Failure::new(error).hint(hint)
    })
}
