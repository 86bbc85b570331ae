//! The contents of the dependency tree, as listed in `Cargo.lock`.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeMap;

#[path = "tree/advisories.rs"]
mod advisories;

/// Every package of the lock file, with its versions.
fn packages() -> BTreeMap<String, Vec<String>> {
    let lock = include_str!("../Cargo.lock");
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches('"').to_owned());
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock.split("[[package]]\n").skip(1) {
        let name = package.lines().find_map(|line| value(line, "name = ")).unwrap();
        let version = package.lines().find_map(|line| value(line, "version = ")).unwrap();
        packages.entry(name).or_default().push(version);
    }
    packages
}

#[test]
fn there_is_one_tls_stack_for_the_sdk_and_for_http_alike() {
    let packages = packages();
    for one in ["rustls", "ring", "hyper-rustls", "tokio-rustls", "hyper"] {
        assert_eq!(packages.get(one).map(Vec::len), Some(1), "{one}: {:?}", packages.get(one));
    }
    for other in ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls", "s2n-tls", "boring"] {
        assert_eq!(packages.get(other), None, "{other} is a second one");
    }
}

#[test]
fn what_upstream_has_given_up_is_not_there() {
    for gone in ["serde_yaml", "backoff", "instant"] {
        assert_eq!(packages().get(gone), None);
    }
}
