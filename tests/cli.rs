//! The commands as a user sees them: stdout, stderr and the exit code of the built command. `UPDATE_EXPECT=1` writes the
//! expectations anew.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::process::{Command, Output, Stdio};

use expect_test::Expect;
use hermitcrab::sim::World;
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;

#[path = "cli/change.rs"]
mod change;
#[path = "cli/drawn.rs"]
mod drawn;
#[path = "cli/edits.rs"]
mod edits;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/past.rs"]
mod past;
#[path = "cli/promoted.rs"]
mod promoted;
#[path = "cli/show.rs"]
mod show;
#[path = "cli/spelt.rs"]
mod spelt;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/usage.rs"]
mod usage;
#[path = "cli/waits.rs"]
mod waits;
#[path = "cli/whole.rs"]
mod whole;

const FILE: &str = "desired-state/prod/consul.yaml";
const SIMULATED: [&str; 2] = ["--cloud", "simulated"];
const NEW_IMAGE: [&str; 2] = ["--image", "ami-0bbbbbbbbbbbbbbbb"];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// stdout, then stderr with a mark before each line, then the exit code.
fn told(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    let errors: String = errors.lines().map(|line| format!("! {line}\n")).collect();
    format!("{}{errors}exit {}\n", String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

fn check(arguments: &[&str], expected: Expect) {
    expected.assert_eq(&told(arguments));
}

fn prod() -> ClusterSpec {
    load(&[FILE.into()]).specs().next().unwrap().1.clone()
}

fn saved(world: &World) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    world.save(file.path()).unwrap();
    file
}
