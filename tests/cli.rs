//! The commands as a user sees them: stdout, stderr and the exit code of the built command. `UPDATE_EXPECT=1` writes the
//! expectations anew.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use expect_test::{Expect, expect, expect_file};
use hermitcrab::action::ClaimEffect;
use hermitcrab::cli::plan::json;
use hermitcrab::ids::Attempt;
use hermitcrab::observed::{Ending, Remains};
use hermitcrab::ports::{Clock, Coordination};
use hermitcrab::sim::{FaultLevel, Payload, World, block_on};
use hermitcrab::simulate::Scenario;
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;
use hermitcrab::time::after;
use serde_json::Value;

#[path = "cli/files.rs"]
mod files;

const FILE: &str = "desired-state/prod/consul.yaml";
const SIMULATED: [&str; 2] = ["--cloud", "simulated"];
const NEW_IMAGE: [&str; 2] = ["--image", "ami-0bbbbbbbbbbbbbbbb"];

#[test]
fn a_settled_cluster_has_nothing_to_plan_but_what_keeps_it_safe() {
    check(
        &[&["plan", FILE, "--detailed-exitcode"], &SIMULATED[..]].concat(),
        expect![[r#"
            consul-prod (prod, us-east-1): nothing to do, 3 slots as the spec wants
              next: keep members from being pruned below 3 (stopped members would be pruned down to 0 of 3)
            exit 0
        "#]],
    );
}

#[test]
fn a_plan_says_what_moves_where_in_which_order_and_why() {
    let told = told(&[&["plan", FILE], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["cli/plan.txt"].assert_eq(&told);
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
    expect_file!["cli/plan-blocked.txt"].assert_eq(&told);
}

#[test]
fn a_plan_reads_well_in_a_pull_request() {
    let told = told(&[&["plan", FILE, "-o", "markdown"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["cli/plan.md"].assert_eq(&told);
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
    expect_file!["cli/plan-slot.json"].assert_eq(&format!("{:#}\n", first["slots"][0]));
}

#[test]
fn the_committed_schema_of_a_plan_is_what_is_written() {
    expect_file!["../schema/plan.v1.json"].assert_eq(&format!("{:#}\n", json::schema()));
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
        consul-prod (prod): reconciling, 3 of 3 on ami-0aaaaaaaaaaaaaaaa; healthy voters 3 of 3, 2 needed, 1 may fail
          at 2026-01-05T09:05:00Z
          SLOT      ZONE        INSTANCE             STATE    IMAGE                    ROLE    HEALTH   NOTE
          consul-a  us-east-1a  i-189663f5000000002  running  ✓ ami-0aaaaaaaaaaaaaaaa  voter   healthy
          consul-b  us-east-1b  i-60abacb4000000005  running  ✓ ami-0aaaaaaaaaaaaaaaa  voter   healthy
          consul-c  us-east-1c  i-973547e2000000008  running  ✓ ami-0aaaaaaaaaaaaaaaa  leader  healthy
          keep members from being pruned below 3 (stopped members would be pruned down to 0 of 3)
        exit 0
    "#]],
    );
}

#[test]
fn status_says_what_is_not_as_one_would_wish() {
    let told = told(&[&["status", "desired-state/dev", "-o", "wide"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["cli/status-blocked.txt"].assert_eq(&told);
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
    expect_file!["cli/status-stalled.txt"].assert_eq(&told);
}

/// A world in which the new image failed and was taken back.
fn after_a_bad_upgrade() -> tempfile::NamedTempFile {
    let scenario = Scenario {
        from: prod(),
        image: NEW_IMAGE[1].into(),
        payload: Some(Payload::NeverJoins),
        seed: 0,
        faults: FaultLevel::None,
    };
    let world = scenario.world();
    scenario.run_in(&world, &mut |_| {});
    saved(&world)
}

#[test]
fn what_failed_is_tried_again_once_a_person_says_retry() {
    let file = after_a_bad_upgrade();
    let world = ["--world", file.path().to_str().unwrap(), "--image", NEW_IMAGE[1]];
    let refused = || told(&[&["explain", "consul-prod", FILE], &world[..]].concat()).contains("✗ generation-rejected");
    let retry = |options: &[&str]| told(&[&["retry", "consul-prod", FILE], options, &world[..]].concat());
    assert!(refused());
    assert!(retry(&["--dry-run"]).contains(": v1-") && refused());
    assert!(retry(&[]).contains("it may be tried again") && !refused());
    assert_eq!(retry(&[]), "consul-prod: nothing is marked as failed\nexit 0\n");
}

#[test]
fn an_image_that_loses_data_settles_as_a_good_one_does_and_is_saved_with_its_world() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let world = ["--payload", "loses-data", "--world", file.path().to_str().unwrap()];
    let told = run(&[&["simulate", FILE], &NEW_IMAGE[..], &world].concat());
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let saved: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    assert_eq!(saved["world"]["region"]["images"][NEW_IMAGE[1]], "loses-data");
}

/// The group launches one more than the cluster has, which somebody then takes away.
#[test]
fn a_destruction_says_what_becomes_of_an_adopted_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("consul.yaml");
    let text = std::fs::read_to_string("tests/fixtures/consul-group.yaml").unwrap();
    std::fs::write(&file, text.replace("  capacity:\n", "  deletionProtection: false\n  capacity:\n")).unwrap();
    let spec = load(std::slice::from_ref(&file)).specs().next().unwrap().1.clone();
    let world = World::new(0, FaultLevel::None);
    world.register_image(&spec.image, Payload::default());
    world.settle(&spec);
    let group = spec.capacity.group().unwrap();
    world.edit_group(group, |group| group.desired = 4);
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    let spared = saved(&world);
    world.edit_group(group, |group| group.desired = 3);
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    let alone = saved(&world);

    let path = file.to_str().unwrap();
    let told = |world: &tempfile::NamedTempFile, command: &[&str]| {
        let words = [command, &[path, "--world", world.path().to_str().unwrap()]].concat();
        format!("> {} FILE\n{}\n", command.join(" "), told(&words).replace(path, "FILE"))
    };
    let (destroy, retry) = (["destroy", "--confirm", "consul-grouped"], ["retry", "consul-grouped"]);
    let all = [told(&spared, &destroy), told(&alone, &destroy), told(&alone, &destroy), told(&alone, &retry)].concat();
    expect_file!["cli/destroy-group.txt"].assert_eq(&all);
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
    expect_file!["cli/bad-upgrade.txt"].assert_eq(&told);
}

#[test]
fn the_doctor_finds_nothing_in_the_way_of_a_settled_cluster() {
    let told = told(&[&["doctor", FILE], &SIMULATED[..]].concat());
    expect_file!["cli/doctor.txt"].assert_eq(&told);
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
    expect_file!["cli/doctor-ill.txt"].assert_eq(&told);
}

#[test]
fn status_as_json_carries_its_version_and_one_moment_a_cluster() {
    let output = run(&[&["status", "desired-state", "-o", "json"], &SIMULATED[..]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["formatVersion"], "1.0");
    let names: Vec<_> =
        document["clusters"].as_array().unwrap().iter().map(|c| c["cluster"].as_str().unwrap()).collect();
    assert_eq!(names, ["consul-dev", "consul-prod", "consul-staging"]);
    assert_eq!(document["clusters"][1]["slots"].as_array().unwrap().len(), 3);
    assert_eq!(document["clusters"][1]["conditions"][0]["type"], "Ready");
}

#[test]
fn explain_shows_every_gate_and_says_why_that_slot() {
    let told = told(&[&["explain", "consul-dev"], &SIMULATED[..], &NEW_IMAGE[..]].concat());
    expect_file!["cli/explain.txt"].assert_eq(&told);
}

#[test]
fn explain_shows_the_gates_although_nothing_is_outdated() {
    let output = run(&[&["explain", "consul-prod", "-o", "json"], &SIMULATED[..]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["gates"].as_array().unwrap().len(), hermitcrab::plan::gates::GATES.len());
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
              hint: finish with `hermitcrab destroy`, and take its file away; or bring it back with `hermitcrab retry`
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

#[test]
fn a_cluster_that_is_not_declared_is_perhaps_a_slip() {
    check(
        &[&["explain", "consul-prd"], &SIMULATED[..]].concat(),
        expect![[r#"
        ! error: there is no cluster `consul-prd`
        !  hint: did you mean `consul-prod`?
        exit 1
    "#]],
    );
    check(
        &[&["explain", "consul-prod", "--slot", "x"], &SIMULATED[..]].concat(),
        expect![[r#"
        ! error: there is no slot `x`
        !  hint: there is consul-a, consul-b, consul-c
        exit 1
    "#]],
    );
}

#[test]
fn a_missing_file_is_named() {
    check(
        &[&["plan", "nowhere.yaml"], &SIMULATED[..]].concat(),
        expect![[r#"
            ! error: no such file or directory
            ! --> nowhere.yaml
            !  = hint: give the path of a file or a folder, or create the folder
            ! 
            ! error: no file of nowhere.yaml can be used
            !  hint: correct the problems above; `hermitcrab validate` checks files alone
            exit 1
        "#]],
    );
}

#[test]
fn a_broken_file_is_shown_and_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("broken.yaml"), "kind: Cluster\n  name: [\n").unwrap();
    std::fs::copy(FILE, dir.path().join("good.yaml")).unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let output = run(&[&["status", &path], &SIMULATED[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("broken.yaml:2"), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("consul-prod"), "{output:?}");
}

#[test]
#[cfg(not(feature = "aws"))]
fn this_build_says_that_it_cannot_reach_aws() {
    check(
        &["plan", FILE],
        expect![[r#"
            ! error: this build cannot reach AWS: it was built without the feature `aws`
            !  hint: use `--cloud simulated` for a simulated world, or build without `--no-default-features`
            exit 1
        "#]],
    );
    check(
        &["status", FILE, "--cloud", "aws"],
        expect![[r#"
            ! error: this build cannot reach AWS: it was built without the feature `aws`
            !  hint: use `--cloud simulated` for a simulated world, or build without `--no-default-features`
            exit 1
        "#]],
    );
    check(
        &["run", FILE],
        expect![[r#"
            ! error: this build cannot reach AWS: it was built without the feature `aws`
            !  hint: use `--cloud simulated` for a simulated world, or build without `--no-default-features`
            exit 1
        "#]],
    );
}

#[test]
fn a_world_that_is_not_there_is_named() {
    check(
        &["plan", FILE, "--world", "nowhere.json"],
        expect![[r#"
            ! error: the world nowhere.json cannot be read
            !   caused by: No such file or directory (os error 2)
            !  hint: a world is saved by `run --cloud simulated --world FILE`, or by `simulate --world FILE`
            exit 1
        "#]],
    );
}

#[test]
fn wrong_usage_exits_with_64_and_not_with_two() {
    for arguments in [&["plan"][..], &["no-such-command"], &["status", "--no-such-option"], &[]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    check(
        &["plan", FILE, "--image", "latest"],
        expect![[r#"
        ! error: invalid value 'latest' for '--image <AMI>': an image id is `ami-` and hexadecimal digits
        ! 
        ! For more information, try '--help'.
        exit 64
    "#]],
    );
}

#[test]
fn help_and_version_go_to_stdout_and_exit_with_zero() {
    for arguments in [&["--help"][..], &["plan", "-h"], &["--version"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_command_has_a_help_text_with_examples() {
    for command in hermitcrab::cli::command().get_subcommands() {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(examples.contains("Examples:\n"), "{}", command.get_name());
    }
    hermitcrab::cli::command().debug_assert();
}

#[test]
fn completions_and_the_manual_are_printed() {
    for arguments in
        [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"], &["man", "plan"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("hermitcrab"), "{arguments:?}");
    }
    check(
        &["man", "pln"],
        expect![[r#"
            ! error: there is no command `pln`
            !  hint: the commands are init, run, validate, promote, schema, plan, status, explain, retry, rehearse, destroy, simulate, doctor, adopt, iam-policy, completions, man, help
            exit 1
        "#]],
    );
}

#[test]
fn what_is_written_is_coloured_only_where_that_is_wanted() {
    let plan = [&["plan", FILE], &SIMULATED[..], &NEW_IMAGE[..]].concat();
    let colored = |more: &[&str], set: &[(&str, &str)]| {
        let output = command(&[&plan[..], more].concat()).envs(set.iter().copied()).output().unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(!colored(&[], &[]));
    assert!(colored(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!colored(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(colored(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut child = command(&[&["plan", FILE], &SIMULATED[..], &NEW_IMAGE[..]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.is_empty()), (Some(0), true), "{output:?}");
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// stdout, then stderr with a mark before each line, then the exit code.
fn told(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    let errors: String = errors.lines().map(|line| format!("! {line}\n")).collect();
    format!("{}{errors}exit {}\n", String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

fn check(arguments: &[&str], expected: Expect) {
    expected.assert_eq(&told(arguments));
}

fn prod() -> ClusterSpec {
    load(&[FILE.into()]).specs().next().unwrap().1.clone()
}

fn saved(world: &World) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    world.save(file.path()).unwrap();
    file
}

fn committed_schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/plan.v1.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
