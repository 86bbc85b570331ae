//! The servers that others wrote: where they are on this machine, after they have been fetched if need be.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where moto and Consul are.
#[derive(Clone, Debug)]
pub struct Servers {
    /// For `PYTHONPATH`.
    pub moto: PathBuf,
    pub consul: PathBuf,
}

impl Servers {
    /// Finds them, or says why they cannot be had.
    pub fn find() -> Result<Self, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/fetch.sh");
        let fetched = Command::new("bash").arg(script).stdin(Stdio::null()).output();
        let fetched = fetched.map_err(|error| format!("{script} cannot be run: {error}"))?;
        let (said, complained) = (String::from_utf8_lossy(&fetched.stdout), String::from_utf8_lossy(&fetched.stderr));
        let find = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(|path| PathBuf::from(path.trim()))
        };
        match (find("moto "), find("consul ")) {
            (Some(moto), Some(consul)) => Ok(Self { moto, consul }),
            _ => Err(complained.lines().last().unwrap_or("fetch.sh says nothing").to_owned()),
        }
    }
}
