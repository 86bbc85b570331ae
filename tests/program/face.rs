//! The daemon's face as its callers meet it: a process that is asked over HTTP, and what it says.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use expect_test::expect_file;
use serde_json::{Value, json};

mod abuse;
mod browser;
mod bundle;
mod daemon;
mod metrics;

use crate::pipes::signal;
use daemon::{Answer, BREATH, Daemon, NEW, OLD, PATIENCE, answer};

const CONSUL: &str = "/api/v1/clusters/consul-prod";
const FILE: &str = "desired-state/prod/consul.yaml";

/// A daemon on one cluster.
fn one(arguments: &[&str]) -> Daemon {
    let daemon = Daemon::start(&["prod/consul.yaml"], arguments);
    daemon.until_document(CONSUL, "looked at", |cluster| !cluster["status"].is_null());
    daemon
}

fn gate<'d>(explanation: &'d Value, name: &str) -> &'d Value {
    explanation["gates"].as_array().unwrap().iter().find(|gate| gate["gate"] == name).unwrap()
}

#[test]
fn the_kill_switch_is_in_every_answer() {
    let daemon = one(&["--kill-switch", "stop"]);
    assert_eq!(gate(&daemon.get(&format!("{CONSUL}/explain")).json(), "kill-switch")["open"], true);
    fs::write(daemon.path("stop"), "").unwrap();
    daemon.edit(FILE, OLD, NEW);
    let cluster = daemon.until_document(CONSUL, "stopped", |cluster| !cluster["daemon"]["stopped"].is_null());
    assert_eq!(cluster["daemon"]["stopped"], "stop exists");
    assert_eq!(cluster["summary"]["attention"], "needs-person");
    assert!(cluster["summary"]["answer"].as_str().unwrap().contains("the kill switch is thrown"), "{cluster:#}");
    let explanation = daemon.get(&format!("{CONSUL}/explain")).json();
    assert_eq!(gate(&explanation, "kill-switch")["open"], false);
    assert_eq!(explanation["refusals"][0]["gate"], "kill-switch");
    assert_eq!(daemon.get(&format!("{CONSUL}/plan")).json()["next"]["answer"], "blocked");
}

#[test]
fn a_daemon_that_only_observes_says_so() {
    let daemon = one(&["--observe"]);
    daemon.edit(FILE, OLD, NEW);
    let waits = |cluster: &Value| cluster["summary"]["attention"] == "needs-person";
    let cluster = daemon.until_document(CONSUL, "something to do", waits);
    assert_eq!(cluster["daemon"]["observeOnly"], true);
    assert_eq!(cluster["summary"]["remarks"], json!(["the daemon only observes: nothing is done"]));
}

#[test]
fn a_broken_file_is_named_with_its_mistake_and_its_last_good_version_stays() {
    let daemon = one(&[]);
    let good = fs::read_to_string(daemon.path(FILE)).unwrap();
    daemon.write(FILE, &good.replace(OLD, "latest"));
    let cluster = daemon.until_document(CONSUL, "broken", |cluster| cluster["file"]["state"] == "last-good");
    assert_eq!(cluster["summary"]["wanted"], OLD);
    assert_eq!(cluster["summary"]["attention"], "needs-person");
    let broken = &cluster["daemon"]["files"]["broken"][0];
    assert_eq!((&broken["path"], &broken["cluster"]), (&json!(FILE), &json!("consul-prod")));
    assert_eq!(broken["problems"][0]["line"], 14);
    assert!(broken["problems"][0]["message"].as_str().unwrap().contains("latest"), "{broken:#}");
    daemon.write(FILE, &good);
    daemon.until_document(CONSUL, "mended", |cluster| cluster["file"]["state"] == "current");
}

#[test]
fn a_cluster_that_no_file_declares_any_more_is_still_shown() {
    let daemon = one(&[]);
    fs::remove_file(daemon.path(FILE)).unwrap();
    let cluster = daemon.until_document(CONSUL, "orphaned", |cluster| cluster["file"]["state"] == "orphaned");
    assert_eq!(cluster["summary"]["attention"], "needs-person");
    assert_eq!(daemon.get("/api/v1/clusters").json()["clusters"][0]["cluster"], "consul-prod");
}

#[test]
fn those_that_need_a_person_come_first() {
    let files = ["dev/consul.yaml", "prod/consul.yaml", "prod/etcd.yaml", "staging/consul.yaml"];
    let daemon = Daemon::start(&files, &[]);
    let settled = |fleet: &Value| {
        let clusters = fleet["clusters"].as_array().unwrap();
        clusters.len() == 4 && clusters.iter().all(|cluster| cluster["attention"] == "settled")
    };
    daemon.until_document("/api/v1/clusters", "four clusters", settled);
    daemon.edit("desired-state/staging/consul.yaml", "spec:", "spec:\n  suspend: true");
    daemon.edit("desired-state/staging/consul.yaml", NEW, OLD);
    let first = |fleet: &Value| fleet["clusters"][0]["attention"] == "needs-person";
    let fleet = daemon.until_document("/api/v1/clusters", "one is suspended", first);
    assert_eq!(fleet["clusters"][0]["environment"], "staging");
    assert_eq!(fleet["clusters"][0]["images"], json!([NEW]));
    assert_eq!(fleet["clusters"][0]["wanted"], OLD);
}

#[test]
fn a_rollout_is_told_step_by_step_and_the_volume_is_seen_at_its_new_instance() {
    let daemon = one(&["--speed", "60"]);
    let before = daemon.get(CONSUL).json();
    let volume = before["slots"][1]["volumes"][0]["id"].clone();
    let old = before["slots"][1]["instances"][0]["id"].clone();
    daemon.edit(FILE, OLD, NEW);
    let attaches = |cluster: &Value| {
        let slot = &cluster["slots"][1];
        let is_new = |one: &&Value| one["part"] == "new";
        let new = slot["instances"].as_array().into_iter().flatten().find(is_new);
        new.is_some_and(|new| slot["volumes"][0]["instance"] == new["id"])
    };
    let cluster = daemon.until_document(CONSUL, "the volume is at the new instance", attaches);
    let slot = &cluster["slots"][1];
    assert_eq!(slot["volumes"][0]["id"], volume);
    assert_ne!(slot["volumes"][0]["instance"], old);
    assert_eq!(slot["claimed"], true);
    let steps = cluster["steps"].as_array().unwrap();
    let state = |action: &str| steps.iter().find(|step| step["action"] == action).map(|step| step["state"].clone());
    assert_eq!((state("claim"), state("stop")), (Some(json!("done")), Some(json!("done"))));
    assert_eq!(state("terminate"), Some(json!("to-come")));
    assert_eq!(steps.iter().filter(|step| step["state"] == "now").count(), 1);
    let of = cluster["summary"]["step"]["of"].as_u64().unwrap();
    assert_eq!(of, steps.len() as u64);
    let events = daemon.get(&format!("{CONSUL}/events")).json();
    let kinds: Vec<_> = events["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str()).collect();
    assert!(kinds.contains(&Some("action")) && kinds.contains(&Some("desired")), "{events:#}");
    let latest = events["events"].as_array().unwrap().last().unwrap()["id"].as_u64().unwrap();
    let newer = daemon.get(&format!("{CONSUL}/events?after={latest}")).json();
    let is_newer = |event: &Value| event["id"].as_u64().unwrap() > latest;
    assert!(newer["events"].as_array().unwrap().iter().all(is_newer), "{newer:#}");
}

#[test]
fn past_rollouts_are_told_with_their_pictures_and_commands_read_them_from_the_daemon() {
    let daemon = one(&["--speed", "400", "--state", "state"]);
    daemon.edit(FILE, OLD, NEW);
    let history = format!("{CONSUL}/history");
    let is_over = |history: &Value| history["rollouts"][0]["outcome"] == "settled";
    let told = daemon.until_document(&history, "the rollout is over", is_over);
    let rollout = &told["rollouts"][0];
    assert_eq!((&rollout["from"]["image"], &rollout["to"]["image"]), (&json!(OLD), &json!(NEW)));
    let picture = format!("{history}/{}/picture", rollout["id"]);
    let drawn = daemon.get(&picture);
    assert_eq!(drawn.status, 200);
    assert!(
        drawn.head.contains("image/svg+xml") && drawn.head.contains("style-src 'unsafe-inline'; sandbox"),
        "{}",
        drawn.head
    );
    assert!(drawn.body.starts_with("<svg ") && drawn.body.contains(NEW), "{}", drawn.body);
    assert_eq!(daemon.get(&format!("{history}/9999999/picture")).status, 404);
    assert_eq!(daemon.get(&format!("{history}/x/picture")).status, 404);
    assert_eq!(daemon.get("/api/v1/clusters/consul-dev/history").status, 404);
    let page = daemon.get("/clusters/consul-prod").body;
    assert!(page.contains(&format!("<img class=\"picture\" src=\"{picture}\"")), "{page}");

    let from = daemon.address.to_string();
    let says = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.current_dir(daemon.folder.path()).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let asked: Value = serde_json::from_str(&says(&["history", "--from", &from, "-o", "json"])).unwrap();
    assert_eq!(asked["rollouts"], told["rollouts"]);
    says(&["history", "consul-prod", "--from", &from, "--picture", "drawn.svg"]);
    assert_eq!(fs::read_to_string(daemon.path("drawn.svg")).unwrap(), drawn.body);
    let ids = |arguments: &[&str]| {
        let lines = says(arguments);
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap();
        lines.lines().map(id).collect::<Vec<_>>()
    };
    let logged = ids(&["events", "consul-prod", "--state", "state", "-o", "jsonl"]);
    let known = ids(&["events", "consul-prod", "--from", &from, "-o", "jsonl"]);
    assert!(
        logged.len() > 50 && known.starts_with(&logged),
        "the log and the daemon number alike: {logged:?} {known:?}"
    );
    let both = ["history", "--from", &from, "--state", "state"];
    let refused = Command::new(env!("CARGO_BIN_EXE_hermitcrab")).args(both).output().unwrap();
    assert_eq!(refused.status.code(), Some(64));
}

#[test]
fn a_stream_begins_with_what_is_so_and_tells_each_change() {
    let daemon = one(&[]);
    let mut stream = daemon.connect();
    write!(stream, "GET {CONSUL}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut next = || {
        let data = lines.by_ref().find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        serde_json::from_str::<Value>(&data.unwrap()).unwrap()
    };
    assert_eq!(next()["summary"]["wanted"], OLD);
    daemon.edit(FILE, OLD, NEW);
    while next()["summary"]["wanted"] != NEW {}
}

#[test]
fn alive_and_ready_are_told_apart() {
    let daemon = one(&[]);
    for path in ["/livez", "/readyz"] {
        assert_eq!(daemon.get(path).status, 200, "{path}");
    }
    let unborn = Daemon::start(&[], &["nowhere"]);
    assert_eq!(unborn.get("/livez").status, 200);
}

/// Resolves a reference of the committed interface, and validates a document against it.
fn faults(interface: &Value, schema: &Value, document: &Value) -> Vec<String> {
    let mut schema = schema.clone();
    schema["components"] = interface["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
}

#[test]
fn what_is_served_is_what_the_committed_interface_says() {
    let daemon = one(&[]);
    daemon.edit(FILE, OLD, NEW);
    daemon.until_document(CONSUL, "under way", |cluster| !cluster["summary"]["step"].is_null());
    let interface = daemon.get("/api/v1/openapi.json").json();
    expect_file!["../../schema/openapi.v1.json"].assert_eq(&format!("{interface:#}\n"));
    let rollout = daemon.get(&format!("{CONSUL}/history")).json()["rollouts"][0]["id"].to_string();
    let questions = interface["paths"].as_object().unwrap().iter().filter(|(_, one)| one["get"].is_object());
    for (path, operation) in questions {
        let content = operation["get"]["responses"]["200"]["content"].as_object().unwrap();
        let (kind, content) = content.iter().next().unwrap();
        if kind == "text/event-stream" {
            continue;
        }
        let path = path.replace("{rollout}", &rollout);
        let answer = daemon.get(&path.replace("{name}", "consul-prod"));
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{path}: {}", answer.head);
        if kind == "application/json" {
            assert_eq!(faults(&interface, &content["schema"], &answer.json()), [""; 0], "{path}");
        }
        if path.contains("{name}") {
            let answer = daemon.get(&path.replace("{name}", "nobody"));
            assert_eq!(answer.status, 404, "{path}");
            let refusal = &operation["get"]["responses"]["404"]["content"]["application/problem+json"]["schema"];
            assert_eq!(faults(&interface, refusal, &answer.json()), [""; 0], "{path}");
        }
    }
}

#[test]
fn a_unix_socket_is_for_its_owner_and_group_and_goes_with_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("face.sock");
    let place = format!("unix:{}", socket.display());
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_hermitcrab"))
            .args(["run", "desired-state/prod", "--cloud", "simulated", "--listen", &place])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let ask = || -> Option<Answer> {
        let mut stream = UnixStream::connect(&socket).ok()?;
        stream.write_all(b"GET /api/v1/clusters HTTP/1.1\r\nHost: whatever\r\n\r\n").unwrap();
        Some(answer(&mut stream))
    };
    let mut first = start();
    let first_answer = || {
        let tries = PATIENCE.as_millis() / BREATH.as_millis();
        (0..tries).find_map(|_| {
            thread::sleep(BREATH);
            ask()
        })
    };
    assert_eq!(first_answer().unwrap().status, 200);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    let second = start().wait_with_output().unwrap();
    assert_eq!(second.status.code(), Some(1), "two daemons cannot listen at one socket");
    assert!(String::from_utf8_lossy(&second.stderr).contains("another process listens there"));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(socket.exists(), "a daemon that is killed leaves its socket behind");
    let mut third = start();
    assert_eq!(first_answer().unwrap().status, 200, "and the next one takes its place");
    signal(&third, "TERM");
    assert_eq!(third.wait().unwrap().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn an_address_that_others_reach_takes_a_word() {
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.args(["run", "desired-state/prod", "--cloud", "simulated", "--once", "--speed", "1000"]);
        command.args(["--listen", "0.0.0.0:0"]).args(more).output().unwrap()
    };
    let refused = run(&[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("can be reached from other machines") && said.contains("--listen-beyond-this-machine"),
        "{said}"
    );
    assert_eq!(run(&["--listen-beyond-this-machine"]).status.code(), Some(0));
}

#[test]
fn of_many_clusters_those_are_shown_that_are_named() {
    let daemon = Daemon::start(&["prod/consul.yaml", "prod/etcd.yaml", "staging/consul.yaml"], &["--observe"]);
    daemon.until_document("/api/v1/clusters", "every cluster was looked at", |fleet| {
        fleet["clusters"].as_array().unwrap().iter().filter(|row| row["attention"] != "not-seen").count() == 3
    });
    let run = |line: &[&str]| daemon.asked_by(line);
    let only_etcd = ["--cluster", "etcd-prod"];
    let (code, said) = run(&[&["status"], &only_etcd[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("etcd-prod (prod): settled") && !said.contains("consul-"), "{said}");
    let (code, said) = run(&[&["status", "-o", "json"], &only_etcd[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let fleet: Value = serde_json::from_str(&said).unwrap();
    let names: Vec<_> = fleet["clusters"].as_array().unwrap().iter().map(|row| &row["cluster"]).collect();
    assert_eq!(names, ["etcd-prod"]);
    let (code, said) = run(&[&["watch", "--until-settled"], &only_etcd[..]].concat());
    assert_eq!((code, &*said), (Some(0), "etcd-prod: settled, 3 of 3 on ami-0eeeeeeeeeeeeeeee\n"));
    let (code, said) = run(&["status", "--cluster", "etcd-prd"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no cluster `etcd-prd`") && said.contains("did you mean `etcd-prod`?"), "{said}");
}

#[test]
fn a_command_that_asks_the_daemon_prints_its_own_text_and_what_only_the_daemon_knows() {
    let daemon = one(&["--observe"]);
    daemon.edit(FILE, OLD, NEW);
    daemon.until_document(CONSUL, "something to do", |cluster| cluster["summary"]["attention"] == "needs-person");
    let good = fs::read_to_string(daemon.path(FILE)).unwrap();
    daemon.write(FILE, &good.replace(NEW, "latest"));
    daemon.until_document(CONSUL, "broken", |cluster| cluster["file"]["state"] == "last-good");
    let place = daemon.address.to_string();
    let run = |line: &[&str]| daemon.asked_by(line);
    let (code, said) = run(&["status"]);
    assert_eq!(code, Some(0), "{said}");
    for part in [
        "consul-prod (prod): ",
        " SLOT      ZONE ",
        "daemon: it only observes: nothing is done",
        "daemon: desired-state/prod/consul.yaml cannot be used",
        "  daemon: the file is broken: its last good version stays in force",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    let (code, said) = run(&["status", "--show", "fleet"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("daemon: it only observes: nothing is done\ndaemon: desired-state/prod/consul.yaml"),
        "{said}"
    );
    let row = said.lines().find(|line| line.starts_with(" consul-prod  prod  a person  ")).unwrap();
    assert!(
        row.contains("  the file is broken: its last good version stays in force; the daemon only observes"),
        "{said}"
    );
    assert!(said.contains("\n1 cluster: 1 needs a person\n"), "{said}");
    let (code, said) = run(&["explain", "consul-prod"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("daemon: it only observes") && said.contains("✓ kill-switch"), "{said}");
    let (code, said) = run(&["explain", "consul-prod", "--blocked-only", "--slot", "consul-c"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(", slot consul-c: named by --slot") && !said.contains('✓'), "{said}");
    assert!(!said.contains("not known from here"), "{said}");
    let (code, said) = run(&["explain", "consul-prod", "--slot", "consul-z"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("consul-prod has no slot `consul-z`; it has consul-a, consul-b, consul-c"), "{said}");
    let (code, said) = run(&["explain", "consul-prod", "--slot", "consul-c&gates=closed"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("`consul-c&gates=closed` can be no slot's name"), "{said}");
    let (code, said) = run(&["explain", "nobody"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no cluster `nobody`"), "{said}");
    let (code, said) = run(&["status", "-o", "json"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["daemon"]["observeOnly"], true);
    drop(daemon);
    let output = Command::new(env!("CARGO_BIN_EXE_hermitcrab")).args(["status", "--from", &place]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no daemon answers at"), "{output:?}");
}
