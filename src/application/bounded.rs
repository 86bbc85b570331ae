//! Bounds of what is kept of an answer, whatever the server sends.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// The most servers that are kept of any list. Nobody advises more than seven, and each is compared with each other.
pub const MOST_SERVERS: usize = 100;

/// The most characters that are kept of any text: ids, names and versions have a few dozen. A server that sends megabytes
/// as its name would have them kept, compared and shown.
const LONGEST: usize = 256;

/// A text, of which the beginning is kept.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Brief(#[serde(deserialize_with = "short")] pub String);

/// Reads a text, of which the beginning is kept.
pub(super) fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Short;

    impl Visitor<'_> for Short {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.chars().take(LONGEST).collect())
        }
    }

    deserializer.deserialize_str(Short)
}
