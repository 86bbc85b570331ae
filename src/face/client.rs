//! Asks the face of a daemon, for a command that is to know what the daemon knows.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::input::text;

use super::listen::Place;
use super::request::Form;

/// The time that a daemon has for an answer.
const WITHIN: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 << 20;

/// The reason why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("no daemon answers at {0}")]
    Unreachable(Place, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no daemon answers at {0} within 15s")]
    Late(Place),
    #[error("the daemon at {0} refuses: {1}")]
    Refused(Place, String),
    #[error("what answers at {0} is no daemon of hermitcrab")]
    Foreign(Place, #[source] serde_json::Error),
}

/// Asks for what is at a path, e.g. `/api/v1/clusters`.
pub async fn ask(place: &Place, path: &str, form: Form) -> Result<String, Unanswered> {
    let unreachable = |error| Unanswered::Unreachable(place.clone(), error);
    let asking = async {
        match place {
            Place::Address(address) => {
                exchange(TcpStream::connect(address).await?, &address.to_string(), path, form).await
            }
            Place::Socket(socket) => exchange(UnixStream::connect(socket).await?, "localhost", path, form).await,
        }
    };
    let answered = timeout(WITHIN, asking).await.map_err(|_| Unanswered::Late(place.clone()))?;
    let (status, body) = answered.map_err(unreachable)?;
    if status.is_success() {
        return Ok(body);
    }
    let detail = serde_json::from_str::<Value>(&body).ok();
    let detail = detail.as_ref().and_then(|refusal| refusal["detail"].as_str()).unwrap_or_default();
    Err(Unanswered::Refused(place.clone(), text::cut(detail, 500)))
}

/// Asks for the document at a path, e.g. `/api/v1/clusters`.
pub async fn document<T: DeserializeOwned>(place: &Place, path: &str) -> Result<T, Unanswered> {
    let answer = ask(place, path, Form::Json).await?;
    serde_json::from_str(&answer).map_err(|error| Unanswered::Foreign(place.clone(), error))
}

/// Follows a stream, and says so whenever something is told there. Ends with the stream.
pub async fn follow(place: &Place, path: &str, heard: impl Fn()) -> Result<(), Unanswered> {
    let following = async {
        match place {
            Place::Address(address) => {
                listen(TcpStream::connect(address).await?, &address.to_string(), path, heard).await
            }
            Place::Socket(socket) => listen(UnixStream::connect(socket).await?, "localhost", path, heard).await,
        }
    };
    following.await.map_err(|error| Unanswered::Unreachable(place.clone(), error))
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

async fn listen(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
    heard: impl Fn(),
) -> Result<(), Trouble> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request =
        Request::get(path).header(HOST, host).header(ACCEPT, "text/event-stream").body(Empty::<Bytes>::new())?;
    let reading = async {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(Trouble::from(format!("it answers {}", response.status())));
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            // A comment only says that the daemon is there.
            if frame?.data_ref().is_some_and(|data| !data.starts_with(b":")) {
                heard();
            }
        }
        Ok(())
    };
    driven(connection, reading).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
    form: Form,
) -> Result<(StatusCode, String), Trouble> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let kind = match form {
        Form::Json => "application/json",
        Form::Text => "text/plain",
    };
    let request = Request::get(path).header(HOST, host).header(ACCEPT, kind).body(Empty::<Bytes>::new())?;
    let reading = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    driven(connection, reading).await
}

/// Reads while the connection is driven: an answer may be whole only once that has ended.
async fn driven<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    reading: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    tokio::pin!(reading);
    tokio::select! {
        answer = &mut reading => answer,
        ended = connection => {
            ended?;
            reading.await
        }
    }
}
