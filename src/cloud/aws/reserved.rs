//! Fixed addresses and their subnets: whether an address lies in its subnet, and whether EC2 is kept from giving it out.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use aws_sdk_ec2::types;

use super::describe::filter;
use super::error::Failure;
use super::operation::{DESCRIBE_SUBNETS, GET_SUBNET_CIDR_RESERVATIONS};
use super::{Aws, Region};
use crate::ids::SlotName;
use crate::ports::Clock;
use crate::spec::{Cidr, ClusterSpec};

impl<C: Clock> Aws<C> {
    /// Says of each fixed address where it lies, or what is wrong with its place.
    pub async fn addresses(&self, spec: &ClusterSpec) -> Vec<(SlotName, Result<String, String>)> {
        let region = self.region(&spec.region);
        let mut found = Vec::new();
        for slot in &spec.slots {
            if let Some(address) = slot.address {
                let place = self.place_of(&region, &slot.subnet, address).await;
                found.push((slot.name.clone(), place.unwrap_or_else(|failure| Err(failure.to_string()))));
            }
        }
        found
    }

    async fn place_of(
        &self,
        region: &Region,
        subnet: &str,
        address: Ipv4Addr,
    ) -> Result<Result<String, String>, Failure> {
        let call = region.ec2.describe_subnets().filters(filter("subnet-id", [subnet]));
        let subnets = self.ask(region, DESCRIBE_SUBNETS, || call.clone().send()).await?;
        let Some(cidr) = subnets.subnets().first().and_then(types::Subnet::cidr_block) else {
            return Ok(Err(format!("{subnet} does not exist, or may not be seen")));
        };
        if !holds(cidr, address) {
            return Ok(Err(format!("{address} is not in {subnet}, which is {cidr}")));
        }
        let call = region.ec2.get_subnet_cidr_reservations().subnet_id(subnet);
        let reservations = self.ask(region, GET_SUBNET_CIDR_RESERVATIONS, || call.clone().send()).await?;
        let reserved: BTreeSet<_> =
            reservations.subnet_ipv4_cidr_reservations().iter().filter_map(|one| one.cidr()).collect();
        Ok(match reserved.iter().find(|block| holds(block, address)) {
            Some(block) => Ok(format!("{address} in {cidr}, reserved with {block}")),
            None => Err(format!("{address} is not reserved in {subnet}: EC2 may give it to something else")),
        })
    }
}

/// Says whether an address lies in a CIDR block.
fn holds(block: &str, address: Ipv4Addr) -> bool {
    Cidr::of(block).is_some_and(|block| block.holds(address))
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn an_address_lies_in_a_block_or_does_not() {
        let address = "10.0.1.10".parse().unwrap();
        for (block, expected) in
            [("10.0.1.0/24", true), ("10.0.1.0/28", true), ("10.0.1.16/28", false), ("0.0.0.0/0", true)]
        {
            assert_eq!(holds(block, address), expected, "{block}");
        }
        assert!(holds("10.0.1.10/32", address) && !holds("10.0.1.11/32", address) && !holds("nonsense", address));
    }
}
