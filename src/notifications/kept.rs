//! The memory of notifications on disk: what was told, and what still waits for its receiver.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::outbox::Outbox;
use super::watch::Memory;
use crate::input::file;

/// The version of the file. Another one is refused, so that nothing is told twice by mistake.
const FORMAT_VERSION: &str = "1.0";

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    format_version: String,
    pub(super) told: Memory,
    pub(super) waiting: Outbox,
}

impl Content {
    /// Everything that was told before.
    pub fn told(&self) -> &Memory {
        &self.told
    }
}

/// The file, in the folder that the daemon keeps its log in, and that one process writes.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
}

impl Kept {
    /// Names the file in a folder, and reads it; it is empty before the first time.
    pub fn open(folder: &Path) -> io::Result<(Self, Content)> {
        let kept = Self { path: folder.join("notifications.json") };
        let content = match file::read(&kept.path, file::NOTIFICATIONS) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            read => serde_json::from_slice(&read?)?,
        };
        if !["", FORMAT_VERSION].contains(&content.format_version.as_str()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is of another version"));
        }
        Ok((kept, content))
    }

    /// Writes the file whole, or not at all.
    pub(super) fn write(&self, content: &mut Content) -> io::Result<()> {
        FORMAT_VERSION.clone_into(&mut content.format_version);
        file::replace(&self.path, &serde_json::to_vec(content)?)
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
