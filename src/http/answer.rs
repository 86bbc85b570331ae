//! A server's answer, or its silence.

use serde::de::DeserializeOwned;

use super::kind;
use crate::ports::ErrorKind;

/// The longest answer that is read, in bytes. A cluster of ten thousand agents lists itself in half of it.
const LONGEST: usize = 16 << 20;
/// The number of characters of an error's text that are shown.
const SHOWN: usize = 200;

/// A whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The server that gave it.
    pub from: String,
    /// The HTTP status.
    pub status: u16,
    body: Vec<u8>,
}

/// Silence of a server. The request may or may not have taken effect.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// No answer, or not all of one, came in time.
    #[error("{from} does not answer")]
    None { from: String, source: reqwest::Error },
    /// More came than any right answer has.
    #[error("{from} answers without end: more than {} MiB", LONGEST >> 20)]
    Endless { from: String },
}

/// An answer whose status is no success.
#[derive(Debug, thiserror::Error)]
#[error("{from} answers {status}{}{text}", if text.is_empty() { "" } else { ": " })]
pub struct Refused {
    from: String,
    status: u16,
    text: String,
}

/// An answer that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("the answer of {from} cannot be understood")]
pub struct Unreadable {
    from: String,
    source: serde_json::Error,
}

impl Answer {
    pub(super) async fn receive(from: &str, request: reqwest::RequestBuilder) -> Result<Self, Silence> {
        let silence = |error: reqwest::Error| Silence::None { from: from.to_owned(), source: error.without_url() };
        let mut response = request.send().await.map_err(silence)?;
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(silence)? {
            if body.len() + part.len() > LONGEST {
                return Err(Silence::Endless { from: from.to_owned() });
            }
            body.extend_from_slice(&part);
        }
        Ok(Self { from: from.to_owned(), status: response.status().as_u16(), body })
    }

    /// Says what follows from the status, unless that is a success.
    pub fn trouble(&self) -> Option<ErrorKind> {
        (!(200..300).contains(&self.status)).then(|| kind(self.status))
    }

    /// Gives the answer as a refusal, to be shown. Its text is cut short, and has no line breaks.
    pub fn refused(&self) -> Refused {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Refused { from: self.from.clone(), status: self.status, text: line.chars().take(SHOWN).collect() }
    }

    /// Reads the answer as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        serde_json::from_slice(&self.body).map_err(|source| Unreadable { from: self.from.clone(), source })
    }
}
