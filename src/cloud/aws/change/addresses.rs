//! Moving a fixed private address.

use std::net::Ipv4Addr;

use super::super::operation::ASSIGN_PRIVATE_IP_ADDRESSES;
use super::{Change, Halt};
use crate::ids::InterfaceId;
use crate::ports::{Clock, Outcome};

impl<C: Clock> Change<'_, C> {
    /// Takes an address over from whichever interface has it: the look before has made sure that nobody serves at it there.
    pub(super) async fn assign_address(&self, address: Ipv4Addr, to: &InterfaceId) -> Result<Outcome, Halt> {
        let call = self.region.ec2.assign_private_ip_addresses().network_interface_id(&**to);
        let call = call.private_ip_addresses(address.to_string()).allow_reassignment(true);
        self.send(ASSIGN_PRIVATE_IP_ADDRESSES, call.send()).await?;
        Ok(Outcome::Done)
    }
}
