//! `plan`, `status`, `explain` and `doctor`: the commands that look and change nothing.

use std::path::Path;
use std::time::Duration;

use expect_test::{expect, expect_file};
use hermitcrab::action::ClaimEffect;
use hermitcrab::cli::plan::json;
use hermitcrab::ids::Attempt;
use hermitcrab::observed::{EbsDefaults, Ending, Remains};
use hermitcrab::ports::{Clock, Coordination};
use hermitcrab::sim::{FaultLevel, Payload, World, block_on};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::after;
use serde_json::Value;

use super::change::after_a_bad_upgrade;
use super::{FILE, NEW_IMAGE, SIMULATED, check, prod, run, saved, told};

#[test]
fn a_settled_cluster_has_nothing_to_plan_but_what_keeps_it_safe() {
    check(
        &[&["plan", FILE, "--detailed-exitcode"], &SIMULATED[..]].concat(),
        expect![[r#"
            consul-prod (prod, us-east-1): no slot to change, and something small to do
              next: keep members from being pruned below 3 (stopped members would be pruned down to 0 of 3)
            exit 0
        "#]],
    );
}

#[test]
fn a_plan_says_what_moves_where_in_which_order_and_why() {
    let told = told(&[&["plan", FILE], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["plan.txt"].assert_eq(&told);
}

#[test]
fn pending_changes_exit_with_two_only_if_asked_to() {
    let plan = [&["plan", FILE], &SIMULATED[..], &NEW_IMAGE[..]].concat();
    assert_eq!(run(&plan).status.code(), Some(0));
    assert_eq!(run(&[&plan[..], &["--detailed-exitcode"]].concat()).status.code(), Some(2));
}

#[test]
fn a_blocked_plan_gives_every_reason_and_what_to_do_about_each() {
    let told = told(&[&["plan", "desired-state/dev"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["plan-blocked.txt"].assert_eq(&told);
}

#[test]
fn members_that_do_not_say_how_long_they_have_been_well_do_not_block_a_plan() {
    let told = told(&[&["plan", "desired-state/prod/etcd.yaml"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    assert!(told.contains("3 of 3 slots to replace") && !told.contains("blocked"), "{told}");
}

#[test]
fn a_plan_reads_well_in_a_pull_request() {
    let told = told(&[&["plan", FILE, "-o", "markdown"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["plan.md"].assert_eq(&told);
}

#[test]
fn a_comment_on_the_largest_cluster_fits_where_it_is_posted() {
    let output =
        run(&[&["plan", "tests/fixtures/consul-9.yaml", "-o", "markdown"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    let comment = String::from_utf8(output.stdout).unwrap();
    assert!(comment.starts_with("<!-- hermitcrab-plan:"), "{comment}");
    assert!(comment.len() <= 60_000, "{}", comment.len());
    assert_eq!(comment.matches("<details>").count(), comment.matches("</details>").count());
}

#[test]
fn a_plan_as_json_has_everything_and_fits_its_schema() {
    let output = run(&[&["plan", "desired-state", "-o", "json"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let validator = jsonschema::validator_for(&committed_schema()).unwrap();
    let faults: Vec<_> = validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, [""; 0]);
    assert_eq!(document["formatVersion"], json::FORMAT_VERSION);
    let first = &document["plans"][1];
    assert_eq!(first["cluster"], "consul-prod");
    expect_file!["plan-slot.json"].assert_eq(&format!("{:#}\n", first["slots"][0]));
}

#[test]
fn the_committed_schema_of_a_plan_is_what_is_written() {
    expect_file!["../../schema/plan.v1.json"].assert_eq(&format!("{:#}\n", json::schema()));
}

#[test]
fn a_plan_of_one_moment_is_the_same_each_time() {
    let plan = [&["plan", "desired-state", "-o", "json"], &SIMULATED[..], &NEW_IMAGE[..]].concat();
    assert_eq!(run(&plan).stdout, run(&plan).stdout);
}

#[test]
fn status_shows_a_row_for_each_slot() {
    check(
        &[&["status", FILE], &SIMULATED[..]].concat(),
        expect![[r#"
            consul-prod (prod): reconciling, 3 of 3 on ami-0aaaaaaaaaaaaaaaa
              healthy voters 3 of 3, 2 needed, 1 may fail; at 2026-01-05T09:05:00Z
              SLOT      ZONE        INSTANCE             IMAGE  ROLE    HEALTH
              consul-a  us-east-1a  i-aab5fe3d000000002  ✓      leader  healthy
              consul-b  us-east-1b  i-2237a6c9000000005  ✓      voter   healthy
              consul-c  us-east-1c  i-61dfa32a000000008  ✓      voter   healthy
              keep members from being pruned below 3 (stopped members would be pruned down to 0 of 3)
            ! note: not known from here: a running controller, its kill switch and its lease, and what it was refused
            exit 0
        "#]],
    );
}

#[test]
fn status_of_a_folder_shows_the_clusters_that_are_named() {
    let status = |names: &[&str]| {
        let named = names.iter().flat_map(|name| ["--cluster", name]).collect::<Vec<_>>();
        told(&[&["status", "desired-state"], &SIMULATED[..], &named].concat())
    };
    let shown = status(&["etcd-prod", "consul-dev"]);
    let clusters: Vec<_> = shown.lines().filter(|line| line.contains("): ")).collect();
    assert_eq!(clusters.len(), 2, "{shown}");
    assert!(shown.contains("etcd-prod (prod): ") && shown.contains("consul-dev (dev): "), "{shown}");
    let unknown = status(&["etcd"]);
    assert!(unknown.starts_with("! error: there is no cluster `etcd`\n") && unknown.ends_with("exit 1\n"), "{unknown}");
}

#[test]
fn status_says_what_is_not_as_one_would_wish() {
    let told = told(&[&["status", "desired-state/dev", "-o", "wide"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["status-blocked.txt"].assert_eq(&told);
}

#[test]
fn a_stalled_cluster_is_an_exit_code_of_its_own() {
    let spec = prod();
    let world = World::new(0, FaultLevel::None);
    world.settle(&spec);
    world.stop_instance(&world.instances_of(&spec.name, &"consul-b".into())[0]);
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    let file = saved(&world);
    let told = told(&["status", FILE, "--world", file.path().to_str().unwrap()]);
    expect_file!["status-stalled.txt"].assert_eq(&told);
}

#[test]
fn a_bad_upgrade_is_told_by_status_plan_and_explain_alike() {
    let file = after_a_bad_upgrade();
    let world = ["--world", file.path().to_str().unwrap(), "--image", NEW_IMAGE[1]];
    let told: String =
        [&["status", FILE][..], &["plan", FILE, "--detailed-exitcode"], &["explain", "consul-prod", FILE]]
            .iter()
            .map(|command| format!("> {}\n{}\n", command[0], told(&[command, &world[..]].concat())))
            .collect();
    expect_file!["bad-upgrade.txt"].assert_eq(&told);
    let status = run(&[&["status", FILE, "-o", "json"][..], &world].concat());
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let cluster = &status["clusters"][0];
    assert_eq!(cluster["phase"], "stalled", "{cluster:#}");
    assert!(cluster["answer"].as_str().unwrap().starts_with("stalled: consul-a: "), "{cluster:#}");
}

#[test]
fn the_doctor_finds_nothing_in_the_way_of_a_settled_cluster() {
    let told = told(&[&["doctor", FILE], &SIMULATED[..]].concat());
    expect_file!["doctor.txt"].assert_eq(&told);
}

#[test]
fn the_doctor_says_where_each_fixed_address_is() {
    const FIXED: &str = "tests/fixtures/consul-addresses.yaml";
    let said = told(&[&["doctor", FIXED], &SIMULATED[..]].concat());
    for number in 1..=3 {
        let line = format!("consul-{number} address  10.0.{number}.10 in 10.0.{number}.0/24, reserved with ");
        let line = format!("✓ {line}10.0.{number}.0/28, at i-");
        assert!(said.contains(&line), "{said}");
    }
    let world = World::new(0, FaultLevel::None);
    world.register_image(&prod().image, Payload::default());
    let file = saved(&world);
    let said = told(&["doctor", FIXED, "--world", file.path().to_str().unwrap()]);
    assert!(said.contains("✓ consul-1 address  10.0.1.10 in 10.0.1.0/24, reserved with 10.0.1.0/28, free\n"), "{said}");
}

#[test]
fn the_doctor_says_which_key_encrypts_what_names_none() {
    const OWN: &str = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000001";
    let world = World::new(0, FaultLevel::None);
    world.register_image(&prod().image, Payload::default());
    let said = |encrypts_all: bool, key: &str| {
        world.set_ebs_defaults(EbsDefaults { encrypts_all, key: key.to_owned() });
        let file = saved(&world);
        told(&["doctor", FILE, "--world", file.path().to_str().unwrap()])
    };
    let of_aws = said(true, "alias/aws/ebs");
    assert!(of_aws.contains("✓ EBS key    alias/aws/ebs for data, the root volume: AWS's own"), "{of_aws}");
    let own = said(false, OWN);
    assert!(own.contains(&format!("· EBS key    {OWN} for data: whether it may be used")), "{own}");
    assert!(own.contains(&format!("`hermitcrab iam-policy --kms-key {OWN}`")), "{own}");
    assert!(own.ends_with("nothing would block a rollout\nexit 0\n"), "{own}");
}

#[test]
fn the_doctor_names_what_is_in_the_way_and_what_to_do_about_it() {
    let spec = prod();
    let world = World::new(0, FaultLevel::None);
    world.register_image(&"ami-0cccccccccccccccc".into(), Payload::default());
    world.settle(&ClusterSpec { image: "ami-0cccccccccccccccc".into(), ..spec.clone() });
    let of = |slot: &str| world.instances_of(&spec.name, &slot.into()).remove(0);
    world.stop_instance(&of("consul-a"));
    world.edit_instance(&of("consul-b"), |instance| instance.auto_scaling_group = Some("servers".to_owned()));
    world.edit_instance(&of("consul-c"), |instance| instance.owner = None);
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    let file = saved(&world);
    let told = told(&["doctor", FILE, "--world", file.path().to_str().unwrap()]);
    expect_file!["doctor-ill.txt"].assert_eq(&told);
}

#[test]
fn the_doctor_finds_nothing_in_the_way_of_a_cluster_that_is_still_to_be_made() {
    let spec = prod();
    let world = World::new(0, FaultLevel::None);
    world.register_image(&spec.image, Payload::default());
    let file = saved(&world);
    check(
        &["doctor", FILE, "--world", file.path().to_str().unwrap()],
        expect![[r#"
            consul-prod
              ✓ account    a cloud without accounts
              ✓ image      ami-0aaaaaaaaaaaaaaaa (x86_64)
              · slots      nothing of it exists yet: a controller makes its 3 slots
              · members    there are none yet to ask
              ✓ claims     no slot is claimed
              ✓ resources  no group, impairment, announced maintenance or DeleteOnTermination
              ✓ subnets    250 addresses or more are free in each
              ✓ EBS key    alias/aws/ebs for data: AWS's own, which takes no permission
              nothing would block a rollout
            exit 0
        "#]],
    );
    // Of one that was made before, what is missing is missing.
    world.settle(&spec);
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    for slot in &spec.slots {
        world.instances_of(&spec.name, &slot.name).iter().for_each(|instance| world.terminate_instance(instance));
    }
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    let file = saved(&world);
    let output = run(&["doctor", FILE, "--world", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn status_as_json_carries_its_version_and_one_moment_a_cluster() {
    let output = run(&[&["status", "desired-state", "-o", "json"], &SIMULATED[..]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["formatVersion"], "2.1");
    let names: Vec<_> =
        document["clusters"].as_array().unwrap().iter().map(|c| c["cluster"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "consul-dev",
            "consul-prod",
            "etcd-prod",
            "postgresql-prod",
            "zookeeper-prod",
            "consul-staging",
            "rabbitmq-staging"
        ]
    );
    assert_eq!(document["clusters"][1]["slots"].as_array().unwrap().len(), 3);
    assert_eq!(document["clusters"][1]["conditions"][0]["type"], "Ready");
}

#[test]
fn explain_shows_every_gate_and_says_why_that_slot() {
    let told = told(&[&["explain", "consul-dev"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["explain.txt"].assert_eq(&told);
}

#[test]
fn explain_shows_the_gates_although_nothing_is_outdated() {
    let output = run(&[&["explain", "consul-prod", "-o", "json"], &SIMULATED[..]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The kill switch is a controller's.
    assert_eq!(document["gates"].as_array().unwrap().len(), hermitcrab::plan::gates::GATES.len() - 1);
    assert_eq!(document["notKnown"][1]["what"], "kill-switch");
    assert!(document["whyThisSlot"].as_str().unwrap().starts_with("no slot is outdated"), "{document:#}");
}

#[test]
fn of_a_cluster_that_was_put_an_end_to_explain_shows_no_gates() {
    let spec = prod();
    let world = World::new(0, FaultLevel::None);
    world.settle(&spec);
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    let ending = Ending { since: world.now(), attempt: Attempt(4), remains: Remains::Volumes };
    let expects = block_on(&world, Coordination::read(&world, &spec.name)).unwrap().revision;
    block_on(&world, Coordination::write(&world, &spec.name, &ClaimEffect::End { ending, expects })).unwrap();
    let file = saved(&world);
    check(
        &[&["explain", "consul-prod", "--world", file.path().to_str().unwrap()], &NEW_IMAGE[..]].concat(),
        expect![[r#"
            consul-prod: the cluster is being destroyed, so no gate is asked

            stalled: somebody ordered its destruction at 2026-01-05T09:05:00Z
              hint: finish with `hermitcrab destroy`, and delete the cluster's file; or allow the cluster to be created again with `hermitcrab retry`
            not known from here, because only a controller knows:
              ? controller   whether one runs, and acts or only observes (`--observe`); see the first line of its log
              ? kill-switch  whether the kill switch is thrown; see the file that `run --kill-switch` names
              ? lease        which of several controllers holds the lease, if any does (`--lease`); see the logs of all of them
              ? refused      which calls the controller was refused, and is not sending again for a while; see `failed` and `stalled` in its log
            exit 0
        "#]],
    );
}

#[test]
fn explain_asks_about_another_slot_when_told_to() {
    let output = run(&[&["explain", "consul-prod", "--slot", "consul-c"], &SIMULATED[..]].concat());
    let first = String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(first, "consul-prod, slot consul-c: named by --slot");
}

fn committed_schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/plan.v1.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_plan_says_why_its_file_holds_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("consul.yaml");
    let text = std::fs::read_to_string(FILE).unwrap();
    std::fs::write(&file, text.replace("\nspec:\n", "\nspec:\n  suspend: true\n  reason: INC-7, a disk\n")).unwrap();
    let said = |format| told(&["plan", file.to_str().unwrap(), "--cloud", "simulated", "-o", format]);
    for (format, line) in [
        ("text", "  reason: INC-7, a disk\n"),
        ("markdown", "> **Reason**: INC-7, a disk\n"),
        ("json", "\"heldBackBecause\": \"INC-7, a disk\""),
    ] {
        assert!(said(format).contains(line), "{}", said(format));
    }
}
