//! Secondary private addresses: `AssignPrivateIpAddresses`, and the moment at which a guest learns of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::happened::{Due, Happened, Span};
use super::records::{Machine, Stranger, Subnet};
use super::region::Region;
use crate::ids::{InstanceId, InterfaceId};
use crate::observed::{self as seen, InstanceState, Interface, Reserved, UsedAddress};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::words::Refusal;
use crate::spec::Cidr;

/// The secondary addresses that a network interface takes: those of the smallest instance types, less the primary one.
const MOST: usize = 3;
/// The size of a subnet with fixed addresses, unless these are further apart.
const USUAL: u32 = 24;
/// The size of the range that the fixed addresses of one subnet lie in.
const RANGE: u32 = 20;
/// The size of the ranges that are reserved for fixed addresses.
const RESERVED: u32 = 28;

impl Machine {
    /// Makes the primary interface of a new instance. Its id follows from the instance's, so that no chance is drawn.
    pub(super) fn interface_of(id: &InstanceId) -> Interface {
        let id = InterfaceId::from(format!("eni-{}", id.trim_start_matches("i-")));
        Interface { id, secondary: BTreeSet::new() }
    }

    /// Says whether the guest has the address that it waits for, if it waits for any.
    pub fn has_its_address(&self) -> bool {
        self.seen.fixed_address.is_none_or(|address| self.shown_addresses.contains(&address))
    }
}

impl Subnet {
    /// Takes the range of a subnet to be that of the first fixed address that is declared in it.
    pub(super) fn reserve(&mut self, address: Ipv4Addr) {
        self.fixed.insert(address);
        self.range.get_or_insert(Cidr::around(address, RANGE).first().into());
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        let own = address.octets()[..2] == [10, self.number];
        own || self.range.is_some_and(|range| Cidr::around(range, RANGE).holds(address))
    }
}

impl Region {
    /// Describes a subnet that is known. One with fixed addresses has the block that these lie in, with what is reserved for
    /// them; the addresses that the world chooses for its instances need not be in it.
    pub fn subnet_seen(&self, id: &str) -> Option<seen::Subnet> {
        let Subnet { number, fixed, free, .. } = self.subnets.get(id)?;
        let network = if self.is_on_loopback { 127 } else { 10 };
        let around = |address: &Ipv4Addr| {
            let blocks = (RANGE..=USUAL).rev().map(|length| Cidr::around(*address, length));
            let with_all = |block: &Cidr| fixed.iter().all(|address| block.holds(*address));
            blocks.into_iter().find(with_all).unwrap_or(Cidr::around(*address, RANGE))
        };
        let block = fixed.first().map_or(Cidr::around(Ipv4Addr::new(network, *number, 0, 0), 16), around);
        let mut reserved: Vec<_> = fixed.iter().map(|address| Cidr::around(*address, RESERVED)).collect();
        reserved.dedup();
        let reserved = reserved.into_iter().map(|block| Reserved { block, is_explicit: true }).collect();
        Some(seen::Subnet { block, free: Some(*free), reserved })
    }

    /// `AssignPrivateIpAddresses` of one address. Reassignment takes it from the interface that has it as a secondary one.
    pub fn assign_address(
        &mut self,
        address: Ipv4Addr,
        interface: &InterfaceId,
        allow_reassignment: bool,
    ) -> Result<Outcome, Refusal> {
        let unknown = || Refusal::new(ErrorKind::NotFound, "InvalidNetworkInterfaceID.NotFound");
        let seen = self.machine_at(interface).ok_or_else(unknown)?.seen.clone();
        if seen.has(address) {
            return Ok(Outcome::AlreadySo);
        }
        let invalid = || Refusal::new(ErrorKind::Invalid, "InvalidParameterValue");
        if !self.subnet(&seen.subnet).has(address) || self.is_primary(address) || self.strangers.contains_key(&address)
        {
            return Err(invalid());
        }
        let holder = self.holder_of(address).map(|machine| machine.seen.id.clone());
        if holder.is_some() && !allow_reassignment {
            return Err(invalid());
        }
        if seen.interface.as_ref().is_some_and(|own| own.secondary.len() >= MOST) {
            return Err(Refusal::new(ErrorKind::NoCapacity, "PrivateIpAddressLimitExceeded"));
        }
        if let Some(holder) = holder {
            self.unassign_address(address, &holder);
        }
        self.edit_addresses(&seen.id, |secondary| secondary.insert(address));
        self.begins(Due::Address(seen.id.clone(), address), Span::Remap);
        Ok(Outcome::Done)
    }

    /// `UnassignPrivateIpAddresses` of one address: a member that serves at it is reached by nobody any more.
    pub fn unassign_address(&mut self, address: Ipv4Addr, from: &InstanceId) {
        self.edit_addresses(from, |secondary| secondary.remove(&address));
        let Some(machine) = self.instances.get_mut(from) else { return };
        machine.shown_addresses.remove(&address);
        if machine.seen.state == InstanceState::Running && machine.seen.fixed_address == Some(address) {
            self.happens(Happened::GuestDown(from.clone()));
        }
    }

    /// Lets something that is none of the clusters' have an address of a subnet, or give it up.
    pub fn lend_address(&mut self, address: Ipv4Addr, to: Option<&str>) {
        self.strangers.remove(&address);
        let stranger = |subnet: &str| Stranger {
            subnet: subnet.to_owned(),
            interface: InterfaceId::from("eni-0dddddddddddddddd"),
            instance: InstanceId::from("i-0dddddddddddddddd"),
        };
        self.strangers.extend(to.map(|subnet| (address, stranger(subnet))));
    }

    fn edit_addresses(&mut self, id: &InstanceId, edit: impl FnOnce(&mut BTreeSet<Ipv4Addr>) -> bool) {
        self.edit_instance(id, |seen| {
            seen.interface.as_mut().map(|interface| edit(&mut interface.secondary));
        });
    }

    /// The metadata of an instance show an address, if it still has it.
    pub(super) fn address_shown(&mut self, id: &InstanceId, address: Ipv4Addr) {
        let Some(machine) = self.instances.get_mut(id).filter(|machine| machine.seen.has(address)) else { return };
        machine.shown_addresses.insert(address);
        if machine.booted {
            self.happens(Happened::GuestLooks(id.clone()));
        }
    }

    /// Finds the instance whose primary network interface that is.
    pub fn machine_at(&self, interface: &InterfaceId) -> Option<&Machine> {
        let is_it = |machine: &&Machine| machine.seen.interface.as_ref().is_some_and(|own| own.id == *interface);
        self.instances.values().find(is_it)
    }

    /// Finds the instance that has an address as a secondary one.
    pub fn holder_of(&self, address: Ipv4Addr) -> Option<&Machine> {
        self.instances.values().find(|machine| machine.seen.has(address))
    }

    fn is_primary(&self, address: Ipv4Addr) -> bool {
        self.instances.values().any(|machine| machine.seen.address == Some(IpAddr::V4(address)))
    }

    /// Lists who has which of these addresses, whoever it is.
    pub(super) fn used_addresses(&self, wanted: &BTreeSet<Ipv4Addr>) -> Vec<UsedAddress> {
        let own = self.instances.values().flat_map(|machine| {
            let interface = machine.seen.interface.iter();
            let used = move |id: &InterfaceId, address: &Ipv4Addr| UsedAddress {
                subnet: machine.seen.subnet.clone(),
                address: *address,
                interface: id.clone(),
                instance: Some(machine.seen.id.clone()),
            };
            interface.flat_map(move |own| own.secondary.iter().map(move |address| used(&own.id, address)))
        });
        let strangers = self.strangers.iter().map(|(address, stranger)| UsedAddress {
            subnet: stranger.subnet.clone(),
            address: *address,
            interface: stranger.interface.clone(),
            instance: Some(stranger.instance.clone()),
        });
        let mut used: Vec<_> = own.chain(strangers).filter(|used| wanted.contains(&used.address)).collect();
        used.sort();
        used
    }
}
