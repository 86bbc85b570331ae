//! Volumes that the file wants larger than they are: each grows where it is, one at a time, while its cluster is healthy.

use crate::action::CloudEffect;
use crate::observed::{Instance, Volume};

use super::answer::{Hazard, Plan, Why};
use super::gates;
use super::look::{Look, SlotLook};
use super::slot_state::{SlotState, slot_state};

/// A volume that is to grow.
pub struct Growth<'l, 'a> {
    pub slot: &'l SlotLook<'a>,
    /// The instance that serves with it.
    pub instance: &'a Instance,
    pub volume: &'a Volume,
    /// The size that the file wants.
    pub to_gib: u32,
}

/// Lists the volumes that are to grow, the leader's last. A slot whose member has not proved itself on its volume is left alone.
pub fn outstanding<'l, 'a>(look: &'l Look<'a>) -> Vec<Growth<'l, 'a>> {
    let mut all: Vec<_> = look.slots.iter().flat_map(|slot| of_slot(look, slot)).collect();
    all.sort_by_key(|growth| growth.slot.member.is_some_and(|member| look.leads(&member.id)));
    all
}

fn of_slot<'l, 'a>(look: &Look<'a>, slot: &'l SlotLook<'a>) -> Vec<Growth<'l, 'a>> {
    let SlotState::Serving(instance) = slot_state(look, slot) else { return Vec::new() };
    let settled = slot.present().filter(|(_, volume)| volume.settled.is_some());
    let grows = settled.filter_map(|(declared, volume)| {
        let to_gib = declared.grown_size(volume.size_gib, volume.ebs.as_ref())?;
        Some(Growth { slot, instance, volume, to_gib })
    });
    grows.collect()
}

/// Grows the next volume, or says why not now. A growth that came to nothing keeps no other volume from its own.
pub fn grow(look: &Look<'_>) -> Option<Plan> {
    let plans: Vec<_> = outstanding(look).iter().map(|next| unless_refused(look, next)).collect();
    let untried = plans.iter().position(|plan| look.setback(plan).is_none());
    plans.into_iter().nth(untried.unwrap_or_default())
}

/// Grows a volume, unless a gate refuses. EBS slows a volume down meanwhile, so one grows at a time, and only while the others
/// could do without its member.
fn unless_refused(look: &Look<'_>, next: &Growth<'_, '_>) -> Plan {
    let mut hazards = gates::growth_refusals(look, next.slot);
    let mut all = look.slots.iter().flat_map(SlotLook::present);
    let busy = all.find(|(_, volume)| volume.is_being_modified());
    hazards.extend(busy.map(|(_, volume)| Hazard::VolumeModifying { volume: volume.id.clone() }));
    if !hazards.is_empty() {
        return look.blocked(next.slot, hazards);
    }
    let effect = CloudEffect::Grow {
        volume: next.volume.id.clone(),
        instance: next.instance.id.clone(),
        from_gib: next.volume.size_gib,
        to_gib: next.to_gib,
    };
    look.act(next.slot, effect, Why::TooSmall)
}

/// Grows the next volume while something else may not begin, if it may be grown now.
pub fn grow_meanwhile(look: &Look<'_>) -> Option<Plan> {
    grow(look).filter(|plan| matches!(plan, Plan::Act(..)) && look.setback(plan).is_none())
}
