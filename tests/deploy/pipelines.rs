//! `hermitcrab_ci.py` at work: in a repository of its own, against a host that keeps comments as GitHub or GitLab do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::HERMITCRAB;

const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
const NEWER: &str = "ami-0cccccccccccccccc";

#[test]
fn a_plan_is_one_comment_however_often_is_pushed() {
    for host in [Host::GITHUB, Host::GITLAB] {
        let desk = Desk::new(host);
        // A page full of what others say comes first.
        (0..120).for_each(|number| desk.server.say(&format!("comment {number}")));
        let base = desk.commit("prod", OLD);
        for image in [NEW, NEWER] {
            desk.commit("prod", image);
            let said = desk.run(&["plan", &base]);
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let ours = desk.server.said("<!-- hermitcrab-plan:prod/consul-prod -->");
            let [comment] = &ours[..] else { panic!("{}: {} comments", host.name, ours.len()) };
            assert!(comment.contains("### consul-prod: no slot to change"), "{comment}");
            assert!(comment.contains(image), "{comment}");
        }
        assert_eq!(desk.server.said("").len(), 121);
    }
}

#[test]
fn nothing_is_said_of_files_that_did_not_change() {
    let desk = Desk::new(Host::GITHUB);
    let base = desk.commit("prod", OLD);
    fs::write(desk.work().join("README.md"), "words").unwrap();
    desk.commit_all("words");
    assert!(desk.run(&["plan", &base]).status.success());
    assert_eq!(desk.server.said(""), [""; 0]);
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_and_no_comment() {
    let desk = Desk::new(Host::GITHUB);
    let base = desk.commit("prod", OLD);
    desk.commit("prod", "latest");
    let said = desk.run(&["plan", &base]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("latest"));
    assert_eq!(desk.server.said(""), [""; 0]);
}

#[test]
fn a_red_rehearsal_is_reported_and_fails_the_job() {
    let desk = Desk::new(Host::GITHUB);
    let base = desk.commit("prod", OLD);
    desk.commit("staging", OLD);
    desk.commit("prod", NEW);
    let said = desk.run(&["rehearse", &base]);
    assert_eq!(said.status.code(), Some(1), "{}", String::from_utf8_lossy(&said.stderr));
    let red = desk.server.said("<!-- hermitcrab-rehearsal:desired-state/prod/consul.yaml -->");
    assert!(red[0].contains(&format!("rehearsed {NEW}: red")), "{red:?}");
    let green = desk.server.said("<!-- hermitcrab-rehearsal:desired-state/staging/consul.yaml -->");
    let nothing = format!("consul-staging: there is nothing to rehearse, because the cluster has settled on {OLD}");
    assert!(green[0].contains(&nothing), "{green:?}");
}

/// Names that a shell, git, a comment or a runner of workflows would take for something else.
const ODD: [&str; 6] =
    ["k\u{f6}ln", "with\"quote", "a *", "line\nend", "::error::x", "--> <!-- hermitcrab-plan:other -->"];

#[test]
fn files_of_any_name_are_planned_rehearsed_and_promoted() {
    let desk = Desk::new(Host::GITHUB);
    let base = desk.commit("prod", OLD);
    for (number, name) in ODD.into_iter().enumerate() {
        for folder in ["prod", "staging"] {
            let text = cluster(folder, OLD).replace("name: consul-", &format!("name: odd-{number}-"));
            let folder = desk.work().join("desired-state").join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
        }
    }
    desk.commit_all("odd names");
    let said = desk.run(&["plan", &base]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let plans = desk.server.said("<!-- hermitcrab-plan:");
    assert_eq!(plans.len(), 2 * ODD.len(), "{plans:#?}");
    let staged = desk.git(&["rev-parse", "HEAD"]);
    for (number, name) in ODD.into_iter().enumerate() {
        let text = cluster("staging", NEW).replace("name: consul-", &format!("name: odd-{number}-"));
        fs::write(desk.work().join(format!("desired-state/staging/{name}.yaml")), text).unwrap();
    }
    desk.commit_all("another image");
    let said = desk.run(&["rehearse", &staged]);
    let told = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(!told.lines().any(|line| line.starts_with("::error::x")), "{told}");
    let reports = desk.server.said("<!-- hermitcrab-rehearsal:");
    assert_eq!(reports.len(), ODD.len(), "{reports:#?}");
    assert!(reports.iter().all(|report| report.lines().next().unwrap().ends_with(" -->")), "{reports:#?}");
    let said = desk.run(&["promote", &staged, "desired-state/staging", "desired-state/prod"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(desk.server.proposed().len(), ODD.len());
}

#[test]
fn what_was_merged_for_staging_is_proposed_for_its_namesake() {
    for host in [Host::GITHUB, Host::GITLAB] {
        let desk = Desk::new(host);
        desk.commit("prod", OLD);
        let base = desk.commit("staging", OLD);
        desk.commit("staging", NEW);
        fs::write(desk.work().join("desired-state/staging/alone.yaml"), cluster("staging", NEW)).unwrap();
        desk.commit_all("a cluster that prod does not have");
        // Proposed twice, there is one proposal.
        for _ in 0..2 {
            let said = desk.run(&["promote", &base, "desired-state/staging", "desired-state/prod"]);
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            assert!(String::from_utf8_lossy(&said.stdout).contains("alone.yaml has no namesake"));
        }
        let branch = "promote/desired-state/prod/consul";
        let promoted = desk.git(&["show", &format!("origin/{branch}:desired-state/prod/consul.yaml")]);
        assert_eq!(promoted, cluster("prod", NEW).trim_end());
        let changed = desk.git(&["diff", "--name-only", &format!("main...origin/{branch}")]);
        assert_eq!(changed, "desired-state/prod/consul.yaml");
        let proposed = desk.server.proposed();
        assert_eq!(proposed.len(), 1, "{proposed:?}");
        assert_eq!(proposed[0][host.head], branch);
        assert_eq!(proposed[0][host.base], "main");
        assert_eq!(proposed[0]["title"], format!("Promote {NEW} to desired-state/prod/consul.yaml"));
    }
}

/// The differences between the hosts of pipelines.
#[derive(Clone, Copy)]
struct Host {
    name: &'static str,
    /// The variables in the environment of a pipeline; `URL` stands for the server's address.
    environment: &'static [(&'static str, &'static str)],
    credential: &'static str,
    comments: &'static str,
    replace: (&'static str, &'static str),
    proposals: &'static str,
    refusal: u16,
    head: &'static str,
    base: &'static str,
}

impl Host {
    const GITHUB: Self = Self {
        name: "GitHub",
        environment: &[
            ("GITHUB_API_URL", "URL"),
            ("GITHUB_REPOSITORY", "team/desired"),
            ("GITHUB_TOKEN", "secret"),
            ("GITHUB_REF_NAME", "main"),
            ("PULL_REQUEST", "7"),
        ],
        credential: "authorization: Bearer secret",
        comments: "/repos/team/desired/issues/7/comments",
        replace: ("PATCH", "/repos/team/desired/issues/comments/"),
        proposals: "/repos/team/desired/pulls",
        refusal: 422,
        head: "head",
        base: "base",
    };
    const GITLAB: Self = Self {
        name: "GitLab",
        environment: &[
            ("CI_API_V4_URL", "URL"),
            ("CI_PROJECT_ID", "42"),
            ("GITLAB_TOKEN", "secret"),
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_DEFAULT_BRANCH", "main"),
        ],
        credential: "private-token: secret",
        comments: "/projects/42/merge_requests/7/notes",
        replace: ("PUT", "/projects/42/merge_requests/7/notes/"),
        proposals: "/projects/42/merge_requests",
        refusal: 409,
        head: "source_branch",
        base: "target_branch",
    };
}

/// A repository with an origin, a host to talk to, and a hermitcrab that looks at the simulated cloud.
struct Desk {
    host: Host,
    folder: TempDir,
    server: Server,
}

impl Desk {
    fn new(host: Host) -> Self {
        let desk = Self { host, folder: tempfile::tempdir().unwrap(), server: Server::start(host) };
        let origin = desk.folder.path().join("origin.git");
        fs::create_dir(desk.work()).unwrap();
        desk.git(&["init", "--quiet", "--bare", origin.to_str().unwrap()]);
        desk.git(&["init", "--quiet", "--initial-branch", "main"]);
        desk.git(&["remote", "add", "origin", origin.to_str().unwrap()]);
        desk.install();
        desk
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The built program, but that the world is simulated, and that a rehearsal of the new image ends at once, red.
    fn install(&self) {
        let program = format!(
            r#"#!/bin/sh
case "$1 $*" in
plan*--cloud*) exec {HERMITCRAB} "$@" ;;
plan*) exec {HERMITCRAB} "$@" --cloud simulated ;;
promote*) sed -i "s/^  image: .*/  image: $4/" "$2" ;;
rehearse*{NEW}*) echo "rehearsed {NEW}: red"; exit 1 ;;
rehearse*) exec {HERMITCRAB} "$@" --cloud simulated ;;
esac
"#
        );
        let bin = self.folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("hermitcrab"), program).unwrap();
        fs::set_permissions(bin.join("hermitcrab"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn commit(&self, environment: &str, image: &str) -> String {
        let folder = self.work().join("desired-state").join(environment);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("consul.yaml"), cluster(environment, image)).unwrap();
        self.commit_all(image)
    }

    fn commit_all(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, arguments: &[&str]) -> String {
        let said = self.command("git", arguments).output().unwrap();
        assert!(said.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap().trim_end().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/pipelines/hermitcrab_ci.py");
        self.command("python3", &[&[script.to_str().unwrap()], arguments].concat()).output().unwrap()
    }

    /// In the repository, with nothing of this machine's settings.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        let person = ["AUTHOR", "COMMITTER"]
            .into_iter()
            .flat_map(|role| [(format!("GIT_{role}_NAME"), "crab"), (format!("GIT_{role}_EMAIL"), "crab@example.com")]);
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.work()).env_clear().envs(person);
        command.env("PATH", path).env("HOME", self.folder.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for (name, value) in self.host.environment {
            command.env(name, value.replace("URL", &self.server.url));
        }
        command
    }
}

fn cluster(environment: &str, image: &str) -> String {
    let prod = fs::read_to_string("desired-state/prod/consul.yaml").unwrap();
    prod.replace("consul-prod", &format!("consul-{environment}")).replace(OLD, image)
}

/// Keeps comments and proposals, in memory.
struct Server {
    url: String,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    comments: BTreeMap<u64, String>,
    proposals: Vec<Value>,
}

impl Server {
    fn start(host: Host) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept::default()));
        let own = kept.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = answer(host, &own, stream.unwrap());
            }
        });
        Self { url, kept }
    }

    fn say(&self, text: &str) {
        self.kept.lock().unwrap().add(text);
    }

    /// The comments that begin so.
    fn said(&self, marker: &str) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.comments.values().filter(|comment| comment.starts_with(marker)).cloned().collect()
    }

    fn proposed(&self) -> Vec<Value> {
        self.kept.lock().unwrap().proposals.clone()
    }
}

impl Kept {
    fn add(&mut self, text: &str) {
        self.comments.insert(self.comments.len() as u64 + 1000, text.to_owned());
    }

    fn call(&mut self, host: Host, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let text = body["body"].as_str().unwrap_or_default();
        match (method, path) {
            ("GET", path) if path == host.comments => (200, self.page(query)),
            ("POST", path) if path == host.comments => {
                self.add(text);
                (201, json!({}))
            }
            ("POST", path) if path == host.proposals => {
                if self.proposals.iter().any(|one| one[host.head] == body[host.head]) {
                    return (host.refusal, json!({ "message": "there is one already" }));
                }
                self.proposals.push(body.clone());
                (201, json!({}))
            }
            (method, path) if method == host.replace.0 && path.starts_with(host.replace.1) => {
                let id = path.rsplit('/').next().unwrap().parse().unwrap();
                *self.comments.get_mut(&id).unwrap() = text.to_owned();
                (200, json!({}))
            }
            _ => (404, json!({ "message": format!("{method} {target}") })),
        }
    }

    /// `per_page=100&page=N`.
    fn page(&self, query: &str) -> Value {
        let value = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map_or(1, |(_, value)| value.parse::<usize>().unwrap())
        };
        let (size, page) = (value("per_page"), value("page"));
        let comments = self.comments.iter().skip(size * (page - 1)).take(size);
        comments.map(|(id, body)| json!({ "id": id, "body": body })).collect()
    }
}

fn answer(host: Host, kept: &Mutex<Kept>, mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while lines.read_line(&mut head)? > 2 {}
    let header = |name: &str| {
        let of = |line: &str| {
            line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|it| it.1.to_owned())
        };
        head.lines().find_map(of)
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    lines.read_exact(&mut body)?;
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (name, secret) = host.credential.split_once(": ").unwrap();
    let (status, said) = match header(name).as_deref() == Some(secret) {
        true => kept.lock().unwrap().call(host, method, target, &serde_json::from_slice(&body).unwrap_or_default()),
        false => (401, json!({ "message": "who are you?" })),
    };
    let said = said.to_string();
    write!(stream, "HTTP/1.1 {status} so\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}", said.len())
}
