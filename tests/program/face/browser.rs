//! The page in a browser, and the interface under a program that tries what is not expected: both were written by others.

use std::process::Command;

use super::daemon::{Daemon, NEW, OLD};
use super::{CONSUL, FILE, one};
use crate::fetch::fetch;
use crate::left_out::{left_out, say};

/// Runs a program that must succeed.
fn content(mut command: Command) {
    let said = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{command:?} is not content:\n{text}");
    say(&text);
}

/// In a browser: what the page shows is what the interface says, at every width and in both colours; nothing is wrong for people
/// with other senses; the console stays empty; and the page follows by itself.
#[test]
fn the_page_shows_what_the_interface_says_to_everybody() {
    let [library, chromium] = match fetch(["browser", "chromium"]) {
        Ok(fetched) => fetched,
        Err(why) => return left_out("a browser", &why),
    };
    let files = ["dev/consul.yaml", "prod/consul.yaml", "staging/consul.yaml"];
    // The rollout lasts for three minutes, longer than the browser looks.
    let daemon = Daemon::start(&files, &["--speed", "4"]);
    let is_settled = |fleet: &serde_json::Value| {
        fleet["clusters"].as_array().unwrap().iter().filter(|one| one["attention"] == "settled").count() == 3
    };
    daemon.until_document("/api/v1/clusters", "all are settled", is_settled);
    daemon.edit("desired-state/staging/consul.yaml", "spec:", "spec:\n  suspend: true");
    daemon.edit("desired-state/staging/consul.yaml", NEW, OLD);
    daemon.edit(FILE, OLD, NEW);
    daemon.until_document(CONSUL, "a volume moves", |cluster| {
        cluster["slots"].as_array().unwrap().iter().any(|slot| slot["instances"].as_array().unwrap().len() == 2)
    });
    let mut node = Command::new("node");
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/face/browser.mjs"));
    node.args([&library, &chromium, &format!("http://{}", daemon.address)]);
    content(node);
}

/// Questions of every kind that the interface allows, and many that it does not.
#[test]
fn the_interface_keeps_its_word_to_a_program_that_tries_it() {
    let program = match fetch(["schemathesis"]) {
        Ok([program]) => program,
        Err(why) => return left_out("schemathesis", &why),
    };
    let daemon = one(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.current_dir(folder.path());
    // A stream does not end by itself, and a path that is not served is no fault of the interface.
    command.args(["run", &format!("http://{}/api/v1/openapi.json", daemon.address), "--exclude-path-regex", "stream$"]);
    command.args(["--url", &format!("http://{}", daemon.address), "--max-examples", "20", "--seed", "1"]);
    command.args(["--generation-database", "none", "--no-color"]);
    content(command);
}
