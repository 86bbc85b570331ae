//! Conditions of a fixed private address.

use std::net::Ipv4Addr;

use crate::ids::InterfaceId;
use crate::observed::InstanceState;

use super::super::facts::{AddressFacts, Facts, InstanceFacts};
use super::condition::{Difference, Mismatch, Ours};

/// Something that an address is or is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AddressCondition<'e> {
    /// At that network interface.
    IsAt(&'e InterfaceId),
    /// At nothing, or a secondary address of an instance that bears our tags: only such a one may be moved.
    MayMove(Ours<'e>),
    /// At nothing, or at an instance in one of these states.
    HolderIs(&'static [InstanceState]),
}

impl AddressCondition<'_> {
    /// Tells whether the instance that has the address must be looked at as well.
    pub(super) fn asks_for_holder(&self) -> bool {
        !matches!(self, Self::IsAt(_))
    }

    /// Holds the condition against what has the address.
    pub(super) fn compare(&self, address: Ipv4Addr, facts: &Facts) -> Result<(), Mismatch> {
        let used = facts.addresses.get(&address);
        match (self, used) {
            (Self::IsAt(interface), Some(used)) if used.interface == **interface => Ok(()),
            (Self::IsAt(interface), _) => Err(Difference::new(format!("{address} at {interface}"), found(used)).into()),
            (Self::MayMove(_) | Self::HolderIs(_), None) => Ok(()),
            (Self::MayMove(ours), Some(used)) => may_move(address, used, ours, facts),
            (Self::HolderIs(states), Some(used)) => match holder(used, facts)? {
                Some(holder) if !states.contains(&holder.state) => {
                    let words: Vec<_> = states.iter().map(InstanceState::to_string).collect();
                    let expected = format!("{address} free, or at an instance that is {}", words.join(" or "));
                    Err(Difference::new(expected, format!("{}, which is {}", found(Some(used)), holder.state)).into())
                }
                Some(_) | None => Ok(()),
            },
        }
    }
}

/// Refuses to take an address from what is not the slot's: EC2 would move any secondary address of the account.
fn may_move(address: Ipv4Addr, used: &AddressFacts, ours: &Ours<'_>, facts: &Facts) -> Result<(), Mismatch> {
    let Some(holder) = holder(used, facts)? else {
        let expected = format!("{address} free, or at an instance of the slot");
        return Err(Difference::new(expected, found(Some(used))).into());
    };
    let id = used.instance.as_deref().unwrap_or_default();
    let is_ours = ours.compare(id, holder.cluster.as_ref(), holder.owner.as_ref(), holder.slot.as_ref());
    if let Err(Difference { expected, .. }) = is_ours {
        return Err(Difference::new(format!("{address} free, or {expected}"), found(Some(used))).into());
    }
    if used.is_primary {
        let expected = format!("{address} free, or a secondary address");
        return Err(
            Difference::new(expected, format!("the primary one of {}, which never moves", used.interface)).into()
        );
    }
    Ok(())
}

/// Finds the instance that has an address, if one has.
fn holder<'f>(used: &AddressFacts, facts: &'f Facts) -> Result<Option<&'f InstanceFacts>, Mismatch> {
    let Some(id) = &used.instance else { return Ok(None) };
    facts.instances.get(id).map(Some).ok_or_else(|| Mismatch::NotShown(id.to_string()))
}

fn found(used: Option<&AddressFacts>) -> String {
    match used.map(|used| (&used.interface, &used.instance)) {
        None => "it at nothing".to_owned(),
        Some((interface, None)) => format!("it at {interface}, which no instance has"),
        Some((interface, Some(instance))) => format!("it at {interface} of {instance}"),
    }
}
