//! Lists in words, and advice that a gate and a stall share.

use std::fmt;
use std::net::Ipv4Addr;

/// Lists things in a row.
pub(super) fn joined<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// Says what a person can do about an address that something else has.
pub(super) fn address_hint(address: Ipv4Addr) -> String {
    format!(
        "take {address} off that, or declare another address for the slot; it goes on a minute after the address is free"
    )
}
