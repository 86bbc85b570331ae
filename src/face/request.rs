//! A request, refused or understood: only GET and HEAD, no body, a host that is meant, and a path that there is.

use std::net::IpAddr;

use hyper::header::{ACCEPT, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};

/// Everything that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Home,
    ClusterPage(String),
    Style,
    Script,
    Icon,
    Live,
    Ready,
    Metrics,
    OpenApi,
    Fleet,
    FleetEvents {
        after: u64,
    },
    FleetStream,
    Cluster(String),
    Plan(String),
    Explain {
        cluster: String,
        asked: Asked,
    },
    Events {
        cluster: String,
        after: u64,
    },
    FleetHistory,
    History(String),
    /// A rollout, by the number of the event that it began with.
    Picture {
        cluster: String,
        rollout: u64,
    },
    Stream(String),
}

/// The part of a cluster's gates that is asked for: `?slot=consul-c&gates=closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The slot; the one whose turn it is where none is named.
    pub slot: Option<String>,
    /// Whether the gates that are open are left out.
    pub only_closed: bool,
}

/// The form of an answer. Answers that have only one form have that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    /// As commands write it for people.
    Text,
}

impl Form {
    /// Finds the form that a caller asks for: text only where it is named first.
    pub fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get(ACCEPT).and_then(|asked| asked.to_str().ok()).unwrap_or_default();
        if asked.trim_start().starts_with("text/plain") { Self::Text } else { Self::Json }
    }
}

/// The reason why a request is not answered with what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: StatusCode,
    pub detail: String,
    /// The methods that are answered there.
    pub allow: &'static str,
}

impl Refused {
    /// Refuses with a status and the reason.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), allow: "GET, HEAD" }
    }

    /// Refuses to show what is not there.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing here; /api/v1/openapi.json lists what there is")
    }
}

/// The names by which callers may reach this face.
#[derive(Clone, Debug)]
pub enum Hosts {
    /// Whatever the caller says: who reaches a Unix socket is decided by its permissions.
    Any,
    /// This machine's own names and every address, beside the names that were given.
    ///
    /// A page of a stranger reaches this port by a name that it has pointed at this machine (DNS rebinding), so a name that
    /// nobody gave is refused. An address cannot be pointed anywhere.
    Named(Vec<String>),
}

impl Hosts {
    fn allow(&self, host: &str) -> bool {
        let Self::Named(names) = self else { return true };
        let name = without_port(host);
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        address.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || names.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The path of the webhook, which is the one thing that is posted to.
pub const HOOK: &str = "/hooks/source";

/// Judges a call of the webhook by its head.
pub fn hooked<B>(request: &Request<B>, hosts: &Hosts) -> Result<(), Refused> {
    if request.method() != Method::POST {
        let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "a webhook is called by POST");
        return Err(Refused { allow: "POST", ..refused });
    }
    is_meant(request.uri(), request.headers(), hosts)
}

/// Understands a request, or says why it is refused.
pub fn route<B>(request: &Request<B>, hosts: &Hosts) -> Result<Route, Refused> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let detail = "nothing can be changed here: only GET and HEAD are answered";
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, detail));
    }
    has_no_body(request.headers())?;
    is_meant(request.uri(), request.headers(), hosts)?;
    path(request.uri())
}

fn has_no_body(headers: &HeaderMap) -> Result<(), Refused> {
    let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    if is_empty && !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "a question has no body"))
}

fn is_meant(uri: &Uri, headers: &HeaderMap, hosts: &Hosts) -> Result<(), Refused> {
    let mut named = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let (host, another) = (named.next(), named.next());
    let in_line = uri.authority().map(hyper::http::uri::Authority::as_str);
    let is_one = another.is_none() && in_line.is_none_or(|in_line| Some(in_line) == host);
    match host {
        Some(host) if is_one && hosts.allow(host) => Ok(()),
        None if matches!(hosts, Hosts::Any) => Ok(()),
        Some(_) if is_one => Err(Refused::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this host name is not meant for the daemon; ask by an address or as localhost, or allow the name with \
             `run --listen-name`",
        )),
        _ => Err(Refused::new(StatusCode::BAD_REQUEST, "a request names one host")),
    }
}

/// Understands the path. There is one way to write each: nothing is decoded, and no step leads up.
fn path(uri: &Uri) -> Result<Route, Refused> {
    let segments: Vec<_> = uri.path().split('/').skip(1).collect();
    let cluster = |name: &str| if is_name(name) { Ok(name.to_owned()) } else { Err(Refused::not_found()) };
    Ok(match segments.as_slice() {
        [""] => Route::Home,
        ["clusters", name] => Route::ClusterPage(cluster(name)?),
        ["style.css"] => Route::Style,
        ["live.js"] => Route::Script,
        ["icon.svg"] => Route::Icon,
        ["livez"] => Route::Live,
        ["readyz"] => Route::Ready,
        ["metrics"] => Route::Metrics,
        ["api", "v1", "openapi.json"] => Route::OpenApi,
        ["api", "v1", "clusters"] => Route::Fleet,
        ["api", "v1", "events"] => Route::FleetEvents { after: after(uri)? },
        ["api", "v1", "stream"] => Route::FleetStream,
        ["api", "v1", "clusters", name] => Route::Cluster(cluster(name)?),
        ["api", "v1", "clusters", name, "plan"] => Route::Plan(cluster(name)?),
        ["api", "v1", "clusters", name, "explain"] => Route::Explain { cluster: cluster(name)?, asked: asked(uri)? },
        ["api", "v1", "clusters", name, "events"] => Route::Events { cluster: cluster(name)?, after: after(uri)? },
        ["api", "v1", "history"] => Route::FleetHistory,
        ["api", "v1", "clusters", name, "history"] => Route::History(cluster(name)?),
        ["api", "v1", "clusters", name, "history", rollout, "picture"] => {
            Route::Picture { cluster: cluster(name)?, rollout: number(rollout).ok_or_else(Refused::not_found)? }
        }
        ["api", "v1", "clusters", name, "stream"] => Route::Stream(cluster(name)?),
        _ => return Err(Refused::not_found()),
    })
}

/// Says whether a text can be the name of a cluster or of a slot.
fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The value of a parameter behind the `?`, which is empty where only its name is written.
fn parameter<'u>(uri: &'u Uri, name: &str) -> Option<&'u str> {
    let mut pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
    pairs.find_map(|pair| match pair.split_once('=') {
        Some((key, value)) => (key == name).then_some(value),
        None => (pair == name).then_some(""),
    })
}

/// Reads which of a cluster's gates are wanted.
fn asked(uri: &Uri) -> Result<Asked, Refused> {
    let bad = |detail| Refused::new(StatusCode::BAD_REQUEST, detail);
    let slot = parameter(uri, "slot").map(str::to_owned);
    if slot.as_deref().is_some_and(|slot| !is_name(slot)) {
        return Err(bad("`slot` is the name of a slot, e.g. `?slot=consul-a`"));
    }
    let only_closed = match parameter(uri, "gates") {
        None | Some("all") => false,
        Some("closed") => true,
        Some(_) => return Err(bad("`gates` is `all` or `closed`")),
    };
    Ok(Asked { slot, only_closed })
}

/// Reads the number behind which events are wanted; 0 where none is given.
fn after(uri: &Uri) -> Result<u64, Refused> {
    number(parameter(uri, "after").unwrap_or("0"))
        .ok_or_else(|| Refused::new(StatusCode::BAD_REQUEST, "`after` is the number of an event, e.g. `?after=120`"))
}

/// Reads a number that is written in digits alone.
fn number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(target: &str, host: &str) -> Result<Route, u16> {
        let request = Request::builder().uri(target).header(HOST, host).body(()).unwrap();
        route(&request, &Hosts::Named(vec!["crab.example".to_owned()])).map_err(|refused| refused.status.as_u16())
    }

    #[test]
    fn a_host_that_nobody_meant_is_refused() {
        for host in ["localhost", "LOCALHOST:8642", "127.0.0.1:8642", "[::1]:8642", "10.0.0.7", "crab.example:80"] {
            assert_eq!(ask("/livez", host), Ok(Route::Live), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8642", "", "crab.example.evil"] {
            assert_eq!(ask("/livez", host), Err(421), "{host}");
        }
    }

    #[test]
    fn a_path_has_one_way_of_being_written() {
        assert_eq!(ask("/api/v1/clusters/consul-prod/plan", "localhost"), Ok(Route::Plan("consul-prod".to_owned())));
        for path in [
            "/api/v1/clusters/",
            "/api/v1/clusters/consul-prod/",
            "//api/v1/clusters",
            "/api/v1/clusters/../clusters",
            "/api/v1/clusters/%2e%2e/plan",
            "/api/v1/clusters/consul%2dprod",
            "/api/v1/clusters/a/b/plan",
            "/API/v1/clusters",
            "/livez/",
        ] {
            assert_eq!(ask(path, "localhost"), Err(404), "{path}");
        }
    }

    #[test]
    fn gates_are_asked_for_by_slot_and_by_being_closed() {
        let explain = |slot: Option<&str>, only_closed| {
            let asked = Asked { slot: slot.map(str::to_owned), only_closed };
            Ok(Route::Explain { cluster: "c".to_owned(), asked })
        };
        let ask = |query: &str| ask(&format!("/api/v1/clusters/c/explain{query}"), "localhost");
        assert_eq!(ask(""), explain(None, false));
        assert_eq!(ask("?"), explain(None, false));
        assert_eq!(ask("?gates=all&slot=consul-c"), explain(Some("consul-c"), false));
        assert_eq!(ask("?x=y&gates=closed"), explain(None, true));
        for bad in ["?slot", "?slot=", "?slot=a/b", "?slot=%61", "?gates", "?gates=open", "?gates=closed%20"] {
            assert_eq!(ask(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let events = |after| Ok(Route::FleetEvents { after });
        assert_eq!(ask("/api/v1/events", "localhost"), events(0));
        assert_eq!(ask("/api/v1/events?x=1&after=12", "localhost"), events(12));
        for after in ["", "-1", "+1", "1e3", "99999999999999999999999"] {
            assert_eq!(ask(&format!("/api/v1/events?after={after}"), "localhost"), Err(400), "{after}");
        }
    }
}
