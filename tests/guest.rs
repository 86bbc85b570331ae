//! The guest's own scripts, run as root on loop devices: which volumes they format, refuse, adopt, grow and mount.
//!
//! Serials are those of a made-up /sys, and metadata come from a server in here that wants IMDSv2. Everything happens in a
//! mount namespace of its own. What is missing to run them is said aloud; `HERMITCRAB_RIG=required` makes it a failure,
//! but for what only the machine can give: root, loop devices, and a mount namespace.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Real programs take real time, and a test may panic.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[macro_use]
#[path = "tools/cases.rs"]
mod cases;

#[path = "guest/addresses.rs"]
mod addresses;
#[path = "guest/consul.rs"]
mod consul;
#[path = "guest/copies.rs"]
mod copies;
#[path = "guest/etcd.rs"]
mod etcd;
#[path = "guest/image.rs"]
mod image;
#[path = "guest/patroni.rs"]
mod patroni;
#[path = "guest/volumes.rs"]
mod volumes;
#[path = "guest/zookeeper.rs"]
mod zookeeper;

#[path = "guest/disk.rs"]
mod disk;
#[path = "tools/fetch.rs"]
mod fetch;
#[path = "guest/guest.rs"]
mod guest;
#[path = "tools/left_out.rs"]
mod left_out;
#[path = "guest/metadata.rs"]
mod metadata;
#[path = "guest/tools.rs"]
mod tools;

use tools::Missing;

/// A test by its name.
type Case = (&'static str, fn());

/// The tests mostly wait, so more of them run at once than there are processors.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let missing = if arguments.list { None } else { tools::prepare().err() };
    if let Some(why) = &missing {
        eprintln!("guest: its scripts are not run: {}", why.why());
    }
    let cases = volumes::CASES.iter().chain(&addresses::CASES).chain(&copies::CASES).chain(&consul::CASES);
    let cases = cases.chain(&etcd::CASES).chain(&image::CASES).chain(&patroni::CASES).chain(&zookeeper::CASES);
    let trials = cases.map(|(name, case)| trial(name, *case, missing.clone())).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Where something is missing, a test is shown as not run; or fails, if nothing may be missing that can be had.
fn trial(name: &str, case: fn(), missing: Option<Missing>) -> Trial {
    let left_out = match &missing {
        None => false,
        Some(Missing::Leave(_)) => true,
        Some(Missing::Program(_)) => !fetch::is_required(),
    };
    let run = move || match missing {
        Some(missing) => Err(missing.why().to_owned().into()),
        None => {
            case();
            Ok(())
        }
    };
    Trial::test(name, run).with_ignored_flag(left_out)
}
