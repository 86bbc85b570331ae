//! `status --wait`: beside somebody who acts, and where nobody gets any further.

use std::fs;
use std::process::Stdio;

use super::change::after_a_bad_upgrade;
use super::{FILE, NEW_IMAGE, command, run};

fn waited(arguments: &[&str]) -> Option<i32> {
    run(&[&["status", FILE, "--wait"], arguments].concat()).status.code()
}

#[test]
fn a_rollout_that_somebody_else_carries_out_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("consul.yaml");
    let (path, world) = (file.to_str().unwrap(), folder.path().join("world.json"));
    fs::copy(FILE, &file).unwrap();
    let daemon = ["run", folder.path().to_str().unwrap(), "--world", world.to_str().unwrap(), "--speed", "300"];
    assert!(run(&[&daemon[..], &["--once"]].concat()).status.success());
    fs::write(&file, fs::read_to_string(FILE).unwrap().replace("ami-0aaaaaaaaaaaaaaaa", NEW_IMAGE[1])).unwrap();
    let mut daemon = command(&daemon).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let told = run(&["status", path, "--wait", "--timeout", "5m", "--world", world.to_str().unwrap()]);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let screen = String::from_utf8_lossy(&told.stdout);
    assert!(screen.contains("3 of 3") && screen.contains(NEW_IMAGE[1]), "{screen}");
}

#[test]
fn whoever_waits_learns_when_a_person_is_needed_and_when_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.json");
    let at = ["--world", world.to_str().unwrap(), "--timeout", "0s"];
    fs::create_dir(folder.path().join("files")).unwrap();
    fs::copy(FILE, folder.path().join("files/consul.yaml")).unwrap();
    let files = folder.path().join("files");
    assert!(run(&["run", files.to_str().unwrap(), "--once", "--speed", "2000", at[0], at[1]]).status.success());
    assert_eq!(waited(&at), Some(0));
    assert_eq!(waited(&[&at[..], &NEW_IMAGE].concat()), Some(4), "nobody rolls it");
    assert_eq!(waited(&[&at[..], &NEW_IMAGE, &["--for", "healthy"]].concat()), Some(0), "its members are well");
    let bad = after_a_bad_upgrade();
    let world = ["--world", bad.path().to_str().unwrap(), "--timeout", "1m"];
    assert_eq!(waited(&[&world[..], &NEW_IMAGE].concat()), Some(3));
    let unused = run(&["status", FILE, "--cloud", "simulated", "--timeout", "1m"]);
    assert_eq!(unused.status.code(), Some(64), "{unused:?}");
}
