//! Traces of passes: what a collector is told, how long a span is, and what never reaches it.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

const SECRET: &str = "planted-secret-4711";
const OLD: &str = "ami-0aa11bb22cc33dd44";
const NEW: &str = "ami-0bb22cc33dd44ee55";

/// Messages, each with its head and its body.
type Messages = Mutex<Vec<(String, Vec<u8>)>>;

/// A collector on a loopback address.
struct Collector {
    url: String,
    messages: Arc<Messages>,
}

impl Collector {
    fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let messages = Arc::<Messages>::default();
        let kept = Arc::clone(&messages);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(stream, status, &kept));
            }
        });
        Self { url, messages }
    }

    fn spans(&self) -> Vec<Span> {
        let decoded = |(_, body): &(String, Vec<u8>)| ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let messages: Vec<_> = self.messages.lock().unwrap().iter().map(decoded).collect();
        let scopes = messages.into_iter().flat_map(|message| message.resource_spans).flat_map(|of| of.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

fn serve(stream: TcpStream, status: &str, kept: &Messages) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            head += &line;
        }
        let length =
            head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        kept.lock().unwrap().push((head, body));
        write!(writer, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

/// Rolls a simulated cluster to a new image, with a secret in its folder's name and in its tags.
fn rolled(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let desired = folder.join(SECRET);
    std::fs::create_dir_all(&desired).unwrap();
    let example = std::fs::read_to_string("desired-state/prod/consul.yaml").unwrap();
    let example = example.replace("team: platform", &format!("team: {SECRET}"));
    let file = desired.join("consul.yaml");
    let run = |image: &str, arguments: &[&str]| {
        std::fs::write(&file, image_of(&example, image)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        command.args(["run", "--cloud", "simulated", "--once", "--world"]).arg(folder.join("world.json"));
        command.arg(&desired).args(arguments).envs(variables.iter().copied()).output().unwrap()
    };
    let first = run(OLD, &[]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    run(NEW, arguments)
}

fn image_of(example: &str, image: &str) -> String {
    let with = |line: &str| if line.starts_with("  image:") { format!("  image: {image}") } else { line.to_owned() };
    example.lines().map(with).collect::<Vec<_>>().join("\n") + "\n"
}

fn attribute<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[test]
fn each_pass_is_a_trace_with_its_looks_and_its_change_and_no_secret() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start("200 OK"));
    let output = rolled(folder.path(), &["--traces", &collector.url], &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let spans = collector.spans();
    let passes: BTreeMap<_, _> =
        spans.iter().filter(|span| span.parent_span_id.is_empty()).map(|span| (span.span_id.clone(), span)).collect();
    assert!(passes.len() > 10, "{} passes", passes.len());
    assert!(passes.values().all(|pass| pass.name == "pass" && attribute(pass, "cluster") == Some("consul-prod")));
    assert!(passes.values().any(|pass| attribute(pass, "answer") == Some("settled")));
    let mut within = BTreeMap::<_, usize>::new();
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        let pass = passes.get(&span.parent_span_id).unwrap_or_else(|| panic!("no pass has {span:?}"));
        assert_eq!(span.trace_id, pass.trace_id);
        let is_within = pass.start_time_unix_nano <= span.start_time_unix_nano
            && span.start_time_unix_nano <= span.end_time_unix_nano
            && span.end_time_unix_nano <= pass.end_time_unix_nano;
        assert!(is_within, "longer than its pass: {span:?}");
        let what = attribute(span, "at").or(attribute(span, "effect")).unwrap();
        *within.entry(format!("{} {what}", span.name)).or_default() += 1;
    }
    for look in ["look ec2", "look claim", "look members"] {
        assert!(within[look] >= passes.len(), "{look}: {within:?}");
    }
    for (change, times) in [("change launch", 3), ("change stop", 3), ("change attach", 3), ("change settle", 3)] {
        assert_eq!(within.get(change), Some(&times), "{within:?}");
    }
    let messages = collector.messages.lock().unwrap();
    assert!(messages.iter().all(|(head, _)| head.starts_with("POST /v1/traces HTTP/1.1\r\n")));
    for (head, body) in messages.iter() {
        let text = format!("{head}{}", String::from_utf8_lossy(body));
        assert!(!text.contains(SECRET) && !text.contains(folder.path().to_str().unwrap()), "{text}");
    }
}

#[test]
fn the_variable_of_opentelemetry_names_the_collector_as_well() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start("200 OK"));
    let output = rolled(folder.path(), &[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(collector.spans().iter().any(|span| attribute(span, "effect") == Some("terminate")));
}

#[test]
fn a_collector_that_takes_nothing_costs_no_rollout_and_shows_no_password() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start("503 Service Unavailable"));
    let url = collector.url.replace("http://", &format!("http://crab:{SECRET}@"));
    let output = rolled(folder.path(), &["--traces", &url], &[]);
    let said = String::from_utf8_lossy(&output.stderr).replace(&*folder.path().join(SECRET).to_string_lossy(), "");
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    let output = rolled(folder.path(), &["--traces", "collector.example:4317"], &[]);
    assert_eq!(output.status.code(), Some(1));
}
