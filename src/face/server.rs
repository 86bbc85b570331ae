//! Carries requests and answers, within limits: nothing here decides what an answer is.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use http_body_util::{BodyExt, Either, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::Face;
use super::answer::{Body, accepted, refuse};
use super::hook::{Checking, Proof};
use super::limits::{
    AFTER_FAILED_ACCEPT, ANSWER_WITHIN, HEAD_WITHIN, LONGEST_HEAD, LONGEST_HOOK, LONGEST_STREAM, MOST_CONNECTIONS,
    MOST_HEADERS, MOST_STREAMS, STUCK_AFTER,
};
use super::listen::{Accepted, Listening};
use super::request::{Form, HOOK, Hosts, Refused, Route, hooked, route};

/// Answers for as long as it is polled, on the thread of the daemon.
///
/// Must run within a `LocalSet`, because connections are tasks of it.
pub async fn serve(face: Rc<Face>, listening: Listening) {
    let server = Rc::new(Server {
        face,
        hosts: listening.hosts().clone(),
        connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        streams: Arc::new(Semaphore::new(MOST_STREAMS)),
    });
    loop {
        let Ok(seat) = server.connections.clone().acquire_owned().await else { return };
        match listening.accept().await {
            Ok(Accepted::Address(stream)) => drop(spawn_local(server.clone().connection(stream, seat))),
            Ok(Accepted::Socket(stream)) => drop(spawn_local(server.clone().connection(stream, seat))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                let _ = timeout(AFTER_FAILED_ACCEPT, std::future::pending::<()>()).await;
            }
        }
    }
}

struct Server {
    face: Rc<Face>,
    hosts: Hosts,
    connections: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// The stream of one connection, once it has one.
#[derive(Default)]
struct Streaming {
    /// The number of messages that its caller has taken.
    taken: Option<Rc<Cell<u64>>>,
    _seat: Option<OwnedSemaphorePermit>,
}

impl Server {
    /// Answers the one request of a connection. A caller that takes an answer too slowly is cut off.
    async fn connection(
        self: Rc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        _seat: OwnedSemaphorePermit,
    ) {
        let streaming = Rc::new(Cell::new(Streaming::default()));
        let service = service_fn(|request| {
            let (server, streaming) = (self.clone(), streaming.clone());
            async move { Ok::<_, Infallible>(server.respond(request, &streaming).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).keep_alive(false);
        builder.max_buf_size(LONGEST_HEAD).max_headers(MOST_HEADERS);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        // A connection that breaks is the other end's affair.
        if timeout(ANSWER_WITHIN, connection.as_mut()).await.is_ok() {
            return;
        }
        let Streaming { taken: Some(taken), _seat } = streaming.take() else { return };
        for _ in 0..LONGEST_STREAM {
            let before = taken.get();
            if timeout(STUCK_AFTER, connection.as_mut()).await.is_ok() || taken.get() == before {
                return;
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>, streaming: &Cell<Streaming>) -> Response<Body> {
        if request.uri().path() == HOOK {
            return self.hooked(request).await.map_or_else(refuse, |()| accepted());
        }
        let answered = route(&request, &self.hosts).and_then(|route| {
            let is_stream = matches!(route, Route::FleetStream | Route::Stream(_));
            let seat = if is_stream { Some(self.stream_seat()?) } else { None };
            Ok((self.face.answer(&route, Form::of(request.headers())), seat))
        });
        let (response, seat) = match answered {
            Ok(answered) => answered,
            Err(refused) => return refuse(refused),
        };
        if let Either::Right(messages) = response.body() {
            streaming.set(Streaming { taken: Some(messages.taken()), _seat: seat });
        }
        response
    }

    /// Takes a call of the webhook, whose body is read to its end before anything is believed.
    async fn hooked(&self, request: Request<Incoming>) -> Result<(), Refused> {
        hooked(&request, &self.hosts)?;
        let hook = self.face.about.hook.as_ref().ok_or_else(Refused::not_found)?;
        let unproven = || {
            let detail =
                "sign the call with the secret of `run --webhook-secret`, as GitHub does, or send it as GitLab does";
            Refused::new(StatusCode::FORBIDDEN, detail)
        };
        let proof = Proof::of(request.headers()).ok_or_else(unproven)?;
        let mut checking = Checking::begin(&hook.secret, proof).ok_or_else(unproven)?;
        let mut body = Limited::new(request.into_body(), LONGEST_HOOK);
        while let Some(frame) = body.frame().await {
            let too_large = |_| Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "the call is too large, or has broken off");
            if let Some(part) = frame.map_err(too_large)?.data_ref() {
                checking.take(part);
            }
        }
        if !checking.holds() {
            return Err(unproven());
        }
        (hook.wish)();
        Ok(())
    }

    fn stream_seat(&self) -> Result<OwnedSemaphorePermit, Refused> {
        self.streams.clone().try_acquire_owned().map_err(|_| {
            let detail =
                format!("{MOST_STREAMS} streams are open already, which is the most; ask again, or without one");
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        })
    }
}
