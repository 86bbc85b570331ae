//! `--from`: the answer of a daemon in place of a look of the command's own.

use std::io::Write;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::face::client;
use crate::face::listen::Place;
use crate::face::request::Form;
use crate::input::text;
use crate::status::Attention;

use super::desired::Only;
use super::{Failure, Output, runtime};

/// The argument of every command that can ask a daemon.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct From {
    /// Ask the daemon that listens there (`run --listen`) instead of looking: it also knows the kill switch, refused calls, the
    /// lease, and files that are broken or gone
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["cloud", "world", "image", "seed", "paths"])]
    pub from: Option<Place>,
}

/// Asks a daemon for what is at a path.
pub fn ask(place: &Place, path: &str, form: Form) -> Result<String, Failure> {
    let asking = client::ask(place, path, form);
    runtime::start()?.block_on(asking).map_err(unanswered)
}

/// The failure of a command that a daemon does not answer.
pub fn unanswered(error: client::Unanswered) -> Failure {
    Failure::new(error).hint("name the place that `hermitcrab run --listen` was given, e.g. `127.0.0.1:8642`")
}

/// Asks a daemon for the document at a path.
pub fn document<T: DeserializeOwned>(place: &Place, path: &str) -> Result<T, Failure> {
    let asking = client::document(place, path);
    runtime::start()?.block_on(asking).map_err(unanswered)
}

/// Writes what a daemon answers, which somebody else may have written who listens in its place.
pub fn write(place: &Place, path: &str, form: Form, out: &mut Output) -> Result<(), Failure> {
    let answer = ask(place, path, form)?;
    let answer = match form {
        Form::Text => text::clean_lines(&answer),
        Form::Json => {
            serde_json::from_str::<IgnoredAny>(&answer)
                .map_err(|error| unanswered(client::Unanswered::Foreign(place.clone(), error)))?;
            text::clean_json(&answer)
        }
    };
    let answer = format!("{}\n", answer.trim_end_matches('\n'));
    match form {
        Form::Text => out.text(&answer)?,
        Form::Json => out.data.write_all(answer.as_bytes())?,
    }
    Ok(())
}

/// The path of a part of what is known of a cluster, e.g. `explain`. What can be no name of a cluster asks for nothing.
pub fn path_of(cluster: &str, part: &str) -> String {
    format!("{}/{part}", cluster_path(cluster))
}

/// The path of everything that is known of a cluster.
pub fn cluster_path(cluster: &str) -> String {
    format!("{}/{}", Fleet::PATH, in_path(cluster))
}

/// A name as it may stand in a path: what no name has is left out.
pub fn in_path(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect()
}

/// The fleet of a daemon, as it tells of it.
#[derive(Deserialize, Serialize)]
pub struct Fleet {
    #[serde(flatten)]
    about: Map<String, Value>,
    /// A row for each cluster.
    pub clusters: Vec<Value>,
}

impl Fleet {
    /// The path of the fleet.
    pub const PATH: &str = "/api/v1/clusters";

    /// Keeps the clusters that are to be shown. One that the daemon does not know is an error.
    pub fn keep(mut self, only: &Only) -> Result<Self, Failure> {
        only.check(self.clusters.iter().map(name))?;
        self.clusters.retain(|row| only.shows(name(row)));
        Ok(self)
    }

    /// Reads how much each cluster needs a person. A word that is not known here says nothing.
    pub fn attentions(&self) -> Vec<Attention> {
        self.clusters.iter().filter_map(|row| Attention::deserialize(&row["attention"]).ok()).collect()
    }
}

/// The name of the cluster that a row of the fleet is about.
pub fn name(row: &Value) -> &str {
    row["cluster"].as_str().unwrap_or_default()
}
