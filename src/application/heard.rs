//! An answer of a member, or what follows from a refusal or from silence.

use crate::http::{Answer, Refused, Silence};
use crate::ports::{ErrorKind, PortError};

/// A refusal of whoever asked, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
struct NotAllowed {
    advice: &'static str,
    source: Refused,
}

/// Takes an answer that is a success. `advice` is for whoever may not ask.
pub(super) fn heard(doing: &str, answer: Result<Answer, Silence>, advice: &'static str) -> Result<Answer, PortError> {
    let answer = answer.map_err(|silence| PortError::new(doing, ErrorKind::Unreachable, silence))?;
    match answer.trouble() {
        None => Ok(answer),
        Some(ErrorKind::Denied) => {
            Err(PortError::new(doing, ErrorKind::Denied, NotAllowed { advice, source: answer.refused() }))
        }
        Some(kind) => Err(PortError::new(doing, kind, answer.refused())),
    }
}
