//! Instance metadata as IMDSv2 gives them: to those who have asked for a token first.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

const TOKEN: &str = "a-token-of-the-test";
/// A value that the service does not give for now.
const BUSY: &str = "\0busy";

/// A server of metadata, until the test ends.
pub struct Metadata {
    pub url: String,
    values: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Metadata {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let values = Arc::new(Mutex::new(BTreeMap::new()));
        let served = values.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream.try_clone().unwrap(), stream, &served.lock().unwrap());
            }
        });
        Self { url, values }
    }

    /// Serves at a socket of that path too, which can be reached from every network namespace.
    pub fn also_at(&self, path: &Path) {
        let (listener, served) = (UnixListener::bind(path).unwrap(), self.values.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream.try_clone().unwrap(), stream, &served.lock().unwrap());
            }
        });
    }

    /// Takes a value below `meta-data` away.
    pub fn unset(&self, path: &str) {
        self.values.lock().unwrap().remove(path);
    }

    /// Sets a value below `meta-data`.
    pub fn set(&self, path: &str, value: &str) {
        self.values.lock().unwrap().insert(path.to_owned(), value.to_owned());
    }

    /// Has an instance tag not answered for, until it is set.
    pub fn busy(&self, key: &str) {
        self.tag(key, BUSY);
    }

    /// Sets an instance tag.
    pub fn tag(&self, key: &str, value: &str) {
        self.set(&format!("tags/instance/{key}"), value);
    }
}

fn answer(asked: impl Read, mut stream: impl Write, values: &BTreeMap<String, String>) {
    let lines = BufReader::new(asked).lines().map_while(Result::ok);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| head.iter().any(|line| line.to_ascii_lowercase().starts_with(name));
    let request = head.first().map(String::as_str).unwrap_or_default();
    let (status, body) = match request.split(' ').collect::<Vec<_>>()[..] {
        ["PUT", "/latest/api/token", _] if header("x-aws-ec2-metadata-token-ttl-seconds: ") => ("200 OK", TOKEN),
        ["GET", _, _] if !header(&format!("x-aws-ec2-metadata-token: {TOKEN}")) => ("401 Unauthorized", ""),
        ["GET", path, _] => match path.strip_prefix("/latest/meta-data/").and_then(|path| values.get(path)) {
            Some(value) if value == BUSY => ("503 Service Unavailable", ""),
            Some(value) => ("200 OK", value.as_str()),
            None => ("404 Not Found", ""),
        },
        _ => ("400 Bad Request", ""),
    };
    let length = body.len();
    // Whoever asked may be gone.
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}
