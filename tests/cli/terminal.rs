//! Commands on a real terminal: nothing that is drawn stays behind, and nothing is torn.

use std::fs;
use std::path::Path;
use std::process::Command;

use hermitcrab::sim::{FaultLevel, World};
use rexpect::session::spawn_command;

use super::{FILE, prod, saved};

/// The columns of the terminal. A longer line goes on in the next row.
const WIDTH: usize = 80;

/// The lines that a terminal shows after all that was written to it.
fn screen(written: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0_usize, 0_usize);
    let mut rest = written.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                rest.next_if_eq(&'[');
                let mut number = String::new();
                let end = loop {
                    match rest.next() {
                        Some(c) if c.is_ascii_digit() || ";?".contains(c) => number.push(c),
                        other => break other,
                    }
                };
                let count = number.parse().unwrap_or(1).max(1);
                match end {
                    Some('A') => row = row.saturating_sub(count),
                    Some('B') => row += count,
                    Some('K') => lines[row].clear(),
                    Some('J') => lines.truncate(row + 1),
                    _ => {}
                }
            }
            '\r' => column = 0,
            '\n' => row += 1,
            c => {
                if column == WIDTH {
                    (row, column) = (row + 1, 0);
                    lines.resize(lines.len().max(row + 1), Vec::new());
                }
                if lines[row].len() <= column {
                    lines[row].resize(column + 1, ' ');
                }
                lines[row][column] = c;
                column += 1;
            }
        }
        if lines.len() <= row {
            lines.resize(row + 1, Vec::new());
        }
    }
    let lines = lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// Everything that `run --once` writes to a terminal of 80 columns.
fn brought(folder: &Path, world: &Path) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", "stty cols 80 rows 24; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_hermitcrab"), "run"]).arg(folder);
    shell.args(["--once", "--speed", "1000", "--log-level", "off", "--world"]).arg(world).env("TERM", "xterm");
    let written = spawn_command(shell, Some(60_000)).unwrap().exp_eof().unwrap();
    // `rexpect` takes each byte for a character.
    let bytes: Vec<u8> = written.chars().filter_map(|c| u8::try_from(c).ok()).collect();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn progress_leaves_nothing_behind_and_the_result_stands_alone() {
    let (world, dir) = (World::new(0, FaultLevel::None), tempfile::tempdir().unwrap());
    world.settle(&prod());
    let world = saved(&world);
    fs::create_dir(dir.path().join("prod")).unwrap();
    fs::copy(FILE, dir.path().join("prod/consul.yaml")).unwrap();
    let written = brought(dir.path(), world.path());
    assert!(written.contains("1 cluster, "), "progress was shown: {written:?}");
    assert_eq!(screen(&written), ["consul-prod: settled"], "{written:?}");
}

#[test]
fn a_broken_file_is_told_of_whole_although_there_is_progress() {
    let (world, dir) = (World::new(0, FaultLevel::None), tempfile::tempdir().unwrap());
    world.settle(&prod());
    let world = saved(&world);
    fs::create_dir(dir.path().join("prod")).unwrap();
    fs::copy(FILE, dir.path().join("prod/consul.yaml")).unwrap();
    fs::write(dir.path().join("broken.yaml"), "kind: [").unwrap();
    let shown = screen(&brought(dir.path(), world.path()));
    for line in ["error: not valid YAML", "= hint: look at the indentation", "consul-prod: settled"] {
        assert!(shown.iter().any(|shown| shown.contains(line)), "{line}: {shown:#?}");
    }
    assert!(shown.iter().all(|line| !line.contains("1 cluster, ")), "{shown:#?}");
}
