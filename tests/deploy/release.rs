//! A release: its workflow is well-formed and gives nothing away, what is sealed is noticed when it changes, and a program that needs a
//! loader is none of it. No release was made, and no static program is built here.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{HERMITCRAB, check, read};

const WORKFLOW: &str = ".github/workflows/release.yml";
const SCRIPTS: [&str; 4] = ["build", "static", "seal", "verify"];
/// Names that a shell could take for something else.
const NAMES: [&str; 7] = ["a b", "-n", "line\nbreak", "back\\slash", "sub/é", "$(touch x)", "SHA256SUMS.old"];

fn script(name: &str) -> String {
    format!("{}/deploy/release/{name}.sh", env!("CARGO_MANIFEST_DIR"))
}

fn run(name: &str, arguments: &[&Path]) -> Output {
    Command::new(script(name)).args(arguments).output().unwrap()
}

fn key(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status().unwrap();
    assert!(made.success());
    path
}

#[test]
fn what_is_sealed_is_noticed_when_it_changes_whatever_its_name() {
    let place = tempfile::tempdir().unwrap();
    let (ours, theirs) = (key(place.path(), "ours"), key(place.path(), "theirs"));
    let signers = place.path().join("signers");
    fs::write(&signers, format!("release@hermitcrab {}", fs::read_to_string(ours.with_extension("pub")).unwrap()))
        .unwrap();
    let folder = place.path().join("a folder");
    fs::create_dir_all(folder.join("sub")).unwrap();
    for name in NAMES {
        fs::write(folder.join(name), name).unwrap();
    }
    let seal = |key: &Path| assert!(run("seal", &[&folder, key]).status.success());
    let fits = || run("verify", &[&folder, &signers]).status.success();
    seal(&ours);
    assert!(fits());
    for name in NAMES {
        let file = folder.join(name);
        fs::write(&file, "something else").unwrap();
        assert!(!fits(), "{name:?} has changed");
        fs::remove_file(&file).unwrap();
        assert!(!fits(), "{name:?} is gone");
        fs::write(&file, name).unwrap();
        assert!(fits());
    }
    fs::write(folder.join("more"), "more").unwrap();
    assert!(!fits(), "one more file");
    fs::remove_file(folder.join("more")).unwrap();
    std::os::unix::fs::symlink("a b", folder.join("link")).unwrap();
    assert!(!fits(), "a link");
    fs::remove_file(folder.join("link")).unwrap();
    seal(&theirs);
    assert!(!fits(), "another key");
    seal(&ours);
    assert!(fits());
}

#[test]
fn an_empty_folder_is_not_sealed() {
    let place = tempfile::tempdir().unwrap();
    let key = key(place.path(), "key");
    let folder = place.path().join("empty");
    fs::create_dir(&folder).unwrap();
    assert!(!run("seal", &[&folder, &key]).status.success());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_program_that_needs_a_loader_is_not_static() {
    let said = run("static", &[Path::new(HERMITCRAB)]);
    let why = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success() && why.contains("is not static"), "{why}");
    let place = tempfile::tempdir().unwrap();
    let (source, program) = (place.path().join("-s.c"), place.path().join("-s"));
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let arguments = [OsStr::new("-static"), source.as_os_str(), OsStr::new("-o"), program.as_os_str()];
    assert!(Command::new("cc").args(arguments).status().unwrap().success());
    let said = run("static", &[&program]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn no_other_target_is_built() {
    let said = run("build", &[Path::new("x86_64-unknown-linux-gnu"), Path::new("/nowhere")]);
    assert_eq!(said.status.code(), Some(64), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn github_understands_the_workflow_and_its_scripts_are_there_and_clean() {
    check("check-jsonschema", &["--builtin-schema", "vendor.github-workflows", WORKFLOW]);
    let workflow = read(WORKFLOW);
    for name in SCRIPTS {
        let path = format!("deploy/release/{name}.sh");
        assert!(name == "static" || workflow.contains(&path), "{path} is not run");
        check("shellcheck", &[&path]);
    }
}

/// An expression in a command is filled in before the shell reads it, so a tag's name would be run.
#[test]
fn no_command_of_the_workflow_has_an_expression_in_it() {
    let workflow = read(WORKFLOW);
    let expressions: Vec<_> = workflow.lines().filter(|line| line.contains("${{")).map(str::trim).collect();
    assert!(!expressions.is_empty());
    for line in expressions {
        let (name, _) = line.split_once(": ${{").unwrap_or_else(|| panic!("{line}"));
        assert!(name == "runs-on" || name.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{line}");
    }
    assert!(workflow.contains("\npermissions: {}\n"), "a job has what it asks for, and no more");
    assert_eq!(workflow.matches("actions/checkout@").count(), workflow.matches("persist-credentials: false").count());
}
