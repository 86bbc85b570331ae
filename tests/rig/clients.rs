//! The clients that use the cluster while it is being rolled: each key has a writer, and a reader that wants consistent
//! answers. They ask whichever server is there, and write down what they were told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::consul;
use crate::history::{Event, Fate, History, Kind, Op, Register};
use crate::hypervisor::Hypervisor;

/// The pause between two requests of one client.
const PAUSE: Duration = Duration::from_millis(500);

const KEYS: [(&str, Kind); 3] = [("first", Kind::Cas), ("second", Kind::Cas), ("third", Kind::Plain)];

/// All clients of one scenario.
pub struct Clients {
    http: reqwest::Client,
    hypervisor: Rc<Hypervisor>,
    history: RefCell<History>,
    stopped: Cell<bool>,
    /// Writers that may have a request under way.
    writing: Cell<usize>,
    turn: Cell<usize>,
}

impl Clients {
    /// Begins to write and read.
    pub fn start(hypervisor: Rc<Hypervisor>) -> Rc<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        let (history, stopped, turn) = (RefCell::default(), Cell::default(), Cell::default());
        let writing = Cell::new(KEYS.len());
        let clients = Rc::new(Self { http, hypervisor, history, stopped, writing, turn });
        for (key, kind) in KEYS {
            clients.history.borrow_mut().insert(key.to_owned(), Register { kind, events: Vec::new() });
            let (writer, reader) = (clients.clone(), clients.clone());
            tokio::task::spawn_local(async move { writer.write(key, kind).await });
            tokio::task::spawn_local(async move { reader.read(key).await });
        }
        clients
    }

    /// Stops writing, has each key read once more, and hands over what was written down.
    pub async fn finish(&self) -> History {
        self.stopped.set(true);
        // A write under way may be read before its end is written down.
        let idle = async || (self.writing.get() == 0).then_some(());
        crate::until("the last writes to end", Duration::from_secs(60), idle).await;
        for (key, _) in KEYS {
            let found = async || self.consistent(key).await;
            crate::until("a last consistent read", Duration::from_secs(60), found).await;
        }
        self.history.borrow().clone()
    }

    async fn write(&self, key: &str, kind: Kind) {
        let mut value = 1;
        while !self.stopped.get() {
            // A compare-and-set begins with what is there: so nothing that was lost on the way takes effect late.
            let cas = match kind {
                Kind::Cas => self.consistent(key).await.map(|(_, index)| Some(index)),
                Kind::Plain => Some(None),
            };
            if let Some(cas) = cas
                && self.put(key, value, cas).await.is_some()
            {
                value += 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.writing.set(self.writing.get() - 1);
    }

    /// Writes a value, and says how that ended; `None` if it certainly had no effect.
    async fn put(&self, key: &str, value: u64, cas: Option<u64>) -> Option<Fate> {
        let address = self.somebody()?;
        let query = cas.map(|index| format!("?cas={index}")).unwrap_or_default();
        let sent = Instant::now();
        let answer =
            self.http.put(consul::url(&address, &format!("kv/{key}{query}"))).body(value.to_string()).send().await;
        let fate = match answer {
            Err(error) if error.is_connect() => None,
            Err(_) => Some(Fate::Unknown),
            Ok(answer) => match (answer.status(), answer.text().await) {
                (StatusCode::OK, Ok(body)) if body.trim() == "true" => Some(Fate::Acknowledged),
                // The index was another one than expected.
                (StatusCode::OK, Ok(_)) => None,
                _ => Some(Fate::Unknown),
            },
        };
        if let Some(fate) = fate {
            self.record(key, sent, Op::Write(value, fate));
        }
        fate
    }

    async fn read(&self, key: &str) {
        while !self.stopped.get() {
            self.consistent(key).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads a value and its index through a check of the quorum.
    async fn consistent(&self, key: &str) -> Option<(u64, u64)> {
        let address = self.somebody()?;
        let sent = Instant::now();
        let answer = self.http.get(consul::url(&address, &format!("kv/{key}?consistent&raw"))).send().await.ok()?;
        let index = answer.headers().get("x-consul-index")?.to_str().ok()?.parse().ok()?;
        let (value, modified) = match answer.status() {
            // The index of a key that is not there is the store's: it is created with 0.
            StatusCode::NOT_FOUND => (0, 0),
            StatusCode::OK => (answer.text().await.ok()?.trim().parse().ok()?, index),
            _ => return None,
        };
        self.record(key, sent, Op::Read(value));
        Some((value, modified))
    }

    fn record(&self, key: &str, sent: Instant, op: Op) {
        if let Some(register) = self.history.borrow_mut().get_mut(key) {
            register.events.push(Event { sent, answered: Instant::now(), op });
        }
    }

    /// The next server in turn.
    fn somebody(&self) -> Option<String> {
        let addresses = self.hypervisor.addresses();
        self.turn.set(self.turn.get() + 1);
        (!addresses.is_empty()).then(|| addresses[self.turn.get() % addresses.len()].clone())
    }
}
