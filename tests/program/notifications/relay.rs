//! A relay for mail on a loopback address, which keeps the letters that it is given and refuses what a test wants it to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::generate_simple_self_signed;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const PATIENCE: Duration = Duration::from_secs(60);

/// The ways in which a relay speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Plain,
    StartTls,
    Tls,
}

/// A letter as it came.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
    /// The user and the password.
    pub login: Option<(String, String)>,
    pub was_encrypted: bool,
}

impl Letter {
    pub fn header(&self, name: &str) -> String {
        let mut lines = self.text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| *header == name).unwrap_or_else(|| panic!("{name}: {self:?}")).1.to_owned()
    }
}

pub struct Relay {
    pub port: u16,
    letters: Receiver<Letter>,
    /// The commands that are refused next, with the answer, e.g. `RCPT` and `550 nobody`.
    refusals: Arc<Mutex<Vec<(&'static str, String)>>>,
    heard: Arc<Mutex<String>>,
}

impl Relay {
    /// Listens on 127.0.0.1, with a certificate that is written to `ca`.
    pub fn start(manner: Manner, ca: &Path) -> Self {
        let certified = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(ca, certified.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((sender, letters), config) = (channel(), Arc::new(config));
        let (refusals, heard) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<String>>::default());
        let (refused, hears) = (Arc::clone(&refusals), Arc::clone(&heard));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let talk = Talk {
                    manner,
                    config: Arc::clone(&config),
                    sender: sender.clone(),
                    refusals: Arc::clone(&refused),
                    heard: Arc::clone(&hears),
                };
                thread::spawn(move || talk.with(stream));
            }
        });
        Self { port, letters, refusals, heard }
    }

    pub fn refuse(&self, command: &'static str, answer: &str) {
        self.refusals.lock().unwrap().push((command, answer.to_owned()));
    }

    /// The next letter.
    pub fn next(&self) -> Letter {
        self.letters.recv_timeout(PATIENCE).unwrap()
    }

    pub fn all(&self) -> Vec<Letter> {
        self.letters.try_iter().collect()
    }

    /// Everything that was said to it.
    pub fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

/// One connection.
struct Talk {
    manner: Manner,
    config: Arc<ServerConfig>,
    sender: Sender<Letter>,
    refusals: Arc<Mutex<Vec<(&'static str, String)>>>,
    heard: Arc<Mutex<String>>,
}

impl Talk {
    /// Speaks SMTP until the other side has had enough.
    fn with(&self, stream: TcpStream) -> Option<()> {
        let raw = stream.try_clone().ok()?;
        let encrypted = |stream| -> Option<Box<dyn Line>> {
            Some(Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).ok()?, stream)))
        };
        let mut was_encrypted = self.manner == Manner::Tls;
        let mut line: Box<dyn Line> = if was_encrypted { encrypted(stream)? } else { Box::new(stream) };
        let mut letter = Letter::default();
        line.write_all(b"220 relay.example\r\n").ok()?;
        loop {
            let said = self.read(&mut line, b"\r\n")?;
            let (command, rest) = said.trim_end().split_once(' ').unwrap_or((said.trim_end(), ""));
            let refusal = {
                let mut refusals = self.refusals.lock().unwrap();
                refusals.iter().position(|(refused, _)| *refused == command).map(|at| refusals.remove(at).1)
            };
            if let Some(refusal) = refusal {
                line.write_all(format!("{refusal}\r\n").as_bytes()).ok()?;
                continue;
            }
            let answer = match command {
                "EHLO" if self.manner == Manner::StartTls && !was_encrypted => "250-relay.example\r\n250 STARTTLS",
                "EHLO" => "250-relay.example\r\n250-8BITMIME\r\n250 AUTH PLAIN",
                "STARTTLS" => {
                    line.write_all(b"220 go on\r\n").ok()?;
                    line = encrypted(raw.try_clone().ok()?)?;
                    was_encrypted = true;
                    continue;
                }
                "AUTH" => {
                    let decoded = BASE64_STANDARD.decode(rest.trim_start_matches("PLAIN ")).ok()?;
                    let decoded = String::from_utf8(decoded).ok()?;
                    let mut parts = decoded.split('\0').skip(1).map(str::to_owned);
                    letter.login = parts.next().zip(parts.next());
                    "235 welcome"
                }
                "MAIL" => {
                    letter.from = rest.to_owned();
                    "250 go on"
                }
                "RCPT" => {
                    letter.to.push(rest.to_owned());
                    "250 go on"
                }
                "DATA" => {
                    line.write_all(b"354 go on\r\n").ok()?;
                    letter.text = self.read(&mut line, b"\r\n.\r\n")?;
                    letter.was_encrypted = was_encrypted;
                    let _ = self.sender.send(letter.clone());
                    "250 taken"
                }
                "QUIT" => return None,
                _ => "250 go on",
            };
            line.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
        }
    }

    /// Reads up to an end.
    fn read(&self, line: &mut Box<dyn Line>, end: &[u8]) -> Option<String> {
        let (mut read, mut byte) = (Vec::new(), [0]);
        while !read.ends_with(end) {
            line.read_exact(&mut byte).ok()?;
            read.push(byte[0]);
        }
        let read = String::from_utf8(read).ok()?;
        self.heard.lock().unwrap().push_str(&read);
        Some(read)
    }
}
