//! The folder in which a daemon keeps its log of events, for the commands that read it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::face::listen::Place;
use crate::face::request::Form;
use crate::history::log::{Log, LogError};
use crate::history::read::{Found, read};
use crate::history::record::Record;
use crate::history::rollout::{Rollout, rollouts};
use crate::picture::svg;

use super::desired::unknown;
use super::file::FileError;
use super::{Failure, Output, from};

/// The variable that names the folder.
pub const VARIABLE: &str = "HERMITCRAB_STATE";

/// The number of lines that cannot be used of which each is told.
const MOST_SKIPPED: usize = 5;

/// The arguments of every command that reads the log.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Recorded {
    /// The cluster; all of them if left out
    cluster: Option<String>,
    /// The folder that the daemon writes its log to: what `run --state` was given
    #[arg(long, value_name = "DIR", env = VARIABLE, hide_env_values = true, required_unless_present = "from")]
    state: Option<PathBuf>,
    /// Ask the daemon that listens there (`run --listen`) instead of reading its log: it has the latest 20,000 events in memory
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Place>,
}

/// Rollouts, and where more can be learnt about them.
pub struct Past {
    pub rollouts: Vec<Rollout>,
    pub source: Source,
}

/// The place where rollouts were read.
pub enum Source {
    Log(Vec<Record>),
    Daemon(Place),
}

impl Source {
    /// Draws one of the rollouts.
    pub fn picture(&self, rollout: &Rollout) -> Result<String, Failure> {
        match self {
            Self::Log(records) => Ok(svg(rollout, records)),
            Self::Daemon(place) => {
                let path = from::path_of(&rollout.cluster, &format!("history/{}/picture", rollout.id));
                from::ask(place, &path, Form::Json)
            }
        }
    }
}

impl Recorded {
    /// Reads the events: those of the cluster that is named, or all.
    pub fn read(&self, out: &mut Output) -> Result<Vec<Record>, Failure> {
        match (&self.from, &self.state) {
            (Some(place), _) => told(place, &self.path("events")),
            (None, Some(folder)) => self.log(folder, out),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Reads the rollouts: those of the cluster that is named, or all.
    pub fn past(&self, out: &mut Output) -> Result<Past, Failure> {
        let Some(place) = &self.from else {
            let records = self.read(out)?;
            return Ok(Past { rollouts: rollouts(&records), source: Source::Log(records) });
        };
        #[derive(Deserialize)]
        struct Document {
            rollouts: Vec<Rollout>,
        }
        let Document { rollouts } = from::document(place, &self.path("history"))?;
        Ok(Past { rollouts, source: Source::Daemon(place.clone()) })
    }

    fn path(&self, part: &str) -> String {
        self.cluster.as_deref().map_or_else(|| format!("/api/v1/{part}"), |cluster| from::path_of(cluster, part))
    }

    fn log(&self, folder: &Path, out: &mut Output) -> Result<Vec<Record>, Failure> {
        let Found { mut records, skipped } = found(folder)?;
        for line in skipped.iter().take(MOST_SKIPPED) {
            writeln!(out.notes, "note: a line is skipped: {line}")?;
        }
        if let Some(more) = skipped.len().checked_sub(MOST_SKIPPED).filter(|more| *more > 0) {
            writeln!(out.notes, "note: and {more} lines more")?;
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

/// Asks a daemon for the events at a path, e.g. `/api/v1/events`.
pub fn told(place: &Place, path: &str) -> Result<Vec<Record>, Failure> {
    #[derive(Deserialize)]
    struct Document {
        events: Vec<Record>,
    }
    Ok(from::document::<Document>(place, path)?.events)
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

/// Opens the log for the one process that writes it, with the records that it has.
pub fn open(folder: &Path) -> Result<(Log, Vec<Record>), Failure> {
    Log::open(folder).map_err(|error| {
        let hint = match error {
            LogError::InUse { .. } => "give each controller a folder of its own",
            LogError::Unusable { .. } => "name a folder on a local disk that this user may write to",
        };
        Failure::new(error).hint(hint)
    })
}
