//! Desired state from a bare repository: whatever happens to it, nothing is lost and the trouble has a name.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde_json::Value;
use sha2::Sha256;

use super::{Daemon, Line, NEW, OLD, Place, Started};

const LAST_GOOD: &str = "source: no newer revision; the last good one stays in force";

/// A bare repository that a daemon goes by, a checkout that people work in, and the place that the daemon runs in.
pub struct Origin {
    pub place: Place,
}

impl Origin {
    pub fn new() -> Self {
        let origin = Self { place: Place::new() };
        fs::create_dir_all(origin.file().parent().unwrap()).unwrap();
        fs::copy(origin.place.file(), origin.file()).unwrap();
        origin.git(&["init", "--quiet", "--initial-branch=main"]);
        origin.git(&["init", "--quiet", "--bare", "--initial-branch=main", origin.bare().to_str().unwrap()]);
        origin.git(&["remote", "add", "origin", origin.bare().to_str().unwrap()]);
        origin.commit("Declare consul-prod");
        origin
    }

    pub fn bare(&self) -> PathBuf {
        self.place.path("state.git")
    }

    fn file(&self) -> PathBuf {
        self.place.path("work/clusters/prod/consul.yaml")
    }

    fn try_git(&self, arguments: &[&str]) -> Output {
        let settings = ["user.name=Ada", "user.email=ada@example.com", "gpg.format=ssh"];
        let mut git = Command::new("git");
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").current_dir(self.place.path("work"));
        git.args(settings.iter().flat_map(|setting| ["-c", setting])).args(arguments).output().unwrap()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.try_git(arguments);
        assert!(status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap().trim().to_owned()
    }

    /// Commits everything and pushes it, over whatever was there. Answers with the commit's id.
    fn commit_as(&self, how: &[&str]) -> String {
        self.git(&["add", "--all"]);
        self.git(&[&["commit", "--quiet", "--allow-empty"], how].concat());
        self.git(&["push", "--quiet", "--force", "origin", "HEAD:refs/heads/main"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn commit(&self, subject: &str) -> String {
        self.commit_as(&["--message", subject])
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(from), "{from} is not in the file");
        fs::write(self.file(), text.replace(from, to)).unwrap();
    }

    fn run(&self, more: &[&str]) -> Command {
        let source = format!("git+file://{}//clusters?ref=main", self.bare().display());
        let mut command = self.place.run(&["--source", &source, "--state", "state", "--source-timeout", "2s"]);
        command
            .args(if more.contains(&"--source-interval") { &[][..] } else { &["--source-interval", "1s"] })
            .args(more);
        command
    }

    /// Makes a key for ssh signatures, and answers with its public half's path.
    fn key(&self, name: &str) -> String {
        let path = self.place.path(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        format!("{}.pub", path.display())
    }

    fn sign(&self, key: &str, subject: &str) -> String {
        let key = format!("user.signingKey={key}");
        self.git(&["add", "--all"]);
        self.git(&["-c", &key, "commit", "--quiet", "--allow-empty", "-S", "--message", subject]);
        self.git(&["push", "--quiet", "--force", "origin", "HEAD:refs/heads/main"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Reads what `history` or `events` says of the log on disk.
    fn told(&self, command: &str) -> Value {
        let output = self.place.command(&[command, "--state", "state", "-o", "json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Sends a request to the socket, and answers with all that comes back.
    fn send(&self, request: &str) -> String {
        let mut socket = UnixStream::connect(self.place.path("face")).unwrap();
        socket.set_read_timeout(Some(super::PATIENCE)).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks the daemon that listens at the socket.
    fn asked(&self) -> Value {
        let from = format!("unix:{}", self.place.path("face").display());
        let output = self.place.command(&["status", "--from", &from, "-o", "json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }
}

impl Daemon {
    fn until_revision(&self, id: &str) {
        let is_it = |line: &Value| line["message"] == "revision in force" && line["revision"] == id;
        self.until(id, |line| matches!(line, Line::Log(line) if is_it(line)));
    }

    /// Waits for a trouble of that reason, which leaves the last good revision in force.
    fn until_kept(&self, reason: &str, says: &str) {
        let is_it = |line: &Value| {
            line["message"] == LAST_GOOD && line["reason"] == reason && line["problem"].as_str().unwrap().contains(says)
        };
        self.until(reason, |line| matches!(line, Line::Log(line) if is_it(line)));
    }
}

/// Puts a pipe that nobody writes to in the place of a repository's HEAD: whoever serves the repository waits for ever.
fn hang(bare: &Path) {
    fs::rename(bare.join("HEAD"), bare.join("HEAD.kept")).unwrap();
    mknodat(CWD, bare.join("HEAD"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Says whether some process waits at that pipe.
fn is_awaited(bare: &Path) -> bool {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    fs::File::options().write(true).custom_flags(flags).open(bare.join("HEAD")).is_ok()
}

#[test]
fn whatever_happens_to_a_repository_the_last_good_revision_stays_and_the_trouble_is_named() {
    let origin = Origin::new();
    let first = origin.git(&["rev-parse", "HEAD"]);
    let mut daemon = Daemon::start(origin.run(&[]));
    daemon.until_revision(&first);
    daemon.until_message("settled");

    origin.edit(OLD, NEW);
    let rolled = origin.commit("Roll consul-prod");
    daemon.until_revision(&rolled);
    daemon.until_message("desired state has changed");
    daemon.until_message("settled");
    assert_eq!(origin.place.images(), [NEW; 3]);

    origin.edit("bakeTime: 60s", "bakeTime: sixty");
    daemon.until_revision(&origin.commit("Break the file"));
    daemon.until_message("broken: the last good version stays in force");
    origin.edit("bakeTime: sixty", "bakeTime: 60s");
    daemon.until_revision(&origin.commit("Mend the file"));
    daemon.until_message("file is usable again");

    let amended = origin.commit_as(&["--amend", "--message", "Mend the file, once more"]);
    daemon.until_revision(&amended);
    daemon.until_message("the branch was rewritten: the revision in force does not descend from the one before");

    let bare = origin.bare();
    origin.git(&["--git-dir", bare.to_str().unwrap(), "update-ref", "-d", "refs/heads/main"]);
    daemon.until_kept("RefMissing", "the repository has no main");
    origin.git(&["push", "--quiet", "origin", "HEAD:refs/heads/main"]);
    daemon.until_message("source: it can be read again");

    fs::rename(&bare, origin.place.path("elsewhere")).unwrap();
    daemon.until_kept("Unreachable", "does not appear to be a git repository");
    fs::rename(origin.place.path("elsewhere"), &bare).unwrap();
    daemon.until_message("source: it can be read again");

    hang(&bare);
    daemon.until_kept("Unreachable", "it was killed: it had not ended after 2s");
    daemon.signal("TERM");
    assert_eq!(daemon.end(), Some(0));
    assert!(!is_awaited(&bare), "something that git has started goes on");

    // A daemon that begins while nobody answers goes on with what it had.
    let daemon = Daemon::start(origin.run(&[]));
    daemon.until_revision(&amended);
    daemon.until_kept("Unreachable", "it was killed");
    daemon.until_message("settled");
    fs::rename(bare.join("HEAD.kept"), bare.join("HEAD")).unwrap();
    origin.edit(NEW, OLD);
    daemon.until_revision(&origin.commit("Go back"));
    daemon.until_message("settled");
    assert_eq!(origin.place.images(), [OLD; 3]);
    drop(daemon);

    let rollouts = origin.told("history")["rollouts"].clone();
    let by = |rollout: usize| (&rollouts[rollout]["revision"]["author"], &rollouts[rollout]["revision"]["subject"]);
    assert_eq!(by(0), (&"Ada".into(), &"Roll consul-prod".into()), "{rollouts}");
    assert_eq!(by(1), (&"Ada".into(), &"Go back".into()), "{rollouts}");
    let events = origin.told("events")["events"].clone();
    let kinds = |kind: &str| events.as_array().unwrap().iter().filter(|event| event["kind"] == kind).count();
    assert!(kinds("source-failed") >= 3 && kinds("source-usable") >= 2 && kinds("revision") >= 6, "{events:#}");
}

#[test]
fn a_commit_that_nobody_who_is_allowed_to_has_signed_is_not_taken() {
    let origin = Origin::new();
    let (ours, strange) = (origin.key("ours"), origin.key("strange"));
    let signers = format!("ada@example.com namespaces=\"git\" {}", fs::read_to_string(&ours).unwrap());
    fs::write(origin.place.path("signers"), signers).unwrap();
    let good = origin.sign(&ours, "Sign");
    let face = format!("unix:{}", origin.place.path("face").display());
    let daemon = Daemon::start(origin.run(&["--source-verify", "signers", "--listen", &face]));
    daemon.until_revision(&good);
    daemon.until_message("settled");

    origin.edit(OLD, NEW);
    let unsigned = origin.commit("Roll, unsigned");
    daemon.until_kept("NotVerified", "it has no signature");
    let said = origin.asked();
    let repository = &said["daemon"]["repository"];
    assert_eq!(repository["revision"]["id"], good.as_str(), "{repository}");
    assert_eq!(repository["revision"]["verifiedBy"], "ada@example.com", "{repository}");
    assert!(repository["trouble"]["message"].as_str().unwrap().contains(&unsigned[..12]), "{repository}");
    let metrics = origin.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for series in include_str!("../face/metrics.txt").lines().filter(|line| line.contains("_source_")) {
        assert!(metrics.contains(series.split('{').next().unwrap()), "{series}: {metrics}");
    }
    assert!(metrics.contains(&format!("_source_revision_info{{revision=\"{good}\"}} 1")), "{metrics}");
    let stranger = origin.sign(&strange, "Sign with another key");
    daemon.until_kept("NotVerified", &stranger[..12]);
    assert_eq!(origin.place.images(), [OLD; 3]);

    let signed = origin.sign(&ours, "Roll");
    daemon.until_revision(&signed);
    daemon.until_message("settled");
    assert_eq!(origin.place.images(), [NEW; 3]);

    // Whoever may push, and not sign, brings back a commit whose signature is good.
    origin.git(&["push", "--quiet", "--force", "origin", &format!("{good}:refs/heads/main")]);
    daemon.until_kept("Rewritten", "push a signed commit that does");
    assert_eq!(origin.place.images(), [NEW; 3]);
    let started = Started::now();
    let of = |said: &Value, kind: &str| {
        let cluster = said["clusters"][0]["cluster"].as_str().unwrap().to_owned();
        let from = face.clone();
        let output = origin.place.command(&["explain", &cluster, "--from", &from]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains(kind)
    };
    while !of(&origin.asked(), "no newer revision: Rewritten") {
        assert!(!started.is_over(), "the daemon does not say so");
    }
}

/// OpenPGP keys in a folder of their own.
struct Keys {
    home: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self { home }
    }

    fn gpg(&self, arguments: &[&str]) -> String {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", self.home.path()).args(["--batch", "--no-tty", "--quiet", "--yes"]).args(arguments);
        let Output { status, stdout, stderr } = gpg.output().unwrap();
        assert!(status.success(), "gpg {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// Makes a key, at a moment that gpg is told is now, and answers with its fingerprint.
    fn make(&self, name: &str, at: &str, lasts: &str) -> String {
        let time: &[&str] = if at.is_empty() { &[] } else { &["--faked-system-time", at] };
        let user = format!("{name} <{name}@example.com>");
        let how = ["--passphrase", "", "--quick-generate-key", &user, "ed25519", "sign", lasts];
        self.gpg(&[time, &how].concat());
        let listed = self.gpg(&["--with-colons", "--list-keys", name]);
        listed.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap().trim_end_matches(':').to_owned()
    }

    /// Writes a program for git that signs as if it were that moment.
    fn program(&self, at: &str) -> PathBuf {
        let path = self.home.path().join(format!("gpg-{at}"));
        let time = if at.is_empty() { String::new() } else { format!(" --faked-system-time {at}") };
        let home = self.home.path().display();
        fs::write(&path, format!("#!/bin/sh\nexec gpg --homedir {home} --batch{time} \"$@\"\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The agent that gpg has started would outlast its folder.
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).status();
    }
}

#[test]
fn a_commit_counts_by_an_openpgp_key_of_the_file_and_every_other_one_is_named() {
    let (origin, keys) = (Origin::new(), Keys::new());
    let then = "20200101T000000";
    let ours = keys.make("ada", "", "never");
    let short = keys.make("bob", then, "2020-02-01");
    let revoked = keys.make("eve", "", "never");
    let strange = keys.make("mallory", "", "never");
    let file = origin.place.path("keys.asc");
    let export = || fs::write(&file, keys.gpg(&["--armor", "--export", "ada", "bob", "eve"])).unwrap();
    export();
    let sign = |key: &str, at: &str, subject: &str| {
        let program = format!("gpg.program={}", keys.program(at).display());
        let key = format!("user.signingKey={key}");
        origin.git(&["add", "--all"]);
        let signed = ["commit", "--quiet", "--allow-empty", "-S", "--message", subject];
        origin.git(&[&["-c", "gpg.format=openpgp", "-c", &program, "-c", &key], &signed[..]].concat());
        origin.git(&["push", "--quiet", "--force", "origin", "HEAD:refs/heads/main"]);
    };
    let run = |name: &str| {
        let more = ["--once", "--source-dir", name, "--source-verify-openpgp", "keys.asc"];
        let output = origin.run(&more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let refused = |name: &str, why: &str| {
        let (code, said) = run(name);
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains("NotVerified") && said.contains(why), "{name}: {said}");
    };
    refused("unsigned", "it has no signature");
    sign(&strange, "", "By a stranger");
    refused("strange", "its signature is by a key that is not known");
    sign(&short, then, "By a key that lasted a month");
    refused("short", "the key of its signature has expired");
    sign(&revoked, "", "By a key that will be revoked");
    assert_eq!(run("not-yet").0, Some(0));
    let revocation = keys.home.path().join(format!("openpgp-revocs.d/{revoked}.rev"));
    let revocation = fs::read_to_string(revocation).unwrap().replace("\n:-----BEGIN", "\n-----BEGIN");
    fs::write(keys.home.path().join("revocation"), revocation).unwrap();
    keys.gpg(&["--import", keys.home.path().join("revocation").to_str().unwrap()]);
    export();
    refused("revoked", "the key of its signature is revoked");
    origin.edit(OLD, NEW);
    sign(&ours, "", "Roll");
    let (code, said) = run("good");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ada <ada@example.com>"), "{said}");
    assert_eq!(origin.place.images(), [NEW; 3]);
    // A revision in force counts no longer once its key is out of the file.
    fs::write(&file, keys.gpg(&["--armor", "--export", "bob"])).unwrap();
    refused("good", "its signature is by a key that is not known");
}

#[test]
fn the_newest_commit_is_brought_about_once_or_nothing_is() {
    let origin = Origin::new();
    origin.edit(OLD, NEW);
    origin.commit("Roll consul-prod");
    let output = origin.run(&["--once", "--empty"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(origin.place.images(), [NEW; 3]);
    fs::rename(origin.bare(), origin.place.path("elsewhere")).unwrap();
    let output = origin.run(&["--once"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot be read: Unreachable") && said.contains("nothing was changed"), "{said}");
}

#[test]
fn links_and_submodules_of_a_commit_lead_nowhere_else() {
    let origin = Origin::new();
    let secret = origin.place.path("secret.yaml");
    fs::copy(origin.file(), &secret).unwrap();
    std::os::unix::fs::symlink(&secret, origin.place.path("work/clusters/prod/link.yaml")).unwrap();
    fs::write(origin.place.path("work/.gitattributes"), "*.yaml filter=evil\n").unwrap();
    let id = origin.git(&["rev-parse", "HEAD"]);
    origin.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},clusters/submodule")]);
    let odd = origin.commit("Point elsewhere");
    let daemon = Daemon::start(origin.run(&[]));
    daemon.until_revision(&odd);
    daemon.until("the link", |line| {
        matches!(line, Line::Log(line) if line["problem"].as_str().is_some_and(|it| it.contains("it leads out of")))
    });
    daemon.until_message("settled");
}

#[test]
fn an_address_that_cannot_be_taken_is_refused_without_its_password() {
    let place = Place::new();
    for (arguments, code, says) in [
        (&["--source", "git+https://u:hunter2@host/state.git"][..], 64, "an address has no password in it"),
        (&["--source", "git+file:///state.git", "desired-state"], 64, "cannot be used with"),
        (&["--source-interval", "5s"], 64, "--source"),
        (&["--source", "git+file:///state.git"], 1, "nobody has said where the repository is kept"),
        (&["--source", "git+ssh://git@host/state.git", "--state", "s"], 1, "needs a key"),
        (
            &["--source", "git+https://host/s.git", "--state", "s", "--source-ssh-key", "world.json"],
            1,
            "cannot be read",
        ),
    ] {
        let output = place.run(arguments).stdout(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says) && !said.contains("hunter2"), "{arguments:?}: {said}");
    }
}

#[test]
fn git_is_answered_with_the_token_of_a_file_and_nobody_else_is() {
    let place = Place::new();
    fs::write(place.path("token"), "hunter2\n").unwrap();
    let ask = |question: &str| {
        let mut command = place.command(&[question]);
        command.env("HERMITCRAB_ASKPASS", "token").output().unwrap()
    };
    let answered = ask("Password for 'https://x-access-token@git.example.com': ");
    assert_eq!((answered.status.code(), &*answered.stdout), (Some(0), &b"hunter2\n"[..]));
    for question in ["Password for 'http://git.example.com': ", "version", "--version"] {
        assert!(!String::from_utf8_lossy(&ask(question).stdout).contains("hunter2"), "{question}");
    }
}

#[test]
fn a_call_of_the_webhook_makes_the_next_look_come_soon_if_it_is_signed() {
    let origin = Origin::new();
    fs::write(origin.place.path("secret"), "a secret of the webhook\n").unwrap();
    let face = format!("unix:{}", origin.place.path("face").display());
    let more = ["--source-interval", "1h", "--listen", &face, "--webhook-secret", "secret"];
    let daemon = Daemon::start(origin.run(&more));
    daemon.until_message("settled");
    let body = "{\"ref\":\"refs/heads/anything\"}";
    let call = |header: &str| {
        let length = body.len();
        origin.send(&format!(
            "POST /hooks/source HTTP/1.1\r\nHost: localhost\r\n{header}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    let mac = Hmac::<Sha256>::new_from_slice(b"a secret of the webhook").unwrap().chain_update(body).finalize();
    let hex: String = mac.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    for wrong in
        ["X-Nothing: at all", "X-Gitlab-Token: hunter2", &format!("X-Hub-Signature-256: sha256=00{}", &hex[2..])]
    {
        assert!(call(wrong).starts_with("HTTP/1.1 403 "), "{wrong}");
    }
    for (proof, subject) in [
        (format!("X-Hub-Signature-256: sha256={hex}"), "Sign"),
        ("X-Gitlab-Token: a secret of the webhook".to_owned(), "Show a token"),
    ] {
        let id = origin.commit(subject);
        for _ in 0..10 {
            assert!(call(&proof).starts_with("HTTP/1.1 202 "), "{subject}");
        }
        daemon.until_revision(&id);
    }
    assert!(origin.send("GET /hooks/source HTTP/1.1\r\nHost: localhost\r\n\r\n").starts_with("HTTP/1.1 405 "));
}

#[test]
fn a_service_looks_at_the_repository_at_once_when_it_is_reloaded() {
    let origin = Origin::new();
    let notified = origin.place.path("notified");
    let _manager = UnixDatagram::bind(&notified).unwrap();
    let face = format!("unix:{}", origin.place.path("face").display());
    let mut command = origin.run(&["--source-interval", "1h", "--listen", &face]);
    command.env("NOTIFY_SOCKET", &notified);
    let mut daemon = Daemon::start(command);
    daemon.until_message("settled");
    for subject in ["Reload", "Reload again"] {
        let id = origin.commit(subject);
        daemon.signal("HUP");
        daemon.until_revision(&id);
    }
    daemon.signal("TERM");
    assert_eq!(daemon.end(), Some(0));
}
