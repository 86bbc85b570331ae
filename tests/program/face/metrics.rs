//! The metrics as a contract: which there are, with which labels.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use expect_test::expect_file;

use super::daemon::{BREATH, NEW, OLD};
use super::{CONSUL, FILE, one};
use crate::fetch::fetch;
use crate::left_out::left_out;

/// The names of all samples with those of their labels, e.g. `hermitcrab_slots{cluster,state}`.
fn series(text: &str) -> BTreeSet<String> {
    let sample = |line: &str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
        let labels: Vec<_> = labels.split("\",").map(|label| label.split('=').next().unwrap_or_default()).collect();
        format!("{name}{{{}}}", labels.join(","))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

/// Alerts rest on these names. Whoever renames one keeps both for two minor versions.
#[test]
fn the_metrics_are_those_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let (told, state) = (folder.path().join("told.yaml"), folder.path().join("state"));
    let nobody = "receivers: [{name: nobody, webhook: {url: 'http://127.0.0.1:1/'}}]";
    std::fs::write(&told, format!("apiVersion: hermitcrab/v1\nkind: Notifications\n{nobody}\n")).unwrap();
    let (told, state) = (told.to_str().unwrap(), state.to_str().unwrap());
    let daemon = one(&["--speed", "400", "--kill-switch", "stop", "--notify", told, "--state", state]);
    std::fs::write(daemon.path("stop"), "").unwrap();
    daemon.edit(FILE, OLD, NEW);
    let contract: BTreeSet<String> = include_str!("metrics.txt").lines().map(str::to_owned).collect();
    // Nobody else can act in a simulated world, so there is no lease to be held; and desired state is a folder here.
    // `tests/program/run/source.rs` looks for those of a repository.
    let elsewhere = |name: &&String| name.contains("_lease_held") || name.contains("_source_");
    let mut seen: BTreeSet<_> = contract.iter().filter(elsewhere).cloned().collect();
    for _ in 0..400 {
        seen.extend(series(&daemon.get("/metrics").body));
        if seen.iter().any(|one| one.starts_with("hermitcrab_blocked")) {
            let _ = std::fs::remove_file(daemon.path("stop"));
        }
        if seen == contract {
            break;
        }
        std::thread::sleep(BREATH);
    }
    let text: String = seen.iter().map(|line| format!("{line}\n")).collect();
    expect_file!["metrics.txt"].assert_eq(&text);
}

#[test]
fn a_gate_that_has_opened_leaves_no_series_behind() {
    let daemon = one(&["--kill-switch", "stop", "--speed", "60"]);
    std::fs::write(daemon.path("stop"), "").unwrap();
    daemon.edit(FILE, OLD, NEW);
    let blocked = "hermitcrab_blocked{cluster=\"consul-prod\",reason=\"kill-switch\"} 1.0";
    let until = |is_there: bool| {
        let shows = |_: &u32| {
            std::thread::sleep(BREATH);
            daemon.get("/metrics").body.contains(blocked) == is_there
        };
        assert!((0..400).find(shows).is_some(), "{}", daemon.get("/metrics").body);
    };
    until(true);
    assert!(daemon.get("/metrics").body.contains("hermitcrab_kill_switch_active 1.0"));
    std::fs::remove_file(daemon.path("stop")).unwrap();
    until(false);
}

#[test]
fn a_program_of_prometheus_is_content_with_the_metrics() {
    let program = match fetch(["promtool"]) {
        Ok([program]) => program,
        Err(why) => return left_out("promtool", &why),
    };
    let daemon = one(&["--speed", "60"]);
    daemon.edit(FILE, OLD, NEW);
    daemon.until_document(CONSUL, "under way", |cluster| !cluster["summary"]["step"].is_null());
    let mut check = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(daemon.get("/metrics").body.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// Fails unless each metric that a text names is one of the contract.
fn are_of_the_contract(text: &str) {
    let contract = include_str!("metrics.txt");
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics: BTreeSet<&str> = words.filter(|word| word.starts_with("hermitcrab_")).collect();
    assert!(metrics.len() > 8, "{metrics:?}");
    for metric in metrics {
        let is_it = |line: &str| line.split('{').next() == Some(metric);
        assert!(contract.lines().any(is_it), "{metric} is not in the contract");
    }
}

/// A panel of a metric that is not there stays empty, and one of a rule that nobody has written as well.
#[test]
fn every_panel_of_the_dashboard_rests_on_metrics_of_the_contract_and_on_rules_that_there_are() {
    let text = include_str!("../../../deploy/monitoring/dashboard.json");
    are_of_the_contract(text);
    let board: serde_json::Value = serde_json::from_str(text).unwrap();
    let panels = board["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(
            panel["description"].as_str().is_some_and(|text| text.ends_with('.')),
            "{title} says nothing of itself"
        );
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for cell in (0..place("w")).flat_map(|x| (0..place("h")).map(move |y| (x, y))) {
            let (x, y) = (place("x") + cell.0, place("y") + cell.1);
            assert!(x < 24 && taken.insert((x, y)), "{title} lies over another panel, or outside");
        }
        for target in panel["targets"].as_array().unwrap() {
            let recorded =
                target["expr"].as_str().unwrap().split(['{', ' ']).find(|word| word.starts_with("hermitcrab:"));
            let is_written = |rule: &str| {
                include_str!("../../../deploy/monitoring/rules.yaml").contains(&format!("record: {rule}\n"))
            };
            assert!(recorded.is_none_or(is_written), "{title}: {recorded:?} is no rule");
        }
    }
}

/// An alert on a metric that is not there never fires, and nobody notices.
#[test]
fn every_alert_rests_on_metrics_of_the_contract_and_says_where_to_read_on() {
    let rules = include_str!("../../../deploy/monitoring/rules.yaml");
    are_of_the_contract(rules);
    for rule in rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")) {
        assert!(include_str!("../../../deploy/monitoring/dashboard.json").contains(rule), "nobody looks at {rule}");
    }
    for place in rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: ")) {
        let (path, anchor) = place.split_once('#').unwrap_or((place, ""));
        let document = std::fs::read_to_string(path).unwrap();
        let heading =
            |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(',', "").replace(' ', "-");
        let is_there = document.lines().filter(|line| line.starts_with('#')).any(|line| heading(line) == anchor);
        assert!(anchor.is_empty() || is_there, "{place} leads nowhere");
    }
}

#[test]
fn each_alert_fires_when_it_should() {
    let program = match fetch(["promtool"]) {
        Ok([program]) => program,
        Err(why) => return left_out("promtool", &why),
    };
    for arguments in
        [["check", "rules", "deploy/monitoring/rules.yaml"], ["test", "rules", "deploy/monitoring/rules.test.yaml"]]
    {
        let said = Command::new(&program).args(arguments).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.status.success(), "{text}");
    }
    let (rules, played) = (
        include_str!("../../../deploy/monitoring/rules.yaml"),
        include_str!("../../../deploy/monitoring/rules.test.yaml"),
    );
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(played.contains(alert), "no test plays {alert}");
    }
}
