//! Signals that ask a command to end: the first lets the call in flight be finished, a second one ends the process at once.
//! Calls that never come back: `tests/aws/signals.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use hermitcrab::time::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::at_once::at_once;
use crate::commands::{FILE, NEW, all_are_in, verdicts};
use crate::pipes::{PATIENCE, To, command, ended, signal, stream};

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
/// The signals, with the exit code of what they end.
const SIGNALS: [(&str, i32); 3] = [("TERM", 143), ("INT", 130), ("HUP", 129)];

/// Waits until a process has signals under its own control.
fn wait_until_it_listens(child: &mut Child) {
    const ALL: u64 = 1 | 1 << 1 | 1 << 14;
    let path = format!("/proc/{}/status", child.id());
    loop {
        assert!(child.try_wait().unwrap().is_none(), "it has ended before it was told to");
        let status = fs::read_to_string(&path).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        // SIGHUP is number 1, SIGINT 2, and SIGTERM 15.
        if u64::from_str_radix(caught, 16).unwrap() & ALL == ALL {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_command_that_waits_for_its_reader_ends_at_the_first_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut tried: Vec<Vec<String>> = Vec::new();
    for (line, _) in verdicts(folder.path()) {
        if tried.iter().all(|other| other[0] != line[0]) && !line[0].starts_with("--") {
            tried.push(line);
        }
    }
    let wrong = at_once(&tried, |line| {
        let told = SIGNALS.into_iter().filter_map(|(name, code)| {
            let ((stdout, _keep), (stderr, _keep_too)) = (stream(To::Stuck), stream(To::Stuck));
            let mut command = command(&line.iter().map(String::as_str).collect::<Vec<_>>());
            let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
            wait_until_it_listens(&mut child);
            signal(&child, name);
            let found = ended(child, line);
            // `run --once` may be in the middle of something, and finish it.
            (found != code).then(|| format!("{line:?}, SIG{name}: {found}, not {code}"))
        });
        told.collect::<Vec<_>>()
    });
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{wrong:#?}");
    all_are_in(tried.iter().map(|line| &*line[0]));
}

/// A folder with one cluster whose file may be destroyed, and a place for a saved world.
fn place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("desired")).unwrap();
    fs::write(file(&folder), text(OLD)).unwrap();
    folder
}

fn text(image: &str) -> String {
    let text = fs::read_to_string(FILE).unwrap().replace(OLD, image);
    text.replace("\nspec:\n", "\nspec:\n  deletionProtection: false\n")
}

fn file(folder: &TempDir) -> String {
    folder.path().join("desired/consul.yaml").to_str().unwrap().to_owned()
}

fn world(folder: &TempDir) -> String {
    folder.path().join("world.json").to_str().unwrap().to_owned()
}

fn commit(folder: &TempDir, image: &str) {
    fs::write(folder.path().join("new"), text(image)).unwrap();
    fs::rename(folder.path().join("new"), file(folder)).unwrap();
}

/// Starts a command whose log goes there, on the folder's world.
fn start(folder: &TempDir, line: &str, stderr: Stdio) -> Child {
    let desired = folder.path().join("desired").to_str().unwrap().to_owned();
    let line = line.replace("FOLDER", &desired).replace("FILE", &file(folder));
    let world = world(folder);
    let mut arguments: Vec<&str> = line.split(' ').collect();
    arguments.extend(["--world", &world]);
    command(&arguments).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

/// Runs such a command to its end.
fn run(folder: &TempDir, line: &str) -> i32 {
    ended(start(folder, line, Stdio::null()), line)
}

const SETTLE: &str = "run FOLDER --once --speed 100000";

/// The status of the cluster in the saved world, which can be read at any time.
fn status(folder: &TempDir) -> Value {
    let (file, world) = (file(folder), world(folder));
    let output = command(&["status", &file, "--world", &world, "-o", "json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let read: Value = serde_json::from_str(&said).unwrap_or_else(|error| {
        panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr));
    });
    read["clusters"][0].clone()
}

fn wait_until(folder: &TempDir, what: &str, is_so: impl Fn(&Value) -> bool) {
    for _ in 0..PATIENCE.as_millis() / 20 {
        if Path::new(&world(folder)).exists() && is_so(&status(folder)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what}: not within {PATIENCE:?}");
}

#[test]
fn the_daemon_ends_well_and_once_says_that_it_is_not_done_whatever_becomes_of_the_log() {
    let ways =
        [To::Reader, To::Stuck, To::Full, To::Closed].into_iter().flat_map(|to| SIGNALS.map(|signal| (to, signal)));
    let ways = ways.flat_map(|(to, (name, code))| [(to, name, "", 0), (to, name, " --once", code)]);
    at_once(ways, |(to, name, once, wanted)| {
        let folder = place();
        assert_eq!(run(&folder, SETTLE), 0);
        commit(&folder, NEW);
        let (stderr, _keep) = stream(to);
        let mut child = start(&folder, &format!("run FOLDER --speed 100{once}"), stderr);
        wait_until_it_listens(&mut child);
        wait_until(&folder, "under way", |status| status["phase"] == "replacing");
        signal(&child, name);
        assert_eq!(ended(child, name), wanted, "SIG{name}{once}, the log to {to:?}");
    });
}

#[test]
fn once_ends_although_nobody_reads_how_far_it_came() {
    let folder = place();
    assert_eq!(run(&folder, SETTLE), 0);
    commit(&folder, NEW);
    let (stdout, _keep) = stream(To::Stuck);
    let (desired, world) = (folder.path().join("desired").to_str().unwrap().to_owned(), world(&folder));
    let mut once = command(&["run", &desired, "--once", "--speed", "100", "--world", &world]);
    let mut child = once.stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
    wait_until_it_listens(&mut child);
    wait_until(&folder, "under way", |status| status["phase"] == "replacing");
    signal(&child, "TERM");
    assert_eq!(ended(child, "run --once"), 143);
}

/// The signals that a run gets, one after the other.
const SEQUENCES: [&[&str]; 8] = [
    &["TERM"],
    &["INT"],
    &["HUP"],
    &["KILL"],
    &["TERM", "TERM"],
    &["STOP", "TERM", "INT", "CONT"],
    &["INT", "KILL"],
    &["HUP", "HUP"],
];

/// A source of numbers from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % most
    }
}

/// The volumes of each slot, which no signal may lose.
fn volumes(folder: &TempDir) -> Vec<Value> {
    status(folder)["slots"].as_array().unwrap().iter().map(|slot| slot["volumes"].clone()).collect()
}

/// Rolls a cluster out again and again, with one to three signals at random in each rollout: whatever they are, the world
/// can be read, the same volumes are in the same slots, time does not go back, and the next run settles.
fn roll_out(rollouts: u64, seed: u64) {
    let (folder, mut chance, mut sent) = (place(), Chance(seed), BTreeMap::<_, u64>::new());
    assert_eq!(run(&folder, SETTLE), 0);
    let (before, mut time) = (volumes(&folder), Timestamp::UNIX_EPOCH);
    for rollout in 0..rollouts {
        let image = [NEW, OLD][usize::try_from(rollout % 2).unwrap()];
        commit(&folder, image);
        for _ in 0..=chance.below(3) {
            let mut child = start(&folder, "run FOLDER --once --speed 2000", Stdio::null());
            std::thread::sleep(Duration::from_millis(chance.below(700)));
            let names = SEQUENCES[usize::try_from(chance.below(SEQUENCES.len() as u64)).unwrap()];
            if child.try_wait().unwrap().is_none() {
                names.iter().for_each(|name| signal(&child, name));
                *sent.entry(names.join(" ")).or_default() += 1;
            }
            let status = child.wait().unwrap();
            let is_right = matches!(status.code(), Some(0 | 129 | 130 | 143)) || status.signal().is_some();
            assert!(is_right, "rollout {rollout} of seed {seed}: {names:?} ended it with {status}");
        }
        assert_eq!(run(&folder, SETTLE), 0, "rollout {rollout} of seed {seed}");
        assert_eq!(volumes(&folder), before, "rollout {rollout} of seed {seed}");
        let found = status(&folder);
        let slots = found["slots"].as_array().unwrap();
        assert!(slots.iter().all(|slot| slot["image"] == image), "rollout {rollout}: {slots:?}");
        let now: Timestamp = found["at"].as_str().unwrap().parse().unwrap();
        assert!(now > time, "rollout {rollout}: it was {time}, and is {now}");
        time = now;
    }
    println!("{rollouts} rollouts, {} runs interrupted: {sent:?}", sent.values().sum::<u64>());
}

/// Four rollouts, or as many as `HERMITCRAB_SIGNALS` says.
#[test]
fn nothing_is_lost_in_rollouts_that_signals_interrupt_at_random() {
    let given = std::env::var("HERMITCRAB_SIGNALS").ok();
    roll_out(given.map_or(4, |rollouts| rollouts.parse().unwrap()), 1);
}

/// A command that carries something out, ended at some moment, and run again until it is done.
fn ends_at_any_moment(line: &str) {
    let mut chance = Chance(3);
    let moments: Vec<_> = SIGNALS.into_iter().cycle().take(12).map(|signal| (signal, chance.below(60))).collect();
    let ends = at_once(moments, |((name, code), moment)| {
        let folder = place();
        assert_eq!(run(&folder, SETTLE), 0);
        let mut child = start(&folder, line, Stdio::null());
        wait_until_it_listens(&mut child);
        std::thread::sleep(Duration::from_millis(moment));
        if child.try_wait().unwrap().is_none() {
            signal(&child, name);
        }
        let end = ended(child, line);
        assert!([0, code].contains(&end), "SIG{name}: {end}");
        assert_eq!(status(&folder)["slots"].as_array().unwrap().len(), 3, "the world can be read");
        end
    });
    assert!(ends.iter().any(|end| *end != 0), "no signal came in time: {ends:?}");
}

#[test]
fn a_destruction_can_be_interrupted_at_any_moment() {
    ends_at_any_moment("destroy FILE --confirm consul-prod");
}

#[test]
fn a_rehearsal_can_be_interrupted_at_any_moment() {
    ends_at_any_moment(&format!("rehearse FILE --image {NEW}"));
}
