//! Hostile desired state: whatever somebody writes, the work on it grows with its size and ends.
//!
//! Work is counted, not timed: characters, nodes and fields that the checks look at (`LoadedFile::work`), the problems
//! that are kept, and the text that is made of them.
#![allow(clippy::unwrap_used)] // a test may panic

use std::fs;

use hermitcrab::spec::load::{Loaded, load};
use hermitcrab::spec::render;
use tempfile::TempDir;

/// A kind of file that was found to take too long, in a given size.
type Hostile = fn(usize) -> String;

/// The kinds, by name.
const KINDS: [(&str, Hostile); 13] = [
    ("slots that are text", |n| with("slots", &format!("[{}]", "x,".repeat(n)))),
    ("volumes that are text", |n| with("volumes", &format!("[{}]", "x,".repeat(n)))),
    ("slots without fields", |n| with("slots", &format!("[{}]", "{},".repeat(n)))),
    ("slots of one kind in nine zones", |n| {
        let slot = |i: usize| format!("{{name: s{i}, zone: us-east-1{}, subnet: subnet-1}}", ["a", "b", "c"][i % 3]);
        with("slots", &format!("[{}]", (0..n).map(slot).collect::<Vec<_>>().join(",")))
    }),
    ("unknown keys", |n| (0..n).map(|i| format!("k{i:x}: 1\n")).collect()),
    ("one key again and again", |n| "k: 1\n".repeat(n)),
    ("keys that are no text", |n| "[]: 1\n".repeat(n)),
    ("merge keys", |n| "<<: 1\n".repeat(n)),
    ("tags of YAML", |n| format!("a: [{}]", "!x y,".repeat(n))),
    ("tags of instances", |n| {
        let tags: String = (0..n).map(|i| format!("      aws:{i}: x\n")).collect();
        good().replace("    tags:\n", &format!("    tags:\n{tags}"))
    }),
    ("one mapping under many aliases", |n| {
        let mapping: String = (0..n).map(|i| format!("u{i}: 1,")).collect();
        with("slots", &format!("[&m {{{mapping}}}{}]", ",*m".repeat(15)))
    }),
    ("windows that never open", |n| {
        let window = "{kind: deny, schedule: '* * * * *', duration: 7d},";
        good().replace(
            "    onFailure: rollback",
            &format!("    windows: [{}]\n    onFailure: rollback", window.repeat(n)),
        )
    }),
    ("one long key", |n| format!("{}: 1", "k".repeat(n))),
];

#[test]
fn work_and_output_grow_no_faster_than_a_file() {
    for (kind, hostile) in KINDS {
        for size in [100, 1_000, 10_000, 100_000] {
            let text = hostile(size);
            if text.len() > 256 * 1024 {
                continue;
            }
            let dir = folder(&[("x.yaml", &text)]);
            let loaded = load(&[dir.path().into()]);
            let file = loaded.files.values().next().unwrap();
            let (work, all) = (file.work, file.problems.len());
            println!("{kind}, {} bytes: {work} units of work", text.len());
            assert!(work <= 10 * text.len() as u64 + 10_000, "{kind}, {size}: {work} for {} bytes", text.len());
            assert!(all <= 101, "{kind}, {size}: {all} problems");
            assert!(file.spec.is_none(), "{kind}, {size}: accepted");
            for told in [render::text(&loaded, false), render::json(&loaded), render::github(&loaded)] {
                assert!(told.len() < 400_000, "{kind}, {size}: {} bytes are told of {}", told.len(), text.len());
            }
        }
    }
}

#[test]
fn a_long_line_with_many_problems_is_walked_through_once() {
    let long = format!("slots: [{}]", "{a: &a b, c: d},".repeat(900));
    let dir = folder(&[("x.yaml", &format!("spec: {{{long}}}"))]);
    let loaded = load(&[dir.path().into()]);
    let file = loaded.files.values().next().unwrap();
    assert_eq!(file.problems.len(), 101);
    assert!(file.work < 5 * file.text.len() as u64, "{} for {}", file.work, file.text.len());
    assert!(render::text(&loaded, false).len() < 60_000, "the line is repeated");
}

#[test]
fn of_many_files_with_one_name_each_names_a_few_others() {
    let dir = folder(&[]);
    for number in 0..300 {
        fs::write(dir.path().join(format!("{number:03}.yaml")), good()).unwrap();
    }
    let loaded = load(&[dir.path().into()]);
    assert_eq!(loaded.specs().count(), 0);
    let told = render::text(&loaded, false);
    assert!(told.contains("020.yaml and 279 more"), "{}", &told[..2_000]);
    assert!(told.len() < 300 * 3_000, "{}", told.len());
}

#[test]
fn what_is_over_a_limit_is_one_more_broken_file() {
    for (kind, hostile) in KINDS {
        let dir = folder(&[("bad.yaml", &hostile(5_000)), ("good.yaml", &good().replace("consul-prod", "other"))]);
        let loaded = load(&[dir.path().into()]);
        assert_eq!(names(&loaded), ["other"], "{kind}");
        assert!(loaded.has_errors(), "{kind}");
    }
}

#[test]
fn each_limit_has_a_message_of_its_own() {
    let windows = |windows: &str| {
        good().replace("    onFailure: rollback", &format!("    windows: [{windows}]\n    onFailure: rollback"))
    };
    let weekly = "{kind: deny, schedule: '0 2 * * TUE', duration: 1h},";
    for (text, message) in [
        (with("slots", &format!("[{}]", "x,".repeat(1_001))), "more than 1000 items in one list"),
        ((0..1_001).map(|i| format!("k{i}: 1\n")).collect(), "more than 1000 fields in one mapping"),
        ((0..900).map(|i| format!("k{i}: 1\n")).collect(), "there are more problems than these 100 in the file"),
        (windows(&weekly.repeat(33)), "more than 32 windows"),
        (windows(&weekly.replace("0 2", &format!("{} 2", "1,".repeat(200)))), "a schedule of more than 400 characters"),
        (good() + "# one\u{2028}another\n", "a line end that not every reader of YAML sees"),
        (good() + "# one\u{85}another\n", "a line end that not every reader of YAML sees"),
    ] {
        let dir = folder(&[("x.yaml", &text)]);
        let told = render::text(&load(&[dir.path().into()]), false);
        assert!(told.contains(&format!("error: {message}\n")), "{message}: {told}");
    }
    let dir = folder(&[("x.yaml", &windows(&weekly.repeat(32)))]);
    assert_eq!(names(&load(&[dir.path().into()])), ["consul-prod"]);
}

#[test]
fn a_person_who_writes_never_as_a_denial_without_end_is_told() {
    let windows =
        "    windows:\n      - { kind: deny, schedule: \"0 * * * *\", duration: 7d }\n    onFailure: rollback";
    let dir = folder(&[("x.yaml", &good().replace("    onFailure: rollback", windows))]);
    let told = render::text(&load(&[dir.path().into()]), false);
    assert!(told.contains("no change could ever begin in these windows"), "{told}");
}

#[cfg(unix)]
#[test]
fn content_behind_a_link_out_of_the_folder_is_never_shown() {
    use std::os::unix::fs::symlink;
    let secret = "f3b6b1f2-1111-2222-3333-444455556666";
    let dir = folder(&[("token", secret), ("named/prod/good.yaml", &good())]);
    let named = dir.path().join("named");
    symlink("../../token", named.join("prod/link.yaml")).unwrap();
    symlink("/proc/self/environ", named.join("environ.yaml")).unwrap();
    symlink("../..", named.join("prod/folder")).unwrap();
    let user_data =
        good().replace("consul-prod", "other").replace("    type:", "    userDataFile: ../../token\n    type:");
    fs::write(named.join("prod/user-data.yaml"), user_data).unwrap();
    for path in [named.clone(), named.join("prod/link.yaml")] {
        let loaded = load(&[path]);
        assert!(loaded.has_errors());
        for told in [render::text(&loaded, false), render::json(&loaded), render::github(&loaded)] {
            assert!(told.contains("leads out of"), "{told}");
            assert!(!told.contains("f3b6b1f2") && !told.contains("PATH="), "{told}");
        }
    }
    assert_eq!(names(&load(&[named])), ["consul-prod"]);
}

#[test]
fn names_of_files_and_folders_steer_nothing() {
    let evil = "\u{1b}]0;PWNED\u{7}\u{202e}\n::error::x\u{9b}31m";
    let dir = folder(&[(&format!("{evil}/{evil}.yaml"), "a: 1\u{9b}\n"), (&format!("{evil}.yaml/x"), "")]);
    let loaded = load(&[dir.path().into()]);
    for told in [render::text(&loaded, false), render::json(&loaded), render::github(&loaded)] {
        assert!(told.contains("PWNED"), "{told}");
        assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']), "{told:?}");
        assert!(!told.contains("\n::error::x"), "{told:?}");
    }
}

/// A file without any problem.
fn good() -> String {
    fs::read_to_string("desired-state/prod/consul.yaml").unwrap()
}

/// A good file in which a field of `spec` has another value.
fn with(field: &str, value: &str) -> String {
    let begin = format!("\n  {field}:\n");
    let text = good();
    let (before, rest) = text.split_once(&begin).unwrap();
    let end = rest.find("\n  #").or(rest.find("\n\n")).unwrap();
    format!("{before}\n  {field}: {value}{}", &rest[end..])
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.specs().map(|(_, spec)| &*spec.name).collect()
}
