//! Notifications, from the daemon's side to the receiver's: what is told, once, and to whom it makes no difference.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::expect_file;
use hermitcrab::input::secret::Secret;
use hermitcrab::notifications::file::schema;
use serde_json::{Value, json};
use tempfile::TempDir;

mod mail;
mod relay;
mod stub;

use stub::{Mood, Stub, Told};

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
const BAD: &str = "ami-0bad0bad0bad0bad0";
const FILE: &str = "desired-state/prod/consul.yaml";
const SECRET: &str = "5ecret-0000-1111";

/// Desired state, a saved world, the state of a daemon and its receivers, in a folder of their own.
struct Place(TempDir);

impl Place {
    fn new(receivers: &[String]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.path("desired-state/prod")).unwrap();
        fs::copy(FILE, place.path(FILE)).unwrap();
        fs::write(place.path("secret"), SECRET).unwrap();
        let text = format!(
            "apiVersion: hermitcrab/v1\nkind: Notifications\npage: https://crab.example\nreceivers:\n{}",
            receivers.concat()
        );
        fs::write(place.path("told.yaml"), text).unwrap();
        // The cluster as it settled before anybody was told.
        let first = place.command(&["run", "--once", "--world", "world.json", "--speed", "2000"]).output().unwrap();
        assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.current_dir(self.0.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(FILE)).unwrap();
        assert!(text.contains(from));
        fs::write(self.path("new"), text.replace(from, to)).unwrap();
        fs::rename(self.path("new"), self.path(FILE)).unwrap();
    }

    fn daemon(&self, more: &[&str]) -> Command {
        let run = ["run", "--world", "world.json", "--speed", "2000", "--state", "state", "--notify", "told.yaml"];
        self.command(&[&run[..], &["--bad-image", BAD, "--log-format", "json"], more].concat())
    }

    /// Brings the cluster to what its file says, or as far as it gets.
    fn once(&self) -> Option<i32> {
        let output = self.daemon(&["--once"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("5ecret"), "{output:?}");
        output.status.code()
    }

    fn test(&self, more: &[&str]) -> Output {
        self.command(&[&["notify", "test", "told.yaml"], more].concat()).output().unwrap()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(self.0.path())
            .args(["-c", "user.name=A", "-c", "user.email=a@b.example"])
            .args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn webhook(name: &str, address: SocketAddr) -> String {
    format!("  - name: {name}\n    webhook: {{url: 'http://{address}/hook?x=1', secretFile: secret}}\n")
}

fn news(told: &[Told]) -> Vec<String> {
    told.iter().map(Told::news).collect()
}

#[test]
fn a_rollout_is_told_when_it_begins_and_when_it_ends_signed_and_once() {
    let stub = Stub::start(Mood::Says(204));
    let place = Place::new(&[webhook("hook", stub.address)]);
    place.edit(OLD, NEW);
    assert_eq!(place.once(), Some(0));
    let told = stub.all();
    assert_eq!(news(&told), ["rollout-began consul-prod", "settled consul-prod"]);
    for told in &told {
        assert_eq!(told.line, "POST /hook?x=1");
        assert_eq!(told.header("content-type").unwrap(), "application/cloudevents+json; charset=utf-8");
        let signature = told.header("hermitcrab-signature").unwrap();
        let (at, signature) = signature.strip_prefix("t=").unwrap().split_once(",sha256=").unwrap();
        assert_eq!(Secret::new(SECRET).signature(format!("{at}.{}", told.body).as_bytes()), signature);
        let event = told.json();
        assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("https://crab.example")));
        assert_eq!(event["data"]["environment"], "prod");
        assert_eq!(event["data"]["image"], NEW);
        assert_eq!(event["data"]["page"], "https://crab.example/clusters/consul-prod");
    }
    assert_ne!(told[0].json()["id"], told[1].json()["id"]);
    let title = format!("a rollout of consul-prod has begun: {OLD} → {NEW}");
    assert_eq!(told[0].json()["data"]["title"], title.as_str());
    assert_eq!(place.once(), Some(0));
    assert_eq!(stub.news(), [""; 0], "a daemon that starts anew tells nothing twice");
}

#[test]
fn a_receiver_that_is_away_is_told_after_the_next_start_in_order_and_once() {
    let address = Stub::nowhere();
    let place = Place::new(&[webhook("hook", address)]);
    place.edit(OLD, NEW);
    assert_eq!(place.once(), Some(0), "nobody waits for a receiver");
    let stub = Stub::at(address, Mood::Says(200));
    // On a busy machine a daemon that has nothing to do ends before the second is due again.
    let mut told = Vec::new();
    for _ in 0..10 {
        assert_eq!(place.once(), Some(0));
        told.extend(stub.news());
        if told.len() == 2 {
            break;
        }
    }
    assert_eq!(told, ["rollout-began consul-prod", "settled consul-prod"]);
    assert_eq!(place.once(), Some(0));
    assert_eq!(stub.news(), [""; 0]);
}

#[test]
fn receivers_that_hang_fail_or_send_elsewhere_delay_neither_passes_nor_each_other() {
    let elsewhere = Stub::start(Mood::Says(200));
    let sends = Stub::start(Mood::Sends(format!("http://{}/", elsewhere.address)));
    let (hangs, fails, good) = (Stub::start(Mood::Hangs), Stub::start(Mood::Says(500)), Stub::start(Mood::Says(200)));
    let stubs = [("hangs", &hangs), ("sends", &sends), ("fails", &fails), ("good", &good)];
    let place = Place::new(&stubs.map(|(name, stub)| webhook(name, stub.address)));
    let listen = format!("unix:{}", place.path("face.sock").to_str().unwrap());
    let mut daemon = place.daemon(&["--listen", &listen]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(daemon.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut until = |message: &str, is_it: &dyn Fn(&Value) -> bool| {
        let line = log.by_ref().find(|line| serde_json::from_str(line).is_ok_and(|line| is_it(&line)));
        line.unwrap_or_else(|| panic!("no line says {message}"))
    };
    until("settled", &|line| line["message"] == "settled");
    place.edit(OLD, NEW);
    assert_eq!(good.next("the beginning").news(), "rollout-began consul-prod");
    assert_eq!(hangs.next("the beginning").news(), "rollout-began consul-prod");
    assert_eq!(good.next("the end, while another hangs").news(), "settled consul-prod");
    assert_eq!(hangs.next("another try").news(), "rollout-began consul-prod");
    assert_eq!(fails.next("a try").news(), "rollout-began consul-prod");
    assert_eq!(fails.next("another try").news(), "rollout-began consul-prod");
    fails.becomes(Mood::Says(200));
    let back: Vec<_> = std::iter::repeat_with(|| fails.next("what is left").news())
        .skip_while(|news| news == "rollout-began consul-prod")
        .take(1)
        .collect();
    assert_eq!(back, ["settled consul-prod"]);
    // A redirect is refused for good, so what follows is told at once.
    assert_eq!(sends.next("the beginning").news(), "rollout-began consul-prod");
    assert_eq!(sends.next("the end").news(), "settled consul-prod");
    assert_eq!(elsewhere.news(), [""; 0], "no redirect is followed");
    let metrics = metrics(&place);
    for line in [
        "{sink=\"good\",outcome=\"delivered\"} 2",
        "{sink=\"sends\",outcome=\"dropped\"} 2",
        "{sink=\"hangs\",outcome=\"delivered\"} 0",
    ] {
        assert!(metrics.contains(&format!("hermitcrab_notifications_total{line}")), "{line}: {metrics}");
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

fn metrics(place: &Place) -> String {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(place.path("face.sock")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_needs_a_person_is_told_with_its_reason() {
    let stub = Stub::start(Mood::Says(200));
    let place = Place::new(&[webhook("hook", stub.address)]);
    place.edit(OLD, BAD);
    assert_eq!(place.once(), Some(3));
    let told = stub.all();
    assert_eq!(news(&told), ["rollout-began consul-prod", "taken-back consul-prod"]);
    let title = told[1].json()["data"]["title"].as_str().unwrap().to_owned();
    assert_eq!(title, format!("consul-prod was taken back: {BAD} failed, and what ran before serves again"));
    assert_eq!(place.once(), Some(3));
    assert_eq!(stub.news(), [""; 0]);

    place.edit(BAD, NEW);
    place.edit("\nspec:\n", "\nspec:\n  suspend: true\n");
    assert_eq!(place.once(), Some(5));
    assert_eq!(stub.news(), ["needs-person consul-prod"]);
    place.edit("  suspend: true\n", "");
    place.edit("onFailure: rollback", "onFailure: rollback\n    approval: canary");
    assert_eq!(place.once(), Some(5));
    let told = stub.all();
    assert_eq!(news(&told), ["rollout-began consul-prod", "approval-awaited consul-prod"]);
    let detail = told[1].json()["data"]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("is not approved"), "{detail}");

    let good = fs::read_to_string(place.path(FILE)).unwrap();
    fs::write(place.path(FILE), good.replace(NEW, "latest")).unwrap();
    assert_eq!(place.once(), Some(1));
    let told = stub.all();
    assert_eq!(news(&told), ["file-broken consul-prod"]);
    assert_eq!(place.once(), Some(1));
    assert_eq!(stub.news(), [""; 0]);
}

#[test]
fn a_commit_has_a_status_for_its_cluster_while_the_file_is_as_committed() {
    let stub = Stub::start(Mood::Says(201));
    let (api, only) = (format!("api: 'http://{}/v3/'", stub.address), "on: [rollout-began, settled]");
    let github = format!("{{repository: o/r, tokenFile: secret, {api}}}");
    let place = Place::new(&[format!("  - name: status\n    {only}\n    github: {github}\n")]);
    place.git(&["init", "--quiet"]);
    place.git(&["add", "desired-state"]);
    place.git(&["commit", "--quiet", "-m", "first"]);
    place.edit(OLD, NEW);
    place.git(&["commit", "--quiet", "-am", "another image"]);
    let commit = place.git(&["rev-parse", "HEAD"]);
    place.git(&["commit", "--quiet", "--allow-empty", "-m", "of another file"]);
    assert_eq!(place.once(), Some(0));
    let told = stub.all();
    let states: Vec<_> = told.iter().map(|told| told.json()["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["pending", "success"]);
    for told in &told {
        assert_eq!(told.line, format!("POST /v3/repos/o/r/statuses/{commit}"));
        assert_eq!(told.header("authorization").unwrap(), format!("Bearer {SECRET}"));
        assert_eq!(told.json()["context"], "hermitcrab/prod/consul-prod");
        assert_eq!(told.json()["target_url"], "https://crab.example/clusters/consul-prod");
    }
    place.edit(NEW, OLD);
    assert_eq!(place.once(), Some(0));
    assert_eq!(stub.all().len(), 0, "a change that nobody has committed has no status");
}

#[test]
fn a_test_message_is_sent_to_each_and_no_secret_is_shown() {
    let (good, bad) = (Stub::start(Mood::Says(200)), Stub::start(Mood::Tells(403, format!("no: {SECRET}"))));
    let nobody = Stub::nowhere();
    let place = Place::new(&[
        "  - name: chat\n    slack: {urlFile: address}\n".to_owned(),
        webhook("nobody", nobody),
        format!("  - name: status\n    gitlab: {{project: a/b, tokenFile: secret, api: 'http://{}'}}\n", bad.address),
    ]);
    fs::write(place.path("address"), format!("http://{}/services/{SECRET}\n", good.address)).unwrap();
    let output = place.test(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "✓ chat    a test message was accepted");
    assert!(lines[1].starts_with("✗ nobody  127.0.0.1 does not answer"), "{said}");
    assert_eq!(lines[2], "✗ status  127.0.0.1 answers 403: no: [secret]");
    assert_eq!(lines.len(), 3);
    let told = good.next("a message");
    assert_eq!(told.line, format!("POST /services/{SECRET}"));
    assert!(told.json()["text"].as_str().unwrap().starts_with("*a test message of hermitcrab*"), "{told:?}");
    assert_eq!(bad.next("a look").line, "GET /projects/a%2Fb");
    let found: Value = serde_json::from_slice(&place.test(&["-o", "json"]).stdout).unwrap();
    assert_eq!(found["receivers"][0], json!({"name": "chat", "told": true, "found": "a test message was accepted"}));

    // An address that is none is a secret all the same, and one in the clear would show it to the network.
    for (address, says) in
        [(SECRET, "holds no address"), ("http://hooks.example/5ecret", "holds no address with https://")]
    {
        fs::write(place.path("address"), address).unwrap();
        let output = place.test(&[]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains(says) && !said.contains("5ecret"), "{said}");
    }
}

#[test]
fn the_committed_schema_describes_the_file_and_the_example_of_the_document() {
    expect_file!["../../schema/notifications.v1.json"].assert_eq(&format!("{:#}\n", schema()));
    let document = fs::read_to_string("docs/notifications.md").unwrap();
    let (_, rest) = document.split_once("```yaml\n").unwrap();
    let example = rest.split_once("```").unwrap().0;
    let value: Value = serde_saphyr::from_str(example).unwrap();
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let faults: Vec<_> = validator.iter_errors(&value).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, [""; 0]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("example.yaml"), example).unwrap();
    let read = hermitcrab::notifications::file::read(Path::new(&folder.path().join("example.yaml"))).unwrap();
    assert_eq!(read.all.len(), 5, "one of each way");
}
