//! The programs that others wrote: where they are on this machine, after they have been fetched if need be.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where moto and Consul are, and what the guest's scripts call.
#[derive(Clone, Debug)]
pub struct Servers {
    /// For `PYTHONPATH`.
    pub moto: PathBuf,
    pub consul: PathBuf,
    pub boot: Programs,
}

/// Folders of programs and of their libraries, beside those of this machine.
#[derive(Clone, Debug)]
pub struct Programs {
    path: String,
    libraries: String,
}

impl Servers {
    /// Finds them, or says why they cannot be had.
    pub fn find() -> Result<Self, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/fetch.sh");
        let fetched = Command::new("bash").arg(script).stdin(Stdio::null()).output();
        let fetched = fetched.map_err(|error| format!("{script} cannot be run: {error}"))?;
        let (said, complained) = (String::from_utf8_lossy(&fetched.stdout), String::from_utf8_lossy(&fetched.stderr));
        let find = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let boot = find("boot ").and_then(|folders| folders.split_once(' '));
        match (find("moto "), find("consul "), boot) {
            (Some(moto), Some(consul), Some((path, libraries))) => Ok(Self {
                moto: PathBuf::from(moto),
                consul: PathBuf::from(consul),
                boot: Programs { path: path.to_owned(), libraries: libraries.to_owned() },
            }),
            _ => Err(complained.lines().last().unwrap_or("fetch.sh says nothing").to_owned()),
        }
    }
}

impl Programs {
    /// An environment in which this machine's own programs come first.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let whole = |name, ours: &str| match env::var(name) {
            Ok(theirs) if !theirs.is_empty() => (name, format!("{theirs}:{ours}")),
            _ => (name, ours.to_owned()),
        };
        [whole("PATH", &self.path), whole("LD_LIBRARY_PATH", &self.libraries)]
    }
}
