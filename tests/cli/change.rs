//! `retry`, `destroy` and `simulate`: the commands that change a cluster or a world.

use std::time::Duration;

use expect_test::expect_file;
use hermitcrab::ports::Clock;
use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate::{Scenario, Simulation};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;
use hermitcrab::time::after;
use serde_json::Value;

use super::{FILE, NEW_IMAGE, prod, run, saved, told};

/// A world in which the new image failed and was taken back.
pub fn after_a_bad_upgrade() -> tempfile::NamedTempFile {
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
    expect_file!["destroy-group.txt"].assert_eq(&all);
}

#[test]
fn a_story_is_played_and_its_ending_is_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let story = folder.path().join("story.txt");
    let path = story.to_str().unwrap();
    let upgrade =
        |payload: &str| format!("# A story.\n\n> cluster\n> payload {0} {payload}\n> commit image {0}\n", NEW_IMAGE[1]);
    for (commands, code) in [
        (upgrade("good") + "> run to the end\n", 0),
        (upgrade("never-joins") + "> run to the end\n", 3),
        (upgrade("good") + "> commit suspend true\n> run to the end\n", 5),
        (upgrade("good") + "> run for 1m\n", 0),
    ] {
        std::fs::write(&story, &commands).unwrap();
        let told = run(&["simulate", FILE, "--script", path]);
        assert_eq!(told.status.code(), Some(code), "{commands}\n{told:?}");
        let printed = String::from_utf8(told.stdout).unwrap();
        assert!(printed.starts_with("# A story.\n\n> cluster\n"), "{printed}");
        std::fs::write(&story, &printed).unwrap();
        let again = run(&["simulate", FILE, "--script", path]);
        assert_eq!(String::from_utf8(again.stdout).unwrap(), printed, "what is printed is the same story");
    }
    std::fs::write(&story, "> cluster\n> stop instance in consul-b\n").unwrap();
    let told = told(&["simulate", FILE, "--script", path]).replace(path, "STORY");
    assert!(told.contains("STORY: line 2, column 17: expected `of`, and found `in`"), "{told}");
    assert!(told.contains("`hermitcrab simulate --help` lists the commands of a story"), "{told}");
}

#[test]
fn several_clusters_are_rolled_in_one_world() {
    let told = told(&[&["simulate", FILE, "--clusters", "3"], &NEW_IMAGE[..]].concat());
    for other in ["consul-prod-2", "consul-prod-3"] {
        assert!(told.contains(&format!("  beside          {other} settled\n")), "{told}");
    }
    assert!(told.ends_with("exit 0\n"), "{told}");
}

/// A world that is saved, and the command line that looks at it.
fn looked_at(command: &str, file: &str, world: &World) -> String {
    let saved = saved(world);
    told(&[command, file, "--world", saved.path().to_str().unwrap()])
}

#[test]
fn a_renamed_cluster_is_named_with_what_it_leaves_behind() {
    let world = World::new(0, FaultLevel::None);
    world.settle(&prod());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("consul.yaml");
    std::fs::write(&file, std::fs::read_to_string(FILE).unwrap().replace("name: consul-prod", "name: consul-prd"))
        .unwrap();
    for command in ["plan", "doctor"] {
        let told = looked_at(command, file.to_str().unwrap(), &world);
        assert!(told.contains("consul-prod is in the same place, and no file declares it: i-"), "{command}: {told}");
    }
}

#[test]
fn of_two_volumes_in_one_place_the_one_that_serves_is_shown_and_none_is_to_be_detached() {
    let (world, spec) = (World::new(0, FaultLevel::None), prod());
    world.settle(&spec);
    let own = world.volumes_of(&spec.name, &"consul-b".into()).remove(0);
    for _ in 0..6 {
        // Ids are drawn, so that some of the copies sort before the slot's own volume.
        world.copy_volume(&own).unwrap();
    }
    let told = looked_at("doctor", FILE, &world);
    assert!(told.contains("several volumes are tagged as data of consul-b"), "{told}");
    assert!(!told.contains("device-taken") && !told.contains("undeclared-volume"), "{told}");
}

#[test]
fn a_cluster_that_was_destroyed_is_not_told_to_be_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, world) = (folder.path().join("consul.yaml"), World::new(0, FaultLevel::None));
    let text = std::fs::read_to_string(FILE).unwrap();
    std::fs::write(&file, text + "\n  deletionProtection: false\n").unwrap();
    world.settle(&prod());
    let (saved, file) = (saved(&world), file.to_str().unwrap());
    let world = ["--world", saved.path().to_str().unwrap()];
    let destroyed = told(&[&["destroy", file, "--confirm", "consul-prod"], &world[..]].concat());
    assert!(destroyed.ends_with("exit 0\n"), "{destroyed}");
    let lines: Vec<_> = destroyed.lines().filter(|line| line.starts_with("!   ") && line.contains("consul-")).collect();
    assert!(lines.iter().any(|line| line.contains("  0:00  ")), "each step has its time: {destroyed}");
    let status = told(&[&["status", file], &world[..]].concat());
    assert!(status.contains("it was destroyed, as somebody ordered at "), "{status}");
    assert!(!status.contains("hermitcrab destroy"), "{status}");
}

#[test]
fn a_step_of_which_nothing_comes_is_seen_by_whoever_has_not_followed_the_cluster() {
    let (world, from) = (World::new(0, FaultLevel::None), prod());
    world.register_image(&NEW_IMAGE[1].into(), Payload::default());
    world.settle(&from);
    world.exhaust_capacity(&"us-east-1b".into(), Duration::from_secs(86_400));
    let to = ClusterSpec { image: NEW_IMAGE[1].into(), ..from };
    let status = |world: &World| {
        let saved = saved(world);
        told(&[&["status", FILE, "--world", saved.path().to_str().unwrap()], &NEW_IMAGE[..]].concat())
    };
    let mut simulation = Simulation::new(&world, to, 1);
    let mut run_for = |minutes: u64| {
        let until = after(world.now(), Duration::from_secs(60 * minutes));
        simulation.run_until(until, &mut |_| {}, &mut || false);
    };
    run_for(5);
    assert!(status(&world).ends_with("exit 0\n"), "{}", status(&world));
    run_for(15);
    let late = status(&world);
    assert!(late.contains("Stalled: True (Overdue) due since ") && late.ends_with("exit 3\n"), "{late}");
}
