//! The controller as people start it: the built program, with nothing of ours in its environment but the endpoint.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::cluster::{OWNER, Rig};
use crate::process::{self, Process, Signal};
use crate::until;

/// A running controller, which somebody else may kill.
#[derive(Clone)]
pub struct Controller {
    process: Rc<RefCell<Process>>,
    log: PathBuf,
}

/// The end of a controller: its exit code, unless it was killed.
#[derive(Clone, Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

impl Rig {
    /// Starts `run --once`, as whoever has this access key, with further arguments.
    pub fn controller(&self, key: &str, arguments: &[&str]) -> Controller {
        self.run(key, &[&["--once", "--timeout", "20m"], arguments].concat())
    }

    /// Starts `run` as a service does: it goes on until it is told to end, whatever it sees meanwhile.
    pub fn daemon(&self, key: &str) -> Controller {
        self.run(key, &[])
    }

    fn run(&self, key: &str, arguments: &[&str]) -> Controller {
        self.command(key, "run", "desired-state", arguments)
    }

    /// Starts any command, on files of ours.
    pub fn command(&self, key: &str, name: &str, files: &str, arguments: &[&str]) -> Controller {
        let log = self.dir.join(format!("{key}.controller"));
        let mut command = process::command(env!("CARGO_BIN_EXE_hermitcrab"));
        command
            .arg(name)
            .arg(self.dir.join(files))
            .args(["--cloud", "aws", "--owner", OWNER])
            .arg("--claims")
            .arg(self.dir.join("claims"))
            .args(arguments)
            .args(["--adapters", concat!(env!("CARGO_MANIFEST_DIR"), "/adapters")])
            .env_clear()
            .env("PATH", process::path())
            .env("HOME", &self.dir)
            .env("AWS_ENDPOINT_URL", &self.proxy.endpoint)
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", "rig")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        self.truth.note(format!("{key} starts {name}"));
        Controller { process: Rc::new(RefCell::new(Process::start(command, &log))), log }
    }
}

impl Controller {
    /// Waits for it to end by itself.
    pub async fn ended(&self, limit: Duration) -> Ended {
        let ended = async || self.process.borrow_mut().ended();
        let status = until("the controller to end", limit, ended).await;
        Ended { code: status.code(), said: self.said() }
    }

    /// Waits for it to say that all is as it should be.
    pub async fn settles(&self, limit: Duration) {
        let settled = async || self.said().contains("\"message\":\"settled\"").then_some(());
        until("the controller to say that all is settled", limit, settled).await;
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        self.process.borrow_mut().kill();
    }

    pub fn signal(&self, signal: Signal) {
        self.process.borrow().signal(signal);
    }

    /// Everything that it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}
