//! Exit codes and the daemon, whatever becomes of stdout and stderr: closed, full, or a pipe that nobody reads.
#![allow(clippy::unwrap_used)] // a test may panic

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hermitcrab::ports::Clock;
use hermitcrab::sim::{FaultLevel, World};
use hermitcrab::spec::load::load;
use hermitcrab::time::after;
use tempfile::TempDir;

const FILE: &str = "desired-state/prod/consul.yaml";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
/// Longer than any of these commands takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// The target of a command's stream.
#[derive(Clone, Copy, Debug)]
enum To {
    /// A reader who takes all.
    Reader,
    /// A reader who has gone away.
    Closed,
    /// A disk that is full.
    Full,
    /// A reader who does not read, on the other side of a pipe that is full.
    Stuck,
}

/// A stream, and what must stay open as long as the command runs.
fn stream(to: To) -> (Stdio, Option<UnixStream>) {
    match to {
        To::Reader => (Stdio::null(), None),
        To::Full => (File::options().write(true).open("/dev/full").unwrap().into(), None),
        To::Closed => {
            let (ours, theirs) = UnixStream::pair().unwrap();
            drop(ours);
            (OwnedFd::from(theirs).into(), None)
        }
        To::Stuck => {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.set_nonblocking(true).unwrap();
            while theirs.write(&[b'x'; 4096]).is_ok() {}
            assert_eq!(theirs.write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
            theirs.set_nonblocking(false).unwrap();
            (OwnedFd::from(theirs).into(), Some(ours))
        }
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).stdin(Stdio::null());
    command
}

fn exit(arguments: &[&str], stdout: To, stderr: To) -> i32 {
    let ((stdout, _keep), (stderr, _keep_too)) = (stream(stdout), stream(stderr));
    ended(command(arguments).stdout(stdout).stderr(stderr).spawn().unwrap(), arguments)
}

/// The exit code of a child that must end by itself.
fn ended(mut child: Child, what: impl std::fmt::Debug) -> i32 {
    let polls = PATIENCE.as_millis() / 20;
    for _ in 0..polls {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| panic!("{what:?}: {status}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    panic!("{what:?} did not end within {PATIENCE:?}");
}

/// Each command with its verdict.
fn verdicts(folder: &Path) -> Vec<(Vec<String>, i32)> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(path("broken.yaml"), "spec: {slots: [x]}").unwrap();
    let (spec, world) = (load(&[FILE.into()]).specs().next().unwrap().1.clone(), World::new(0, FaultLevel::None));
    world.settle(&spec);
    world.stop_instance(&world.instances_of(&spec.name, &"consul-b".into())[0]);
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    world.save(Path::new(&path("stalled.json"))).unwrap();
    let (broken, stalled) = (path("broken.yaml"), path("stalled.json"));
    let mut all: Vec<(Vec<String>, i32)> = Vec::new();
    let mut add = |code: i32, line: &str| {
        let line =
            line.replace("BROKEN", &broken).replace("STALLED", &stalled).replace("FILE", FILE).replace("NEW", NEW);
        all.push((line.split(' ').map(str::to_owned).collect(), code));
    };
    for format in ["text", "json", "github"] {
        add(1, &format!("validate BROKEN -o {format}"));
        add(0, &format!("validate FILE -o {format}"));
    }
    for format in ["text", "markdown", "json"] {
        add(2, &format!("plan FILE --cloud simulated --image NEW --detailed-exitcode -o {format}"));
        add(1, &format!("rehearse FILE --image NEW --cloud simulated --payload never-joins -o {format}"));
    }
    add(0, "plan FILE --cloud simulated --image NEW");
    add(3, "status FILE --world STALLED");
    add(0, "status FILE --cloud simulated");
    add(1, "doctor FILE --world STALLED");
    add(0, "explain consul-prod FILE --cloud simulated");
    add(3, "simulate FILE --image NEW --payload never-joins");
    add(0, "simulate FILE --image NEW");
    add(1, "destroy FILE --cloud simulated --confirm consul-prod");
    add(0, "run desired-state/prod --cloud simulated --once --speed 1000");
    add(0, "schema");
    add(0, "completions bash");
    add(0, "man");
    add(0, "--help");
    add(0, "--version");
    add(64, "plan --no-such-option");
    all
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

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
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
