//! Elections: who leads the members, and whether they could elect somebody.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{InstanceId, MemberId, SlotName};
use crate::observed::{Instance, InstanceState, Volume};
use crate::time::elapsed;

use super::look::{Look, Place, SlotLook};

impl<'a> Look<'a> {
    /// Says whether that member leads.
    pub fn leads(&self, member: &MemberId) -> bool {
        self.membership.and_then(|membership| membership.leader.as_ref()) == Some(member)
    }

    /// Says how many of the declared members have to be healthy for the application to work.
    pub fn needed(&self) -> usize {
        (self.rules.needed)(self.spec.slots.len())
    }

    /// Says whether the members answer and somebody leads them, where the application has a leader. Without one nobody
    /// vouches for the health of the others.
    pub fn is_led(&self) -> bool {
        self.membership.is_some_and(|membership| membership.leader.is_some() || self.rules.leader.is_none())
    }

    /// Says whether the members have had no leader for longer than any election takes.
    pub fn cannot_elect(&self) -> bool {
        let is_long = |since| elapsed(self.now, since) >= self.limits.leaderless;
        !self.is_led() && self.membership.is_some() && self.seen.leaderless_since.is_some_and(is_long)
    }

    /// Says whether the members would be enough to elect a leader if this slot's were back: the others that count are those
    /// of whom the members know that they have a vote, and who have an instance that runs with their volumes and their fixed address, and
    /// has done so for that long.
    pub fn could_elect_with(&self, slot: &SlotLook<'a>, for_long: Duration) -> bool {
        let votes = |other: &SlotLook<'a>| match other.member {
            Some(member) => member.counts,
            None => self.membership.is_none_or(|membership| membership.members.is_empty()),
        };
        let has_had_time = |other: &SlotLook<'a>, it: &Instance| {
            let serves = self.serves_since(it);
            elapsed(self.now, other.given_since(&it.id).map_or(serves, |given| given.max(serves))) >= for_long
        };
        let counts =
            |other: &SlotLook<'a>, it: &Instance| votes(other) && !it.lacks_fixed_address() && has_had_time(other, it);
        self.serving_beside(slot, counts) + 1 >= self.electing()
    }

    /// Says whether the other slots' members, by their instances, are enough to elect a leader.
    pub fn could_elect_without(&self, slot: &SlotLook<'a>) -> bool {
        self.serving_beside(slot, |_, _| true) >= self.electing().min(self.needed())
    }

    /// Says how many members it takes to elect a leader of those that there are, as their own list or the volumes tell. The declared ones
    /// may be more, or fewer.
    fn electing(&self) -> usize {
        let listed = self.membership.map_or(0, |known| known.members.iter().filter(|member| member.counts).count());
        let settled = self.cloud.volumes.iter().filter(|volume| volume.settled.is_some()).map(|volume| &volume.slot);
        match listed.max(settled.collect::<BTreeSet<_>>().len()) {
            0 => self.needed(),
            members => (self.rules.needed)(members),
        }
    }

    /// Counts the other slots that are served by an instance which counts, and those that are declared no more and still served.
    fn serving_beside(&self, slot: &SlotLook<'a>, counts: impl Fn(&SlotLook<'a>, &Instance) -> bool) -> usize {
        let serves = |other: &SlotLook<'a>, it: &Instance| other.is_served_by(self, it) && counts(other, it);
        let declared = self.others(slot).filter(|other| other.live().any(|instance| serves(other, instance)));
        declared.count() + self.serving_undeclared().len()
    }

    /// Names the slots that are declared no more, and whose settled volumes an instance that runs still has.
    fn serving_undeclared(&self) -> BTreeSet<&'a SlotName> {
        let runs = |id: &InstanceId| self.cloud.instance(id).is_some_and(|it| it.state == InstanceState::Running);
        let serves = |volume: &&Volume| match self.place(volume) {
            Place::On { instance, .. } => volume.settled.is_some() && runs(instance),
            _ => false,
        };
        let undeclared = self.cloud.present_volumes().filter(|volume| self.slot(&volume.slot).is_none());
        undeclared.filter(serves).map(|volume| &volume.slot).collect()
    }
}
