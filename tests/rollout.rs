//! Stories: each file `tests/rollout/<story>.txt` is a script for the simulated world and the transcript that it must
//! produce. Lines that begin with `> ` are commands; what is below one happened then. `UPDATE_EXPECT=1` writes that.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;

use hermitcrab::simulate::script::{FORMS, Setting, Story};

const STORIES: &str = "tests/rollout";
/// The rollouts of which a mean is taken.
const SEEDS: u64 = 5;

#[test]
fn every_story_goes_as_it_is_told() {
    for path in stories() {
        let text = fs::read_to_string(&path).unwrap();
        expect_file![fs::canonicalize(&path).unwrap()].assert_eq(&played(&text));
    }
}

#[test]
fn every_story_begins_with_what_it_shows() {
    for path in stories() {
        assert!(fs::read_to_string(&path).unwrap().starts_with("# "), "{} begins with no sentence", path.display());
    }
}

fn stories() -> Vec<PathBuf> {
    let is_story = |path: &Path| path.extension().is_some_and(|extension| extension == "txt");
    let mut stories: Vec<_> = fs::read_dir(STORIES).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.retain(|path| is_story(path));
    stories.sort();
    stories
}

/// The same text with what really happened below each command. No safety rule is broken in a story.
fn played(text: &str) -> String {
    let mut played = String::new();
    let setting = Setting { seed: 1, ..Setting::default() };
    let story = Story::parse(text).unwrap_or_else(|mistake| panic!("{mistake}"));
    let ended = story.play(&setting, &mut |part| played.push_str(part));
    let ended = ended.unwrap_or_else(|mistake| panic!("{mistake}\n{played}"));
    assert_eq!(ended.world.violations(), []);
    played
}

/// The first snapshot of each volume takes twelve minutes. Nobody is down for longer because of it; the second one costs its call.
#[test]
fn saving_a_large_volume_while_its_member_serves_takes_none_of_its_time() {
    let [never, running, stopped] = ["false", "running", "stopped"].map(seconds_down_with_snapshots);
    assert!(running < never + 30.0, "{running} s with a snapshot before the stop, {never} s without");
    assert!(stopped < never + 40.0, "{stopped} s with a second one after it, {never} s without");
}

/// The seconds for which members were down in one rollout, all together; the mean of several, because how long a stop takes is chance.
fn seconds_down_with_snapshots(setting: &str) -> f64 {
    (1..=SEEDS).map(|seed| seconds_down(setting, seed)).sum::<f64>() / SEEDS as f64
}

fn seconds_down(setting: &str, seed: u64) -> f64 {
    let text = format!(
        "> cluster tests/fixtures/consul-volumes.yaml\n> payload ami-0bbbbbbbbbbbbbbbb good\n\
         > commit volumes.data.snapshotBeforeReplace false\n> commit volumes.logs.snapshotBeforeReplace {setting}\n\
         > commit image ami-0bbbbbbbbbbbbbbbb\n> run to the end\n"
    );
    let ended = Story::parse(&text).unwrap().play(&Setting { seed, ..Setting::default() }, &mut |_| {});
    let ended = ended.unwrap_or_else(|mistake| panic!("{mistake}"));
    assert_eq!(ended.world.violations(), []);
    assert!(setting == "false" || ended.world.seconds() > 3.0 * 720.0, "{setting} took {} s", ended.world.seconds());
    ended.world.member_down_seconds(&"consul-volumes".into()).values().sum()
}

#[test]
fn a_mistake_is_named_with_its_place() {
    for (text, mistake) in [
        ("> clutter x", "line 1, column 3: expected `cluster`, and found `clutter`"),
        ("# Nothing.\n", "line 1, column 1: there is no command in the story"),
        ("> cluster x from scratch", "line 1, column 18: expected `nothing`, and found `scratch`"),
        (
            "> cluster x\n\n> run for ages",
            "line 3, column 11: expected a span of time, e.g. `90s`, `20m` or `2h`, and found `ages`",
        ),
        ("> cluster x\n> run to", "line 2, column 9: expected `the`, and found the end of the line"),
        (
            "> cluster x\n> crash controller 12",
            "line 2, column 20: expected the number of a controller, e.g. `1`, and found `12`",
        ),
        (
            "> cluster x\n> deregister latest",
            "line 2, column 14: expected an image, e.g. `ami-0bbbbbbbbbbbbbbbb`, and found `latest`",
        ),
        ("> cluster x\n> revert it", "line 2, column 10: expected the end of the line, and found `it`"),
        (
            "> cluster x\n> lose",
            "line 2, column 7: expected `leader`, `claims` or a zone, and found the end of the line",
        ),
        (
            "> cluster x\n> cut off consul-a from",
            "line 2, column 24: expected a slot, e.g. `consul-b`, and found the end of the line",
        ),
        (
            "> cluster x\n> cut off consul-a from consul-b and consul-c for 5m",
            "line 2, column 34: expected `for`, and found `and`",
        ),
        ("> cluster x\n> hide members of consul-a for 5m", "line 2, column 16: expected `for`, and found `of`"),
        ("> cluster x\n> hide member consul-a for 5m", "line 2, column 15: expected `of`, and found `consul-a`"),
        (
            "> cluster x\n> hide member of consul-a for a while",
            "line 2, column 31: expected a span of time, e.g. `90s`, `20m` or `2h`, and found `a`",
        ),
        (
            "> cluster x\n> allow everything\n  consul-b  stop\n> stop the instance of y",
            "line 4, column 8: expected `instance`, and found `the`",
        ),
    ] {
        assert_eq!(Story::parse(text).unwrap_err().to_string(), mistake, "{text}");
    }
}

#[test]
fn a_mistake_that_only_the_world_shows_is_named_with_its_place() {
    const FILE: &str = "desired-state/prod/consul.yaml";
    for (commands, mistake) in [
        ("> stop instance of consul-x", "line 2, column 20: consul-x has no live instance"),
        ("> cut off consul-a from consul-x for 5m", "line 2, column 25: consul-x has no live instance"),
        ("> hide member of consul-x for 5m", "line 2, column 18: consul-x has no live instance"),
        ("> approve", "line 2, column 3: nobody asks for approval"),
        ("> group", "line 2, column 3: the file adopts no Auto Scaling group"),
        ("> revert", "line 2, column 3: nothing was committed yet"),
        ("> commit without slots.consul-x", "line 2, column 3: there is no `slots.consul-x` in the file"),
    ] {
        let story = Story::parse(&format!("> cluster {FILE}\n{commands}")).unwrap();
        let played = story.play(&Setting::default(), &mut |_| {});
        assert_eq!(played.err().unwrap().to_string(), mistake, "{commands}");
    }
}

#[test]
fn every_command_of_a_story_is_documented() {
    let document = fs::read_to_string("docs/testing.md").unwrap();
    let rows: Vec<_> = FORMS.iter().map(|(form, does)| format!("| `{form}` | {does} |\n")).collect();
    assert!(document.contains(&rows.concat()), "docs/testing.md should have these rows:\n{}", rows.concat());
}
