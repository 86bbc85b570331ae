//! A whole rollout in words, whatever small thing is done next, and all that is not done.

use std::fs;
use std::time::Duration;

use hermitcrab::ports::Clock;
use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::time::after;
use serde_json::Value;
use tempfile::TempDir;

use super::{FILE, NEW_IMAGE, SIMULATED, command, prod, run, saved, told};

/// A world in which the example's cluster has long been settled, with the upkeep done that a controller does.
fn world() -> World {
    let (world, spec) = (World::new(0, FaultLevel::None), prod());
    world.settle(&spec);
    world.register_image(&NEW_IMAGE[1].into(), Payload::default());
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    world
}

/// The example's file with some text in the place of other text, in a folder of its own.
fn edited(edits: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut text = fs::read_to_string(FILE).unwrap();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    fs::create_dir(dir.path().join("prod")).unwrap();
    fs::write(dir.path().join("prod/consul.yaml"), text).unwrap();
    dir
}

/// Runs a command on an edited file, in that world.
fn said(world: &World, dir: &TempDir, arguments: &[&str]) -> String {
    let saved = saved(world);
    let path = dir.path().to_str().unwrap();
    let (command, rest) = arguments.split_first().unwrap();
    let cluster: &[&str] = if *command == "explain" { &["consul-prod"] } else { &[] };
    told(&[&[*command], cluster, &[path, "--world", saved.path().to_str().unwrap()], rest].concat())
}

#[test]
fn a_commit_that_stalls_a_cluster_is_not_headed_nothing_to_do() {
    let dir = edited(&[("zone: us-east-1c", "zone: us-east-1d")]);
    let text = said(&world(), &dir, &["plan", "--detailed-exitcode"]);
    let head = text.lines().next().unwrap();
    assert!(head.contains("no slot can be changed; stalled: a person must act"), "{text}");
    assert!(text.ends_with("exit 3\n"), "{text}");
    let comment = said(&world(), &dir, &["plan", "-o", "markdown"]);
    assert!(comment.contains("### consul-prod: no slot can be changed; stalled"), "{comment}");
    assert!(!comment.contains("about 0s"), "{comment}");
}

#[test]
fn what_stands_before_a_rollout_is_shown_although_something_small_is_next() {
    let plan =
        [&["plan", "desired-state/staging/consul.yaml", "--image", "ami-0cccccccccccccccc"], &SIMULATED[..]].concat();
    let text = told(&plan);
    assert!(text.lines().next().unwrap().ends_with("; blocked now"), "{text}");
    assert!(text.contains("  next: keep members from being pruned below 5"), "{text}");
    assert!(text.contains("  then blocked: consul-1 is the next slot to change, and may not begin now\n"), "{text}");
    assert!(text.contains("✗ not-rehearsed: "), "{text}");
    assert!(!text.contains("✗ would-be-pruned"), "{text}");
    let document: Value = serde_json::from_slice(&run(&[&plan[..], &["-o", "json"]].concat()).stdout).unwrap();
    let plan = &document["plans"][0];
    let gates: Vec<_> = plan["hazards"].as_array().unwrap().iter().map(|it| it["gate"].as_str().unwrap()).collect();
    assert!(gates.contains(&"not-rehearsed"), "{gates:?}");
    assert_eq!((&plan["next"]["answer"], &plan["hazardsSlot"]), (&"act".into(), &"consul-1".into()));
}

#[test]
fn an_approval_that_comes_after_the_canary_is_needed() {
    let dir = edited(&[("  rollout:\n", "  rollout:\n    approval: canary\n")]);
    let text = said(&world(), &dir, &["plan", NEW_IMAGE[0], NEW_IMAGE[1]]);
    assert!(text.lines().next().unwrap().contains(" and 1 approval, "), "{text}");
    assert!(
        text.contains("  approval needed: one before consul-b, consul-c, once the first slot has settled\n"),
        "{text}"
    );
    let comment = said(&world(), &dir, &["plan", NEW_IMAGE[0], NEW_IMAGE[1], "-o", "markdown"]);
    assert!(comment.contains("| Approval needed | **yes**: one before consul-b, consul-c"), "{comment}");
    let every = edited(&[("  rollout:\n", "  rollout:\n    approval: everySlot\n")]);
    let text = said(&world(), &every, &["plan", NEW_IMAGE[0], NEW_IMAGE[1]]);
    assert!(text.contains("; one more before each of consul-b, consul-c, when it is its turn\n"), "{text}");
    assert!(text.lines().next().unwrap().contains(" and 3 approvals, "), "{text}");
}

#[test]
fn an_edit_that_is_not_carried_out_is_not_called_as_the_spec_wants() {
    for (from, to, said_of_it) in [
        ("size: 20GiB", "size: 10GiB", "not carried out: size 20GiB → 10GiB"),
        ("device: /dev/sdf", "device: /dev/sdg", "; /dev/sdg counts from the slot's next launch on"),
        ("size: 20GiB", "size: 20GiB\n      type: gp2", "not carried out: type gp3 → gp2"),
        ("version: 1.20.1", "version: 1.21.0", "stays at version 1.20.1, and the file says 1.21.0"),
    ] {
        let dir = edited(&[(from, to)]);
        let text = said(&world(), &dir, &["plan"]);
        assert!(text.contains(said_of_it), "{text}");
        let head = text.lines().next().unwrap();
        assert!(head.contains("; 3 differences not carried out") && !head.contains("as the spec wants"), "{text}");
        let text = said(&world(), &dir, &["status"]);
        assert!(text.contains(said_of_it) && !text.contains("settled: every slot is as the spec wants it"), "{text}");
    }
}

#[test]
fn what_a_slot_that_was_taken_out_of_the_file_leaves_behind_is_named() {
    let slot = "    - { name: consul-c, zone: us-east-1c, subnet: subnet-0cccccccccccccccc }\n";
    for dir in [edited(&[(slot, "")]), edited(&[("name: consul-c", "name: consul-x")])] {
        for command in [&["plan"][..], &["plan", "-o", "markdown"]] {
            let text = said(&world(), &dir, command);
            assert!(text.contains("2 resources orphaned"), "{text}");
            assert!(text.contains("consul-c (i-"), "{text}");
        }
        let text = said(&world(), &dir, &["status"]);
        assert!(text.contains("orphaned, and left alone: i-"), "{text}");
    }
}

#[test]
fn the_copy_of_a_rehearsal_that_is_over_is_no_orphan_although_ec2_still_shows_its_instances() {
    let saved = saved(&world());
    let world = ["--world", saved.path().to_str().unwrap()];
    let text = told(&[&["rehearse", FILE], &NEW_IMAGE[..], &world].concat());
    assert!(text.contains(": passed"), "{text}");
    let dir = edited(&[]);
    let text = told(&[&["status", dir.path().to_str().unwrap()], &world[..]].concat());
    assert!(!text.contains("-rehearsal-"), "{text}");
}

#[test]
fn a_cluster_whose_file_is_gone_stays_named_and_one_file_alone_says_nothing_of_others() {
    let dir = edited(&[("name: consul-prod", "name: consul-new")]);
    let text = said(&world(), &dir, &["status"]);
    assert!(text.contains("\nconsul-prod: orphaned, and left alone: it owns resources in us-east-1"), "{text}");
    let saved = saved(&world());
    let file = dir.path().join("prod/consul.yaml");
    let one = told(&["status", file.to_str().unwrap(), "--world", saved.path().to_str().unwrap()]);
    assert!(!one.contains("consul-prod: orphaned"), "{one}");
}

#[test]
fn a_cluster_whose_file_is_broken_is_named_by_whoever_cannot_look_at_it() {
    let dir = edited(&[("kind: Cluster", "kind: Clutter")]);
    fs::copy("desired-state/dev/consul.yaml", dir.path().join("prod/dev.yaml")).unwrap();
    let text = said(&world(), &dir, &["status"]);
    assert!(text.contains("consul-prod: not looked at, because ") && text.ends_with("exit 1\n"), "{text}");
    let text = said(&world(), &dir, &["explain"]);
    assert!(text.contains("! error: the file of consul-prod is broken: ") && !text.contains("did you mean"), "{text}");
}

#[test]
fn a_suspension_shows_in_plan_and_status() {
    for (edit, plans, shows) in [
        (
            "spec:\n  suspend: true\n",
            "suspended: no upgrade is begun",
            "Suspended: True (Suspended) no upgrade is begun",
        ),
        (
            "spec:\n  freeze: true\n",
            "✗ frozen: the cluster is frozen",
            "Suspended: True (Frozen) nothing at all is done",
        ),
    ] {
        let dir = edited(&[("spec:\n", edit)]);
        let text = said(&world(), &dir, &["plan"]);
        assert!(text.contains(plans), "{text}");
        let text = said(&world(), &dir, &["status"]);
        assert!(text.contains(shows), "{text}");
    }
}

#[test]
fn explain_says_what_it_does_not_know() {
    let text = told(&[&["explain", "consul-prod"], &SIMULATED[..]].concat());
    assert!(!text.contains("kill-switch            not thrown"), "{text}");
    for not_known in ["? controller ", "? kill-switch ", "? lease ", "? refused "] {
        assert!(text.contains(not_known), "{not_known}: {text}");
    }
}

#[test]
fn explain_leaves_out_the_gates_that_are_open_if_asked_to() {
    let explain = [&["explain", "consul-dev", "--blocked-only"], &SIMULATED[..], &NEW_IMAGE[..]].concat();
    let text = told(&explain);
    assert!(text.contains("  ✗ quorum-would-be-lost ") && !text.contains('✓'), "{text}");
    assert!(text.contains(" of 44 gates are open\n"), "{text}");
}

#[test]
fn status_shows_a_fleet_in_one_row_a_cluster_and_can_be_asked_to() {
    let text = told(&[&["status", "--show", "fleet"], &SIMULATED[..]].concat());
    assert_eq!(text.lines().take_while(|line| !line.starts_with('!')).count(), 9, "{text}");
    assert!(text.lines().filter(|line| !line.starts_with('!')).all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("\n7 clusters: "), "{text}");
}

#[test]
fn status_in_the_shape_of_kubernetes_is_yaml_that_says_the_same() {
    let status = [&["status", FILE], &SIMULATED[..]].concat();
    let yaml = String::from_utf8(run(&[&status[..], &["-o", "yaml"]].concat()).stdout).unwrap();
    assert!(yaml.starts_with("apiVersion: \"hermitcrab/v1\"\nkind: \"Cluster\"\nmetadata:\n"), "{yaml}");
    let resource: Value = serde_saphyr::from_str(&yaml).unwrap();
    let json: Value = serde_json::from_slice(&run(&[&status[..], &["-o", "json"]].concat()).stdout).unwrap();
    let json = &json["clusters"][0];
    assert_eq!(resource["metadata"]["name"], json["cluster"]);
    for field in ["phase", "slots", "answer", "refusals", "attention"] {
        assert_eq!(resource["status"][field], json[field], "{field}");
    }
    let condition = &resource["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["observedGeneration"]), (&"Ready".into(), &json["generation"]));
    assert!(condition["lastTransitionTime"].is_null());
}

#[test]
fn plan_looks_at_desired_state_as_its_siblings_do() {
    let output = command(&[&["plan", "-o", "json"], &SIMULATED[..]].concat()).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["plans"].as_array().unwrap().len(), 7);
}
