//! `events` and `history`: what a daemon has written down, also one that was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::expect_file;
use hermitcrab::history::{record, rollout};
use rexpect::session::spawn_command;
use serde_json::Value;
use tempfile::TempDir;

use super::terminal::text;
use super::{FILE, command};

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
const BAD: &str = "ami-0bad0bad0bad0bad0";

/// A file of desired state, a saved world and the state of a daemon, in a folder of their own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.path("desired-state")).unwrap();
        fs::copy(FILE, place.path("desired-state/consul.yaml")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn here(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.current_dir(self.0.path()).env("HERMITCRAB_STATE", "state");
        command
    }

    fn daemon(&self, more: &[&str]) -> Command {
        let run = ["run", "--world", "world.json", "--speed", "2000", "--bad-image", BAD];
        self.here(&[&run[..], more].concat())
    }

    /// Commits another image, and brings the cluster to it, or as far as it gets.
    fn roll(&self, from: &str, to: &str) -> Option<i32> {
        self.commit(from, to);
        self.daemon(&["--once"]).output().unwrap().status.code()
    }

    fn commit(&self, from: &str, to: &str) {
        let file = self.path("desired-state/consul.yaml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(self.path("new"), text.replace(from, to)).unwrap();
        fs::rename(self.path("new"), file).unwrap();
    }

    fn told(&self, arguments: &[&str]) -> Output {
        self.here(arguments).output().unwrap()
    }

    /// Everything that a command writes to a terminal of so many columns.
    fn on_terminal(&self, columns: &str, name: &str) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-c", "stty cols $0; exec \"$@\"", columns, env!("CARGO_BIN_EXE_hermitcrab"), name]);
        shell.args(["--state"]).arg(self.path("state")).env("TERM", "xterm");
        text(&spawn_command(shell, Some(60_000)).unwrap().exp_eof().unwrap()).replace('\r', "")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.told(&[arguments, &["-o", "json"]].concat()).stdout).unwrap()
    }

    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.told(&[arguments, &["-o", "jsonl"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn faults(schema: &str, value: &Value) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(schema);
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(value).map(|fault| fault.to_string()).collect()
}

#[test]
fn the_committed_schemas_of_events_and_history_are_what_is_written() {
    expect_file!["../../schema/event.v1.json"].assert_eq(&format!("{:#}\n", record::schema()));
    expect_file!["../../schema/history.v1.json"].assert_eq(&format!("{:#}\n", rollout::schema()));
}

#[test]
fn a_rollout_that_settled_and_one_that_failed_are_told_with_their_slots() {
    let place = Place::new();
    assert_eq!(place.roll(OLD, OLD), Some(0));
    place.commit("1.20.1", "1.20.2");
    assert_eq!(place.roll(OLD, NEW), Some(0));
    assert_eq!(place.roll(NEW, BAD), Some(3));

    let history = place.json(&["history"]);
    assert_eq!(faults("history.v1.json", &history), [""; 0]);
    let rollouts = history["rollouts"].as_array().unwrap();
    let ends: Vec<_> = rollouts.iter().map(|r| (r["to"]["image"].as_str(), r["outcome"].as_str())).collect();
    assert_eq!(ends, [(Some(NEW), Some("settled")), (Some(BAD), Some("taken-back"))], "{history:#}");
    let good = &rollouts[0];
    assert_eq!((&good["from"]["image"], &good["from"]["version"]), (&OLD.into(), &"1.20.1".into()));
    assert_eq!(good["to"]["version"], "1.20.2");
    assert_eq!(good["leastMargin"], 0);
    let slots = good["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 3);
    let is_short = |slot: &Value| (5..120).contains(&slot["memberDownSeconds"].as_u64().unwrap());
    assert!(slots.iter().all(is_short), "{slots:#?}");
    let bad = &rollouts[1]["slots"][0];
    assert_eq!(bad["failed"], "its member was not back within 10m");
    assert!(bad["memberDownSeconds"].as_u64().unwrap() > 600, "{bad:#}");

    let events = place.lines(&["events", "consul-prod"]);
    for event in &events {
        assert_eq!(faults("event.v1.json", event), [""; 0], "{event:#}");
    }
    let launched = events.iter().filter(|event| event["action"] == "launch").count();
    assert_eq!(launched, 5, "one of them ahead, while the member of the bad image was waited for");
    let numbers: Vec<_> = events.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, two| one < two), "{numbers:?}");
    assert_eq!(place.json(&["events", "--last", "3"])["events"].as_array().unwrap().len(), 3);

    let told = String::from_utf8(place.told(&["history"]).stdout).unwrap();
    let rows: Vec<_> = told.lines().collect();
    assert_eq!(rows.len(), 4, "{told}");
    assert!(rows[1].contains(&format!("{OLD} (1.20.1) → {NEW} (1.20.2)")), "{told}");
    assert!(rows[2].contains("taken back"), "{told}");
    assert!(rows[3].ends_with("consul-a failed: its member was not back within 10m"), "{told}");
    let narrow = place.on_terminal("80", "history");
    assert!(narrow.contains(&format!("  {OLD} (1.20.1) → {NEW} (1.20.2)\n")), "{narrow}");
    assert!(narrow.contains("\n  consul-a failed: its member was not back within 10m\n"), "{narrow}");
    assert!(place.on_terminal("200", "history").starts_with(" STARTED "), "there is room for rows");
    let told = String::from_utf8(place.told(&["events"]).stdout).unwrap();
    assert!(told.lines().all(|line| line.starts_with(" WHEN") || line.starts_with(" 20")), "one line an event: {told}");
}

#[test]
fn a_daemon_that_is_killed_loses_nothing_that_it_had_done() {
    let place = Place::new();
    assert_eq!(place.roll(OLD, OLD), Some(0));
    place.commit(OLD, NEW);
    let mut daemon = place.daemon(&[]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let has_stopped_one = |event: &Value| event["action"] == "stop" && event["result"] == "done";
    while !place.lines(&["events"]).iter().any(has_stopped_one) {
        assert_eq!(daemon.try_wait().unwrap(), None, "the daemon has ended by itself");
    }
    let second = place.daemon(&["--once"]).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    // As if the power had gone in the middle of a line.
    let log = place.path("state/events-000000000001.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text + "{\"formatVersion\":\"1.0\",\"id\":").unwrap();
    assert_eq!(place.roll(NEW, NEW), Some(0));

    let history = place.told(&["history", "consul-prod", "-o", "json"]);
    let notes = String::from_utf8_lossy(&history.stderr);
    assert!(notes.starts_with("note: a line is skipped: state/events-000000000001.jsonl:"), "{notes}");
    let history: Value = serde_json::from_slice(&history.stdout).unwrap();
    let rollouts = history["rollouts"].as_array().unwrap();
    assert_eq!((rollouts.len(), &rollouts[0]["outcome"]), (1, &"settled".into()), "{history:#}");
    let slots = rollouts[0]["slots"].as_array().unwrap();
    assert!(slots.iter().all(|slot| slot["memberDownSeconds"].as_u64() > Some(4)), "{slots:#?}");
}

#[test]
fn a_log_or_a_cluster_that_is_not_there_is_named() {
    let place = Place::new();
    let told = |arguments: &[&str]| String::from_utf8(place.told(arguments).stderr).unwrap();
    assert!(told(&["events"]).starts_with("error: state cannot be read\n"), "{}", told(&["events"]));
    assert!(told(&["events"]).contains("hint: name the folder that the daemon was given with `run --state DIR`"));
    assert_eq!(place.roll(OLD, OLD), Some(0));
    let missing = told(&["history", "consul-prd"]);
    assert!(missing.contains("hint: did you mean `consul-prod`?"), "{missing}");
    assert_eq!(place.told(&["history"]).stdout, b"no rollouts\n");
}
