//! A receiver of notifications on a loopback address, which keeps what it is told and behaves as a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Mood {
    /// An answer with that status, e.g. 200.
    Says(u16),
    /// An answer with that status and body.
    Tells(u16, String),
    /// A redirect.
    Sends(String),
    /// No answer, and no end of the connection.
    Hangs,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Told {
    /// E.g. `POST /hook?x=1`.
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }

    /// The kind of news of a CloudEvent and its cluster, e.g. `settled consul-prod`.
    pub fn news(&self) -> String {
        let event = self.json();
        let kind = event["type"].as_str().unwrap().trim_start_matches("hermitcrab.").to_owned();
        format!("{kind} {}", event["subject"].as_str().unwrap())
    }
}

pub struct Stub {
    pub address: SocketAddr,
    told: Receiver<Told>,
    mood: Arc<Mutex<Mood>>,
}

impl Stub {
    pub fn start(mood: Mood) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), mood)
    }

    /// Listens at an address that nobody listened at before.
    pub fn at(address: SocketAddr, mood: Mood) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let ((sender, told), mood) = (channel(), Arc::new(Mutex::new(mood)));
        let moods = Arc::clone(&mood);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, moods) = (sender.clone(), Arc::clone(&moods));
                thread::spawn(move || drop(serve(stream, &sender, &moods)));
            }
        });
        Self { address, told, mood }
    }

    /// An address at which nobody listens.
    pub fn nowhere() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    pub fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Waits for the next request.
    pub fn next(&self, what: &str) -> Told {
        self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}: nothing came within {PATIENCE:?}"))
    }

    /// Everything that has come and was not asked for yet.
    pub fn all(&self) -> Vec<Told> {
        self.told.try_iter().collect()
    }

    pub fn news(&self) -> Vec<String> {
        self.all().iter().map(Told::news).collect()
    }
}

fn serve(mut stream: TcpStream, sender: &Sender<Told>, mood: &Mutex<Mood>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let (line, head) = head.split_once("\r\n").unwrap();
        let mut told =
            Told { line: line.trim_end_matches(" HTTP/1.1").to_owned(), head: head.to_owned(), body: String::new() };
        let length = told.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        told.body = String::from_utf8(body).unwrap();
        let mood = mood.lock().unwrap().clone();
        let _ = sender.send(told);
        let (status, header, body) = match mood {
            Mood::Says(status) => (status, String::new(), String::new()),
            Mood::Tells(status, body) => (status, String::new(), body),
            Mood::Sends(place) => (302, format!("location: {place}\r\n"), String::new()),
            Mood::Hangs => {
                // Until the other end has had enough.
                let _ = reader.read(&mut [0]);
                return Ok(());
            }
        };
        write!(stream, "HTTP/1.1 {status} x\r\n{header}content-length: {}\r\n\r\n{body}", body.len())?;
    }
}
