//! A part of the loopback network for each scenario: private addresses on which real servers can listen.

use std::net::TcpListener;

/// `127.<number>.0.0/16`, ours for as long as this lives.
pub struct Network {
    pub number: u8,
    /// Nobody else can have the same one meanwhile: neither another scenario nor another run of the rig.
    _held: TcpListener,
}

impl Network {
    pub fn take() -> Self {
        let free = (16..=99).find_map(|number| {
            let held = TcpListener::bind((std::net::Ipv4Addr::new(127, number, 255, 254), 7999)).ok()?;
            Some(Self { number, _held: held })
        });
        free.expect("all parts of the loopback network are taken")
    }

    pub fn cidr(&self) -> String {
        format!("127.{}.0.0/16", self.number)
    }

    /// Makes one address of a subnet.
    pub fn address(&self, subnet: usize, host: usize) -> String {
        format!("127.{}.{subnet}.{host}", self.number)
    }

    /// The addresses of one of its subnets.
    pub fn subnet(&self, number: usize) -> String {
        format!("127.{}.{number}.0/24", self.number)
    }
}
