//! Things that somebody planted: escape sequences, marks that turn the direction of writing, line ends with commands for a
//! runner of workflows, and passwords. Wherever a command takes text, nothing of that comes out of it again, in any format.
//!
//! The places are found, not listed: every argument and variable of every command, every value of a file. So a new one is
//! tried as soon as it is there. For what servers answer: `tests/applications/http.rs`, `tests/aws/planted.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::at_once::at_once;
use crate::harm::{PLANTED, SECRET, harmful};

const FILE: &str = "desired-state/prod/consul.yaml";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

/// Runs the built program and gives what is harmful in all that it says.
fn says(folder: &Path, arguments: &[impl AsRef<std::ffi::OsStr>], environment: &[(String, String)]) -> Option<String> {
    // Only what follows a cluster has no end of its own.
    let follows = arguments.first().is_some_and(|name| name.as_ref() == "watch");
    let mut command = Command::new("timeout");
    command.args([if follows { "1" } else { "120" }, env!("CARGO_BIN_EXE_hermitcrab")]);
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command.env("HERMITCRAB_CLAIMS", folder.join("claims")).env("AWS_EC2_METADATA_DISABLED", "true");
    command
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_ACCESS_KEY_ID", "a")
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    let output = command.envs(environment.iter().map(|(name, value)| (name, value))).output().unwrap();
    assert!(output.status.code().is_some_and(|code| code != 101), "a panic: {}", lossy(&output.stderr));
    assert!(follows || output.status.code() != Some(124), "it does not end: {}", lossy(&output.stderr));
    harmful(&lossy(&output.stdout)).or_else(|| harmful(&lossy(&output.stderr)))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lists the lines of arguments that do harm, with the place of what was planted.
fn harm(folder: &Path, lines: impl IntoIterator<Item = (String, Vec<String>)>) -> Vec<String> {
    let harm = |(place, line): (String, Vec<String>)| Some(format!("{place}, {line:?}: {}", says(folder, &line, &[])?));
    lines.into_iter().filter_map(harm).collect()
}

fn harmless(folder: &Path, lines: impl IntoIterator<Item = (String, Vec<String>)>) {
    let found = harm(folder, lines);
    assert!(found.is_empty(), "{found:#?}");
}

/// The commands that read a file of desired state, in all of their formats.
fn readers(file: &str) -> Vec<Vec<String>> {
    let lines = [
        "validate FILE -o text",
        "validate FILE -o json",
        "validate FILE -o github",
        "plan FILE --cloud simulated --image NEW -o text",
        "plan FILE --cloud simulated --image NEW -o json",
        "plan FILE --cloud simulated --image NEW -o markdown",
        "status FILE --cloud simulated -o text",
        "status FILE --cloud simulated -o json",
        "explain consul-prod FILE --cloud simulated",
        "doctor FILE --cloud simulated",
        "iam-policy FILE",
        "retry consul-prod FILE --cloud simulated",
        "promote FILE --image NEW --dry-run",
        "promote FILE --image NEW --dry-run -o json",
        "destroy FILE --cloud simulated --confirm consul-prod",
        "simulate FILE --image NEW",
        "rehearse FILE --image NEW --cloud simulated --max-down 1ms -o markdown",
        "run FOLDER --cloud simulated --once --speed 100000 --timeout 5s --log-format json",
        "run FOLDER --cloud simulated --once --speed 100000 --timeout 5s --log-format pretty",
    ];
    let folder = Path::new(file).parent().unwrap().to_str().unwrap();
    let word = |word: &str| match word {
        "FILE" => file.to_owned(),
        "FOLDER" => folder.to_owned(),
        "NEW" => NEW.to_owned(),
        other => other.to_owned(),
    };
    lines.iter().map(|line| line.split(' ').map(word).collect()).collect()
}

#[test]
fn names_of_files_and_folders_are_harmless_wherever_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join(PLANTED.replace('/', "-"));
    fs::create_dir(&inner).unwrap();
    for (name, text) in [("good", fs::read_to_string(FILE).unwrap()), ("bad", "spec: {slots: [x]}".to_owned())] {
        let file = inner.join(format!("{name}{}.yaml", PLANTED.replace('/', "-")));
        fs::write(&file, text).unwrap();
        let lines = readers(file.to_str().unwrap());
        harmless(folder.path(), lines.into_iter().map(|line| (name.to_owned(), line)));
    }
}

/// Every way to put something in place of a value of a file of desired state, or beside it.
fn files() -> Vec<(String, String)> {
    let text = fs::read_to_string(FILE).unwrap();
    let quoted = serde_json::to_string(PLANTED).unwrap();
    let mut files = vec![
        ("a comment".to_owned(), format!("{text}# \u{1b}]0;PWNED\u{7}\u{202e}\u{9b}31m\n")),
        ("not YAML".to_owned(), format!("[{PLANTED}")),
    ];
    let (mut begin, mut rest) = (0, text.as_str());
    while let Some(line) = rest.split_inclusive('\n').next() {
        let code = line.split(" #").next().unwrap().trim_end();
        if let (Some(colon), false) = (code.find(": "), code.trim_start().starts_with('#')) {
            let at = begin + colon + 2;
            let after = begin + line.trim_end_matches('\n').len();
            files.push((line.trim().to_owned(), format!("{}{quoted}{}", &text[..at], &text[after..])));
            let key = begin + line.len() - line.trim_start().trim_start_matches("- ").len();
            files.push((
                format!("the key of {}", line.trim()),
                format!("{}{quoted}{}", &text[..key], &text[begin + colon..]),
            ));
        }
        begin += line.len();
        rest = &rest[line.len()..];
    }
    files
}

#[test]
fn every_value_and_key_of_desired_state_is_harmless_wherever_it_is_shown() {
    let all = files();
    assert!(all.len() > 40, "{}", all.len());
    let found = at_once(all, |(place, text)| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("consul.yaml");
        fs::write(&file, &text).unwrap();
        // A file that is refused is refused alike by all of them.
        let is_accepted = hermitcrab::spec::load::load(std::slice::from_ref(&file)).specs().next().is_some();
        let lines = readers(file.to_str().unwrap()).into_iter();
        let lines = lines.filter(|line| is_accepted || ["validate", "plan", "run"].contains(&&*line[0]));
        harm(folder.path(), lines.map(|line| (place.clone(), line)))
    })
    .concat();
    assert!(found.is_empty(), "{found:#?}");
}

/// Command lines with one option, and the same with a variable in its place.
#[derive(Default)]
struct Asked {
    lines: Vec<(String, Vec<String>)>,
    /// Each with its variable and the value of that.
    by_variable: Vec<(Vec<String>, (String, String))>,
}

impl Asked {
    /// Asks in a folder of its own, and gives what does harm.
    fn ask(self) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(FILE, folder.path().join("consul.yaml")).unwrap();
        let by_variable = self.by_variable.into_iter().filter_map(|(words, pair)| {
            let what = says(folder.path(), &words, std::slice::from_ref(&pair))?;
            Some(format!("{} of {words:?}: {what}", pair.0))
        });
        let mut found: Vec<_> = by_variable.collect();
        found.extend(harm(folder.path(), self.lines));
        found
    }
}

#[test]
fn every_argument_and_variable_of_every_command_is_harmless() {
    let address = format!("consul+http://user:{SECRET}@127.0.0.1:1/{PLANTED}");
    let mut all: BTreeMap<String, Asked> = BTreeMap::new();
    for command in hermitcrab::cli::command().get_subcommands() {
        let name = command.get_name();
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let asked = all.entry(argument.get_id().to_string()).or_default();
            for value in [PLANTED, &address] {
                let mut words = match argument.get_long() {
                    Some(long) => vec![name.to_owned(), format!("--{long}={value}")],
                    None => vec![name.to_owned(), value.to_owned()],
                };
                // A daemon would go on for ever.
                let once: &[&str] = if name == "run" { &["--once", "--timeout=2s"] } else { &[] };
                if argument.get_id() != "timeout" {
                    words.extend(once.iter().map(|word| (*word).to_owned()));
                }
                asked.lines.push((argument.get_id().to_string(), words));
                if let Some(variable) = argument.get_env() {
                    let variable = variable.to_str().unwrap().to_owned();
                    for words in
                        [&[name][..], &[name, "consul.yaml", "--cloud", "aws"], &[name, "consul-prod", "consul.yaml"]]
                    {
                        let words = words.iter().chain(once).map(|word| (*word).to_owned()).collect();
                        asked.by_variable.push((words, (variable.clone(), value.to_owned())));
                    }
                }
            }
        }
    }
    assert!(all.values().map(|asked| asked.lines.len()).sum::<usize>() > 200);
    let rest = vec![
        ("no command".to_owned(), vec![PLANTED.to_owned()]),
        ("no option".to_owned(), vec!["plan".to_owned(), format!("--{PLANTED}")]),
    ];
    all.insert("none".to_owned(), Asked { lines: rest, ..Asked::default() });
    // The longest are those with variables, and begin first.
    let (first, last): (Vec<_>, Vec<_>) = all.into_values().partition(|asked| !asked.by_variable.is_empty());
    let found = at_once(first.into_iter().chain(last), Asked::ask).concat();
    assert!(found.is_empty(), "{found:#?}");
}

/// The places of a document that hold text, and of each list the first one.
fn texts(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(place.to_owned()),
        Value::Array(items) => items.iter().take(1).for_each(|item| texts(item, &format!("{place}/0"), found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                texts(value, &format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}

/// Plants something behind each text of a document, one after the other, and has it read.
fn plant_in(document: &Path, lines: &[&str]) {
    let good: Value = serde_json::from_slice(&fs::read(document).unwrap()).unwrap();
    plant(&good, lines, |folder, planted| fs::write(folder.join("document.json"), planted.to_string()).unwrap());
}

/// The same for a document that is written to the folder of a cluster's file in some way.
fn plant(good: &Value, lines: &[&str], write: impl Fn(&Path, &Value)) {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(FILE, folder.path().join("consul.yaml")).unwrap();
    let mut places = Vec::new();
    texts(good, "", &mut places);
    assert!(places.len() > 4, "{places:?}");
    let mut found = Vec::new();
    for place in places {
        let mut planted = good.clone();
        let text = planted.pointer_mut(&place).unwrap();
        *text = Value::String(format!("{}{PLANTED}", text.as_str().unwrap()));
        write(folder.path(), &planted);
        let lines = lines.iter().map(|line| (place.clone(), line.split(' ').map(str::to_owned).collect()));
        found.extend(harm(folder.path(), lines));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_text_of_a_manifest_and_of_outputs_is_harmless() {
    plant_in(
        Path::new("tests/fixtures/packer-manifest.json"),
        &["promote consul.yaml --dry-run --manifest document.json"],
    );
    let from = ["init - --image ami-0bbbbbbbbbbbbbbbb --from-terraform document.json"];
    plant_in(Path::new("tests/fixtures/terraform-outputs.json"), &from);
}

/// The world stands for all that EC2 and the members say: names, tags, ids, reasons.
#[test]
fn every_text_of_a_saved_world_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.json");
    let simulate = ["simulate", FILE, "--image", NEW, "--payload", "unhealthy", "--world", world.to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_hermitcrab")).args(simulate).output().unwrap();
    assert!(world.exists(), "{}", lossy(&output.stderr));
    plant_in(
        &world,
        &[
            "status consul.yaml --world document.json",
            "plan consul.yaml --world document.json -o markdown",
            "explain consul-prod consul.yaml --world document.json",
            "doctor consul.yaml --world document.json",
            "status consul.yaml --world document.json -o json",
        ],
    );
}

/// The log of events may have been written by anybody who could write to the daemon's folder.
#[test]
fn every_text_of_a_log_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let (file, state) = (folder.path().join("consul.yaml"), folder.path().join("state"));
    let text = fs::read_to_string(FILE).unwrap();
    for text in [text.clone(), text.replace("ami-0aaaaaaaaaaaaaaaa", NEW)] {
        fs::write(&file, text).unwrap();
        let mut run = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        run.current_dir(folder.path()).args([
            "run",
            "consul.yaml",
            "--once",
            "--speed",
            "1000",
            "--world",
            "world.json",
        ]);
        let output = run.args(["--state", "state"]).output().unwrap();
        assert!(output.status.success(), "{}", lossy(&output.stderr));
    }
    let log = fs::read_to_string(state.join("events-000000000001.jsonl")).unwrap();
    // The first event of each kind, in their order.
    let mut kinds = Vec::new();
    let mut records = serde_json::Map::new();
    for (line, at) in log.lines().zip(100..) {
        let record: Value = serde_json::from_str(line).unwrap();
        let kind = (record["kind"].clone(), record["action"].clone());
        if !kinds.contains(&kind) {
            kinds.push(kind);
            records.insert(at.to_string(), record);
        }
    }
    plant(
        &Value::Object(records),
        &[
            "events --state state",
            "events --state state -o jsonl",
            "history --state state",
            "promote --from . --to . --check --state state",
            "undo consul.yaml --state state --dry-run",
        ],
        |folder, records| {
            fs::create_dir_all(folder.join("state")).unwrap();
            let lines = records.as_object().unwrap().values().map(|record| record.to_string() + "\n");
            fs::write(folder.join("state/events-000000000001.jsonl"), lines.collect::<String>()).unwrap();
        },
    );
}

/// Somebody else may listen at the place that a command is told to ask.
#[test]
fn whatever_answers_in_place_of_a_daemon_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(FILE, folder.path().join("consul.yaml")).unwrap();
    let event = json!({"formatVersion": "1.1", "id": 1, "at": "2026-01-05T09:00:00Z", "cluster": PLANTED, "kind": "answer",
        "answer": "stalled", "slot": PLANTED, "reasons": [PLANTED], "text": PLANTED});
    let rollout = json!({"id": 1, "cluster": PLANTED, "kind": "upgrade", "from": {"image": PLANTED, "version": PLANTED},
        "to": {"image": PLANTED, "version": null}, "started": "2026-01-05T09:00:00Z", "ended": null, "outcome": "stalled",
        "why": PLANTED, "answer": PLANTED, "approval": PLANTED, "leastMargin": null, "slots": [{"slot": PLANTED,
        "started": "2026-01-05T09:00:00Z", "ended": null, "oldInstance": null, "newInstance": null, "failed": PLANTED,
        "memberDownSeconds": 3}]});
    let cluster = json!({"cluster": PLANTED, "attention": "stalled", "environment": PLANTED, "answer": PLANTED});
    let documents = json!({"events": [event], "rollouts": [rollout], "clusters": [cluster], "summary": cluster});
    for (body, verdict) in [
        (PLANTED.to_owned(), Some(1)),
        (json!(PLANTED).to_string(), Some(1)),
        (json!({"clusters": PLANTED, "detail": PLANTED}).to_string(), Some(1)),
        (documents.to_string(), None),
    ] {
        let place = answering(body.clone());
        for line in [
            "status --from PLACE",
            "status --from PLACE -o json",
            "explain consul-prod --from PLACE",
            "explain consul-prod --from PLACE -o json",
            "events --from PLACE",
            "events --from PLACE -o jsonl",
            "history --from PLACE",
            "history --from PLACE -o json",
            "watch --from PLACE",
            "watch --from PLACE -o jsonl",
            "promote --from . --to . --check --daemon PLACE",
        ] {
            let words: Vec<_> = line.split(' ').map(|word| word.replace("PLACE", &place)).collect();
            harmless(folder.path(), [(body.clone(), words.clone())]);
            let needs_document = !line.starts_with("explain") || line.ends_with("json") && body == PLANTED;
            if let (Some(verdict), true) = (verdict, needs_document) {
                let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
                let output = command.current_dir(folder.path()).args(words).output().unwrap();
                assert_eq!(output.status.code(), Some(verdict), "{line}, {body}: {}", lossy(&output.stderr));
                assert!(lossy(&output.stderr).contains("no daemon of hermitcrab"), "{line}: {}", lossy(&output.stderr));
            }
        }
    }
}

/// Listens on this machine, and answers every request with the same; says where.
fn answering(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        }
    });
    place
}

#[test]
fn a_story_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(FILE, folder.path().join("consul.yaml")).unwrap();
    for line in ["cluster", "cluster consul.yaml\n> commit image", "cluster consul.yaml\n>", "cluster consul.yaml\n#"] {
        fs::write(folder.path().join("story.txt"), format!("> {line} {}\n", PLANTED.replace('\n', " "))).unwrap();
        let words = ["simulate", "--script", "story.txt"].map(str::to_owned).to_vec();
        harmless(folder.path(), [(line.to_owned(), words)]);
    }
}
