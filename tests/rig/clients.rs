//! The clients that use the cluster while it is being rolled: each key has a writer, and a reader that wants consistent
//! answers. They ask whichever server is there, and write down what they were told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::history::{Event, Fate, History, Kind, Op, Register};
use crate::hypervisor::Hypervisor;
use crate::kind::Api;

/// The pause between two requests of one client.
const PAUSE: Duration = Duration::from_millis(500);

const KEYS: [(&str, Kind); 3] = [("first", Kind::Cas), ("second", Kind::Cas), ("third", Kind::Plain)];

/// All clients of one scenario.
pub struct Clients {
    api: Api,
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
        let api = Api::new(hypervisor.kind, Duration::from_secs(5));
        let (history, stopped, turn) = (RefCell::default(), Cell::default(), Cell::default());
        let writing = Cell::new(KEYS.len());
        let clients = Rc::new(Self { api, hypervisor, history, stopped, writing, turn });
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
        crate::until("the last writes to end", crate::AT_MOST, idle).await;
        for (key, _) in KEYS {
            let found = async || self.consistent(key).await;
            crate::until("a last consistent read", crate::AT_MOST, found).await;
        }
        self.history.borrow().clone()
    }

    async fn write(&self, key: &str, kind: Kind) {
        let mut value = 1;
        while !self.stopped.get() {
            // A compare-and-set begins with what is there: so nothing that was lost on the way takes effect late.
            let cas = match kind {
                Kind::Cas => self.consistent(key).await.map(|(_, version)| Some(version)),
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
        let sent = Instant::now();
        let fate = self.api.write(&address, key, value, cas).await;
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

    /// Reads a value and its version through a check of the quorum.
    async fn consistent(&self, key: &str) -> Option<(u64, u64)> {
        let address = self.somebody()?;
        let sent = Instant::now();
        let (value, version) = self.api.read(&address, key).await?;
        self.record(key, sent, Op::Read(value));
        Some((value, version))
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
