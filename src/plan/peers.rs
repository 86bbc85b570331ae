//! A member's address as the other members keep it: where their application wants to be told of another one, they are told between
//! the stop of the old process and the start of the new one.
//!
//! The members' own list says whether that is still to be done. It can be changed by a leader alone. Where there can be none, because
//! the members do not elect one or too few of them are left, a member is given its volumes all the same after a while: it finds the
//! others by the addresses that it has kept of them, and they need its vote. Whoever leads then is told.

use std::net::IpAddr;

use crate::action::{Effect, MemberEffect};
use crate::ids::MemberId;
use crate::observed::Instance;

use super::answer::{Awaited, Plan, Why};
use super::look::{Look, SlotLook};

/// Has the members look for a slot's member at an instance, before it is given its volumes there, or waits until they can be told.
/// Done when they have that address for it.
pub fn tell(look: &Look<'_>, slot: &SlotLook<'_>, to: &Instance, why: &Why) -> Option<Plan> {
    let may_be_due = || look.rules.moves_members && !look.spec.has_addresses();
    let is_due = look.membership.map_or_else(may_be_due, |_| outdated(look, slot, to).is_some());
    if !is_due || look.cannot_elect() {
        return None;
    }
    let what = Awaited::PeersTold { instance: to.id.clone() };
    let limit = look.limits.leaderless;
    match correct(look, slot, to, why) {
        Some(plan) => Some(plan),
        None if !look.could_elect_without(slot) && look.has_waited(slot, &what, limit) => None,
        None => Some(look.wait(slot, what, look.now, limit)),
    }
}

/// Corrects the address that the members have for a slot's member, where somebody leads them.
pub fn correct(look: &Look<'_>, slot: &SlotLook<'_>, at: &Instance, why: &Why) -> Option<Plan> {
    let (member, address) = outdated(look, slot, at).filter(|_| look.is_led())?;
    let effect = MemberEffect::MoveMember { member: member.clone(), instance: at.id.clone(), address };
    Some(look.effect(Some(&slot.spec.name), Effect::Member(effect), why.clone()))
}

/// Says why members whom nobody has led for long cannot elect anybody any more, although every slot is served: each is elsewhere than the
/// others look for it, and one that is where it was would be enough; or too few of those that have a vote are left.
pub fn quorum_lost(look: &Look<'_>) -> Option<String> {
    let members = &look.membership.filter(|_| look.cannot_elect())?.members;
    let served: Option<Vec<_>> = look.slots.iter().map(|slot| Some((slot, slot.served_by(look)?))).collect();
    let served = served.filter(|_| !members.is_empty())?;
    let astray: Vec<_> = served
        .iter()
        .filter_map(|(slot, at)| Some((slot, outdated(look, slot, at)?.1, slot.member?.address?)))
        .collect();
    if !astray.is_empty() && astray.len() == served.len() {
        let places: Vec<_> =
            astray.iter().map(|(slot, at, kept)| format!("{} is at {at}, not at {kept}", slot.spec.name)).collect();
        return Some(format!("no member is where the others look for it ({})", places.join(", ")));
    }
    let voters: Vec<_> = members.iter().filter(|member| member.counts).collect();
    let left = voters.iter().filter(|voter| voter.slot.as_ref().is_some_and(|slot| look.slot(slot).is_some())).count();
    let needed = (look.rules.needed)(voters.len().max(1));
    (left < needed).then(|| format!("of those that have a vote {left} run, and it takes {needed}"))
}

/// Names the slot's member and its address at an instance, where its peers have another one for it. Where they have none, they go by a
/// name that is not ours to change; and of two members that bear one name nobody knows here which is meant.
fn outdated<'a>(look: &Look<'a>, slot: &SlotLook<'a>, at: &Instance) -> Option<(&'a MemberId, IpAddr)> {
    let member = slot.member.filter(|_| look.rules.moves_members)?;
    let namesakes = look.membership?.members.iter().filter(|other| other.slot == member.slot).count();
    let (kept, address) = (member.address?, at.member_address()?);
    (kept != address && namesakes == 1).then_some((&member.id, address))
}
