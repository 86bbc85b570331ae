//! `promote` with a version, with a commit, and from one environment to another: what has proved itself there.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use hermitcrab::clock::SystemClock;
use hermitcrab::history::record::{Answer, AnswerKind, Desired, Record, What};
use hermitcrab::ports::Clock;
use hermitcrab::time::before;
use serde_json::Value;
use tempfile::TempDir;

use super::{FILE, command};

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
const PROD: &str = "desired-state/prod/consul.yaml";
const TEST: &str = "desired-state/test/consul.yaml";

/// A repository with one cluster in two environments, and the log of the daemon of the first.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let text = fs::read_to_string(FILE).unwrap();
        for (path, text) in [(PROD, text.clone()), (TEST, text.replace("consul-prod", "consul-test"))] {
            fs::create_dir_all(place.path(path).parent().unwrap()).unwrap();
            fs::write(place.path(path), text).unwrap();
        }
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["config", "user.name", "Ann"],
            &["config", "user.email", "ann@example.org"],
        ] {
            place.git(arguments);
        }
        place.commit();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").current_dir(self.0.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn commit(&self) {
        self.git(&["add", "desired-state"]);
        self.git(&["commit", "--quiet", "--message", "x"]);
    }

    fn change(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path}");
        fs::write(self.path(path), text.replace(from, to)).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Has the daemon of the first environment written this down, so many hours ago each.
    fn has_seen(&self, events: &[(i64, What)]) {
        fs::create_dir_all(self.path("state")).unwrap();
        let lines = events.iter().zip(1..).map(|((hours, what), id)| {
            let at = before(SystemClock::start().now(), std::time::Duration::from_secs(*hours as u64 * 3600));
            Record { id, ..Record::new(at, Some("consul-test".to_owned()), what.clone()) }.line() + "\n"
        });
        fs::write(self.path("state/events-000000000001.jsonl"), lines.collect::<String>()).unwrap();
    }

    fn run(&self, line: &str) -> Output {
        command(&line.split(' ').collect::<Vec<_>>()).current_dir(self.0.path()).output().unwrap()
    }

    /// stdout, stderr and the exit code.
    fn told(&self, line: &str) -> (String, String, Option<i32>) {
        let Output { stdout, stderr, status } = self.run(line);
        (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
    }
}

fn wants(image: &str) -> What {
    What::Desired(Desired {
        image: image.to_owned(),
        version: None,
        generation: String::new(),
        approved: None,
        suspend: false,
        freeze: false,
        reason: None,
        revision: None,
    })
}

fn answers(answer: AnswerKind, text: &str) -> What {
    What::Answer(Answer { answer, slot: None, step: None, reasons: Vec::new(), text: text.to_owned() })
}

fn settled() -> What {
    answers(AnswerKind::Settled, "nothing differs")
}

#[test]
fn image_and_version_change_together_and_nothing_else_is_committed() {
    let place = Place::new();
    let before = place.read(PROD);
    fs::write(place.path("notes.txt"), "not ours").unwrap();
    place.git(&["add", "notes.txt"]);
    let line = format!("promote {PROD} --image {NEW} --application-version 1.21.0");
    let (stdout, stderr, code) = place.told(&format!("{line} --dry-run"));
    assert_eq!((code, place.read(PROD)), (Some(0), before.clone()), "{stderr}");
    assert_eq!(
        stdout.lines().collect::<Vec<_>>(),
        [
            &format!("consul-prod: image {OLD} → {NEW}, version 1.20.1 → 1.21.0, if it were written ({PROD}:14)"),
            &format!("    14 -   image: {OLD}"),
            &format!("    14 +   image: {NEW}"),
            "    20 -       version: 1.20.1",
            "    20 +       version: 1.21.0",
        ]
    );
    let (stdout, stderr, code) = place.told(&format!("{line} --commit"));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("committed as "), "{stdout}");
    assert_eq!(place.read(PROD), before.replace(OLD, NEW).replace("1.20.1", "1.21.0"));
    assert_eq!(place.git(&["show", "--name-only", "--format="]), format!("{PROD}\n"));
    let subject = place.git(&["log", "-1", "--format=%s"]);
    assert_eq!(subject, format!("consul-prod: image {OLD} → {NEW}, version 1.20.1 → 1.21.0\n"));
    // The version alone is a change as well, and JSON says so.
    let (stdout, _, code) = place.told(&format!("promote {PROD} --image {NEW} --application-version 1.21.1 -o json"));
    let change: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(change["version"], serde_json::json!({"from": "1.21.0", "to": "1.21.1"}));
    assert_eq!((&change["from"], &change["written"]), (&Value::from(NEW), &Value::from(true)));
}

#[test]
fn what_the_files_of_one_environment_say_is_written_into_those_of_another() {
    let place = Place::new();
    place.change(TEST, OLD, NEW);
    place.change(TEST, "1.20.1", "1.21.0");
    place.commit();
    let before = place.read(PROD);
    let (stdout, stderr, code) = place.told("promote --from test --to desired-state/prod --commit");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let change = format!("consul-prod: image {OLD} → {NEW}, version 1.20.1 → 1.21.0");
    assert!(stdout.starts_with(&format!("{change} ({PROD}:14)\ncommitted as ")), "{stdout}");
    assert_eq!(place.read(PROD), before.replace(OLD, NEW).replace("1.20.1", "1.21.0"));
    assert_eq!(place.git(&["status", "--porcelain", "--", "desired-state"]), "");
    let (stdout, _, code) = place.told("promote --from test --to prod");
    assert_eq!((stdout, code), (format!("consul-prod: the image is {NEW} already ({PROD}:14)\n"), Some(0)));
}

#[test]
fn only_what_has_been_settled_for_long_enough_is_written() {
    let place = Place::new();
    place.change(TEST, OLD, NEW);
    let before = place.read(PROD);
    let line = "promote --from test --to prod --state state --soak 24h";
    let start = [(100, wants(OLD)), (99, settled()), (30, wants(NEW))];
    for (then, says) in [
        (&[][..], format!("consul-prod: in consul-test {NEW} has not settled yet\n")),
        (
            &[(29, answers(AnswerKind::Stalled, "disk full"))],
            format!("consul-prod: in consul-test {NEW} is not settled: disk full\n"),
        ),
        (
            &[(3, settled())],
            format!("consul-prod: {NEW} has been settled for 3h in consul-test, and 1d is asked for\n"),
        ),
        (
            &[(29, settled()), (1, wants(OLD))],
            format!("consul-prod: in consul-test {NEW} was given up for {OLD}, which was wanted before it\n"),
        ),
    ] {
        place.has_seen(&[&start[..], then].concat());
        let (stdout, stderr, code) = place.told(line);
        assert_eq!((stdout, code), (says, Some(5)), "{stderr}");
        assert_eq!(place.read(PROD), before);
    }
    place.has_seen(&[&start[..], &[(25, settled())]].concat());
    let (stdout, stderr, code) = place.told(line);
    assert_eq!((stdout, code), (format!("consul-prod: image {OLD} → {NEW} ({PROD}:14)\n"), Some(0)), "{stderr}");
    assert_eq!(place.read(PROD), before.replace(OLD, NEW));
}

#[test]
fn a_pipeline_checks_what_a_change_wants_and_changes_nothing() {
    let place = Place::new();
    place.has_seen(&[(100, wants(OLD)), (99, settled()), (30, wants(NEW)), (12, settled())]);
    let check = "promote --from test --to prod --check --state state";
    // The image that is wanted now was settled for three days before the next image came.
    let (stdout, _, code) = place.told(check);
    assert_eq!((stdout, code), (format!("consul-prod: {OLD} has been settled for 2d 21h in consul-test\n"), Some(0)));
    place.change(PROD, OLD, NEW);
    let before = place.read(PROD);
    let (stdout, _, code) = place.told(check);
    let says = format!("consul-prod: {NEW} has been settled for 12h in consul-test, and 1d is asked for\n");
    assert_eq!((stdout, code), (says, Some(5)));
    let (stdout, _, code) = place.told(&format!("{check} --soak 10h -o json"));
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let one = &document["promotions"][0];
    assert_eq!((code, &one["source"], &one["to"]), (Some(0), &Value::from("consul-test"), &Value::from(NEW)));
    assert!((12 * 3600..13 * 3600).contains(&one["soakedSeconds"].as_u64().unwrap()), "{document}");
    assert_eq!((&one["written"], &one["refused"]), (&Value::from(false), &Value::Null));
    place.change(PROD, NEW, "ami-0cccccccccccccccc");
    let (stdout, _, code) = place.told(check);
    let says = "consul-prod: in consul-test ami-0cccccccccccccccc was never wanted, as far as the events reach\n";
    assert_eq!((stdout.as_str(), code), (says, Some(5)));
    place.change(PROD, "ami-0cccccccccccccccc", NEW);
    assert_eq!(place.read(PROD), before);
}

#[test]
fn a_file_that_cannot_be_promoted_keeps_no_other_from_it() {
    let place = Place::new();
    place.change(TEST, OLD, NEW);
    let far = place.read(PROD).replace("consul-prod", "far").replace("us-east-1", "eu-west-1");
    for (path, text) in [
        ("desired-state/prod/a.yaml", far),
        ("desired-state/test/a.yaml", place.read(TEST).replace("consul-test", "near")),
        ("desired-state/prod/b.yaml", "kind: Cluster\n".to_owned()),
        ("desired-state/prod/c.yaml", place.read(PROD).replace("consul-prod", "alone")),
    ] {
        fs::write(place.path(path), text).unwrap();
    }
    let (stdout, stderr, code) = place.told("promote --from test --to prod");
    assert_eq!((stdout, code), (format!("consul-prod: image {OLD} → {NEW} ({PROD}:14)\n"), Some(1)));
    for said in [
        "missing field `apiVersion`",
        "near is in us-east-1, and far is in eu-west-1",
        "desired-state/prod/c.yaml has no namesake that can be used in desired-state/test",
    ] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    for (line, said, expected) in [
        ("promote --from nowhere --to prod", "there is no environment nowhere", 1),
        ("promote --from test --to prod --check", "nobody is named who knows", 64),
        ("promote --from test --to prod --state state", "have no effect without `--soak` or `--check`", 64),
        ("promote --from test", "required", 64),
        ("promote --from test --to desired-state/test", "would be promoted into itself", 64),
        ("promote --from test --to prod --check --dry-run --state state", "cannot be used with", 64),
        ("promote desired-state/prod/consul.yaml --from test --to prod", "cannot be used with", 64),
        ("promote --from test --to prod --soak 1h --daemon 127.0.0.1:1", "127.0.0.1:1", 1),
    ] {
        let (_, stderr, code) = place.told(line);
        assert!(stderr.contains(said), "{line}: {stderr}");
        assert_eq!(code, Some(expected), "{line}: {stderr}");
    }
}
