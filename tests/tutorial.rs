//! The simulated half of `docs/tutorial.md`, command by command, in an empty folder. `UPDATE_EXPECT=1` writes what the
//! commands print into the document.
#![allow(clippy::unwrap_used)] // a test may panic

use std::path::Path;

use expect_test::expect_file;

#[path = "documents/blocks.rs"]
mod blocks;

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
        expect_file!["../docs/tutorial.md"].assert_eq(&now);
    }
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
