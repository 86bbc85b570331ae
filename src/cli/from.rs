//! `--from`: the answer of a daemon in place of a look of the command's own.

use std::io::Write;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::face::client;
use crate::face::listen::Place;
use crate::face::request::Form;
use crate::input::text;
use crate::status::Attention;

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
    writeln!(out.data, "{}", answer.trim_end_matches('\n'))?;
    Ok(())
}

/// The path of a part of what is known of a cluster, e.g. `explain`. What can be no name of a cluster asks for nothing.
pub fn path_of(cluster: &str, part: &str) -> String {
    format!("{}/{part}", cluster_path(cluster))
}

/// The path of everything that is known of a cluster.
pub fn cluster_path(cluster: &str) -> String {
    let name: String = cluster.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    format!("/api/v1/clusters/{name}")
}

/// Reads how much each cluster of a daemon needs a person. A word that is not known here says nothing.
pub fn attentions(place: &Place) -> Result<Vec<Attention>, Failure> {
    #[derive(Deserialize)]
    struct Fleet {
        clusters: Vec<Cluster>,
    }
    #[derive(Deserialize)]
    struct Cluster {
        attention: Value,
    }
    let fleet: Fleet = document(place, "/api/v1/clusters")?;
    Ok(fleet.clusters.iter().filter_map(|cluster| Attention::deserialize(&cluster.attention).ok()).collect())
}
