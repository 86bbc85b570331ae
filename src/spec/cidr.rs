//! Blocks of IPv4 addresses.

use std::fmt;
use std::net::Ipv4Addr;

/// A block, e.g. `10.0.1.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    written: u32,
    /// The bits that all of its addresses have in common, from 0 to 32.
    pub length: u32,
}

impl Cidr {
    /// Reads a block.
    pub fn of(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length = length.parse().ok().filter(|length| *length <= 32)?;
        Some(Self { written: u32::from(address.parse::<Ipv4Addr>().ok()?), length })
    }

    fn hosts(self) -> u32 {
        u32::MAX.checked_shr(self.length).unwrap_or(0)
    }

    /// Gives the block of that size that an address lies in.
    pub fn around(address: Ipv4Addr, length: u32) -> Self {
        let within = Self { written: u32::from(address), length };
        Self { written: within.first(), length }
    }

    /// Gives the first address, as a number.
    pub fn first(self) -> u32 {
        self.written & !self.hosts()
    }

    /// Gives the last address, as a number.
    pub fn last(self) -> u32 {
        self.written | self.hosts()
    }

    /// Says whether it is written with its first address.
    pub fn begins_as_written(self) -> bool {
        self.written == self.first()
    }

    /// Says whether EC2 keeps an address of it, taken as the block of a subnet: the first four, and the last.
    pub fn keeps(self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        self.holds(address.into()) && (address - self.first() <= 3 || address == self.last())
    }

    /// Says whether an address lies in it.
    pub fn holds(self, address: Ipv4Addr) -> bool {
        (self.first()..=self.last()).contains(&u32::from(address))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first()), self.length)
    }
}
