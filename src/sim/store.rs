//! A world in a file, with the version of its format.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::world::State;

/// The version of the format. Count it up whenever what is stored changes its shape.
const VERSION: u32 = 2;

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

/// Writes the world whole or not at all.
pub fn save(state: &State, path: &Path) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, serde_json::to_vec(&Stored { version: VERSION, world: state })?)?;
    fs::rename(&beside, path)
}

/// Reads a world that was saved.
pub fn load(path: &Path) -> io::Result<State> {
    let text = fs::read(path)?;
    let Header { version: found } = serde_json::from_slice(&text)?;
    if found != VERSION {
        let error = format!("its format is version {found}, and this hermitcrab reads version {VERSION}: make it anew");
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let Read { world } = serde_json::from_slice(&text)?;
    Ok(world)
}
