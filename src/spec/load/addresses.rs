//! The meaning of `slots[].address`: a form that EC2 takes, one for each slot or none at all, and no two alike.

use std::net::Ipv4Addr;

use super::meaning::{Meaning, bytes, written};
use crate::spec::application::SlotLimits;
use crate::spec::raw::{self, Text};
use crate::spec::{Cidr, Rehearsal, Rollout};

impl Meaning<'_, '_> {
    /// Says which fixed address a slot has; `None` after a problem was reported.
    pub(super) fn address(&mut self, raw: &raw::Slot) -> Option<Option<Ipv4Addr>> {
        let block = self.block(&raw.cidr)?;
        let Some(text) = &raw.address else { return Some(None) };
        let address = self.valid(
            &raw.address,
            |text| text.parse().is_ok_and(is_host),
            |text| format!("`{text}` is no private IPv4 address"),
            |text| match text.split_once('/') {
                Some((address, _)) => format!("give the address alone: `{address}`"),
                None => "four numbers with dots between them, e.g. `10.0.1.10`, in the range of the subnet".to_owned(),
            },
        )?;
        let address: Ipv4Addr = address.parse().ok()?;
        if let Some(why) = block.and_then(|block| objection(block, address)) {
            let cidr = written(&raw.cidr).unwrap_or_default();
            self.report
                .error(bytes(text), format!("`{address}` {why} `{cidr}`"))
                .hint("EC2 keeps the first four addresses and the last one of each subnet; give another one of it");
            return None;
        }
        Some(Some(address))
    }

    /// Reads the block of a slot's subnet; `None` after a problem was reported.
    fn block(&mut self, text: &Text) -> Option<Option<Cidr>> {
        if text.is_none() {
            return Some(None);
        }
        let cidr = self.valid(
            text,
            |text| of_subnet(text).is_some(),
            |text| format!("`{text}` is no CIDR block of a subnet"),
            |_| "give its first address and its size, from /16 to /28, e.g. `10.0.1.0/24`".to_owned(),
        )?;
        Some(of_subnet(&cidr))
    }

    /// Reports two slots with one address, and slots without one beside others that have one.
    pub(super) fn all_addresses_or_none(&mut self, raw: &[raw::Slot]) {
        self.unique(raw.iter().map(|slot| &slot.address), "slots", "address");
        let Some(first) = raw.iter().find_map(|slot| slot.address.as_ref()) else { return };
        let line = self.report.line(bytes(first).start);
        for name in raw.iter().filter(|slot| slot.address.is_none()).filter_map(|slot| slot.name.as_ref()) {
            self.report
                .error(bytes(name), format!("slot `{}` has no `address`, and others have one", name.value))
                .label(format!("the first address is in line {line}"))
                .hint("give every slot an address, or none");
        }
    }

    /// Reports that no slot has an address, where members must come back with the one that they had.
    pub(super) fn addresses_if_needed(&mut self, raw: &[raw::Slot], limits: &SlotLimits) {
        let Some(why) = limits.why_addresses.filter(|_| raw.iter().all(|slot| slot.address.is_none())) else { return };
        self.report
            .error(self.root.key(&["spec", "slots"]), "these slots need fixed addresses")
            .label(why)
            .hint("give every slot an `address` of its subnet that nothing else uses, e.g. `10.0.1.10`, and keep EC2 from giving it out with a subnet CIDR reservation");
    }

    /// Reports that a rehearsal is required which nobody could carry out.
    pub(super) fn no_rehearsal_of_what_cannot_be_copied(
        &mut self,
        rollout: Option<&Rollout>,
        limits: Option<SlotLimits>,
    ) {
        let is_required = rollout.is_some_and(|rollout| rollout.rehearsal == Rehearsal::Required);
        if let Some(why) = limits.and_then(|limits| limits.why_no_rehearsal).filter(|_| is_required) {
            self.report
                .error(self.root.key(&["spec", "rollout", "rehearsal"]), "this cluster cannot be rehearsed")
                .label(why)
                .hint("leave out `rehearsal`, and try an image on another cluster first");
        }
    }

    /// Reports fixed addresses of instances that a group may launch by itself: the role may not move an address to the
    /// network interface of such an instance, because nobody has tagged that.
    pub(super) fn no_addresses_in_a_group(&mut self, group: &Text, raw: &[raw::Slot]) {
        let Some(address) = raw.iter().find_map(|slot| slot.address.as_ref()).filter(|_| group.is_some()) else {
            return;
        };
        self.report
            .error(bytes(address), "a slot of an adopted Auto Scaling group has no fixed address")
            .label("the group launches instances whose network interfaces are not ours")
            .hint("leave out `capacity`, or the addresses");
    }
}

/// Says whether an instance could have that address: not one for many hosts, for none, or for a link alone.
fn is_host(address: Ipv4Addr) -> bool {
    let is_kept = address.is_multicast() || address.is_link_local() || address.is_broadcast();
    !is_kept && (1..240).contains(&address.octets()[0])
}

/// Reads the block of a subnet, which EC2 has from /16 to /28.
fn of_subnet(text: &str) -> Option<Cidr> {
    Cidr::of(text).filter(|block| (16..=28).contains(&block.length) && block.begins_as_written())
}

/// Says why an address is none of the block that an instance could have.
fn objection(block: Cidr, address: Ipv4Addr) -> Option<&'static str> {
    match (block.holds(address), block.keeps(address)) {
        (false, _) => Some("is not in"),
        (true, false) => None,
        (true, true) if u32::from(address) == block.last() => Some("is the last address of"),
        (true, true) => Some("is one of the first four addresses of"),
    }
}
