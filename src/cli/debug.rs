//! `debug`: gathers into a folder what somebody needs who is to find out what went wrong.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::face::listen::Place;
use crate::face::request::Form;
use crate::input::{file, text};
use crate::spec::load::{self, Loaded};
use crate::spec::render;

use super::file::FileError;
use super::{Exit, Failure, Output, from, state};

const EXAMPLES: &str = "\
Examples:
  hermitcrab debug --into bundle --from 127.0.0.1:8642 --state /var/lib/hermitcrab desired-state
      Gather what the daemon knows, its log of events, and the files that it reads
  hermitcrab debug --into bundle desired-state
      Gather the files alone, with what is wrong with them
  tar --create --gzip --file bundle.tar.gz bundle
      Pack it up, once you have looked through it

Exit codes:
  0  something was gathered; MISSING.txt says what could not be
  1  nothing was gathered";

/// Gather what helps to find out what went wrong, without secrets, into a folder of its own
///
/// Only the daemon, its log and desired-state files are asked, and nothing is sent anywhere. Whatever in an address may be a
/// password is left out, and no file is read that a file names: no token, no key, no user data.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Desired-state files, or folders of them
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The folder to write to, which must not exist
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Ask the daemon that listens there (`run --listen`)
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Place>,
    /// The folder that the daemon writes its log to: what `run --state` was given
    #[arg(long, value_name = "DIR", env = state::VARIABLE, hide_env_values = true)]
    state: Option<PathBuf>,
}

/// The most clusters of a daemon of which everything is asked.
const MOST_CLUSTERS: usize = 1000;

/// The program that gathered, for whoever reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct About {
    format_version: &'static str,
    version: &'static str,
    aws: bool,
    system: &'static str,
    architecture: &'static str,
}

/// The folder that is written, as far as it is.
struct Bundle<'a> {
    folder: &'a Path,
    written: usize,
    missing: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if args.paths.is_empty() && args.from.is_none() && args.state.is_none() {
        let failure = Failure::new("there is nothing to gather from");
        return Err(Failure { exit: Exit::Usage, ..failure.hint("name files, --from ADDRESS, or --state DIR") });
    }
    let mut bundle = Bundle::begin(&args.into)?;
    if !args.paths.is_empty() {
        bundle.desired(&load::load(&args.paths))?;
    }
    if let Some(place) = &args.from {
        bundle.daemon(place)?;
    }
    if let Some(folder) = &args.state {
        bundle.log(folder)?;
    }
    bundle.end(out)
}

impl<'a> Bundle<'a> {
    /// Makes the folder, for this user alone.
    fn begin(folder: &'a Path) -> Result<Self, Failure> {
        let refused = |error: io::Error| {
            Failure::new(FileError::new(folder, "made", error)).hint("name a folder that does not exist, with --into")
        };
        if folder.symlink_metadata().is_ok() {
            return Err(refused(io::ErrorKind::AlreadyExists.into()));
        }
        file::folder(folder).map_err(refused)?;
        Ok(Self { folder, written: 0, missing: Vec::new() })
    }

    /// Writes one file. `name` is ours, e.g. `daemon/events.json`.
    fn put(&mut self, name: &str, content: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let put = || {
            file::folder(path.parent().unwrap_or(self.folder))?;
            file::replace(&path, text::without_passwords(content).as_bytes())
        };
        put().map_err(|error| Failure::new(FileError::new(&path, "written", error)))?;
        self.written += 1;
        Ok(())
    }

    fn miss(&mut self, what: &str, why: &dyn std::fmt::Display) {
        self.missing.push(text::argument(&format!("{what}: {why}")));
    }

    /// Writes desired state as far as it can be read, and what is wrong with it.
    fn desired(&mut self, loaded: &Loaded) -> Result<(), Failure> {
        let problems = text::clean_lines(&render::text(loaded, false));
        if loaded.files.is_empty() {
            self.miss("desired state", &problems);
            return Ok(());
        }
        self.put("desired-state/problems.txt", &problems)?;
        for (nth, file) in loaded.files.values().enumerate() {
            let path = text::path(&file.path);
            if file.spec.is_some() {
                self.put(&format!("desired-state/{nth:04}.yaml"), &format!("# {path}\n{}", file.text))?;
            } else {
                self.miss(
                    &path,
                    &"the file is broken, so nobody can tell what is in it; problems.txt has its mistakes",
                );
            }
        }
        Ok(())
    }

    /// Asks a daemon for everything that it tells.
    fn daemon(&mut self, place: &Place) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Fleet {
            clusters: Vec<Value>,
        }
        for (path, form, name) in [
            ("/readyz", Form::Text, "daemon/readyz.txt"),
            ("/metrics", Form::Text, "daemon/metrics.txt"),
            ("/api/v1/events", Form::Json, "daemon/events.json"),
            ("/api/v1/history", Form::Json, "daemon/history.json"),
        ] {
            self.ask(place, path, form, name)?;
        }
        let fleet = self.ask(place, "/api/v1/clusters", Form::Json, "daemon/clusters.json")?;
        let fleet = fleet.and_then(|answer| serde_json::from_str::<Fleet>(&answer).ok());
        let fleet = fleet.map_or_else(Vec::new, |fleet| fleet.clusters);
        let names = fleet.iter().filter_map(|cluster| cluster["cluster"].as_str());
        for (nth, name) in names.take(MOST_CLUSTERS).enumerate() {
            self.ask(place, &from::cluster_path(name), Form::Json, &format!("daemon/{nth:04}.json"))?;
            for part in ["plan", "explain"] {
                self.ask(place, &from::path_of(name, part), Form::Text, &format!("daemon/{nth:04}-{part}.txt"))?;
            }
        }
        Ok(())
    }

    /// Writes one answer of a daemon, and gives it. Whatever it does not answer is missing, and the rest is asked all the same.
    fn ask(&mut self, place: &Place, path: &str, form: Form, name: &str) -> Result<Option<String>, Failure> {
        let answer = match from::ask(place, path, form) {
            Ok(answer) => answer,
            Err(failure) => {
                self.miss(path, &failure.error);
                return Ok(None);
            }
        };
        match form {
            Form::Json => self.put(name, &text::clean_json(&answer))?,
            Form::Text => self.put(name, &text::clean_lines(&answer))?,
        }
        Ok(Some(answer))
    }

    /// Writes the events of a log, one a line.
    fn log(&mut self, folder: &Path) -> Result<(), Failure> {
        match state::found(folder) {
            Ok(found) => {
                let lines: String = found.records.iter().map(|record| record.line() + "\n").collect();
                found.skipped.iter().for_each(|line| self.miss("a line of the log", line));
                self.put("state/events.jsonl", &lines)
            }
            Err(failure) => {
                self.miss("the log", &failure.error);
                Ok(())
            }
        }
    }

    fn end(mut self, out: &mut Output) -> Result<Exit, Failure> {
        let is_empty = self.written == 0;
        let about = About {
            format_version: "1.0",
            version: env!("CARGO_PKG_VERSION"),
            aws: cfg!(feature = "aws"),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
        };
        self.put("about.json", &serde_json::to_string_pretty(&about)?)?;
        let missing = std::mem::take(&mut self.missing);
        if !missing.is_empty() {
            self.put("MISSING.txt", &(missing.join("\n") + "\n"))?;
        }
        let folder = text::path(self.folder);
        writeln!(out.data, "{folder}: {} files", self.written)?;
        for missing in &missing {
            writeln!(out.notes, "note: missing: {missing}")?;
        }
        if is_empty {
            return Err(Failure::new("nothing could be gathered").hint("the notes above say why"));
        }
        writeln!(out.notes, "note: look through it before you give it away: names, addresses and tags are in it")?;
        Ok(Exit::Done)
    }
}
