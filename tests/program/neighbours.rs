//! The daemon beside hostile files: whatever lies in the folder, another cluster's edit is seen and acted on, and a signal ends
//! the daemon well. `HERMITCRAB_TRANSCRIPT=1 cargo test --test program -- --nocapture neighbours` shows how long each took.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::pipes::{PATIENCE, command, ended, signal};

const FILE: &str = "desired-state/prod/consul.yaml";
const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

/// A way to put something hostile into a folder.
type Plant = fn(&Path);

const HOSTILE: [(&str, Plant); 13] = [
    ("what was kept of findings", |folder| {
        for entry in fs::read_dir("fuzz/corpus/desired_state").unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&text).replace("consul-prod", "hostile");
            fs::write(folder.join(path.file_name().unwrap()), text).unwrap();
        }
    }),
    ("slots that are text, as large as a file may be", |folder| {
        write(folder, &good("slots:", &format!("slots: [{}]\n  old:", "x,".repeat(120_000))))
    }),
    ("a key that is repeated, as large as a file may be", |folder| write(folder, &"k: 1\n".repeat(52_000))),
    ("a denial without end, many times", |folder| {
        let window = "{kind: deny, schedule: '0 * * * *', duration: 7d},";
        write(folder, &good("    onFailure", &format!("    windows: [{}]\n    onFailure", window.repeat(30))));
    }),
    ("a token that never ends", |folder| {
        write(folder, &good("      datacenter: dc1", "      datacenter: dc1\n      tokenFile: /dev/zero"));
    }),
    ("a token that is a pipe", |folder| {
        pipe(&folder.join("token"));
        write(folder, &good("      datacenter: dc1", "      datacenter: dc1\n      tokenFile: token"));
    }),
    ("a pipe", |folder| pipe(&folder.join("x.yaml"))),
    ("a device without end", |folder| symlink("/dev/zero", folder.join("x.yaml")).unwrap()),
    ("a link to the controller's own secrets", |folder| symlink("/proc/self/environ", folder.join("x.yaml")).unwrap()),
    ("the kernel's log", |folder| symlink("/proc/kmsg", folder.join("x.yaml")).unwrap()),
    ("folders with two links each to the next", |folder| {
        for number in 0..24 {
            fs::create_dir(folder.join(format!("d{number}"))).unwrap();
            for link in ["a", "b"] {
                symlink(format!("../d{}", (number + 1) % 24), folder.join(format!("d{number}/{link}"))).unwrap();
            }
        }
    }),
    ("a link to the folder itself, and one to itself", |folder| {
        symlink(".", folder.join("again")).unwrap();
        symlink("self.yaml", folder.join("self.yaml")).unwrap();
    }),
    ("a thousand files of one name", |folder| {
        (0..1_000).for_each(|number| fs::write(folder.join(format!("{number}.yaml")), good("", "")).unwrap());
    }),
];

/// The good file of another cluster, with one change.
fn good(from: &str, to: &str) -> String {
    let text = fs::read_to_string(FILE).unwrap().replace("name: consul-prod", "name: hostile");
    assert!(text.contains(from), "{from}");
    if from.is_empty() { text } else { text.replacen(from, to, 1) }
}

fn write(folder: &Path, text: &str) {
    fs::write(folder.join("x.yaml"), text).unwrap();
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// The lines of a daemon's log, as they come.
fn lines(stderr: ChildStderr) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no line of the log: {line}"));
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn wait_for(log: &Receiver<Value>, kind: &str, is_it: impl Fn(&Value) -> bool) {
    loop {
        let line = log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{kind}: not within {PATIENCE:?}"));
        if line["cluster"] == "consul-prod" && is_it(&line) {
            return;
        }
    }
}

#[allow(clippy::disallowed_methods)] // for the transcript alone
fn tell(kind: &str, begun: std::time::Instant, what: &str) {
    if std::env::var_os("HERMITCRAB_TRANSCRIPT").is_some() {
        println!("{kind}: {what} after {} ms", begun.elapsed().as_millis());
    }
}

#[allow(clippy::disallowed_methods)] // for the transcript alone
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn start(folder: &Path) -> Child {
    let line = ["run", folder.to_str().unwrap(), "--cloud", "simulated", "--speed", "1000", "--log-format", "json"];
    command(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn the_edit_of_another_cluster_is_seen_and_a_signal_ends_the_daemon() {
    for (kind, plant) in HOSTILE {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("good.yaml");
        fs::copy(FILE, &file).unwrap();
        fs::create_dir(folder.path().join("hostile")).unwrap();
        plant(&folder.path().join("hostile"));
        let mut child = start(folder.path());
        let log = lines(child.stderr.take().unwrap());
        wait_for(&log, kind, |line| line["message"] == "settled");
        let text = fs::read_to_string(FILE).unwrap().replace(OLD, NEW);
        fs::write(folder.path().join("new"), text).unwrap();
        let edited = now();
        fs::rename(folder.path().join("new"), &file).unwrap();
        wait_for(&log, kind, |line| line["message"] == "desired state has changed" && line["image"] == NEW);
        tell(kind, edited, "an edit is seen");
        wait_for(&log, kind, |line| line["message"] == "acting");
        let told = now();
        signal(&child, "TERM");
        assert_eq!(ended(child, kind), 0, "{kind}");
        tell(kind, told, "SIGTERM has ended it");
    }
}
