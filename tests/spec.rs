//! The problems of desired-state files as a person sees them: each case is a file `tests/spec/<case>.yaml` and, beside it, what
//! `validate` says of it. `UPDATE_EXPECT=1` writes the second; a new case needs nothing but the first.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::{expect, expect_file};
use hermitcrab::spec::load::{Loaded, Severity, load};
use hermitcrab::spec::{raw, render};

#[path = "spec/folders.rs"]
mod folders;

const CASES: &str = "tests/spec";

/// A part of every message that there is, with one for each of its variants. Each must appear in some case.
const MESSAGES: &[&str] = &[
    // The file and its syntax.
    "there is nothing in the file",
    "more than one document",
    "not valid YAML",
    "YAML allows no tabs",
    "is given twice",
    "tags are not read",
    "merge keys are not read",
    "more than 16 aliases",
    "an alias of what it is part of",
    "needs an anchor",
    "too deeply nested",
    "a key must be text",
    // The shape.
    "unknown field `imgae`",
    "did you mean `image`?",
    "belongs in `rollout`",
    "its fields are",
    "missing field",
    "no kind in `application`",
    "unknown apiVersion",
    "unknown kind `cluster`",
    "unknown strategy",
    "is no boolean in YAML 1.2",
    "is a boolean to some readers",
    "should be a mapping",
    "should be a list",
    "should be an integer",
    "should be `true` or `false`",
    "its leading zeros are lost",
    "but is a number `1.20`",
    "but is empty\n",
    // Names and ids.
    "is no cluster name",
    "is no slot name",
    "is no volume name",
    "is a zone; its region is",
    "is no region",
    "is no account id",
    "is another image tomorrow",
    "ids are written in lower case",
    "a parameter's value can change unseen",
    "an id has 17, an old one 8",
    "give a literal id",
    "is no port",
    "leave out the `v`",
    "give it as members report it",
    "is no version of PostgreSQL",
    "is no scope of Patroni's",
    "is no Consul datacenter",
    "is no domain",
    "the token would be sent over plain HTTP",
    "the password would be sent over plain HTTP",
    "`username` is of no use without `passwordFile`",
    "`caFile` is of no use without the AdminServer",
    "these slots need fixed addresses",
    "this cluster cannot be rehearsed",
    "etcd advises against more than seven",
    "which hermitcrab leaves alone, serve more clients",
    "missing field `rules` in `command`",
    "a second kind in `lagLimit`, after `age`",
    "is no path of a program",
    "`the password` is no name of a file",
    "is no number of entries or bytes",
    "`60s` is out of bounds for `timeout`",
    "unknown needed `majority`",
    "`tokenInClear` allows nothing here",
    "is no instance type",
    "an ARN where a name belongs",
    "is no security group id",
    "is no subnet id",
    "kept for AWS",
    "kept for the controller",
    "the tag is too long",
    "is no name of a tag",
    "cannot be shown in instance metadata",
    "more than 30 tags",
    "cannot read the user data",
    "larger than 16 KiB",
    "the user data is not UTF-8",
    "the user data is empty",
    "the user data is base64 already",
    "the user data has a NUL",
    "cloud-init makes nothing of this user data",
    "in line 2 of the user data",
    "an empty path",
    "a path of more than 4095 bytes",
    "is no name of an instance profile",
    "is no name of a key pair",
    "17 security groups",
    "U+200B cannot be seen",
    "U+202E turns the direction of writing",
    "U+00A0 looks like a space",
    "U+001B is a control character",
    "begins or ends with a space",
    "kept for the controller",
    // Volumes.
    "no volumes",
    "two volumes with the name",
    "two volumes with the device",
    "is no device name",
    "EBS counts in binary units",
    "give the unit: `20GiB`",
    "a whole number and a unit",
    "a volume has 1GiB to 64TiB",
    "too small for st1",
    "too large for standard",
    "too large for gp2",
    "has not always been offered",
    "so much `iops`",
    "so much `throughput`",
    "is no number of IOPS",
    "is no throughput",
    "takes no `iops`",
    "without `iops`",
    "has no such `iops`",
    "too many `iops` for 4GiB of io1",
    "takes no `throughput`",
    "has no such `throughput`",
    "for so few `iops`",
    "a key for a volume that is not encrypted",
    "may be another key tomorrow",
    "is a key of another region",
    "is no KMS key",
    "is the device `/dev/xvdj`",
    "other device names are recommended",
    // Slots.
    "no slots",
    "10 slots",
    "slots tolerate no more failures than",
    "two slots with the name",
    "have one name to their members",
    "is no name of a cluster or a slot",
    "cannot lie in two zones",
    "losing this zone would cost the quorum",
    "is not in region",
    "is no private IPv4 address",
    "give the address alone",
    "is one of the first four addresses of",
    "is the last address of",
    "is not in `10.0.4.0/24`",
    "is no CIDR block of a subnet",
    "two slots with the address",
    "has no `address`, and others have one",
    "a slot of an adopted Auto Scaling group has no fixed address",
    // The rollout.
    "`bakeTime` is zero",
    "`joinDeadline` is zero",
    "`duration` is zero",
    "is shorter than `bakeTime`",
    "is no duration",
    "give the unit: `60s`",
    "`approved` without `approval`",
    "seven days at most",
    "unknown time zone",
    "a schedule has five fields",
    "not a cron schedule",
    "this schedule never fires",
    "no change could ever begin",
    "on each day that either field of days names",
    "write `0 2 * * 6#1`",
    "again and again within the hour",
];

#[test]
fn every_case_is_told_as_expected() {
    for case in cases() {
        let told = match render::text(&load(std::slice::from_ref(&case)), false) {
            told if told.is_empty() => "no problems\n".to_owned(),
            told => told,
        };
        expect_file![Path::new(env!("CARGO_MANIFEST_DIR")).join(case.with_extension("txt"))].assert_eq(&told);
    }
}

#[test]
fn every_problem_has_a_next_step_and_a_plain_style() {
    for problem in load(&cases()).problems() {
        let message = &problem.message;
        assert!(problem.hint.is_some(), "{message}");
        assert!(!message.ends_with('.') && !message.starts_with(|c: char| c.is_uppercase()), "{message}");
    }
}

#[test]
fn every_message_appears_in_some_case() {
    let told: String = cases().iter().map(|case| fs::read_to_string(case.with_extension("txt")).unwrap()).collect();
    let missing: Vec<_> = MESSAGES.iter().filter(|message| !told.contains(**message)).collect();
    assert!(missing.is_empty(), "in no case: {missing:#?}");
}

#[test]
fn no_expected_text_is_without_its_case() {
    let stems = |extension| -> BTreeSet<_> {
        let files = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().unwrap() == extension).map(|path| path.with_extension("")).collect()
    };
    assert_eq!(stems("txt"), stems("yaml"));
}

#[test]
fn a_file_has_a_spec_exactly_if_it_has_no_error() {
    for file in load(&cases()).files.values() {
        let broken = file.problems.iter().any(|problem| problem.severity == Severity::Error);
        assert_eq!(file.spec.is_none(), broken, "{}", file.path.display());
    }
}

#[test]
fn two_clusters_that_adopt_one_group_are_both_refused() {
    let dir = tempfile::tempdir().unwrap();
    let grouped = fs::read_to_string("tests/fixtures/consul-group.yaml").unwrap();
    put(&dir, "one.yaml", grouped.clone());
    put(&dir, "two.yaml", grouped.replace("consul-grouped", "consul-other"));
    put(&dir, "west.yaml", grouped.replace("consul-grouped", "consul-west").replace("us-east-1", "us-west-2"));
    let loaded = load(&[dir.path().into()]);
    assert_eq!(names(&loaded), ["consul-west"]);
    let refused = loaded.problems().filter(|problem| problem.message.contains("adopted more than once"));
    assert_eq!(refused.count(), 2);
}

#[test]
fn two_clusters_with_one_address_in_a_subnet_are_both_refused() {
    let dir = tempfile::tempdir().unwrap();
    let with_addresses = fs::read_to_string("tests/fixtures/consul-addresses.yaml").unwrap();
    put(&dir, "one.yaml", with_addresses.clone());
    put(&dir, "two.yaml", with_addresses.replace("consul-addresses", "consul-other").replace("10.0.3.", "10.0.4."));
    put(&dir, "there.yaml", with_addresses.replace("consul-addresses", "consul-there").replace("subnet-0", "subnet-1"));
    let loaded = load(&[dir.path().into()]);
    assert_eq!(names(&loaded), ["consul-there"]);
    let refused =
        loaded.problems().filter(|problem| problem.message.contains("is declared more than once in subnet-0"));
    assert_eq!(refused.count(), 4, "two addresses in two files");
}

#[test]
fn a_cluster_stands_only_on_others_that_are_declared_and_not_in_a_circle() {
    let dir = tempfile::tempdir().unwrap();
    let on = |name: &str, depends_on: &str| {
        good().replace("consul-prod", name).replace("\nspec:\n", &format!("\nspec:\n  dependsOn: [{depends_on}]\n"))
    };
    put(&dir, "a.yaml", on("alone", "\"above\", alone"));
    put(&dir, "b.yaml", on("below", "above"));
    put(&dir, "c.yaml", on("above", "good, below"));
    put(&dir, "d.yaml", on("lost", "goood"));
    put(&dir, "e.yaml", on("last", "above"));
    put(&dir, "f.yaml", good().replace("consul-prod", "good"));
    put(&dir, "g.yaml", on("upon", "nowhere-at-all"));
    let loaded = load(&[dir.path().into()]);
    assert_eq!(names(&loaded), ["last", "good"]);
    expect![[r#"
        error: clusters stand on each other in a circle: alone → alone → …
          --> DIR/a.yaml:10:24
           |
        10 |   dependsOn: ["above", alone]
           |                        ^^^^^
           |
           = hint: remove one of the names: a cluster cannot wait for one that waits for it

        error: clusters stand on each other in a circle: below → above → …
          --> DIR/b.yaml:10:15
           |
        10 |   dependsOn: [above]
           |               ^^^^^
           |
           = hint: remove one of the names: a cluster cannot wait for one that waits for it

        error: clusters stand on each other in a circle: above → below → …
          --> DIR/c.yaml:10:21
           |
        10 |   dependsOn: [good, below]
           |                     ^^^^^
           |
           = hint: remove one of the names: a cluster cannot wait for one that waits for it

        error: this cluster stands on `goood`, which no file declares
          --> DIR/d.yaml:10:15
           |
        10 |   dependsOn: [goood]
           |               ^^^^^
           |
           = hint: did you mean `good`?

        error: this cluster stands on `nowhere-at-all`, which no file declares
          --> DIR/g.yaml:10:15
           |
        10 |   dependsOn: [nowhere-at-all]
           |               ^^^^^^^^^^^^^^
           |
           = hint: declare that cluster in the same folder, or remove the name

    "#]]
    .assert_eq(&render::text(&loaded, false).replace(&dir.path().display().to_string(), "DIR"));
    let alone = load(&[dir.path().join("d.yaml")]);
    assert_eq!((names(&alone), brief(&alone, dir.path()).lines().count()), (vec!["lost"], 1), "said, and used");
}

#[test]
fn two_files_with_one_name_are_both_refused_and_others_are_used() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "a/one.yaml", good());
    put(&dir, "b/two.yaml", good());
    put(&dir, "b/three.yaml", good().replace("consul-prod", "consul-other"));
    let loaded = load(&[dir.path().into()]);
    assert_eq!(names(&loaded), ["consul-other"]);
    expect![[r#"
        DIR/a/one.yaml:8 cluster `consul-prod` is declared more than once (also declared in DIR/b/two.yaml)
        DIR/b/two.yaml:8 cluster `consul-prod` is declared more than once (also declared in DIR/a/one.yaml)
    "#]]
    .assert_eq(&brief(&loaded, dir.path()));
}

#[test]
fn a_broken_file_still_says_which_cluster_it_means_and_keeps_nothing_from_being_read() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "broken.yaml", good().replace("image: ami-", "image: [ami-"));
    put(&dir, "good.yaml", good().replace("consul-prod", "consul-other"));
    let loaded = load(&[dir.path().into()]);
    assert_eq!(names(&loaded), ["consul-other"]);
    assert_eq!(loaded.files[&dir.path().join("broken.yaml")].name.as_deref(), Some("consul-prod"));
}

#[test]
fn what_is_no_text_is_refused_without_a_look_inside() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "a-latin.yaml", b"apiVersion: hermitcrab/v1\nkind: Cl\xfcster\n");
    put(&dir, "b-bom.yaml", format!("\u{feff}{}", good()));
    put(&dir, "c-large.yaml", "#".repeat(256 * 1024 + 1));
    expect![[r#"
        DIR/a-latin.yaml:2 the file is not UTF-8 (byte 34 is 0xfc)
        DIR/b-bom.yaml:1 the file begins with a byte order mark
        DIR/c-large.yaml the file is larger than 256 KiB
    "#]]
    .assert_eq(&brief(&load(&[dir.path().into()]), dir.path()));
}

#[test]
fn an_alias_bomb_is_small() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..=9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "bomb.yaml", bomb);
    assert!(brief(&load(&[dir.path().into()]), dir.path()).contains("bomb.yaml:3 more than 16 aliases in one file"));
}

#[test]
fn the_environment_is_the_folder_that_the_file_lies_in_however_its_path_is_spelt() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "prod/consul.yaml", good());
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
    fs::create_dir(dir.path().join("links")).unwrap();
    link("../prod", "links/live");
    link("../prod/consul.yaml", "links/consul.yaml");
    let environment = |path: PathBuf| load(&[path]).specs().next().unwrap().1.environment.clone();
    for spelt in
        ["prod", "prod/", "prod/.", "./prod/../prod", "prod/consul.yaml", "links/live", "links/live/consul.yaml"]
    {
        assert_eq!(environment(dir.path().join(spelt)), "prod", "{spelt}");
    }
    assert_eq!(environment(dir.path().join("links/consul.yaml")), "prod");
    fs::remove_dir_all(dir.path().join("links")).unwrap();
    assert_eq!(environment(dir.path().into()), "prod");
}

#[test]
fn the_environment_of_a_flat_config_map_is_where_it_is_mounted() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "config/..2026_01_05/consul.yaml", good());
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
    link("..2026_01_05", "config/..data");
    link("..data/consul.yaml", "config/consul.yaml");
    for spelt in ["config", "config/consul.yaml", "config/..data/consul.yaml"] {
        let loaded = load(&[dir.path().join(spelt)]);
        assert_eq!(loaded.specs().next().unwrap().1.environment, "config", "{spelt}");
    }
}

#[test]
fn the_digest_covers_the_user_data() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "consul.yaml", good().replace("    type: m7i.large", "    type: m7i.large\n    userDataFile: init.sh"));
    let digest = |user_data: &str| {
        put(&dir, "init.sh", user_data);
        let file = load(&[dir.path().into()]).files.into_values().next().unwrap();
        assert_eq!(file.spec.unwrap().instance.user_data.as_deref(), Some(user_data));
        file.digest
    };
    assert_ne!(digest("#!/bin/sh\n"), digest("#!/bin/sh\nexit 0\n"));
}

#[test]
fn user_data_means_the_same_whatever_its_line_ends_are() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "consul.yaml", good().replace("    type: m7i.large", "    type: m7i.large\n    userDataFile: init.sh"));
    let generation = |user_data: &str| {
        put(&dir, "init.sh", user_data);
        let file = load(&[dir.path().into()]).files.into_values().next().unwrap();
        assert!(file.problems.is_empty(), "{:?}", file.problems);
        (file.spec.unwrap().generation(), file.digest)
    };
    let unix = generation("#!/bin/sh\necho a\n\nexit 0\n");
    assert_eq!(generation("#!/bin/sh\r\necho a\r\n\r\nexit 0\r\n"), unix);
    assert_eq!(generation("\u{feff}#!/bin/sh\r\necho a\n\r\nexit 0\n"), unix);
    assert_eq!(generation("#!/bin/sh\recho a\r\rexit 0\r"), unix);
    assert_ne!(generation("#!/bin/sh\necho a\nexit 0\n"), unix);
}

#[test]
fn what_is_left_out_has_a_default_and_paths_begin_beside_the_file() {
    let loaded = load(&["desired-state".into()]);
    let specs: Vec<_> = loaded.specs().map(|(_, spec)| spec).collect();
    expect_file![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec-meant.json")]
        .assert_eq(&(serde_json::to_string_pretty(&specs).unwrap() + "\n"));

    // Where these lie is no part of what a plan is identified by, so they are not written above.
    let staging = specs.iter().find(|spec| *spec.name == *"consul-staging").unwrap();
    let consul = staging.application.consul().unwrap();
    assert_eq!(consul.http.ca_file.as_deref(), Some("desired-state/staging/secrets/ca.pem"));
    assert_eq!(consul.token_file.as_deref(), Some("desired-state/staging/secrets/token"));
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    expect_file![Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/cluster.v1.json")]
        .assert_eq(&format!("{:#}\n", raw::schema()));
}

#[test]
fn every_example_is_good_by_our_own_eyes_and_by_its_schema() {
    let validator = jsonschema::draft7::new(&raw::schema()).unwrap();
    let loaded = load(&["desired-state".into(), "tests/fixtures".into()]);
    assert_eq!(render::text(&loaded, false), "");
    assert!(loaded.files.len() >= 7);
    for file in loaded.files.values() {
        assert!(file.text.starts_with("# yaml-language-server: $schema=../../schema/cluster.v1.json\n"));
        let value: serde_json::Value = serde_saphyr::from_str(&file.text).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.path.display());
    }
}

#[test]
fn programs_and_github_are_told_the_same() {
    let loaded = load(&["tests/spec/image-latest.yaml".into()]);
    expect_file![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec-image-latest.json")]
        .assert_eq(&render::json(&loaded));
    expect![[r#"
        ::error file=tests/spec/image-latest.yaml,line=7,endLine=7,col=10,endColumn=20::`ami-latest` is no image id%0Ahint: `latest` is another image tomorrow; give a literal id, `ami-` and 17 hexadecimal digits: what is committed is what runs
    "#]]
    .assert_eq(&render::github(&loaded));
}

#[test]
fn a_file_cannot_steer_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "consul.yaml", good().replace("ami-0aaaaaaaaaaaaaaaa", r#""\e[31m\n::error::x""#));
    let loaded = load(&[dir.path().into()]);
    let all = render::text(&loaded, false) + &render::github(&loaded);
    assert!(!all.contains('\u{1b}') && !all.contains("\n::error::x"), "{all}");
}

#[test]
fn validate_lists_good_files_on_stdout_and_fails_where_one_is_broken() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_hermitcrab")).arg("validate").args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, stdout, stderr) = run(&[]);
    assert_eq!((code, &*stderr), (0, ""));
    expect![[r#"
        ok  desired-state/dev/consul.yaml        consul-dev        1 slot; too few to be upgraded, because none can be done without
        ok  desired-state/prod/consul.yaml       consul-prod       3 slots
        ok  desired-state/prod/etcd.yaml         etcd-prod         3 slots
        ok  desired-state/prod/postgresql.yaml   postgresql-prod   3 slots
        ok  desired-state/prod/zookeeper.yaml    zookeeper-prod    3 slots
        ok  desired-state/staging/consul.yaml    consul-staging    5 slots
        ok  desired-state/staging/rabbitmq.yaml  rabbitmq-staging  3 slots
    "#]]
    .assert_eq(&stdout);
    let (code, stdout, stderr) = run(&["tests/spec/good.yaml", "tests/spec/image-latest.yaml"]);
    assert_eq!((code, stdout.lines().count()), (1, 0), "both declare one cluster: {stdout}");
    assert!(stderr.ends_with("2 of 2 files cannot be used\n"), "{stderr}");
    let (code, stdout, stderr) = run(&["tests/spec/image-latest.yaml", "-o", "json"]);
    assert_eq!((code, &*stderr), (1, ""));
    assert!(stdout.contains("\"valid\": false"), "{stdout}");
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    cases
}

/// A file without any problem.
fn good() -> String {
    fs::read_to_string("desired-state/prod/consul.yaml").unwrap()
}

fn put(dir: &tempfile::TempDir, path: &str, content: impl AsRef<[u8]>) {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.specs().map(|(_, spec)| &*spec.name).collect()
}

/// Every problem in a line, without the folder's random name.
fn brief(loaded: &Loaded, dir: &Path) -> String {
    let line = |problem: &hermitcrab::spec::load::Problem| {
        let place = problem.place.as_ref().map_or(String::new(), |place| format!(":{}", place.line));
        let label = problem.label.as_ref().map_or(String::new(), |label| format!(" ({label})"));
        format!("{}{place} {}{label}\n", problem.path.display(), problem.message)
    };
    loaded.problems().map(line).collect::<String>().replace(&dir.display().to_string(), "DIR")
}
