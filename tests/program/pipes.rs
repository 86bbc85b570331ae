//! Where a command's streams lead, and how a command ends.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than any of these commands takes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The target of a command's stream.
#[derive(Clone, Copy, Debug)]
pub enum To {
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
pub fn stream(to: To) -> (Stdio, Option<UnixStream>) {
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

/// The built program, in the repository's root, with nothing to read.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).stdin(Stdio::null());
    command
}

/// The exit code of a child that must end by itself.
pub fn ended(mut child: Child, what: impl std::fmt::Debug) -> i32 {
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

/// Sends a signal by its name, e.g. `TERM`.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
