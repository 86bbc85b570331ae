//! The start of etcd: on whose volume, as whom, with which certificates, and with whom it may begin a cluster.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::guest::{Ended, Guest, STAMP};
use crate::tools::{etcd, run};

pub const CASES: [Case; 8] = cases![
    etcd_is_configured_as_the_slot,
    etcd_is_not_configured_without_its_volume,
    a_member_with_a_log_is_told_of_no_peers,
    a_member_that_lost_its_log_is_not_configured,
    certificates_of_etcd_are_taken_from_files,
    a_real_etcd_takes_the_settings_with_certificates,
    bad_tags_of_etcd_are_named,
    members_without_fixed_addresses_begin_as_their_own_settings_say,
];

/// A guest whose volume is a folder with the slot's stamp.
fn stamped() -> Guest {
    let guest = Guest::start("ext4");
    fs::create_dir(guest.mount()).unwrap();
    fs::write(guest.mount().join(".hermitcrab"), STAMP).unwrap();
    fs::create_dir(guest.mount().join("lost+found")).unwrap();
    guest.set("ETCD_MOUNT", guest.mount().to_str().unwrap());
    guest.set("ETCD_OUTPUT", guest.path("etcd.env").to_str().unwrap());
    guest.set("ETCD_SECRETS", guest.path("secrets").to_str().unwrap());
    guest.metadata.tag("etcd-members", "consul-a=10.0.1.7 consul-b=10.0.2.7");
    guest
}

fn configure(guest: &Guest) -> Ended {
    guest.begin(guest.installed("etcd", "etcd-configure").to_str().unwrap(), &[]).end()
}

/// The environment that etcd would have.
fn configured(guest: &Guest) -> BTreeMap<String, String> {
    let ended = configure(guest);
    assert!(ended.well, "{}", ended.log);
    let text = fs::read_to_string(guest.path("etcd.env")).unwrap();
    text.lines().map(|line| line.split_once('=').unwrap()).map(|(name, value)| (name.into(), value.into())).collect()
}

fn refused(guest: &Guest, words: &str) {
    let ended = configure(guest);
    assert!(!ended.well && ended.log.contains(words), "not refused with `{words}`:\n{}", ended.log);
    assert!(!guest.path("etcd.env").exists());
}

fn etcd_is_configured_as_the_slot() {
    let guest = stamped();
    let data = guest.mount().join("data").display().to_string();
    let expected = [
        ("ETCD_NAME", "consul-a"),
        ("ETCD_DATA_DIR", &*data),
        ("ETCD_LISTEN_PEER_URLS", "http://10.0.1.7:2380"),
        ("ETCD_INITIAL_ADVERTISE_PEER_URLS", "http://10.0.1.7:2380"),
        ("ETCD_LISTEN_CLIENT_URLS", "http://127.0.0.1:2379,http://10.0.1.7:2379"),
        ("ETCD_ADVERTISE_CLIENT_URLS", "http://10.0.1.7:2379"),
        ("ETCD_INITIAL_CLUSTER", "consul-a=http://10.0.1.7:2380,consul-b=http://10.0.2.7:2380"),
        ("ETCD_INITIAL_CLUSTER_TOKEN", "consul-prod"),
        ("ETCD_INITIAL_CLUSTER_STATE", "new"),
    ];
    assert_eq!(configured(&guest), expected.map(|(name, value)| (name.into(), value.into())).into());
}

fn etcd_is_not_configured_without_its_volume() {
    let guest = stamped();
    fs::write(guest.mount().join(".hermitcrab"), STAMP.replace("consul-a", "consul-b")).unwrap();
    refused(
        &guest,
        "is not the volume data of consul-prod/consul-a, but 'cluster consul-prod slot consul-b volume data'",
    );
    fs::remove_file(guest.mount().join(".hermitcrab")).unwrap();
    refused(&guest, "is not the volume data of consul-prod/consul-a, but 'without a stamp'");
}

fn a_member_with_a_log_is_told_of_no_peers() {
    let guest = stamped();
    fs::create_dir_all(guest.mount().join("data/member/wal")).unwrap();
    guest.metadata.tag("etcd-members", "");
    let settings = configured(&guest);
    assert!(settings.keys().all(|name| !name.starts_with("ETCD_INITIAL_CLUSTER")), "{settings:?}");
}

/// Without its log a member would vote again, as who it was, on what it has voted on before.
fn a_member_that_lost_its_log_is_not_configured() {
    let guest = stamped();
    fs::create_dir_all(guest.mount().join("data/member/snap")).unwrap();
    refused(&guest, "this member has lost its data");
}

fn certificates_of_etcd_are_taken_from_files() {
    let guest = stamped();
    fs::create_dir(guest.path("secrets")).unwrap();
    for name in ["ca.pem", "server.pem"] {
        fs::write(guest.path("secrets").join(name), "").unwrap();
    }
    refused(&guest, "of ca.pem, server.pem and server-key.pem some are missing");
    fs::write(guest.path("secrets/server-key.pem"), "").unwrap();
    let settings = configured(&guest);
    let plain: Vec<_> = settings.iter().filter(|(_, value)| value.contains("http:")).collect();
    assert!(plain.is_empty(), "{plain:?}");
    for name in ["ETCD_CLIENT_CERT_AUTH", "ETCD_PEER_CLIENT_CERT_AUTH"] {
        assert_eq!(settings[name], "true");
    }
}

/// The gateway, which hermitcrab asks, calls etcd itself, with the server's certificate as a client's.
fn a_real_etcd_takes_the_settings_with_certificates() {
    let Some(etcd) = etcd() else { return };
    let guest = stamped();
    guest.metadata.set("local-ipv4", "127.215.0.3");
    guest.metadata.tag("etcd-members", "consul-a=127.215.0.3");
    fs::create_dir(guest.path("secrets")).unwrap();
    let secrets = |name: &str| guest.path("secrets").join(name).display().to_string();
    certificates(&secrets);
    let mut settings = configured(&guest);
    settings.insert("ETCD_LISTEN_CLIENT_URLS".into(), "https://127.215.0.3:2379".into()); // 127.0.0.1 is everybody's
    let log = fs::File::create(guest.path("etcd.log")).unwrap();
    let mut command = Command::new(etcd);
    command.envs(settings).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = command.spawn().unwrap();
    let ask = |files: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--noproxy", "*", "--cacert", &secrets("ca.pem")]);
        curl.args(files.iter().zip(["--cert", "--key"]).flat_map(|(file, option)| [option.to_owned(), secrets(file)]));
        curl.args(["-X", "POST", "-d", "{}", "https://127.215.0.3:2379/v3/cluster/member/list"]).output().unwrap()
    };
    let begun = Instant::now();
    let told = loop {
        let output = ask(&["server.pem", "server-key.pem"]);
        if output.status.success() || begun.elapsed() > Duration::from_secs(30) {
            break String::from_utf8(output.stdout).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let without = ask(&[]).status.success();
    child.kill().unwrap();
    child.wait().unwrap();
    let log = fs::read_to_string(guest.path("etcd.log")).unwrap();
    assert!(told.contains(r#""peerURLs":["https://127.215.0.3:2380"]"#), "{told}\n{log}");
    assert!(!without, "somebody without a certificate was answered");
}

/// An authority, and a certificate of its for a member at 127.215.0.3, good for servers and clients.
fn certificates(secrets: &impl Fn(&str) -> String) {
    let (ca, ca_key, server, key) =
        (secrets("ca.pem"), secrets("ca-key.pem"), secrets("server.pem"), secrets("server-key.pem"));
    let (request, extensions) = (secrets("request"), secrets("extensions"));
    fs::write(&extensions, "subjectAltName=IP:127.215.0.3\nextendedKeyUsage=serverAuth,clientAuth\n").unwrap();
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=consul-a"];
    let req = |more: &[&str]| run("openssl", &[&["req"], &new[..], more].concat());
    req(&["-x509", "-days", "2", "-keyout", &ca_key, "-out", &ca]);
    req(&["-keyout", &key, "-out", &request]);
    let signs = ["x509", "-req", "-days", "2", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"];
    run("openssl", &[&signs[..], &["-extfile", &extensions, "-out", &server]].concat());
}

fn bad_tags_of_etcd_are_named() {
    for (value, words) in [
        ("", "no instance tag etcd-members says with whom a cluster begins"),
        ("consul-a", "what follows consul-a in the tag etcd-members is no IPv4 address: 'consul-a'"),
        ("consul-a=http://10.0.1.7:2380", "is no IPv4 address: 'http://10.0.1.7:2380'"),
        ("consul-a=10.0.1.7 b,c=10.0.2.7", "a name in the tag etcd-members is no plain name: 'b,c'"),
        ("consul-a=10.0.1.8 consul-b=10.0.2.7", "the tag etcd-members does not have consul-a=10.0.1.7"),
    ] {
        let guest = stamped();
        guest.metadata.tag("etcd-members", value);
        refused(&guest, words);
    }
}

fn members_without_fixed_addresses_begin_as_their_own_settings_say() {
    let guest = stamped();
    guest.metadata.tag("etcd-members", "");
    guest.set("ETCD_OWN", guest.path("own.env").to_str().unwrap());
    fs::write(guest.path("own.env"), "ETCD_AUTO_COMPACTION_RETENTION=1\nETCD_INITIAL_CLUSTER=\n").unwrap();
    refused(&guest, "no instance tag etcd-members says with whom a cluster begins");
    fs::write(guest.path("own.env"), "ETCD_DISCOVERY_SRV=etcd.example\n").unwrap();
    let found = configured(&guest);
    assert_eq!(found["ETCD_INITIAL_ADVERTISE_PEER_URLS"], "http://10.0.1.7:2380");
    assert!(!found.contains_key("ETCD_INITIAL_CLUSTER"), "{found:?}");
}
