//! `--from`: the answer of a daemon in place of a look of the command's own.

use serde::Deserialize;

use crate::face::client;
use crate::face::listen::Place;
use crate::face::request::Form;
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

/// Writes what a daemon answers.
pub fn write(place: &Place, path: &str, form: Form, out: &mut Output) -> Result<(), Failure> {
    let mut answer = ask(place, path, form)?;
    if !answer.ends_with('\n') {
        answer.push('\n');
    }
    out.data.write_all(answer.as_bytes())?;
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
    let fleet: serde_json::Value = serde_json::from_str(&ask(place, "/api/v1/clusters", Form::Json)?)?;
    let clusters = fleet["clusters"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(clusters.iter().filter_map(|cluster| Attention::deserialize(&cluster["attention"]).ok()).collect())
}
