//! Refusals of an object store: what follows from each, and what a person does about it.

use std::error::Error as StdError;

use object_store::Error;

use crate::coordination::place;
use crate::input::text;
use crate::ports::{ErrorKind, PortError, chain};

/// The longest account of a refusal, in characters.
const SHOWN: usize = 300;

/// A refusal in the store's own words, without the rest of its document: that may repeat credentials.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(super) struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The code, e.g. `NoSuchBucket`.
    pub code: String,
    /// The text beside it.
    pub message: String,
}

/// Tells what follows from a call that failed.
pub(super) fn port_error(doing: &str, place: &place::Bucket, error: Error) -> PortError {
    let refused = refused(&error);
    let told = refused.map_or_else(|| chain(&error), Refused::to_string);
    let told = text::cut(&text::clean(&told), SHOWN);
    let (kind, next) = match refused {
        None if matches!(error, Error::NotFound { .. }) => (ErrorKind::NotFound, None),
        None => (ErrorKind::Unreachable, None),
        Some(refused) => follows(refused, place),
    };
    PortError::new(doing, kind, next.map_or_else(|| told.clone(), |next| format!("{told}; {next}")))
}

fn refused(error: &Error) -> Option<&Refused> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// Tells what follows from a code, or else from a status, and the next step.
fn follows(refused: &Refused, place: &place::Bucket) -> (ErrorKind, Option<String>) {
    let (bucket, prefix) = (&place.name, &place.prefix);
    let elsewhere =
        || format!("if the bucket is in another region, name it: `s3://{bucket}/{prefix}?region=eu-central-1`");
    let (kind, next) = match (refused.code.as_str(), refused.status) {
        ("NoSuchBucket", _) => {
            (ErrorKind::Invalid, format!("make the bucket `{bucket}`, or name another one with --claims"))
        }
        ("RequestTimeTooSkewed", _) => (ErrorKind::Denied, "set this machine's clock".to_owned()),
        ("ExpiredToken" | "InvalidToken", _) => (ErrorKind::Denied, "renew the credentials".to_owned()),
        (_, 401 | 403) => {
            let next = format!(
                "allow s3:GetObject, s3:PutObject and s3:DeleteObject on `{bucket}/{prefix}/*`, and s3:ListBucket on \
                 `{bucket}`"
            );
            (ErrorKind::Denied, next)
        }
        (_, 429 | 503) => return (ErrorKind::Throttled, None),
        (_, 500..) => return (ErrorKind::Unreachable, None),
        ("AuthorizationHeaderMalformed", _) | (_, 300..=399) => (ErrorKind::Invalid, elsewhere()),
        _ => (ErrorKind::Invalid, format!("see whether `{bucket}` is what --claims is to name")),
    };
    (kind, Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_decides_before_a_status_and_each_names_the_next_step() {
        let place = place::Bucket { name: "state".into(), prefix: "crab".into(), region: None };
        for (status, code, kind, next) in [
            (404, "NoSuchBucket", ErrorKind::Invalid, "make the bucket `state`"),
            (403, "AccessDenied", ErrorKind::Denied, "s3:PutObject and s3:DeleteObject on `state/crab/*`"),
            (403, "RequestTimeTooSkewed", ErrorKind::Denied, "set this machine's clock"),
            (400, "ExpiredToken", ErrorKind::Denied, "renew the credentials"),
            (503, "SlowDown", ErrorKind::Throttled, ""),
            (500, "InternalError", ErrorKind::Unreachable, ""),
            (301, "PermanentRedirect", ErrorKind::Invalid, "?region="),
            (400, "AuthorizationHeaderMalformed", ErrorKind::Invalid, "?region="),
            (400, "InvalidBucketName", ErrorKind::Invalid, "see whether `state`"),
        ] {
            let refused = Refused { status, code: code.to_owned(), message: "why".to_owned() };
            let error = Error::Generic { store: "S3", source: Box::new(refused) };
            let error = port_error("read the claim", &place, error);
            let text = chain(&error);
            assert_eq!(error.kind, kind, "{text}");
            assert!(text.contains(&format!("{code}: why")) && text.contains(next), "{text}");
        }
    }
}
