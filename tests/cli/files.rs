//! `promote` and `init`: what they write, what they leave alone, and what they say about it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use expect_test::{Expect, expect, expect_file};
use rexpect::session::{PtySession, spawn_command};
use tempfile::TempDir;

use super::{NEW_IMAGE, Stdio, command};

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = NEW_IMAGE[1];

/// A folder with the committed examples and fixtures, to work in.
struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (from, to) in [
            ("desired-state/prod/consul.yaml", "desired-state/prod/consul.yaml"),
            ("desired-state/dev/consul.yaml", "desired-state/dev/consul.yaml"),
            ("tests/fixtures/packer-manifest.json", "packer-manifest.json"),
            ("tests/fixtures/terraform-outputs.json", "outputs.json"),
        ] {
            let to = dir.path().join(to);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(from), to).unwrap();
        }
        Self(dir)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.path().join(path)).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.0.path().join(path), text).unwrap();
    }

    /// stdout, then stderr with a mark before each line, then the exit code.
    fn told(&self, arguments: &str) -> String {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let output = command(&arguments).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let errors: String = errors.lines().map(|line| format!("! {line}\n")).collect();
        format!("{}{errors}exit {}\n", String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
    }

    fn check(&self, arguments: &str, expected: Expect) {
        expected.assert_eq(&self.told(arguments));
    }

    /// Files and folders, so that nothing is left behind unseen.
    fn listing(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.path().join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const PROD: &str = "desired-state/prod/consul.yaml";

#[test]
fn an_image_is_promoted_and_nothing_else_changes() {
    let place = Workplace::new();
    let before = place.read(PROD);
    place.check(
        &format!("promote {PROD} --image {NEW}"),
        expect![[r#"
            consul-prod: image ami-0aaaaaaaaaaaaaaaa → ami-0bbbbbbbbbbbbbbbb (desired-state/prod/consul.yaml:14)
            ! note: the file wants members of version 1.20.1; if the image has another, change it in the same commit, with --application-version
            exit 0
        "#]],
    );
    assert_eq!(place.read(PROD), before.replace(OLD, NEW));
    assert_eq!(place.listing("desired-state/prod"), ["consul.yaml"]);
    place.check(
        &format!("promote {PROD} --image {NEW}"),
        expect![[r#"
        consul-prod: the image is ami-0bbbbbbbbbbbbbbbb already (desired-state/prod/consul.yaml:14)
        exit 0
    "#]],
    );
}

#[test]
fn a_promotion_can_be_looked_at_first() {
    let place = Workplace::new();
    let before = place.read(PROD);
    place.check(
        &format!("promote desired-state --cluster consul-prod --image {NEW} --dry-run"),
        expect![[r#"
            consul-prod: image ami-0aaaaaaaaaaaaaaaa → ami-0bbbbbbbbbbbbbbbb, if it were written (desired-state/prod/consul.yaml:14)
                14 -   image: ami-0aaaaaaaaaaaaaaaa
                14 +   image: ami-0bbbbbbbbbbbbbbbb
            ! note: the file wants members of version 1.20.1; if the image has another, change it in the same commit, with --application-version
            exit 0
        "#]],
    );
    place.check(
        &format!("promote {PROD} --image {NEW} --dry-run -o json"),
        expect![[r#"
            {
              "formatVersion": "1.1",
              "cluster": "consul-prod",
              "file": "desired-state/prod/consul.yaml",
              "line": 14,
              "from": "ami-0aaaaaaaaaaaaaaaa",
              "to": "ami-0bbbbbbbbbbbbbbbb",
              "written": false
            }
            ! note: the file wants members of version 1.20.1; if the image has another, change it in the same commit, with --application-version
            exit 0
        "#]],
    );
    assert_eq!(place.read(PROD), before);
}

#[test]
fn what_packer_built_last_for_the_region_is_promoted() {
    let place = Workplace::new();
    let promote = format!("promote {PROD} --manifest packer-manifest.json");
    place.check(&promote, expect![[r#"
        ! error: packer-manifest.json cannot be used
        !   caused by: the last run has several images in us-east-1: ami-0bbbbbbbbbbbbbbbb of consul, ami-0dddddddddddddddd of consul-arm
        !  hint: choose one with --build NAME; if the builds have the same name, name the image with --image
        exit 1
    "#]]);
    place.check(
        &format!("{promote} --build consul-amr"),
        expect![[r#"
            ! error: packer-manifest.json cannot be used
            !   caused by: the last run has no build `consul-amr`
            !  hint: give --build one of consul, consul-arm
            exit 1
        "#]],
    );
    place.check(
        &format!("{promote} --build consul -o json"),
        expect![[r#"
            {
              "formatVersion": "1.1",
              "cluster": "consul-prod",
              "file": "desired-state/prod/consul.yaml",
              "line": 14,
              "from": "ami-0aaaaaaaaaaaaaaaa",
              "to": "ami-0bbbbbbbbbbbbbbbb",
              "written": true
            }
            ! note: the file wants members of version 1.20.1; if the image has another, change it in the same commit, with --application-version
            exit 0
        "#]],
    );
    assert!(place.read(PROD).contains(&format!("\n  image: {NEW}\n")));
}

#[test]
fn a_promotion_that_cannot_be_says_why_and_changes_nothing() {
    let place = Workplace::new();
    place.write("packer-manifest.json", "builds: none");
    let shared = place.read(PROD).replace("image: ami", "image: &image ami").replace("team: platform", "team: *image");
    place.write("desired-state/dev/consul.yaml", &shared.replace("consul-prod", "consul-dev"));
    place.write("broken.yaml", "kind: Cluster\n");
    let before = place.read(PROD);
    let told: String = [
        &format!("promote {PROD}"),
        &format!("promote {PROD} --image latest"),
        &format!("promote {PROD} --image {NEW} --manifest packer-manifest.json"),
        &format!("promote {PROD} --manifest packer-manifest.json"),
        &format!("promote {PROD} --manifest nowhere.json"),
        &format!("promote {PROD} --image {NEW} --cluster consul-dev"),
        &format!("promote desired-state --image {NEW}"),
        &format!("promote desired-state/dev/consul.yaml --image {NEW}"),
        &format!("promote broken.yaml --image {NEW}"),
    ]
    .map(|arguments| format!("> {arguments}\n{}\n", place.told(arguments)))
    .concat();
    expect_file!["promote-refused.txt"].assert_eq(&told);
    assert_eq!(place.read(PROD), before);
}

#[test]
fn a_manifest_is_read_from_stdin_too() {
    let place = Workplace::new();
    let manifest = place.read("packer-manifest.json");
    let output = piped(&place, &["promote", PROD, "--manifest", "-", "--build", "consul"], &manifest);
    assert!(output.contains(NEW), "{output}");
}

#[test]
fn terraform_and_packer_make_a_file_that_rolls_in_the_simulated_world() {
    let place = Workplace::new();
    let file = "desired-state/live/consul.yaml";
    place.check(
        &format!("init {file} --from-terraform outputs.json --manifest packer-manifest.json --build consul --application-version 1.20.2"),
        expect![[r#"
            wrote desired-state/live/consul.yaml: cluster consul-live, 3 slots
            !  next: hermitcrab simulate desired-state/live/consul.yaml --image ami-0cccccccccccccccc
            !        commit it; `hermitcrab run` then creates the instances and volumes
            !        mkdir -p schema && hermitcrab schema > schema/cluster.v1.json   # for editors; the file names it
            exit 0
        "#]],
    );
    expect_file!["init-terraform.yaml"].assert_eq(&place.read(file));
    place.check(
        &format!("validate {file}"),
        expect![[r#"
        ok  desired-state/live/consul.yaml  consul-live  3 slots
        exit 0
    "#]],
    );
    let plan = place.told(&format!("plan {file} --cloud simulated"));
    assert!(plan.ends_with("exit 0\n") && plan.contains("no slot to change, and something small to do"), "{plan}");
    place.write("alone.yaml", &place.read(file).replace("  capacity:\n    autoScalingGroup: consul-servers\n", ""));
    let rolled = place.told(&format!("simulate alone.yaml --image {OLD}"));
    assert!(rolled.ends_with("exit 0\n") && rolled.contains("settled after"), "{rolled}");
}

#[test]
fn flags_make_a_file_too_and_it_goes_to_stdout_if_asked() {
    let place = Workplace::new();
    let flags = format!("--name consul-one --region eu-west-1 --image {OLD} --slot one=eu-west-1a:subnet-0aaa");
    let told = place.told(&format!("init - {flags}"));
    expect_file!["init-least.yaml"].assert_eq(told.trim_end_matches("exit 0\n"));
    place.check(
        &format!("init {flags}"),
        expect![[r#"
            wrote desired-state/consul-one.yaml: cluster consul-one, 1 slot
            !  next: hermitcrab simulate desired-state/consul-one.yaml --image ami-0bbbbbbbbbbbbbbbb
            !        commit it; `hermitcrab run` then creates the instances and volumes
            !        mkdir -p schema && hermitcrab schema > schema/cluster.v1.json   # for editors; the file names it
            !  note: so few slots are created and healed, and never upgraded; declare three for that
            exit 0
        "#]],
    );
    assert_eq!(
        place.read("desired-state/consul-one.yaml").replace("../schema", "schema"),
        told.trim_end_matches("exit 0\n")
    );
    place.check(
        &format!("simulate desired-state/consul-one.yaml --image {NEW} --seeds 1..2"),
        expect![[r#"
                   2  blocked: quorum-would-be-lost
                   2  runs; 0 of them broke a safety rule, or ended as they may not
                1040  passes, 0 faults
                  0s  is the longest time that a member was down (one, seed 1)
            exit 0
        "#]],
    );
}

/// The file of each kind beside Consul's, which rolls as it was written.
#[test]
fn a_file_is_made_for_every_kind() {
    let place = Workplace::new();
    for (kind, flags, addresses) in [
        ("etcd", "--application-version 3.5.16", true),
        ("patroni", "--scope main --application-version 15.18", false),
        ("zookeeper", "--application-version 3.8.4", true),
        ("command", "--program adapters/rabbitmq --needed quorum --leader none --addresses fixed", true),
    ] {
        let slot = |number: usize, letter: char| {
            let address = if addresses { format!(":10.0.{number}.10") } else { String::new() };
            format!("--slot {kind}-{letter}=us-east-1{letter}:subnet-0{letter}{letter}{letter}{address}")
        };
        let slots = [slot(1, 'a'), slot(2, 'b'), slot(3, 'c')].join(" ");
        let file = format!("{kind}.yaml");
        let told = place.told(&format!(
            "init {file} --kind {kind} --name {kind}-new --region us-east-1 --image {OLD} {flags} {slots}"
        ));
        assert!(told.contains(&format!("wrote {file}: cluster {kind}-new, 3 slots\n")), "{told}");
        expect_file![format!("init-{kind}.yaml")].assert_eq(&place.read(&file));
        let rolled = place.told(&format!("simulate {file} --image {NEW}"));
        assert!(rolled.ends_with("exit 0\n") && rolled.contains("settled after"), "{rolled}");
    }
}

#[test]
fn flags_win_over_terraform() {
    let place = Workplace::new();
    place.write("outputs.json", &place.read("outputs.json").replace("\"consul-live\"", "12"));
    let told = place
        .told(&format!("init - --from-terraform outputs.json --image {OLD} --name other --instance-type r7i.large"));
    assert!(told.contains("  name: other\n") && told.contains("type: r7i.large\n"), "{told}");
}

#[test]
fn all_that_is_missing_or_wrong_is_said_at_once_and_by_whom() {
    let place = Workplace::new();
    let mut outputs: serde_json::Value = serde_json::from_str(&place.read("outputs.json")).unwrap();
    outputs.as_object_mut().unwrap().remove("account");
    outputs["slots"]["value"] = serde_json::json!(["consul-a"]);
    outputs["region"]["value"] = "us-east-1a".into();
    place.write("outputs.json", &outputs.to_string());
    place.write("nothing.json", "{}");
    place.write("value.json", "\"us-east-1\"");
    let told: String = [
        "init new.yaml",
        "init new.yaml --name Consul --region us-east-1a --slot a=us-east-1a:subnet-0a --slot a=us-east-1b:subnet-0b",
        "init new.yaml --slot a=us-east-1a",
        "init new.yaml --name a --manifest packer-manifest.json",
        "init new.yaml --from-terraform outputs.json --volume-size 20GB",
        "init new.yaml --from-terraform nothing.json",
        "init new.yaml --from-terraform value.json",
        "init new.yaml --from-terraform nowhere.json",
        "init new.txt",
        "init new.yaml --kind redis",
        "init new.yaml --kind etcd --name a --region us-east-1 --slot a=us-east-1a:subnet-0a --datacenter dc1",
        "init new.yaml --kind patroni --from-terraform outputs.json",
        "init new.yaml --kind command --needed most",
    ]
    .map(|arguments| format!("> {arguments}\n{}\n", place.told(arguments)))
    .concat();
    expect_file!["init-refused.txt"].assert_eq(&told);
    assert!(!place.listing(".").contains(&"new.yaml".to_owned()));
}

#[test]
fn a_file_that_exists_is_left_alone_and_so_is_a_name_that_is_taken() {
    let place = Workplace::new();
    let before = place.read(PROD);
    let flags = format!("--name consul-prod --region us-east-1 --image {OLD} --slot one=us-east-1a:subnet-0aaa");
    place.check(
        &format!("init {PROD} {flags}"),
        expect![[r#"
            ! error: desired-state/prod/consul.yaml exists already, and is never changed
            !  hint: give another file; `hermitcrab promote` writes another image into an existing file
            exit 1
        "#]],
    );
    place.check(
        &format!("init desired-state/new/consul.yaml {flags}"),
        expect![[r#"
            ! error: cluster `consul-prod` is declared in desired-state/prod/consul.yaml already
            !  hint: give another --name; nothing was written
            exit 1
        "#]],
    );
    assert_eq!(place.read(PROD), before);
    assert_eq!(place.listing("desired-state"), ["dev", "prod"]);
}

#[test]
fn outputs_are_read_from_stdin_too() {
    let place = Workplace::new();
    let outputs = place.read("outputs.json");
    let text = piped(&place, &["init", "-", "--from-terraform", "-", "--image", OLD], &outputs);
    assert!(text.contains("name: consul-live\n"), "{text}");
}

/// On a real terminal: each question is answered when it is put, and a wrong answer is asked for again at once.
#[test]
fn on_a_terminal_it_asks() {
    let place = Workplace::new();
    let mut init = command(&["init"]);
    init.current_dir(place.0.path()).env("TERM", "xterm");
    let mut terminal = spawn_command(init, Some(20_000)).unwrap();
    for (question, answer) in [
        ("Which application", "redis"),
        ("is no kind of application", ""),
        ("name of the cluster?", "Consul"),
        ("is no cluster name", "consul-asked"),
        ("AWS region", "us-east-1"),
        ("AWS account", ""),
        ("Which image", "latest"),
        ("is no image id", OLD),
        ("datacenter", ""),
        ("Consul version", "1.20.1"),
        ("instance type?", ""),
        ("instance profile?", ""),
        ("data volume?", "30GiB"),
        ("security groups?", "sg-0aa,sg-0bb"),
        ("How many slots", "1"),
        ("its name", ""),
        ("its availability zone", "us-east-2a"),
        ("is not in region", "us-east-1c"),
        ("its subnet", "subnet-0ccc"),
        ("Which file", ""),
    ] {
        answered(&mut terminal, question, answer);
    }
    terminal.exp_string("wrote desired-state/consul-asked.yaml: cluster consul-asked").unwrap();
    terminal.exp_eof().unwrap();
    expect_file!["init-asked.yaml"].assert_eq(&place.read("desired-state/consul-asked.yaml"));
    assert!(place.told("validate desired-state/consul-asked.yaml").ends_with("exit 0\n"));
}

#[test]
fn on_a_terminal_it_does_not_ask_for_what_flags_have_said() {
    let place = Workplace::new();
    let flags = format!(
        "init new.yaml --kind consul --name consul-new --account 123456789012 --image {OLD} --datacenter dc2 --application-version 1.20.1 \
         --instance-type r7i.large --instance-profile consul --volume-size 1TiB --security-group sg-0aa \
         --slot one=eu-west-1a:subnet-0aaa"
    );
    let mut init = command(&flags.split_whitespace().collect::<Vec<_>>());
    init.current_dir(place.0.path()).env("TERM", "xterm");
    let mut terminal = spawn_command(init, Some(20_000)).unwrap();
    answered(&mut terminal, "AWS region", "eu-west-1");
    terminal.exp_string("wrote new.yaml").unwrap();
    terminal.exp_eof().unwrap();
    let text = place.read("new.yaml");
    assert!(text.contains(&format!("image: {OLD}\n")) && text.contains("size: 1TiB\n"), "{text}");
}

#[test]
fn on_a_terminal_it_asks_nothing_where_no_field_is_missing() {
    let place = Workplace::new();
    let flags = format!(
        "init desired-state/new.yaml --name consul-new --region eu-west-1 --image {OLD} --application-version 1.20.1 \
         --slot one=eu-west-1a:subnet-0aaa"
    );
    let mut init = command(&flags.split_whitespace().collect::<Vec<_>>());
    init.current_dir(place.0.path()).env("TERM", "xterm");
    let mut terminal = spawn_command(init, Some(20_000)).unwrap();
    let before = terminal.exp_string("wrote desired-state/new.yaml").unwrap();
    assert!(!before.contains('?'), "{before}");
    terminal.exp_string("mkdir -p schema && hermitcrab schema > schema/cluster.v1.json").unwrap();
    terminal.exp_string("note: so few slots are created and healed, and never upgraded").unwrap();
    terminal.exp_eof().unwrap();
}

fn answered(terminal: &mut PtySession, question: &str, answer: &str) {
    terminal.exp_string(question).unwrap_or_else(|error| panic!("{question}: {error}"));
    terminal.send_line(answer).unwrap();
}

/// Runs a command with a text on stdin, and returns its stdout.
fn piped(place: &Workplace, arguments: &[&str], stdin: &str) -> String {
    let mut child = command(arguments)
        .current_dir(place.0.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
