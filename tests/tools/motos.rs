//! moto, the endpoint that somebody else wrote, for many tests: each has one of its own, a copy of a process that has read all of it once.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

/// The process that is copied. It ends with the tests, and all copies with it.
pub struct Motos {
    place: SocketAddr,
    _process: Child,
}

/// A running moto. It ends with the test.
pub struct Moto {
    pub url: String,
    log: PathBuf,
    _connection: UnixStream,
}

impl Motos {
    /// Starts it from the folder that moto was fetched into, with settings from its environment. What it reads before it is copied is
    /// what these services of a region need; all others are there too.
    pub fn begin(folder: &str, region: &str, services: &[&str], settings: &[(&str, &str)]) -> Result<Self, String> {
        let name = format!("hermitcrab-motos-{}", std::process::id());
        let mut process = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/motos.py"))
            .args([&name, region])
            .args(services)
            .env("PYTHONPATH", folder)
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("moto does not start: {error}"))?;
        let mut said = String::new();
        let told = BufReader::new(process.stdout.take().unwrap()).read_line(&mut said);
        if told.is_err() || said != "ready\n" {
            return Err("moto does not start".to_owned());
        }
        Ok(Self { place: SocketAddr::from_abstract_name(name).unwrap(), _process: process })
    }

    /// Makes a moto with nothing in it, on a port of its own; if buckets are emptied in it, with what that takes.
    pub fn one(&self, log: &Path, with_buckets: bool) -> io::Result<Moto> {
        let mut connection = UnixStream::connect_addr(&self.place)?;
        writeln!(connection, "{}", json!({ "log": log, "buckets": with_buckets }))?;
        let mut url = String::new();
        BufReader::new(&connection).read_line(&mut url)?;
        Ok(Moto { url: url.trim_end().to_owned(), log: log.to_owned(), _connection: connection })
    }
}

impl Moto {
    /// Lists the requests that moto has no answer for: it logs them as errors of its own.
    pub fn complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.contains("\" 500 ")).map(str::to_owned).collect()
    }
}
