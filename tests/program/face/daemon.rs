//! A daemon under way in a simulated world, with a face.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two questions.
pub const BREATH: Duration = Duration::from_millis(50);
pub const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
pub const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

/// A daemon, its files, and where it listens. It ends with the test.
pub struct Daemon {
    pub folder: TempDir,
    pub address: SocketAddr,
    child: Child,
    log: Receiver<Value>,
}

/// An answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Daemon {
    /// Starts a daemon on these files of the examples, e.g. `prod/consul.yaml`.
    pub fn start(files: &[&str], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join("desired-state").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(Path::new("desired-state").join(file), path).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_hermitcrab"))
            .current_dir(folder.path())
            .args(["run", "--cloud", "simulated", "--log-format", "json", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str(&line) {
                    let _ = sender.send(line);
                }
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Self { folder, address, child, log };
        let told = daemon.until("where it listens", |line| line["message"] == "showing what the daemon knows");
        daemon.address = told["at"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        daemon
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file as an editor does it: a new one, renamed over the old one.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{from} is not in {name}");
        self.write(name, &text.replace(from, to));
    }

    /// Waits for a line of the log.
    pub fn until(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if is_it(&line) => return line,
                Ok(_) => {}
                Err(_) => panic!("{what}: no such line within {PATIENCE:?}, or the daemon has ended"),
            }
        }
    }

    /// Sends bytes as they are, and reads until the other end closes.
    pub fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // The other end may have had enough already.
        let _ = stream.write_all(bytes);
        answer(&mut stream)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).as_bytes())
    }

    /// Asks for a document again and again until it is as wanted.
    pub fn until_document(&self, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..PATIENCE.as_millis() / BREATH.as_millis() {
            let answer = self.get(path);
            if answer.status == 200 && is_so(&answer.json()) {
                return answer.json();
            }
            thread::sleep(BREATH);
        }
        panic!("{what}: not within {PATIENCE:?}: {:#?}", self.get(path));
    }

    /// Has a command ask it: the exit code, and what the command says.
    pub fn asked_by(&self, line: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
        let output = command.args(line).args(["--from", &self.address.to_string()]).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), said)
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an answer to its end.
pub fn answer(stream: &mut impl Read) -> Answer {
    let mut bytes = Vec::new();
    // A connection that was cut off has said what it said.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}
