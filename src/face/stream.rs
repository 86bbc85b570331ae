//! Streams of server-sent events: the newest word on each cluster that has changed, and not every word in between.
//!
//! A message is read off the state when its caller can take it, so that a slow caller costs no memory and misses nothing but
//! what was superseded. `id` is the number of the latest event. Each stream begins with the state as it is, so that a caller
//! who comes back has missed nothing.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::stream::{self, LocalBoxStream, StreamExt};
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Face;
use super::answer::written;
use super::limits::{BETWEEN_MESSAGES, HEARTBEAT};

/// A stream of messages, as the body of an answer.
pub struct Messages {
    messages: LocalBoxStream<'static, Bytes>,
    /// The number of messages that the caller has taken, shared with whoever watches for callers that take none.
    taken: Rc<Cell<u64>>,
}

impl Messages {
    /// Streams the summaries of all clusters, or everything about one.
    pub fn of(face: &Rc<Face>, cluster: Option<String>) -> Self {
        let reader = Reader { face: face.clone(), latest: face.latest.subscribe(), cluster, sent: None };
        let messages = stream::unfold(reader, |mut reader| async move {
            let message = reader.next().await?;
            Some((Bytes::from(message), reader))
        });
        Self { messages: messages.boxed_local(), taken: Rc::default() }
    }

    /// The number of messages that the caller has taken so far.
    pub fn taken(&self) -> Rc<Cell<u64>> {
        self.taken.clone()
    }
}

impl Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let message = self.messages.as_mut().poll_next(context);
        if message.is_ready() {
            self.taken.set(self.taken.get() + 1);
        }
        message.map(|message| message.map(|message| Ok(Frame::data(message))))
    }
}

/// The place of one caller in what has happened.
struct Reader {
    face: Rc<Face>,
    latest: watch::Receiver<u64>,
    /// The cluster that is asked about; all where there is none.
    cluster: Option<String>,
    /// The number of the latest event that was sent; none before the first message.
    sent: Option<u64>,
}

impl Reader {
    /// Waits for news, and writes them. Ends with the daemon.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.sent.is_some() {
                // A pause, so that a busy cluster is told of once a second, and not with each pass.
                let _ = timeout(BETWEEN_MESSAGES, std::future::pending::<()>()).await;
                match timeout(HEARTBEAT, self.latest.changed()).await {
                    Err(_) => return Some(": nothing new\n\n".to_owned()),
                    Ok(changed) => changed.ok()?,
                }
            }
            let number = *self.latest.borrow_and_update();
            let news = self.news(self.sent.unwrap_or(0), number);
            let is_first = self.sent.replace(number).is_none();
            if let Some(news) = news.or_else(|| is_first.then(|| ": nothing yet\n\n".to_owned())) {
                return Some(news);
            }
        }
    }

    /// Writes what has changed since an event, up to the latest.
    fn news(&self, since: u64, latest: u64) -> Option<String> {
        let is_new = |number: u64| number > since;
        let messages: Vec<_> = match &self.cluster {
            Some(name) => {
                let number = self.face.find(name, |cluster| cluster.number).ok()?;
                let cluster = self.face.report(|report| report.cluster(name)).filter(|_| is_new(number));
                cluster.map(|cluster| written(&cluster)).into_iter().collect()
            }
            None => self.face.report(|report| {
                let changed = report.state.clusters.values().filter(|cluster| is_new(cluster.number));
                changed.map(|cluster| written(&report.summary(cluster))).collect()
            }),
        };
        let message = |data: String| format!("id: {latest}\nevent: cluster\ndata: {data}\n\n");
        (!messages.is_empty()).then(|| messages.into_iter().map(message).collect())
    }
}
