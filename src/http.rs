//! HTTP to servers that a cluster is made of: short requests, and nothing that a library would do by itself.
//!
//! No redirects are followed: a member that sends us elsewhere is not to be believed, and the token is for it alone. No
//! proxy is taken from the environment: members are neighbours, and a proxy would answer for one that is dead. Nothing
//! is retried: whoever asks has other members to ask, and looks again anyway.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder, Url, redirect};

use crate::ports::ErrorKind;

mod answer;
pub mod consul;
mod tls;

pub use answer::{Answer, Refused, Silence, Unreadable};
pub use tls::{Tls, Trust};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take that a server has at hand.
const GLANCE: Duration = Duration::from_secs(2);
/// How long any other request may take altogether.
const TOTAL: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next request: long enough for one look at a cluster, too short to hold
/// thousands of clusters' connections open.
const IDLE: Duration = Duration::from_secs(10);

/// Every client there is: one for each way to trust servers. A client is made again when a file that it rests on has
/// other content.
#[derive(Default)]
pub struct Http {
    clients: RefCell<BTreeMap<Trust, (tls::Material, reqwest::Client)>>,
}

impl Http {
    /// The client for servers that are trusted in this way. Its files are read each time.
    pub fn client(&self, trust: &Trust) -> Result<Client, Unusable> {
        let material = trust.read()?;
        if let Some((known, client)) = self.clients.borrow().get(trust)
            && *known == material
        {
            return Ok(Client(client.clone()));
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.config(&material)?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("hermitcrab/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Unusable::Client)?;
        self.clients.borrow_mut().insert(trust.clone(), (material, client.clone()));
        Ok(Client(client))
    }
}

/// Why nothing can be asked at all: files that are missing or wrong on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File { path: String, source: std::io::Error },
    /// A file does not hold what it should.
    #[error("{path} holds no {what}")]
    Content { path: String, what: &'static str },
    /// A certificate and its key do not fit, or are of a kind that is not known.
    #[error("the certificates cannot be used")]
    Tls(#[source] rustls::Error),
    /// The system has no CA certificates.
    #[error("the system trusts no CA: name the servers' own one in `caFile`")]
    NoCa,
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    /// An address that is none.
    #[error("`{0}` is no HTTP address")]
    Address(String),
}

/// The text in a file that holds a secret, without the line's end. It is never shown.
pub fn secret(path: &str) -> Result<Secret, Unusable> {
    let text = fs::read_to_string(path).map_err(|source| Unusable::File { path: path.to_owned(), source })?;
    let content = || Unusable::Content { path: path.to_owned(), what: "token" };
    let mut value = HeaderValue::from_str(text.trim()).map_err(|_| content())?;
    if value.is_empty() {
        return Err(content());
    }
    value.set_sensitive(true);
    Ok(Secret(value))
}

/// A secret to be sent. `Debug` hides it.
#[derive(Clone, Debug)]
pub struct Secret(HeaderValue);

/// A client for servers that are trusted in one way.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

/// One server, with the header that lets us in.
#[derive(Clone, Debug)]
pub struct Server {
    client: Client,
    base: Url,
    credential: Option<(&'static str, Secret)>,
}

impl Server {
    /// The server at `base`, e.g. `https://10.0.0.1:8501`. `credential` is a header that is sent with each request.
    pub fn new(client: &Client, base: &str, credential: Option<(&'static str, Secret)>) -> Result<Self, Unusable> {
        let base =
            Url::parse(base).ok().filter(|url| url.has_host()).ok_or_else(|| Unusable::Address(base.to_owned()))?;
        Ok(Self { client: client.clone(), base, credential })
    }

    /// Gives the whole address, e.g. `https://10.0.0.1:8501/`.
    pub fn address(&self) -> &str {
        self.base.as_str()
    }

    /// Gives the host, without the port.
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Reads what a server has at hand, and gives up sooner: one that hangs must not hold up what others say.
    pub async fn glance(&self, path: &str) -> Result<Answer, Silence> {
        Answer::receive(self.host(), self.request(Method::GET, path, &[]).timeout(GLANCE)).await
    }

    /// Reads.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Silence> {
        Answer::receive(self.host(), self.request(Method::GET, path, query)).await
    }

    /// Writes.
    pub async fn put(&self, path: &str, query: &[(&str, &str)], body: Vec<u8>) -> Result<Answer, Silence> {
        Answer::receive(self.host(), self.request(Method::PUT, path, query).body(body)).await
    }

    /// Removes.
    pub async fn delete(&self, path: &str) -> Result<Answer, Silence> {
        Answer::receive(self.host(), self.request(Method::DELETE, path, &[])).await
    }

    /// Asks for something to be done.
    pub async fn post(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Silence> {
        Answer::receive(self.host(), self.request(Method::POST, path, query)).await
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(path);
        for (key, value) in query {
            match value.is_empty() {
                true => url.query_pairs_mut().append_key_only(key),
                false => url.query_pairs_mut().append_pair(key, value),
            };
        }
        let request = self.client.0.request(method, url);
        match &self.credential {
            Some((header, secret)) => request.header(*header, secret.0.clone()),
            None => request,
        }
    }
}

/// What a status other than success means for what happens next. Text never decides.
fn kind(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        429 => ErrorKind::Throttled,
        400 | 405..=428 => ErrorKind::Invalid,
        500..=599 => ErrorKind::Unreachable,
        _ => ErrorKind::Unknown,
    }
}
