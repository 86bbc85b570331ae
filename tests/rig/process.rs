//! Processes that end when we do, whatever becomes of us.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;

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
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).env("PATH", path());
    // Programs in Go look seldom for memory that is free again: many servers share two cores.
    command.env("GOGC", "400").kill_on_drop(true).stdin(Stdio::null());
    command
}

/// The folders in which programs are looked for. Where the `python3` that comes first is a script that looks for Python each
/// time, which takes longer than Python's own start, the folder of Python itself is in front.
pub fn path() -> &'static OsStr {
    static PATH: OnceLock<OsString> = OnceLock::new();
    PATH.get_or_init(|| {
        let own = env::var_os("PATH").unwrap_or_default();
        let first = env::split_paths(&own).map(|folder| folder.join("python3")).find(|program| program.is_file());
        if !first.is_some_and(|program| fs::read(program).is_ok_and(|text| text.starts_with(b"#!"))) {
            return own;
        }
        let ask = ["-c", "import sys; print(sys.executable)"];
        let told = std::process::Command::new("python3").args(ask).output().unwrap();
        let program = String::from_utf8(told.stdout).unwrap();
        let folder = Path::new(program.trim_end()).parent().unwrap().to_owned();
        env::join_paths([folder].into_iter().chain(env::split_paths(&own))).unwrap()
    })
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
