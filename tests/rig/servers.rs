//! The programs that others wrote: where they are on this machine, after they have been fetched if need be.

use std::env;
use std::process::Command;

use crate::fetch::fetch;
use crate::kind::Kind;

/// The programs of moto and of one kind of application, and those that the guest's scripts call.
#[derive(Clone, Debug)]
pub struct Servers {
    /// For `PYTHONPATH`.
    pub moto: String,
    pub boot: Programs,
    pub kind: Kind,
    /// The server of a rig's first image, and that of its second one.
    pub programs: [Program; 2],
}

/// A server's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub path: String,
    /// The version that it reports, e.g. "3.4.23".
    pub version: String,
}

/// Folders of programs and of their libraries, beside those of this machine.
#[derive(Clone, Debug)]
pub struct Programs {
    path: String,
    libraries: String,
}

impl Servers {
    /// Finds those of a kind, or says why they cannot be had.
    pub fn find(kind: Kind) -> Result<Self, String> {
        let [v1, v2] = kind.programs();
        if kind == Kind::RabbitMq {
            // For its client.
            fetch(["pika"])?;
        }
        if kind == Kind::Patroni {
            // For its store.
            fetch(["etcd-3.5"])?;
        }
        let [moto, boot, v1, v2] = fetch(["moto", "boot", v1, v2])?;
        let (path, libraries) = boot.split_once(' ').unwrap();
        let boot = Programs { path: path.to_owned(), libraries: libraries.to_owned() };
        Ok(Self { moto, boot, kind, programs: [Program::at(v1, kind)?, Program::at(v2, kind)?] })
    }
}

impl Program {
    /// Asks a program for its version.
    fn at(path: String, kind: Kind) -> Result<Self, String> {
        let output = Command::new(&path).args(kind.version()).output();
        let output = output.map_err(|error| format!("{path} cannot be run: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let is_version = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
        let mut words = said.split_whitespace().map(|word| word.trim_start_matches(['v', '=']));
        let version = words.find(is_version).ok_or_else(|| format!("{path} does not say its version: {said}"))?;
        Ok(Self { version: version.to_owned(), path })
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
