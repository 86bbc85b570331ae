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
    /// Tools of these names that know the answers to whole calls. An answer that is wrapped in an array is a failure.
    pub fn new(names: &[&str], answers: &Value) -> Self {
        let tools = Self::played_by("tool", names);
        tools.answer(answers);
        tools
    }

    /// A `mongosh` that knows the answers of servers, by address and by command.
    pub fn mongosh(answers: &Value) -> Self {
        let tools = Self::played_by("mongosh", &["mongosh"]);
        fs::write(tools.path("answers.json"), answers.to_string()).unwrap();
        tools
    }

    fn played_by(script: &str, names: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/applications/adapters/stand-ins").join(script);
        for name in names {
            symlink(&script, place.path().join(name)).unwrap();
        }
        Self { place }
    }

    /// Writes down further answers.
    pub fn answer(&self, answers: &Value) {
        fs::create_dir_all(self.path("answers")).unwrap();
        for (call, answer) in answers.as_object().unwrap() {
            let file = self.path("answers/") + &call.replace('/', "%");
            match answer {
                Value::Array(failure) => fs::write(file + ".fails", failure[0].as_str().unwrap()).unwrap(),
                answer => fs::write(file, answer.as_str().unwrap()).unwrap(),
            }
        }
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
