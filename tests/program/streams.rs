//! Exit codes and the daemon, whatever becomes of stdout and stderr: closed, full, or a pipe that nobody reads.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::commands::{FILE, NEW, all_are_in, verdicts};
use crate::pipes::{PATIENCE, To, command, ended, signal, stream};

/// The exit code of a command whose streams lead there.
fn exit(arguments: &[&str], stdout: To, stderr: To) -> i32 {
    let ((stdout, _keep), (stderr, _keep_too)) = (stream(stdout), stream(stderr));
    ended(command(arguments).stdout(stdout).stderr(stderr).spawn().unwrap(), arguments)
}

#[test]
fn a_verdict_does_not_depend_on_who_listens() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (line, verdict) in verdicts(folder.path()) {
        let arguments: Vec<&str> = line.iter().map(String::as_str).collect();
        let all = [
            (To::Full, To::Full),
            (To::Closed, To::Closed),
            (To::Reader, To::Reader),
            (To::Closed, To::Reader),
            (To::Reader, To::Closed),
            (To::Reader, To::Full),
            (To::Full, To::Reader),
        ];
        // Some seconds each.
        let tried = if line[0] == "rehearse" { 2 } else { all.len() };
        for (stdout, stderr) in all.into_iter().take(tried) {
            // Data that a full disk did not take are missing, so nothing was done for whoever asked for them.
            let is_lost = matches!(stdout, To::Full) && verdict == 0 && !said_nothing(&arguments);
            let wanted = if is_lost { 1 } else { verdict };
            let found = exit(&arguments, stdout, stderr);
            if found != wanted {
                wrong.push(format!("{line:?} with stdout {stdout:?} and stderr {stderr:?}: {found}, not {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether the command has no data to write.
fn said_nothing(arguments: &[&str]) -> bool {
    command(arguments).stderr(Stdio::null()).output().unwrap().stdout.is_empty()
}

#[test]
fn every_command_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let lines = verdicts(folder.path());
    all_are_in(lines.iter().map(|(line, _)| line[0].as_str()));
}

/// As a script has it: what is downstream has seen enough at once, and the pipeline's verdict is the command's.
#[test]
fn a_pipeline_has_the_verdict_of_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (line, verdict) in verdicts(folder.path()) {
        let script = "set -o pipefail; \"$@\" 2>/dev/null | true";
        let mut shell = Command::new("bash");
        shell.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-c", script, "-", env!("CARGO_BIN_EXE_hermitcrab")]);
        let found = shell.args(&line).stdin(Stdio::null()).stderr(Stdio::null()).status().unwrap().code();
        if found != Some(verdict) && found != Some(141) {
            wrong.push(format!("{line:?}: {found:?}, not {verdict}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_command_that_has_begun_goes_on_although_nobody_reads_what_it_says() {
    for arguments in [
        &["run", "desired-state/prod", "--cloud", "simulated", "--once", "--speed", "1000"][..],
        &["rehearse", FILE, "--image", NEW, "--cloud", "simulated"],
    ] {
        assert_eq!(exit(arguments, To::Reader, To::Stuck), 0, "{arguments:?}");
    }
}

/// A daemon at work, in a folder with one cluster and a saved world.
fn daemon(folder: &TempDir, stderr: To) -> (Child, Option<UnixStream>) {
    fs::create_dir_all(folder.path().join("prod")).unwrap();
    fs::copy(FILE, folder.path().join("prod/consul.yaml")).unwrap();
    let (stderr, keep) = stream(stderr);
    let world = folder.path().join("world.json");
    let paths = [folder.path().to_str().unwrap(), world.to_str().unwrap()];
    let mut command = command(&["run", paths[0], "--world", paths[1], "--speed", "400", "--log-format", "json"]);
    (command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap(), keep)
}

/// Waits until the saved world runs an image in all slots.
fn wait_for(folder: &TempDir, image: &str) {
    let (file, world) = (folder.path().join("prod/consul.yaml"), folder.path().join("world.json"));
    let paths = [file.to_str().unwrap(), world.to_str().unwrap()];
    for _ in 0..PATIENCE.as_millis() / 50 {
        let output = command(&["status", paths[0], "--world", paths[1], "-o", "json"]).output().unwrap();
        if String::from_utf8_lossy(&output.stdout).matches(&format!("\"image\": \"{image}\"")).count() >= 3 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not on {image} within {PATIENCE:?}");
}

#[test]
fn a_daemon_works_and_ends_although_its_log_goes_nowhere() {
    for stderr in [To::Full, To::Closed, To::Stuck] {
        let folder = tempfile::tempdir().unwrap();
        let (child, _keep) = daemon(&folder, stderr);
        wait_for(&folder, "ami-0aaaaaaaaaaaaaaaa");
        let text = fs::read_to_string(FILE).unwrap().replace("ami-0aaaaaaaaaaaaaaaa", NEW);
        fs::write(folder.path().join("new"), text).unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("prod/consul.yaml")).unwrap();
        wait_for(&folder, NEW);
        signal(&child, "TERM");
        assert_eq!(ended(child, stderr), 0, "{stderr:?}");
    }
}
