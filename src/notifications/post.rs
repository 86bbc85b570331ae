//! The post: a thread of its own, which tells each receiver its news and keeps nobody waiting.
//!
//! News are written down before they are told, and struck out once they were. So a crash loses none; one that happens between an
//! answer and the writing tells them once more, with the same id.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures_util::future::{join_all, select};
use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::file::{Receiver, Receivers};
use super::kept::{Content, Kept};
use super::news::News;
use super::outbox::Due;
use super::revision;
use super::watch::Memory;
use crate::http::Http;
use crate::input::text;
use crate::ports::{Clock, chain};

/// The number of hand-overs that may wait for the thread.
const ROOM: usize = 4 * 1024;
/// The time for which the process waits at its end until news that are new were told: a request may take five seconds.
const LAST_WORDS: Duration = Duration::from_secs(6);

/// The fate of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A receiver has accepted them.
    Delivered,
    /// A try came to nothing. Another follows.
    Failed,
    /// The news will not be told: refused for good, tried for too long, or without room.
    Dropped,
}

impl Outcome {
    /// The outcome as a label has it, e.g. `delivered`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// The counts of what became of news, by receiver; read by another thread than the one that counts.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<BTreeMap<(String, Outcome), u64>>>);

impl Counts {
    /// Lists the receivers with their outcomes, and how often each came about.
    pub fn all(&self) -> Vec<(String, Outcome, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|((receiver, outcome), count)| (receiver.clone(), *outcome, *count)).collect()
    }

    fn add(&self, receiver: &str, outcome: Outcome, more: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((receiver.to_owned(), outcome)).or_default() += more;
    }
}

/// A post that news are handed to. When it is dropped, it waits a moment until they were told.
#[derive(Debug)]
pub struct Post {
    jobs: mpsc::Sender<Job>,
    counts: Counts,
    names: Vec<String>,
}

#[derive(Debug)]
enum Job {
    Tell(Memory, Vec<News>),
    /// Try once what was not tried yet, and say so by dropping the sender.
    Finish(SyncSender<()>),
}

impl Post {
    /// Starts the thread, which goes on with what waits. `clock` tells it this machine's time.
    pub fn start<C: Clock + 'static>(
        receivers: Receivers,
        folder: &Path,
        clock: impl FnOnce() -> C + Send + 'static,
    ) -> io::Result<(Self, Memory)> {
        let (kept, content) = Kept::open(folder)?;
        let memory = content.told().clone();
        let (jobs, todo) = mpsc::channel(ROOM);
        let counts = Counts::default();
        let names: Vec<_> = receivers.all.iter().map(|receiver| receiver.name.clone()).collect();
        for name in &names {
            [Outcome::Delivered, Outcome::Failed, Outcome::Dropped]
                .iter()
                .for_each(|outcome| counts.add(name, *outcome, 0));
        }
        let counted = counts.clone();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            let office = Office::new(receivers, kept, content, counted, clock());
            runtime.block_on(office.work(todo));
            // A resolver of names that gets no answer is not waited for.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("notifications".to_owned()).spawn(work)?;
        Ok((Self { jobs, counts, names }, memory))
    }

    /// Counts of what became of news so far.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Hands news over with what is to be remembered, unless there is no room. Never waits.
    pub(super) fn hand_over(&self, memory: Memory, news: Vec<News>) {
        let count = news.len() as u64;
        if self.jobs.try_send(Job::Tell(memory, news)).is_err() {
            self.names.iter().for_each(|name| self.counts.add(name, Outcome::Dropped, count));
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let (sender, done) = sync_channel(1);
        if self.jobs.try_send(Job::Finish(sender)).is_ok() {
            let _ = done.recv_timeout(LAST_WORDS + Duration::from_secs(1)); // ends when the sender is dropped
        }
    }
}

/// The thread's own side.
struct Office<C> {
    receivers: Receivers,
    kept: Kept,
    content: RefCell<Content>,
    is_failing: Cell<bool>,
    counts: Counts,
    clock: C,
    http: Http,
    /// Says that there are news, or that some were tried.
    changed: Vec<Notify>,
    tried: Notify,
}

impl<C: Clock> Office<C> {
    fn new(receivers: Receivers, kept: Kept, mut content: Content, counts: Counts, clock: C) -> Self {
        let names: Vec<_> = receivers.all.iter().map(|receiver| receiver.name.as_str()).collect();
        content.waiting.resume(&names, clock.now());
        let changed = names.iter().map(|_| Notify::new()).collect();
        let (content, is_failing) = (RefCell::new(content), Cell::default());
        Self {
            receivers,
            kept,
            content,
            is_failing,
            counts,
            clock,
            http: Http::default(),
            changed,
            tried: Notify::new(),
        }
    }

    /// Works until it is told to finish.
    async fn work(self, todo: mpsc::Receiver<Job>) {
        let office = Rc::new(self);
        let delivering = join_all((0..office.receivers.all.len()).map(|nth| office.deliver(nth)));
        select(Box::pin(office.take(todo)), Box::pin(delivering)).await;
    }

    /// Takes what is handed over.
    async fn take(&self, mut todo: mpsc::Receiver<Job>) {
        while let Some(job) = todo.recv().await {
            match job {
                Job::Tell(memory, news) => self.put(memory, news).await,
                Job::Finish(done) => {
                    let tried = async {
                        while self.content.borrow().waiting.has_untried() {
                            self.tried.notified().await;
                        }
                    };
                    let _ = timeout(LAST_WORDS, tried).await;
                    drop(done);
                    return;
                }
            }
        }
    }

    async fn put(&self, memory: Memory, mut all: Vec<News>) {
        for news in &mut all {
            // A source of revisions has said it already; in a folder of files, git may know.
            if let Some(file) = news.file.as_ref().filter(|_| news.revision.is_none()) {
                news.revision = revision::of(Path::new(file)).await;
            }
        }
        let now = self.clock.now();
        {
            let mut content = self.content.borrow_mut();
            content.told = memory;
            for (receiver, news) in self.receivers.all.iter().flat_map(|one| all.iter().map(move |news| (one, news))) {
                if receiver.kinds.contains(&news.kind) {
                    let dropped = content.waiting.put(&receiver.name, news.clone(), now);
                    self.counts.add(&receiver.name, Outcome::Dropped, dropped as u64);
                }
            }
        }
        self.write();
        self.changed.iter().for_each(Notify::notify_one);
    }

    /// Tells one receiver its news, one after the other, for as long as it is polled.
    async fn deliver(&self, nth: usize) {
        let receiver = &self.receivers.all[nth];
        loop {
            let due = self.content.borrow().waiting.due(&receiver.name, self.clock.now());
            match due {
                Due::Now(news) => self.tell(receiver, &news).await,
                Due::In(span) => drop(timeout(span, self.changed[nth].notified()).await),
                Due::Nothing => self.changed[nth].notified().await,
            }
        }
    }

    async fn tell(&self, receiver: &Receiver, news: &News) {
        let (name, id, kind) = (receiver.name.as_str(), news.id.as_str(), news.kind.word());
        let told = receiver.way.tell(&self.http, news, self.receivers.page.as_deref(), self.clock.now()).await;
        let mut content = self.content.borrow_mut();
        match told {
            Ok(was_sent) => {
                content.waiting.done(name, id);
                self.counts.add(name, Outcome::Delivered, u64::from(was_sent));
                tracing::debug!(receiver = name, kind, id, was_sent, "told");
            }
            Err(untold) => {
                let why = text::without_passwords(&chain(&untold));
                let tries = match untold.is_for_good() {
                    true => {
                        content.waiting.done(name, id);
                        None
                    }
                    false => content.waiting.failed(name, id, self.clock.now()),
                };
                self.counts.add(name, if tries.is_some() { Outcome::Failed } else { Outcome::Dropped }, 1);
                match tries {
                    Some(1) => {
                        tracing::warn!(receiver = name, kind, id, why, "could not be told, and will be tried again")
                    }
                    Some(tries) => tracing::debug!(receiver = name, kind, id, tries, why, "could not be told again"),
                    None => tracing::error!(receiver = name, kind, id, why, "could not be told, and is given up"),
                }
            }
        }
        drop(content);
        self.write();
        self.tried.notify_one();
    }

    /// Writes down what was told and what waits.
    fn write(&self) {
        let written = self.kept.write(&mut self.content.borrow_mut());
        let was_failing = self.is_failing.replace(written.is_err());
        if let Err(error) = written
            && !was_failing
        {
            let path = text::path(self.kept.path());
            tracing::error!(path, %error, "cannot be written: after a restart, news may be told twice");
        }
    }
}

/// Tries out each receiver, all at once, and answers with what was done or why nothing could be, in the order of the file.
pub async fn try_out(receivers: &Receivers, clock: &impl Clock) -> Vec<Result<&'static str, String>> {
    let (http, now) = (Http::default(), clock.now());
    let page = receivers.page.as_deref();
    let trials = receivers.all.iter().map(async |receiver| {
        let tried = receiver.way.try_out(&http, page, now).await;
        tried.map_err(|untold| text::without_passwords(&chain(&untold)))
    });
    join_all(trials).await
}
