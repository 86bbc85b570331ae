//! Rehearsals that a file requires, command by command, in one kept world.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hermitcrab::ports::Clock;
use hermitcrab::sim::{FaultLevel, What, World};
use hermitcrab::simulate::{Line, Simulation};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::after;

use crate::{NEW, good, spec};

/// Somebody's desired state, which requires rehearsals, and the simulated world that every command looks at.
struct Desk {
    folder: tempfile::TempDir,
}

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const FILE: &str = "consul.yaml";

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        let text = fs::read_to_string("desired-state/prod/consul.yaml").unwrap();
        fs::write(desk.file(), text.replace("  rollout:\n", "  rollout:\n    rehearsal: required\n")).unwrap();
        assert_eq!(desk.once().0, Some(0));
        desk
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(from), "{from} is not in the file");
        fs::write(self.file(), text.replace(from, to)).unwrap();
    }

    /// The exit code, and what was said on stdout and on stderr.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.current_dir(self.folder.path()).args(arguments).args(["--world", "world.json"]);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn once(&self) -> (Option<i32>, String, String) {
        self.run(&["run", FILE, "--once", "--speed", "100", "--log-level", "error"])
    }

    fn rehearse(&self, more: &[&str]) -> (Option<i32>, String, String) {
        self.run(&[&["rehearse", FILE], more].concat())
    }

    fn explained(&self) -> String {
        self.run(&["explain", "consul-prod", FILE]).1
    }
}

#[test]
fn a_file_that_requires_it_is_rolled_out_once_its_rehearsal_has_passed() {
    let desk = Desk::new();
    desk.edit(OLD, NEW);
    let (code, said, _) = desk.once();
    assert_eq!(code, Some(5));
    assert!(said.starts_with("consul-prod: waits for a person: consul-b: ami-0bbbbbbbbbbbbbbbb (v1-"), "{said}");
    assert!(desk.explained().contains("not-rehearsed: ami-0bbbbbbbbbbbbbbbb (v1-"), "{}", desk.explained());

    let (code, said, _) = desk.rehearse(&["--instance-type", "t3.small"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ami-0aaaaaaaaaaaaaaaa → ami-0bbbbbbbbbbbbbbbb: passed"), "{said}");
    assert!(said.contains("recorded     for v1-") && said.contains(", in world.json"), "{said}");
    let explained = desk.explained();
    assert!(explained.contains("✓ not-rehearsed"), "{explained}");
    assert!(explained.contains(" ago from ami-0aaaaaaaaaaaaaaaa, instance type m7i.large → t3.small"), "{explained}");

    let (code, said, _) = desk.once();
    assert_eq!((code, said.as_str()), (Some(0), "consul-prod: settled\n"));
    let (code, said, _) = desk.rehearse(&[]);
    assert_eq!(
        (code, said.as_str()),
        (
            Some(0),
            "consul-prod: there is nothing to rehearse, because the cluster has settled on ami-0bbbbbbbbbbbbbbbb\n"
        )
    );
}

#[test]
fn one_that_fails_is_recorded_too_and_says_why_nothing_happens() {
    let desk = Desk::new();
    assert_eq!(desk.rehearse(&["--image", NEW]).0, Some(0));
    let (code, said, _) = desk.rehearse(&["--image", NEW, "--payload", "loses-data", "-o", "json"]);
    assert_eq!(code, Some(1), "{said}");
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&told["recorded"], &told["passed"]), (&true.into(), &false.into()));

    desk.edit(OLD, NEW);
    let (code, said, _) = desk.once();
    assert_eq!(code, Some(5));
    assert!(said.starts_with("consul-prod: waits for a person: consul-b: the rehearsal of"), "{said}");
    let explained = desk.explained();
    assert!(explained.contains(told["generation"].as_str().unwrap()), "{explained}");
    assert!(explained.contains("acknowledged writes were missing"), "{explained}");
    assert!(explained.contains("hint: try it on a copy: `hermitcrab rehearse FILE --image ami-0bb"), "{explained}");
}

#[test]
fn settings_alone_are_rehearsed_from_another_image() {
    let desk = Desk::new();
    desk.edit(OLD, NEW);
    assert_eq!((desk.rehearse(&[]).0, desk.once().0), (Some(0), Some(0)));
    desk.edit("type: m7i.large", "type: m7i.xlarge");
    let (code, said, trouble) = desk.rehearse(&[]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(
        trouble.contains("would begin with ami-0bbbbbbbbbbbbbbbb, the image that it is to be rolled to")
            && trouble.contains("--from AMI"),
        "{trouble}"
    );
    assert_eq!(desk.once().0, Some(5));
    let (code, said, _) = desk.rehearse(&["--from", OLD]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(desk.once().0, Some(0));
}

/// A slot that has arrived does not keep the way of the others from being rehearsed.
#[test]
fn in_the_middle_of_a_rollout_it_begins_where_the_slots_to_come_are() {
    let desk = Desk::new();
    let (world, seen) = (World::new(1, FaultLevel::None), Cell::new(false));
    world.register_image(&spec().image, good());
    world.register_image(&NEW.into(), good());
    world.settle(&spec());
    let mut hear = |line: &Line| {
        let Line::World { event, .. } = line else { return };
        seen.set(seen.get() || matches!(&event.what, What::Action { action, .. } if action == "move-claim"));
    };
    let limit = after(world.now(), Duration::from_secs(3_600));
    let new = ClusterSpec { image: NEW.into(), ..spec() };
    assert!(Simulation::new(&world, new, 1).run_until(limit, &mut hear, &mut || seen.get()));
    world.save(&desk.folder.path().join("world.json")).unwrap();

    desk.edit(OLD, NEW);
    assert_eq!(desk.once().0, Some(5));
    let (code, said, _) = desk.rehearse(&[]);
    assert!(said.contains("ami-0aaaaaaaaaaaaaaaa → ami-0bbbbbbbbbbbbbbbb: passed"), "{said}");
    assert_eq!((code, desk.once().0), (Some(0), Some(0)));
}
