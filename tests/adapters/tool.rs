//! Tools that a program runs, such as `nodetool`: scripts in `stand-ins/` play them, and say what is written down.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

/// A folder with tools that say what is written down for them.
pub struct Tools {
    place: TempDir,
}

impl Tools {
    /// Tools of these names, which a script plays by these answers.
    pub fn new(script: &str, names: &[&str], answers: &Value) -> Self {
        let place = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters/stand-ins").join(script);
        for name in names {
            symlink(&script, place.path().join(name)).unwrap();
        }
        fs::write(place.path().join("answers.json"), answers.to_string()).unwrap();
        Self { place }
    }

    /// The path of a tool, or of another file in the folder.
    pub fn path(&self, name: &str) -> String {
        self.place.path().join(name).to_str().unwrap().to_owned()
    }

    /// The calls so far, in the order in which they came.
    pub fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.path("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}
