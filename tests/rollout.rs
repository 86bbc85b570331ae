//! Stories: each file `tests/rollout/<story>.txt` is a script for the simulated world and the transcript that it must
//! produce. Lines that begin with `> ` are commands; what is below one happened then. `UPDATE_EXPECT=1` writes that.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;

#[path = "rollout/script.rs"]
mod script;

use script::Script;

const STORIES: &str = "tests/rollout";

#[test]
fn every_story_goes_as_it_is_told() {
    for path in stories() {
        let text = fs::read_to_string(&path).unwrap();
        expect_file![fs::canonicalize(&path).unwrap()].assert_eq(&played(&text));
    }
}

#[test]
fn every_story_begins_with_what_it_shows() {
    for path in stories() {
        assert!(fs::read_to_string(&path).unwrap().starts_with("# "), "{} begins with no sentence", path.display());
    }
}

fn stories() -> Vec<PathBuf> {
    let is_story = |path: &Path| path.extension().is_some_and(|extension| extension == "txt");
    let mut stories: Vec<_> = fs::read_dir(STORIES).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.retain(|path| is_story(path));
    stories.sort();
    stories
}

/// The same text with what really happened below each command.
fn played(text: &str) -> String {
    let mut script: Option<Script> = None;
    let mut played = String::new();
    for line in text.lines() {
        let command = line.strip_prefix("> ");
        if command.is_some() || line.is_empty() || line.starts_with('#') {
            played.push_str(&format!("{line}\n"));
        }
        let Some(words) = command.map(|command| command.split_whitespace().collect::<Vec<_>>()) else { continue };
        match &mut script {
            None => script = Some(Script::begin(&words)),
            Some(script) => played.push_str(&script.command(&words)),
        }
    }
    script.expect("a story has a cluster").finish();
    played
}
