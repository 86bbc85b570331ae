//! Every command of the program, with its verdict.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hermitcrab::ports::Clock;
use hermitcrab::sim::{FaultLevel, World};
use hermitcrab::spec::load::load;
use hermitcrab::time::after;

pub const FILE: &str = "desired-state/prod/consul.yaml";
/// A receiver at a port that nobody listens at.
const RECEIVERS: &str = "{apiVersion: hermitcrab/v1, kind: Notifications, receivers: [{name: nobody, webhook: {url: 'http://127.0.0.1:1/'}}]}";
pub const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

/// Each command line with its verdict. Files that some of them need are written to the folder.
pub fn verdicts(folder: &Path) -> Vec<(Vec<String>, i32)> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(path("broken.yaml"), "spec: {slots: [x]}").unwrap();
    let (spec, world) = (load(&[FILE.into()]).specs().next().unwrap().1.clone(), World::new(0, FaultLevel::None));
    world.settle(&spec);
    world.stop_instance(&world.instances_of(&spec.name, &"consul-b".into())[0]);
    world.advance_to(after(world.now(), Duration::from_secs(300)));
    world.save(Path::new(&path("stalled.json"))).unwrap();
    let (broken, stalled, settled, folder) =
        (path("broken.yaml"), path("stalled.json"), path("settled.json"), path("."));
    let mut run = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    run.args(["run", FILE, "--once", "--speed", "1000", "--world", &settled])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    assert!(run.status().unwrap().success(), "no world is settled");
    let mut all: Vec<(Vec<String>, i32)> = Vec::new();
    let mut add = |code: i32, line: &str| {
        let line =
            line.replace("BROKEN", &broken).replace("STALLED", &stalled).replace("FILE", FILE).replace("NEW", NEW);
        let line = line.replace("SETTLED", &settled).replace("FOLDER", &folder);
        all.push((line.split(' ').map(str::to_owned).collect(), code));
    };
    for format in ["text", "json", "github"] {
        add(1, &format!("validate BROKEN -o {format}"));
        add(0, &format!("validate FILE -o {format}"));
    }
    for format in ["text", "markdown", "json"] {
        add(2, &format!("plan FILE --cloud simulated --image NEW --detailed-exitcode -o {format}"));
        add(1, &format!("rehearse FILE --image NEW --cloud simulated --payload never-joins -o {format}"));
    }
    add(
        0,
        "init - --name n --region us-east-1 --image NEW --instance-profile p --security-group sg-0c0ffee0c0ffee000 \
            --slot a=us-east-1a:subnet-0aaaaaaaaaaaaaaaa --application-version 1.20.1",
    );
    add(
        1,
        "init FILE --name n --region us-east-1 --image NEW --instance-profile p --security-group sg-0c0ffee0c0ffee000 \
            --slot a=us-east-1a:subnet-0aaaaaaaaaaaaaaaa --application-version 1.20.1",
    );
    for format in ["text", "json"] {
        add(0, &format!("promote FILE --image NEW --dry-run -o {format}"));
        add(1, &format!("promote BROKEN --image NEW -o {format}"));
        add(0, &format!("promote --from desired-state/dev --to desired-state/prod --dry-run -o {format}"));
        add(3, &format!("status FILE --world STALLED -o {format}"));
    }
    add(0, "plan FILE --cloud simulated --image NEW");
    add(0, "retry consul-prod FILE --cloud simulated");
    add(1, "retry consul-prd FILE --cloud simulated");
    add(1, "adopt consul-prd FILE --slot consul-a=i-0aaaaaaaaaaaaaaaa");
    add(0, "iam-policy FILE");
    add(1, "iam-policy BROKEN");
    add(0, "status FILE --cloud simulated");
    add(1, "doctor FILE --world STALLED");
    add(1, "debug --into FOLDER/bundle --state nowhere");
    add(64, "debug --into FOLDER/bundle");
    add(0, "explain consul-prod FILE --cloud simulated");
    add(3, "simulate FILE --image NEW --payload never-joins");
    add(0, "simulate FILE --image NEW");
    add(1, "destroy FILE --cloud simulated --confirm consul-prod");
    add(0, "run desired-state/prod --cloud simulated --once --speed 1000");
    add(1, "approve FILE --cloud simulated");
    add(0, "suspend FILE --reason x --dry-run");
    add(0, "freeze FILE --reason x --dry-run");
    add(0, "resume FILE --dry-run");
    for edit in ["suspend BROKEN --reason x", "freeze BROKEN --reason x", "resume BROKEN", "undo BROKEN"] {
        add(1, edit);
    }
    for format in ["text", "jsonl"] {
        add(0, &format!("watch FILE --world SETTLED --until-settled -o {format}"));
    }
    fs::write(Path::new(&folder).join("events.lock"), "").unwrap(); // a daemon has been there
    for told in ["events", "history"] {
        add(0, &format!("{told} --state FOLDER"));
        add(1, &format!("{told} --state FOLDER/nowhere"));
    }
    fs::write(Path::new(&folder).join("told.yaml"), RECEIVERS).unwrap();
    add(1, "notify test FOLDER/told.yaml");
    add(1, "notify test FOLDER/told.yaml -o json");
    add(1, "notify test BROKEN");
    add(0, "notify schema");
    add(0, "schema");
    add(0, "adapter schema answer");
    add(0, "completions bash");
    add(0, "man");
    add(0, "--help");
    add(0, "--version");
    add(64, "plan --no-such-option");
    all
}

/// Fails unless each command of the program is in a table.
pub fn all_are_in<'a>(table: impl IntoIterator<Item = &'a str>) {
    let known: std::collections::BTreeSet<&str> = table.into_iter().collect();
    for command in hermitcrab::cli::command().get_subcommands() {
        assert!(known.contains(command.get_name()), "{} is in no line of the table", command.get_name());
    }
}
