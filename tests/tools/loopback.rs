//! Parts of the loopback network for real servers.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// A part of the loopback network where nobody listens at these ports. The process's id keeps two runs apart, and a count two tests of
/// one run.
pub fn free_net(ports: [u16; 2]) -> (u8, u8) {
    static TESTS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1_000 {
        let n = std::process::id().wrapping_mul(10).wrapping_add(TESTS.fetch_add(1, Ordering::Relaxed));
        let net = (100 + (n % 100) as u8, (n / 100 % 250) as u8);
        let address = Ipv4Addr::new(127, net.0, net.1, 1);
        if ports.iter().all(|port| TcpListener::bind((address, *port)).is_ok()) {
            return net;
        }
    }
    panic!("no free loopback network");
}
