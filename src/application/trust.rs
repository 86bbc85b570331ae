//! The way to servers that are asked over HTTP: their addresses, and how they are trusted.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::http::{Tls, Trust};
use crate::ports::Seat;
use crate::spec::{HttpSpec, Scheme};

/// Writes the address of each server, e.g. `https://10.0.0.1:8501`, in the order of the seats' addresses.
pub(super) fn bases(how: &HttpSpec, seats: &[Seat]) -> Vec<String> {
    let scheme = if how.scheme == Scheme::Https { "https" } else { "http" };
    let addresses: BTreeSet<_> = seats.iter().map(|seat| seat.address).collect();
    addresses.into_iter().map(|address| format!("{scheme}://{}", SocketAddr::new(address, how.port))).collect()
}

/// Says how servers are trusted whose certificates bear one name, if they share one.
pub(super) fn trust(how: &HttpSpec, shared_name: Option<String>) -> Trust {
    match how.scheme {
        Scheme::Http => Trust::Plain,
        Scheme::Https => Trust::Tls(Tls {
            ca_file: how.ca_file.clone(),
            own_files: how.client_cert_file.clone().zip(how.client_key_file.clone()),
            shared_name,
        }),
    }
}
