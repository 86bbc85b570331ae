//! Commands on a real terminal: nothing that is drawn stays behind, and nothing is torn.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hermitcrab::sim::{FaultLevel, World};
use rexpect::session::{PtySession, spawn_command};
use tempfile::TempDir;

use super::{FILE, prod, saved};

/// The columns of the terminal, where no other width is tried.
const WIDTH: usize = 80;

/// The lines that a terminal shows after all that was written to it. A line that is longer than it is wide goes on in the next row.
fn screen(written: &str, width: usize) -> Vec<String> {
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
                if column == width {
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
    text(&written)
}

/// The text that a terminal was sent: `rexpect` takes each byte for a character.
pub fn text(written: &str) -> String {
    let bytes: Vec<u8> = written.chars().filter_map(|c| u8::try_from(c).ok()).collect();
    String::from_utf8(bytes).unwrap()
}

/// A daemon that is about to roll a cluster, and ends with the test.
struct Rolling {
    folder: TempDir,
    child: Child,
}

impl Rolling {
    fn start(speed: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (file, world) = (path("consul.yaml"), World::new(0, FaultLevel::None));
        world.settle(&prod());
        world.save(Path::new(&path("world.json"))).unwrap();
        let committed = fs::read_to_string(FILE).unwrap().replace("ami-0aaaaaaaaaaaaaaaa", "ami-0bbbbbbbbbbbbbbbb");
        fs::write(&file, committed).unwrap();
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        daemon.args(["run", &file, "--speed", speed, "--world", &path("world.json"), "--listen"]);
        daemon.arg(format!("unix:{}", path("face.sock"))).stderr(Stdio::null());
        let child = daemon.spawn().unwrap();
        let is_there = |_: &u32| {
            std::thread::sleep(Duration::from_millis(50));
            folder.path().join("face.sock").exists()
        };
        assert!((0..600).find(is_there).is_some(), "the daemon does not listen");
        Self { folder, child }
    }

    fn place(&self) -> String {
        format!("unix:{}", self.folder.path().join("face.sock").to_str().unwrap())
    }

    /// Watches the daemon on a terminal of so many columns.
    fn watch(&self, columns: usize, more: &[&str]) -> PtySession {
        let mut shell = Command::new("sh");
        let prepare = format!("stty cols {columns} rows 40; exec \"$@\"");
        shell
            .args(["-c", &prepare, "sh", env!("CARGO_BIN_EXE_hermitcrab"), "watch", "--from", &self.place()])
            .args(more);
        spawn_command(shell, Some(60_000)).unwrap()
    }
}

impl Drop for Rolling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn watch_draws_the_tree_in_its_place_at_every_width_and_leaves_it_as_it_was_last() {
    for columns in [80, 140] {
        let written = text(&Rolling::start("80").watch(columns, &["--until-settled"]).exp_eof().unwrap());
        for part in ["├─ ", "▸ ", "took "] {
            assert!(written.contains(part), "{part}: {written:?}");
        }
        let left = screen(&written, columns);
        assert_eq!(left.len(), 2, "nothing of earlier trees stays: {left:#?}");
        assert_eq!(left[0], "1 cluster, 1 settled");
        assert!(left[1].starts_with("consul-prod  settled, for "), "{left:#?}");
    }
}

#[test]
fn watch_ends_at_ctrl_c_with_the_cursor_below_the_tree() {
    let daemon = Rolling::start("20");
    let mut session = daemon.watch(80, &[]);
    session.exp_string("consul-prod").unwrap();
    session.send_control('c').unwrap();
    let written = session.exp_eof().unwrap();
    assert!(written.ends_with('\n'), "{written:?}");
    assert!(format!("{:?}", session.process().wait().unwrap()).contains("130"), "the exit code is not that of SIGINT");
}

#[test]
fn watch_tells_each_change_in_a_line_where_there_is_no_terminal() {
    let daemon = Rolling::start("80");
    let watch = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        let output = command.args(["watch", "--from", &daemon.place(), "--until-settled"]).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = watch(&["-o", "jsonl"]);
    let rows: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().any(|row| row["step"].is_object()), "{told}");
    assert_eq!(rows.last().unwrap()["attention"], "settled");
    assert_eq!(watch(&[]), "consul-prod: settled, 3 of 3 on ami-0bbbbbbbbbbbbbbbb\n");
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
    assert_eq!(screen(&written, WIDTH), ["consul-prod: settled"], "{written:?}");
}

#[test]
fn a_broken_file_is_told_of_whole_although_there_is_progress() {
    let (world, dir) = (World::new(0, FaultLevel::None), tempfile::tempdir().unwrap());
    world.settle(&prod());
    let world = saved(&world);
    fs::create_dir(dir.path().join("prod")).unwrap();
    fs::copy(FILE, dir.path().join("prod/consul.yaml")).unwrap();
    fs::write(dir.path().join("broken.yaml"), "kind: [").unwrap();
    let shown = screen(&brought(dir.path(), world.path()), WIDTH);
    for line in ["error: not valid YAML", "= hint: look at the indentation", "consul-prod: settled"] {
        assert!(shown.iter().any(|shown| shown.contains(line)), "{line}: {shown:#?}");
    }
    assert!(shown.iter().all(|line| !line.contains("1 cluster, ")), "{shown:#?}");
}
