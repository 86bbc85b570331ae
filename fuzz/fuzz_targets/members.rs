//! Answers of etcd, Patroni and ZooKeeper over HTTP, and the membership that they make.
#![no_main]

#[path = "../../tests/hostile/members.rs"]
mod members;
#[path = "../../tests/hostile/properties.rs"]
#[allow(dead_code)] // each target holds one of them
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| members::members(bytes));
