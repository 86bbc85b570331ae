//! Lists in words.

use std::fmt;

/// Lists things in a row.
pub(super) fn joined<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
