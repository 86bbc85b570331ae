//! A slot's fixed address: where it is, and the move to the instance that is to have it.
//!
//! The address is moved only from an instance that is stopped or gone. An instance is given the one that it was launched for,
//! because its guest waits for no other.

use std::net::{IpAddr, Ipv4Addr};

use crate::action::CloudEffect;
use crate::observed::{Instance, InstanceState, UsedAddress};

use super::answer::{Awaited, Plan, Stall, Why};
use super::look::{Look, SlotLook};

/// The place of an address.
enum At<'a> {
    /// Nothing is known to have it.
    Nothing,
    /// An instance of the slot has it.
    Own(&'a Instance),
    /// Something else has it, e.g. `eni-9 of i-9`.
    Other(String),
    /// Several instances show it, which is common for a moment; in words.
    Unclear(String),
}

/// Names what has an address that is not one of the slot's instances, or has it in a way in which it cannot move.
pub fn taken_by(look: &Look<'_>, slot: &SlotLook<'_>, address: Ipv4Addr) -> Option<String> {
    match place(look, slot, address) {
        At::Other(by) => Some(by),
        At::Nothing | At::Own(_) | At::Unclear(_) => None,
    }
}

/// Moves to an instance the address that it was launched for, or waits until that can be moved. Done when it has the address.
pub fn assign(look: &Look<'_>, slot: &SlotLook<'_>, to: &Instance, why: &Why) -> Option<Plan> {
    let address = to.fixed_address?;
    let limit = look.limits.instance;
    let unclear = |detail: String| look.wait(slot, Awaited::ViewsAgree { detail }, look.now, limit);
    Some(match place(look, slot, address) {
        At::Own(holder) if holder.id == to.id => return None,
        At::Own(holder) => {
            let instance = holder.id.clone();
            match holder.state {
                InstanceState::Stopped | InstanceState::Terminated => move_to(look, slot, to, address, why),
                InstanceState::Stopping => look.wait(slot, Awaited::Stopped { instance }, holder.state_since, limit),
                InstanceState::ShuttingDown => {
                    look.wait(slot, Awaited::Terminated { instance }, holder.state_since, limit)
                }
                InstanceState::Pending | InstanceState::Running => {
                    unclear(format!("{address} is at {instance}, which is {}", holder.state))
                }
            }
        }
        At::Nothing => move_to(look, slot, to, address, why),
        At::Other(by) => Plan::stalled(Stall::AddressTaken { slot: slot.spec.name.clone(), address, by }),
        At::Unclear(detail) => unclear(detail),
    })
}

/// Gives an instance that is to serve its lost address back: the member is found at no other. What is somebody else's is left
/// alone.
pub fn give_back(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance) -> Option<Plan> {
    let is_ours = look.is_ours(&instance.owner);
    assign(look, slot, Some(instance).filter(|_| is_ours)?, &Why::AddressLost)
}

/// Does the same where nothing has the address: of an instance whose replacement was interrupted another one may be the rightful owner.
pub fn give_back_unused(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance) -> Option<Plan> {
    match place(look, slot, instance.fixed_address?) {
        At::Nothing => give_back(look, slot, instance),
        At::Own(_) | At::Other(_) | At::Unclear(_) => None,
    }
}

fn move_to(look: &Look<'_>, slot: &SlotLook<'_>, to: &Instance, address: Ipv4Addr, why: &Why) -> Plan {
    let Some(interface) = &to.interface else {
        let detail = format!("{} is shown without a network interface", to.id);
        return look.wait(slot, Awaited::ViewsAgree { detail }, to.launched_at, look.limits.instance);
    };
    let (instance, interface, subnet) = (to.id.clone(), interface.id.clone(), to.subnet.clone());
    look.act(slot, CloudEffect::AssignAddress { address, instance, interface, subnet }, why.clone())
}

fn place<'a>(look: &Look<'a>, slot: &SlotLook<'a>, address: Ipv4Addr) -> At<'a> {
    let holders: Vec<_> = look.cloud.instances.iter().filter(|instance| instance.has(address)).collect();
    match holders.as_slice() {
        [one] if one.slot == slot.spec.name => At::Own(one),
        [one] => At::Other(named(one)),
        [] => elsewhere(look, slot, address).map_or(At::Nothing, At::Other),
        several => {
            let ids: Vec<_> = several.iter().map(|instance| &*instance.id).collect();
            At::Unclear(format!("{address} is shown at {}", ids.join(" and ")))
        }
    }
}

/// Finds a primary address of an instance of the cluster that is the wanted one, or the interface of somebody else that has
/// it. What is known of others may be a minute old, so an instance of the cluster counts only as it is shown itself.
fn elsewhere(look: &Look<'_>, slot: &SlotLook<'_>, address: Ipv4Addr) -> Option<String> {
    let is_primary = |instance: &&Instance| instance.address == Some(IpAddr::V4(address));
    if let Some(instance) = look.cloud.live_instances().find(is_primary) {
        return Some(format!("{} as its primary address, which never moves", instance.id));
    }
    let is_known = |used: &UsedAddress| {
        let is_its = |instance: &Instance| instance.interface.as_ref().is_some_and(|own| own.id == used.interface);
        used.instance.as_ref().is_some_and(|id| look.cloud.instance(id).is_some()) || look.cloud.instances().any(is_its)
    };
    let in_subnet = |used: &&UsedAddress| used.address == address && used.subnet == slot.spec.subnet;
    let other = look.cloud.catalogue.used_addresses.iter().find(|used| in_subnet(used) && !is_known(used))?;
    Some(match &other.instance {
        Some(instance) => format!("{} of {instance}", other.interface),
        None => format!("{}, which no instance has", other.interface),
    })
}

fn named(instance: &Instance) -> String {
    let interface = instance.interface.as_ref().map_or("an interface", |interface| &*interface.id);
    format!("{interface} of {}, an instance of {}", instance.id, instance.slot)
}
