//! `debug`: what is gathered for somebody else is all that is known, and holds no secret.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::{CONSUL, Daemon, FILE, NEW, OLD};
use crate::harm::{PLANTED, SECRET, harmful};

fn debug(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.current_dir(folder).arg("debug").args(arguments).env_remove("HERMITCRAB_STATE").output().unwrap()
}

/// Every file below a folder, by its name there.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{name}");
            all.extend(files(&path).into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text)));
        } else {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
            all.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    all
}

#[test]
fn everything_that_is_known_is_gathered_without_secrets() {
    let daemon = Daemon::start(&["prod/consul.yaml"], &["--state", "state"]);
    daemon.until_document(CONSUL, "looked at", |cluster| !cluster["status"].is_null());
    let planted = serde_json::to_string(PLANTED).unwrap();
    let text = fs::read_to_string(daemon.path(FILE)).unwrap();
    fs::write(daemon.path("desired-state/prod/user-data"), format!("#!/bin/sh\ntoken={SECRET}\n")).unwrap();
    let with_data = text.replace("    tags:\n", "    userDataFile: user-data\n    tags:\n");
    daemon.write(
        FILE,
        &with_data.replace("team: platform", &format!("team: \"http://u:{SECRET}@host/\"")).replace(OLD, NEW),
    );
    fs::write(daemon.path("desired-state/broken.yaml"), format!("spec: {{userData: {SECRET}, x: {planted}}}")).unwrap();
    daemon.until_document(CONSUL, "read", |cluster| cluster["summary"]["wanted"] == NEW);
    let place = daemon.address.to_string();
    let arguments = ["--into", "bundle", "--from", &place, "--state", "state", "desired-state"];
    let output = debug(daemon.folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let gathered = files(&daemon.path("bundle"));
    for name in [
        "about.json",
        "desired-state/problems.txt",
        "desired-state/0001.yaml",
        "daemon/readyz.txt",
        "daemon/metrics.txt",
        "daemon/clusters.json",
        "daemon/events.json",
        "daemon/history.json",
        "daemon/0000.json",
        "daemon/0000-plan.txt",
        "daemon/0000-explain.txt",
        "state/events.jsonl",
    ] {
        assert!(gathered.get(name).is_some_and(|text| text.len() > 3), "{name}: {gathered:#?}");
    }
    assert!(gathered["desired-state/0001.yaml"].contains(NEW), "{gathered:#?}");
    assert!(gathered["state/events.jsonl"].contains(NEW), "{gathered:#?}");
    assert!(gathered["MISSING.txt"].contains("desired-state/broken.yaml"), "{gathered:#?}");
    for (name, text) in &gathered {
        // The mistake that a file has is quoted to whoever is to mend it, as `validate` does.
        if name != "desired-state/problems.txt" {
            assert_eq!(harmful(text), None, "{name}");
        }
    }

    let again = debug(daemon.folder.path(), &arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("a folder that does not exist"), "{again:?}");
    assert_eq!(files(&daemon.path("bundle")), gathered, "what is there is left alone");
}

#[test]
fn whatever_cannot_be_had_is_named_and_the_rest_is_gathered() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(FILE, folder.path().join("consul.yaml")).unwrap();
    let output = debug(folder.path(), &["--into", "a", "--from", "127.0.0.1:1", "--state", "nowhere", "consul.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let gathered = files(&folder.path().join("a"));
    let missing = &gathered["MISSING.txt"];
    for named in ["/api/v1/clusters: no daemon answers at http://127.0.0.1:1", "the log: nowhere cannot be read"] {
        assert!(missing.contains(named), "{missing}");
    }
    assert!(gathered["desired-state/0000.yaml"].contains(OLD));
    let output = debug(folder.path(), &["--into", "b", "--from", "127.0.0.1:1", "nowhere"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing could be gathered"), "{output:?}");
    assert_eq!(debug(folder.path(), &["--into", "c"]).status.code(), Some(64));
    assert!(!folder.path().join("c").exists());
}
