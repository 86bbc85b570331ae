//! A simulated world, served over HTTP on this machine alone: AWS's interfaces at one address, each member's at the member's own.
//!
//! Nothing here decides anything: [`Wire`] answers, and this file only carries.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderName, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, LocalSet, spawn_local};

use crate::ids::ClusterName;
use crate::ports::Clock;
use crate::sim::wire::{self, Reply, Wire};

/// The longest request that is read. User data takes 16 KiB of it.
const LONGEST: usize = 1 << 20;
/// The time after which the world is moved on, and members are looked for that have come or gone.
const STEP: Duration = Duration::from_millis(20);

/// An endpoint that listens, and answers once it is served.
pub struct Endpoint<C> {
    listener: TcpListener,
    wire: Rc<Wire>,
    clock: C,
    ports: BTreeMap<ClusterName, u16>,
}

/// The listeners of members, by address; none where the address is taken, which was told.
type Members = RefCell<BTreeMap<SocketAddr, Option<AbortHandle>>>;

impl<C: Clock + Clone + 'static> Endpoint<C> {
    /// Listens at an address. `ports` are those of the members' own interfaces, by cluster.
    pub async fn bind(
        address: SocketAddr,
        wire: Wire,
        clock: C,
        ports: BTreeMap<ClusterName, u16>,
    ) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, wire: Rc::new(wire), clock, ports })
    }

    /// Tells where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the future is dropped.
    pub async fn serve(self) {
        let members = Members::default();
        let local = LocalSet::new();
        local
            .run_until(async {
                let wire = self.wire.clone();
                let clock = self.clock.clone();
                spawn_local(accept(self.listener, move |request| answer(wire.clone(), clock.clone(), request)));
                loop {
                    self.wire.advance(self.clock.now());
                    attend_to_members(&self.wire, &self.ports, &members).await;
                    self.clock.sleep(STEP).await;
                }
            })
            .await
    }
}

/// Listens where members have come, and no more where they have gone.
async fn attend_to_members(wire: &Rc<Wire>, ports: &BTreeMap<ClusterName, u16>, listening: &Members) {
    let present = wire.members().into_iter();
    let present: Vec<_> =
        present.filter_map(|(address, cluster)| Some(SocketAddr::new(address, *ports.get(&cluster)?))).collect();
    listening.borrow_mut().retain(|address, handle| {
        let stays = present.contains(address);
        if let Some(handle) = handle.as_ref().filter(|_| !stays) {
            handle.abort();
        }
        stays
    });
    for address in present {
        if listening.borrow().get(&address).is_some_and(Option::is_some) {
            continue;
        }
        let handle = match TcpListener::bind(address).await {
            Ok(listener) => {
                let wire = wire.clone();
                let ask = move |request| ask_member(wire.clone(), address.ip(), request);
                Some(spawn_local(accept(listener, ask)).abort_handle())
            }
            Err(error) => {
                if !listening.borrow().contains_key(&address) {
                    tracing::warn!(%address, %error, "a member cannot be served at its address; another world may be");
                }
                None // tried again in a moment
            }
        };
        listening.borrow_mut().insert(address, handle);
    }
}

/// Answers each connection that comes, for as long as it lasts.
async fn accept<F>(listener: TcpListener, answer: impl Fn(Request<Incoming>) -> F + Clone + 'static)
where
    F: Future<Output = Option<Response<Full<Bytes>>>> + 'static,
{
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            spawn_local(connection(stream, answer.clone()));
        }
    }
}

async fn connection<F>(stream: TcpStream, answer: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Option<Response<Full<Bytes>>>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { answer.await.ok_or(Silent) }
    });
    // A connection that breaks is the other end's affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Nobody answers: the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("nobody answers")]
struct Silent;

async fn answer<C: Clock>(wire: Rc<Wire>, clock: C, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let header = |name: HeaderName| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (authorization, agent) = (header(AUTHORIZATION), header(USER_AGENT));
    let body = read(request).await?;
    wire.advance(clock.now());
    match wire.answer(&wire::Request { authorization, agent, body }) {
        Reply::Answer(status, text) => Some(response(status, "text/xml;charset=UTF-8", text)),
        Reply::Silence => None,
    }
}

async fn ask_member(wire: Rc<Wire>, at: IpAddr, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let (method, target) = (request.method().to_string(), request.uri().to_string());
    let body = read(request).await?;
    let (status, text) = wire.ask_member(at, &method, &target, &body)?;
    let mut response = response(status, "application/json", text);
    // A member that goes is noticed by the next request, which must not find an old connection.
    response.headers_mut().insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
    Some(response)
}

async fn read(request: Request<Incoming>) -> Option<Vec<u8>> {
    Some(Limited::new(request.into_body(), LONGEST).collect().await.ok()?.to_bytes().to_vec())
}

fn response(status: u16, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
