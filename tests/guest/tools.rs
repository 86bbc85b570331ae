//! The needs of the tests: root, loop devices, a mount namespace, and the programs that the scripts call.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use crate::fetch::fetch;
use crate::left_out::left_out;

/// Set in the mount namespace of our own.
const INSIDE: &str = "HERMITCRAB_GUEST_NAMESPACE";

/// The tree that is tested.
pub const TREE: &str = env!("CARGO_MANIFEST_DIR");

/// The reason why the scripts cannot be run.
#[derive(Clone, Debug)]
pub enum Missing {
    /// This machine allows it to nobody, or not to us.
    Leave(String),
    /// A program that can be brought was not.
    Program(String),
}

impl Missing {
    pub fn why(&self) -> &str {
        let (Self::Leave(why) | Self::Program(why)) = self;
        why
    }
}

/// Goes on in a mount namespace of its own, with every program on `PATH`; or says what is missing.
pub fn prepare() -> Result<(), Missing> {
    if env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    if !fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t0")) {
        return Err(Missing::Leave("mounts and loop devices take root".to_owned()));
    }
    let [folders] = fetch(["guest"]).map_err(Missing::Program)?;
    let (path, libraries) = folders.split_once(' ').unwrap();
    let mut probe = Command::new("unshare");
    said("a mount namespace", probe.args(["--mount", "--propagation", "private", "true"])).map_err(Missing::Leave)?;
    said("a loop device", Command::new("losetup").arg("--find")).map_err(Missing::Leave)?;
    let whole = |folders: String, name: &str| {
        env::var(name)
            .map_or(folders.clone(), |before| if before.is_empty() { folders } else { before + ":" + &folders })
    };
    let error = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(env::current_exe().unwrap())
        .args(env::args_os().skip(1))
        .env(INSIDE, "yes")
        .env("PATH", whole(format!("/usr/sbin:/sbin:{path}"), "PATH"))
        .env("LD_LIBRARY_PATH", whole(libraries.to_owned(), "LD_LIBRARY_PATH"))
        .exec();
    Err(Missing::Program(format!("unshare cannot be run: {error}")))
}

/// Runs a program that must succeed.
fn said(what: &str, command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{what} cannot be had: {error}"))?;
    let complaint =
        String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or("no reason given").to_owned();
    if output.status.success() { Ok(output) } else { Err(format!("{what} cannot be had: {complaint}")) }
}

/// Runs a program that must succeed in a test, and returns what it said.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{complaint}", output.status);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A real Consul; none if it cannot be had, which is said aloud.
pub fn consul() -> Option<String> {
    fetched("consul", "a real Consul")
}

/// A real etcd; none if it cannot be had, which is said aloud.
pub fn etcd() -> Option<String> {
    fetched("etcd-3.5", "a real etcd")
}

/// The Java that knows a real ZooKeeper; none if it cannot be had, which is said aloud.
pub fn zookeeper() -> Option<String> {
    fetched("zookeeper-3.9", "a real ZooKeeper")
}

fn fetched(name: &str, what: &str) -> Option<String> {
    match fetch([name]) {
        Ok([program]) => Some(program),
        Err(why) => {
            left_out(what, &why);
            None
        }
    }
}
