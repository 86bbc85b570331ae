//! Files that the environment names for libraries, which read them to the end, whatever they are.

use std::env;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::file;

/// The variables that the AWS SDK and the TLS library go by.
const NAMED: [&str; 5] = [
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "SSL_CERT_FILE",
];

/// A variable that names something whose end no library would ever see.
#[derive(Debug, thiserror::Error)]
#[error("{variable} names {}, which cannot be read", super::text::path(.path))]
pub struct Unreadable {
    /// The variable.
    pub variable: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Checks that what libraries read by themselves has an end: a regular file of a limited size, or nothing. What is missing
/// is for the library to say, which has other places to look.
pub fn check() -> Result<(), Unreadable> {
    NAMED.into_iter().try_for_each(|variable| {
        let Some(path) = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from) else {
            return Ok(());
        };
        match file::has_an_end(&path, file::CERTIFICATES) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(Unreadable { variable, path, source }),
            _ => Ok(()),
        }
    })
}
