//! The way to servers that are asked over HTTP: their addresses, how they are trusted, and the words for them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::http::servers::Servers;
use crate::http::{Server, Tls, Trust, Unusable};
use crate::ports::{ErrorKind, PortError, Seat};
use crate::spec::{HttpSpec, Scheme};

/// Opens the way to the servers at the seats that are taken. `whom` they are is for errors, e.g. `the etcd members of etcd-prod`.
/// `Unreachable` if no seat is taken.
pub(super) fn reach(
    whom: &str,
    how: &HttpSpec,
    seats: &[Seat],
    open: impl FnOnce(Vec<String>) -> Result<Servers, Unusable>,
) -> Result<Servers, PortError> {
    let bases = bases(how, seats);
    if bases.is_empty() {
        let why = "no running instance has an address";
        return Err(PortError::new(format!("ask {whom}"), ErrorKind::Unreachable, why));
    }
    open(bases).map_err(|error| unusable(whom, error))
}

/// The failure of a file or an address without which servers cannot be asked.
pub(super) fn unusable(whom: &str, error: Unusable) -> PortError {
    PortError::new(format!("ask {whom}"), ErrorKind::Invalid, error)
}

/// Says what is being done to which servers.
pub(super) fn doing(verb: &str, whom: &str, servers: &Servers) -> String {
    let hosts: Vec<_> = servers.iter().map(Server::host).collect();
    format!("{verb} {whom} at {}", hosts.join(", "))
}

/// Writes the address of each server, e.g. `https://10.0.0.1:8501`, in the order of the seats' addresses.
fn bases(how: &HttpSpec, seats: &[Seat]) -> Vec<String> {
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
