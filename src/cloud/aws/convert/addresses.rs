//! Private addresses of network interfaces, whoever's they are.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use aws_sdk_ec2::types;

use crate::action::facts::AddressFacts;
use crate::ids::InstanceId;
use crate::observed::UsedAddress;

/// Lists those of the wanted addresses that an interface has.
pub(in super::super) fn used_addresses(
    seen: &types::NetworkInterface,
    wanted: &BTreeSet<Ipv4Addr>,
) -> Vec<UsedAddress> {
    let (Some(interface), Some(subnet)) = (seen.network_interface_id(), seen.subnet_id()) else { return Vec::new() };
    let used = |(address, _)| UsedAddress {
        subnet: subnet.to_owned(),
        address,
        interface: interface.into(),
        instance: instance(seen),
    };
    addresses(seen).filter(|(address, _)| wanted.contains(address)).map(used).collect()
}

/// Reads the facts about an address of an interface, if it has that address.
pub(in super::super) fn address_facts(seen: &types::NetworkInterface, address: Ipv4Addr) -> Option<AddressFacts> {
    let (_, is_primary) = addresses(seen).find(|(own, _)| *own == address)?;
    Some(AddressFacts { interface: seen.network_interface_id()?.into(), instance: instance(seen), is_primary })
}

fn instance(seen: &types::NetworkInterface) -> Option<InstanceId> {
    seen.attachment().and_then(types::NetworkInterfaceAttachment::instance_id).map(InstanceId::from)
}

/// Lists the addresses of an interface, and says of each whether it is the primary one.
fn addresses(seen: &types::NetworkInterface) -> impl Iterator<Item = (Ipv4Addr, bool)> + '_ {
    seen.private_ip_addresses()
        .iter()
        .filter_map(|address| Some((address.private_ip_address()?.parse().ok()?, address.primary().unwrap_or(false))))
}
