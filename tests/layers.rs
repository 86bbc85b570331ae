//! Holds the architecture: who may import whom, and which file may name which package.
//!
//! A module that is not in the table fails too: whoever adds one says what it may know. Tests inside `src` may
//! look anywhere.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::fs;
use std::path::Path;

#[path = "layers/documented.rs"]
mod documented;
#[path = "layers/floors.rs"]
mod floors;
#[path = "layers/prose.rs"]
mod prose;
#[path = "layers/source.rs"]
mod source;
#[path = "layers/tables.rs"]
mod tables;

use floors::Floors;
use source::{Part, imports, names_package, says, without, without_tests};
use tables::{PLAN, SIM};

/// The modules that each module of the crate may import beside itself.
#[rustfmt::skip]
const LAYERS: [(&str, &[&str]); 33] = [
    // data
    ("ids",          &[]),
    ("input",        &[]),
    ("time",         &[]),
    ("limits",       &[]),
    ("revision",     &["time"]),
    ("make",         &["ids"]),
    ("spec",         &["ids", "time", "make"]),
    ("observed",     &["ids", "time", "revision", "make", "spec"]),
    ("action",       &["ids", "time", "make", "spec", "observed"]),
    // decisions
    ("plan",         &["ids", "time", "limits", "make", "spec", "observed", "action"]),
    ("status",       &["ids", "time", "limits", "revision", "make", "spec", "observed", "action", "plan"]),
    // effects
    ("ports",        &["ids", "time", "make", "spec", "observed", "action"]),
    ("act",          &["ids", "time", "limits", "make", "spec", "observed", "action", "plan", "ports"]),
    ("event",        &["ids", "time", "revision", "make", "spec", "observed", "action", "plan", "status", "ports"]),
    ("history",      &["ids", "time", "revision", "make", "spec", "observed", "action", "plan", "status", "ports", "event"]),
    ("controller",   &["ids", "time", "limits", "revision", "make", "spec", "observed", "action", "plan", "status", "ports", "act", "event"]),
    ("daemon",       &["ids", "time", "limits", "revision", "program", "make", "spec", "observed", "action", "plan", "status", "ports", "act", "event", "history", "controller"]),
    // adapters
    ("program",      &["time"]),
    ("clock",        &["ids", "time", "make", "spec", "observed", "action", "ports"]),
    ("http",         &["ports"]),
    ("cloud",        &["ids", "time", "make", "spec", "observed", "action", "ports"]),
    ("application",  &["ids", "time", "program", "make", "spec", "observed", "action", "ports", "http"]),
    ("coordination", &["ids", "time", "make", "spec", "observed", "action", "ports", "http"]),
    ("sim",          &["ids", "time", "make", "spec", "observed", "action", "ports"]),
    ("endpoint",     &["ids", "ports", "sim"]),
    // people
    ("picture",      &["ids", "time", "history"]),
    ("notifications", &["ids", "time", "revision", "program", "spec", "observed", "plan", "status", "ports", "event", "http"]),
    ("face",         &["ids", "time", "revision", "spec", "observed", "action", "plan", "status", "ports", "event", "history", "picture", "controller", "notifications"]),
    ("rehearsal",    &["ids", "time", "limits", "make", "spec", "observed", "action", "plan", "ports", "event", "controller"]),
    ("simulate",     &["ids", "time", "limits", "make", "spec", "observed", "action", "plan", "status", "ports", "act", "event", "controller", "sim"]),
    ("cli",          ANYTHING),
    ("lib",          ANYTHING),
    ("main",         ANYTHING),
];
const ANYTHING: &[&str] = &["*"];
/// A module that every module may import: it takes in text and bytes that others wrote.
const COMMON: &str = "input";

/// Every module that has floors.
const FLOORS: [Floors; 2] = [PLAN, SIM];

/// The modules that may name each package: a module stands for its file and for everything below it. `*` ends a family.
const PACKAGES: [(&str, &[&str]); 28] = [
    ("serde_saphyr", &["spec/load", "notifications/file"]),
    ("notify", &["daemon/files/watch"]),
    ("backon", &["controller/retry"]),
    ("clap*", &["cli", "main"]),
    ("cronexpr", &["spec/window"]),
    ("aws_*", &["cloud/aws"]),
    ("reqwest", &["http"]),
    ("object_store", &["coordination/bucket"]),
    ("mail_builder", &["notifications/email"]),
    ("tokio_rustls", &["notifications/smtp"]),
    ("opentelemetry*", &["cli/traces"]),
    ("tracing_opentelemetry", &["cli/traces"]),
    ("async_trait", &["coordination/bucket/s3"]),
    ("annotate_snippets", &["cli", "spec/render"]),
    ("comfy_table", &["cli"]),
    ("indicatif", &["cli"]),
    ("anstream", &["cli"]),
    ("dialoguer", &["cli/init/terminal"]),
    ("tempfile", &["cli/file", "input/file", "sim/store"]),
    ("hmac", &["face/hook", "input/secret"]),
    ("sd_notify", &["cli/run/service"]),
    ("quick_xml", &["sim/wire"]),
    ("form_urlencoded", &["sim/wire"]),
    ("hyper*", &["endpoint", "face"]),
    ("prometheus_client", &["face/metrics"]),
    ("maud", &["face/page"]),
    ("rustix", &["input/file", "program", "coordination/local", "cli/cores", "cli/output", "cli/signals"]),
    ("http_body_util", &["cloud/aws/bounded", "coordination/bucket/s3", "endpoint", "face"]),
];

/// Ways to open a file that wait for a pipe and never end with `/dev/zero`, each with the one file that may go it.
const READERS: [(&str, &str); 3] = [("fs::read(", ""), ("fs::read_to_string(", ""), ("File::open(", "input/file")]; // a folder, to sync it

/// Ways to show text that go past `input/text` and `cli/output`: what others wrote would steer a terminal.
const SHOWERS: [&str; 5] = ["display()", "println!", "print!", "eprintln!", "eprint!"];

/// Modules that only decide on data: they cannot wait, fail or speak, and know no application and no SDK by name.
const PURE: [&str; 2] = ["plan", "status"];
const IMPURE_WORDS: [&str; 5] = ["async", "await", "Result<", "tracing", "log::"];
const FOREIGN_WORDS: [&str; 13] = [
    "consul",
    "autopilot",
    "minquorum",
    "raft",
    "serf",
    "gossip",
    "etcd",
    "patroni",
    "zookeeper",
    "postgres",
    "aws_",
    "aws-sdk",
    "ec2::",
];

#[test]
fn every_file_keeps_to_its_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut violations = Vec::new();
    let mut files = 0;
    for_each_source(&root.join("src"), &mut |path| {
        let file = path.strip_prefix(root).unwrap().to_str().unwrap();
        violations.extend(check(file, &fs::read_to_string(path).unwrap()));
        files += 1;
    });
    assert!(files > 0, "no sources found");
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn each_kind_of_violation_is_found() {
    let found = |file, text: &str| check(file, &format!("//! Says what it is for.\n{text}"));
    for (file, text, violation) in [
        ("src/plan.rs", "use crate::controller::Fleet;", "imports controller, which layer plan may not"),
        ("src/plan/gates.rs", "use super::super::ports::Cloud;", "imports ports, which layer plan may not"),
        ("src/ids.rs", "use super::spec;", "imports spec, which layer ids may not"),
        ("src/sim/cloud.rs", "use crate::{ids::Zone, plan::{Plan, Stall}};", "imports plan, which layer sim may not"),
        ("src/controller.rs", "fn f() { crate::cloud::aws::new() }", "imports cloud, which layer controller may not"),
        ("src/cloud.rs", "use hermitcrab::cli;", "imports cli, which layer cloud may not"),
        ("src/helper.rs", "", "is in no layer: add it to the table in tests/layers.rs"),
        ("src/act.rs", "use notify::Event;", "names notify, which belongs in src/daemon/files/watch"),
        (
            "src/spec.rs",
            "use serde_saphyr as yaml;",
            "names serde_saphyr, which belongs in src/spec/load, src/notifications/file",
        ),
        ("src/client.rs", "#[derive(clap::Parser)]", "names clap*, which belongs in src/cli, src/main"),
        ("src/cloud.rs", "use aws_sdk_ec2::Client;", "names aws_*, which belongs in src/cloud/aws"),
        ("src/plan/slot.rs", "async fn f() {}", "says async, which a layer that only decides may not"),
        ("src/plan.rs", "fn f() -> Result<(), E> {}", "says Result<, which a layer that only decides may not"),
        ("src/status.rs", "fn f() { tracing::info!() }", "says tracing, which a layer that only decides may not"),
        ("src/cli/file.rs", "fn f() { fs::read(x) }", "says fs::read(: files of others are read by src/input/file"),
        (
            "src/cli/run.rs",
            "fn f() { path.display() }",
            "says display(): text is shown by src/input/text and src/cli/output",
        ),
        ("src/plan.rs", "const X: &str = \"Consul\";", "says consul, which a layer that only decides may not"),
        ("src/plan.rs", "fn autopilot() {}", "says autopilot, which a layer that only decides may not"),
    ] {
        let violations = found(file, text);
        assert!(violations.contains(&format!("{file}: {violation}")), "{file}: {text}\n{violations:#?}");
    }
    assert_eq!(check("src/ids.rs", "// Names.\n"), ["src/ids.rs: does not begin with a //! line"]);
}

/// Shows the tables beside what the files really import: `cargo test --test layers -- --nocapture`.
#[test]
fn every_file_keeps_to_its_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut violations = Vec::new();
    for (layer, allowed) in LAYERS {
        println!("{layer:13} may import {}", allowed.join(", "));
    }
    for floors in FLOORS {
        println!("\ninside {}, from the ground up:", floors.module);
        violations.extend(floors.faults());
        let mut imports = std::collections::BTreeMap::new();
        for_each_source(&root.join("src").join(floors.module), &mut |path| {
            let file = path.strip_prefix(root).unwrap().to_str().unwrap();
            let text = fs::read_to_string(path).unwrap();
            violations.extend(floors.check(file, &text));
            imports.insert(file.to_owned(), floors.imports(file, &text));
        });
        for (row, allowed) in floors.rows {
            let Some(found) = imports.get(&format!("src/{}/{row}.rs", floors.module)) else {
                violations.push(format!("{}: the row {row} has no file", floors.module));
                continue;
            };
            println!("{row:22} imports {}", Vec::from_iter(found.iter().cloned()).join(", "));
            let unused = allowed.iter().filter(|import| !found.contains(**import));
            violations.extend(unused.map(|import| format!("{}: {row} need not import {import}", floors.module)));
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn a_file_that_leaves_its_floor_is_found() {
    for (file, text, violation) in [
        ("src/plan/look.rs", "use super::heal;", "imports heal, which floor look may not"),
        ("src/plan/look.rs", "use super::Plan;", "imports plan, which floor look may not"),
        ("src/plan/look.rs", "fn f() { crate::plan::heal::repair() }", "imports heal, which floor look may not"),
        (
            "src/plan/drift.rs",
            "use crate::{ids::Zone, plan::{answer::{Plan, Why}, look}};",
            "imports look, which floor drift may not",
        ),
        (
            "src/plan/gates/cloud.rs",
            "use super::{Finding, question::finding};",
            "imports gates, which floor gates/cloud may not",
        ),
        (
            "src/plan/gates/cloud.rs",
            "use super::super::heal as other;",
            "imports heal, which floor gates/cloud may not",
        ),
        ("src/plan/gates.rs", "use self::intent::frozen;", ""),
        ("src/plan/answer.rs", "pub mod look;", ""),
        ("src/plan/haste.rs", "", "is on no floor of plan: add it to the table in tests/layers.rs"),
        (
            "src/sim/ec2/volumes.rs",
            "use crate::sim::members::Members;",
            "imports members, which floor ec2/volumes may not",
        ),
        (
            "src/sim/members/raft.rs",
            "use super::super::world::State;",
            "imports world, which floor members/raft may not",
        ),
        ("src/sim/judge/calls.rs", "use crate::sim::ec2::Machine;", "imports ec2, which floor judge/calls may not"),
    ] {
        let found = if file.starts_with("src/sim") { SIM.check(file, text) } else { PLAN.check(file, text) };
        let expected = if violation.is_empty() { vec![] } else { vec![format!("{file}: {violation}")] };
        assert!(expected.iter().all(|expected| found.contains(expected)), "{file}: {text}\n{found:#?}");
        assert_eq!(found.is_empty(), violation.is_empty(), "{file}: {text}\n{found:#?}");
    }
}

#[test]
fn a_circle_in_a_table_of_floors_is_found() {
    let circle = Floors { module: "plan", rows: &[("look", &["heal"]), ("heal", &["look"])] };
    assert_eq!(circle.faults(), ["plan: look may not import heal, which does not stand above it"]);
    let twice = Floors { module: "plan", rows: &[("look", &[]), ("look", &[])] };
    assert_eq!(twice.faults(), ["plan: look has two rows"]);
}

#[test]
fn what_is_allowed_is_not_reported() {
    for (file, text) in [
        ("src/plan.rs", "use crate::{ids::Zone, observed::{Instance, plan_like}};\nuse crate::plan::slot;"),
        ("src/plan/gates.rs", "use super::slot::Step; // as crate::controller does it, asynchronously: Consul, etcd"),
        (
            "src/plan/gates.rs",
            "/* async /* nested */ tracing */ const X: &str = \"crate::ports\"; const Y: char = '\"';",
        ),
        ("src/plan.rs", "#[cfg(test)]\nmod tests { use crate::sim::World; const X: &str = \"consul }\"; }"),
        ("src/status.rs", "struct PlanResult; fn asynchronous() -> &'static str { r#\"notify::\"# }"),
        ("src/act.rs", "fn f() { x.notify(); tokio::sync::notify::f(); notify_one() }"),
        ("src/daemon/files/watch.rs", "use notify::Event;"),
        ("src/cli/run.rs", "use clap_complete::generate; use crate::cloud::aws;"),
    ] {
        assert_eq!(check(file, &format!("//! Says what it is for.\n{text}")), [""; 0], "{text}");
    }
}

#[test]
fn what_follows_a_test_module_is_checked_again() {
    let text = "//! X.\n#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::cli;";
    assert_eq!(check("src/ids.rs", text), ["src/ids.rs: imports cli, which layer ids may not"]);
}

/// Lists the violations in one source file, each in a line.
fn check(file: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    if !text.starts_with("//! ") {
        violations.push("does not begin with a //! line".to_owned());
    }
    let module = file.trim_start_matches("src/").trim_end_matches(".rs");
    let layer = module.split('/').next().unwrap_or(module);
    let said = without_tests(&without(text, &[Part::Comment]));
    let code = without_tests(&without(text, &[Part::Comment, Part::Literal]));
    match LAYERS.iter().find(|(name, _)| *name == layer) {
        None => violations.push("is in no layer: add it to the table in tests/layers.rs".to_owned()),
        Some((_, allowed)) => {
            let depth = module.split('/').count();
            let forbidden = |import: &String| {
                let known = LAYERS.iter().any(|(name, _)| name == import);
                known
                    && import != layer
                    && import != COMMON
                    && *allowed != ANYTHING
                    && !allowed.contains(&import.as_str())
            };
            let imports = imports(&code, depth).into_iter().filter(forbidden);
            violations.extend(imports.map(|import| format!("imports {import}, which layer {layer} may not")));
        }
    }
    for (package, homes) in PACKAGES {
        let at_home = homes.iter().any(|home| module == *home || module.starts_with(&format!("{home}/")));
        if !at_home && names_package(&code, package) {
            let homes: Vec<_> = homes.iter().map(|home| format!("src/{home}")).collect();
            violations.push(format!("names {package}, which belongs in {}", homes.join(", ")));
        }
    }
    for (words, home) in READERS {
        if module != home && says(&code, words) {
            violations.push(format!("says {words}: files of others are read by src/input/file"));
        }
    }
    let shown = SHOWERS.into_iter().filter(|words| says(&code, words));
    violations.extend(shown.map(|words| format!("says {words}: text is shown by src/input/text and src/cli/output")));
    if PURE.contains(&layer) {
        let impure = IMPURE_WORDS.into_iter().filter(|word| says(&code, word));
        let foreign = FOREIGN_WORDS.into_iter().filter(|word| said.to_lowercase().contains(word));
        let words = impure.chain(foreign);
        violations.extend(words.map(|word| format!("says {word}, which a layer that only decides may not")));
    }
    violations.into_iter().map(|violation| format!("{file}: {violation}")).collect()
}

fn for_each_source(directory: &Path, visit: &mut impl FnMut(&Path)) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            for_each_source(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&path);
        }
    }
}

/// The SDK fills in a random token where none is given, and a call sent again would then take effect twice.
#[test]
fn no_call_that_takes_a_token_is_made_with_the_default_one() {
    const TAKES_A_TOKEN: [&str; 5] = [
        "run_instances()",
        "create_volume()",
        "create_launch_template()",
        "create_launch_template_version()",
        "copy_image()",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut calls = 0;
    for_each_source(&root.join("src/cloud"), &mut |path| {
        let text = without_tests(&without(&fs::read_to_string(path).unwrap(), &[Part::Comment, Part::Literal]));
        let made: usize = TAKES_A_TOKEN.iter().map(|call| text.matches(&format!(".{call}")).count()).sum();
        assert_eq!(made, text.matches(".client_token(").count(), "{}", path.display());
        calls += made;
    });
    assert!(calls >= 3, "launches, volumes and template versions are made somewhere: found {calls}");
}
