//! The programs in `adapters/`: each passes the check where it can ask nobody, and each is read against servers that answer what they are
//! told to: RabbitMQ in the form of a real 3.10.8, the others after their documentation and sources, where a tool is run with a stand-in for
//! it. RabbitMQ and Redis are run for real in the rig.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use hermitcrab::application::command::conformance::{Trial, check};

mod cassandra;
mod elasticsearch;
mod kafka;
mod mongodb;
mod rabbitmq;
mod stage;
mod tool;
mod vault;

use stage::{block_on, folder};

fn passes(program: &Path) {
    let timeout = Duration::from_secs(60);
    let trial = Trial { program, args: &[], files: [].into(), timeout, seats: Vec::new() };
    let findings = block_on(check(&trial));
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.right).collect();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", program.display());
}

#[test]
fn every_program_passes_the_check_where_it_can_ask_nobody() {
    let mut programs = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        passes(&entry.unwrap().path());
        programs += 1;
    }
    assert!(programs >= 7, "{programs}");
}

#[test]
fn the_program_that_the_document_writes_passes_too() {
    let document = fs::read_to_string(folder().with_file_name("docs").join("applications.md")).unwrap();
    let program = document.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    passes(&path);
}
