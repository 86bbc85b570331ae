//! The part of a controller's memory that says since when each member is healthy at its place.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::ids::{InstanceId, MemberId, SlotName, VolumeId};
use crate::observed::{CloudView, Health, Member, Observation, VolumeState};
use crate::time::{Timestamp, elapsed};

/// Looks further apart than this do not show that nothing happened in between.
pub(super) const GAP: Duration = Duration::from_secs(10);

/// A timer for each member that is healthy.
#[derive(Default)]
pub(super) struct Steady(Vec<Timer>);

/// A member that has been healthy at one place.
struct Timer {
    slot: SlotName,
    member: MemberId,
    address: Option<IpAddr>,
    base: Base,
    since: Timestamp,
}

/// The instances that have a member's volumes, each with its latest start, in order.
type Base = Box<[(VolumeId, InstanceId, Option<Timestamp>)]>;

impl Steady {
    /// Compares the members with what was seen of them before. A timer starts over when its member is not healthy, has
    /// another identity, is at another address or on another instance; and when the members could not be asked for so long
    /// that it may have been ill meanwhile, unless its peers say that it was not. A single question that fails is no such
    /// time.
    pub(super) fn follow(&mut self, seen: &Observation, asked: Option<Timestamp>) {
        let Some(membership) = seen.membership.seen() else { return };
        let healthy: BTreeMap<_, _> = membership
            .members
            .iter()
            .filter(|member| member.counts && member.health == Health::Healthy)
            .filter_map(|member| Some((member.slot.clone()?, member)))
            .collect();
        let unbroken = |member: &Member| {
            asked.is_some_and(|asked| {
                elapsed(seen.now, asked) <= GAP || member.stable_since.is_some_and(|since| since <= asked)
            })
        };
        let before = std::mem::replace(&mut self.0, Vec::with_capacity(healthy.len()));
        for (slot, member) in healthy {
            let known = before.iter().find(|timer| timer.slot == slot);
            let base = match (seen.cloud.seen(), &known) {
                (Some(view), _) => base(view, &slot),
                (None, Some(timer)) => timer.base.clone(),
                (None, None) => Base::default(),
            };
            // A member that is back at its address looks as if it had never been gone, where its peers have not noticed.
            let same = |timer: &&Timer| {
                timer.member == member.id && timer.address == member.address && timer.base == base && unbroken(member)
            };
            let since = known.filter(same).map_or(seen.now, |timer| timer.since);
            self.0.push(Timer { slot, member: member.id.clone(), address: member.address, base, since });
        }
    }

    /// Says since when each member is steady.
    pub(super) fn since(&self) -> BTreeMap<SlotName, Timestamp> {
        self.0.iter().map(|timer| (timer.slot.clone(), timer.since)).collect()
    }
}

fn base(view: &CloudView, slot: &SlotName) -> Base {
    let of_slot = view.present_volumes().filter(|volume| volume.slot == *slot);
    let held = of_slot.filter_map(|volume| match &volume.state {
        VolumeState::InUse(at) => Some((volume.id.clone(), &at.instance)),
        _ => None,
    });
    let started = |id| view.instance(id).map(|instance| instance.launched_at);
    let mut base: Vec<_> = held.map(|(volume, instance)| (volume, instance.clone(), started(instance))).collect();
    base.sort();
    base.into()
}
