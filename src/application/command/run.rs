//! One run of a user's program: what it is given beside its request.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::wire::PROTOCOL;
use crate::program::{self, Bounds, Ended, Trouble};

/// The most bytes of an answer.
pub(super) const MOST_ANSWERED: usize = 1 << 20;
/// The variables that a program is given as we have them. It needs no credentials of ours.
const HANDED_ON: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// A program with the arguments to run it with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub program: &'a Path,
    pub args: &'a [String],
    /// The time after which it is killed.
    pub timeout: Duration,
}

impl Run<'_> {
    /// Runs the program on one request. Should the caller go away, so does the program with all that it has started.
    pub(super) async fn on(&self, request: &[u8]) -> Result<Ended, Trouble> {
        program::run(&mut self.command(), request, Bounds { timeout: self.timeout, most: MOST_ANSWERED }).await
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.args(self.args).env_clear().envs(environment(self.timeout));
        if let Some(folder) = self.program.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            command.current_dir(folder);
        }
        command
    }
}

/// Gives the environment of a program.
fn environment(timeout: Duration) -> impl Iterator<Item = (&'static str, OsString)> {
    let ours = HANDED_ON.into_iter().filter_map(|name| Some((name, env::var_os(name)?)));
    let own = [
        ("HERMITCRAB_PROTOCOL", PROTOCOL.to_string().into()),
        ("HERMITCRAB_TIMEOUT_SECONDS", timeout.as_secs().to_string().into()),
    ];
    ours.chain(own)
}
