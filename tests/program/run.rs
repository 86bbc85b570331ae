//! The daemon as its users meet it: a process that is started, whose files are edited, and that is killed.
//!
//! Nothing here waits for a fixed time: each test waits for what must come, and gives up after a minute.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::pipes;

mod reach;
mod source;

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
const PATIENCE: Duration = Duration::from_secs(60);
/// A whole rollout takes about ten simulated minutes.
const SPEED: &str = "400";

/// Desired state in a folder of its own, and the world beside it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("desired-state/prod")).unwrap();
        fs::copy("desired-state/prod/consul.yaml", folder.path().join("desired-state/prod/consul.yaml")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("desired-state/prod/consul.yaml")
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(from), "{from} is not in the file");
        // As an editor does it: a new file, renamed over the old one.
        fs::write(self.path("new"), text.replace(from, to)).unwrap();
        fs::rename(self.path("new"), self.file()).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, more: &[&str]) -> Command {
        let mut command = self.command(&["run", "--world", "world.json", "--speed", SPEED, "--log-format", "json"]);
        command.args(more);
        command
    }

    fn once(&self, more: &[&str]) -> Output {
        self.run(&["--once"]).args(more).output().unwrap()
    }

    /// Reads the status of the cluster in the saved world.
    fn status(&self) -> Option<Value> {
        let output = self.command(&["status", "--world", "world.json", "-o", "json"]).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).ok()?;
        said["clusters"].get(0).cloned()
    }

    fn images(&self) -> Vec<String> {
        let slots = self.status().unwrap()["slots"].as_array().unwrap().clone();
        slots.iter().map(|slot| slot["image"].as_str().unwrap_or("none").to_owned()).collect()
    }

    /// Looks at the saved world again and again until it is as wanted.
    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let started = Started::now();
        while !self.status().is_some_and(|status| is_so(&status)) {
            assert!(!started.is_over(), "{what}: not within {PATIENCE:?}");
        }
    }
}

/// A bound on waiting, and no more.
struct Started(std::time::Instant);

impl Started {
    #[allow(clippy::disallowed_methods)] // only ever makes a test fail
    fn now() -> Self {
        Self(std::time::Instant::now())
    }

    fn is_over(&self) -> bool {
        self.0.elapsed() > PATIENCE
    }
}

/// A daemon under way, and its log as it comes.
struct Daemon {
    child: Child,
    log: Receiver<Line>,
}

/// A line of stderr: of the log, or anything else.
enum Line {
    Log(Value),
    Other,
}

impl Daemon {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, log) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).map_or(Line::Other, Line::Log);
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, log }
    }

    /// Waits for a line that says so.
    fn until(&self, what: &str, is_it: impl Fn(&Line) -> bool) {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if is_it(&line) => return,
                Ok(_) => {}
                Err(_) => panic!("{what}: no such line within {PATIENCE:?}, or the daemon has ended"),
            }
        }
    }

    fn until_message(&self, message: &str) {
        self.until(message, |line| matches!(line, Line::Log(line) if line["message"] == message));
    }

    fn until_answer(&self, start: &str) {
        let says = |line: &Value| line["answer"].as_str().is_some_and(|answer| answer.starts_with(start));
        self.until(start, |line| matches!(line, Line::Log(line) if says(line)));
    }

    fn signal(&self, name: &str) {
        pipes::signal(&self.child, name);
    }

    fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_cluster_that_is_renamed_in_its_file_is_no_new_cluster() {
    let place = Place::new();
    assert_eq!(place.once(&[]).status.code(), Some(0));
    let world = |place: &Place| {
        let world: Value = serde_json::from_slice(&fs::read(place.path("world.json")).unwrap()).unwrap();
        world.to_string().matches("consul-prd").count()
    };
    place.edit("name: consul-prod", "name: consul-prd");
    let output = place.once(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("left-behind") && said.contains("consul-prod is in the same place"), "{said}");
    let plan = place.command(&["plan", "desired-state", "--world", "world.json"]).output().unwrap();
    let plan = String::from_utf8(plan.stdout).unwrap();
    assert!(plan.contains("consul-prod is in the same place"), "{plan}");
    let volumes = world(&place);
    place.edit("spec:", "spec:\n  leftBehind: [consul-prod]");
    assert_eq!(place.once(&[]).status.code(), Some(0));
    assert!(world(&place) > volumes);
}

#[test]
fn a_cluster_that_another_file_declares_is_not_left_behind() {
    let place = Place::new();
    assert_eq!(place.once(&[]).status.code(), Some(0));
    let second = fs::read_to_string(place.file()).unwrap().replace("name: consul-prod", "name: consul-second");
    fs::write(place.path("desired-state/prod/second.yaml"), second).unwrap();
    assert_eq!(place.once(&[]).status.code(), Some(0));
}

#[test]
fn a_file_that_is_written_in_two_parts_is_acted_on_when_it_is_whole() {
    let place = Place::new();
    place.edit("  rollout:\n", "  suspend: false\n  rollout:\n");
    let daemon = Daemon::start(place.run(&[]));
    daemon.until_message("settled");
    let new = fs::read_to_string(place.file()).unwrap().replace(OLD, NEW);
    let (first, second) = new.split_at(new.find("  suspend: false").unwrap());
    let mut file = fs::File::create(place.file()).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(400));
    file.write_all(second.replace("suspend: false", "suspend: true").as_bytes()).unwrap();
    drop(file);
    // The first part alone is a good file with the new image; the whole one is suspended.
    daemon.until_message("desired state has changed");
    daemon.until_message("blocked");
    assert_eq!(place.images(), [OLD; 3]);
}

#[test]
fn two_processes_do_not_change_one_world() {
    let place = Place::new();
    let mut daemon = Daemon::start(place.run(&[]));
    daemon.until_message("settled");
    let output = place.once(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another process is at work in the world"), "{said}");
    assert!(place.status().is_some(), "to look is allowed");
    daemon.signal("TERM");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn a_daemon_writes_no_core() {
    let place = Place::new();
    let mut daemon = Daemon::start(place.run(&[]));
    daemon.until_message("settled");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().next(), Some("0"), "{limits}");
    daemon.signal("TERM");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn every_signal_that_asks_the_daemon_to_end_ends_it_well() {
    for signal in ["TERM", "HUP", "INT"] {
        let place = Place::new();
        let mut daemon = Daemon::start(place.run(&[]));
        daemon.until_message("settled");
        daemon.signal(signal);
        assert_eq!(daemon.end(), Some(0), "{signal}");
    }
}

#[test]
fn a_kill_switch_that_is_a_broken_link_is_thrown() {
    let place = Place::new();
    assert_eq!(place.once(&[]).status.code(), Some(0));
    place.edit(OLD, NEW);
    std::os::unix::fs::symlink("nowhere", place.path("stop")).unwrap();
    let daemon = Daemon::start(place.run(&["--kill-switch", "stop"]));
    daemon.until_answer("the kill switch is thrown");
}

#[test]
fn options_that_have_no_effect_in_a_simulated_world_are_refused() {
    let place = Place::new();
    for option in [&["--lease"][..], &["--claims", "claims"]] {
        let output = place.once(option);
        assert_eq!(output.status.code(), Some(64), "{option:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("has no effect in a simulated world"), "{option:?}");
    }
    let output = place.run(&["--once"]).env("HERMITCRAB_CLAIMS", "").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_world_that_cannot_be_saved_at_the_end_is_an_error_of_its_own() {
    let place = Place::new();
    fs::create_dir(place.path("worlds")).unwrap();
    let mut daemon = Daemon::start(place.command(&[
        "run",
        "--world",
        "worlds/world.json",
        "--speed",
        SPEED,
        "--log-format",
        "json",
    ]));
    daemon.until_message("settled");
    // The daemon may be writing just now.
    while fs::remove_dir_all(place.path("worlds")).is_err() {}
    daemon.signal("TERM");
    assert_eq!(daemon.end(), Some(74));
}

#[test]
fn an_edited_image_is_rolled_out_and_the_daemon_ends_well_when_told_to() {
    let place = Place::new();
    let mut daemon = Daemon::start(place.run(&[]));
    daemon.until_message("settled");
    place.edit(OLD, NEW);
    daemon.until_message("desired state has changed");
    daemon.until_message("settled");
    assert_eq!(place.images(), [NEW; 3]);
    daemon.signal("TERM");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn a_broken_file_is_reported_with_its_place_and_its_last_good_version_stays() {
    let place = Place::new();
    let daemon = Daemon::start(place.run(&[]));
    daemon.until_message("settled");
    place.edit("bakeTime: 60s", "bakeTime: sixty");
    daemon.until("a report", |line| {
        matches!(line, Line::Log(line) if line["message"] == "problem in desired state"
            && line["path"].as_str().unwrap().ends_with("consul.yaml") && line["line"].is_u64() && line["hint"].is_string())
    });
    daemon.until_message("broken: the last good version stays in force");
    place.edit("bakeTime: sixty", "bakeTime: 60s");
    daemon.until_message("file is usable again");
    place.edit(OLD, NEW);
    daemon.until_message("settled");
    assert_eq!(place.images(), [NEW; 3]);
}

#[test]
fn a_deleted_file_orphans_its_cluster_and_terminates_nothing() {
    let place = Place::new();
    let mut daemon = Daemon::start(place.run(&[]));
    daemon.until_message("settled");
    let kept = fs::read(place.file()).unwrap();
    fs::remove_file(place.file()).unwrap();
    daemon.until_message("orphaned: no file declares it any more; nothing of it is changed");
    daemon.signal("INT");
    assert_eq!(daemon.end(), Some(0));
    fs::write(place.file(), kept).unwrap();
    let slots = place.status().unwrap()["slots"].clone();
    assert!(slots.as_array().unwrap().iter().all(|slot| slot["state"] == "running"), "{slots}");
}

#[test]
fn a_rollout_that_is_killed_again_and_again_goes_on_from_what_is_there() {
    let place = Place::new();
    assert_eq!(place.once(&[]).status.code(), Some(0));
    let volumes = |status: &Value| -> Vec<Value> {
        status["slots"].as_array().unwrap().iter().map(|slot| slot["volumes"].clone()).collect()
    };
    let before = volumes(&place.status().unwrap());
    place.edit(OLD, NEW);
    for step in ["launch", "stop", "detach", "attach", "terminate"] {
        let mut daemon = Daemon::start(place.run(&["--once"]));
        let acts = |line: &Value| {
            line["message"] == "acting" && line["answer"].as_str().unwrap().contains(&format!(": {step}"))
        };
        daemon.until(step, |line| matches!(line, Line::Log(line) if acts(line)));
        daemon.signal("KILL");
        assert_eq!(daemon.end(), None);
    }
    let last = place.once(&[]);
    assert_eq!(last.status.code(), Some(0), "{}", String::from_utf8_lossy(&last.stderr));
    assert_eq!(String::from_utf8_lossy(&last.stdout), "consul-prod: settled\n");
    let status = place.status().unwrap();
    assert_eq!(place.images(), [NEW; 3]);
    assert_eq!(volumes(&status), before, "every volume is in its own slot");
}

#[test]
fn an_observing_daemon_plans_and_changes_nothing() {
    let place = Place::new();
    assert_eq!(place.once(&[]).status.code(), Some(0));
    place.edit(OLD, NEW);
    let daemon = Daemon::start(place.run(&["--observe"]));
    daemon.until("would act", |line| match line {
        Line::Log(line) => {
            assert_ne!(line["message"], "acting", "nothing is done");
            line["message"] == "would act"
        }
        Line::Other => false,
    });
    drop(daemon);
    assert_eq!(place.images(), [OLD; 3]);
}

#[test]
fn a_thrown_kill_switch_stops_every_change_until_it_is_gone() {
    let place = Place::new();
    assert_eq!(place.once(&[]).status.code(), Some(0));
    place.edit(OLD, NEW);
    fs::write(place.path("stop"), "").unwrap();
    let daemon = Daemon::start(place.run(&["--kill-switch", "stop"]));
    daemon.until_answer("the kill switch is thrown");
    assert_eq!(place.images(), [OLD; 3]);
    fs::remove_file(place.path("stop")).unwrap();
    daemon.until_message("settled");
    assert_eq!(place.images(), [NEW; 3]);
}

#[test]
fn an_empty_world_gets_the_declared_cluster() {
    let place = Place::new();
    let output = place.once(&["--empty"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    place.until("settled", |status| status["phase"] == "settled");
    assert_eq!(place.images(), [OLD; 3]);
}

#[test]
fn a_bad_image_is_taken_back_and_said_so_and_the_next_one_is_rolled_out() {
    let place = Place::new();
    assert_eq!(place.once(&[]).status.code(), Some(0));
    place.edit(OLD, NEW);
    assert_eq!(place.once(&["--bad-image", NEW]).status.code(), Some(3));
    let status = place.status().unwrap();
    assert_eq!(place.images(), [OLD; 3]);
    let rejected = status["slots"].as_array().unwrap().iter().filter(|slot| slot["rejected"] == true).count();
    assert_eq!(rejected, 1, "{status}");
    // The image is not tried again,
    assert_eq!(place.once(&["--bad-image", NEW]).status.code(), Some(3));
    assert_eq!(place.images(), [OLD; 3]);
    // until something else is committed.
    place.edit(NEW, "ami-0cccccccccccccccc");
    assert_eq!(place.once(&[]).status.code(), Some(0));
    assert_eq!(place.images(), ["ami-0cccccccccccccccc"; 3]);
}

#[test]
fn once_says_by_its_exit_code_why_it_did_not_settle() {
    let place = Place::new();
    assert_eq!(place.once(&[]).status.code(), Some(0));
    place.edit(OLD, NEW);
    place.edit("\nspec:\n", "\nspec:\n  suspend: true\n");
    let output = place.once(&["--log-level", "off"]);
    assert_eq!(output.status.code(), Some(5), "it waits for a person");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("consul-prod: waits for a person: consul-"), "{said}");
    assert!(said.contains("upgrades are suspended"), "{said}");
    let hints = String::from_utf8(output.stderr).unwrap();
    assert_eq!(hints, "  hint: set `suspend: false` to go on with upgrades\n");
    place.edit("  suspend: true\n", "");
    assert_eq!(place.once(&["--timeout", "1ms"]).status.code(), Some(4), "not in time");
    fs::write(place.path("desired-state/broken.yaml"), "kind: [").unwrap();
    assert_eq!(place.once(&[]).status.code(), Some(1), "one file is broken, and the other cluster is settled");
    assert_eq!(place.images(), [NEW; 3]);
}

#[test]
fn what_cannot_be_run_says_what_to_do() {
    let place = Place::new();
    let said = |arguments: &[&str]| {
        let output = place.command(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = said(&["run", "nowhere", "--once", "--cloud", "simulated"]);
    assert!(code == Some(1) && error.contains("nowhere does not exist"), "{error}");
    fs::write(place.path("world.json"), "not a world").unwrap();
    let (code, error) = said(&["run", "--once", "--world", "world.json"]);
    assert!(code == Some(1) && error.contains("world.json cannot be read"), "{error}");
    let (code, error) = said(&["run", "--once", "--world", "no/such/folder/world.json"]);
    assert!(code == Some(1) && error.contains("cannot be written"), "{error}");
    assert!(Path::new(&place.file()).exists());
}
