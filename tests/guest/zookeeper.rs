//! The start of ZooKeeper: on whose volume, as which server, and with which others.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::guest::{Ended, Guest, STAMP};
use crate::tools::{TREE, zookeeper};

pub const CASES: [Case; 6] = cases![
    zookeeper_is_configured_as_the_slot,
    zookeeper_is_not_configured_without_its_volume,
    a_number_that_lies_on_the_volume_stays,
    a_server_that_lost_its_data_is_not_configured,
    a_real_zookeeper_takes_the_settings,
    bad_tags_of_zookeeper_are_named,
];

/// A guest whose volume is a folder with the slot's stamp.
fn stamped() -> Guest {
    let guest = Guest::start("ext4");
    fs::create_dir(guest.mount()).unwrap();
    fs::write(guest.mount().join(".hermitcrab"), STAMP).unwrap();
    fs::create_dir(guest.mount().join("lost+found")).unwrap();
    fs::create_dir(guest.path("etc")).unwrap();
    fs::copy(format!("{TREE}/images/zookeeper/common/files/image.cfg"), guest.path("etc/image.cfg")).unwrap();
    guest.set("ZOOKEEPER_MOUNT", guest.mount().to_str().unwrap());
    guest.set("ZOOKEEPER_OUTPUT", guest.path("zoo.cfg").to_str().unwrap());
    guest.set("ZOOKEEPER_ETC", guest.path("etc").to_str().unwrap());
    guest.metadata.tag("zookeeper-members", "7=10.0.1.7 2=10.0.2.7");
    guest
}

fn configure(guest: &Guest) -> Ended {
    guest.begin(guest.installed("zookeeper", "zookeeper-configure").to_str().unwrap(), &[]).end()
}

/// The settings that ZooKeeper would have.
fn configured(guest: &Guest) -> Vec<String> {
    let ended = configure(guest);
    assert!(ended.well, "{}", ended.log);
    fs::read_to_string(guest.path("zoo.cfg")).unwrap().lines().map(str::to_owned).collect()
}

fn refused(guest: &Guest, words: &str) {
    let ended = configure(guest);
    assert!(!ended.well && ended.log.contains(words), "not refused with `{words}`:\n{}", ended.log);
    assert!(!guest.path("zoo.cfg").exists());
}

fn zookeeper_is_configured_as_the_slot() {
    let guest = stamped();
    fs::write(guest.path("etc/local.cfg"), "tickTime=3000\n").unwrap();
    let settings = configured(&guest);
    let data = guest.mount().join("data").display().to_string();
    let own = [
        format!("dataDir={data}"),
        "admin.serverAddress=10.0.1.7".to_owned(),
        "server.7=10.0.1.7:2888:3888;10.0.1.7:2181".to_owned(),
        "server.2=10.0.2.7:2888:3888;10.0.2.7:2181".to_owned(),
        "tickTime=3000".to_owned(),
    ];
    assert_eq!(settings[settings.len() - 5..], own, "what is local comes last, and wins");
    assert!(settings.contains(&"standaloneEnabled=false".to_owned()), "{settings:?}");
    assert_eq!(fs::read_to_string(guest.mount().join("data/myid")).unwrap(), "7\n");
}

fn zookeeper_is_not_configured_without_its_volume() {
    let guest = stamped();
    fs::write(guest.mount().join(".hermitcrab"), STAMP.replace("consul-a", "consul-b")).unwrap();
    refused(&guest, "is not the volume data of consul-prod/consul-a, but");
    fs::remove_file(guest.mount().join(".hermitcrab")).unwrap();
    refused(&guest, "is not the volume data of consul-prod/consul-a, but 'without a stamp'");
    assert!(!guest.mount().join("data").exists());
}

/// The others count a server's votes by its number.
fn a_number_that_lies_on_the_volume_stays() {
    let guest = stamped();
    configured(&guest);
    guest.metadata.tag("zookeeper-members", "7=10.0.1.7 2=10.0.2.7 1=10.0.3.7");
    assert!(configured(&guest).contains(&"server.1=10.0.3.7:2888:3888;10.0.3.7:2181".to_owned()));
    fs::remove_file(guest.path("zoo.cfg")).unwrap();
    guest.metadata.tag("zookeeper-members", "1=10.0.1.7 2=10.0.2.7");
    refused(&guest, "this volume is that of server '7', and the tag zookeeper-members has 1 here");
}

/// Without its data a server would vote again, as who it was, on what it has voted on before.
fn a_server_that_lost_its_data_is_not_configured() {
    let guest = stamped();
    fs::create_dir_all(guest.mount().join("data/version-2")).unwrap();
    refused(&guest, "this server has lost its data");
    assert!(!guest.mount().join("data/myid").exists());
}

fn a_real_zookeeper_takes_the_settings() {
    let Some(java) = zookeeper() else { return };
    let guest = stamped();
    guest.metadata.set("local-ipv4", "127.215.0.5");
    guest.metadata.tag("zookeeper-members", "3=127.215.0.5");
    configured(&guest);
    let log = fs::File::create(guest.path("zookeeper.log")).unwrap();
    let mut command = Command::new(format!("{TREE}/images/zookeeper/common/files/zookeeper-serve"));
    command.env("CLASSPATH", "").env("JAVA", java).env("ZOOKEEPER_OUTPUT", guest.path("zoo.cfg"));
    command.env("ZOOKEEPER_JAVA", "-Xmx96m -XX:+UseSerialGC");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = command.spawn().unwrap();
    let ask = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--noproxy", "*", "http://127.215.0.5:8080/commands/leader"]).output().unwrap()
    };
    let begun = Instant::now();
    let told = loop {
        let told = String::from_utf8(ask().stdout).unwrap();
        if told.contains("leader_id") || begun.elapsed() > Duration::from_secs(60) {
            break told;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let log = fs::read_to_string(guest.path("zookeeper.log")).unwrap();
    let told: String = told.split_whitespace().collect();
    assert!(told.contains(r#""leader_id":3,"leader_ip":"127.215.0.5""#), "{told}\n{log}");
}

fn bad_tags_of_zookeeper_are_named() {
    for (value, words) in [
        ("", "no instance tag zookeeper-members says who the servers are"),
        ("10.0.1.7", "a number in the tag zookeeper-members is none from 1 to 255: '10.0.1.7'"),
        ("0=10.0.1.7", "is none from 1 to 255: '0'"),
        ("256=10.0.1.7", "is none from 1 to 255: '256'"),
        ("1=zookeeper-a", "what follows 1 in the tag zookeeper-members is no IPv4 address: 'zookeeper-a'"),
        ("1=10.0.1.7 1=10.0.2.7", "the tag zookeeper-members has 1 or 10.0.2.7 twice"),
        ("1=10.0.1.7 2=10.0.1.7", "the tag zookeeper-members has 2 or 10.0.1.7 twice"),
        ("1=10.0.1.8 2=10.0.2.7", "the tag zookeeper-members does not have this server's address, 10.0.1.7"),
    ] {
        let guest = stamped();
        guest.metadata.tag("zookeeper-members", value);
        refused(&guest, words);
    }
}
