//! The start of Patroni: on whose volume, as whom, with which secrets, and in which store.

use std::fs;

use crate::Case;
use crate::guest::{Ended, Guest, STAMP};

pub const CASES: [Case; 4] = cases![
    patroni_is_configured_as_the_slot,
    patroni_is_not_configured_without_its_volume_and_data,
    certificates_of_patroni_are_taken_from_files,
    bad_tags_and_passwords_of_patroni_are_named,
];

/// A guest whose volume is a folder with the slot's stamp, and who has its secrets.
fn stamped() -> Guest {
    let guest = Guest::start("ext4");
    fs::create_dir(guest.mount()).unwrap();
    fs::write(guest.mount().join(".hermitcrab"), STAMP).unwrap();
    fs::create_dir(guest.mount().join("lost+found")).unwrap();
    fs::create_dir_all(guest.path("etc/secrets")).unwrap();
    fs::write(guest.path("etc/image.yml"), "of: the image\n").unwrap();
    fs::write(guest.path("etc/secrets/superuser.password"), "the-first-secret\n").unwrap();
    fs::write(guest.path("etc/secrets/replication.password"), "the-other-secret\n").unwrap();
    guest.set("PATRONI_MOUNT", guest.mount().to_str().unwrap());
    guest.set("PATRONI_OUTPUT", guest.path("settings").to_str().unwrap());
    guest.set("PATRONI_ETC", guest.path("etc").to_str().unwrap());
    guest.metadata.tag("patroni-store", "10.0.1.20 10.0.2.20");
    guest.metadata.tag("patroni-network", "10.0.0.0/16");
    guest
}

fn configure(guest: &Guest) -> Ended {
    guest.begin(guest.installed("patroni", "patroni-configure").to_str().unwrap(), &[]).end()
}

/// A file of the settings that Patroni would have.
fn configured(guest: &Guest, file: &str) -> String {
    let ended = configure(guest);
    assert!(ended.well, "{}", ended.log);
    fs::read_to_string(guest.path("settings").join(file)).unwrap()
}

fn refused(guest: &Guest, words: &str) {
    let ended = configure(guest);
    assert!(!ended.well && ended.log.contains(words), "not refused with `{words}`:\n{}", ended.log);
    assert!(!guest.path("settings").exists());
}

fn patroni_is_configured_as_the_slot() {
    let guest = stamped();
    fs::write(guest.path("etc/local.yml"), "of: mine\n").unwrap();
    let settings = configured(&guest, "50-slot.yml");
    for line in [
        "scope: consul-prod".to_owned(),
        "name: consul-a".to_owned(),
        "restapi: { listen: \"10.0.1.7:8008\", connect_address: \"10.0.1.7:8008\" }".to_owned(),
        "etcd3: { hosts: \"10.0.1.20:2379,10.0.2.20:2379\" }".to_owned(),
        "  connect_address: \"10.0.1.7:5432\"".to_owned(),
        format!("  data_dir: \"{}\"", guest.mount().join("data").display()),
        "    superuser: { username: postgres, password: 'the-first-secret' }".to_owned(),
        "    - \"host replication replicator 10.0.0.0/16 scram-sha-256\"".to_owned(),
    ] {
        assert!(settings.lines().any(|is| is == line), "no `{line}` in:\n{settings}");
    }
    let first = fs::read_to_string(guest.path("settings/10-image.yml")).unwrap();
    let last = fs::read_to_string(guest.path("settings/90-local.yml")).unwrap();
    assert_eq!((&*first, &*last), ("of: the image\n", "of: mine\n"));
}

fn patroni_is_not_configured_without_its_volume_and_data() {
    let guest = stamped();
    fs::write(guest.mount().join(".hermitcrab"), STAMP.replace("consul-a", "consul-b")).unwrap();
    refused(&guest, "is not the volume data of consul-prod/consul-a");
    fs::remove_file(guest.mount().join(".hermitcrab")).unwrap();
    refused(&guest, "is not the volume data of consul-prod/consul-a, but 'without a stamp'");
    fs::write(guest.mount().join(".hermitcrab"), STAMP).unwrap();
    fs::create_dir(guest.mount().join("data")).unwrap();
    refused(&guest, "this member has lost its data");
    fs::write(guest.mount().join("data/PG_VERSION"), "15\n").unwrap();
    configured(&guest, "50-slot.yml");
}

fn certificates_of_patroni_are_taken_from_files() {
    let guest = stamped();
    assert_eq!(configured(&guest, "60-certificates.yml"), "{}\n");
    fs::remove_dir_all(guest.path("settings")).unwrap();
    for name in ["ca.pem", "server.pem"] {
        fs::write(guest.path("etc/secrets").join(name), "").unwrap();
    }
    refused(&guest, "of ca.pem, server.pem and server-key.pem some are missing");
    fs::write(guest.path("etc/secrets/server-key.pem"), "").unwrap();
    let settings = configured(&guest, "60-certificates.yml");
    for section in ["restapi:", "ctl:", "etcd3: { protocol: https,", "postgresql:", "ssl: \"on\""] {
        assert!(settings.contains(section), "{settings}");
    }
}

fn bad_tags_and_passwords_of_patroni_are_named() {
    for (tag, value, words) in [
        ("patroni-store", "", "no instance tag patroni-store says where etcd is"),
        ("patroni-store", "10.0.1.20:2379", "is no IPv4 address: '10.0.1.20:2379'"),
        ("patroni-network", "10.0.0.0", "the tag patroni-network is no block of addresses"),
    ] {
        let guest = stamped();
        guest.metadata.tag(tag, value);
        refused(&guest, words);
    }
    let guest = stamped();
    fs::write(guest.path("etc/secrets/superuser.password"), "it's\n").unwrap();
    refused(&guest, "is no password of 12 letters");
    fs::remove_file(guest.path("etc/secrets/superuser.password")).unwrap();
    refused(&guest, "superuser.password that can be read");
}
