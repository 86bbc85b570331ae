//! The commands that edit a desired-state file: each changes a line or adds one, shows it, and keeps every other byte.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate::Simulation;
use hermitcrab::spec::load::load;
use tempfile::TempDir;

use super::{FILE, command};

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

/// A desired-state file in a folder of its own.
struct Place(TempDir);

impl Place {
    fn new(change: impl Fn(String) -> String) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.0.path().join("desired-state/prod")).unwrap();
        fs::write(place.file(), change(fs::read_to_string(FILE).unwrap())).unwrap();
        place
    }

    /// A file that nobody would write so, and that may be written so.
    fn odd() -> Self {
        Self::new(|text| {
            let text = text.replace("spec:\n", "\"spec\" :   # all of it\n\n  # Ours: do not touch! \u{2192} ops\n");
            text.replace("  rollout:\n", "  rollout:     # slowly\n    # Ann has to agree.\n").replace('\n', "\r\n")
        })
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(FILE)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        command(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// Runs a command that must succeed, and answers with what it says.
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let set = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgSign=false"];
        let output = Command::new("git").current_dir(self.0.path()).args(set).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn is_repository(&self) {
        self.git(&["init", "--quiet", "--initial-branch=main"]);
        self.git(&["config", "user.name", "Ann"]);
        self.git(&["config", "user.email", "ann@example.org"]);
        self.commit("first");
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", message]);
    }
}

/// The lines of one text that are not lines of another, in their order.
fn only_in<'t>(one: &'t str, other: &str) -> Vec<&'t str> {
    let mut others: Vec<_> = other.split_inclusive('\n').collect();
    let is_new = |line: &&str| match others.iter().position(|other| other == line) {
        Some(at) => {
            others.remove(at);
            false
        }
        None => true,
    };
    one.split_inclusive('\n').filter(is_new).collect()
}

#[test]
fn a_cluster_is_suspended_frozen_and_resumed_and_its_file_is_as_it_was() {
    let place = Place::odd();
    let before = place.text();
    let told = place.told(&["suspend", FILE, "--reason", "quota: used up", "--dry-run"]);
    assert!(told.contains("suspended, if it were written"), "{told}");
    assert_eq!(place.text(), before, "a dry run writes nothing");

    let told = place.told(&["pause", "desired-state", "--cluster", "consul-prod", "--reason", "quota: used up"]);
    let suspended = place.text();
    let added = ["  suspend: true\r\n", "  reason: \"quota: used up\"\r\n"];
    assert_eq!((only_in(&suspended, &before), only_in(&before, &suspended)), (added.to_vec(), vec![]), "{told}");
    assert!(told.starts_with("consul-prod: suspended (desired-state/prod/consul.yaml)\n"), "{told}");
    assert_eq!(told.lines().filter(|line| line.contains(" + ")).count(), 2, "{told}");
    let status = place.told(&["status", FILE, "--cloud", "simulated"]);
    assert!(status.contains("quota: used up"), "{status}");

    place.told(&["freeze", FILE, "--reason", "Ann mends it"]);
    let frozen = place.text();
    assert_eq!(only_in(&frozen, &suspended), ["  freeze: true\r\n", "  reason: \"Ann mends it\"\r\n"]);
    place.told(&["resume", FILE]);
    let resumed = place.text();
    assert_eq!(only_in(&resumed, &before), ["  freeze: false\r\n", "  suspend: false\r\n"]);
    assert_eq!(only_in(&before, &resumed), [""; 0]);
    let again = place.told(&["resume", FILE]);
    assert_eq!(again, "consul-prod: resumed already (desired-state/prod/consul.yaml)\n");
}

#[test]
fn the_plan_that_waits_is_shown_and_approved() {
    let ask = |text: String| text.replace("  rollout:\n", "  rollout:   # slowly\n    approval:   everySlot\n");
    let place = Place::new(|text| ask(text).replace(OLD, NEW));
    let from = Place::new(ask);
    let from = load(&[from.file()]).specs().next().unwrap().1.clone();
    let world = World::new(0, FaultLevel::None);
    world.register_image(&NEW.into(), Payload::default());
    world.settle(&from);
    // Until the members have been healthy for long enough.
    let until = hermitcrab::time::after(world.time(), std::time::Duration::from_secs(120));
    Simulation::new(&world, from, 1).run_until(until, &mut |_| {}, &mut || false);
    world.save(&place.0.path().join("world.json")).unwrap();

    let before = place.text();
    let wrong = place.run(&["approve", FILE, "--world", "world.json", "--plan", "plan-0000000000000000"]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert_eq!(place.text(), before);
    let told = place.told(&["approve", FILE, "--world", "world.json"]);
    let added = only_in(&place.text(), &before).concat();
    let id = added.trim().strip_prefix("approved: ").unwrap().to_owned();
    assert!(
        added.starts_with("    approved: plan-") && told.contains(&format!("consul-prod: {id} approved")),
        "{told}"
    );
    assert_eq!(only_in(&before, &place.text()), [""; 0]);
    let plan = place.told(&["plan", FILE, "--world", "world.json", "-o", "json"]);
    assert!(plan.contains(&format!("\"planId\": \"{id}\"")) && plan.contains("\"approvalNeeded\": null"), "{plan}");
    let again = place.told(&["approve", FILE, "--world", "world.json"]);
    assert!(again.ends_with(&format!("consul-prod: {id} is approved already\n")), "{again}");

    let settled = Place::new(|text| text);
    let refused = settled.run(&["approve", FILE, "--cloud", "simulated"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("hint: its file does not ask for one: `approval: never` under `rollout`"), "{said}");
}

#[test]
fn the_image_and_the_version_before_are_taken_from_git() {
    let place = Place::odd();
    let first = place.text();
    place.is_repository();
    fs::write(place.file(), first.replace("1.20.1", "1.21.0").replace(OLD, NEW)).unwrap();
    place.commit("roll");
    fs::write(place.file(), place.text().replace("do not touch!", "hands off!")).unwrap();
    place.commit("a word");
    let before = place.text();
    let told = place.told(&["undo", FILE]);
    assert_eq!(place.text(), before.replace("1.21.0", "1.20.1").replace(NEW, OLD), "{told}");
    assert!(told.starts_with(&format!("consul-prod: back to {OLD}, as of ")), "{told}");
    assert_eq!(told.lines().count(), 5, "a line is replaced twice: {told}");

    let alone = Place::new(|text| text);
    let refused = alone.run(&["undo", FILE]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--state DIR"), "{refused:?}");
}

#[test]
fn the_image_on_which_a_cluster_had_settled_is_taken_from_its_log() {
    let place = Place::new(|text| text);
    let bad = "ami-0bad0bad0bad0bad0";
    let run = ["run", "--once", "--world", "world.json", "--speed", "2000", "--bad-image", bad, "--state", "state"];
    place.told(&run);
    fs::write(place.file(), place.text().replace("1.20.1", "1.20.2").replace(OLD, NEW)).unwrap();
    place.told(&run);
    fs::write(place.file(), place.text().replace(NEW, bad)).unwrap();
    assert_eq!(place.run(&run).status.code(), Some(3));
    let told = place.told(&["undo", FILE, "--state", "state"]);
    assert!(told.starts_with(&format!("consul-prod: back to {NEW}, on which it had settled")), "{told}");
    assert!(place.text().contains(&format!("image: {NEW}")) && place.text().contains("1.20.2"));
    let told = place.told(&["rollback", FILE, "--state", "state"]);
    assert!(told.starts_with(&format!("consul-prod: back to {OLD}, on which it had settled")), "{told}");
    assert!(place.text().contains("1.20.1"), "{told}");
}

#[test]
fn a_change_is_committed_alone_and_never_together_with_another_one() {
    let place = Place::new(|text| text);
    let refused = place.run(&["freeze", FILE, "--reason", "x", "--commit"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    place.is_repository();
    fs::write(place.0.path().join("other"), "staged").unwrap();
    place.git(&["add", "other"]);
    let told =
        place.told(&["freeze", FILE, "--reason", "$(touch gone); it's `so`", "--commit", "-m", "Hold; $(touch gone)"]);
    assert!(told.contains("committed as "), "{told}");
    assert_eq!(place.git(&["log", "-1", "--format=%s"]), "Hold; $(touch gone)\n");
    assert_eq!(place.git(&["show", "--format=", "--name-only"]), "desired-state/prod/consul.yaml\n");
    assert_eq!(place.git(&["diff", "--cached", "--name-only"]), "other\n");
    assert!(!place.0.path().join("gone").exists() && !place.0.path().join("desired-state/prod/gone").exists());

    fs::write(place.file(), place.text() + "# A word.\n").unwrap();
    let before = place.text();
    let refused = place.run(&["resume", FILE, "--commit"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("has changes that are not committed"), "{refused:?}");
    assert_eq!(place.text(), before);
}

#[test]
fn a_file_that_cannot_be_edited_safely_is_refused_with_the_line_and_what_to_do() {
    let place = Place::new(|text| text.replace("spec:\n", "spec:\n  freeze: &off false\n  suspend: *off\n"));
    let before = place.text();
    let line = before.lines().position(|line| line.contains(": *off")).unwrap() + 1;
    let refused = place.run(&["suspend", FILE, "--reason", "x"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains(&format!("caused by: `suspend` in line {line} is not written out in one line")), "{said}");
    assert!(said.contains("hint: nothing was changed; write `suspend` out in one line"), "{said}");
    assert_eq!(place.text(), before);
}
