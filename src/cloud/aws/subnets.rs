//! The subnets of slots: how many addresses are free, and which of them EC2 is kept from giving out. Only `doctor` asks.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{self, SubnetCidrReservationType};

use super::describe::{all, filter};
use super::error::Failure;
use super::operation::{DESCRIBE_SUBNETS, GET_SUBNET_CIDR_RESERVATIONS};
use super::{Aws, Region};
use crate::observed::{Reserved, Subnet};
use crate::ports::{Clock, ErrorKind, PortError};
use crate::spec::{Cidr, ClusterSpec};

impl<C: Clock> Aws<C> {
    /// Describes the subnets of a cluster's slots, each by its id. What does not exist is left out.
    pub async fn subnets(&self, spec: &ClusterSpec) -> Result<BTreeMap<String, Subnet>, PortError> {
        let found = self.describe_subnets(&self.region(&spec.region), spec).await;
        found.map_err(|failure| failure.while_doing("look at the subnets of the slots"))
    }

    async fn describe_subnets(&self, region: &Region, spec: &ClusterSpec) -> Result<BTreeMap<String, Subnet>, Failure> {
        let ids: BTreeSet<&str> = spec.slots.iter().map(|slot| &*slot.subnet).collect();
        let call = region.ec2.describe_subnets().filters(filter("subnet-id", ids));
        let answer = self.ask(region, DESCRIBE_SUBNETS, || call.clone().send()).await?;
        let mut found = BTreeMap::new();
        for subnet in answer.subnets() {
            let id = subnet.subnet_id().unwrap_or_default().to_owned();
            let block = subnet.cidr_block().and_then(Cidr::of);
            let block = block.ok_or_else(|| {
                let text = format!("{id} is shown with the addresses {:?}", subnet.cidr_block());
                Failure::ours(DESCRIBE_SUBNETS, ErrorKind::Unknown, "unexpected-answer", text)
            })?;
            let free = subnet.available_ip_address_count().and_then(|count| count.try_into().ok());
            let has_fixed = spec.slots.iter().any(|slot| slot.subnet == id && slot.address.is_some());
            let reserved = if has_fixed { self.reserved(region, &id).await? } else { Vec::new() };
            found.insert(id, Subnet { block, free, reserved });
        }
        Ok(found)
    }

    async fn reserved(&self, region: &Region, subnet: &str) -> Result<Vec<Reserved>, Failure> {
        let found = all(GET_SUBNET_CIDR_RESERVATIONS, async |token| {
            let call = region.ec2.get_subnet_cidr_reservations().subnet_id(subnet).set_next_token(token);
            let page = self.ask(region, GET_SUBNET_CIDR_RESERVATIONS, || call.clone().send()).await?;
            Ok((page.subnet_ipv4_cidr_reservations.unwrap_or_default(), page.next_token))
        });
        Ok(found.await?.iter().filter_map(range).collect())
    }
}

/// A reservation. One of a type that nobody knows keeps nothing free.
fn range(seen: &types::SubnetCidrReservation) -> Option<Reserved> {
    let is_explicit = seen.reservation_type() == Some(&SubnetCidrReservationType::Explicit);
    Some(Reserved { block: Cidr::of(seen.cidr()?)?, is_explicit })
}
