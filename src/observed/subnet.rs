//! The subnet of a slot: its room, and the places of fixed addresses.

use std::net::Ipv4Addr;

use crate::spec::Cidr;

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// All of its addresses, e.g. `10.0.1.0/24`.
    pub block: Cidr,
    /// The number of unused addresses, e.g. 251. None where nobody says.
    pub free: Option<u32>,
    /// The ranges of it that EC2 gives to nothing by itself, or only as prefixes. They are asked for where an address is fixed.
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
