//! A world in a file, with the version of its format.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::world::State;
use crate::input::file;

/// The version of the format. Count it up whenever what is stored changes its shape.
const VERSION: u32 = 3;

/// The content of a file.
#[derive(Serialize)]
struct Stored<'a> {
    version: u32,
    world: &'a State,
}

/// The same, as it is read.
#[derive(Deserialize)]
struct Read {
    world: State,
}

/// The part that a file of any version has. The first version had no such field.
#[derive(Deserialize)]
struct Header {
    #[serde(default = "first")]
    version: u32,
}

fn first() -> u32 {
    1
}

/// Writes the world whole or not at all, for this user alone: first under a name that nobody else has, in the same folder.
pub fn save(state: &State, path: &Path) -> io::Result<()> {
    file::may_be_replaced(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = NamedTempFile::with_prefix_in(".world-", folder)?;
    beside.write_all(&serde_json::to_vec(&Stored { version: VERSION, world: state })?)?;
    beside.persist(path)?;
    Ok(())
}

/// Reads a world that was saved.
pub fn load(path: &Path) -> io::Result<State> {
    let text = file::read(path, file::WORLD)?;
    let Header { version: found } = serde_json::from_slice(&text)?;
    if found != VERSION {
        let error = format!("its format is version {found}, and this hermitcrab reads version {VERSION}: make it anew");
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let Read { world } = serde_json::from_slice(&text)?;
    Ok(world)
}
