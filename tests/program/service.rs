//! The messages to a service manager, at a socket in its place: ready, alive, how things stand, and about to end.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::pipes::signal;

const FILE: &str = "desired-state/prod/consul.yaml";
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon, and the socket at which it tells what it has to tell. The daemon ends with the test.
struct Daemon {
    folder: TempDir,
    socket: UnixDatagram,
    child: Child,
}

impl Daemon {
    fn start(with_cluster: bool, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("desired-state/prod")).unwrap();
        if with_cluster {
            fs::copy(FILE, folder.path().join(FILE)).unwrap();
        }
        let path = folder.path().join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_hermitcrab"))
            .current_dir(folder.path())
            .args(["run", "--cloud", "simulated"])
            .env("NOTIFY_SOCKET", &path)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, socket, child }
    }

    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).unwrap_or_else(|error| panic!("nothing was told in time: {error}"));
        String::from_utf8(bytes[..length].to_vec()).unwrap().trim_end().to_owned()
    }

    /// Everything that is told up to a message, with it.
    fn until(&self, message: &str) -> Vec<String> {
        let mut told = Vec::new();
        while told.last().is_none_or(|last| last != message) {
            told.push(self.next());
            assert!(told.len() < 1_000, "{message} is not among {told:#?}");
        }
        told
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_daemon_is_ready_when_it_has_looked_lives_by_its_passes_and_says_when_it_ends() {
    let daemon = Daemon::start(true, &[("WATCHDOG_USEC", "1200000000")]);
    let told = daemon.until("READY=1");
    let place = |message: &str| told.iter().position(|told| told == message);
    assert_eq!(told[0], "WATCHDOG_USEC=0", "nobody watches before the first pass: {told:?}");
    assert!(place("WATCHDOG_USEC=1200000000") < place("WATCHDOG=1") && place("WATCHDOG=1").is_some(), "{told:?}");
    daemon.until("STATUS=1 cluster: 1 settled");
    // Each pass is a sign of life.
    daemon.until("WATCHDOG=1");
    fs::remove_file(daemon.folder.path().join(FILE)).unwrap();
    let told = daemon.until("WATCHDOG_USEC=0");
    assert!(!told.contains(&"READY=1".to_owned()), "ready is said once: {told:?}");
    signal(&daemon.child, "TERM");
    daemon.until("STOPPING=1\nSTATUS=finishes the calls in flight");
}

#[test]
fn the_last_words_wait_for_a_service_manager_that_is_slow() {
    let daemon = Daemon::start(false, &[]);
    daemon.until("READY=1");
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"full", daemon.folder.path().join("notify.sock")).is_ok() {}
    signal(&daemon.child, "TERM");
    std::thread::sleep(Duration::from_millis(500));
    daemon.until("STOPPING=1\nSTATUS=finishes the calls in flight");
}

#[test]
fn a_daemon_without_a_cluster_is_ready_and_not_watched() {
    let daemon = Daemon::start(false, &[("WATCHDOG_USEC", "1200000000")]);
    let told = daemon.until("READY=1");
    assert!(!told.iter().any(|told| told.starts_with("WATCHDOG") && told != "WATCHDOG_USEC=0"), "{told:?}");
}
