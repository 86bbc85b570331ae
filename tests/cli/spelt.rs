//! One file, spelt in many ways: what is said of it, and what a person agrees to, is the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use hermitcrab::sim::{FaultLevel, Payload, World};
use serde_json::Value;
use tempfile::TempDir;

use super::{FILE, NEW_IMAGE, command, prod, saved};

/// A folder of desired state with one file in `prod`, a flat ConfigMap with the same file, and links to both.
fn folders() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["desired-state/prod", "flat/..2026_01_05", "work"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    let file = fs::read_to_string(FILE).unwrap().replace("  rollout:\n", "  rollout:\n    approval: everySlot\n");
    fs::write(at("desired-state/prod/consul.yaml"), &file).unwrap();
    fs::write(at("flat/..2026_01_05/consul.yaml"), &file).unwrap();
    symlink("..2026_01_05", at("flat/..data")).unwrap();
    symlink("..data/consul.yaml", at("flat/consul.yaml")).unwrap();
    symlink("desired-state", at("current")).unwrap();
    symlink("desired-state/prod", at("live")).unwrap();
    dir
}

/// Every way to spell the file, with the folder below `folders` that the command is typed in.
const SPELT: [(&str, &str); 9] = [
    ("", "desired-state"),
    ("", "desired-state/"),
    ("", "./desired-state/prod"),
    ("", "desired-state/prod/consul.yaml"),
    ("", "current"),
    ("", "live/consul.yaml"),
    ("desired-state", "prod/"),
    ("desired-state/prod", "."),
    ("work", "../desired-state/prod/consul.yaml"),
];

#[test]
fn a_plan_and_its_comment_are_the_same_however_the_path_is_spelt() {
    let spec = prod();
    let world = World::new(0, FaultLevel::None);
    world.settle(&spec);
    world.register_image(&NEW_IMAGE[1].into(), Payload::default());
    let (world, dir) = (saved(&world), folders());
    let planned = |folder: &str, path: PathBuf, output: &str| {
        let mut command = command(&["plan"]);
        command.current_dir(dir.path().join(folder)).arg(path).arg("--world").arg(world.path());
        let output = command.args(["-o", output]).args(NEW_IMAGE).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let identity = |folder: &str, path: PathBuf| {
        let document: Value = serde_json::from_str(&planned(folder, path.clone(), "json")).unwrap();
        let plan = &document["plans"][0];
        let comment = planned(folder, path, "markdown");
        let marker = comment.lines().next().unwrap().to_owned();
        (plan["approvalNeeded"].as_str().unwrap().to_owned(), plan["environment"].as_str().unwrap().to_owned(), marker)
    };
    let first = identity("", dir.path().join("desired-state"));
    assert_eq!((&*first.1, &*first.2), ("prod", "<!-- hermitcrab-plan:prod/consul-prod -->"));
    for (folder, path) in SPELT {
        assert_eq!(identity(folder, path.into()), first, "{folder}: {path}");
    }
    // A controller may have the file in another folder than the reviewer.
    assert_eq!(identity("", "flat".into()).0, first.0);
    assert_eq!(identity("flat", "consul.yaml".into()).0, first.0);
}

#[test]
fn an_image_is_promoted_however_the_path_is_spelt() {
    for (folder, path) in SPELT.into_iter().chain([("", "flat"), ("flat", "consul.yaml")]) {
        let dir = folders();
        let mut command = command(&["promote", path, "--cluster", "consul-prod"]);
        let output = command.current_dir(dir.path().join(folder)).args(NEW_IMAGE).output().unwrap();
        assert!(output.status.success(), "{folder}: {path}: {}", String::from_utf8_lossy(&output.stderr));
        let written = if folder == "flat" || path == "flat" { "flat/consul.yaml" } else { "live/consul.yaml" };
        assert!(fs::read_to_string(dir.path().join(written)).unwrap().contains(NEW_IMAGE[1]), "{folder}: {path}");
    }
}
