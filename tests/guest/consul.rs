//! The start of Consul: on whose volume, as whom, with which secrets, and when it may begin a cluster.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Case;
use crate::guest::{Guest, STAMP};
use crate::tools::{TREE, consul, run};

pub const CASES: [Case; 10] = cases![
    consul_is_configured_as_the_slot,
    consul_is_not_configured_without_its_volume,
    a_server_that_lost_its_log_begins_no_cluster,
    of_a_copy_only_rafts_log_stays,
    a_copy_without_a_log_is_refused,
    a_real_consul_on_a_copy_knows_nobody,
    secrets_are_taken_from_files,
    a_real_consul_takes_the_configuration,
    a_busy_metadata_service_has_no_say,
    bad_tags_of_consul_are_named,
];

/// A guest whose volume is a folder with the slot's stamp.
fn stamped() -> Guest {
    let guest = Guest::start("ext4");
    fs::create_dir(guest.mount()).unwrap();
    fs::write(guest.mount().join(".hermitcrab"), STAMP).unwrap();
    guest.metadata.tag("consul-servers", "3");
    guest
}

fn configured(guest: &Guest) -> Value {
    let ended = guest.configure();
    assert!(ended.well, "{}", ended.log);
    serde_json::from_str(&fs::read_to_string(guest.path("consul.json")).unwrap()).unwrap()
}

fn consul_is_configured_as_the_slot() {
    let guest = stamped();
    let join = "provider=aws tag_key=hermitcrab:cluster tag_value=consul-prod region=us-east-1 addr_type=private_v4";
    let mut expected = json!({
        "node_name": "consul-a",
        "datacenter": "dc1",
        "data_dir": guest.mount(),
        "bind_addr": "10.0.1.7",
        "client_addr": "127.0.0.1 10.0.1.7",
        "bootstrap_expect": 3,
        "retry_join": [join],
    });
    assert_eq!(configured(&guest), expected);

    guest.metadata.tag("consul-datacenter", "us-1");
    guest.set("CONSUL_RETRY_JOIN", "");
    expected["datacenter"] = "us-1".into();
    expected["retry_join"] = json!([]);
    assert_eq!(configured(&guest), expected);
}

fn consul_is_not_configured_without_its_volume() {
    let unmounted = "is not the volume data of consul-prod/consul-a, but 'without a stamp'";
    let foreign = "but 'cluster consul-prod slot consul-b volume data'";
    for (stamp, words) in [(None, unmounted), (Some(STAMP.replace("consul-a", "consul-b")), foreign)] {
        let guest = stamped();
        fs::remove_file(guest.mount().join(".hermitcrab")).unwrap();
        stamp.iter().for_each(|stamp| fs::write(guest.mount().join(".hermitcrab"), stamp).unwrap());
        let ended = guest.configure();
        assert!(!ended.well && ended.log.contains(words), "{}", ended.log);
        assert!(!guest.path("consul.json").exists());
    }
}

fn a_server_that_lost_its_log_begins_no_cluster() {
    let guest = stamped();
    let expects = || configured(&guest).get("bootstrap_expect").cloned();
    fs::create_dir(guest.mount().join("lost+found")).unwrap();
    assert_eq!(expects(), Some(3.into()));
    fs::write(guest.mount().join("node-id"), "1-2-3").unwrap();
    assert_eq!(expects(), None);
    // With a log, even an empty one of a server that was restarted before the others came, Consul itself judges.
    fs::create_dir(guest.mount().join("raft")).unwrap();
    fs::write(guest.mount().join("raft/raft.db"), "").unwrap();
    assert_eq!(expects(), Some(3.into()));
    fs::remove_file(guest.mount().join("raft/raft.db")).unwrap();
    assert_eq!(expects(), None);
    fs::create_dir(guest.mount().join("raft/wal")).unwrap();
    fs::write(guest.mount().join("raft/wal/wal-meta.db"), "").unwrap();
    assert_eq!(expects(), Some(3.into()), "the log of the other store");
}

/// Makes a guest with the volume of a server that has run.
fn used() -> Guest {
    let guest = stamped();
    let write = |name: &str| {
        let path = guest.mount().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    };
    for name in ["node-id", "serf/local.snapshot", "serf/remote.snapshot", "services/a", "checks/b", "lost+found/c"] {
        write(name);
    }
    ["raft/raft.db", "raft/snapshots/2-1-1/state.bin"].iter().for_each(|name| write(name));
    guest
}

fn of_a_copy_only_rafts_log_stays() {
    let guest = used();
    let names = |folder: &str| {
        let entries = fs::read_dir(guest.mount().join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let ended = guest.isolate("data");
        assert!(ended.well, "{}", ended.log);
        assert_eq!(names(""), [".hermitcrab", "lost+found", "node-id", "raft"]);
        assert_eq!(names("raft"), ["peers.info", "peers.json", "raft.db", "snapshots"]);
        let id = fs::read_to_string(guest.mount().join("node-id")).unwrap().trim().to_owned();
        let peers: Value =
            serde_json::from_str(&fs::read_to_string(guest.mount().join("raft/peers.json")).unwrap()).unwrap();
        assert_eq!(peers, json!([{ "id": id, "address": "10.0.1.7:8300", "non_voter": false }]));
        ids.push(id);
    }
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 36), "{ids:?}");

    let other = used();
    assert!(other.isolate("logs").well);
    assert!(other.mount().join("serf/local.snapshot").exists(), "another volume than Consul's is left as it is");
}

fn a_copy_without_a_log_is_refused() {
    let guest = used();
    fs::remove_file(guest.mount().join("raft/raft.db")).unwrap();
    let ended = guest.isolate("data");
    assert!(!ended.well && ended.log.contains("REFUSED: the copied volume has no Raft log"), "{}", ended.log);
    assert!(guest.mount().join("node-id").exists());
    fs::create_dir(guest.mount().join("raft/wal")).unwrap();
    fs::write(guest.mount().join("raft/wal/wal-meta.db"), "log").unwrap();
    assert!(guest.isolate("data").well, "the log of the other store");
    assert!(guest.mount().join("raft/wal/wal-meta.db").exists());
}

/// The server leads, so its log has no other server any more, not even itself as it was before.
fn a_real_consul_on_a_copy_knows_nobody() {
    let Some(consul) = consul() else { return };
    let guest = stamped();
    let log = run_consul(&consul, &guest, "live-1", "127.215.0.1", "1");
    assert!(!log.contains("peers.json"), "{log}");
    // Consul throws away a peers.json that it finds without this file.
    fs::remove_file(guest.mount().join("raft/peers.info")).unwrap();
    guest.metadata.set("local-ipv4", "127.215.0.2");
    let ended = guest.isolate("data");
    assert!(ended.well, "{}", ended.log);
    let log = run_consul(&consul, &guest, "consul-a", "127.215.0.2", "3");
    assert!(log.contains("deleted peers.json file after successful recovery"), "{log}");
    assert!(!log.contains("127.215.0.1:"), "{log}");
}

/// Runs a server on the guest's volume until it leads, and returns what it said.
fn run_consul(consul: &str, guest: &Guest, name: &str, address: &str, servers: &str) -> String {
    let path = guest.path(&format!("consul-{address}.log"));
    let mut command = Command::new(consul);
    command.args(["agent", "-server", "-node", name, "-bind", address, "-client", address]);
    command.args(["-bootstrap-expect", servers, "-hcl", "ports { dns = -1 serf_wan = -1 }", "-data-dir"]);
    let mut server = command.arg(guest.mount()).stdout(fs::File::create(&path).unwrap()).spawn().unwrap();
    let begun = Instant::now();
    let log = loop {
        let log = fs::read_to_string(&path).unwrap();
        if log.contains("cluster leadership acquired") || begun.elapsed() > Duration::from_secs(60) {
            break log;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(log.contains("cluster leadership acquired"), "{log}");
    log
}

fn secrets_are_taken_from_files() {
    let guest = stamped();
    let secret = |name: &str, text: &str| fs::write(guest.path("secrets").join(name), text).unwrap();
    fs::create_dir(guest.path("secrets")).unwrap();
    secret("gossip.key", "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=\n");
    secret("ca.pem", "-");
    let ended = guest.configure();
    assert!(!ended.well && ended.log.contains("some are missing or unreadable"), "{}", ended.log);
    secret("server.pem", "-");
    secret("server-key.pem", "-");
    let config = configured(&guest);
    assert_eq!(config["encrypt"], "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=");
    assert_eq!(config["key_file"], guest.path("secrets/server-key.pem").to_str().unwrap());
    assert_eq!(config["ports"]["https"], 8501);
    assert_eq!(config["addresses"]["http"], "127.0.0.1");
    assert!(config.get("acl").is_none(), "{config}");
    secret("management.token", "0b4e4ad1-56f8-4c5d-9a33-3f1f0f6ad9e1\n");
    let acl = &configured(&guest)["acl"];
    assert_eq!((&acl["enabled"], &acl["default_policy"]), (&true.into(), &"deny".into()));
    assert_eq!(acl["tokens"]["initial_management"], "0b4e4ad1-56f8-4c5d-9a33-3f1f0f6ad9e1");
    secret("management.token", "secret\", \"x");
    let ended = guest.configure();
    assert!(!ended.well && ended.log.contains("management.token is no token"), "{}", ended.log);
    fs::remove_file(guest.path("secrets/management.token")).unwrap();
    secret("gossip.key", "not\"a key");
    let ended = guest.configure();
    assert!(!ended.well && ended.log.contains("gossip.key is no gossip key"), "{}", ended.log);
}

fn a_real_consul_takes_the_configuration() {
    let Some(consul) = consul() else { return };
    let guest = stamped();
    fs::create_dir(guest.path("secrets")).unwrap();
    let key = run(&consul, &["keygen"]);
    fs::write(guest.path("secrets/gossip.key"), key).unwrap();
    configured(&guest);
    let (own, image) = (guest.path("consul.json"), format!("{TREE}/images/consul/common/files/consul.json"));
    let valid = run(&consul, &["validate", own.to_str().unwrap(), &image]);
    assert!(valid.contains("Configuration is valid!"), "{valid}");
}

/// An answer of "try later" never counts as "there is no such tag".
fn a_busy_metadata_service_has_no_say() {
    let guest = stamped();
    guest.metadata.busy("consul-servers");
    let mut configuring = guest.begin_configure();
    configuring.says("waiting for the instance's metadata");
    guest.metadata.tag("consul-servers", "3");
    let ended = configuring.end();
    assert!(ended.well && ended.log.contains("3 servers expected"), "{}", ended.log);
}

fn bad_tags_of_consul_are_named() {
    for (tag, value, words) in [
        ("consul-servers", "three", "the tag consul-servers is no number from 1 to 9: 'three'"),
        ("consul-datacenter", "dc\"1", "the tag consul-datacenter is no plain name"),
    ] {
        let guest = stamped();
        guest.metadata.tag(tag, value);
        let ended = guest.configure();
        assert!(!ended.well && ended.log.contains(words), "{}", ended.log);
        assert!(!guest.path("consul.json").exists());
    }
}
