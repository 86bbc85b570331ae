//! A server's answer, or its silence.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::kind;
use crate::input::secret::Secret;
use crate::input::text;
use crate::ports::ErrorKind;

/// The number of characters of a server's text that are shown.
const SHOWN: usize = 200;
/// The bytes of an answer that are read in order to show them.
const LOOKED_AT: usize = 4 << 10;

/// A whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The server that gave it.
    pub from: String,
    /// The HTTP status.
    pub status: u16,
    body: Vec<u8>,
    /// The secret that was sent, which some servers repeat. No error shows it.
    secret: Option<Secret>,
}

/// Silence of a server. The request may or may not have taken effect.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// No answer came.
    #[error("{from} does not answer")]
    None { from: String, source: reqwest::Error },
    /// An answer began, and not all of it came.
    #[error("{from} does not finish its answer")]
    Unfinished { from: String, source: reqwest::Error },
    /// More came than any right answer has.
    #[error("{from} answers without end: more than {} KiB", most >> 10)]
    Endless { from: String, most: usize },
}

impl Silence {
    /// Says whether the server has answered in a way that costs more than any right answer does: without end, or drop by
    /// drop until the time was up.
    pub fn is_costly(&self) -> bool {
        match self {
            Self::None { .. } => false,
            Self::Unfinished { source, .. } => source.is_timeout(),
            Self::Endless { .. } => true,
        }
    }
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
#[error("the answer of {from} cannot be understood: {why}")]
pub struct Unreadable {
    from: String,
    /// The parser's words, which may quote the answer: cut, clean and without the secret.
    why: String,
}

impl Answer {
    /// Waits for the whole answer, of at most `most` bytes. Of a refusal that is longer the beginning will do.
    pub(super) async fn receive(
        from: &str,
        secret: Option<Secret>,
        request: reqwest::RequestBuilder,
        most: usize,
    ) -> Result<Self, Silence> {
        let none = |error: reqwest::Error| Silence::None { from: from.to_owned(), source: error.without_url() };
        let unfinished =
            |error: reqwest::Error| Silence::Unfinished { from: from.to_owned(), source: error.without_url() };
        let mut response = request.send().await.map_err(none)?;
        let (mut body, success) = (Vec::new(), response.status().is_success());
        while let Some(part) = response.chunk().await.map_err(unfinished)? {
            let left = most - body.len();
            if part.len() > left && success {
                return Err(Silence::Endless { from: from.to_owned(), most });
            }
            body.extend_from_slice(&part[..part.len().min(left)]);
            if part.len() > left {
                break;
            }
        }
        Ok(Self { from: from.to_owned(), status: response.status().as_u16(), body, secret })
    }

    /// Says what follows from the status, unless that is a success.
    pub fn trouble(&self) -> Option<ErrorKind> {
        (!(200..300).contains(&self.status)).then(|| kind(self.status))
    }

    /// Gives the answer as a refusal, to be shown.
    pub fn refused(&self) -> Refused {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(LOOKED_AT)]).into_owned();
        Refused { from: self.from.clone(), status: self.status, text: self.shown(&text) }
    }

    /// Reads the answer as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Unreadable { from: self.from.clone(), why: self.shown(&error.to_string()) })
    }

    /// Gives the answer as text, as the server wrote it.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Text of the server's as it may be shown: without the secret, in one line that steers nothing, and short.
    fn shown(&self, text: &str) -> String {
        // The secret goes first: cut in the middle, it would not be recognised.
        let text = self.secret.as_ref().map_or_else(|| text.to_owned(), |secret| secret.blank_out(text));
        text::cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "5ecret-0000-1111";

    fn answer(status: u16, body: &str) -> Answer {
        let (from, secret) = ("10.0.0.1".to_owned(), Some(Secret::new(SECRET)));
        Answer { from, status, body: body.as_bytes().to_vec(), secret }
    }

    #[test]
    fn a_secret_that_a_server_repeats_is_in_no_error() {
        let long = format!("{}{SECRET}", "x".repeat(SHOWN - 5));
        for body in [format!("Permission denied: {SECRET}"), format!("\"tok {SECRET}\""), long] {
            let answer = answer(403, &body);
            let (refused, unreadable) = (answer.refused(), answer.json::<u64>().unwrap_err());
            for told in [format!("{refused} {refused:?}"), format!("{unreadable} {unreadable:?}")] {
                assert!(!told.contains("5ecret"), "{told}");
            }
        }
    }

    #[test]
    fn what_a_server_says_is_short_and_steers_nothing() {
        let body = format!("\"\u{1b}]0;PWNED\u{7}\u{202e}\n::error::x {}\"", "A".repeat(15 << 20));
        let answer = answer(500, &body);
        for told in [answer.refused().to_string(), answer.json::<u64>().unwrap_err().to_string()] {
            assert!(told.len() < 1_000, "{} bytes", told.len());
            assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}', '\n']), "{told:?}");
        }
    }
}
