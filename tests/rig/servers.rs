//! The programs that others wrote: where they are on this machine, after they have been fetched if need be.

use std::env;

use crate::fetch::fetch;

/// The programs of moto and Consul, and those that the guest's scripts call.
#[derive(Clone, Debug)]
pub struct Servers {
    /// For `PYTHONPATH`.
    pub moto: String,
    pub consul: String,
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
        let [moto, consul, boot] = fetch(["moto", "consul", "boot"])?;
        let (path, libraries) = boot.split_once(' ').unwrap();
        let boot = Programs { path: path.to_owned(), libraries: libraries.to_owned() };
        Ok(Self { moto, consul, boot })
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
