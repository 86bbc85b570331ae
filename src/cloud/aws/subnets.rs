//! The subnets of fixed addresses: which addresses they have, and which of these EC2 is kept from giving out.

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
    /// Describes the subnets of the slots that have fixed addresses, each by its id. What does not exist is left out.
    pub async fn subnets(&self, spec: &ClusterSpec) -> Result<BTreeMap<String, Subnet>, PortError> {
        let with_address = spec.slots.iter().filter(|slot| slot.address.is_some());
        let ids: BTreeSet<&str> = with_address.map(|slot| &*slot.subnet).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = self.describe_subnets(&self.region(&spec.region), &ids).await;
        found.map_err(|failure| failure.while_doing("look at the subnets of fixed addresses"))
    }

    async fn describe_subnets(
        &self,
        region: &Region,
        ids: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Subnet>, Failure> {
        let call = region.ec2.describe_subnets().filters(filter("subnet-id", ids.iter().copied()));
        let answer = self.ask(region, DESCRIBE_SUBNETS, || call.clone().send()).await?;
        let mut found = BTreeMap::new();
        for subnet in answer.subnets() {
            let id = subnet.subnet_id().unwrap_or_default().to_owned();
            let block = subnet.cidr_block().and_then(Cidr::of);
            let block = block.ok_or_else(|| {
                let text = format!("{id} is shown with the addresses {:?}", subnet.cidr_block());
                Failure::ours(DESCRIBE_SUBNETS, ErrorKind::Unknown, "unexpected-answer", text)
            })?;
            let reserved = self.reserved(region, &id).await?;
            found.insert(id, Subnet { block, reserved });
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
