//! Advisories against the packages of `Cargo.lock`, by a dated copy of RustSec's database, for whoever cannot reach it.
//!
//! `tests/tree/advisories.json` has what every advisory says of versions, and no more. The database is in the public domain
//! (CC0). `tests/tree/refresh.py FOLDER` makes the file anew from a clone of the database; `.ci/run` says how old it is.

use std::collections::BTreeMap;
use std::fs;

use semver::{Version, VersionReq};
use serde::Deserialize;

use super::packages;

#[derive(Deserialize)]
struct Copy {
    crates: BTreeMap<String, Vec<Advisory>>,
}

#[derive(Clone, Deserialize)]
struct Advisory {
    id: String,
    title: String,
    patched: Vec<String>,
    unaffected: Vec<String>,
    informational: Option<String>,
}

impl Advisory {
    fn is_against(&self, version: &Version) -> bool {
        let allows = |text: &String| requirement(text).matches(version);
        !self.patched.iter().chain(&self.unaffected).any(allows)
    }
}

/// Reads a requirement as RustSec writes it: a bare version stands for itself and what is compatible with it.
fn requirement(text: &str) -> VersionReq {
    VersionReq::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn copy() -> Copy {
    serde_json::from_str(&fs::read_to_string("tests/tree/advisories.json").unwrap()).unwrap()
}

/// Names each package that an advisory is against.
fn against(copy: &Copy, packages: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, versions) in packages {
        for version in versions {
            let parsed = Version::parse(version).unwrap();
            let advisories = copy.crates.get(name).into_iter().flatten();
            let against = advisories.filter(|advisory| advisory.is_against(&parsed));
            found.extend(against.map(|advisory| {
                let kind = advisory.informational.as_deref().unwrap_or("vulnerability");
                format!("{name} {version}: {} ({kind}): {}", advisory.id, advisory.title)
            }));
        }
    }
    found
}

#[test]
fn no_advisory_is_against_what_is_locked() {
    assert_eq!(against(&copy(), &packages()), [""; 0]);
}

#[test]
fn a_package_that_an_advisory_is_against_is_found() {
    let locked = |name: &str, version: &str| BTreeMap::from([(name.to_owned(), vec![version.to_owned()])]);
    for (name, version, is_found) in [
        ("rustls-webpki", "0.103.12", true),
        ("backoff", "0.4.0", true),
        ("h2", "0.4.2", true),
        ("h2", "0.4.20", false),
        ("no-such-package", "1.0.0", false),
    ] {
        assert_eq!(!against(&copy(), &locked(name, version)).is_empty(), is_found, "{name} {version}");
    }
}
