//! The subnet of a fixed address, as far as the address has its place there.

use std::net::Ipv4Addr;

use crate::spec::Cidr;

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// All of its addresses, e.g. `10.0.1.0/24`.
    pub block: Cidr,
    /// The ranges of it that EC2 gives to nothing by itself, or only as prefixes.
    pub reserved: Vec<Reserved>,
}

/// A reserved range of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub block: Cidr,
    /// Whether its addresses are for whoever names them. The others are given out by EC2 in prefixes.
    pub is_explicit: bool,
}

impl Subnet {
    /// Finds the range that an address is reserved with.
    pub fn reserved_with(&self, address: Ipv4Addr) -> Option<&Reserved> {
        self.reserved.iter().find(|range| range.block.holds(address))
    }
}
