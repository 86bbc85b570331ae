//! `--listen`: the daemon's face, beside the daemon.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::task::{LocalSet, spawn_local};

use crate::cli::plan::json::ClusterPlan;
use crate::cli::{Failure, explain, status};
use crate::daemon::source::Wish;
use crate::event::Listeners;
use crate::face::listen::{Listening, Place};
use crate::face::{About, Calls, Documents, Face, Hook, server};
use crate::history::latest::Latest;
use crate::input::secret::Secret;
use crate::input::{file, text};
use crate::notifications::post::Counts;
use crate::ports::{Clock, Outside};

/// The shortest secret of a webhook that nobody guesses, in bytes.
const SHORTEST_SECRET: usize = 16;

/// The arguments of the daemon's face.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Interface")]
#[group(skip)]
pub(super) struct Args {
    /// Show what the daemon knows at this address, e.g. `127.0.0.1:8642` or `unix:/run/hermitcrab/face.sock`; nothing can be
    /// changed there, and nobody is asked who they are
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Place>,
    /// Allow --listen at an address that other machines reach
    #[arg(long, requires = "listen")]
    listen_beyond_this_machine: bool,
    /// A name by which callers may ask, beside localhost and addresses; may be given several times
    #[arg(long, value_name = "HOST", requires = "listen")]
    listen_name: Vec<String>,
    /// Listen to a webhook at /hooks/source, whose calls are proven by the secret in this file; it makes the next look at --source
    /// come soon, and changes nothing else
    #[arg(long, value_name = "FILE", requires_all = ["listen", "address"])]
    webhook_secret: Option<PathBuf>,
}

/// The face of a daemon, if it is to have one.
pub(super) struct Shown(Option<(Rc<Face>, Listening)>);

impl Args {
    /// Whether the daemon is to have a face.
    pub(super) fn is_wanted(&self) -> bool {
        self.listen.is_some()
    }

    /// Listens, if that was asked for.
    pub(super) async fn open<O: Outside + Clone + 'static>(
        &self,
        outside: &O,
        uses_lease: bool,
        wish: Option<Rc<Wish>>,
        notifications: Option<Counts>,
        calls: Rc<Calls>,
        past: Latest,
    ) -> Result<Shown, Failure> {
        let Some(place) = &self.listen else { return Ok(Shown(None)) };
        if place.is_beyond_this_machine() && !self.listen_beyond_this_machine {
            let what = format!("{place} can be reached from other machines, and nobody is asked who they are there");
            return Err(Failure::new(what).hint(
                "listen at 127.0.0.1 or at a Unix socket, with a proxy before it that asks; or allow it with \
                 --listen-beyond-this-machine",
            ));
        }
        let hook = self.webhook_secret.as_deref().zip(wish).map(|(path, wish)| hook(path, wish)).transpose()?;
        let listening = place.listen(self.listen_name.clone()).await;
        let listening = listening.map_err(|error| Failure::new(format!("cannot listen at {place}: {error}")))?;
        let shown = listening.place().map_err(Failure::new)?;
        tracing::info!(at = %shown, "showing what the daemon knows");
        let clock = outside.clone();
        let now = Rc::new(move || clock.clock().now());
        let about = About { now, uses_lease, notifications, calls: Some(calls), documents: DOCUMENTS, hook };
        Ok(Shown(Some((Rc::new(Face::new(about, past)), listening))))
    }
}

impl Shown {
    /// Adds the face to those who are told.
    pub(super) fn listeners(&self, listeners: Listeners<'static>) -> Listeners<'static> {
        match &self.0 {
            Some((face, _)) => listeners.with(face.clone()),
            None => listeners,
        }
    }

    /// Answers for as long as the daemon runs.
    pub(super) async fn beside<T>(self, daemon: impl Future<Output = T>) -> T {
        let Some((face, listening)) = self.0 else { return daemon.await };
        let local = LocalSet::new();
        let run = async {
            spawn_local(server::serve(face, listening));
            daemon.await
        };
        local.run_until(run).await
    }
}

/// Makes the webhook whose secret is in a file.
fn hook(path: &Path, wish: Rc<Wish>) -> Result<Hook, Failure> {
    let secret = file::read_text(path, file::TOKEN);
    let secret = secret.map_err(|error| Failure::new(format!("{} cannot be read: {error}", text::path(path))))?;
    let secret = secret.trim();
    if secret.len() < SHORTEST_SECRET {
        return Err(Failure::new(format!("the secret of the webhook is shorter than {SHORTEST_SECRET} bytes"))
            .hint("write a long one into the file, e.g. what `openssl rand -hex 32` prints"));
    }
    Ok(Hook { secret: Secret::new(secret), wish: Box::new(move || wish.make()) })
}

/// Takes the colours off a text.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// The documents that commands write too.
pub(in crate::cli) const DOCUMENTS: Documents = Documents {
    plan: |spec, seen| serde_json::to_value(ClusterPlan::new(spec, seen)).unwrap_or_default(),
    explain: |spec, seen, asked| {
        serde_json::to_value(explain::explain(spec, seen, asked, explain::Asker::Controller)).unwrap_or_default()
    },
    status_text: |told| plain(&status::screen::render(told, false)),
    explain_text: |spec, seen, asked| {
        plain(&explain::text(&explain::explain(spec, seen, asked, explain::Asker::Controller)))
    },
    schemas: |generator| [generator.subschema_for::<ClusterPlan>(), generator.subschema_for::<explain::Explanation>()],
};
