//! The simulated half of `docs/tutorial.md`, command by command, in an empty folder, and what the README shows of two commands.
//! `UPDATE_EXPECT=1` writes what the commands print into the documents.

use std::path::Path;

use expect_test::expect_file;

use crate::blocks;

/// The chapter whose commands are run. The other half needs an AWS account.
const CHAPTER: &str = "On the simulated cloud";

#[test]
fn the_simulated_half_of_the_tutorial_does_what_it_says() {
    let document = std::fs::read_to_string("docs/tutorial.md").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_hermitcrab")).parent().unwrap();
    let mut commands = 0;
    let now = blocks::rewritten(&document, |place, command| {
        let is_run = place.chapter == CHAPTER;
        commands += usize::from(is_run);
        is_run.then(|| blocks::printed(command, folder.path(), programs))
    });
    assert!(commands > 10, "only {commands} commands were found below `{CHAPTER}`");
    if essence(&document) != essence(&now) {
        expect_file!["../../docs/tutorial.md"].assert_eq(&now);
    }
}

const FILE: &str = "desired-state/prod/consul.yaml";

#[test]
fn the_readme_shows_what_its_commands_print() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let run = |command: &str| {
        let programs = Path::new(env!("CARGO_BIN_EXE_hermitcrab")).parent().unwrap();
        let command = format!("hermitcrab {command} --image ami-0bbbbbbbbbbbbbbbb 2>/dev/null");
        blocks::printed(&command, Path::new(env!("CARGO_MANIFEST_DIR")), programs)
    };
    let (simulated, planned) = (run(&format!("simulate {FILE}")), run(&format!("plan {FILE} --cloud simulated")));
    let now = with_block(&readme, "consul-prod: 3 slots\n", &story(&simulated));
    let now = with_block(&now, "consul-prod (prod, us-east-1): ", &last_slot(&planned));
    expect_file!["../../README.md"].assert_eq(&now);
}

/// A document with another text in the block that begins so.
fn with_block(document: &str, beginning: &str, text: &str) -> String {
    let (before, after) = document.split_once(&format!("```text\n{beginning}")).unwrap();
    let (_, after) = after.split_once("\n```\n").unwrap();
    format!("{before}```text\n{}\n```\n{after}", text.trim_end())
}

/// The first slot of a rollout whole, the last up to its stop, and the end.
fn story(printed: &str) -> String {
    let lines: Vec<_> = printed.lines().collect();
    let words = |nth: usize| lines[nth].split_whitespace().collect::<Vec<_>>();
    let is_claim = |nth: &usize| matches!(words(*nth).get(2), Some(&"claim" | &"move-claim"));
    let claims: Vec<_> = (0..lines.len()).filter(is_claim).collect();
    let [first, second, third] = claims[..] else { panic!("not three slots: {printed}") };
    let is_of = |claim: usize| move |nth: &usize| words(*nth).get(1) == words(claim).get(1);
    let stop = (third..lines.len()).find(|nth| words(*nth).get(2) == Some(&"stop")).unwrap();
    let settled = (stop..lines.len()).find(|nth| words(*nth).get(1) == Some(&"SETTLED")).unwrap();
    let so_on = "         …".to_owned();
    let same = format!("{so_on}                                 {} goes the same way", words(second)[1]);
    let told = |nth: usize| lines[nth].to_owned();
    let ahead: Vec<_> = (second..third).filter(is_of(third)).chain(third..=stop).map(told).collect();
    let end = (settled..lines.len()).map(told).collect();
    let before = (0..=second).chain((second..third).filter(is_of(first))).map(told).collect();
    [before, vec![same], ahead, vec![so_on], end].concat().join("\n")
}

/// The head of a plan, and the slot that comes last up to its stop.
fn last_slot(printed: &str) -> String {
    let (head, _) = printed.split_once('\n').unwrap();
    let (_, last) = printed.split_once("\n  3. ").unwrap();
    let stop = last.lines().position(|line| line.split_whitespace().nth(1) == Some("stop")).unwrap();
    let last: Vec<_> = last.lines().take(stop + 1).collect();
    format!("{head}\n  …\n  3. {}\n        …", last.join("\n"))
}

/// A text without what is up to chance where time passes as it does outside: ids, times, and which slot leads.
fn essence(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().map(of_no_chance).collect();
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn of_no_chance(word: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let stand_in = match bare {
        "leader" | "voter" => "ROLE",
        "consul-a" | "consul-b" | "consul-c" => "SLOT",
        "us-east-1a" | "us-east-1b" | "us-east-1c" => "ZONE",
        _ if is_made_up(bare) => "ID",
        _ if bare.parse::<jiff::Timestamp>().is_ok() => "TIME",
        _ => return word.to_owned(),
    };
    word.replace(bare, stand_in)
}

/// Whether EC2 made the id up, which it does not with an image's in this tutorial.
fn is_made_up(word: &str) -> bool {
    let id = word.split_once('-').filter(|(kind, _)| ["i", "vol", "snap", "node"].contains(kind));
    id.is_some_and(|(_, digits)| digits.len() == 17 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
