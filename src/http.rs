//! HTTP to servers that a cluster is made of: short requests, and nothing that a library would do by itself.
//!
//! No redirects are followed: a member that sends us elsewhere cannot be trusted, and the token is for that member alone. No
//! proxy is taken from the environment: members are neighbours, and a proxy would answer for one that is dead. Nothing
//! is retried: whoever asks has other members to ask, and looks again anyway.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder, Url, redirect};
use serde_json::Value;

use crate::input::file;
use crate::input::secret::Secret;
use crate::ports::ErrorKind;

mod answer;
pub mod consul;
pub mod servers;
mod tls;

pub use answer::{Answer, Refused, Silence, Unreadable};
pub use tls::{Tls, Trust};

/// The longest time for making a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// The longest time for an answer that a server has ready.
const GLANCE: Duration = Duration::from_secs(2);
/// The longest time for any other request.
const TOTAL: Duration = Duration::from_secs(5);
/// The time for which a connection is kept for the next request: long enough for one look at a cluster, too short to hold
/// thousands of clusters' connections open.
const IDLE: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes, for a list. A cluster of ten thousand agents lists itself in half of it.
pub const LIST: usize = 16 << 20;
/// The longest answer for one entry of a store. Consul keeps 512 KiB in one, and sends it in base64.
pub const ENTRY: usize = 1 << 20;
/// The longest answer about settings or servers, of which a cluster has a few.
pub const SETTINGS: usize = 256 << 10;
/// The longest answer that is read of what a server has at hand, such as the leader's address, in bytes.
const SHORT: usize = 1 << 10;

/// All clients, one for each way to trust servers. A client is made again when one of its files has other content.
#[derive(Default)]
pub struct Http {
    clients: RefCell<BTreeMap<Trust, (tls::Material, reqwest::Client)>>,
}

impl Http {
    /// Gives the client for servers that are trusted in this way. Its files are read each time.
    pub fn client(&self, trust: &Trust) -> Result<Client, Unusable> {
        let material = trust.read()?;
        if let Some((known, client)) = self.clients.borrow().get(trust)
            && *known == material
        {
            return Ok(Client(client.clone()));
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.config_of(&material)?)
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

/// A fault of this machine's files, because of which nothing can be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File { path: String, source: std::io::Error },
    /// A file has no such content, e.g. no private key.
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
    /// A text is no HTTP address.
    #[error("`{0}` is no HTTP address")]
    Address(String),
}

/// Says whether a host with its port is this machine. A name that only begins like an address of it, e.g. `127.0.0.1.example.com`,
/// may be anybody's.
pub fn is_here(host: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Says whether what is sent to an address cannot be read on the way: by TLS, or because it stays on this machine.
pub fn is_private(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    // The host alone counts: `http://localhost:x@example.com` is somebody else's.
    let is_here = || url.host_str().is_some_and(|host| is_here(&format!("{host}:")));
    url.scheme() == "https" || url.scheme() == "http" && is_here()
}

/// Reads the secret that a file holds, without the line's end: printable ASCII, so without a byte order mark too. `what` it
/// is stands in the error, e.g. `token`.
pub fn secret(path: &str, what: &'static str) -> Result<Secret, Unusable> {
    let unusable = |source| Unusable::File { path: path.to_owned(), source };
    let text = file::read_text(Path::new(path), file::TOKEN).map_err(unusable)?;
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Unusable::Content { path: path.to_owned(), what });
    }
    Ok(Secret::new(text))
}

/// A client for servers that are trusted in one way.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Client {
    /// Gives the client itself, for a library that makes requests of its own.
    #[cfg(any(feature = "aws", feature = "traces"))]
    pub(crate) fn inner(&self) -> reqwest::Client {
        self.0.clone()
    }
}

/// One server, with the header that proves who we are.
#[derive(Clone, Debug)]
pub struct Server {
    client: Client,
    base: Url,
    credential: Option<(&'static str, Secret)>,
}

impl Server {
    /// Makes the server at `base`, e.g. `https://10.0.0.1:8501`. `credential` is a header that is sent with each request.
    pub fn new(client: &Client, base: &str, credential: Option<(&'static str, Secret)>) -> Result<Self, Unusable> {
        let base =
            Url::parse(base).ok().filter(|url| url.has_host()).ok_or_else(|| Unusable::Address(base.to_owned()))?;
        Ok(Self { client: client.clone(), base, credential })
    }

    /// Gives the same server, with another header that proves who we are.
    pub fn with_credential(&self, header: &'static str, secret: Secret) -> Self {
        Self { credential: Some((header, secret)), ..self.clone() }
    }

    /// Gives what lies at a path below the address, which may have a path of its own, e.g. `https://github.example/api/v3`.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        let mut base = self.base.clone();
        base.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        Self { base, ..self.clone() }
    }

    /// Gives the whole address, e.g. `https://10.0.0.1:8501/`.
    pub fn address(&self) -> &str {
        self.base.as_str()
    }

    /// Gives the host, without the port.
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Gives the host as an address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }

    /// Reads something that a server has ready, and gives up sooner: a server that hangs must not hold up the others.
    pub async fn glance(&self, path: &str) -> Result<Answer, Silence> {
        self.send(self.request(Method::GET, path, &[]).timeout(GLANCE), SHORT).await
    }

    /// Sends a GET, which reads an answer of at most `most` bytes.
    pub async fn get(&self, path: &str, query: &[(&str, &str)], most: usize) -> Result<Answer, Silence> {
        self.send(self.request(Method::GET, path, query), most).await
    }

    /// Asks, by a POST with a body of JSON, for something that a server has ready, and gives up sooner: a server that hangs must
    /// not hold up the others.
    pub async fn glance_json(&self, path: &str, body: &Value) -> Result<Answer, Silence> {
        self.send(self.request(Method::POST, path, &[]).json(body).timeout(GLANCE), SETTINGS).await
    }

    /// Sends a POST with a body of JSON, and reads an answer of at most `most` bytes.
    pub async fn post_json(&self, path: &str, body: &Value, most: usize) -> Result<Answer, Silence> {
        self.send(self.request(Method::POST, path, &[]).json(body), most).await
    }

    /// Sends a PUT, which writes.
    pub async fn put(&self, path: &str, query: &[(&str, &str)], body: Vec<u8>) -> Result<Answer, Silence> {
        self.send(self.request(Method::PUT, path, query).body(body), SETTINGS).await
    }

    /// Sends a DELETE, which removes.
    pub async fn delete(&self, path: &str) -> Result<Answer, Silence> {
        self.send(self.request(Method::DELETE, path, &[]), SETTINGS).await
    }

    /// Sends a POST, which asks for something to be done.
    pub async fn post(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Silence> {
        self.send(self.request(Method::POST, path, query), SETTINGS).await
    }

    /// Sends a POST with a body of JSON that holds a secret, which no error shows, even if the server repeats it.
    pub async fn post_secret(&self, path: &str, body: &Value, secret: &Secret) -> Result<Answer, Silence> {
        let request = self.request(Method::POST, path, &[]).json(body);
        Answer::receive(self.host(), Some(secret.clone()), request, SETTINGS).await
    }

    /// Sends a POST to the address as it is, its path and its query included, and reads an answer of at most `most` bytes. No error
    /// shows the secret, even if the server repeats it.
    pub async fn deliver(
        &self,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        secret: Option<&Secret>,
        most: usize,
    ) -> Result<Answer, Silence> {
        let request =
            headers.iter().fold(self.proven(self.client.0.post(self.base.clone())), |request, (name, value)| {
                request.header(*name, value)
            });
        Answer::receive(self.host(), secret.cloned(), request.body(body), most).await
    }

    /// Sends a GET to the address as it is, and reads an answer of at most `most` bytes.
    pub async fn look(&self, most: usize) -> Result<Answer, Silence> {
        self.send(self.proven(self.client.0.get(self.base.clone())), most).await
    }

    async fn send(&self, request: RequestBuilder, most: usize) -> Result<Answer, Silence> {
        let secret = self.credential.as_ref().map(|(_, secret)| secret.clone());
        Answer::receive(self.host(), secret, request, most).await
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
        self.proven(self.client.0.request(method, url))
    }

    /// Adds the header that proves who we are.
    fn proven(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credential {
            Some((header, secret)) => {
                let value = HeaderValue::from_str(secret.reveal()).map(|mut value| {
                    value.set_sensitive(true);
                    value
                });
                // A value that no header can have makes the request fail, and is not shown.
                request.header(*header, value.unwrap_or(HeaderValue::from_static("")))
            }
            None => request,
        }
    }
}

/// Says what follows from a status other than success. Text never decides.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_in_clear_to_this_machine_alone() {
        for here in ["localhost:8500", "127.0.0.1:8500", "127.9.9.9:1", "[::1]:8500", "127.0.0.1", "localhost"] {
            assert!(is_here(here), "{here}");
        }
        for away in [
            "10.0.0.1:8500",
            "127.0.0.1.example.com:8500",
            "127.example.com",
            "localhost.example.com:8500",
            "localhostile:8500",
            "[::]:8500",
            "[2001:db8::1]:8500",
            "0:8500",
            "0.0.0.0:8500",
        ] {
            assert!(!is_here(away), "{away}");
        }
    }

    #[test]
    fn an_address_is_private_by_tls_or_because_its_host_is_this_machine() {
        for private in ["https://api.example", "http://127.0.0.1:80/x", "http://localhost", "http://[::1]:8"] {
            assert!(is_private(private), "{private}");
        }
        for open in [
            "http://api.example",
            "http://127.0.0.1.example",
            "ftp://localhost",
            "api.example",
            "http://10.0.0.1",
            "http://localhost:x@api.example",
            "https://",
        ] {
            assert!(!is_private(open), "{open}");
        }
    }
}
