//! moto, the EC2 endpoint that somebody else wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{self, Process};
use crate::servers::Servers;
use crate::until;

/// Calls that moto does not have, and what the rig does about it. Any other one fails the scenario.
const EXPLAINED: &[&str] = &[];

/// A running moto.
pub struct Moto {
    pub endpoint: String,
    log: PathBuf,
    _process: Process,
}

impl Moto {
    /// Starts one with nothing in it, on a port of its own.
    pub async fn start(servers: &Servers, dir: &Path) -> Self {
        let log = dir.join("moto.log");
        let mut command = process::command("python3");
        command
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONPATH", &servers.moto)
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .env("MOTO_ENABLE_AMI_VALIDATION", "1");
        let process = Process::start(command, &log);
        let told = || fs::read_to_string(&log).ok()?.split("Running on ").nth(1)?.lines().next().map(str::to_owned);
        let endpoint = until("moto to listen", Duration::from_secs(90), async || told()).await;
        let ready =
            async || reqwest::get(format!("{endpoint}/moto-api/")).await.ok().filter(|it| it.status().is_success());
        until("moto to answer", Duration::from_secs(90), ready).await;
        Self { endpoint, log, _process: process }
    }

    /// Lists the requests that moto has no answer for.
    pub fn complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let complaints = log.lines().filter(|line| line.contains("NotImplementedError"));
        complaints.filter(|line| !EXPLAINED.iter().any(|known| line.contains(known))).map(str::to_owned).collect()
    }
}
