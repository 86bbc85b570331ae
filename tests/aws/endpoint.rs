//! An EC2 endpoint on loopback: answers what it is told to, and keeps what it was asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::query::decode;

/// The date of every answer.
pub const DATE: &str = "Mon, 23 Nov 2026 00:01:30 GMT";

/// One request: the form that the SDK sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked(pub BTreeMap<String, String>);

impl Asked {
    pub fn action(&self) -> &str {
        self.get("Action")
    }

    /// A parameter, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn parse(form: &str) -> Self {
        Self(decode(form))
    }
}

/// The answers to the next requests of each action. The last answer of an action is repeated.
#[derive(Default)]
struct Script {
    answers: BTreeMap<String, VecDeque<(u16, String)>>,
    /// The actions that get no answer at all.
    silent: BTreeSet<String>,
    asked: Vec<Asked>,
}

/// A running endpoint. It ends with the runtime that it was started on.
pub struct Endpoint {
    pub url: String,
    script: Arc<Mutex<Script>>,
}

impl Endpoint {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = shared.clone();
                tokio::spawn(async move {
                    let answer = service_fn(move |request| answer(script.clone(), request));
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { url, script }
    }

    /// The next answer to an action.
    pub fn answers(&self, action: &str, body: impl Into<String>) -> &Self {
        self.answers_with(action, 200, body)
    }

    /// The next answer to an action, with that status.
    pub fn answers_with(&self, action: &str, status: u16, body: impl Into<String>) -> &Self {
        let mut script = self.script.lock().unwrap();
        script.answers.entry(action.to_owned()).or_default().push_back((status, body.into()));
        drop(script);
        self
    }

    /// No answer to an action comes from now on, or to any for `*`.
    pub fn falls_silent(&self, action: &str) -> &Self {
        self.script.lock().unwrap().silent.insert(action.to_owned());
        self
    }

    /// The only answer to an action from now on.
    pub fn instead(&self, action: &str, body: impl Into<String>) -> &Self {
        self.script.lock().unwrap().answers.remove(action);
        self.answers(action, body)
    }

    /// An answer before all others that an action has yet.
    pub fn first_answers_with(&self, action: &str, status: u16, body: impl Into<String>) -> &Self {
        let mut script = self.script.lock().unwrap();
        script.answers.entry(action.to_owned()).or_default().push_front((status, body.into()));
        drop(script);
        self
    }

    /// The next answer to an action is that error.
    pub fn refuses(&self, action: &str, status: u16, code: &str) -> &Self {
        self.answers_with(action, status, refusal(code))
    }

    /// Puts an error before all other answers of an action.
    pub fn first_refuses(&self, action: &str, status: u16, code: &str) -> &Self {
        self.first_answers_with(action, status, refusal(code))
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    /// The requests of one action.
    pub fn asked_for(&self, action: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.action() == action).collect()
    }
}

/// An error as EC2 writes it.
fn refusal(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
         <Message>Said in many words.</Message></Error></Errors><RequestID>req-1</RequestID></Response>"
    )
}

async fn answer(script: Arc<Mutex<Script>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked = Asked::parse(str::from_utf8(&body).unwrap());
    let Some((status, body)) = next(&mut script.lock().unwrap(), asked) else { return std::future::pending().await };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("x-amzn-requestid", "req-1".parse().unwrap());
    response.headers_mut().insert("date", DATE.parse().unwrap());
    response.headers_mut().insert("content-type", "text/xml;charset=UTF-8".parse().unwrap());
    Ok(response)
}

/// Notes a request, and finds the answer to it.
fn next(script: &mut Script, asked: Asked) -> Option<(u16, String)> {
    let action = asked.action().to_owned();
    script.asked.push(asked);
    if ["*", &action].iter().any(|silent| script.silent.contains(*silent)) {
        return None;
    }
    let answers = script.answers.entry(action.clone()).or_default();
    Some(match answers.len() {
        0 => (501, format!("nobody said what to answer to {action}")),
        1 => answers[0].clone(),
        _ => answers.pop_front().unwrap(),
    })
}
