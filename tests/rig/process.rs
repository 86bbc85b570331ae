//! Processes that end when we do, whatever becomes of us.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

/// A process. It is killed when this is dropped, and by the kernel when the rig itself is killed.
pub struct Process {
    child: Child,
    pid: u32,
}

/// A signal by its name.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    Term,
    Int,
    Hup,
    Stop,
    Cont,
}

/// A command whose process will not outlive ours. `setpriv` becomes the program that it starts, so the id is the same.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

impl Process {
    /// Starts it, with everything that it says in one file.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let pid = child.id().expect("it was not waited for");
        Self { child, pid }
    }

    /// Starts it, with stdout and stderr in files of their own.
    pub fn start_apart(mut command: Command, out: &Path, err: &Path) -> Self {
        command.stdout(File::create(out).unwrap()).stderr(File::create(err).unwrap());
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let pid = child.id().expect("it was not waited for");
        Self { child, pid }
    }

    /// Asks for something by a signal. Does nothing if it has ended.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Term => "-TERM",
            Signal::Int => "-INT",
            Signal::Hup => "-HUP",
            Signal::Stop => "-STOP",
            Signal::Cont => "-CONT",
        };
        if self.child.id().is_some() {
            std::process::Command::new("kill").args([name, &self.pid.to_string()]).status().ok();
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.start_kill().ok();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}
