//! The checks of addresses: whether the subnets have free ones, and whether fixed ones are in the subnet, kept from being given out, and
//! free or at an instance of the slot; pure, so that each check can be tried.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::observed::{Observation, Subnet};
use crate::plan::{Look, address};
use crate::ports::{ErrorKind, PortError, chain};
use crate::spec::{ClusterSpec, SlotSpec};

use super::checks::Check;

/// Makes a check of the subnets' room, and one for each slot that has a fixed address. Who else has it is told by the gate `address-taken`.
pub fn checks(
    spec: &ClusterSpec,
    seen: &Observation,
    subnets: Result<BTreeMap<String, Subnet>, PortError>,
) -> Vec<Check> {
    let declared = spec.slots.iter().filter_map(|slot| Some((slot, slot.address?)));
    match subnets {
        Ok(subnets) => {
            let placed = declared.map(|(slot, address)| {
                placed(slot, address, subnets.get(&slot.subnet), &holder(spec, seen, slot, address))
            });
            [room(spec, &subnets)].into_iter().chain(placed).collect()
        }
        // The checks of permissions name what is not allowed.
        Err(error) if error.kind == ErrorKind::Denied && !spec.has_addresses() => Vec::new(),
        Err(error) => {
            let hint = "nobody knows whether the slots' subnets have room, and hold fixed addresses; ask again once EC2 answers";
            vec![Check::unknown("addresses", chain(&error), hint)]
        }
    }
}

/// Says how many addresses are free in the subnets. Each launch takes one, also that of an instance which gets a fixed one later.
fn room(spec: &ClusterSpec, subnets: &BTreeMap<String, Subnet>) -> Check {
    let ids: BTreeSet<&String> = spec.slots.iter().map(|slot| &slot.subnet).collect();
    let free = |id: &&String| subnets.get(*id).map(|subnet| subnet.free);
    let missing: Vec<_> = ids.iter().filter(|id| free(id).is_none()).map(|id| id.as_str()).collect();
    if !missing.is_empty() {
        let found = format!("{} cannot be seen", missing.join(", "));
        return Check::bad("subnets", found, "check the id, the region and the account");
    }
    let full: Vec<_> = ids.iter().filter(|id| free(id) == Some(Some(0))).map(|id| id.as_str()).collect();
    if !full.is_empty() {
        let found = format!("no address is free in {}", full.join(", "));
        return Check::bad(
            "subnets",
            found,
            "each launch takes an address: free some, or declare a subnet that has them",
        );
    }
    match ids.iter().filter_map(|id| free(id)?).min() {
        Some(least) => Check::good("subnets", format!("{least} addresses or more are free in each")),
        None => Check::open("subnets", "nobody says how many addresses are free"),
    }
}

fn placed(slot: &SlotSpec, address: Ipv4Addr, subnet: Option<&Subnet>, holder: &str) -> Check {
    let (what, id) = (format!("{} address", slot.name), &slot.subnet);
    let Some(subnet) = subnet else {
        let hint = "check the id, the region and the account";
        return Check::bad(what, format!("{id} does not exist, or may not be seen"), hint);
    };
    let block = subnet.block;
    if !block.holds(address) {
        let hint = "declare an address of the slot's subnet";
        return Check::bad(what, format!("{address} is not in {id}, which is {block}"), hint);
    }
    if block.keeps(address) {
        let hint = "EC2 keeps the first four addresses and the last one of each subnet; declare another one of it";
        return Check::bad(what, format!("{address} is one that EC2 keeps of {id}, which is {block}"), hint);
    }
    let hint = "keep EC2 from giving it out: a subnet CIDR reservation of the type `explicit`, as infra/ makes it";
    match subnet.reserved_with(address) {
        None => Check::bad(what, format!("{address} is not reserved in {id}: EC2 may give it to something else"), hint),
        Some(range) if !range.is_explicit => {
            let found = format!("{address} is reserved for prefixes with {}, and EC2 gives these out", range.block);
            Check::bad(what, found, hint)
        }
        Some(range) => Check::good(what, format!("{address} in {block}, reserved with {}{holder}", range.block)),
    }
}

/// Says in words who has an address, if it is the slot's or nobody's.
fn holder(spec: &ClusterSpec, seen: &Observation, slot: &SlotSpec, address: Ipv4Addr) -> String {
    let arranged = Look::at(spec, seen);
    let Some(look) = arranged.look() else { return String::new() };
    let Some(at) = look.slots.iter().find(|at| at.spec.name == slot.name) else { return String::new() };
    match look.cloud.instances.iter().find(|instance| instance.has(address)) {
        _ if address::taken_by(&look, at, address).is_some() => String::new(),
        Some(instance) => format!(", at {}", instance.id),
        None => ", free".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Reserved;
    use crate::spec::Cidr;

    fn slot() -> SlotSpec {
        let loaded = crate::spec::load::load(&["tests/fixtures/consul-addresses.yaml".into()]);
        loaded.specs().next().unwrap().1.slots[0].clone()
    }

    fn subnet(reserved: &[(&str, bool)]) -> Subnet {
        let range = |(block, is_explicit): &(&str, bool)| Reserved {
            block: Cidr::of(block).unwrap(),
            is_explicit: *is_explicit,
        };
        Subnet {
            block: Cidr::of("10.0.1.0/24").unwrap(),
            free: Some(250),
            reserved: reserved.iter().map(range).collect(),
        }
    }

    #[test]
    fn a_subnet_without_a_free_address_is_named_and_so_is_one_that_cannot_be_seen() {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let spec = loaded.specs().next().unwrap().1.clone();
        let mut subnets: BTreeMap<_, _> = spec.slots.iter().map(|slot| (slot.subnet.clone(), subnet(&[]))).collect();
        let first = spec.slots[0].subnet.clone();
        let mut told = |free: Option<u32>| {
            subnets.get_mut(&first).unwrap().free = free;
            let check = room(&spec, &subnets);
            (check.is_amiss(), check.found)
        };
        assert_eq!(told(Some(3)), (false, "3 addresses or more are free in each".to_owned()));
        assert_eq!(told(Some(0)), (true, format!("no address is free in {first}")));
        assert_eq!(told(None), (false, "250 addresses or more are free in each".to_owned()));
        subnets.remove(&first);
        let check = room(&spec, &subnets);
        assert_eq!((check.is_amiss(), check.found), (true, format!("{first} cannot be seen")));
    }

    #[test]
    fn each_thing_that_can_be_wrong_with_a_place_is_said() {
        let found = |address: &str, subnet: Option<Subnet>| {
            let check = placed(&slot(), address.parse().unwrap(), subnet.as_ref(), ", free");
            assert_eq!(check.is_amiss(), check.hint.is_some());
            (check.is_amiss(), check.found)
        };
        let explicit = || Some(subnet(&[("10.0.1.0/28", true)]));
        let id = "subnet-0aaaaaaaaaaaaaaaa";
        for (address, subnet, expected) in [
            ("10.0.1.10", None, Err(format!("{id} does not exist, or may not be seen"))),
            ("10.0.2.10", explicit(), Err(format!("10.0.2.10 is not in {id}, which is 10.0.1.0/24"))),
            ("10.0.1.3", explicit(), Err(format!("10.0.1.3 is one that EC2 keeps of {id}, which is 10.0.1.0/24"))),
            ("10.0.1.255", explicit(), Err(format!("10.0.1.255 is one that EC2 keeps of {id}, which is 10.0.1.0/24"))),
            (
                "10.0.1.16",
                explicit(),
                Err(format!("10.0.1.16 is not reserved in {id}: EC2 may give it to something else")),
            ),
            (
                "10.0.1.10",
                Some(self::subnet(&[("10.0.1.0/28", false)])),
                Err("10.0.1.10 is reserved for prefixes with 10.0.1.0/28, and EC2 gives these out".to_owned()),
            ),
            ("10.0.1.4", explicit(), Ok("10.0.1.4 in 10.0.1.0/24, reserved with 10.0.1.0/28, free".to_owned())),
        ] {
            let (is_amiss, found) = found(address, subnet);
            assert_eq!(if is_amiss { Err(found) } else { Ok(found) }, expected);
        }
    }
}
