//! The messages to the service manager: that the daemon is ready, that it lives, how things stand, and that it is about to end.
//!
//! Only passes say that it lives. So a daemon whose loop stands still, or that leaves a cluster without passes, is started anew,
//! and one that waits for the lease, or has no cluster, is not: nobody watches it then.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::cli::plan::counted;
use crate::event::{Event, EventKind, Listener};
use crate::face::LIVES_WITHIN;
use crate::ids::ClusterName;
use crate::status::Attention;
use crate::time::{Timestamp, elapsed};

/// The number of messages that may wait: the service manager reads at once, or not at all.
const ROOM: usize = 64;

/// The time within which the service manager takes the last messages before the program ends.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A listener that tells the service manager, if there is one.
pub(super) struct Service {
    state: RefCell<State>,
    teller: RefCell<Option<Teller>>,
    /// The time within which the service manager wants to hear of life; none if it does not.
    watchdog: Option<Duration>,
}

/// A thread that tells the service manager, which a socket that is full keeps waiting.
struct Teller {
    messages: SyncSender<String>,
    /// Closed once everything has been told.
    ended: Receiver<Infallible>,
}

/// Everything that was heard, as far as the service manager is to know it.
#[derive(Default)]
struct State {
    is_ready: bool,
    is_watched: bool,
    was_read: bool,
    declared: BTreeSet<ClusterName>,
    /// The latest pass of each cluster that is attended to.
    passes: BTreeMap<ClusterName, (Timestamp, Attention)>,
    status: String,
}

impl Service {
    /// Looks for a service manager.
    pub(super) fn start(waits_for_lease: bool) -> Self {
        let is_managed = std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
        let teller = RefCell::new(is_managed.then(Teller::start).flatten());
        // The service manager watches from the beginning.
        let state = RefCell::new(State { is_watched: true, ..State::default() });
        let service = Self { state, teller, watchdog: sd_notify::watchdog_enabled() };
        if waits_for_lease {
            // A controller that stands by does what it is there for.
            service.ready();
            service.tell("STATUS=waits for the lease");
        }
        service.watch(false);
        service
    }

    /// Says whether there is a service manager.
    pub(super) fn is_managed(&self) -> bool {
        self.teller.borrow().is_some()
    }

    /// Says that the end has begun.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishes the calls in flight");
    }

    /// Waits until what was said has been told: the end of the program would cut it off.
    pub(super) fn end(&self) {
        if let Some(Teller { messages, ended }) = self.teller.take() {
            drop(messages);
            let _ = ended.recv_timeout(LAST_WORDS);
        }
    }

    fn tell(&self, message: &str) {
        if let Some(teller) = &*self.teller.borrow() {
            let _ = teller.messages.try_send(message.to_owned());
        }
    }

    fn ready(&self) {
        if !std::mem::replace(&mut self.state.borrow_mut().is_ready, true) {
            self.tell("READY=1");
        }
    }

    /// Has the service manager watch for signs of life, or not.
    fn watch(&self, is_wanted: bool) {
        let Some(span) = self.watchdog else { return };
        let was_watched = std::mem::replace(&mut self.state.borrow_mut().is_watched, is_wanted);
        match (was_watched, is_wanted) {
            (false, true) => self.tell(&format!("WATCHDOG_USEC={}", span.as_micros())),
            (true, false) => self.tell("WATCHDOG_USEC=0"),
            (true, true) | (false, false) => {}
        }
    }

    /// Says that the loop makes passes, unless some cluster has had none for too long.
    fn is_alive(&self, now: Timestamp) {
        let is_late = |(latest, _): &(Timestamp, Attention)| elapsed(now, *latest) > LIVES_WITHIN;
        if self.watchdog.is_none() || self.state.borrow().passes.values().any(is_late) {
            return;
        }
        self.watch(true);
        self.tell("WATCHDOG=1");
    }

    fn say_how_things_stand(&self) {
        let status = self.state.borrow().words();
        if self.state.borrow().status != status {
            self.tell(&format!("STATUS={status}"));
            self.state.borrow_mut().status = status;
        }
    }
}

impl Teller {
    fn start() -> Option<Self> {
        let (messages, said) = sync_channel::<String>(ROOM);
        let (end, ended) = channel();
        let tell = move || {
            let _end = end;
            for message in said {
                if let Err(error) = sd_notify::notify(&[NotifyState::Custom(message.trim_end())]) {
                    tracing::warn!(%error, "the service manager cannot be told");
                }
            }
        };
        thread::Builder::new().name("service".to_owned()).spawn(tell).ok()?;
        Some(Self { messages, ended })
    }
}

impl State {
    /// One line, e.g. `3 clusters: 1 needs a person, 2 settled`.
    fn words(&self) -> String {
        let count = |word: &str, is_so: &dyn Fn(Attention) -> bool| {
            let count = self.passes.values().filter(|(_, attention)| is_so(*attention)).count();
            (count > 0).then(|| format!("{count} {word}"))
        };
        let parts = [
            count("in need of a person", &Attention::needs_person),
            count("blocked", &|it| it == Attention::Blocked),
            count("under way", &|it| it == Attention::UnderWay),
            count("settled", &|it| it == Attention::Settled),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let clusters = counted(self.passes.len(), "cluster");
        if parts.is_empty() { clusters } else { format!("{clusters}: {}", parts.join(", ")) }
    }
}

impl Listener for Service {
    fn hear(&self, event: &Event) {
        if !self.is_managed() {
            return;
        }
        match (&event.kind, &event.cluster) {
            (EventKind::DesiredRead(loaded), _) => {
                let mut state = self.state.borrow_mut();
                state.was_read = true;
                state.declared.extend(loaded.specs().map(|(_, spec)| spec.name.clone()));
            }
            // Nobody makes passes for these any more.
            (EventKind::Orphaned | EventKind::Broken, Some(cluster)) => {
                let mut state = self.state.borrow_mut();
                state.declared.remove(cluster);
                state.passes.remove(cluster);
            }
            (EventKind::LeaseLost, _) => {
                self.watch(false);
                let mut state = self.state.borrow_mut();
                (state.passes, state.declared, state.status) = Default::default();
                drop(state);
                return self.tell("STATUS=waits for the lease");
            }
            (EventKind::Planned(pass), Some(cluster)) => {
                let seen = (pass.seen.now, pass.status.attention);
                let before = self.state.borrow_mut().passes.insert(cluster.clone(), seen);
                self.is_alive(event.at);
                // Thousands of clusters are counted anew only where one of them stands otherwise than before.
                let is_as_before = before.is_some_and(|(_, attention)| attention == pass.status.attention);
                if is_as_before && self.state.borrow().is_ready {
                    return;
                }
            }
            _ => return,
        }
        let is_seen = {
            let state = self.state.borrow();
            !state.is_ready && state.was_read && state.declared.iter().all(|cluster| state.passes.contains_key(cluster))
        };
        if is_seen {
            self.ready();
        }
        if self.state.borrow().passes.is_empty() {
            self.watch(false);
        }
        self.say_how_things_stand();
    }
}
