//! The clusters whose members' answers are recorded: what a desired-state file of the tree is changed to for them.

use std::net::Ipv4Addr;

use hermitcrab::spec::{ApplicationSpec, HttpSpec, PatroniSpec, Scheme};

use super::phases::{Running, Servers};

/// Three slots, `etcd-a` to `etcd-c`, with the addresses 127.77.0.1 to 3, of members that speak plain HTTP.
pub async fn etcd(servers: &Servers) -> Running {
    Running::of(servers, "desired-state/prod/etcd.yaml", |spec, port| {
        for (nth, slot) in spec.slots.iter_mut().enumerate() {
            slot.address = Some(Ipv4Addr::new(127, 77, 0, nth as u8 + 1));
        }
        let etcd = spec.application.etcd_mut().unwrap();
        let plain = HttpSpec { port, scheme: Scheme::Http, ca_file: None, ..etcd.http.clone() };
        etcd.http = HttpSpec { client_cert_file: None, client_key_file: None, ..plain };
    })
    .await
}

/// Three slots, `pg-a` to `pg-c`, of members that speak plain HTTP.
pub async fn patroni(servers: &Servers) -> Running {
    Running::of(servers, "desired-state/prod/postgresql.yaml", |spec, port| {
        let ApplicationSpec::Patroni(patroni) = &mut spec.application else { panic!("not of Patroni") };
        let http = HttpSpec { port, scheme: Scheme::Http, ca_file: None, ..patroni.http.clone() };
        let scope = "pg-rig".to_owned();
        *patroni = PatroniSpec { scope, http, username: None, password_file: None, ..patroni.clone() };
        for (slot, name) in spec.slots.iter_mut().zip(["pg-a", "pg-b", "pg-c"]) {
            slot.name = name.into();
        }
    })
    .await
}

/// Three slots, `zookeeper-a` to `zookeeper-c`, with the addresses 127.66.0.1 to 3.
pub async fn zookeeper(servers: &Servers) -> Running {
    Running::of(servers, "desired-state/prod/zookeeper.yaml", |spec, port| {
        for (nth, slot) in spec.slots.iter_mut().enumerate() {
            slot.address = Some(Ipv4Addr::new(127, 66, 0, nth as u8 + 1));
        }
        let ApplicationSpec::Zookeeper(zookeeper) = &mut spec.application else { panic!("not of ZooKeeper") };
        zookeeper.http.port = port;
    })
    .await
}
